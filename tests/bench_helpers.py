"""What the benchmark's tests share: run folders written by hand, and texts that must not change unnoticed."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aesexpert.bench.folder import Identity, append_answers, claim


SNAPSHOTS = Path(__file__).parent / "snapshots"


def check_snapshot(name: str, content: str) -> None:
    """Compares a text with its snapshot, byte for byte.

    `UPDATE_SNAPSHOTS=1` writes the snapshot instead: then look at the difference before committing it.
    """
    file = SNAPSHOTS / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode())
    assert file.read_bytes().decode() == content


def read_rows(folder: Path) -> list[dict[str, str]]:
    """The lines of a run folder's answers."""
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text(encoding="utf-8").split("\n")[:-1]]


def responses(folder: Path) -> dict[tuple[str, str], str]:
    """The responses of a run folder by `image_id` and task; a question answered twice fails."""
    rows = read_rows(folder)
    by_key = {(row["image_id"], row["task"]): row["response"] for row in rows}
    assert len(by_key) == len(rows)
    return by_key


def make_identity(**changes: Any) -> Identity:
    """The identity of a run that never took place."""
    fields: dict[str, Any] = {
        "model": "models/painter",
        "model_fingerprint": "a" * 64,
        "data": "gallery",
        "data_fingerprint": "b" * 64,
        "control": None,
        "settings": {"dtype": "float32", "max_new_tokens": {"perception": 32}},
        "versions": {"aesexpert": "0.1.0"},
    }
    return Identity(**{**fields, **changes})


def make_run(
    folder: Path, references: Sequence[dict[str, Any]], answers: Mapping[tuple[str, str], str], **identity: Any
) -> Path:
    """Writes a run folder by hand."""
    claim(folder, make_identity(**identity), references)
    rows = [
        {"image_id": image_id, "task": task, "prompt": "?", "response": response}
        for (image_id, task), response in answers.items()
    ]
    append_answers(folder, rows)
    return folder
