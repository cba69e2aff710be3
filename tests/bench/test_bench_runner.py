import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from aesexpert.bench.answering import Answer
from aesexpert.bench.errors import BenchError
from aesexpert.bench.items import to_items
from aesexpert.bench.model import VisionLanguageModel
from aesexpert.bench.runner import by_picture, run
from aesexpert.bench.runs import read_runs
from aesexpert.bench.sharing import PlainPrompts, SharedPrompts
from aesexpert.data.source import read_bench
from aesexpert.metrics.aesbench import read_choice
from aesexpert.taxonomy import CHOICE_TASKS, Task
from bench_helpers import read_rows, responses
from tiny_data import write_tiny_source
from tiny_models import build_tiny_llava


QUESTIONS = 4 * len(Task)


@pytest.fixture(scope="module")
def whole_run(tiny_llava: Path, tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(str(tiny_llava), tiny_source, tmp_path_factory.mktemp("runs") / "whole")


def test_every_question_is_answered_once(whole_run: Path, tiny_source: Path) -> None:
    items = to_items(read_bench(tiny_source / "bench.jsonl"))
    assert set(responses(whole_run)) == {item.key for item in items}
    prompts = {item.key: item.prompt for item in items}
    assert all(row["prompt"] == prompts[row["image_id"], row["task"]] for row in read_rows(whole_run))
    assert len(set(responses(whole_run).values())) > QUESTIONS / 2, (
        "the tiny model should not say the same of everything"
    )


def test_run_tells_what_it_was(whole_run: Path, tiny_llava: Path) -> None:
    recorded = json.loads((whole_run / "run.json").read_text())
    assert (recorded["model"], recorded["data"], recorded["control"]) == (str(tiny_llava), "tiny-bench", None)
    assert recorded["settings"]["dtype"] == "float32"
    assert recorded["settings"]["scoring"] == "generate"
    assert recorded["settings"]["max_new_tokens"]["interpretation"] == 256
    assert set(recorded["versions"]) == {"aesexpert", "torch", "transformers"}


@pytest.mark.parametrize("batch_size", [1, 3])
def test_batch_size_does_not_matter(
    whole_run: Path, tiny_llava: Path, tiny_source: Path, tmp_path: Path, batch_size: int
) -> None:
    assert responses(run(str(tiny_llava), tiny_source, tmp_path, batch_size=batch_size)) == responses(whole_run)


def test_other_architectures_run_too(tiny_idefics3: Path, tiny_source: Path, tmp_path: Path) -> None:
    one, four = (run(str(tiny_idefics3), tiny_source, tmp_path / str(size), batch_size=size) for size in (1, 4))
    assert responses(one) == responses(four)


def test_finished_run_is_left_alone(whole_run: Path, tiny_llava: Path, tiny_source: Path) -> None:
    before = (whole_run / "answers.jsonl").read_bytes()
    run(str(tiny_llava), tiny_source, whole_run)
    assert (whole_run / "answers.jsonl").read_bytes() == before


@pytest.mark.parametrize("kept", [0, 1, 7, QUESTIONS - 1])
def test_torn_run_goes_on(whole_run: Path, tiny_llava: Path, tiny_source: Path, tmp_path: Path, kept: int) -> None:
    folder = Path(shutil.copytree(whole_run, tmp_path / "torn"))
    lines = (whole_run / "answers.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "answers.jsonl").write_bytes(b"".join(lines[:kept]) + lines[kept][: len(lines[kept]) // 2])
    run(str(tiny_llava), tiny_source, folder)
    assert responses(folder) == responses(whole_run)
    assert (folder / "answers.jsonl").read_bytes().splitlines()[:kept] == [line[:-1] for line in lines[:kept]]


def test_killed_run_goes_on(whole_run: Path, tiny_llava: Path, tiny_source: Path, tmp_path: Path) -> None:
    command = ["bench", "run", "--model", str(tiny_llava), "--data", str(tiny_source), "--out", str(tmp_path)]
    process = subprocess.Popen([sys.executable, "-m", "aesexpert", *command, "--batch-size", "1"])
    answers, deadline = tmp_path / "answers.jsonl", time.monotonic() + 120
    while not answers.exists() or answers.read_bytes().count(b"\n") < 3:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 3 <= answers.read_bytes().count(b"\n") < QUESTIONS
    run(str(tiny_llava), tiny_source, tmp_path)
    assert responses(tmp_path) == responses(whole_run)


def test_tasks_can_be_added_later(whole_run: Path, tiny_llava: Path, tiny_source: Path, tmp_path: Path) -> None:
    run(str(tiny_llava), tiny_source, tmp_path, tasks=[Task.EMPATHY])
    assert {task for _, task in responses(tmp_path)} == {"empathy"}
    run(str(tiny_llava), tiny_source, tmp_path)
    assert responses(tmp_path) == responses(whole_run)


def test_control_changes_pictures_only(whole_run: Path, tiny_llava: Path, tiny_source: Path, tmp_path: Path) -> None:
    swapped = responses(run(str(tiny_llava), tiny_source, tmp_path, control="swapped"))
    usual = responses(whole_run)
    assert set(swapped) == set(usual)
    assert swapped != usual
    assert json.loads((tmp_path / "run.json").read_text())["control"] == "swapped"


def test_folder_of_another_run_is_left_alone(
    whole_run: Path, tiny_llava: Path, tiny_source: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(whole_run, tmp_path / "run"))
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    other_model = build_tiny_llava(tmp_path / "other-model", seed=1)
    other_data = write_tiny_source(tmp_path / "other-data")
    (other_data / "bench.jsonl").write_text((tiny_source / "bench.jsonl").read_text().replace("calm", "soothe"))
    with pytest.raises(BenchError, match=r"run\.json belongs to another run \(model: .*tiny-llava.*now .*other-model"):
        run(str(other_model), tiny_source, folder)
    with pytest.raises(BenchError, match=r"belongs to another run \(data: 'tiny-bench' .*now 'other-data'"):
        run(str(tiny_llava), other_data, folder)
    with pytest.raises(BenchError, match="control: None, now 'swapped'"):
        run(str(tiny_llava), tiny_source, folder, control="swapped")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_damaged_picture_is_named(tiny_llava: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_tiny_source(tmp_path / "source")
    records = read_bench(source / "bench.jsonl")
    monkeypatch.setattr("aesexpert.bench.runner.read_bench", lambda file: records)
    content = records[0].picture.path.read_bytes()
    records[0].picture.path.write_bytes(content[: len(content) // 2])
    with pytest.raises(BenchError, match=rf"{records[0].picture.path.name}: not a whole picture"):
        run(str(tiny_llava), source, tmp_path / "run")


def test_answers_are_on_disk_as_they_are_given(
    tiny_llava: Path, tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def write(model: VisionLanguageModel, inputs: dict[str, Any], *args: object, **kwargs: object) -> list[Answer]:
        file = tmp_path / "answers.jsonl"
        seen.append(len(read_rows(tmp_path)) if file.exists() else 0)
        return [Answer("A")] * len(inputs["input_ids"])

    monkeypatch.setattr("aesexpert.bench.runner.write_answers", write)
    run(str(tiny_llava), tiny_source, tmp_path, batch_size=3)
    assert seen == [0, 9, 12, 15]


def test_pictures_of_like_questions_come_together(tiny_source: Path) -> None:
    items = to_items(read_bench(tiny_source / "bench.jsonl"))
    groups = by_picture(items)
    assert sorted(item.key for group in groups for item in group) == sorted(item.key for item in items)
    assert all(len({item.image_id for item in group}) == 1 for group in groups)
    lengths = [max(len(item.prompt) for item in group) for group in groups]
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize("prompts_class", [SharedPrompts, PlainPrompts])
def test_shared_and_plain_batches_answer_alike(
    whole_run: Path,
    tiny_llava: Path,
    tiny_source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prompts_class: type,
) -> None:
    monkeypatch.setattr("aesexpert.bench.runner.choose_prompts", lambda *args: prompts_class)
    assert responses(run(str(tiny_llava), tiny_source, tmp_path, batch_size=3)) == responses(whole_run)


def test_choices_end_with_their_line_and_descriptions_do_not(whole_run: Path) -> None:
    by_task = {task: [row["response"] for row in read_rows(whole_run) if row["task"] == task] for task in Task}
    assert not any("\n" in response for task in CHOICE_TASKS for response in by_task[task])
    assert any("\n" in response for response in by_task[Task.INTERPRETATION])


@pytest.fixture(scope="module")
def likelihood_run(tiny_llava: Path, tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(str(tiny_llava), tiny_source, tmp_path_factory.mktemp("runs") / "likelihood", scoring="logits")


def test_likelihoods_choose_options_and_stand_in_the_answers(
    likelihood_run: Path, whole_run: Path, tiny_source: Path
) -> None:
    items = {item.key: item for item in to_items(read_bench(tiny_source / "bench.jsonl"))}
    for row in read_rows(likelihood_run):
        item = items[row["image_id"], row["task"]]
        if not item.options:
            assert "probabilities" not in row
            assert row["response"] == responses(whole_run)[item.key]
            continue
        assert list(row["probabilities"]) == list("ABCD"[: len(item.options)])
        letter = max(row["probabilities"], key=row["probabilities"].get)
        assert row["response"] == f"{letter}) {item.options['ABCD'.index(letter)]}"
        assert read_choice(row["response"], item.options) == "ABCD".index(letter)
        assert 0 < sum(row["probabilities"].values()) <= 1


def test_likelihood_run_goes_on_where_it_stopped(
    likelihood_run: Path, tiny_llava: Path, tiny_source: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(likelihood_run, tmp_path / "torn"))
    lines = (likelihood_run / "answers.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "answers.jsonl").write_bytes(b"".join(lines[:5]))
    run(str(tiny_llava), tiny_source, folder, scoring="logits", batch_size=1)
    assert responses(folder) == responses(likelihood_run)


def test_folder_is_not_continued_under_another_scoring(
    whole_run: Path, likelihood_run: Path, tiny_llava: Path, tiny_source: Path
) -> None:
    before = (whole_run / "answers.jsonl").read_bytes()
    with pytest.raises(BenchError, match="scoring: 'generate', now 'logits'"):
        run(str(tiny_llava), tiny_source, whole_run, scoring="logits")
    with pytest.raises(BenchError, match="scoring: 'logits', now 'generate'"):
        run(str(tiny_llava), tiny_source, likelihood_run)
    assert (whole_run / "answers.jsonl").read_bytes() == before


def test_a_run_by_likelihood_is_called_so_in_reports(whole_run: Path, likelihood_run: Path) -> None:
    assert [run.name for run in read_runs([whole_run, likelihood_run]).runs] == ["tiny-llava", "tiny-llava (logits)"]
