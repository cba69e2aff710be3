"""Paths of this machine in files that are to be published: taken out where it is known how, refused elsewhere."""

import csv
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

from aesexpert.hub.errors import HubError


_ABSOLUTE = re.compile(r"(?:~|[A-Za-z]:)?[\\/](?:[^\\/\n]+[\\/])+[^\\/\n]*")
"""A text that is nothing but an absolute path of two parts or more."""

_NOTED_KEYS = ("_name_or_path", "name_or_path")
"""Where `from_pretrained` notes what was loaded; nothing reads it."""

_VOCABULARIES = ("tokenizer.json", "vocab.json", "added_tokens.json")
"""Their texts are pieces of words, slashes among them, and never paths."""


def without_local_paths(file: Path) -> bytes:
    """Reads a JSON file, taking out what names a folder of this machine and is of no use elsewhere.

    Args:
        file (`Path`): The file.

    Returns:
        `bytes`: Its content; unchanged where there was nothing to take out.

    Raises:
        `HubError`: If it is not JSON, or if a path remains.
    """
    content = file.read_bytes()
    try:
        value = json.loads(content)
    except ValueError as error:
        raise HubError(f"{file} is not JSON ({error}); write the folder again") from error
    cleaned = _without_noted(value)
    if cleaned != value:
        content = (json.dumps(cleaned, indent=2, ensure_ascii=False) + "\n").encode()
    _refuse(file, content)
    return content


def last_parts(value: Any) -> Any:
    """Puts the last part of a path in place of every absolute path in a value made of lists and dictionaries."""
    if isinstance(value, dict):
        return {key: last_parts(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [last_parts(entry) for entry in value]
    if isinstance(value, str) and _ABSOLUTE.fullmatch(value):
        return PureWindowsPath(value).name
    return value


def refuse_local_paths(file: Path) -> None:
    """Checks that a text file names no folder of this machine.

    Args:
        file (`Path`): The file.

    Raises:
        `HubError`: If it does.
    """
    _refuse(file, file.read_bytes())


def _refuse(file: Path, content: bytes) -> None:
    if file.name in _VOCABULARIES:
        return
    text = content.decode("utf-8", errors="replace")
    for path in [*_absolute_paths(file, text), *(place for place in _places() if f"{place}/" in text)]:
        raise HubError(f"{file} names {path!r}, a path of this machine; take it out before publishing")


def _places() -> set[str]:
    """The folders of this machine that paths in files mostly begin with."""
    places = {str(Path.home()), str(Path.cwd()), tempfile.gettempdir()}
    return {place for place in places if len(Path(place).parts) > 1}


def _absolute_paths(file: Path, text: str) -> Iterator[str]:
    if file.suffix == ".json":
        yield from (value for value in _texts(json.loads(text)) if _ABSOLUTE.fullmatch(value))
    elif file.suffix == ".csv":
        cells = (cell for row in csv.reader(text.splitlines()) for cell in row)
        yield from (cell for cell in cells if _ABSOLUTE.fullmatch(cell))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _texts(entry)


def _without_noted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_noted(entry) for key, entry in value.items() if key not in _NOTED_KEYS}
    if isinstance(value, list):
        return [_without_noted(entry) for entry in value]
    return value
