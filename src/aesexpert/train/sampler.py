"""The order of training: visits to pictures, laid into batches."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeVar

import torch


T = TypeVar("T")


class InstructionSampler(torch.utils.data.Sampler[int]):
    """
    Goes through all instructions in visits: some instructions of one picture that follow each other.

    An epoch has every instruction once. A batch boundary cuts a visit only where visits of full size do not divide a
    batch; what is left of a picture's instructions is visited in batches of its own, those of like size together, so
    that packed rows repeat few pictures and are padded little. The order depends on the seed, the epoch and the batch
    size alone, so a resumed run goes on exactly where it stopped.

    Args:
        pictures (`Sequence[int]`): The picture of each row.
        batch_size (`int`): How many instructions a batch of one device has.
        instructions_per_picture (`int`, *optional*):
            How many instructions a visit has at most; by default all, as far as a batch has room for them.
        groups (`Sequence[str]`, *optional*):
            The group of each row: pictures that share one are asked the same questions one after the other. What only
            some of them are asked is mixed into batches. By default each picture is on its own.
        questions (`Sequence[str]`, *optional*): The question of each row, needed with `groups`.
        seed (`int`, *optional*, defaults to 0): Seed of the order.
    """

    def __init__(
        self,
        pictures: Sequence[int],
        batch_size: int,
        instructions_per_picture: int | None = None,
        groups: Sequence[str] | None = None,
        questions: Sequence[str] | None = None,
        seed: int = 0,
    ) -> None:
        self.pictures = pictures
        self.batch_size = batch_size
        self.visit_size = min(instructions_per_picture or batch_size, batch_size)
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
        size = max(map(_length, rounds), default=0)
        others = _shuffled([visit for visits in rounds if _length(visits) < size for visit in visits], generator)
        batches = list(_batches(sorted(others, key=len, reverse=True), self.batch_size))
        last = batches.pop() if batches and _length(batches[-1]) < self.batch_size else []
        whole = [visits for visits in rounds if _length(visits) == size]
        waiting: list[int] = []
        for visits in [*_shuffled([*whole, *batches], generator), last]:
            rows = list(chain.from_iterable(_shuffled(visits, generator)))
            if len(rows) == self.batch_size:  # passes by the rounds that do not fill a batch yet
                yield from rows
                continue
            waiting += rows
            ready = len(waiting) - len(waiting) % self.batch_size
            yield from waiting[:ready]
            del waiting[:ready]
        yield from waiting

    def _rounds(self, rows: Sequence[int], generator: torch.Generator) -> Iterator[list[list[int]]]:
        """Divide the questions of a group over rounds: in each, a visit to every picture that is asked them."""
        asked = sorted(_shuffled(list(_by(self.questions, rows).values()), generator), key=len, reverse=True)
        for start in range(0, len(asked), self.visit_size):
            yield list(_by(self.pictures, chain.from_iterable(asked[start : start + self.visit_size])).values())


def _length(visits: Sequence[Sequence[int]]) -> int:
    return sum(map(len, visits))


def _batches(visits: Iterable[list[int]], size: int) -> Iterator[list[list[int]]]:
    """Cut visits into batches of `size` rows, the last one of what is left."""
    batch: list[list[int]] = []
    for visit in visits:
        while visit:
            room = size - _length(batch)
            batch.append(visit[:room])
            visit = visit[room:]
            if _length(batch) == size:
                yield batch
                batch = []
    if batch:
        yield batch


def _by(keys: Sequence[Hashable], rows: Iterable[int]) -> dict[Hashable, list[int]]:
    """Sort rows by their keys."""
    found: dict[Hashable, list[int]] = {}
    for row in rows:
        found.setdefault(keys[row], []).append(row)
    return found


def _shuffled(items: Sequence[T], generator: torch.Generator) -> list[T]:
    return [items[i] for i in torch.randperm(len(items), generator=generator).tolist()]
