import json
from pathlib import Path

import pytest

from aesexpert.bench.errors import BenchError
from aesexpert.bench.folder import append_answers, claim, cut_torn_line, read_answers, write_json
from bench_helpers import make_identity


ROW = {"image_id": "pond", "task": "perception", "prompt": "?", "response": "A) Yes\nindeed — “so”"}
OTHER = {**ROW, "image_id": "hill"}


def test_answers_come_back_as_they_were_given(tmp_path: Path) -> None:
    assert read_answers(tmp_path) == {}
    append_answers(tmp_path, [ROW])
    append_answers(tmp_path, [OTHER])
    assert list(read_answers(tmp_path).items()) == [
        (("pond", "perception"), ROW["response"]),
        (("hill", "perception"), ROW["response"]),
    ]


@pytest.mark.parametrize("torn", [b'{"image_id": "hi', b"\xe2\x80", json.dumps(OTHER).encode()])
def test_torn_last_line_is_passed_over_and_cut(tmp_path: Path, torn: bytes) -> None:
    append_answers(tmp_path, [ROW])
    whole = (tmp_path / "answers.jsonl").read_bytes()
    (tmp_path / "answers.jsonl").write_bytes(whole + torn)
    assert list(read_answers(tmp_path)) == [("pond", "perception")]
    cut_torn_line(tmp_path)
    assert (tmp_path / "answers.jsonl").read_bytes() == whole


@pytest.mark.parametrize("damaged", ["not JSON", '{"image_id": "hill"}', "[1, 2]", ""])
def test_damaged_line_in_the_middle_is_named(tmp_path: Path, damaged: str) -> None:
    lines = [json.dumps(ROW), damaged, json.dumps(OTHER), ""]
    (tmp_path / "answers.jsonl").write_text("\n".join(lines))
    with pytest.raises(BenchError, match=r"answers\.jsonl, line 2: not an answer"):
        read_answers(tmp_path)


def test_second_answer_is_refused(tmp_path: Path) -> None:
    append_answers(tmp_path, [ROW, OTHER, ROW])
    with pytest.raises(BenchError, match="line 3: a second answer to pond / perception"):
        read_answers(tmp_path)


def test_folder_can_be_claimed_again_by_the_same_run(tmp_path: Path) -> None:
    claim(tmp_path / "run", make_identity(), [{"image_id": "pond"}])
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    claim(tmp_path / "run", make_identity(model="elsewhere/painter", data="moved"), [{"image_id": "pond"}])
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before
    assert set(before) == {"run.json", "references.jsonl"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": "sculptor", "model_fingerprint": "c" * 64},
            r"model: 'models/painter' \(a+\), now 'sculptor' \(c+\)",
        ),
        ({"data_fingerprint": "c" * 64}, r"data: 'gallery' \(b+\), now 'gallery' \(c+\)"),
        ({"control": "swapped"}, "control: None, now 'swapped'"),
        (
            {"settings": {"dtype": "bfloat16", "max_new_tokens": {"perception": 32}}},
            "dtype: 'float32', now 'bfloat16'",
        ),
        ({"versions": {"aesexpert": "0.1.0", "torch": "3"}}, "torch: none, now '3'"),
    ],
)
def test_folder_of_another_run_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    claim(tmp_path, make_identity(), [])
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(BenchError, match=message):
        claim(tmp_path, make_identity(**changes), [])
    assert (tmp_path / "run.json").read_bytes() == before


def test_folder_with_the_loss_of_another_model_is_refused(tmp_path: Path) -> None:
    loss = {"model": "sculptor", "model_fingerprint": "c" * 64, "control": None}
    write_json(tmp_path / "loss.json", {"run": loss})
    with pytest.raises(BenchError, match=r"loss\.json belongs to another run \(model: 'sculptor'"):
        claim(tmp_path, make_identity(), [])


def test_answers_without_a_run_are_refused(tmp_path: Path) -> None:
    append_answers(tmp_path, [ROW])
    with pytest.raises(BenchError, match=r"answers\.jsonl but no run\.json"):
        claim(tmp_path, make_identity(), [])


def test_damaged_run_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(BenchError, match=r"run\.json is damaged"):
        claim(tmp_path, make_identity(), [])
