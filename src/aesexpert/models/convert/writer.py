"""Writing a plan as safetensors shards, with one source file in memory at a time."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file
from tqdm.auto import tqdm

from aesexpert.models.convert.errors import ConversionError
from aesexpert.models.convert.plan import Plan, Target
from aesexpert.models.convert.weights import open_tensors


# What may be in memory besides the pages of the source file: converted copies of the tensors of one shard.
SHARD_BYTES = 500_000_000
_SPARE_BYTES = 20_000_000  # tokenizer, code, card


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """
    Give a folder to write into that becomes `out` once all is written; nothing is left of it if anything fails.

    Args:
        out (`Path`): The folder to make.

    Yields:
        `Path`: The folder to write into, beside `out` under a hidden name.

    Raises:
        `ConversionError`: If `out` exists.
    """
    check_absent(out)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # what a killed process left
    partial.mkdir(parents=True)
    try:
        yield partial
        check_absent(out)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_absent(out: Path) -> None:
    """
    Make sure that there is nothing to overwrite.

    Args:
        out (`Path`): Where a folder will be.

    Raises:
        `ConversionError`: If something is there.
    """
    if out.exists() or out.is_symlink():
        raise ConversionError(f"{out} exists; name another folder or remove it")


def check_space(plan: Plan, dtype: torch.dtype, out: Path) -> None:
    """
    Make sure that the disk has room for what will be written.

    Args:
        plan (`Plan`): What will be written.
        dtype (`torch.dtype`): Its number format.
        out (`Path`): Where.

    Raises:
        `ConversionError`: With both numbers.
    """
    needed = sum(_bytes(target, dtype) for target in plan.targets) + _SPARE_BYTES
    place = next(parent for parent in out.absolute().parents if parent.exists())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise ConversionError(
            f"{place} has {free / 1e6:,.0f} MB free, but the checkpoint needs {needed / 1e6:,.0f} MB; make room, or "
            "choose a place on another disk or a smaller --dtype"
        )


def write_shards(plan: Plan, dtype: torch.dtype, folder: Path) -> int:
    """
    Write the tensors of a plan, with a progress bar.

    Args:
        plan (`Plan`): What to write.
        dtype (`torch.dtype`): The number format of all tensors.
        folder (`Path`): Takes `model.safetensors`, or shards and `model.safetensors.index.json`.

    Returns:
        `int`: How many bytes the tensors take.
    """
    shards = list(_shards(plan.targets, dtype))
    names = ["model.safetensors"]
    if len(shards) > 1:
        names = [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
    with tqdm(total=len(plan.targets), desc="converting", unit="tensor") as progress:
        for name, targets in zip(names, shards, strict=True):
            _write_shard(targets, dtype, folder / name)
            progress.update(len(targets))
    total = sum(_bytes(target, dtype) for target in plan.targets)
    if len(shards) > 1:
        weight_map = {target.name: name for name, targets in zip(names, shards, strict=True) for target in targets}
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return total


def _shards(targets: Sequence[Target], dtype: torch.dtype) -> Iterator[list[Target]]:
    """Groups of at most `SHARD_BYTES`; small source files share one, a large one is spread over several."""
    shard: list[Target] = []
    size = 0
    for target in targets:
        if shard and size + _bytes(target, dtype) > SHARD_BYTES:
            yield shard
            shard, size = [], 0
        shard.append(target)
        size += _bytes(target, dtype)
    yield shard


def _write_shard(targets: Sequence[Target], dtype: torch.dtype, file: Path) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for source_file in dict.fromkeys(target.info.file for target in targets):
        with open_tensors(source_file) as (_, read):
            for target in targets:
                if target.info.file == source_file:
                    tensors[target.name] = _read(target, read(target.source), dtype)
    save_file(tensors, file, metadata={"format": "pt"})


def _read(target: Target, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    changed = (tensor if target.change is None else target.change(tensor)).to(dtype).contiguous()
    # a copy, so that the file's pages are given back when it is closed
    return changed.clone() if changed.untyped_storage().data_ptr() == tensor.untyped_storage().data_ptr() else changed


def _bytes(target: Target, dtype: torch.dtype) -> int:
    return torch.Size(target.shape).numel() * dtype.itemsize
