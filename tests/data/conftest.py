"""What the tests of `aesexpert.data` share."""

from pathlib import Path

import pytest

from tiny_data import write_tiny_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A source folder that is right."""
    return write_tiny_source(tmp_path / "source")
