"""Both data paths, through the whole trainer: the same log and the same weights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from aesexpert.train import build_trainer


LORA = {
    "use_peft": True,
    "lora_dropout": 0.0,  # the paths lay tokens out differently, so they would draw different ones
    "lora_target_modules": [".*language_model.*(q|k|v|o|gate|up|down)_proj"],
    "lora_modules_to_save": ["multi_modal_projector"],
}
METRICS = ("loss", "grad_norm", "entropy", "mean_token_accuracy", "eval_loss", "eval_mean_token_accuracy")


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ({}, {}),
        ({}, {"activation_checkpointing": True}),
        ({}, {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 3}),
        ({}, {"dataloader_num_workers": 2}),
        ({}, {"max_length": 60}),
        ({}, {"eval_strategy": "steps", "eval_steps": 2, "per_device_eval_batch_size": 5}),
        (LORA, {}),
        (LORA, {"activation_checkpointing": True}),
    ],
    ids=[
        "plain",
        "checkpointing",
        "accumulation",
        "workers",
        "truncation",
        "evaluation",
        "lora",
        "lora-checkpointing",
    ],
)
def test_shared_trains_as_one_does(recipe, model, settings):
    runs = []
    for packing in ("one", "shared"):
        defaults = {"instructions_per_picture": 3, "optim": "sgd", "learning_rate": 0.05, "max_steps": 4}
        trainer = build_trainer(*recipe(packing=packing, model=model, **{**defaults, **settings}))
        trainer.train()
        log = [(key, entry[key]) for entry in trainer.state.log_history for key in METRICS if key in entry]
        tokens = max(entry["num_tokens"] for entry in trainer.state.log_history if "num_tokens" in entry)
        runs.append((log, tokens, {name: p.detach() for name, p in trainer.model.named_parameters()}))
    (expected_log, tokens, expected), (log, fewer_tokens, weights) = runs
    assert [key for key, _ in log] == [key for key, _ in expected_log]
    for (key, value), (_, expected_value) in zip(log, expected_log, strict=True):
        assert value == pytest.approx(expected_value, rel=2e-4, abs=1e-4), key  # the log is rounded
    assert fewer_tokens < tokens
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight, rtol=1e-5, atol=1e-5, msg=name)


PROCESS = """
import os, sys
from trl import ModelConfig
from aesexpert.train import AesExpertSFTConfig, DataArguments, build_trainer
aesmmit, start, out, packing, processes = sys.argv[1:]
training = AesExpertSFTConfig(
    output_dir=out, packing=packing, instructions_per_picture=3, max_steps=4, optim="sgd", learning_rate=0.05,
    per_device_train_batch_size=4, gradient_accumulation_steps=2 // int(processes), eval_strategy="steps",
    per_device_eval_batch_size=4, eval_steps=2, logging_steps=1, use_cpu=True, bf16=False, save_strategy="no",
    ddp_backend="gloo" if "WORLD_SIZE" in os.environ else None,
    activation_checkpointing=False, disable_tqdm=True,
)
trainer = build_trainer(DataArguments(dataset_name=aesmmit), training, ModelConfig(model_name_or_path=start))
assert trainer.accelerator.num_processes == int(processes), trainer.accelerator.num_processes
trainer.train()
trainer.save_model()
trainer.save_state()
"""


@pytest.mark.slow
def test_two_processes_train_as_one_process_does(aesmmit: Path, start: Path, tmp_path: Path):
    script = tmp_path / "train.py"
    script.write_text(PROCESS)

    def run(name: str, launch: list[str], *arguments: str) -> tuple[dict[str, torch.Tensor], list[float]]:
        command = [sys.executable, *launch, str(script), str(aesmmit), str(start), str(tmp_path / name), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert result.returncode == 0, result.stderr[-3000:]
        log = json.loads((tmp_path / name / "trainer_state.json").read_text())["log_history"]
        return load_file(tmp_path / name / "model.safetensors"), [e["loss"] for e in log if "loss" in e]

    expected, losses = run("one", [], "one", "1")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    weights, shared_losses = run("two", launch, "shared", "2")
    assert shared_losses == pytest.approx(losses, rel=2e-4)
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight, rtol=1e-5, atol=1e-5, msg=name)
