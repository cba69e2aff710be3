"""Writing a folder all or nothing."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_folder(out: str | Path, is_ours: Callable[[Path], bool]) -> Iterator[Path]:
    """Gives an empty folder to write into, which takes the place of `out` once everything is written.

    If anything fails before that, `out` stays as it was. The folder being written lies beside `out` under a hidden
    name; one that a killed process left behind is removed by the next.

    Args:
        out (`str` or `Path`): The folder to make or to replace.
        is_ours (`Callable[[Path], bool]`): Tells whether an existing `out` with content may be replaced.

    Yields:
        `Path`: The folder to write into.

    Raises:
        `FileExistsError`: If `out` exists, is not empty and must not be replaced.
    """
    out = Path(out).resolve()
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or is_ours(out))):
        raise FileExistsError(f"{out} exists and was not written by this command; name another folder or remove it")
    partial, old = out.with_name(f".{out.name}.partial"), out.with_name(f".{out.name}.old")
    _tidy(out, partial, old)
    partial.mkdir(parents=True)
    try:
        yield partial
        if out.exists():
            out.rename(old)
        partial.rename(out)
    finally:
        _tidy(out, partial, old)


def _tidy(out: Path, partial: Path, old: Path) -> None:
    if old.exists() and not out.exists():
        old.rename(out)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(partial, ignore_errors=True)
