"""AesMMIT's pictures as the rows that TRL trains on: one instruction a row, made when it is read."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from datasets import Dataset

from aesexpert.data.conversations import to_prompt_completion


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
        `datasets.Dataset`: Rows of `image` (`PIL.Image`), `prompt` and `completion` (lists of messages), for TRL.
        Below its format it has the columns `picture` (row of `pictures`), `instruction` (its number there) and
        `original`.

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
    Visits the pictures in random order and draws some instructions of each, anew in every epoch.

    The order depends on the seed and the epoch alone, so a resumed run goes on exactly where it stopped.

    Args:
        pictures (`Sequence[int]`): The picture of each row.
        instructions_per_picture (`int`, *optional*): How many to draw of each picture; all by default.
        visits (`Sequence[str]`, *optional*):
            The visit of each row: rows that share one come one after the other. By default all rows are mixed.
        seed (`int`, *optional*, defaults to 0): Seed of the draws.
    """

    def __init__(
        self,
        pictures: Sequence[int],
        instructions_per_picture: int | None = None,
        visits: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        self.rows_of: dict[int, list[int]] = {}
        for row, picture in enumerate(pictures):
            self.rows_of.setdefault(picture, []).append(row)
        self.instructions_per_picture = instructions_per_picture
        self.visits = visits
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """
        Choose the epoch whose rows are drawn next.

        Args:
            epoch (`int`): Counted from 0.
        """
        self.epoch = epoch

    def __len__(self) -> int:
        limit = self.instructions_per_picture
        return sum(len(rows) if limit is None else min(limit, len(rows)) for rows in self.rows_of.values())

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        visits: dict[str, list[int]] = {}
        for rows in self.rows_of.values():
            visit = self.visits[rows[0]] if self.visits else ""
            visits.setdefault(visit, []).extend(_shuffled(rows, generator)[: self.instructions_per_picture])
        return (row for visit in _shuffled(list(visits), generator) for row in _shuffled(visits[visit], generator))


def _shuffled(items: Sequence[T], generator: torch.Generator) -> list[T]:
    return [items[i] for i in torch.randperm(len(items), generator=generator).tolist()]


def _read(rows: dict[str, list[int]], pictures: Dataset) -> dict[str, list[Any]]:
    batch: dict[str, list[Any]] = {"image": [], "prompt": [], "completion": []}
    for row, number in zip(rows["picture"], rows["instruction"], strict=True):
        picture = pictures[row]
        conversation = to_prompt_completion(picture["instructions"][number])
        batch["image"].append(picture["image"])
        batch["prompt"].append(conversation["prompt"])
        batch["completion"].append(conversation["completion"])
    return batch
