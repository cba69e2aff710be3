"""Reading the weight files of a checkpoint folder without having more than one of them in memory."""

import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from aesexpert.models.convert.errors import ConversionError


_SAFETENSORS, _PICKLE = "model.safetensors", "pytorch_model.bin"


@dataclass(frozen=True)
class TensorInfo:
    """
    What is known of a tensor before it is read.

    Args:
        shape (`tuple[int, ...]`): Its shape.
        dtype (`torch.dtype`): Its number format.
        file (`Path`): The file it is in.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    file: Path


def list_tensors(folder: Path, allow_pickle: bool = False) -> dict[str, TensorInfo]:
    """
    List the tensors of a checkpoint folder; only the headers of its files are read.

    Args:
        folder (`Path`): Holds `model.safetensors` or `pytorch_model.bin`, whole or in shards with an index.
        allow_pickle (`bool`, *optional*, defaults to `False`): Whether `.bin` files may be read.

    Returns:
        `dict[str, TensorInfo]`: The tensors by name.

    Raises:
        `ConversionError`: If there are no weights, a shard is missing, or a file is damaged or not allowed.
    """
    tensors: dict[str, TensorInfo] = {}
    for file, expected in _weight_files(folder).items():
        if file.suffix == ".bin" and not allow_pickle:
            raise ConversionError(
                f"{file} is a pickle, a format that can hold programs; it is read as plain tensors alone if you say "
                "--allow-pickle"
            )
        with open_tensors(file) as (infos, _):
            missing = (expected or infos.keys()) - infos.keys()
            if missing:
                raise ConversionError(f"{file} lacks {sorted(missing)[0]!r}, which the index says is in it")
            twice = infos.keys() & tensors.keys()
            if twice:
                raise ConversionError(f"{file}: {min(twice)!r} is in {tensors[min(twice)].file.name} as well")
            tensors |= infos
    return tensors


@contextmanager
def open_tensors(file: Path) -> Iterator[tuple[dict[str, TensorInfo], Callable[[str], torch.Tensor]]]:
    """
    Open a weight file. Its tensors are mapped from the disk, and its memory is given back afterwards.

    Args:
        file (`Path`): A `.safetensors` or `.bin` file.

    Yields:
        `tuple[dict[str, TensorInfo], Callable]`: What the tensors are, by name, and what reads one.

    Raises:
        `ConversionError`: If the file is damaged or holds other things than tensors.
    """
    if file.suffix == ".bin":
        tensors = _load_pickle(file)
        yield {name: TensorInfo(tuple(t.shape), t.dtype, file) for name, t in tensors.items()}, tensors.__getitem__
        return
    try:
        opened = safe_open(file, framework="pt")
    except (SafetensorError, OSError) as error:
        raise ConversionError(f"{file} is no safetensors file, or it was cut off ({error}); get it again") from error
    with opened as tensors:
        names = list(tensors.keys())
        yield {name: _info(tensors.get_slice(name), file) for name in names}, tensors.get_tensor


def _info(header: object, file: Path) -> TensorInfo:
    empty = header[:0] if header.get_shape() else header[...]  # type: ignore[index, attr-defined]
    return TensorInfo(tuple(header.get_shape()), empty.dtype, file)  # type: ignore[attr-defined]


def _load_pickle(file: Path) -> dict[str, torch.Tensor]:
    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except pickle.UnpicklingError as error:
        raise ConversionError(
            f"{file} holds something else than plain tensors, which could be a program, or it was cut off; take the "
            "safetensors version of this checkpoint if there is one"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ConversionError(f"{file} is damaged ({str(error).strip().splitlines()[0]}); get it again") from error
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ConversionError(f"{file} is no state dictionary; expected tensors by name, as transformers saves them")
    return content


def _weight_files(folder: Path) -> dict[Path, set[str]]:
    """The weight files and what the index says is in each; nothing is said of a file without index."""
    for name in (_SAFETENSORS, _PICKLE):
        if (folder / f"{name}.index.json").is_file():
            return _indexed_files(folder / f"{name}.index.json")
        if (folder / name).is_file():
            return {folder / name: set()}
    raise ConversionError(
        f"{folder} has no weights; expected {_SAFETENSORS} or {_PICKLE}, or shards with {_SAFETENSORS}.index.json"
    )


def _indexed_files(index: Path) -> dict[Path, set[str]]:
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        pairs = [(str(name), str(file)) for name, file in weight_map.items()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConversionError(f"{index} is no index: expected a `weight_map` from tensors to files") from error
    files: dict[Path, set[str]] = {}
    for name, shard in sorted(pairs, key=lambda pair: pair[1]):
        if Path(shard).name != shard or Path(shard).suffix not in (".safetensors", ".bin"):
            raise ConversionError(f"{index} names {shard!r} as a shard; expected a weight file of the same folder")
        if not (index.parent / shard).is_file():
            raise ConversionError(f"{index.parent / shard} is missing; {index.name} says it holds {name!r}")
        files.setdefault(index.parent / shard, set()).add(name)
    return files
