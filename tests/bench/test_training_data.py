"""The report of figure 4."""

import numpy as np
import pytest
from PIL import Image

from aesexpert.bench.errors import BenchError
from aesexpert.bench.results import read_results
from aesexpert.bench.training_data import CHART, MARKDOWN, write_training_data_report
from aesexpert.cli import main
from bench_helpers import make_run


OPTIONS = ["High", "Medium", "Low"]
NONE = {"answer": "", "options": [], "dimension": "", "question_type": ""}
REFERENCES = [
    {
        "image_id": f"picture-{number}",
        "source": "NI",
        "perception": NONE,
        "empathy": NONE,
        "assessment": {"answer": OPTIONS[number % 3], "options": OPTIONS, "dimension": "", "question_type": ""},
        "interpretation": "A picture.",
    }
    for number in range(6)
]


def write_run(folder, right):
    """A run that answers the first `right` pictures rightly."""
    answers = {}
    for number, entry in enumerate(REFERENCES):
        answer = entry["assessment"]["answer"] if number < right else OPTIONS[(number + 1) % 3]
        answers[entry["image_id"], "assessment"] = answer
        answers[entry["image_id"], "interpretation"] = "Calm."
    return make_run(folder, REFERENCES, answers, model=folder.name, model_fingerprint=folder.name[0] * 64)


def test_runs_stand_side_by_side(tmp_path, capsys):
    folders = [write_run(tmp_path / "full", 5), write_run(tmp_path / "critiques", 2)]
    main(["bench", "training-data", *map(str, folders), "--out", str(tmp_path / "out")])
    text = (tmp_path / "out" / MARKDOWN).read_text()
    assert "| run | assessment accuracy |" in text
    values = {line.split(" | ")[0].strip("| "): line.split(" | ")[-1].strip(" |") for line in text.splitlines()}
    assert {values["full"], values["critiques"]} == {"83.3", "33.3"}
    assert "AesI was not judged" in text and text.strip() in capsys.readouterr().out
    pixels = np.asarray(Image.open(tmp_path / "out" / CHART).convert("RGB"))
    colours = {tuple(pixel) for pixel in pixels.reshape(-1, 3)}
    assert {(0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00)} <= colours


def test_judged_runs_show_the_three_criteria(tmp_path, monkeypatch):
    folders = [write_run(tmp_path / "full", 5), write_run(tmp_path / "critiques", 2)]
    results = read_results(folders)
    for row, judged in zip(results.rows, (1.2, 0.8), strict=False):
        row.metric.update({"interpretation": judged, "interpretation/precision": judged - 0.3})
    monkeypatch.setattr("aesexpert.bench.training_data.read_results", lambda _: results)
    columns = write_training_data_report(folders, tmp_path / "out")
    assert [column.name for column in columns] == ["AesI precision", "AesI mean", "assessment accuracy"]
    assert columns[0].values == pytest.approx((0.9, 0.5)) and columns[1].values == (1.2, 0.8)
    assert "1.200" in (tmp_path / "out" / MARKDOWN).read_text()


def test_one_run_is_no_comparison(tmp_path):
    with pytest.raises(BenchError, match="1 run, expected two or more"):
        write_training_data_report([write_run(tmp_path / "full", 5)], tmp_path / "out")
