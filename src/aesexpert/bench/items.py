"""From the benchmark's records to what is asked (items) and what is right (references)."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aesexpert.bench.control import SWAPPED, check_control, swap_pictures
from aesexpert.bench.errors import BenchError
from aesexpert.bench.prompts import task_prompt
from aesexpert.data.records import BenchRecord, ChoiceQuestion
from aesexpert.data.source import BENCH
from aesexpert.taxonomy import CHOICE_TASKS, Task


@dataclass(frozen=True)
class BenchItem:
    """One question to a model.

    Args:
        image_id (`str`): The picture that the question belongs to.
        task (`Task`): The task that it belongs to.
        prompt (`str`): The text that the model reads.
        options (`tuple[str, ...]`): The options of a choice question; none of an open one.
        picture (`Path`): The picture that the model sees: the question's own, or the control's.
    """

    image_id: str
    task: Task
    prompt: str
    options: tuple[str, ...]
    picture: Path

    @property
    def key(self) -> tuple[str, str]:
        """What tells the item from all others: `image_id` and task."""
        return self.image_id, self.task.value


def bench_file(data: str | Path) -> Path:
    """Finds the file that holds the questions.

    Args:
        data (`str` or `Path`): A source folder, whose `bench.jsonl` is meant, or a `.jsonl` file in such a folder.

    Returns:
        `Path`: The file.

    Raises:
        `BenchError`: If there is no such file.
    """
    path = Path(data)
    file = path / BENCH if path.is_dir() else path
    if not file.is_file():
        raise BenchError(f"{file} is missing; expected a folder with {BENCH} in it, or a .jsonl file in such a folder")
    return file


def data_name(file: Path) -> str:
    """Names the data of a benchmark file after its folder, and after the file if it is not the usual one."""
    folder = file.resolve().parent.name
    return folder if file.name == BENCH else f"{folder}-{file.stem}"


def data_fingerprint(file: Path, records: Sequence[BenchRecord]) -> str:
    """Tells one state of the data from another: by the questions' bytes and the pictures' names and sizes."""
    digest = hashlib.sha256(file.read_bytes())
    for record in records:
        path = record.picture.path
        digest.update(f"\n{record.image_id}\t{path.name}\t{path.stat().st_size}".encode())
    return digest.hexdigest()


def to_items(
    records: Sequence[BenchRecord], tasks: Collection[Task] = tuple(Task), control: str | None = None
) -> list[BenchItem]:
    """Lists the questions of some records.

    Args:
        records (`Sequence[BenchRecord]`): The records.
        tasks (`Collection[Task]`, *optional*): The tasks to ask, by default all that a record has.
        control (`str`, *optional*): `"swapped"` to ask about another picture each.

    Returns:
        `list[BenchItem]`: The questions, picture by picture.

    Raises:
        `BenchError`: If the control is unknown, or if there is nothing to ask.
    """
    check_control(control)
    pictures = {record.image_id: record.picture for record in records}
    shown = {image_id: image_id for image_id in pictures}
    if control == SWAPPED:
        shown = swap_pictures({image_id: picture.original for image_id, picture in pictures.items()})
    items = [
        _to_item(record, task, pictures[shown[record.image_id]].path)
        for record in records
        for task in Task
        if task in tasks and getattr(record, task) is not None
    ]
    if not items:
        raise BenchError(f"the data asks nothing for the tasks {', '.join(tasks)}")
    return items


def _to_item(record: BenchRecord, task: Task, picture: Path) -> BenchItem:
    question = getattr(record, task)
    options = tuple(question.options) if isinstance(question, ChoiceQuestion) else ()
    return BenchItem(record.image_id, task, task_prompt(task, question.question, options), options, picture)


def to_reference(record: BenchRecord) -> dict[str, Any]:
    """Writes what is right for a picture in the form that the `aesbench` metric reads.

    Args:
        record (`BenchRecord`): The record.

    Returns:
        `dict[str, Any]`: `image_id`, `source`, for each choice task `answer`, `options`, `dimension` and
        `question_type` (without options where the record lacks the task), and `interpretation`, the text that a judge
        compares with (`None` where the record lacks the task).
    """
    reference: dict[str, Any] = {"image_id": record.image_id, "source": record.picture.source.value}
    for task in CHOICE_TASKS:
        question = getattr(record, task) or ChoiceQuestion("", ())
        reference[task.value] = {
            "answer": question.answer,
            "options": list(question.options),
            "dimension": question.dimension,
            "question_type": question.question_type,
        }
    reference["interpretation"] = record.interpretation.reference if record.interpretation else None
    return reference
