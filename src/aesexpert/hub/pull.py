"""Fetching a repository into a folder that the client libraries take by its bare name."""

import os
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

from aesexpert.hub.errors import HubError, explained
from aesexpert.hub.publication import RepoType, check_repo_id
from aesexpert.hub.releases import AskPassword, fetch_release, is_release


_MARK = Path(".cache", "huggingface")
"""What the client library leaves in a folder that it filled: which revision each file is of."""

_TYPES: tuple[RepoType, ...] = ("dataset", "model", "space")


class Pulled(NamedTuple):
    """What was fetched.

    Args:
        folder (`Path`): Where it is.
        unknown_labels (`Counter[str]`): Labels of a published archive that the vocabulary lacks.
    """

    folder: Path
    unknown_labels: Counter[str] = Counter()


def pull(
    repo_id: str,
    folder: str | Path | None = None,
    *,
    repo_type: RepoType | None = None,
    revision: str | None = None,
    ask_password: AskPassword = lambda _: None,
) -> Pulled:
    """Fetches a repository into a folder.

    The folder appears when it is complete. Killed at any moment, the same command goes on with the files that are
    missing. A folder that was pulled before is brought up to date, and what the repository no longer has goes. Of a
    repository that holds a published archive of AesMMIT or AesBench, the archive's content is fetched.

    Args:
        repo_id (`str`): `OWNER/NAME`.
        folder (`str` or `Path`, *optional*): Where to put it, by default `NAME`.
        repo_type (`str`, *optional*): `"dataset"`, `"model"` or `"space"`; by default found out.
        revision (`str`, *optional*): A branch, tag or commit, by default the newest.
        ask_password (`Callable[[str], str | None]`, *optional*): Gives the password of an encrypted archive.

    Returns:
        [`Pulled`]: The folder, and the labels of an archive that the vocabulary lacks.

    Raises:
        `HubError`: If the repository is not there or not open, or the folder holds something else.
    """
    check_repo_id(repo_id)
    folder = Path(folder or repo_id.split("/")[1])
    api = HfApi(library_name="aesexpert")
    with explained(repo_id):
        repo_type = repo_type or _find_type(api, repo_id)
        commit = api.repo_info(repo_id, repo_type=repo_type, revision=revision).sha
        names = api.list_repo_files(repo_id, repo_type=repo_type, revision=commit)
        _check_names(repo_id, names)
        if repo_type == "dataset" and is_release(names):
            return Pulled(folder, fetch_release(names, folder, ask_password, f"datasets/{repo_id}@{commit}"))
        _check_target(folder)
        partial = _start(folder)
        try:
            api.snapshot_download(repo_id, repo_type=repo_type, revision=commit, local_dir=partial)
        finally:
            _drop_if_empty(partial)
    _check_complete(repo_id, partial, names)
    _remove_others(partial, names)
    _finish(partial, folder)
    return Pulled(folder)


def unpack(
    source: str | Path, folder: str | Path | None = None, *, ask_password: AskPassword = lambda _: None
) -> Pulled:
    """Unpacks a published archive of AesMMIT or AesBench that is on this machine.

    Args:
        source (`str` or `Path`): The zip file, or a folder with zip and JSON files.
        folder (`str` or `Path`, *optional*): Where to put it, by default the archive's name without its ending.
        ask_password (`Callable[[str], str | None]`, *optional*): Gives the password of an encrypted archive.

    Returns:
        [`Pulled`]: The folder, and the labels that the vocabulary lacks.
    """
    source = Path(source)
    names = [str(file) for file in source.iterdir()] if source.is_dir() else [str(source)]
    folder = Path(folder or source.stem)
    return Pulled(folder, fetch_release(names, folder, ask_password))


def _find_type(api: HfApi, repo_id: str) -> RepoType:
    found = [repo_type for repo_type in _TYPES if _exists(api, repo_id, repo_type)]
    if len(found) > 1:
        raise HubError(f"{repo_id} is a {' and a '.join(found)}; say which one you mean with --type")
    return found[0] if found else _TYPES[0]


def _exists(api: HfApi, repo_id: str, repo_type: RepoType) -> bool:
    try:
        api.repo_info(repo_id, repo_type=repo_type)
    except RepositoryNotFoundError:
        return False
    return True


def _check_target(folder: Path) -> None:
    if folder.is_dir() and (not any(folder.iterdir()) or (folder / _MARK).is_dir()):
        return
    if folder.exists() or folder.is_symlink():
        raise HubError(f"{folder} exists and was not pulled from the Hub; name another folder or remove it")


def _beside(folder: Path, ending: str) -> Path:
    folder = folder.absolute()
    return folder.with_name(f".{folder.name}.{ending}")


def _start(folder: Path) -> Path:
    """The folder to download into: what was begun before, or what was pulled before by hard links."""
    partial = _beside(folder, "pulling")
    if not partial.exists() and (folder / _MARK).is_dir():
        copying = _beside(folder, "copying")
        shutil.rmtree(copying, ignore_errors=True)
        shutil.copytree(folder, copying, copy_function=_link)
        copying.rename(partial)
    return partial


def _link(source: str, target: str) -> None:
    """Notes of the client library are written in place, everything else is replaced, so links to it are safe."""
    if str(_MARK) in source:
        shutil.copy2(source, target)
    else:
        os.link(source, target)


def _check_names(repo_id: str, names: Iterable[str]) -> None:
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
            raise HubError(
                f"{repo_id} has a file {name!r}, which would not stay inside the folder; nothing was fetched"
            )


def _drop_if_empty(partial: Path) -> None:
    fetched = (path for path in partial.rglob("*") if path.is_file())
    if partial.is_dir() and all(path.is_relative_to(partial / _MARK.parts[0]) for path in fetched):
        shutil.rmtree(partial)


def _check_complete(repo_id: str, partial: Path, names: Iterable[str]) -> None:
    """Out of reach of the network, the client library takes a folder as it is."""
    missing = [name for name in names if not (partial / name).is_file()]
    if missing:
        raise HubError(f"{repo_id} was not fetched completely ({missing[0]} is missing); run the same command again")


def _remove_others(folder: Path, wanted: Iterable[str]) -> None:
    keep = {folder / name for name in wanted}
    for file in folder.rglob("*"):
        if file.is_file() and file not in keep and _MARK.parts[0] not in file.relative_to(folder).parts:
            file.unlink()


def _finish(partial: Path, folder: Path) -> None:
    old = _beside(folder, "old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
