"""Dividing a job over machines: a shard takes its share of the requests and keeps its own journal."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from aesexpert.llm.requests import Request


class Shard(NamedTuple):
    """One part of a job.

    Args:
        number (`int`): Which one, from 1.
        total (`int`): How many there are.
    """

    number: int
    total: int

    def __contains__(self, request_id: object) -> bool:
        """Whether a request belongs to this part: by its name alone, so that every machine divides alike."""
        digest = sha256(str(request_id).encode(errors="replace")).digest()
        return int.from_bytes(digest[:8], "big") % self.total == self.number - 1

    def of(self, requests: Iterable[Request]) -> Iterator[Request]:
        """Yields this part's requests."""
        return (request for request in requests if request.id in self)


WHOLE = Shard(1, 1)
"""A job that is not divided."""


def journal_path(folder: str | Path, shard: Shard = WHOLE) -> Path:
    """Names the journal of a job, or of a part of it.

    Args:
        folder (`str` or `Path`): The job's folder.
        shard (`Shard`, *optional*): The part, by default the whole.

    Returns:
        `Path`: `journal.jsonl`, or for the first of two parts `journal-1-of-2.jsonl`.
    """
    name = "journal.jsonl" if shard.total == 1 else f"journal-{shard.number}-of-{shard.total}.jsonl"
    return Path(folder) / name


def shard_journals(folder: str | Path) -> list[Path]:
    """Lists the journals of the parts of a job."""
    return sorted(Path(folder).glob("journal-*-of-*.jsonl"))
