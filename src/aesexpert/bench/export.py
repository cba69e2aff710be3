"""Answers in the form that AesBench's authors score: they keep the right answers."""

from pathlib import Path

from aesexpert.bench.errors import BenchError
from aesexpert.bench.folder import write_json
from aesexpert.bench.runs import is_asked, read_runs
from aesexpert.taxonomy import Task


NAMES = {
    Task.PERCEPTION: "AesP",
    Task.EMPATHY: "AesE",
    Task.ASSESSMENT: "AesA1",
    Task.INTERPRETATION: "AesI",
}
"""What the authors call the tasks."""

SUBMISSION = "submission"


def export_submission(folder: str | Path, out: str | Path | None = None) -> list[Path]:
    """Writes the answers of a run as one JSON file a task: `{"baid_1.jpg": {"AesP_response": "A) Calm"}, ...}`.

    Args:
        folder (`str` or `Path`): The run folder.
        out (`str` or `Path`, *optional*): Where to write, by default `submission/` in the run folder.

    Returns:
        `list[Path]`: The files: `AesP.json`, `AesE.json`, `AesA1.json`, `AesI.json`, as far as their task was asked.

    Raises:
        `BenchError`: If the folder is no run folder, its run is unfinished or a control, or two pictures have one
            name.
    """
    folder, out = Path(folder), Path(out) if out is not None else Path(folder) / SUBMISSION
    runs = read_runs([folder])
    if not runs.runs:
        raise BenchError(f"{folder} holds no answers; run the benchmark first")
    run = runs.runs[0]
    if run.control:
        raise BenchError(
            f"{folder} is the control {run.control!r}, which answers about other pictures; export the usual run"
        )
    names = [reference.get("picture") for reference in runs.references]
    if None in names:
        raise BenchError(f"{folder} was made by a version that noted no file names; run the benchmark again")
    if len(set(names)) < len(names):
        raise BenchError(f"{folder} has two pictures of one name; the submission tells pictures by their file names")
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for task in run.tasks:
        answers = {
            reference["picture"]: {f"{NAMES[task]}_response": run.answers[reference["image_id"], task.value]}
            for reference in runs.references
            if is_asked(reference, task)
        }
        files.append(out / f"{NAMES[task]}.json")
        write_json(files[-1], answers)
    return files
