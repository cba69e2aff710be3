"""How many pairs a generation gave, why others were rejected, and how well the result is balanced."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any

from aesexpert.instruct.checks import LOW_SUPPORT, Rejection
from aesexpert.llm import Answer
from aesexpert.taxonomy import Dimension, QuestionType


def _zeros(labels: Iterable[str]) -> Counter[str]:
    return Counter({str(label): 0 for label in labels})


@dataclass
class Counts:
    """What a generation gave.

    Args:
        pictures (`Counter[str]`): Pictures `answered`, `failed` and `not asked`.
        returned (`int`): Pairs that the model wrote.
        taken (`int`): Pairs that passed.
        flagged (`int`): Of these, pairs with little support in the critiques.
        rejections (`Counter[str]`): Pairs that did not, by reason.
        question_types (`Counter[str]`): Pairs taken, by type.
        dimensions (`Counter[str]`): Pairs taken, by dimension.
        letters (`Counter[str]`): Multiple-choice questions, by the letter of the right option.
        yes_no (`Counter[str]`): Yes-no questions, by answer.
    """

    pictures: Counter[str] = field(default_factory=lambda: _zeros(["answered", "failed", "not asked"]))
    returned: int = 0
    taken: int = 0
    flagged: int = 0
    rejections: Counter[str] = field(default_factory=lambda: _zeros(Rejection))
    question_types: Counter[str] = field(default_factory=lambda: _zeros(list(QuestionType)[:4]))
    dimensions: Counter[str] = field(default_factory=lambda: _zeros(Dimension))
    letters: Counter[str] = field(default_factory=lambda: _zeros("ABCD"))
    yes_no: Counter[str] = field(default_factory=lambda: _zeros(["Yes", "No"]))

    @property
    def missing(self) -> int:
        """Pictures that were not asked about."""
        return self.pictures["not asked"]

    def ask(self, answer: Answer | None) -> None:
        """Counts what became of a picture's request."""
        if answer is None:
            self.pictures["not asked"] += 1
        elif answer.failure is not None:
            self.pictures["failed"] += 1
        else:
            self.pictures["answered"] += 1
            self.returned += len(answer.parsed.pairs)

    def reject(self, reason: Rejection) -> None:
        """Counts a pair that was not taken."""
        self.rejections[reason.value] += 1

    def take(self, row: Mapping[str, Any]) -> None:
        """Counts a pair that was taken, a line of `pairs.jsonl`."""
        self.taken += 1
        self.flagged += row["is_flagged"]
        self.question_types[row["question_type"]] += 1
        self.dimensions[row["dimension"]] += 1
        self.letters[ascii_uppercase[row["options"].index(row["answer"])]] += 1
        if row["question_type"] == QuestionType.YES_NO:
            self.yes_no[row["answer"]] += 1

    def to_json(self) -> dict[str, Any]:
        """Arranges the counts for programs."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}

    def to_markdown(self) -> str:
        """Arranges the counts as Markdown tables."""
        share = f"{100 * self.taken / self.returned:.1f} %" if self.returned else "none"
        yields = {
            **{f"pictures {label}": count for label, count in self.pictures.items()},
            "pairs returned": self.returned,
            f"pairs taken ({share})": self.taken,
            f"of these with support below {LOW_SUPPORT}": self.flagged,
            "instructions (two a pair)": 2 * self.taken,
        }
        tables = {
            "Yield": yields,
            "Rejected because": self.rejections,
            "Question type": self.question_types,
            "Dimension": self.dimensions,
            "Letter of the right option": self.letters,
            "Answer of yes-no questions": self.yes_no,
        }
        return "\n\n".join(_table(title, counts) for title, counts in tables.items())


def _table(title: str, counts: Mapping[str, int]) -> str:
    width = max(map(len, (title, *counts)))
    lines = [f"| {label:<{width}} | {count:>9,} |" for label, count in counts.items()]
    return "\n".join([f"| {title:<{width}} | {'':9} |", f"| {'-' * width} | {'-' * 8}: |", *lines])
