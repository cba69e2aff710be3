"""Peak memory of `aesexpert convert` on a checkpoint of many shards, and what it means for the 13B model.

Writes a LLaVA-1.5 of a smaller width with constant weights into a temporary folder, in shards, and converts it in a
process of its own. The 13B case is computed: what the process takes without tensors, the largest shard that is
written, and what growing the largest tensor takes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModel

from aesexpert.models.convert.writer import SHARD_BYTES


# The high-water mark of this process alone: `getrusage` would count what its parent had when it started it.
CONVERT = """
import re, sys
import transformers
from pathlib import Path
from aesexpert.models.convert import convert_checkpoint
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
before = peak()
report = convert_checkpoint(sys.argv[1], sys.argv[2], vision_tower=sys.argv[3], dtype=sys.argv[4], allow_pickle=True)
print(before, peak(), report.bytes)
"""
ROWS = 32000


def write_checkpoint(folder: Path, width: int, layers: int, suffix: str) -> int:
    """Writes a LLaVA-1.5 in its authors' layout, a layer a shard, in float16; returns the largest shard's bytes."""
    folder.mkdir()

    parts = [{"model.embed_tokens.weight": weights(ROWS, width)}, {"lm_head.weight": weights(ROWS, width)}]
    shards, largest = layers + len(parts), 0
    weight_map: dict[str, str] = {}
    for number in range(shards):
        part = parts[number] if number < len(parts) else llama_layer(number - len(parts), width)
        if number == 0:
            part |= {"model.norm.weight": weights(width)}
            part |= {"model.mm_projector.0.weight": weights(width, 48), "model.mm_projector.0.bias": weights(width)}
            part |= {"model.mm_projector.2.weight": weights(width, width), "model.mm_projector.2.bias": weights(width)}
        stem = "model" if suffix == "safetensors" else "pytorch_model"
        file = f"{stem}-{number + 1:05}-of-{shards:05}.{suffix}"
        save_file(part, folder / file) if suffix == "safetensors" else torch.save(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
        largest = max(largest, (folder / file).stat().st_size)
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"weight_map": weight_map}))
    config = {
        "model_type": "llava_llama",
        "vocab_size": ROWS,
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 8,
        "rms_norm_eps": 1e-5,
        "mm_projector_type": "mlp2x_gelu",
        "mm_vision_tower": "tower",
        "image_aspect_ratio": "pad",
    }
    (folder / "config.json").write_text(json.dumps(config))
    return largest


def llama_layer(number: int, width: int) -> dict[str, torch.Tensor]:
    """The tensors of one layer."""
    name = f"model.layers.{number}"
    layer = {f"{name}.self_attn.{part}_proj.weight": weights(width, width) for part in "qkvo"}
    layer |= {f"{name}.mlp.{part}_proj.weight": weights(4 * width, width) for part in ("gate", "up")}
    layer[f"{name}.mlp.down_proj.weight"] = weights(width, 4 * width)
    return layer | {
        f"{name}.{part}.weight": weights(width) for part in ("input_layernorm", "post_attention_layernorm")
    }


def weights(*shape: int) -> torch.Tensor:
    """Weights in half precision; their values do not matter here."""
    return torch.full(shape, 0.5, dtype=torch.float16)


def main() -> None:
    """Measures, and prints one line for people or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=48)
    parser.add_argument("--dtype", default="float16")
    parser.add_argument("--suffix", choices=("safetensors", "bin"), default="safetensors")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shard = write_checkpoint(folder / "source", options.width, options.layers, options.suffix)
        tower = CLIPVisionConfig(
            hidden_size=48,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=56,
            patch_size=14,
        )
        CLIPVisionModel(tower).save_pretrained(folder / "tower")
        command = [
            sys.executable,
            "-c",
            CONVERT,
            *(str(folder / n) for n in ("source", "out", "tower")),
            options.dtype,
        ]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    before, peak, total = map(int, output.split())
    if options.json:
        print(json.dumps({"before": before, "peak": peak, "bytes": total, "shard": shard}))
        return
    print(
        f"a model of {total / 1e9:.2f} GB in shards of {shard / 1e9:.2f} GB: peak {peak / 1e9:.2f} GB, of which "
        f"{before / 1e9:.2f} GB before the first tensor; the bound is one shard + 1.5 GB = {shard / 1e9 + 1.5:.2f} GB"
    )
    largest = 32064 * 5120 * 2
    computed = before + SHARD_BYTES + 2 * largest
    print(
        f"13B, computed: {before / 1e9:.2f} GB + a shard of {SHARD_BYTES / 1e9:.1f} GB + its largest tensor of "
        f"{largest / 1e9:.2f} GB twice, as read and as grown = {computed / 1e9:.2f} GB, for a model of 26.7 GB"
    )


if __name__ == "__main__":
    main()
