"""Critiques in, AesVQA out: the folder of a generation, and what is made of its journal."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from os import link
from pathlib import Path
from typing import Any, TextIO

from tqdm.auto import tqdm

from aesexpert.data.folders import new_folder
from aesexpert.data.records import Feedback
from aesexpert.data.source import BENCH, FEEDBACK, IMAGES, SOURCES, VQA
from aesexpert.instruct.asking import Prompts
from aesexpert.instruct.checks import Pair, Rejected, Rejection, check_pairs, surplus_yes_no
from aesexpert.instruct.counts import Counts
from aesexpert.instruct.errors import InstructError, explained
from aesexpert.llm import Journal
from aesexpert.llm.replay import outcome
from aesexpert.llm.shards import journal_path
from aesexpert.taxonomy import Dimension, QuestionType


PAIRS, REJECTED, FAILED, REPORT, TABLES = "pairs.jsonl", "rejected.jsonl", "failed.jsonl", "report.json", "report.md"

DETAILS, SOURCE = "aesvqa", "source"
"""Folders of a generation: every pair with its support, and the source folder that AesMMIT is built from."""


def write_aesvqa(
    feedback: Mapping[str, Sequence[Feedback]],
    out: str | Path,
    model: str,
    prompts: Prompts,
    pairs: int,
    min_support: float = 0.0,
) -> Counts:
    """Checks what is in the journal of a generation, and writes AesVQA with everything that was left out and why.

    The same journal gives the same files.

    Args:
        feedback (`Mapping[str, Sequence[Feedback]]`): Critiques by `image_id`.
        out (`str` or `Path`): The generation's folder, with its `journal.jsonl`.
        model (`str`): The model that was asked.
        prompts (`Prompts`): The prompts that were used.
        pairs (`int`): How many pairs a picture were asked for.
        min_support (`float`, *optional*, defaults to 0): Pairs with less support in the critiques are left out.

    Returns:
        `Counts`: What was taken, what was rejected, and the balance.

    Raises:
        `InstructError`: If requests were not asked yet.
        `LLMError`: If the journal cannot be read.
    """
    out = Path(out)
    details = out / DETAILS
    replaced = new_folder(details, lambda folder: (folder / REPORT).exists())
    with Journal(journal_path(out)) as journal, explained(details), replaced as new:
        counts = Counts()
        surplus = _write_pairs(new, _outcomes(feedback, journal, model, prompts, pairs), counts, min_support)
        _leave_out(new, surplus, counts)
        if counts.missing:
            raise InstructError(
                f"{counts.missing:,} of {len(feedback):,} pictures were not asked about yet with this model, these "
                "prompts and these options; run the missing shards, or the same command without --merge"
            )
        (new / REPORT).write_text(json.dumps(counts.to_json(), indent=2) + "\n", encoding="utf-8")
        (new / TABLES).write_text(counts.to_markdown() + "\n", encoding="utf-8")
    return counts


def _outcomes(
    feedback: Mapping[str, Sequence[Feedback]], journal: Journal, model: str, prompts: Prompts, pairs: int
) -> Iterator[tuple[str, Any]]:
    requests = prompts.requests(feedback, pairs)
    for request in tqdm(requests, total=len(feedback), desc="checking", unit="picture", disable=None):
        yield request.id, (outcome(request, request.key(model), journal), feedback[request.id])


def _write_pairs(folder: Path, outcomes: Iterator[tuple[str, Any]], counts: Counts, min_support: float) -> set[str]:
    """Writes what passes picture by picture, and returns which yes-no pairs are too many in the end."""
    yes_no: list[tuple[str, str]] = []
    with ExitStack() as stack:
        files = {name: stack.enter_context(open(folder / name, "w", encoding="utf-8")) for name in (PAIRS, REJECTED)}
        failed = stack.enter_context(open(folder / FAILED, "w", encoding="utf-8"))
        for image_id, (answer, feedbacks) in outcomes:
            counts.ask(answer)
            if answer is None:
                continue
            if answer.failure is not None:
                _write(failed, {"image_id": image_id, "reason": answer.failure, "text": answer.text})
                continue
            critiques = [entry.critique for entry in feedbacks]
            taken, rejected = check_pairs(image_id, answer.parsed.pairs, critiques, min_support)
            yes_no += [(pair.seed, pair.answer) for pair in taken if len(pair.options) == 2 and _is_yes_no(pair)]
            for pair in taken:
                _write(files[PAIRS], _pair_row(pair))
            for entry in rejected:
                counts.reject(entry.reason)
                _write(files[REJECTED], entry._asdict())
    return surplus_yes_no(yes_no)


def _is_yes_no(pair: Pair) -> bool:
    return set(pair.options) == {"Yes", "No"}


def _pair_row(pair: Pair) -> dict[str, Any]:
    row = {**pair.__dict__, "options": list(pair.options), "seed": pair.seed, "is_flagged": pair.is_flagged}
    return {name: value.value if hasattr(value, "value") else value for name, value in row.items()}


def _leave_out(folder: Path, surplus: set[str], counts: Counts) -> None:
    """Moves the yes-no pairs that are too many over to the rejected ones, and counts those that stay."""
    balanced = folder / f"{PAIRS}.balanced"
    with (
        open(folder / PAIRS, encoding="utf-8") as source,
        open(balanced, "w", encoding="utf-8") as target,
        open(folder / REJECTED, "a", encoding="utf-8") as rejected,
    ):
        for line in source:
            row = json.loads(line)
            if row.pop("seed") in surplus:
                counts.reject(Rejection.UNBALANCED)
                entry = Rejected(row["image_id"], row["question"], row["answer"], Rejection.UNBALANCED)
                _write(rejected, entry._asdict())
            else:
                counts.take(row)
                _write(target, row)
    balanced.replace(folder / PAIRS)


def _write(file: TextIO, row: Mapping[str, Any]) -> None:
    file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_pairs(out: str | Path) -> Iterator[Pair]:
    """Reads the pairs that were taken.

    Args:
        out (`str` or `Path`): The generation's folder.

    Yields:
        `Pair`: A pair.
    """
    with open(Path(out) / DETAILS / PAIRS, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield Pair(
                image_id=row["image_id"],
                question=row["question"],
                answer=row["answer"],
                options=tuple(row["options"]),
                question_type=QuestionType(row["question_type"]),
                dimension=Dimension(row["dimension"]),
                support=row["support"],
            )


def assemble(source: str | Path, out: str | Path) -> Path:
    """Joins descriptions and AesVQA into the source folder that AesMMIT is built from (section 3.3 of the paper).

    Pictures, their table and the critiques, which become the descriptions, are the source's; the question-answer pairs
    are those of the generation, each open-ended and as multiple choice.

    Args:
        source (`str` or `Path`): The source folder that the critiques came from.
        out (`str` or `Path`): The generation's folder.

    Returns:
        `Path`: The folder made: `source` inside `out`.
    """
    source, out = Path(source), Path(out)
    replaced = new_folder(out / SOURCE, lambda folder: (folder / VQA).exists() and (out / DETAILS).exists())
    with explained(out / SOURCE), replaced as new:
        for name in (SOURCES, FEEDBACK, BENCH):
            if (source / name).is_file():
                shutil.copy2(source / name, new / name)
        # the pictures are shared, not stored twice, where the file system can
        shutil.copytree(source / IMAGES, new / IMAGES, copy_function=_share)
        with open(new / VQA, "w", encoding="utf-8") as file:
            for pair in read_pairs(out):
                for row in pair.rows():
                    _write(file, row)
    return out / SOURCE


def _share(file: str, copy: str) -> None:
    try:
        link(file, copy)
    except OSError:
        shutil.copy2(file, copy)
