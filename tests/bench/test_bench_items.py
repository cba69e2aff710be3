import json
from pathlib import Path

import pytest

from aesexpert.bench.errors import BenchError
from aesexpert.bench.items import bench_file, data_fingerprint, data_name, to_items, to_reference
from aesexpert.data.source import read_bench
from aesexpert.taxonomy import Task
from tiny_data import write_tiny_source


def rewrite(file: Path, change: dict[str, object]) -> None:
    """Changes the first row of a benchmark file; `None` removes a key."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[0] = {key: value for key, value in {**rows[0], **change}.items() if value is not None}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_folder_means_its_bench_file(tiny_source: Path) -> None:
    assert bench_file(tiny_source) == tiny_source / "bench.jsonl"
    assert bench_file(str(tiny_source / "bench.jsonl")) == tiny_source / "bench.jsonl"
    assert data_name(tiny_source / "bench.jsonl") == "tiny-bench"
    assert data_name(tiny_source / "flaws.jsonl") == "tiny-bench-flaws"
    with pytest.raises(BenchError, match=r"bench\.jsonl is missing"):
        bench_file(tiny_source / "images")


def test_every_task_of_every_picture_is_asked(tiny_source: Path) -> None:
    items = to_items(read_bench(tiny_source / "bench.jsonl"))
    assert len({item.key for item in items}) == len(items) == 4 * len(Task)
    assert all(item.picture.stem == item.image_id for item in items)
    assert items[0].prompt.startswith("Which colour fills the frame? Choose one from the following options:\nA) ultra")


def test_chosen_tasks_alone_are_asked(tiny_source: Path) -> None:
    records = read_bench(tiny_source / "bench.jsonl")
    assert {item.task for item in to_items(records, [Task.EMPATHY])} == {Task.EMPATHY}
    with pytest.raises(BenchError, match="asks nothing"):
        to_items(records, [])


def test_control_asks_the_same_about_other_pictures(tiny_source: Path) -> None:
    records = read_bench(tiny_source / "bench.jsonl")
    usual, swapped = to_items(records), to_items(records, control="swapped")
    assert [(item.key, item.prompt) for item in usual] == [(item.key, item.prompt) for item in swapped]
    assert all(mine.picture != other.picture for mine, other in zip(usual, swapped, strict=True))
    by_picture = {item.image_id: item.picture for item in swapped}
    assert all(item.picture == by_picture[item.image_id] for item in swapped)
    with pytest.raises(BenchError, match="`control` is 'upside-down'"):
        to_items(records, control="upside-down")


def test_picture_may_lack_tasks_and_answers(tmp_path: Path) -> None:
    folder = write_tiny_source(tmp_path / "source")
    question = {"question": "Calm?", "options": ["Yes", "No"]}
    rewrite(folder / "bench.jsonl", {"perception": None, "interpretation": None, "empathy": question})
    record = read_bench(folder / "bench.jsonl")[0]
    assert [item.task for item in to_items([record])] == [Task.EMPATHY, Task.ASSESSMENT]
    reference = to_reference(record)
    assert reference["perception"] == {"answer": "", "options": [], "dimension": "", "question_type": ""}
    assert reference["empathy"] == {"answer": "", "options": ["Yes", "No"], "dimension": "", "question_type": ""}
    assert reference["assessment"]["answer"] == "Low"
    assert reference["interpretation"] is None
    assert reference["source"] == "NI"


def test_fingerprint_sees_questions_and_pictures(tmp_path: Path) -> None:
    folder = write_tiny_source(tmp_path / "source")
    file = folder / "bench.jsonl"
    first = data_fingerprint(file, read_bench(file))
    assert data_fingerprint(file, read_bench(file)) == first
    picture = read_bench(file)[0].picture.path
    picture.write_bytes(picture.read_bytes() + b"\xff\xd9")
    second = data_fingerprint(file, read_bench(file))
    rewrite(file, {"interpretation": {"question": "Describe it."}})
    third = data_fingerprint(file, read_bench(file))
    assert len({first, second, third}) == 3
