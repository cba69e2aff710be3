"""AesMMIT's pictures as the rows that TRL trains on: one instruction a row, made when it is read."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import torch
from datasets import Dataset

from aesexpert.data.conversations import to_prompt_completion


logger = logging.getLogger(__name__)

T = TypeVar("T")


def instruction_rows(
    pictures: Dataset, kinds: Sequence[str] | None = None, max_response_words: int | None = None
) -> Dataset:
    """
    Spread a split of AesMMIT over one row an instruction.

    Nothing is copied: the rows are numbers, and a picture is read and decoded when its row is.

    Args:
        pictures (`datasets.Dataset`): A split of the `instructions` configuration, one row a picture.
        kinds (`Sequence[str]`, *optional*): Keep instructions of these kinds alone.
        max_response_words (`int`, *optional*): Keep instructions with responses of so many words at most.

    Returns:
        `datasets.Dataset`: Rows of `picture` (row of `pictures`), `image` (`PIL.Image`), `prompt` and `completion`
        (lists of messages), for TRL. Below its format it has the columns `picture`, `instruction` (its number there)
        and `original`.

    Raises:
        `ValueError`: If no instruction is left.
    """
    kind_name = pictures.features["instructions"].feature["kind"].int2str
    index = [
        (row, number)
        for row, instructions in enumerate(pictures.select_columns("instructions"))
        for number, instruction in enumerate(instructions["instructions"])
        if (kinds is None or kind_name(instruction["kind"]) in kinds)
        and (max_response_words is None or len(instruction["response"].split()) <= max_response_words)
    ]
    if not index:
        raise ValueError(
            f"no instruction is left of {len(pictures)} pictures with `kinds` {kinds or 'all'} and "
            f"`max_response_words` {max_response_words or 'any'}"
        )
    left_out = len(pictures) - len({row for row, _ in index})
    if left_out:
        logger.warning("%d of %d pictures have no instruction to train on", left_out, len(pictures))
    originals = pictures["original"]
    rows = Dataset.from_dict(
        {
            "picture": [row for row, _ in index],
            "instruction": [number for _, number in index],
            "original": [originals[row] for row, _ in index],
        }
    )
    return rows.with_transform(partial(_read, pictures=pictures))


class InstructionSampler(torch.utils.data.Sampler[int]):
    """
    Goes through all instructions in visits: some instructions of one picture that follow each other.

    An epoch has every instruction once, and a picture's are divided evenly over its visits. The order depends on the
    seed and the epoch alone, so a resumed run goes on exactly where it stopped.

    Args:
        pictures (`Sequence[int]`): The picture of each row.
        instructions_per_picture (`int`, *optional*): How many instructions a visit has at most; all by default.
        groups (`Sequence[str]`, *optional*):
            The group of each row: pictures that share one are visited in the same rounds, one after the other. By
            default visits are mixed.
        seed (`int`, *optional*, defaults to 0): Seed of the order.
    """

    def __init__(
        self,
        pictures: Sequence[int],
        instructions_per_picture: int | None = None,
        groups: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        self.rows_of: dict[int, list[int]] = {}
        for row, picture in enumerate(pictures):
            self.rows_of.setdefault(picture, []).append(row)
        self.instructions_per_picture = instructions_per_picture
        self.groups = groups
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """
        Choose the epoch whose order comes next.

        Args:
            epoch (`int`): Counted from 0.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        return sum(map(len, self.rows_of.values()))

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        rounds = [visits for pictures in self._groups() for visits in self._rounds(pictures, generator)]
        for visits in _shuffled(rounds, generator):
            for visit in _shuffled(visits, generator):
                yield from visit

    def _groups(self) -> Iterable[list[list[int]]]:
        """The rows of each picture, for pictures that are visited together."""
        if self.groups is None:
            return ([rows] for rows in self.rows_of.values())
        together: dict[str, list[list[int]]] = {}
        for rows in self.rows_of.values():
            together.setdefault(self.groups[rows[0]], []).append(rows)
        return together.values()

    def _rounds(self, pictures: list[list[int]], generator: torch.Generator) -> list[list[list[int]]]:
        """Divide the rows of each picture over as many rounds as the picture with the most rows needs."""
        most = max(map(len, pictures))
        count = -(-most // (self.instructions_per_picture or most))
        divided = [_divided(_shuffled(rows, generator), count) for rows in pictures]
        return [[visit for visit in visits if visit] for visits in zip(*divided, strict=True)]


def _shuffled(items: Sequence[T], generator: torch.Generator) -> list[T]:
    return [items[i] for i in torch.randperm(len(items), generator=generator).tolist()]


def _divided(items: list[T], count: int) -> list[list[T]]:
    """Divide into `count` parts whose lengths differ by one at most, the longer ones first."""
    size, longer = divmod(len(items), count)
    starts = [part * size + min(part, longer) for part in range(count + 1)]
    return [items[start:end] for start, end in pairwise(starts)]


def _read(rows: dict[str, list[int]], pictures: Dataset) -> dict[str, list[Any]]:
    batch: dict[str, list[Any]] = {"picture": rows["picture"], "image": [], "prompt": [], "completion": []}
    read = {row: pictures[row] for row in set(rows["picture"])}  # each picture is decoded once a batch
    for row, number in zip(rows["picture"], rows["instruction"], strict=True):
        picture = read[row]
        conversation = to_prompt_completion(picture["instructions"][number])
        batch["image"].append(picture["image"])
        batch["prompt"].append(conversation["prompt"])
        batch["completion"].append(conversation["completion"])
    return batch
