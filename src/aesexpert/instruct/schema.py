"""The form in which a language model writes question-answer pairs."""

from typing import Annotated, Any, Literal

from aesexpert.llm.errors import needs_extra


with needs_extra("llm"):
    from pydantic import BaseModel, BeforeValidator


def _plain(label: Any) -> Any:
    """Reads "Yes/No" and "context_reasoning" as the labels that they are meant to be."""
    if not isinstance(label, str):
        return label
    plain = " ".join(label.strip().lower().replace("_", " ").split())
    return "yes-no" if plain in ("yes no", "yes/no", "yes or no") else plain


class GeneratedPair(BaseModel):
    """A question-answer pair as it comes from the model (section 3.3 of the paper).

    Args:
        question (`str`): The question.
        answer (`str`): A brief answer.
        alternatives (`list[str]`): Wrong answers.
        question_type (`str`): `"yes-no"`, `"what"`, `"how"` or `"why"`.
        dimension (`str`): One of the six dimensions of AesVQA.
    """

    question: str
    answer: str
    alternatives: list[str]
    question_type: Annotated[Literal["yes-no", "what", "how", "why"], BeforeValidator(_plain)]
    dimension: Annotated[
        Literal["quality", "attribute", "emotion", "interpretation", "enhancement", "context reasoning"],
        BeforeValidator(_plain),
    ]


class GeneratedPairs(BaseModel):
    """All pairs of one picture.

    Args:
        pairs (`list[GeneratedPair]`): The pairs.
    """

    pairs: list[GeneratedPair]
