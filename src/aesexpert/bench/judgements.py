"""The judgements of a run folder: what a judge said of the answers to AesI, ready for the report."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any

from aesexpert.bench.errors import BenchError
from aesexpert.bench.folder import read_json
from aesexpert.taxonomy import Criterion, Task


JUDGEMENTS, JUDGE = "judgements.jsonl", "judge.json"


@dataclass(frozen=True)
class Judgements:
    """What a judge said of a run's answers to AesI.

    Args:
        scores (`Mapping[str, Mapping[str, float]]`): The mean score of each criterion, by `image_id`.
        judge (`Mapping[str, Any]`): The judge, and how far it agrees with itself; empty if nothing was judged.
    """

    scores: Mapping[str, Mapping[str, float]]
    judge: Mapping[str, Any]


NOTHING_JUDGED = Judgements({}, {})


def response_hash(response: str) -> str:
    """Tells one answer from another, so that a judgement of an answer that has changed since does not count."""
    return sha256(response.encode(errors="replace")).hexdigest()[:16]


def to_row(image_id: str, response: str, rounds: Iterable[Mapping[str, float]]) -> dict[str, Any]:
    """Writes the judgements of one answer as a line of `judgements.jsonl`.

    Args:
        image_id (`str`): The picture.
        response (`str`): The answer.
        rounds (`Iterable[Mapping[str, float]]`): The scores of every round, by criterion.

    Returns:
        `dict[str, Any]`: The rounds and their means.
    """
    rounds = [dict(scores) for scores in rounds]
    means = {criterion.value: fmean(scores[criterion] for scores in rounds) for criterion in Criterion}
    return {"image_id": image_id, "response_hash": response_hash(response), **means, "rounds": rounds}


def read_judgements(folder: Path, answers: Mapping[tuple[str, str], str]) -> Judgements:
    """Reads the judgements of a run folder, as far as they are of the answers that it holds.

    Args:
        folder (`Path`): The run folder.
        answers (`Mapping[tuple[str, str], str]`): Its answers by `image_id` and task.

    Returns:
        `Judgements`: The judgements.

    Raises:
        `BenchError`: If a file is damaged.
    """
    file = folder / JUDGEMENTS
    if not file.is_file():
        return NOTHING_JUDGED
    scores: dict[str, dict[str, float]] = {}
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            row = json.loads(line)
            judged = {criterion.value: float(row[criterion]) for criterion in Criterion}
            response = answers.get((row["image_id"], Task.INTERPRETATION.value))
            if response is not None and row["response_hash"] == response_hash(response):
                scores[row["image_id"]] = judged
        except (ValueError, KeyError, TypeError) as error:
            raise BenchError(f"{file}, line {number}: not a judgement; remove the file and judge again") from error
    return Judgements(scores, read_json(folder / JUDGE) if scores else {})
