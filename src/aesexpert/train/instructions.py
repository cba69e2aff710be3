"""AesMMIT's pictures as the rows that TRL trains on: one instruction a row, made when it is read."""

import logging
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, pairwise
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
        (lists of messages), for TRL. Below its format it has the columns `picture`, `instruction` (its number
        there), `question` (its prompt) and `original`.

    Raises:
        `ValueError`: If no instruction is left.
    """
    kind_name = pictures.features["instructions"].feature["kind"].int2str
    index = [
        (row, number, instruction["prompt"])
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
    left_out = len(pictures) - len({row for row, *_ in index})
    if left_out:
        logger.warning("%d of %d pictures have no instruction to train on", left_out, len(pictures))
    originals = pictures["original"][:]  # a list: a column reads its file anew for every entry
    picture, number, prompt = map(list, zip(*index, strict=True))
    original = [originals[row] for row in picture]
    rows = Dataset.from_dict({"picture": picture, "instruction": number, "question": prompt, "original": original})
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
            The group of each row: pictures that share one are asked the same questions one after the other. What only
            some of them are asked is mixed into rounds of the same size. By default each picture is on its own.
        questions (`Sequence[str]`, *optional*): The question of each row, needed with `groups`.
        seed (`int`, *optional*, defaults to 0): Seed of the order.
    """

    def __init__(
        self,
        pictures: Sequence[int],
        instructions_per_picture: int | None = None,
        groups: Sequence[str] | None = None,
        questions: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        self.pictures = pictures
        self.instructions_per_picture = instructions_per_picture
        self.groups = pictures if groups is None else groups
        self.questions = range(len(pictures)) if questions is None else questions
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
        return len(self.pictures)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        by_group = _by(self.groups, range(len(self.pictures)))
        rounds = [visits for rows in by_group.values() for visits in self._rounds(rows, generator)]
        size = max(map(len, rounds), default=0)
        whole = [visits for visits in rounds if len(visits) == size]
        others = _shuffled([visit for visits in rounds if len(visits) < size for visit in visits], generator)
        cut = len(others) - len(others) % size if size else 0
        whole += [others[start : start + size] for start in range(0, cut, size)]
        for visits in [*_shuffled(whole, generator), others[cut:]]:
            for visit in _shuffled(visits, generator):
                yield from visit

    def _rounds(self, rows: Sequence[int], generator: torch.Generator) -> Iterator[list[list[int]]]:
        """Divide the questions of a group over rounds: in each, a visit to every picture that is asked them."""
        asked = sorted(_shuffled(list(_by(self.questions, rows).values()), generator), key=len, reverse=True)
        count = -(-len(asked) // (self.instructions_per_picture or len(asked)))
        for part in _divided(asked, count):
            yield list(_by(self.pictures, chain.from_iterable(part)).values())


def _by(keys: Sequence[Hashable], rows: Iterable[int]) -> dict[Hashable, list[int]]:
    """Sort rows by their keys."""
    found: dict[Hashable, list[int]] = {}
    for row in rows:
        found.setdefault(keys[row], []).append(row)
    return found


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
