"""What `make demo` left behind: an honest demo that still shows learning."""

import json
from pathlib import Path

import pytest


pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
FLAWS = ROOT / "reports" / "flaws" / "report.json"
WRITTEN = ROOT / "reports" / "written" / "report.json"
START, DEMO = "aesexpert-start", "aesexpert-demo"


@pytest.fixture(scope="module")
def flaws():
    return json.loads(FLAWS.read_text())


@pytest.fixture(scope="module")
def written():
    return json.loads(WRITTEN.read_text())


def row(report: dict, name: str, control: str | None = None) -> dict:
    """A model's row of a report."""
    label = f"{name} ({control})" if control else name
    (found,) = [row for row in report["rows"] if (row["name"], row["control"]) == (label, control)]
    return found


def total(report: dict, *key: str) -> dict:
    """The score over all questions of a model's row."""
    scores = row(report, *key)["scores"]
    return max((score for score in scores if score["by"] == "all"), key=lambda score: score["n"])


def test_the_trained_model_sees_flaws_and_neither_control_does(flaws):
    before, after, blind = (total(flaws, *key) for key in ((START,), (DEMO,), (DEMO, "swapped")))
    assert after["n"] == before["n"] == blind["n"] == 224
    assert after["low"] > max(before["high"], blind["high"])


def test_the_written_questions_do_not_get_worse(written):
    before, after = total(written, START), total(written, DEMO)
    assert after["n"] == before["n"] == 111
    assert after["high"] >= before["value"]


def test_answers_become_readable(flaws, written):
    for report in (flaws, written):
        assert total(report, DEMO)["unreadable"] <= 0.02 * total(report, DEMO)["n"]


def test_training_lowers_the_loss_of_unseen_pictures(written):
    losses = {entry["name"]: entry["loss"] for entry in written["response_loss"] if entry["kind"] == "all"}
    assert losses[DEMO] < losses[START]


def test_descriptions_are_written_and_not_judged(written):
    assert row(written, DEMO)["overall"] is None
    answers = [json.loads(line) for line in (ROOT / "reports/written/demo/answers.jsonl").read_text().splitlines()]
    assert sum(answer["task"] == "interpretation" and bool(answer["response"]) for answer in answers) == 37


def test_the_start_and_the_end_share_their_tower():
    from safetensors import safe_open

    with (
        safe_open(ROOT / START / "model.safetensors", "pt") as before,
        safe_open(ROOT / DEMO / "model.safetensors", "pt") as after,
    ):
        same = {name: before.get_tensor(name).equal(after.get_tensor(name)) for name in before.keys()}  # noqa: SIM118 (no dictionary)
    assert {name for name, equal in same.items() if equal} == {
        name for name in same if name.startswith("vision_tower")
    }
