"""The published AesBench: a zip of pictures and `AesBench_evaluation.json`, turned into a benchmark folder.

The right answers stay with the benchmark's authors, so its questions have none here and are not scored.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aesexpert.data.llava import read_options
from aesexpert.data.origin import origin_of
from aesexpert.data.released import ReleaseError, image_ids, inside_images
from aesexpert.data.rows import write_csv
from aesexpert.data.source import BENCH, SOURCES
from aesexpert.taxonomy import CHOICE_TASKS, Split, Task


QUESTIONS = "AesBench_evaluation.json"
"""The file of the questions, as its authors name it."""

KEYS = {
    Task.PERCEPTION: "AesP",
    Task.EMPATHY: "AesE",
    Task.ASSESSMENT: "AesA1",
    Task.INTERPRETATION: "AesI",
}
"""What the authors' files call the tasks."""


def read_questions(content: bytes, name: str = QUESTIONS) -> dict[str, dict[str, Any]]:
    """Reads the questions.

    Args:
        content (`bytes`): The file's content.
        name (`str`, *optional*): What messages call it.

    Returns:
        `dict[str, dict[str, Any]]`: By picture name, what a line of `bench.jsonl` says but for its `image_id`.

    Raises:
        `ReleaseError`: If the file is anything else; the message names the picture and the task.
    """
    try:
        pictures = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ReleaseError(f"{name} is not JSON ({error}); fetch it again") from error
    if not isinstance(pictures, dict) or not pictures:
        raise ReleaseError(f"{name} is no object with a picture's name for each key")
    return {picture: _read_picture(tasks, f"{name}, picture {picture!r}") for picture, tasks in pictures.items()}


def _read_picture(tasks: Any, where: str) -> dict[str, Any]:
    if not isinstance(tasks, Mapping):
        raise ReleaseError(f"{where}: expected an object with {', '.join(f'{key}_data' for key in KEYS.values())}")
    found = {}
    for task, key in KEYS.items():
        if tasks.get(f"{key}_data") is not None:
            found[task.value] = _read_task(tasks[f"{key}_data"], task, f"{where}, {key}_data")
    if not found:
        raise ReleaseError(f"{where}: expected at least one of {', '.join(f'{key}_data' for key in KEYS.values())}")
    return found


def _read_task(data: Any, task: Task, where: str) -> dict[str, Any]:
    question = data.get("Question") if isinstance(data, Mapping) else None
    if not isinstance(question, str) or not question.strip():
        raise ReleaseError(f"{where}: expected a text `Question`")
    if task not in CHOICE_TASKS:
        return {"question": question.strip()}
    options = read_options(str(data.get("Options", "")))
    if not options or len(set(options)) < len(options):
        raise ReleaseError(
            f"{where}: `Options` is {data.get('Options')!r}, expected different ones as 'A) ...', 'B) ...'"
        )
    return {"question": question.strip(), "options": list(options)}


def write_bench_tables(folder: Path, questions: Mapping[str, Mapping[str, Any]], files: Mapping[str, str]) -> None:
    """Writes `sources.csv` and `bench.jsonl` beside the pictures.

    Args:
        folder (`Path`): The benchmark folder.
        questions (`Mapping[str, Mapping]`): The questions by picture name.
        files (`Mapping[str, str]`): The path of each picture in the archive.
    """
    ids, places = image_ids(list(files.values())), inside_images(list(files.values()))
    rows = []
    for path in files.values():
        dataset, source = origin_of(path)
        rows.append(
            {
                "image_id": ids[path],
                "file": places[path],
                "split": Split.TEST.value,
                "source": source.value if source else "",
                "dataset": dataset.value,
                "scene": "",
            }
        )
    (folder / SOURCES).write_text(write_csv(rows), encoding="utf-8", newline="")
    lines = [
        json.dumps({"image_id": ids[files[name]], **tasks}, ensure_ascii=False) + "\n"
        for name, tasks in questions.items()
    ]
    (folder / BENCH).write_text("".join(lines), encoding="utf-8")
