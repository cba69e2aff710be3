"""Judging AesI: rounds, averages, agreement, and the report that then has an overall score."""

import itertools
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from aesexpert.bench import BenchError, read_results, write_report
from aesexpert.bench.agreement import agreement, length_dependence
from aesexpert.bench.folder import append_answers
from aesexpert.bench.items import to_reference
from aesexpert.bench.judge import ROUNDS, Judgement, to_judge
from aesexpert.cli import main
from aesexpert.data.source import read_bench
from aesexpert.taxonomy import Criterion, Task
from bench_helpers import make_run
from fake_openai import MODEL, Config, serve
from tiny_data import read_json_lines


ANSWERS = 4


@pytest.fixture
def run(tiny_source: Path, tmp_path: Path) -> Path:
    records = read_bench(tiny_source / "bench.jsonl")
    answers = {}
    for number, record in enumerate(records):
        for task in Task:
            answers[record.image_id, task.value] = "calm " * (number + 1) if task is Task.INTERPRETATION else "A"
    return make_run(tmp_path / "run", [to_reference(record) for record in records], answers)


def judge(url: str, folder: Path, *more: str) -> None:
    main(["bench", "judge", str(folder), "--model", MODEL, "--base-url", url, *more])


def write_scores(body: dict[str, Any], rng: random.Random) -> str:
    """The more words the better, with one score that changes from round to round."""
    text = body["messages"][0]["content"]
    words = len(re.search(r"<description>\n(.*?)\n</description>", text, re.S)[1].split())
    return json.dumps({"relevance": min(2, words // 2), "precision": rng.randint(0, 2), "completeness": 1})


def test_every_answer_is_judged_in_five_rounds_and_averaged(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(Config(p500=0.1, pbad=0.1)) as (url, server):
        server.writer = write_scores
        judge(url, run)
        assert server.total["good"] == len(server.by_id) == ROUNDS * ANSWERS
        judge(url, run)
        assert server.total["good"] == ROUNDS * ANSWERS
    rows = read_json_lines(run / "judgements.jsonl")
    assert len(rows) == ANSWERS
    for row in rows:
        assert len(row["rounds"]) == ROUNDS
        for criterion in Criterion:
            scores = [scores[criterion] for scores in row["rounds"]]
            assert row[criterion] == pytest.approx(sum(scores) / ROUNDS)
    assert [row["relevance"] for row in rows] == [0, 1, 1, 2]
    summary = json.loads((run / "judge.json").read_text())
    mean = sum(row[criterion] for row in rows for criterion in Criterion) / (3 * ANSWERS)
    assert summary["interpretation"] == pytest.approx(mean)
    assert f"AesI {mean:.3f} of 2 over 4 answers" in capsys.readouterr().out
    assert summary["agreement"]["relevance"] == {"standard_deviation": 0.0, "alpha": 1.0}
    assert summary["agreement"]["precision"]["standard_deviation"] > 0
    assert summary["agreement"]["precision"]["alpha"] < 1.0
    assert summary["agreement"]["completeness"] == {"standard_deviation": 0.0, "alpha": None}
    assert summary["length"]["mean_words"] == 2.5


def test_the_report_then_has_an_overall_score(run: Path) -> None:
    assert read_results([run]).rows[0].overall is None
    with serve() as (url, server):
        server.writer = write_scores
        judge(url, run)
    row = write_report([run]).rows[0]
    judged = json.loads((run / "judge.json").read_text())["interpretation"]
    assert row.interpretation == pytest.approx(judged)
    choices = [row.metric[task.value] for task in Task if task is not Task.INTERPRETATION]
    assert row.overall == pytest.approx((sum(choices) + judged) / 4)
    report = (run / "report.md").read_text()
    assert "AesI: interpretation (Table 7)" in report
    assert MODEL in report
    assert "not judged" not in report
    table = json.loads((run / "report.json").read_text())["rows"][0]
    assert table["judge"]["judge"] == MODEL
    assert "interpretation,criterion,precision" in (run / "report.csv").read_text()


def test_judgements_of_answers_that_changed_do_not_count(run: Path) -> None:
    with serve() as (url, server):
        server.writer = write_scores
        judge(url, run)
        lines = (run / "answers.jsonl").read_text().replace('"calm calm "', '"dull dull "')
        (run / "answers.jsonl").write_text(lines)
        assert read_results([run]).rows[0].metric["interpretation/n"] == ANSWERS - 1
        asked = server.total["asked"]
        judge(url, run)
        assert server.total["asked"] == asked + ROUNDS
    assert read_results([run]).rows[0].metric["interpretation/n"] == ANSWERS


def test_a_judge_that_talks_is_recorded_as_failed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve() as (url, server):
        server.writer = lambda body, rng: "Both are lovely."
        with pytest.raises(SystemExit):
            judge(url, run)
    assert "no usable judgement" in capsys.readouterr().err
    assert read_results([run]).rows[0].overall is None


def test_judging_in_batches(run: Path) -> None:
    with serve(Config(batch_seconds=0.05)) as (url, server):
        server.writer = write_scores
        judge(url, run, "--batch")
        assert server.total["batch"] == ROUNDS * ANSWERS
    assert read_results([run]).rows[0].overall is not None


def test_a_dry_run_asks_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["bench", "judge", str(run), "--model", "gpt-4o", "--dry-run"])
    printed = capsys.readouterr().out
    assert printed.startswith(f"{ROUNDS * ANSWERS} requests")
    assert "<reference>\nA white surface of even light" in printed or "<reference>\nA " in printed


def test_nothing_to_judge_is_said(tiny_source: Path, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="is no run folder"):
        to_judge(tmp_path)
    records = read_bench(tiny_source / "bench.jsonl")
    references = [{**to_reference(record), "interpretation": ""} for record in records]
    answers = {(record.image_id, "interpretation"): "calm" for record in records}
    with pytest.raises(BenchError, match="has nothing to judge"):
        to_judge(make_run(tmp_path / "bare", references, answers))
    folder = make_run(tmp_path / "none", [to_reference(record) for record in records], {})
    append_answers(folder, [{"image_id": records[0].image_id, "task": "empathy", "prompt": "?", "response": "A"}])
    with pytest.raises(BenchError, match="has nothing to judge"):
        to_judge(folder)


@pytest.mark.parametrize(("written", "read"), [(2, 2), ("1", 1), (0.0, 0), ("2.0", 2)])
def test_scores_are_read_as_numbers(written: object, read: int) -> None:
    assert Judgement(relevance=written, precision=0, completeness=0).relevance == read  # type: ignore[arg-type]


@pytest.mark.parametrize("written", [3, -1, 1.5, "high", None, float("nan"), float("inf"), True * 5])
def test_other_scores_are_refused(written: object) -> None:
    with pytest.raises(ValueError, match="relevance"):
        Judgement(relevance=written, precision=0, completeness=0)  # type: ignore[arg-type]


def alpha_by_hand(scores: list[list[int]]) -> float:
    """Krippendorff's alpha for interval data, straight from its definition: pairs within answers, and pairs in all."""
    within = sum(
        sum((one - other) ** 2 for one, other in itertools.permutations(answer, 2)) / (len(answer) - 1)
        for answer in scores
    )
    everything = [score for answer in scores for score in answer]
    between = sum((one - other) ** 2 for one, other in itertools.permutations(everything, 2)) / (len(everything) - 1)
    return 1 - within / between


def test_alpha_is_what_its_definition_says() -> None:
    rng = random.Random(0)
    scores = [[rng.choice([level, 1, 2]) for _ in range(ROUNDS)] for level in (0, 0, 1, 2, 2, 1)]
    scores.append([0, 2, 1])
    rounds = [[dict.fromkeys(Criterion, score) for score in answer] for answer in scores]
    found = agreement(rounds)["relevance"]["alpha"]
    assert found == pytest.approx(alpha_by_hand(scores))


def test_the_dependence_on_length() -> None:
    assert length_dependence(["a", "a b", "a b c"], [0.0, 1.0, 2.0]) == {
        "correlation": pytest.approx(1),
        "mean_words": 2,
    }
    assert length_dependence(["a", "a b"], [1.0, 1.0])["correlation"] is None
