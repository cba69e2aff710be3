"""The AesBench metric as it is published: a Space with its one file, its card and its page."""

from importlib.resources import files
from pathlib import Path

from huggingface_hub import RepoCard

from aesexpert.hub.errors import HubError
from aesexpert.hub.publication import CARD, Publication, check_repo_id


METRIC = "aesbench"


def metric_publication(repo_id: str) -> Publication:
    """Prepares the metric for the Hub, so that `evaluate.load(repo_id)` finds it.

    Args:
        repo_id (`str`): The Space's name: `evaluate` looks for a file of that name in it.

    Returns:
        `Publication`: What `publish` uploads.

    Raises:
        `HubError`: If the name cannot be a module's.
    """
    check_repo_id(repo_id)
    name = repo_id.split("/")[1]
    if not name.isidentifier():
        raise HubError(f"{name!r} cannot be a metric's name, since `evaluate` imports it as a module; use {METRIC!r}")
    folder = Path(str(files("aesexpert.metrics") / METRIC))
    page = (folder / "app.py").read_text(encoding="utf-8").replace(f"{METRIC}.py", f"{name}.py")
    contents: dict[str, Path | bytes] = {
        f"{name}.py": folder / f"{METRIC}.py",
        "app.py": page.encode(),
        "requirements.txt": folder / "requirements.txt",
    }
    card = RepoCard.load(folder / CARD)
    return Publication("space", contents, lambda _: card)
