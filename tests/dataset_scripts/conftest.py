"""What the tests of the scripts share."""

import importlib.util
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tiny_data import write_tiny_source


SCRIPTS = Path(__file__).parents[2] / "dataset_scripts"


@pytest.fixture(scope="session")
def load_script() -> Callable[[str], ModuleType]:
    """Imports a script by its name."""

    def load(name: str) -> ModuleType:
        if name not in sys.modules:
            specification = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
            sys.modules[name] = importlib.util.module_from_spec(specification)
            specification.loader.exec_module(sys.modules[name])
        return sys.modules[name]

    return load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A source folder that is right."""
    return write_tiny_source(tmp_path / "source")


@pytest.fixture(autouse=True)
def signal_handlers() -> Iterator[None]:
    """The scripts handle SIGTERM; the tests' own process goes on afterwards as before."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)
