"""What is wrong with a source folder, in messages that say where, what, what was expected and how to mend it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any


SHOWN_PROBLEMS = 50
"""How many problems an error message lists; the error itself carries all."""

SHOWN_CHARACTERS = 80


def shown(value: Any) -> str:
    """Writes a value for a message: on one line, and cut when it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 4] + " ..."


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a source folder.

    Args:
        file (`str`): Name of the file inside the folder.
        line (`int`, *optional*): Line in the file, from 1; none when the file as a whole is wrong.
        field (`str`): The column or key, or `row` or `file` when no single one is to blame.
        value (`str`): What was found, as shown in messages.
        expected (`str`): What would be right.
        remedy (`str`): What to do about it.
    """

    file: str
    line: int | None
    field: str
    value: str
    expected: str
    remedy: str

    def __str__(self) -> str:
        what = self.file if self.line is None else f"{self.file}, line {self.line}: `{self.field}`"
        return f"{what} is {self.value}, expected {self.expected}; {self.remedy}"


class SourceError(ValueError):
    """A source folder that cannot be used as it is; `problems` says why, one message each.

    Args:
        folder (`Path`): The source folder.
        problems (`Sequence[Problem]`): What is wrong with it.
    """

    def __init__(self, folder: Path, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
        lines = [f"{count} in the source folder {folder}:", *map(str, problems[:SHOWN_PROBLEMS])]
        if len(problems) > SHOWN_PROBLEMS:
            lines.append(f"... and {len(problems) - SHOWN_PROBLEMS} more")
        super().__init__("\n".join(lines))


def one_of(labels: Iterable[str]) -> str:
    """Names the allowed labels."""
    return "one of " + ", ".join(labels)


def closest(value: Any, labels: Iterable[str]) -> str:
    """Suggests the label that was probably meant."""
    by_lower = {label.lower(): label for label in labels}
    matches = get_close_matches(str(value).strip().lower(), by_lower, n=1)
    return f"did you mean {by_lower[matches[0]]}?" if matches else "correct it or remove the row"
