"""A local Hub, and processes that talk to it: each with a token, a cache and a working folder of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aesexpert.data import read_source
from aesexpert.data.parquet import write_dataset
from hub import Hub, serve
from tiny_data import write_tiny_source
from tiny_models import build_tiny_llava


Client = Callable[..., subprocess.CompletedProcess[str]]

WITHOUT_PACKAGE = "import sys\nsys.modules['aesexpert'] = None\n"
"""Makes the package impossible to import, as where it is not installed."""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with serve(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture(scope="session")
def environment(server: Hub, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """Makes the environment of a client process."""

    def make(token: str = "hf_alice", home: Path | None = None, **others: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHONPATH"))}
        home = home or tmp_path_factory.mktemp("home")
        own = {"HF_TOKEN": token, "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "OMP_NUM_THREADS": "1"}
        return {**inherited, **server.env, **own, **others}

    return make


@pytest.fixture(scope="session")
def command(environment: Callable[..., dict[str, str]]) -> Client:
    """Runs `aesexpert` as a user does."""

    def run(*arguments: str | Path, cwd: Path, **others: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "aesexpert", *map(str, arguments)]
        return subprocess.run(line, cwd=cwd, env=environment(**others), capture_output=True, text=True, timeout=1200)

    return run


@pytest.fixture(scope="session")
def client(environment: Callable[..., dict[str, str]]) -> Client:
    """Runs a script of a stranger, who has the client libraries alone."""

    def run(script: str, *, cwd: Path, **others: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-c", WITHOUT_PACKAGE + script]
        result = subprocess.run(line, cwd=cwd, env=environment(**others), capture_output=True, text=True, timeout=1200)
        assert result.returncode == 0, result.stderr[-3000:]
        return result

    return run


@pytest.fixture(scope="session")
def aesmmit(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A built data set of twelve pictures."""
    folder = tmp_path_factory.mktemp("data")
    source = read_source(write_tiny_source(folder / "source"))
    return write_dataset(source, folder / "aesmmit", root / "model_cards" / "dataset_card.md")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stock checkpoint."""
    return build_tiny_llava(tmp_path_factory.mktemp("models") / "tiny")
