"""The error of generation: something the user can mend, said in one message."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class InstructError(ValueError):
    """Something that keeps question-answer pairs from being generated or assembled."""


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turns what the operating system says while results are written, such as a full disk, into an `InstructError`."""
    try:
        yield
    except OSError as error:
        again = "the answers are in the journal: mend it and run the same command again"
        raise InstructError(f"cannot write into {folder}: {error.strerror or error}; {again}") from error
