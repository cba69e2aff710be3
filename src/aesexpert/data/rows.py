"""Reading the rows of a source folder's CSV and JSON Lines files, field by field, with every problem kept."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from aesexpert.data.problems import Problem, SourceError, closest, one_of, shown


Label = TypeVar("Label", bound=StrEnum)

_NOT_UNICODE = re.compile("[\ud800-\udfff]")
"""Half characters: what undecodable bytes are read as, and what JSON can escape but no file can hold."""


class Row:
    """One row of a file, whose fields are read as what they must be.

    A field that is not as it should be adds to `problems` and reads as a placeholder, so that one pass finds all that
    is wrong with a row; a row with problems is not used.

    Args:
        file (`str`): Name of the file, for messages.
        line (`int`): The row's first line in the file, from 1.
        values (`Mapping[str, Any]`): The fields.
        problems (`list[Problem]`, *optional*): Where problems go; a new list by default.
        prefix (`str`, *optional*, defaults to `""`): What stands before the names of fields in messages.
    """

    def __init__(
        self,
        file: str,
        line: int,
        values: Mapping[str, Any],
        problems: list[Problem] | None = None,
        prefix: str = "",
    ) -> None:
        self.file, self.line, self.values, self.prefix = file, line, values, prefix
        self.problems: list[Problem] = [] if problems is None else problems

    def refuse(self, field: str, value: str, expected: str, remedy: str) -> None:
        """Adds a problem with a field."""
        self.problems.append(Problem(self.file, self.line, self.prefix + field, value, expected, remedy))

    def has(self, field: str) -> bool:
        """Tells whether a field is there and neither null nor empty."""
        return self.values.get(field) not in (None, "")

    def text(self, field: str) -> str:
        """Reads a text that is not empty."""
        value = self.values.get(field)
        if value is None:
            self.refuse(field, "missing", "a text", "add it or remove the row")
        elif not isinstance(value, str):
            self.refuse(field, shown(value), "a text", "write it in quotation marks")
        elif not value.strip():
            self.refuse(field, shown(value), "a text that is not empty", "fill it in or remove the row")
        elif _NOT_UNICODE.search(value):
            self.refuse(field, shown(value), "UTF-8 text", "save the file as UTF-8")
        else:
            return value
        return ""

    def optional_text(self, field: str) -> str:
        """Reads a text that can be absent, null or empty, and then is `""`."""
        return self.text(field) if self.has(field) else ""

    def label(self, field: str, labels: type[Label]) -> Label:
        """Reads one of the labels of an enumeration."""
        value = self.values.get(field)
        if isinstance(value, str) and value in list(labels):
            return labels(value)
        if value is None:
            self.refuse(field, "missing", one_of(labels), "add it or remove the row")
        else:
            self.refuse(field, shown(value), one_of(labels), closest(value, labels))
        return next(iter(labels))

    def optional_label(self, field: str, labels: type[Label]) -> Label | None:
        """Reads one of the labels of an enumeration, or none where the field is absent, null or empty."""
        return self.label(field, labels) if self.has(field) else None

    def texts(self, field: str) -> tuple[str, ...]:
        """Reads a list of texts; an absent or null one is empty."""
        value = self.values.get(field)
        if value is None:
            return ()
        if not isinstance(value, list):
            self.refuse(field, shown(value), "a list of texts", "write them in square brackets")
            return ()
        entries = {f"{field}[{number}]": entry for number, entry in enumerate(value)}
        row = Row(self.file, self.line, entries, self.problems, self.prefix)
        return tuple(row.text(entry) for entry in entries)

    def child(self, field: str) -> "Row | None":
        """Reads a nested object, or none where the field is absent or null."""
        value = self.values.get(field)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.refuse(field, shown(value), "an object", "write it in braces")
            return None
        return Row(self.file, self.line, value, self.problems, f"{self.prefix}{field}.")

    def only(self, *fields: str) -> None:
        """Refuses all but these fields: an unknown one is mostly a known one misspelt."""
        for name in self.values:
            if name not in fields:
                self.refuse(
                    name if name.isidentifier() else shown(name), "unknown", one_of(fields), closest(name, fields)
                )


def read_json_lines(path: Path, problems: list[Problem]) -> Iterator[Row]:
    """Yields the objects of a JSON Lines file; other lines become problems, empty ones are passed over."""
    with path.open("rb") as file:
        for line, raw in enumerate(file, 1):
            if not raw.strip():
                continue
            try:
                values = json.loads(raw.decode("utf-8-sig" if line == 1 else "utf-8"))
            except UnicodeDecodeError as error:
                problems.append(_bad_row(path, line, f"not UTF-8 ({error.reason})", "UTF-8", "save the file as UTF-8"))
            except (ValueError, RecursionError) as error:
                problems.append(_bad_row(path, line, f"not JSON ({error})", "one JSON object a line", "correct it"))
            else:
                if isinstance(values, dict):
                    yield Row(path.name, line, values)
                else:
                    problems.append(_bad_row(path, line, shown(values), "a JSON object", "write it in braces"))


def read_csv(path: Path, required: Sequence[str], problems: list[Problem]) -> Iterator[Row]:
    """Yields the rows of a CSV file with a header; rows of another length become problems.

    Raises:
        `SourceError`: If the header lacks a required column, or has a column without a name or a name twice.
    """
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file)
        header = _read_header(path, reader, required)
        line = reader.line_num + 1
        while (cells := _next_cells(path, line, reader, problems)) is not None:
            if cells and len(cells) != len(header):
                expected, remedy = f"{len(header)}, one a column", "add cells, or quote those that contain commas"
                problems.append(_bad_row(path, line, f"{len(cells)} cells", expected, remedy))
            elif cells:
                row = Row(path.name, line, dict(zip(header, cells, strict=True)))
                if any(_NOT_UNICODE.search(cell) for cell in cells):
                    row.refuse("row", shown(",".join(cells)), "UTF-8 text", "save the file as UTF-8")
                yield row
            line = reader.line_num + 1


def write_csv(rows: Sequence[Mapping[str, str]]) -> str:
    """Writes rows that share their keys as CSV text with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _next_cells(path: Path, line: int, reader: Any, problems: list[Problem]) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        problems.append(_bad_row(path, line, f"not CSV ({error})", "cells with commas between", "correct it"))
        return []


def _read_header(path: Path, reader: Any, required: Sequence[str]) -> list[str]:
    problems: list[Problem] = []
    header = _next_cells(path, 1, reader, problems) or []
    for name in required:
        if name not in header:
            problems.append(Problem(path.name, 1, name, "missing", "a column of this name", "add the column"))
    for name in sorted(set(header)):
        if header.count(name) > 1 or not name.strip() or _NOT_UNICODE.search(name):
            remedy = "rename or remove the column"
            problems.append(Problem(path.name, 1, "header", shown(name), "a name of its own for each column", remedy))
    if problems:
        raise SourceError(path.parent, problems)
    return header


def _bad_row(path: Path, line: int, found: str, expected: str, remedy: str) -> Problem:
    return Problem(path.name, line, "row", found, expected, remedy)
