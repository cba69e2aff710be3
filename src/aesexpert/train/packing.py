"""One picture, many instructions: a collator that lays a picture's instructions behind one copy of its prefix."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import ProcessorMixin
from trl import apply_chat_template

from aesexpert.train.segments import USE_ONE


logger = logging.getLogger(__name__)

IGNORED = -100
PADDING = -1


class Segment(NamedTuple):
    """An instruction behind a prefix: tokens of the question, then of the response."""

    prompt: list[int]
    response: list[int]


class Prefix(NamedTuple):
    """What the instructions of a picture share: its tokens, and other values that its model takes for each of them."""

    input_ids: torch.Tensor
    token_values: dict[str, torch.Tensor]


@dataclass
class SharedPrefixCollator:
    """
    Lays the instructions of one picture behind one copy of the system text and the picture's tokens.

    Instructions of a batch that share a picture share a row; no row has two pictures. A picture with more instructions
    than `max_length` allows is spread over several rows. Trained on such rows, a model gets the loss and the gradients
    that it gets from one instruction a row, for a fraction of the work.

    Args:
        processor ([`~transformers.ProcessorMixin`]):
            The model's processor, with a chat template.
        max_length (`int`, *optional*):
            Longest row in tokens. An instruction that is longer than what the prefix leaves of it loses the end of its
            response; one whose question alone is longer is left out, and so are those of a picture whose prefix alone
            is. Both are counted in `counts`, and logged.
        drop_long (`bool`, *optional*, defaults to `False`):
            Whether to leave instructions out whose response would be cut.

    Takes rows of `image`, `prompt` and `completion` (conversations) and `picture`, which is the same for instructions
    of one picture. Returns a dictionary of tensors of shape `(rows, length)`:

    - `input_ids`: the prefix, then one segment after the other, padded on the right;
    - `attention_mask`: 1 for tokens, 0 for padding;
    - `segment_ids`: 0 for the prefix, k > 0 for the k-th segment, -1 for padding;
    - `position_ids`: every segment's go on where the prefix ends;
    - `labels`: the tokens of the responses, elsewhere -100;
    - and the processor's own, such as `pixel_values`: one picture a row.

    Raises:
        `ValueError`: If nothing is left of a batch, or if the processor writes what follows a picture in a way that
            depends on the picture.
    """

    processor: ProcessorMixin
    max_length: int | None = None
    drop_long: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def __call__(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        pictures: dict[Any, list[dict[str, Any]]] = {}
        for row in rows:
            pictures.setdefault(row["picture"], []).append(row)
        images = [group[0]["image"] for group in pictures.values()]
        texts = [[_texts(row, self.processor) for row in group] for group in pictures.values()]
        prefixes, encoded = self._encode(images, [group[0][0] for group in texts])
        packed = [
            (number, segments)
            for number, (prefix, group) in enumerate(zip(prefixes, texts, strict=True))
            for segments in self._spread(len(prefix.input_ids), [self._segment(*pair) for pair in group])
        ]
        if not packed:
            raise ValueError(
                f"no instruction of a batch fits into `max_length` {self.max_length}: its pictures take "
                f"{min(len(prefix.input_ids) for prefix in prefixes)} tokens and more; raise `max_length` or leave it "
                "out"
            )
        numbers = [number for number, _ in packed]
        if numbers != list(range(len(pictures))):  # some picture stands in several rows, or in none
            _, encoded = self._encode([images[n] for n in numbers], [texts[n][0][0] for n in numbers])
        return encoded | _collate([_lay(prefixes[n], segments) for n, segments in packed], self._padding_id)

    @property
    def _padding_id(self) -> int:
        tokenizer = self.processor.tokenizer
        return tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id

    def _segment(self, prompt: str, response: str) -> Segment:
        tokens, answer = (self._tokenize(text) for text in (prompt, response))
        return Segment(tokens[self._tail(tokens) :], answer)

    def _tokenize(self, text: str) -> list[int]:
        return self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]

    def _tail(self, tokens: Sequence[int]) -> int:
        """Where the text behind the picture begins."""
        image_token_id = self.processor.image_token_id
        return max((place for place, token in enumerate(tokens, 1) if token == image_token_id), default=0)

    def _encode(self, images: Sequence[Any], prompts: Sequence[str]) -> tuple[list[Prefix], dict[str, torch.Tensor]]:
        """What the processor makes of each picture with one prompt: its prefix, and tensors of all pictures."""
        shown = [number for number, image in enumerate(images) if image is not None]
        prefixes = [Prefix(torch.empty(0, dtype=torch.long), {}) for _ in images]
        if not shown:
            return prefixes, {}
        encoded = self.processor(
            images=[[images[number]] for number in shown],
            text=[prompts[number] for number in shown],
            padding=True,
            padding_side="right",
            return_tensors="pt",
            add_special_tokens=False,
        )
        mask = encoded.pop("attention_mask").bool()
        of_tokens = {name: value for name, value in encoded.items() if value.shape == mask.shape}
        for place, number in enumerate(shown):
            values = {name: value[place][mask[place]] for name, value in of_tokens.items()}
            tokens = self._tokenize(prompts[number])
            tail = tokens[self._tail(tokens) :]
            length = len(values["input_ids"]) - len(tail)
            self._check_tail(values["input_ids"], length, tail)
            prefix = {name: value[:length] for name, value in values.items()}
            prefixes[number] = Prefix(prefix.pop("input_ids"), prefix)
        return prefixes, {name: value for name, value in encoded.items() if name not in of_tokens}

    def _check_tail(self, input_ids: torch.Tensor, length: int, tail: Sequence[int]) -> None:
        picture_in_tail = (input_ids[length:] == self.processor.image_token_id).any()
        if input_ids[length:].tolist() != tail or picture_in_tail:
            raise ValueError(
                f"{type(self.processor).__name__} writes the text behind a picture differently with the picture; its "
                f"instructions cannot share a prefix: {USE_ONE}"
            )

    def _spread(self, prefix_length: int, segments: Sequence[Segment]) -> Iterator[list[Segment]]:
        """Spread the segments of a picture over as few rows as keep their order and the limit."""
        row: list[Segment] = []
        left = room = None if self.max_length is None else self.max_length - prefix_length
        for segment in segments:
            fitting = self._fit(segment, room)
            if fitting is None:
                continue
            length = len(fitting.prompt) + len(fitting.response)
            if left is not None and length > left:
                yield row
                row, left = [], room
            row.append(fitting)
            left = None if left is None else left - length
        if row:
            yield row

    def _fit(self, segment: Segment, room: int | None) -> Segment | None:
        """Cut the end of a response that does not fit behind the prefix; None where nothing of it is left."""
        if room is None or len(segment.prompt) + len(segment.response) <= room:
            return segment
        kept = segment.response[: max(0, room - len(segment.prompt))]
        if kept and not self.drop_long:
            self._count("cut")
            return Segment(segment.prompt, kept)
        self._count("dropped")
        return None

    def _count(self, what: str) -> None:
        self.counts[what] += 1
        if str(self.counts[what]).strip("0") == "1":  # the 1st, 10th, 100th, ...
            logger.warning(
                "%d instructions %s so far: longer than `max_length` %d with their picture",
                self.counts[what],
                what,
                self.max_length,
            )


def _texts(row: dict[str, Any], processor: ProcessorMixin) -> tuple[str, str]:
    """An instruction's prompt and response as the chat template writes them."""
    texts = apply_chat_template({"prompt": row["prompt"], "completion": row["completion"]}, processor)
    return texts["prompt"], texts["completion"]


def _lay(prefix: Prefix, segments: Sequence[Segment]) -> dict[str, torch.Tensor]:
    """One packed row, a tensor of shape `(length,)` for each of its values."""
    shared = len(prefix.input_ids)
    tokens, positions = prefix.input_ids.tolist(), list(range(shared))
    labels, segment_ids = [IGNORED] * shared, [0] * shared
    for number, segment in enumerate(segments, 1):
        # The label of a token is predicted one place before it: at the end of another segment, if it were the first.
        if not segment.prompt:
            raise ValueError("a segment begins with its response; expected at least one token of the prompt before it")
        length = len(segment.prompt) + len(segment.response)
        tokens += [*segment.prompt, *segment.response]
        labels += [*[IGNORED] * len(segment.prompt), *segment.response]
        segment_ids += [number] * length
        positions += range(shared, shared + length)
    row = {"input_ids": tokens, "labels": labels, "segment_ids": segment_ids, "position_ids": positions}
    behind = len(tokens) - shared
    return {name: torch.tensor(value) for name, value in row.items()} | {
        name: torch.cat([value, value.new_zeros(behind)]) for name, value in prefix.token_values.items()
    }


def _collate(rows: Sequence[dict[str, torch.Tensor]], padding_id: int) -> dict[str, torch.Tensor]:
    """Pad rows on the right to one length."""
    padding = {"input_ids": padding_id, "labels": IGNORED, "segment_ids": PADDING}
    names = dict.fromkeys(
        name for row in rows for name in row
    )  # a row without a picture lacks what only pictures have
    batch = {
        name: pad_sequence(
            [row.get(name, torch.zeros_like(row["input_ids"])) for row in rows],
            batch_first=True,
            padding_value=padding.get(name, 0),
        )
        for name in names
    }
    batch["attention_mask"] = (batch["segment_ids"] != PADDING).long()
    return batch
