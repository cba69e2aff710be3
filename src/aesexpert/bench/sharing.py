"""Reading a picture once for all of its questions, where a model allows it exactly."""

import logging
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from aesexpert.bench.model import VisionLanguageModel
from aesexpert.models.conversations import Conversation
from aesexpert.models.prefix import encode_prefix, takes_positions


logger = logging.getLogger(__name__)


class Prompts(Protocol):
    """Some questions, ready to be answered."""

    def inputs(self, places: Sequence[int]) -> dict[str, Any]:
        """Makes a batch of some of the questions.

        Args:
            places (`Sequence[int]`): Which questions, by their places in the order given.

        Returns:
            `dict[str, Any]`: What `generate` takes, padded on the left.
        """
        ...


class PlainPrompts:
    """Questions that are read whole, each with its picture.

    Args:
        model (`VisionLanguageModel`): The model.
        pictures (`Sequence[Sequence[Conversation]]`): The questions about each picture.
    """

    def __init__(self, model: VisionLanguageModel, pictures: Sequence[Sequence[Conversation]]) -> None:
        self._model = model
        self._questions = [question for questions in pictures for question in questions]

    def inputs(self, places: Sequence[int]) -> dict[str, Any]:
        """A batch of some of the questions, with their pictures."""
        return dict(self._model.encode([self._questions[i] for i in places], add_generation_prompt=True))


class SharedPrompts:
    """Questions that go on from one copy of what a picture's questions have in common.

    Whole prompts are tokenised, and the longest common start of a picture's is encoded once, pictures and all.

    Args:
        model (`VisionLanguageModel`): The model, which `why_not_shared` found nothing against.
        pictures (`Sequence[Sequence[Conversation]]`): The questions about each picture, at least one each.
    """

    def __init__(self, model: VisionLanguageModel, pictures: Sequence[Sequence[Conversation]]) -> None:
        first = model.encode([questions[0] for questions in pictures], add_generation_prompt=True)
        self._padding = model.model.generation_config.pad_token_id
        self._rests: list[list[int]] = []
        self._owners: list[int] = []
        lengths = []
        for picture, (questions, start) in enumerate(zip(pictures, _token_rows(first), strict=True)):
            rows = [start, *(_tokens(model, question) for question in questions[1:])]
            lengths.append(shared_length(rows))
            self._rests += [row[lengths[-1] :] for row in rows]
            self._owners += [picture] * len(rows)
        self._prefix = encode_prefix(model.model, _cut(first, lengths, self._padding))

    def inputs(self, places: Sequence[int]) -> dict[str, Any]:
        """A batch of what follows the common starts, with copies of the cache that these left."""
        device = self._prefix.attention_mask.device
        rests = [torch.tensor(self._rests[i], device=device) for i in places]
        mask = _padded([torch.ones_like(rest) for rest in rests])
        owners = torch.tensor([self._owners[i] for i in places], device=device)
        return {"input_ids": _padded(rests, self._padding), **self._prefix.continued(owners, mask)}


PromptsClass = type[PlainPrompts] | type[SharedPrompts]


def choose_prompts(model: VisionLanguageModel, questions: Sequence[Conversation]) -> PromptsClass:
    """Decides how a model's questions are read, and logs the reason where pictures cannot be shared.

    Args:
        model (`VisionLanguageModel`): The model.
        questions (`Sequence[Conversation]`): The questions about the picture that has most of them, to try it on.

    Returns:
        `PromptsClass`: The class of prompts to use.
    """
    if len(questions) == 1:  # nothing to share
        return PlainPrompts
    reason = why_not_shared(model, questions)
    if reason is None:
        return SharedPrompts
    name = type(model.model).__name__
    logger.warning("%s reads each picture anew for each of its questions: %s", name, reason)
    return PlainPrompts


def why_not_shared(model: VisionLanguageModel, questions: Sequence[Conversation]) -> str | None:
    """Finds what keeps a model from reading a picture once for all of its questions.

    At last it is tried: the next token's scores have to be those of the whole prompt up to half of the number format's
    digits. That shows what no configuration tells, such as a picture that attends to the text behind it.

    Args:
        model (`VisionLanguageModel`): The model.
        questions (`Sequence[Conversation]`): The questions about one picture, to try it on.

    Returns:
        `str`: The reason, or `None` if nothing does.
    """
    try:
        return _unsuited_cache(model) or _unsuited_prompts(model, questions) or _inexact(model, questions)
    except Exception as error:  # code of hundreds of architectures, which raises almost anything
        first_line = str(error).strip().split("\n")[0]
        return f"going on from a cached prefix fails ({type(error).__name__}: {first_line})"


def _inexact(model: VisionLanguageModel, questions: Sequence[Conversation]) -> str | None:
    whole, shared = (
        encode_prefix(model.model, prompts_class(model, [questions]).inputs([0])).logits.float()
        for prompts_class in (PlainPrompts, SharedPrompts)
    )
    difference = ((shared - whole).norm() / (whole - whole.mean()).norm()).item()
    allowed = torch.finfo(model.model.dtype).eps ** 0.5
    if difference <= allowed:
        return None
    return f"going on from a cached prefix changes the scores by {difference:.1e}, allowed are {allowed:.1e}"


def _unsuited_cache(model: VisionLanguageModel) -> str | None:
    if model.model.config.is_encoder_decoder:
        return "it has an encoder and a decoder"
    if not takes_positions(model.model):
        return "it takes no `position_ids`"
    layers = DynamicCache(config=model.model.config.get_text_config(decoder=True)).layers
    others = sorted({type(layer).__name__ for layer in layers if type(layer) is not DynamicLayer})
    return f"its cache is not of the standard kind alone ({', '.join(others)})" if others else None


def _unsuited_prompts(model: VisionLanguageModel, questions: Sequence[Conversation]) -> str | None:
    rows = [_tokens(model, question) for question in questions]
    pictures = set(model.processor.image_token_ids)
    if any(pictures.intersection(row[shared_length(rows) :]) for row in rows):
        return "its prompts differ before the picture ends"
    return None


def shared_length(rows: Sequence[Sequence[int]]) -> int:
    """Counts the tokens that some prompts begin with in common, leaving at least one of each to go on with.

    Args:
        rows (`Sequence[Sequence[int]]`): The prompts' tokens, each at least one.

    Returns:
        `int`: How many.
    """
    longest = min(len(row) for row in rows) - 1
    return next((i for i in range(longest) if len({row[i] for row in rows}) > 1), longest)


def _tokens(model: VisionLanguageModel, question: Conversation) -> list[int]:
    return _token_rows(model.encode([question], add_generation_prompt=True))[0]


def _token_rows(inputs: Any) -> list[list[int]]:
    return [ids[mask.bool()].tolist() for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]


def _cut(inputs: Any, lengths: Sequence[int], padding: int) -> dict[str, Any]:
    """The first tokens of each prompt of a batch, with all of its pictures."""
    mask = inputs["attention_mask"].bool()
    cut = dict(inputs)
    for name, value in inputs.items():
        if isinstance(value, torch.Tensor) and value.shape == mask.shape:  # one value a token
            rows = [row[kept][:length] for row, kept, length in zip(value, mask, lengths, strict=True)]
            cut[name] = _padded(rows, padding if name == "input_ids" else 0)
    return cut


def _padded(rows: list[torch.Tensor], value: int = 0) -> torch.Tensor:
    return pad_sequence(rows, batch_first=True, padding_value=value, padding_side="left")
