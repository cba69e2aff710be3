"""The files that AesBench's authors score."""

import json
from pathlib import Path
from typing import Any

import pytest

from aesexpert.bench.errors import BenchError
from aesexpert.bench.export import export_submission
from bench_helpers import make_run


TASKS = ("perception", "empathy", "assessment", "interpretation")


def reference(name: str, tasks: tuple[str, ...] = TASKS) -> dict[str, Any]:
    """A picture of the benchmark as it is published: questions without answers."""
    choices = {
        task: {"answer": "", "options": ["Yes", "No"] if task in tasks else [], "dimension": "", "question_type": ""}
        for task in TASKS[:3]
    }
    shared = {"image_id": name, "picture": f"{name}.jpg", "source": "AI"}
    return {**shared, **choices, "interpretation": "" if "interpretation" in tasks else None}


def answers(*names: str, tasks: tuple[str, ...] = TASKS) -> dict[tuple[str, str], str]:
    return {(name, task): f"A) {name} — {task}" for name in names for task in tasks}


def test_four_files_by_picture(tmp_path: Path):
    names = ["baid_1", "para_2"]
    run = make_run(tmp_path / "run", [reference(name) for name in names], answers(*names))
    files = export_submission(run)
    assert [file.name for file in files] == ["AesP.json", "AesE.json", "AesA1.json", "AesI.json"]
    assert json.loads((run / "submission" / "AesA1.json").read_text(encoding="utf-8")) == {
        "baid_1.jpg": {"AesA1_response": "A) baid_1 — assessment"},
        "para_2.jpg": {"AesA1_response": "A) para_2 — assessment"},
    }
    assert "—" in (run / "submission" / "AesI.json").read_text(encoding="utf-8")


def test_only_what_was_asked(tmp_path: Path):
    run = make_run(tmp_path / "run", [reference("a", ("perception",))], answers("a", tasks=("perception",)))
    assert [file.name for file in export_submission(run, tmp_path / "out")] == ["AesP.json"]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"references": [reference("a"), reference("b")]}, "unfinished"),
        ({"identity": {"control": "swapped"}}, "is the control 'swapped'"),
        ({"references": [{**reference("a"), "picture": "b.jpg"}, reference("b")], "names": "ab"}, "two pictures"),
        ({"references": [{k: v for k, v in reference("a").items() if k != "picture"}]}, "run the benchmark again"),
    ],
)
def test_what_cannot_be_submitted(changes: dict[str, Any], message: str, tmp_path: Path):
    references = changes.get("references", [reference("a")])
    run = make_run(tmp_path / "run", references, answers(*changes.get("names", "a")), **changes.get("identity", {}))
    with pytest.raises(BenchError, match=message):
        export_submission(run)
    assert not (run / "submission").exists()
