"""Tiny checkpoints in their authors' layouts, and what their code made of them (see fixtures/parity/README.md)."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from aesexpert.cli import main
from vicuna import vicuna_tokenizer


FIXTURES = Path(__file__).parent / "fixtures" / "parity"
CLASSES = 320  # tokens of the originals: rows that the conversion adds are no part of what was recorded
PLACEHOLDER, IGNORED = -200, -100


@dataclass(frozen=True)
class Case:
    """A checkpoint with its recorded outputs."""

    name: str
    folder: str
    outputs: str
    inputs: str
    vectors: int
    tower: str | None = None

    @property
    def checkpoint(self) -> Path:
        return FIXTURES / self.folder

    def recorded(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return torch.load(FIXTURES / self.inputs), torch.load(FIXTURES / self.outputs)

    def arguments(self) -> list[str]:
        return [] if self.tower is None else ["--vision-tower", str(FIXTURES / self.tower)]


TOWER = "llava/clip_vision_tower"
CASES = {
    case.name: case
    for case in (
        Case("owl2", "mplug_owl2/checkpoint", "mplug_owl2/outputs.pt", "mplug_owl2/inputs.pt", 9),
        Case("llava", "llava/checkpoint", "llava/outputs.pt", "llava/inputs.pt", 16, TOWER),
        Case("embedded", "llava/checkpoint_embedded", "llava/outputs_embedded.pt", "llava/inputs.pt", 16, TOWER),
    )
}


def convert(source: Path, out: Path, *arguments: str) -> Path:
    """Converts as a user does."""
    main(["convert", str(source), str(out), *arguments])
    return out


def as_pickle(source: Path, folder: Path, shards: int = 1) -> Path:
    """The same checkpoint in `.bin` files."""
    return _rewrite(source, folder, shards, "pytorch_model", "bin", torch.save)


def as_shards(source: Path, folder: Path, shards: int) -> Path:
    """The same checkpoint in several safetensors files."""
    return _rewrite(source, folder, shards, "model", "safetensors", save_file)


def with_tokenizer(source, folder, **config):
    """A checkpoint with Vicuna's kind of tokenizer, of as many tokens as it has rows."""
    shutil.copytree(source, folder)
    values = json.loads((folder / "config.json").read_text()) | config
    (folder / "config.json").write_text(json.dumps(values))
    vicuna_tokenizer(CLASSES).save_pretrained(folder)
    return folder


def _rewrite(source: Path, folder: Path, shards: int, stem: str, suffix: str, save: Any) -> Path:
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.bin"))
    tensors = load_file(source / "model.safetensors")
    names = sorted(tensors)
    if shards == 1:
        save(tensors, folder / f"{stem}.{suffix}")
        return folder
    weight_map = {}
    for number in range(shards):
        file = f"{stem}-{number + 1:05}-of-{shards:05}.{suffix}"
        part = {name: tensors[name].clone() for name in names[number::shards]}
        save(part, folder / file)
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index))
    return folder


def spliced(inputs: dict[str, Any], image_token_id: int, vectors: int, pad_left: bool = False) -> dict[str, Any]:
    """The recorded prompts as today's models take them: a picture token for each vector, rows padded to one length."""
    rows = []
    for ids, mask, labels in zip(
        inputs["input_ids"], inputs["attention_mask"], inputs.get("labels", inputs["input_ids"]), strict=True
    ):
        row = []
        for token, label in zip(ids[mask.bool()].tolist(), labels[mask.bool()].tolist(), strict=True):
            is_image = token == PLACEHOLDER
            row += [(image_token_id, IGNORED)] * vectors if is_image else [(token, label)]
        rows.append(row)
    length = max(map(len, rows))
    padded = []
    for row in rows:
        padding, valid = [(0, IGNORED, 0)] * (length - len(row)), [(*item, 1) for item in row]
        padded.append(padding + valid if pad_left else valid + padding)
    input_ids, labels, attention_mask = torch.tensor(padded).unbind(-1)
    return {"input_ids": input_ids, "labels": labels, "attention_mask": attention_mask}


def pictures(inputs: dict[str, Any], image_index: Any) -> dict[str, torch.Tensor]:
    """The pictures of a prompt; no argument at all where it has none."""
    index = torch.as_tensor(image_index, dtype=torch.long)
    return {"pixel_values": inputs["pixel_values"][index]} if len(index) else {}


def loss_over_classes(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss without the rows that the conversion added."""
    return torch.nn.functional.cross_entropy(logits[:, :-1, :CLASSES].flatten(0, 1), labels[:, 1:].flatten())
