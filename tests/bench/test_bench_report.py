import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aesexpert.bench.errors import BenchError
from aesexpert.bench.figures import radar_axes
from aesexpert.bench.folder import write_json
from aesexpert.bench.markdown import NOTHING, overview, render
from aesexpert.bench.report import write_report
from aesexpert.bench.results import read_results
from aesexpert.bench.scores import Group
from aesexpert.metrics.aesbench import aesbench_scores
from bench_helpers import check_snapshot, make_run


PICTURES = ["pond", "hill", "tower", "portrait", "robot", "nebula"]
SOURCES = ["NI", "NI", "NI", "AI", "AGI", "AGI"]
GRADES = ["High", "High", "Medium", "Low", "High", "Low"]
PERCEPTION = ["technical quality", "color and light", "composition", "content", "color and light", "sharpness"]
EMPATHY = ["emotion", "interest", "uniqueness", "vibe", "emotion", "emotion"]
TYPES = ["yes-no", "what", "how", "why", "what", "yes-no"]
CHOICE = ("perception", "empathy", "assessment")

Answers = dict[tuple[str, str], str]


def question(answer: str, options: list[str], dimension: str = "", question_type: str = "") -> dict[str, Any]:
    return {"answer": answer, "options": options, "dimension": dimension, "question_type": question_type}


def reference(number: int) -> dict[str, Any]:
    name, kind = PICTURES[number], TYPES[number]
    options = ["Yes", "No"] if kind == "yes-no" else [f"a dull {name}", f"a {name} in light", "nothing"]
    return {
        "image_id": name,
        "source": SOURCES[number],
        "perception": question(options[1], options, PERCEPTION[number], kind),
        "empathy": question(options[number % 2], options, EMPATHY[number], kind),
        "assessment": question(GRADES[number], ["High", "Medium", "Low"]),
        "interpretation": f"A {name}.",
    }


REFERENCES = [reference(number) for number in range(len(PICTURES))]


def answers(choose: Callable[[int, list[str], str], str], references: list[dict[str, Any]] = REFERENCES) -> Answers:
    """The answers of a model that chooses by the question's number, options and right answer."""
    chosen = {}
    for number, entry in enumerate(references):
        for task in CHOICE:
            if entry[task]["options"]:
                chosen[entry["image_id"], task] = choose(number, entry[task]["options"], entry[task]["answer"])
        if entry["interpretation"] is not None:
            chosen[entry["image_id"], "interpretation"] = "A fine picture."
    return chosen


def right(number: int, options: list[str], answer: str) -> str:
    return f"{'ABC'[options.index(answer)]}) {answer}"


def wrong(number: int, options: list[str], answer: str) -> str:
    other = (options.index(answer) + 1) % len(options)
    return f"{'ABC'[other]}) {options[other]}"


def often_right(number: int, options: list[str], answer: str) -> str:
    if number == 3:
        return "I would rather not say."
    return (wrong if number == 1 else right)(number, options, answer)


def write_loss(folder: Path, loss: float, **identity: Any) -> None:
    run = {"model": "models/painter", "model_fingerprint": "a" * 64, "control": None}
    run |= {"data": "aesmmit/validation", "data_fingerprint": "f" * 64}
    write_json(
        folder / "loss.json",
        {
            "run": {**run, **identity},
            "overall": {"loss": loss, "tokens": 900, "instructions": 40},
            "kinds": {"description": {"loss": loss + 0.5, "tokens": 700, "instructions": 10}},
        },
    )


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    painter = make_run(tmp_path / "painter", REFERENCES, answers(often_right))
    critic = make_run(
        tmp_path / "critic", REFERENCES, answers(right), model="OWNER/critic", model_fingerprint="c" * 64
    )
    swapped = make_run(tmp_path / "swapped", REFERENCES, answers(wrong), control="swapped")
    write_loss(painter, 1.25)
    write_loss(swapped, 1.5, control="swapped")
    return [painter, critic, swapped]


def test_report_is_unchanged_to_the_character(folders: list[Path], tmp_path: Path) -> None:
    write_report(folders, tmp_path / "out")
    for name in ("report.md", "report.csv"):
        check_snapshot(f"reports/{name}", (tmp_path / "out" / name).read_text(encoding="utf-8"))


def test_report_of_the_same_folders_has_the_same_bytes(folders: list[Path], tmp_path: Path) -> None:
    write_report(folders, tmp_path / "out", paper=True)
    names = {"report.md", "report.csv", "report.json", "radar.png"}
    first = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    assert set(first) == names
    write_report(folders, tmp_path / "out", paper=True)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in names} == first


def test_report_goes_into_the_first_folder(folders: list[Path]) -> None:
    write_report(folders[1:])
    assert (folders[1] / "report.md").is_file()


def test_accuracies_are_the_metrics(folders: list[Path]) -> None:
    for row in read_results(folders).rows:
        for group, score in row.scores.items():
            if group.by in ("all", "dimension", "source", "question_type") and group.task != "choice":
                label = group.label.replace(" ", "_") if group.by == "dimension" else group.label
                key = group.task if group.by == "all" else f"{group.task}/{group.by}/{label}"
                assert row.metric[key] == pytest.approx(score.value), key
                assert row.metric[f"{key}/n"] == score.n, key
        for task in CHOICE:
            assert row.metric[f"{task}/unparsed"] == row.unreadable[Group(task, "all", "")]


def test_all_choice_questions_count_together(folders: list[Path]) -> None:
    painter, critic, swapped = read_results(folders).rows[:3]
    everything = Group("choice", "all", "")
    assert (painter.scores[everything].n, painter.value(everything), painter.unreadable[everything]) == (
        18,
        12 / 18,
        3,
    )
    assert (critic.value(everything), swapped.value(everything)) == (1.0, 0.0)
    assert swapped.name == "painter (swapped)"


def test_fixed_answers_have_accuracies_of_their_own(folders: list[Path]) -> None:
    painter = read_results(folders).rows[0]
    by_answer = {group.label: score for group, score in painter.scores.items() if group.by == "answer"}
    assert {group.task for group in painter.scores if group.by == "answer"} == {"assessment"}
    assert {label: (score.n, score.value) for label, score in by_answer.items()} == {
        "High": (3, pytest.approx(2 / 3)),
        "Medium": (1, 1.0),
        "Low": (2, 0.5),
    }


def test_unknown_labels_are_kept(folders: list[Path]) -> None:
    labels = [group.label for group in read_results(folders).groups if group[:2] == ("perception", "dimension")]
    assert labels == ["technical quality", "color and light", "composition", "content", "sharpness"]


def test_baselines_are_what_their_rules_say(folders: list[Path]) -> None:
    rows = {row.name: row for row in read_results(folders).rows}
    frequent, longest = rows["most frequent answer"], rows["longest option"]
    # yes-no: "No" twice of two; the others have options of their own, and their letter is B four times of four
    assert frequent.value(Group("perception", "all", "")) == 1.0
    # yes-no: Yes, then No, so "Yes"; the others: B, A, B, A, so the first, A
    assert frequent.value(Group("empathy", "all", "")) == pytest.approx(3 / 6)
    assert frequent.value(Group("assessment", "all", "")) == pytest.approx(3 / 6)
    # "Medium", which is right once
    assert longest.value(Group("assessment", "all", "")) == pytest.approx(1 / 6)
    assert frequent.interpretation is None
    assert frequent.overall is None


def test_papers_rows_are_ranked_and_ours_are_not_judged(folders: list[Path], tmp_path: Path) -> None:
    results = write_report(folders, tmp_path / "out", paper=True)
    assert results.ranks == [None] * 5 + list(range(1, 20))
    main = (tmp_path / "out" / "report.md").read_text(encoding="utf-8").split("## All choice")[0].splitlines()
    cells = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[1:-1]] for line in main if "|" in line
    }
    assert cells["painter"][-3:] == ["not judged", NOTHING, NOTHING]
    assert cells["AesExpert (L-13B)"][1:6] == ["70.83", "80.63", "81.75", "76.60", "79.54"]
    assert cells["AesExpert (L-13B)"][6:11] == ["82.94", "80.65", "93.10", "88.56", "84.89"]
    assert cells["AesExpert (L-13B)"][11:] == ["59.57", "1.340", "89.50", "1"]
    assert cells["TinyGPT-V"][-2:] == ["42.36", "19"]


def test_json_holds_everything(folders: list[Path], tmp_path: Path) -> None:
    write_report(folders, tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["data"] == {"name": "gallery", "pictures": 6, "not_scored": 0}
    painter = report["rows"][0]
    assert (painter["name"], painter["kind"], painter["control"], painter["rank"]) == ("painter", "run", None, None)
    assert painter["metric"]["perception/n"] == 6
    score = next(entry for entry in painter["scores"] if entry["task"] == "choice")
    assert (score["n"], score["unreadable"]) == (18, 3)
    assert score["low"] < score["value"] < score["high"]
    assert [loss["loss"] for loss in report["response_loss"]] == [1.25, 1.75, 1.5, 2.0]


def test_csv_has_a_line_for_every_number(folders: list[Path], tmp_path: Path) -> None:
    results = write_report(folders, tmp_path / "out", paper=True)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "report.csv").read_text(encoding="utf-8"))))
    assert len(rows) == sum(len(row.scores) for row in results.rows) + 2 * 19 + len(results.losses)
    assert {row["kind"] for row in rows} == {"run", "baseline", "paper"}


def test_file_of_one_task_shows_that_task_alone(tmp_path: Path) -> None:
    blank = {"empathy": question("", []), "assessment": question("", []), "interpretation": None}
    references = [
        {**entry, **blank, "perception": question(grade, ["blur", "noise", "tilt"], "technical quality", "what")}
        for entry, grade in zip(REFERENCES, ["blur", "noise", "noise", "tilt", "blur", "noise"], strict=True)
    ]
    folder = make_run(tmp_path / "run", references, answers(right, references), data="gallery-flaws")
    results = write_report([folder])
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "AesE" not in text
    assert "Overall |" not in text
    assert "## All choice questions" not in text
    assert not (folder / "radar.png").exists()
    by_answer = [group.label for group in results.groups if group.by == "answer"]
    assert by_answer == ["blur", "noise", "tilt"]
    assert "By reference answer:" in text
    assert results.rows[1].value(Group("perception", "all", "")) == 0.5, "the most frequent answer is noise"


def test_questions_without_an_answer_are_not_scored(tmp_path: Path) -> None:
    references = [{**entry, "assessment": {**entry["assessment"], "answer": ""}} for entry in REFERENCES]
    references[0] = {**references[0], "perception": {**references[0]["perception"], "answer": ""}}
    folder = make_run(tmp_path / "run", references, answers(lambda number, options, answer: "A", references))
    results = write_report([folder])
    assert results.not_scored == 7
    assert results.rows[0].scores[Group("perception", "all", "")].n == 5
    assert not any(group.task == "assessment" for group in results.groups)
    assert "7 choice questions have no reference answer" in (folder / "report.md").read_text(encoding="utf-8")


def test_nothing_scored_is_no_error(tmp_path: Path) -> None:
    references = [{**entry, **{task: {**entry[task], "answer": ""} for task in CHOICE}} for entry in REFERENCES]
    folder = make_run(tmp_path / "run", references, answers(lambda number, options, answer: "A", references))
    results = write_report([folder])
    assert results.not_scored == 18
    assert "18 choice questions" in (folder / "report.md").read_text(encoding="utf-8")


def test_tasks_not_asked_are_not_wrong(folders: list[Path], tmp_path: Path) -> None:
    asked = {key: answer for key, answer in answers(right).items() if key[1] == "empathy"}
    folder = make_run(tmp_path / "part", REFERENCES, asked, model="part", model_fingerprint="d" * 64)
    row = read_results([folders[0], folder]).rows[1]
    assert {group.task for group in row.scores} == {"empathy", "choice"}
    assert row.scores[Group("choice", "all", "")].n == 6
    assert row.metric["empathy"] == 1.0
    alone = read_results([folder])
    assert {group.task for group in alone.groups} == {"empathy", "choice"}


def test_loss_alone_can_be_reported(tmp_path: Path) -> None:
    (tmp_path / "loss").mkdir()
    write_loss(tmp_path / "loss", 0.75)
    results = write_report([tmp_path / "loss"])
    assert not results.rows
    assert "0.7500 (900 / 40)" in overview(results)
    assert "0.7500 (900 / 40)" in (tmp_path / "loss" / "report.md").read_text(encoding="utf-8")


def test_equally_named_models_are_told_apart(tmp_path: Path) -> None:
    first, second = (
        make_run(tmp_path / name, REFERENCES, answers(right), model=f"{name}/painter", model_fingerprint=name * 32)
        for name in ("monday", "tuesday")
    )
    assert [row.name for row in read_results([first, second, first]).rows[:2]] == [
        "painter [monday]",
        "painter [tuesday]",
    ]


def test_runs_over_different_data_are_refused(folders: list[Path], tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", REFERENCES, answers(right), data_fingerprint="e" * 64)
    with pytest.raises(BenchError, match=r"runs over different data .*painter: gallery \(b+\).*other: gallery \(e+\)"):
        read_results([*folders, other])


def test_losses_over_different_data_are_refused(folders: list[Path]) -> None:
    write_loss(folders[1], 1.0, model="OWNER/critic", model_fingerprint="c" * 64, data_fingerprint="e" * 64)
    with pytest.raises(BenchError, match="over different data"):
        read_results(folders)


def test_unfinished_runs_are_refused(tmp_path: Path) -> None:
    given = answers(right)
    del given["pond", "empathy"], given["hill", "empathy"]
    folder = make_run(tmp_path / "part", REFERENCES, given)
    with pytest.raises(BenchError, match="part is unfinished: 2 of 6 empathy answers are missing; run it again"):
        read_results([folder])
    empty = make_run(tmp_path / "empty", REFERENCES, {})
    with pytest.raises(BenchError, match="empty has no answers yet"):
        read_results([empty])


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"is no run folder: it has neither run\.json nor loss\.json"):
        read_results([tmp_path])
    with pytest.raises(BenchError, match="no run folder was named"):
        write_report([])


def test_radar_has_an_axis_for_everything_asked(folders: list[Path]) -> None:
    axes = radar_axes(read_results(folders))
    assert [group.label for group in axes[:4]] == ["technical quality", "color and light", "composition", "content"]
    assert len(axes) == 9
    assert axes[-1].task == "assessment"


def test_table_escapes_what_would_break_it() -> None:
    assert render(["a|b", "n"], [["x", "1"]]) == "| a\\|b |   n |\n| ---- | --: |\n| x    |   1 |"


def test_metric_reads_what_run_folders_keep() -> None:
    """References serve the metric as they are, but for the name of the picture and the text for the judge."""
    kept = [{key: entry[key] for key in (*CHOICE, "source")} for entry in REFERENCES]
    not_judged = dict.fromkeys(("relevance", "precision", "completeness"))
    predictions = [{**dict.fromkeys(CHOICE, "A"), "interpretation": not_judged} for _ in kept]
    assert aesbench_scores(predictions, kept)["overall"] is None
