"""What all tests share: nothing is fetched, and nothing of the user's caches is read or written."""

import os
import tempfile
from pathlib import Path

import pytest


# The client libraries read these when they are imported. A data set's cache is keyed by the folder's name, so tests
# that build folders of one name must not find another's.
_CACHE = tempfile.TemporaryDirectory(prefix="aesexpert-tests-")
os.environ["HF_HOME"] = _CACHE.name
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever key and server the environment names, tests use their own."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT
