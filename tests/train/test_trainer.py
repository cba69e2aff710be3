"""What training changes, what it leaves alone, and that it can be stopped anywhere."""

import copy
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from aesexpert.train import build_trainer, train
from tiny_models import build_tiny_idefics3


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_everything_but_the_tower_moves(recipe, start):
    arguments = recipe()
    metrics = train(*arguments)
    assert math.isfinite(metrics["train_loss"])
    before, after = weights(start), weights(Path(arguments[1].output_dir))
    assert before.keys() == after.keys()
    for name, tensor in after.items():
        assert torch.equal(tensor, before[name]) == name.startswith("vision_tower"), name


def test_the_result_is_a_stock_checkpoint_with_curves_and_recipe(recipe):
    arguments = recipe()
    train(*arguments)
    folder = Path(arguments[1].output_dir)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "llava"
    assert (folder / "processor_config.json").exists()
    assert (folder / "training_curves.png").read_bytes().startswith(b"\x89PNG")
    assert type(AutoModelForImageTextToText.from_pretrained(folder)).__name__ == "LlavaForConditionalGeneration"


def test_the_registered_format_on_request(recipe):
    arguments = recipe(checkpoint_format="aesexpert", max_steps=1)
    train(*arguments)
    folder = Path(arguments[1].output_dir)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "aesexpert"
    assert (folder / "modeling_aesexpert.py").exists()


def test_another_design_is_trained_and_written_in_its_own_format(recipe, tmp_path):
    data, training, model = recipe(checkpoint_format="aesexpert", max_steps=1)
    model.model_name_or_path = str(build_tiny_idefics3(tmp_path / "tiny-idefics3"))
    train(data, training, model)
    assert json.loads((Path(training.output_dir) / "config.json").read_text())["model_type"] == "idefics3"


def test_a_data_seed_of_zero_is_a_seed(recipe):
    trainer = build_trainer(*recipe(data_seed=0, seed=5))
    assert trainer._get_train_sampler().seed == 0


def test_nothing_is_reported_anywhere_by_default(recipe):
    assert recipe()[1].report_to == []


def test_tensorboard_on_request(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    train(*recipe(report_to="tensorboard", max_steps=1))
    assert list((tmp_path / "board").rglob("events.out.tfevents.*"))


def test_the_projector_has_its_own_learning_rate(recipe):
    trainer = build_trainer(*recipe(projector_learning_rate=0.5, weight_decay=0.1))
    optimizer = trainer.create_optimizer()
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in trainer.model.named_parameters():
        if "vision_tower" in name:
            assert id(parameter) not in rates
        else:
            assert rates[id(parameter)] == (0.5 if "multi_modal_projector" in name else 1e-3), name
            assert decays[id(parameter)] == (0.1 if parameter.dim() > 1 else 0.0), name
    assert len(rates) == sum(p.requires_grad for p in trainer.model.parameters())


def test_the_tower_stays_in_eval_mode(recipe):
    trainer = build_trainer(*recipe())
    seen = []
    tower = trainer.model.model.vision_tower
    tower.register_forward_hook(lambda module, *_: seen.append(module.training))
    trainer.train()
    assert seen and not any(seen)
    assert trainer.model.model.language_model.training


def test_lora_trains_adapters_and_the_whole_projector(recipe, start):
    lora = {
        "use_peft": True,
        "lora_target_modules": [".*language_model.*(q|k|v|o|gate|up|down)_proj"],
        "lora_modules_to_save": ["multi_modal_projector"],
    }
    arguments = recipe(model=lora, projector_learning_rate=0.01)
    trainer = build_trainer(*arguments)
    trainable = [name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad]
    assert {"lora" in name or "multi_modal_projector" in name for name in trainable} == {True}
    assert not any("vision_tower" in name for name in trainable)
    assert any("lora" in name for name in trainable) and any("linear_1" in name for name in trainable)
    before = copy.deepcopy({name: p.detach() for name, p in trainer.model.named_parameters()})
    trainer.train()
    for name, parameter in trainer.model.named_parameters():
        assert torch.equal(parameter, before[name]) != (name in trainable), name


@pytest.mark.parametrize("packing", ["shared", "one"])
def test_a_resumed_run_ends_bit_identical(recipe, tmp_path, packing):
    settings = {"max_steps": 6, "save_strategy": "steps", "save_steps": 3, "projector_learning_rate": 0.01}
    settings |= {"packing": packing, "instructions_per_picture": 3}
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(*recipe(**settings, output_dir=str(whole)))
    build_trainer(*recipe(**settings, output_dir=str(halves)))
    (halves).mkdir(exist_ok=True)
    (halves / "checkpoint-3").symlink_to(whole / "checkpoint-3")
    (halves / "recipe.json").write_bytes((whole / "recipe.json").read_bytes())
    train(*recipe(**settings, output_dir=str(halves)))
    first, second = weights(whole), weights(halves)
    assert all(torch.equal(first[name], second[name]) for name in first)
    logs = [json.loads((folder / "trainer_state.json").read_text())["log_history"] for folder in (whole, halves)]
    for key in ("step", "loss", "num_tokens", "entropy", "mean_token_accuracy"):
        first, second = ([entry[key] for entry in log if "loss" in entry] for log in logs)
        assert first == second and len(second) == 6, key


KILLED = """
import sys
from trl import ModelConfig
from aesexpert.train import AesExpertSFTConfig, DataArguments, train
train(
    DataArguments(dataset_name=sys.argv[1]),
    AesExpertSFTConfig(
        output_dir=sys.argv[3], max_steps=30, per_device_train_batch_size=2, save_steps=2, logging_steps=1, bf16=False,
        eval_strategy="no", activation_checkpointing=False, save_total_limit=2, disable_tqdm=True,
    ),
    ModelConfig(model_name_or_path=sys.argv[2]),
)
"""


@pytest.mark.slow
def test_killed_and_started_again_it_ends_as_if_it_had_run_through(aesmmit, start, tmp_path):
    def command(folder: Path) -> list[str]:
        return [sys.executable, "-c", KILLED, str(aesmmit), str(start), str(folder)]

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command(tmp_path / "whole"), env=environment, check=True, capture_output=True)
    for step in (4, 12):
        process = subprocess.Popen(command(tmp_path / "killed"), env=environment, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not list((tmp_path / "killed").glob(f"checkpoint-{step}/trainer_state.json")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command(tmp_path / "killed"), env=environment, check=True, capture_output=True)
    whole, killed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(whole[name], killed[name]) for name in whole)


def test_another_recipe_does_not_overwrite(recipe):
    arguments = recipe(max_steps=1)
    train(*arguments)
    before = (Path(arguments[1].output_dir) / "model.safetensors").read_bytes()
    with pytest.raises(ValueError, match=r"learning_rate: 0\.001 then, 0\.002 now"):
        train(*recipe(max_steps=1, learning_rate=2e-3))
    assert (Path(arguments[1].output_dir) / "model.safetensors").read_bytes() == before


def test_a_folder_with_somebody_elses_model_is_left_alone(recipe, start):
    with pytest.raises(ValueError, match="holds a model that no recipe here has made"):
        train(*recipe(output_dir=str(start)))
