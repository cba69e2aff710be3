"""What a generated pair has to pass before it is taken into AesVQA, and how its options are arranged."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from random import Random
from typing import NamedTuple, Protocol

from aesexpert.instruct.words import similarity, support
from aesexpert.taxonomy import AnswerFormat, Dimension, QuestionType


ALTERNATIVES = (2, 5)
"""The fewest and the most wrong alternatives."""

LENGTH_RATIO, LENGTH_SLACK = 2, 10
"""The longest option has at most so many times the characters of the shortest, and so many more."""

SAME_QUESTION = 0.75
"""Questions of one picture that share so much of their content ask the same."""

LOW_SUPPORT = 0.5
"""Pairs of which less occurs in the critiques are flagged."""

LONGEST_QUESTION = 300

_ABOUT_THE_TEXTS = re.compile(
    r"\b(?:critiques?|comments?|commenters?|critics?|reviews?|reviewers?|annotators?|feedback)\b"
    r"|\baccording to the (?:texts?|descriptions?)\b|\bthe (?:texts?|descriptions?) (?:says?|mentions?|states?)\b",
    re.I,
)
_FIRST_WORDS = {"what": QuestionType.WHAT, "how": QuestionType.HOW, "why": QuestionType.WHY}


class Rejection(StrEnum):
    """Why a pair is not taken."""

    NO_QUESTION = "no question"
    NO_ANSWER = "no answer"
    ABOUT_THE_TEXTS = "speaks of the critiques"
    YES_NO = "yes-no question without Yes or No"
    ALTERNATIVES = "too few or too many alternatives"
    NOT_DISTINCT = "options not distinct"
    LENGTHS = "options of unlike length"
    NEAR_DUPLICATE = "asks the same as another question"
    UNBALANCED = "too many equal yes-no answers"
    SUPPORT = "too little support in the critiques"


class Generated(Protocol):
    """A pair as a language model writes it; `GeneratedPair` is one."""

    question: str
    answer: str
    alternatives: list[str]
    question_type: str
    dimension: str


@dataclass(frozen=True)
class Pair:
    """A pair that was taken.

    Args:
        image_id (`str`): The picture that it is about.
        question (`str`): The question.
        answer (`str`): The right answer.
        options (`tuple[str, ...]`): Right and wrong answers, shuffled.
        question_type (`QuestionType`): How it is asked.
        dimension (`Dimension`): What it is about.
        support (`float`): How much of it occurs in the critiques, from 0 to 1.
    """

    image_id: str
    question: str
    answer: str
    options: tuple[str, ...]
    question_type: QuestionType
    dimension: Dimension
    support: float

    @property
    def is_flagged(self) -> bool:
        """Whether it has little support in the critiques."""
        return self.support < LOW_SUPPORT

    @property
    def seed(self) -> str:
        """What arranges it: the same pair is always arranged alike."""
        return sha256(f"{self.image_id}\n{self.question}".encode(errors="replace")).hexdigest()

    def rows(self) -> list[dict[str, object]]:
        """Writes the pair as its two rows of `vqa.jsonl`: open-ended and multiple-choice (section 3.3)."""
        shared = {"image_id": self.image_id, "question": self.question, "answer": self.answer}
        labels = {"question_type": self.question_type.value, "dimension": self.dimension.value}
        return [
            {**shared, "options": [], **labels, "format": AnswerFormat.OPEN_ENDED.value},
            {**shared, "options": list(self.options), **labels, "format": AnswerFormat.MULTIPLE_CHOICE.value},
        ]


class Rejected(NamedTuple):
    """A pair that was not taken.

    Args:
        image_id (`str`): The picture that it is about.
        question (`str`): The question.
        answer (`str`): The answer.
        reason (`Rejection`): Why.
    """

    image_id: str
    question: str
    answer: str
    reason: Rejection


def check_pairs(
    image_id: str, generated: Iterable[Generated], critiques: Sequence[str], min_support: float = 0.0
) -> tuple[list[Pair], list[Rejected]]:
    """Checks the pairs of one picture.

    Args:
        image_id (`str`): The picture.
        generated (`Iterable[Generated]`): The pairs as they came.
        critiques (`Sequence[str]`): What they were written from.
        min_support (`float`, *optional*, defaults to 0): Pairs with less support are rejected.

    Returns:
        `tuple[list[Pair], list[Rejected]]`: What was taken and what was not.
    """
    taken: list[Pair] = []
    rejected: list[Rejected] = []
    for entry in generated:
        pair, reason = _check(image_id, entry, critiques)
        if pair and any(similarity(pair.question, other.question) >= SAME_QUESTION for other in taken):
            reason = Rejection.NEAR_DUPLICATE
        elif pair and pair.support < min_support:
            reason = Rejection.SUPPORT
        if pair and not reason:
            taken.append(pair)
        else:
            assert reason
            rejected.append(Rejected(image_id, _tidy(entry.question), _tidy(entry.answer), reason))
    return taken, rejected


def _check(image_id: str, entry: Generated, critiques: Sequence[str]) -> tuple[Pair | None, Rejection | None]:
    question, answer = _tidy(entry.question), _tidy(entry.answer)
    if not 5 <= len(question) <= LONGEST_QUESTION:
        return None, Rejection.NO_QUESTION
    if not answer:
        return None, Rejection.NO_ANSWER
    question_type = _FIRST_WORDS.get(question.split()[0].lower(), QuestionType(entry.question_type))
    said = answer.strip(" .!").capitalize()
    is_yes_no = said in ("Yes", "No")
    if question_type is QuestionType.YES_NO and not is_yes_no:
        return None, Rejection.YES_NO
    if is_yes_no:
        question_type, answer, options = QuestionType.YES_NO, said, ["Yes", "No"]
    else:
        options = [answer, *filter(None, map(_tidy, entry.alternatives))]
    if any(_ABOUT_THE_TEXTS.search(text) for text in (question, *options)):
        return None, Rejection.ABOUT_THE_TEXTS
    reason = None if is_yes_no else _check_options(options)
    supported = support(question if is_yes_no else answer, critiques)
    pair = Pair(image_id, question, answer, (), question_type, Dimension(entry.dimension), round(supported, 3))
    Random(pair.seed).shuffle(options)
    return replace(pair, options=tuple(options)), reason


def _check_options(options: Sequence[str]) -> Rejection | None:
    if not ALTERNATIVES[0] <= len(options) - 1 <= ALTERNATIVES[1]:
        return Rejection.ALTERNATIVES
    if len({re.sub(r"\W+", " ", option).strip().casefold() for option in options}) < len(options):
        return Rejection.NOT_DISTINCT
    lengths = [len(option) for option in options]
    if max(lengths) > LENGTH_RATIO * min(lengths) + LENGTH_SLACK:
        return Rejection.LENGTHS
    return None


def _tidy(text: str) -> str:
    """A text on one line, without half characters, which no file can hold."""
    return " ".join(text.encode(errors="replace").decode().split())


def surplus_yes_no(answers: Iterable[tuple[str, str]]) -> set[str]:
    """Chooses what to leave out so that as many yes-no questions are answered "Yes" as "No".

    Args:
        answers (`Iterable[tuple[str, str]]`): The seed and the answer of every yes-no pair.

    Returns:
        `set[str]`: The seeds of the pairs to leave out: of the more frequent answer, those with the largest.
    """
    seeds: dict[str, list[str]] = {"Yes": [], "No": []}
    for seed, answer in answers:
        seeds[answer].append(seed)
    keep = min(map(len, seeds.values()))
    return {seed for same in seeds.values() for seed in sorted(same)[keep:]}
