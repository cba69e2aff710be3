"""The grade of a picture as a probability, not as text: one forward pass a batch (section 3.2 of the paper)."""

from collections.abc import Sequence
from itertools import takewhile

import torch
from PIL.Image import Image
from transformers import PreTrainedModel, ProcessorMixin

from aesexpert.models.conversations import Conversation, ask_about, response_tokens, to_inputs
from aesexpert.models.prefix import encode_prefix
from aesexpert.taxonomy import Grade


GRADE_QUESTION = (
    "How would you rate the overall aesthetics of this image? "
    f"Answer with one of the words {', '.join(list(Grade)[:-1])} or {list(Grade)[-1]}."
)
"""The first, coarse question of the paper, asked so that a grade is the answer."""


def grade_distribution(model: PreTrainedModel, processor: ProcessorMixin, pictures: Sequence[Image]) -> torch.Tensor:
    """Grades a batch of pictures in one forward pass.

    The probability of a grade is the likelihood of its word as the answer to [`GRADE_QUESTION`], over all tokens of
    the word, divided by the sum over the five grades. If the tokenizer writes any of the words in several tokens, the
    few tokens after the first are read behind the same prompts in a second, short pass.

    Args:
        model ([`~transformers.PreTrainedModel`]): Any image-text-to-text model, in evaluation mode.
        processor ([`~transformers.ProcessorMixin`]): Its processor, with a chat template.
        pictures (`Sequence[PIL.Image.Image]`): `B` pictures in RGB.

    Returns:
        `torch.Tensor`: Probabilities of shape `(B, 5)`, in the order of [`~aesexpert.taxonomy.Grade`], in float32.

    Raises:
        `ChatTemplateError`: If the chat template does not write an answer right behind its question.
    """
    questions = [ask_about(picture, GRADE_QUESTION) for picture in pictures]
    words = _grade_tokens(processor, questions[0])
    prompts = encode_prefix(model, to_inputs(model, processor, questions, add_generation_prompt=True))
    return torch.stack(prompts.log_likelihoods([words] * len(pictures))).softmax(dim=-1)


def expected_score(distribution: torch.Tensor) -> torch.Tensor:
    """The mean of a grade distribution.

    Args:
        distribution (`torch.Tensor`): Probabilities of the five grades, best first, of shape `(..., 5)`.

    Returns:
        `torch.Tensor`: Scores of shape `(...)`, from 0 (surely bad) to 1 (surely excellent), the grades evenly spaced.
        A mean opinion score from 1 to 5 is `1 + 4 * score`.
    """
    return distribution @ torch.linspace(1, 0, len(Grade), dtype=distribution.dtype, device=distribution.device)


def _grade_tokens(processor: ProcessorMixin, question: Conversation) -> list[list[int]]:
    """The tokens of the five words, without the end marker that follows each."""
    responses = [response_tokens(processor, question, grade) for grade in Grade]
    shared = takewhile(lambda last: len(set(last)) == 1, zip(*map(reversed, responses), strict=False))
    end = len(list(shared))
    return [tokens[: len(tokens) - end] for tokens in responses]
