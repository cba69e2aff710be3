"""What is published of a model's folder, and what its card says."""

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from aesexpert.data.card_template import CardError
from aesexpert.hub.errors import HubError
from aesexpert.hub.model import model_publication
from aesexpert.hub.publication import Publication


SCORE = {"by": "all", "label": "", "n": 28, "value": 0.5, "low": 0.3, "high": 0.7, "unreadable": 0}


def row(name: str, kind: str = "run", control: str | None = None, **changes: object) -> dict:
    scores = [{**SCORE, "task": task} for task in ("perception", "empathy")]
    return {
        "name": name,
        "kind": kind,
        "control": control,
        "interpretation": None,
        "overall": None,
        "scores": scores,
        **changes,
    }


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A model's folder as training leaves it, with what is not published beside it."""
    folder = shutil.copytree(tiny_model, tmp_path / "tuned")
    (folder / "training_args.bin").write_bytes(b"pickle")
    (folder / "checkpoint-2").mkdir()
    (folder / "training_curves.png").write_bytes(b"\x89PNG")
    recipe = {"learning_rate": 2e-5, "model_name_or_path": "/home/someone/aesexpert-start", "kinds": None}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    log = [{"step": 1, "loss": 2.0}, {"step": 2, "eval_loss": 1.25}, {"step": 2, "train_loss": 1.5, "epoch": 1.0}]
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": 2, "log_history": log}))
    return folder


def publication(folder: Path, **changes: object) -> Publication:
    options: dict = {"licence": "mit", "data_sources": ["acme/aesmmit", "photographs of mine"], **changes}
    return model_publication(folder, "acme/tuned", **options)


def test_files(folder: Path):
    files = publication(folder).files
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja", "recipe.json"} <= set(files)
    assert not any(name.startswith(("training_args", "checkpoint", "trainer_state")) for name in files)
    assert json.loads(files["recipe.json"])["model_name_or_path"] == "aesexpert-start"


def test_card(folder: Path):
    card = publication(folder).make_card(())
    assert card.data.license == "mit" and card.data.datasets == ["acme/aesmmit"]
    for text in [
        "| `learning_rate` | 2e-05 |",
        "| optimizer steps | 2 |",
        "| validation loss | 1.25 |",
        "Training started from `aesexpert-start`, which is not on the Hub.",
        "- photographs of mine",
        "](training_curves.png)",
        "Not measured.",
    ]:
        assert text in card.text
    assert "someone" not in str(card)


def test_card_without_anything_optional(tiny_model: Path):
    card = publication(tiny_model).make_card(())
    assert "are not recorded" in card.text and "What it started from is not recorded." in card.text
    assert "{{" not in card.text and "{%" not in card.text


def test_results_are_those_of_the_report(folder: Path, tmp_path: Path):
    report = tmp_path / "report.json"
    rows = [row("tuned"), row("tuned (swapped)", control="swapped"), row("most frequent", kind="baseline")]
    report.write_text(json.dumps({"data": {"name": "aesbench-data"}, "rows": rows}))
    card = ModelCard(str(publication(folder, report=report).make_card(())))
    results = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert results == {"AesP": 50.0, "AesE": 50.0}
    assert card.data.eval_results[0].dataset_name == "aesbench-data"
    assert "| tuned | 50.0 (30.0 to 70.0; n = 28) | 50.0 (30.0 to 70.0; n = 28) | not scored |" in card.text
    assert "| tuned (swapped) |" in card.text


def test_judged_results(folder: Path, tmp_path: Path):
    judged = row("painter", interpretation=1.34, overall=0.895)
    (tmp_path / "report.json").write_text(json.dumps({"data": {"name": "x"}, "rows": [judged]}))
    card = publication(folder, report=tmp_path).make_card(())
    values = [result.metric_value for result in card.data.eval_results]
    assert values == [50.0, 50.0, 1.34, 89.5]


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "cannot be read"),
        ("{", "is no report"),
        ("[]", "is no report"),
        (json.dumps({"data": {}, "rows": [row("a"), row("b")]}), "no single run of tuned .its runs: a, b"),
    ],
)
def test_a_report_of_something_else(folder: Path, tmp_path: Path, content: str | None, message: str):
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    with pytest.raises(HubError, match=message):
        publication(folder, report=tmp_path / "report.json")


@pytest.mark.parametrize(
    "name, message",
    [
        ("config.json", "is no model's folder"),
        ("model.safetensors", "no weights in safetensors"),
        ("processor_config.json", "has no processor"),
        ("tokenizer.json", "has no tokenizer"),
        ("chat_template.jinja", "has no chat template"),
        ("generation_config.json", "has no generation configuration"),
    ],
)
def test_what_is_missing_is_named(folder: Path, name: str, message: str):
    (folder / name).unlink()
    with pytest.raises(HubError, match=message):
        publication(folder)


def test_weights_cut_short(folder: Path):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(HubError, match="cut short"):
        publication(folder)


def test_a_type_without_its_code(folder: Path):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "aesexpert"}))
    with pytest.raises(HubError, match="brings no code"):
        publication(folder)
    auto_map = {"AutoConfig": "configuration_aesexpert.AesExpertConfig"}
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": auto_map}))
    with pytest.raises(HubError, match=r"lacks configuration_aesexpert\.py"):
        publication(folder)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"licence": " "}, "licence and its data sources"),
        ({"data_sources": []}, "licence and its data sources"),
        ({"data_sources": [""]}, "licence and its data sources"),
        ({"base_models": ["start"]}, "has no owner"),
    ],
)
def test_what_the_card_needs(folder: Path, changes: dict, message: str):
    with pytest.raises(HubError, match=message):
        publication(folder, **changes)


@pytest.mark.parametrize(
    "template, message",
    [
        ("{{ painter }}", "'painter' is undefined"),
        ("{{ card_data", "line 1"),
        ("---\na: [\n---\n", "metadata is not valid"),
        ("{{ ''.__class__.__mro__ }}", "unsafe|access"),
        (None, "cannot be read"),
    ],
)
def test_templates(folder: Path, tmp_path: Path, template: str | None, message: str):
    file = tmp_path / "card.md"
    if template is not None:
        file.write_text(template)
    with pytest.raises(CardError, match=message) as error:
        publication(folder, card_template=file)
    assert str(file) in str(error.value)
