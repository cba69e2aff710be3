"""What the 4-bit recipes take of a GPU, computed from their models' shapes: `python benchmarks/quantized_memory.py`.

Loaded: NF4 holds half a byte a weight, and a scale for each 64 weights; nested quantization keeps that scale in 8 bits
with one more float32 for 256 of them (QLoRA, arXiv 2305.14314, section 3). What is not quantized has two bytes:
embeddings, head, vision tower, norms and the modules that are trained whole. Trained: LoRA and the whole modules in
float32 with gradient and AdamW's two states, 16 bytes a parameter. Activations come on top; they depend on the batch.
"""

import re
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel
from trl import ModelConfig, TrlParser

from aesexpert.models import (
    AesExpertConfig,
    AesExpertForConditionalGeneration,
    AesExpertOwl2Config,
    AesExpertOwl2ForConditionalGeneration,
)


RECIPES = Path(__file__).parents[1] / "recipes"
NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
HALF_BYTES, TRAINED_BYTES = 2, 16


def main() -> None:
    """Prints a table."""
    print("| recipe | parameters | loaded | trained parameters | loaded and trained, without activations |")
    print("|---|--:|--:|--:|--:|")
    for name, model in models().items():
        (recipe,) = TrlParser((ModelConfig,)).parse_args_and_config(
            ["--config", str(RECIPES / f"{name}.yaml")], return_remaining_strings=True
        )[:1]
        loaded, trained = memory(model, recipe)
        cells = (
            f"{model.num_parameters() / 1e9:.2f} billion",
            f"{loaded / 1e9:.1f} GB",
            f"{trained / 1e6:.0f} million",
            f"{(loaded + trained * TRAINED_BYTES) / 1e9:.1f} GB",
        )
        print(f"| {name} | {' | '.join(cells)} |")


def models() -> dict[str, PreTrainedModel]:
    """The models of the recipes, without memory behind them."""
    with torch.device("meta"):
        return {
            "4bit-7b": AesExpertForConditionalGeneration(AesExpertConfig.aesexpert_7b()),
            "4bit-13b": AesExpertForConditionalGeneration(AesExpertConfig.aesexpert_13b()),
            "4bit-owl2-7b": AesExpertOwl2ForConditionalGeneration(AesExpertOwl2Config()),
        }


def memory(model: PreTrainedModel, recipe: ModelConfig) -> tuple[float, int]:
    """Bytes of the loaded model, and how many parameters are trained."""
    whole = tuple(recipe.lora_modules_to_save or ())
    loaded, trained = 0.0, 0
    for name, module in model.named_modules():
        own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        is_trained = any(part in name for part in whole)
        quantized = isinstance(module, nn.Linear) and "language_model" in name
        loaded += own * (NF4_BYTES if quantized else HALF_BYTES)
        trained += own * is_trained
        if isinstance(module, nn.Linear) and re.fullmatch(str(recipe.lora_target_modules), name):
            trained += recipe.lora_r * (module.in_features + module.out_features)
    return loaded, trained


if __name__ == "__main__":
    main()
