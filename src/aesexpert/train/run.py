"""A training run that can be killed at any moment and started again with the same command."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import LlavaForConditionalGeneration
from transformers.trainer_utils import get_last_checkpoint
from trl import ModelConfig

from aesexpert.models import save_checkpoint
from aesexpert.train.arguments import AesExpertSFTConfig, DataArguments
from aesexpert.train.build import build_trainer
from aesexpert.train.publish import destination, publish_model
from aesexpert.train.trainer import AesExpertTrainer


RECIPE = "recipe.json"

# What may change between the parts of one run: where it writes, what it reports, how it is spread over machines.
_FREE = [
    "output_dir",
    "logging",
    "run_name",
    "report_to",
    "project",
    "trackio",
    "hub",
    "push_to_hub",
    "eval",
    "save",
    "dataloader",
    "local_rank",
    "ddp",
    "fsdp",
    "deepspeed",
    "accelerator_config",
    "resume_from_checkpoint",
    "do_",
    "disable_tqdm",
    "use_cpu",
    "bf16",
    "log_",
    "parallelism_config",
]


def train(data: DataArguments, training: AesExpertSFTConfig, model: ModelConfig) -> dict[str, float]:
    """
    Train, going on from the last checkpoint in the output folder if there is one, and write the model there.

    Args:
        data ([`DataArguments`]): Which instructions.
        training ([`AesExpertSFTConfig`]): How to train, and where to write.
        model ([`~trl.ModelConfig`]): Which model.

    Returns:
        `dict[str, float]`: What the trainer measured.

    Raises:
        `ValueError`: If the output folder holds a model of another recipe, or `push_to_hub` lacks something.
        `HubError`: If the model cannot be published; it is in the output folder then.
    """
    _use_all_cores(training)
    folder = Path(training.output_dir)
    recipe = _recipe(data, training, model)
    _refuse_another_recipe(folder, recipe)
    target = destination(training, model)
    training.push_to_hub = False  # the trainer would push every checkpoint, with a card of its own
    trainer = build_trainer(data, training, model)
    if trainer.is_world_process_zero():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECIPE).write_text(json.dumps(recipe, indent=2, sort_keys=True) + "\n")
    metrics = trainer.train(resume_from_checkpoint=get_last_checkpoint(training.output_dir)).metrics
    _save(trainer)
    if target and trainer.is_world_process_zero():
        publish_model(training, target)
    return metrics


def _save(trainer: AesExpertTrainer) -> None:
    trainer.save_state()
    trainer.save_model()
    registered = trainer.args.checkpoint_format == "aesexpert" and isinstance(
        trainer.model, LlavaForConditionalGeneration
    )
    if registered and trainer.is_world_process_zero():
        save_checkpoint(trainer.model, trainer.processing_class, trainer.args.output_dir, "aesexpert")


def _recipe(data: DataArguments, training: AesExpertSFTConfig, model: ModelConfig) -> dict[str, Any]:
    """The settings that make the weights what they are, as plain values."""
    packing = "shared" if training.shared_prefix else "one"
    settings = {**asdict(data), **training.to_dict(), **asdict(model), "packing": packing}
    settings = {key: value for key, value in settings.items() if not key.startswith(tuple(_FREE))}
    return json.loads(json.dumps(settings, default=str))


def _refuse_another_recipe(folder: Path, recipe: dict[str, Any]) -> None:
    file = folder / RECIPE
    if not file.exists():
        if folder.is_dir() and any(folder.glob("*.safetensors")):
            raise ValueError(f"{folder} holds a model that no recipe here has made; choose another `output_dir`")
        return
    before = json.loads(file.read_text())
    changed = [
        f"{key}: {before.get(key)!r} then, {recipe.get(key)!r} now"
        for key in sorted({*before, *recipe})
        if before.get(key) != recipe.get(key)
    ]
    if changed:
        raise ValueError(
            f"{folder} belongs to another recipe ({'; '.join(changed)}); choose another `output_dir` or remove it"
        )


def _use_all_cores(training: AesExpertSFTConfig) -> None:
    """`accelerate launch` without a configuration leaves one thread to each process."""
    if training.use_cpu:
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // processes))
