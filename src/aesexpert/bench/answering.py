"""What a model answers to questions that it has read: in its own words, or by its likeliest option."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList

from aesexpert.bench.model import VisionLanguageModel
from aesexpert.models.conversations import Conversation, response_tokens
from aesexpert.models.prefix import encode_prefix


@dataclass(frozen=True)
class Answer:
    """An answer to one question.

    Args:
        response (`str`): The text.
        probabilities (`Mapping[str, float]`): Of a choice by likelihood, the probability of each option's letter as
            the next token. They leave out what else the model could have written, so their sum can be below 1.
    """

    response: str
    probabilities: Mapping[str, float] = field(default_factory=dict)


@torch.inference_mode()
def write_answers(
    model: VisionLanguageModel, inputs: Mapping[str, Any], max_new_tokens: int, *, one_line: bool
) -> list[Answer]:
    """Lets a model write its answers, by greedy decoding.

    Args:
        model (`VisionLanguageModel`): The model.
        inputs (`Mapping[str, Any]`): A batch of questions, as `Prompts.inputs` makes it.
        max_new_tokens (`int`): How many tokens an answer may have.
        one_line (`bool`): Whether an answer ends with its first line.

    Returns:
        `list[Answer]`: The answers, without special tokens and outer blanks.
    """
    tokenizer, length = model.processor.tokenizer, inputs["input_ids"].shape[1]
    criteria = StoppingCriteriaList([FirstLine(tokenizer, length)] if one_line else [])
    generated = model.model.generate(**inputs, max_new_tokens=max_new_tokens, stopping_criteria=criteria)
    texts = tokenizer.batch_decode(generated[:, length:], skip_special_tokens=True)
    return [Answer(first_line(text) if one_line else text.strip()) for text in texts]


class FirstLine(StoppingCriteria):
    """Ends an answer when its first line is written.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The tokenizer.
        prompt_length (`int`): How many tokens come before the answers.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, prompt_length: int) -> None:
        self._tokenizer, self._prompt_length = tokenizer, prompt_length

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        """Tells which of the sequences, of shape `(R, T)`, are at their end; shape `(R,)`."""
        texts = self._tokenizer.batch_decode(input_ids[:, self._prompt_length :], skip_special_tokens=True)
        return torch.tensor(["\n" in text.lstrip() for text in texts], device=input_ids.device)


def first_line(text: str) -> str:
    """The first line of a text that is not blank, without outer blanks."""
    return text.strip().split("\n", 1)[0].rstrip()


def choose_options(
    model: VisionLanguageModel,
    inputs: Mapping[str, Any],
    questions: Sequence[Conversation],
    options: Sequence[Sequence[str]],
) -> list[Answer]:
    """Takes the option whose letter a model would most likely write next.

    Args:
        model (`VisionLanguageModel`): The model.
        inputs (`Mapping[str, Any]`): A batch of choice questions, as `Prompts.inputs` makes it.
        questions (`Sequence[Conversation]`): The same questions as conversations.
        options (`Sequence[Sequence[str]]`): The options of each.

    Returns:
        `list[Answer]`: The options with their letters, such as `"B) Soft light"`, and the probabilities.
    """
    lettered = [dict(zip(ascii_uppercase, texts, strict=False)) for texts in options]
    candidates = [
        _telling_tokens(
            [response_tokens(model.processor, question, f"{letter}) {text}") for letter, text in row.items()]
        )
        for question, row in zip(questions, lettered, strict=True)
    ]
    likelihoods = encode_prefix(model.model, inputs).log_likelihoods(candidates)
    return [_likeliest(row, scores.exp().tolist()) for row, scores in zip(lettered, likelihoods, strict=True)]


def _telling_tokens(responses: Sequence[Sequence[int]]) -> list[list[int]]:
    """The shortest starts of some responses that differ from each other: as a rule the letter's one token."""
    longest = max(map(len, responses))
    length = next(
        n for n in range(1, longest + 1) if len({tuple(tokens[:n]) for tokens in responses}) == len(responses)
    )
    return [list(tokens[:length]) for tokens in responses]


def _likeliest(options: Mapping[str, str], scores: Sequence[float]) -> Answer:
    probabilities = dict(zip(options, scores, strict=True))
    letter = max(probabilities, key=lambda name: probabilities[name])
    return Answer(f"{letter}) {options[letter]}", probabilities)
