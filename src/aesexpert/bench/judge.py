"""Judging the answers to AesI by a language model: three criteria, five rounds, averaged (Table 7 of the paper)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from statistics import fmean
from string import Template
from typing import Annotated, Any, Literal

from aesexpert.bench.agreement import agreement, length_dependence
from aesexpert.bench.errors import BenchError
from aesexpert.bench.folder import ANSWERS, REFERENCES, RUN, read_answers, write_json
from aesexpert.bench.judgements import JUDGE, JUDGEMENTS, to_row
from aesexpert.llm import Journal, Request
from aesexpert.llm.errors import needs_extra
from aesexpert.llm.replay import outcome
from aesexpert.taxonomy import Criterion, Task


with needs_extra("llm"):
    from pydantic import BaseModel, BeforeValidator

ROUNDS = 5
JOURNAL = "judge-journal.jsonl"
TOKENS_A_JUDGEMENT = 30


def _number(value: Any) -> Any:
    """Reads "2" and 2.0 as 2."""
    try:
        return int(float(value)) if float(value).is_integer() else value
    except (ValueError, TypeError, OverflowError):
        return value


Score = Annotated[Literal[0, 1, 2], BeforeValidator(_number)]


class Judgement(BaseModel):
    """What a judge says of an answer in one round.

    Args:
        relevance (`int`): Whether it speaks of what was asked, from 0 to 2.
        precision (`int`): Whether it agrees with the reference, from 0 to 2.
        completeness (`int`): Whether it has what the reference has, from 0 to 2.
    """

    relevance: Score
    precision: Score
    completeness: Score


@dataclass(frozen=True)
class Judged:
    """An answer to judge.

    Args:
        image_id (`str`): The picture.
        question (`str`): What was asked.
        response (`str`): The answer.
        reference (`str`): The description to compare with.
    """

    image_id: str
    question: str
    response: str
    reference: str


def to_judge(folder: str | Path) -> list[Judged]:
    """Lists the answers of a run that can be judged.

    Args:
        folder (`str` or `Path`): The run folder.

    Returns:
        `list[Judged]`: Its answers to AesI that have a reference description.

    Raises:
        `BenchError`: If it is no run folder, or has nothing to judge.
    """
    folder = Path(folder)
    if not (folder / RUN).is_file():
        raise BenchError(f"{folder} is no run folder: it has no {RUN}; run `aesexpert bench run` first")
    answers, questions = read_answers(folder), _questions(folder)
    references = map(json.loads, (folder / REFERENCES).read_text(encoding="utf-8").split("\n")[:-1])
    judged = [
        Judged(name, questions[name], answers[name, Task.INTERPRETATION.value], reference["interpretation"])
        for reference in references
        if reference["interpretation"] and (name := reference["image_id"]) in questions
    ]
    if not judged:
        raise BenchError(f"{folder} has nothing to judge: no answer to {Task.INTERPRETATION} with a reference")
    return judged


def _questions(folder: Path) -> dict[str, str]:
    """The prompts of the answers to AesI by `image_id`."""
    lines = (folder / ANSWERS).read_bytes().split(b"\n")[:-1] if (folder / ANSWERS).is_file() else []
    rows = map(json.loads, lines)
    return {row["image_id"]: row.get("prompt", "") for row in rows if row["task"] == Task.INTERPRETATION}


def requests(judged: Sequence[Judged], parameters: dict[str, Any] | None = None) -> Iterator[Request]:
    """Asks about every answer in five rounds.

    Args:
        judged (`Sequence[Judged]`): The answers.
        parameters (`dict[str, Any]`, *optional*): Further fields of every request, such as `temperature`.

    Yields:
        `Request`: A request; its name is the picture's and the number of the round.
    """
    prompt = Template(files(__package__).joinpath("judge.txt").read_text(encoding="utf-8"))
    for entry in judged:
        text = prompt.substitute(
            question=entry.question, reference=entry.reference, description=entry.response.strip() or "(nothing)"
        )
        for number in range(1, ROUNDS + 1):
            name = f"{entry.image_id}, round {number}"
            yield Request(name, [{"role": "user", "content": text}], Judgement, dict(parameters or {}))


def write_judgements(
    folder: str | Path, model: str, judged: Sequence[Judged], parameters: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Averages what is in the journal of a judge, and writes it for the report.

    Args:
        folder (`str` or `Path`): The run folder.
        model (`str`): The judge.
        judged (`Sequence[Judged]`): The answers that were judged.
        parameters (`dict[str, Any]`, *optional*): Further fields that every request had.

    Returns:
        `dict[str, Any]`: The content of `judge.json`: the judge, its mean scores, its agreement with itself and the
        dependence on length.

    Raises:
        `BenchError`: If no answer got a judgement.
    """
    folder = Path(folder)
    by_answer = _rounds(folder, model, judged, parameters)
    complete = [(entry, rounds) for entry, rounds in zip(judged, by_answer, strict=True) if rounds]
    if not complete:
        raise BenchError(f"the judge gave no usable judgement; {folder / JOURNAL} has what it said")
    rows = [to_row(entry.image_id, entry.response, rounds) for entry, rounds in complete]
    summary = _summary(model, parameters, complete, rows) | {"not_judged": len(judged) - len(complete)}
    try:
        unfinished = folder / f"{JUDGEMENTS}.tmp"
        unfinished.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        write_json(folder / JUDGE, summary)
        unfinished.replace(folder / JUDGEMENTS)
    except OSError as error:
        again = "the journal has all judgements: mend it and run the same command again"
        raise BenchError(f"cannot write into {folder}: {error.strerror}; {again}") from error
    return summary


def _rounds(
    folder: Path, model: str, judged: Sequence[Judged], parameters: dict[str, Any] | None
) -> list[list[dict[str, int]]]:
    """The scores of every answer, round by round; rounds that failed are left out."""
    found: list[dict[str, int] | None] = []
    with Journal(folder / JOURNAL) as journal:
        for request in requests(judged, parameters):
            answer = outcome(request, request.key(model), journal)
            found.append(answer.parsed.model_dump() if answer and answer.failure is None else None)
    parts = [found[start : start + ROUNDS] for start in range(0, len(found), ROUNDS)]
    return [[scores for scores in part if scores is not None] for part in parts]


def _summary(
    model: str,
    parameters: dict[str, Any] | None,
    complete: Sequence[tuple[Judged, list[dict[str, int]]]],
    rows: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    means = [fmean(row[criterion] for criterion in Criterion) for row in rows]
    return {
        "judge": model,
        "parameters": dict(parameters or {}),
        "rounds": ROUNDS,
        "judged": len(complete),
        "interpretation": fmean(means),
        **{criterion.value: fmean(row[criterion] for row in rows) for criterion in Criterion},
        "agreement": agreement([rounds for _, rounds in complete]),
        "length": length_dependence([entry.response for entry, _ in complete], means),
    }
