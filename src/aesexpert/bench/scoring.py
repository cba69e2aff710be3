"""The two ways to take a model's choice."""

from enum import StrEnum


class Scoring(StrEnum):
    """How a choice question is answered: by the text that a model writes, or by its likeliest option letter."""

    GENERATE = "generate"
    LOGITS = "logits"
