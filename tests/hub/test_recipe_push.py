"""A recipe with `push_to_hub` ends with the model on the Hub, its card complete."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from trl import ModelConfig

from aesexpert.hub.errors import HubError
from aesexpert.train import AesExpertSFTConfig
from aesexpert.train.publish import destination
from hub import Hub


@pytest.mark.slow
def test_training_publishes_once_at_the_end(
    server: Hub,
    environment: Callable[..., dict[str, str]],
    root: Path,
    aesmmit: Path,
    tiny_model: Path,
    tmp_path: Path,
):
    options = {
        "model_name_or_path": tiny_model,
        "dataset_name": aesmmit,
        "output_dir": tmp_path / "tuned",
        "max_steps": 2,
        "save_steps": 1,
        "max_response_words": 40,
        "push_to_hub": True,
        "hub_model_id": "acme/tuned",
        "hub_license": "mit",
        "hub_data_sources": "acme/aesmmit",
        "hub_base_models": "acme/aesexpert-start",
    }
    line = [sys.executable, str(root / "recipes" / "sft.py")]
    line += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    result = subprocess.run(line, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=1200)
    assert result.returncode == 0, result.stderr[-3000:]
    folder = server.root / "models" / "acme" / "tuned"
    assert len(list((folder / "commits").iterdir())) == 2, "the repository's first commit, and the model's"
    meta = json.loads((folder / "repo.json").read_text())
    assert meta["private"]
    files = json.loads((folder / "commits" / f"{meta['refs']['refs/heads/main']}.json").read_text())["files"]
    assert {"model.safetensors", "training_curves.png", "recipe.json", "chat_template.jinja"} <= set(files)
    assert not {"training_args.bin", "trainer_state.json"} & set(files)
    card = ModelCard(server.blob_path(files["README.md"]["sha256"]).read_text())
    assert card.data.license == "mit" and card.data.base_model == ["acme/aesexpert-start"]
    assert "| `max_steps` | 2 |" in card.text and "| optimizer steps | 2 |" in card.text
    assert "](training_curves.png)" in card.text
    recipe = json.loads(server.blob_path(files["recipe.json"]["sha256"]).read_text())
    assert recipe["dataset_name"] == "aesmmit" and recipe["model_name_or_path"] == "tiny"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"hub_token": "hf_secret"}, "`hub_token` would lie in files"),
        ({}, "needs `hub_model_id`"),
        ({"hub_model_id": "acme/x"}, "needs `hub_license`"),
        ({"hub_model_id": "acme/x", "hub_license": "mit"}, "needs `hub_data_sources`"),
        ({"hub_model_id": "x", "hub_license": "mit", "hub_data_sources": ["y"]}, "has no owner"),
    ],
)
def test_what_is_missing_is_said_before_training(options: dict, message: str, tmp_path: Path):
    training = AesExpertSFTConfig(output_dir=str(tmp_path), push_to_hub=True, **options)
    with pytest.raises((ValueError, HubError), match=message) as error:
        destination(training, ModelConfig(model_name_or_path="start"))
    assert "hf_secret" not in str(error.value)


def test_an_adapter_needs_a_base_on_the_hub(tmp_path: Path):
    training = AesExpertSFTConfig(
        output_dir=str(tmp_path), push_to_hub=True, hub_model_id="acme/x", hub_license="mit", hub_data_sources=["y"]
    )
    with pytest.raises(ValueError, match="add `hub_base_models`"):
        destination(training, ModelConfig(model_name_or_path="start", use_peft=True))
    assert destination(training, ModelConfig(model_name_or_path="acme/start", use_peft=True)).private
