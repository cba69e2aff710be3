"""The files of a trained model that are published, found, checked and free of local paths."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import get_local_safetensors_metadata, parse_local_safetensors_file_metadata
from huggingface_hub.errors import NotASafetensorsRepoError, SafetensorsParsingError

from aesexpert.hub.errors import HubError
from aesexpert.hub.local_paths import last_parts, refuse_local_paths, without_local_paths


ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
CONFIG, RECIPE, CURVES, STATE = "config.json", "recipe.json", "training_curves.png", "trainer_state.json"

WEIGHTS = ("*.safetensors", "*.safetensors.index.json", ADAPTER_CONFIG)
"""Patterns of the files that must not stay when a model of other files is published."""

_JSON = (
    CONFIG,
    "generation_config.json",
    "processor_config.json",
    "preprocessor_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "model.safetensors.index.json",
)
_TEXT = ("*.jinja", "additional_chat_templates/*.jinja", "merges.txt")

# What has to be there, each with what it is called in messages.
_NEEDED = {
    "processor": ("processor_config.json", "preprocessor_config.json"),
    "tokenizer": ("tokenizer.json", "tokenizer.model"),
    "chat template": ("chat_template.jinja", "chat_template.json"),
}
_NEEDED_OF_MODELS = {"generation configuration": ("generation_config.json",)}


@dataclass(frozen=True)
class Checkpoint:
    """A model's folder.

    Args:
        folder (`Path`): The folder.
        files (`Mapping[str, Path | bytes]`): What is published of it.
        is_adapter (`bool`): Whether it is a LoRA adapter, without the model below.
        has_code (`bool`): Whether it brings code of its own.
        parameters (`Mapping[str, int]`): The number of parameters by data type, counted in its weights.
        recipe (`Mapping[str, Any]`): The settings it was trained with; empty if there are none.
    """

    folder: Path
    files: Mapping[str, Path | bytes]
    is_adapter: bool
    has_code: bool
    parameters: Mapping[str, int]
    recipe: Mapping[str, Any]


def read_checkpoint(folder: str | Path, base_model: str | None = None) -> Checkpoint:
    """Reads a model's folder.

    Args:
        folder (`str` or `Path`): The folder.
        base_model (`str`, *optional*): The Hub's name of the model that an adapter belongs to.

    Returns:
        `Checkpoint`: What is published of it.

    Raises:
        `HubError`: If something is missing, damaged, or names a path of this machine.
    """
    folder = Path(folder)
    is_adapter = (folder / ADAPTER_CONFIG).is_file()
    if not is_adapter and not (folder / CONFIG).is_file():
        raise HubError(f"{folder} is no model's folder; expected {CONFIG}, or {ADAPTER_CONFIG} of an adapter")
    _check_complete(folder, is_adapter)
    weights, parameters = _weights(folder, is_adapter)
    config = {} if is_adapter else json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    code = _code(folder, config)
    recipe = _read_recipe(folder / RECIPE)
    files: dict[str, Path | bytes] = {
        file.name: without_local_paths(file) for file in _found(folder, *_JSON, "tokenizer*.json")
    }
    for file in [*_found(folder, *_TEXT), *code]:
        refuse_local_paths(file)
        files[file.relative_to(folder).as_posix()] = file
    for file in [*_found(folder, "*.model", CURVES), *weights]:
        files[file.name] = file
    if is_adapter:
        files[ADAPTER_CONFIG] = _adapter_config(folder / ADAPTER_CONFIG, base_model)
    if recipe:
        files[RECIPE] = (json.dumps(recipe, indent=2, sort_keys=True) + "\n").encode()
    return Checkpoint(folder, dict(sorted(files.items())), is_adapter, bool(code), parameters, recipe)


def _found(folder: Path, *patterns: str) -> list[Path]:
    return sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})


def _check_complete(folder: Path, is_adapter: bool) -> None:
    needed = _NEEDED if is_adapter else _NEEDED | _NEEDED_OF_MODELS
    for what, names in needed.items():
        if not any((folder / name).is_file() for name in names):
            raise HubError(
                f"{folder} has no {what} ({' or '.join(names)}); save model and processor there with `save_pretrained`"
            )


def _weights(folder: Path, is_adapter: bool) -> tuple[list[Path], dict[str, int]]:
    try:
        if is_adapter:
            files = {ADAPTER: parse_local_safetensors_file_metadata(folder / ADAPTER)}
        else:
            files = get_local_safetensors_metadata(folder).files_metadata
    except (NotASafetensorsRepoError, FileNotFoundError) as error:
        raise HubError(
            f"{folder} has no weights in safetensors, or not all of them ({error}); save it again"
        ) from error
    except SafetensorsParsingError as error:
        raise HubError(f"{folder} has damaged weights ({error}); save it again") from error
    parameters: dict[str, int] = {}
    for name, metadata in files.items():
        with (folder / name).open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        end = max((tensor.data_offsets[1] for tensor in metadata.tensors.values()), default=0)
        if (folder / name).stat().st_size != 8 + header + end:
            raise HubError(f"{folder / name} is cut short or has bytes too many; save the model again")
        for dtype, count in metadata.parameter_count.items():
            parameters[dtype] = parameters.get(dtype, 0) + count
    return [folder / name for name in files], parameters


def _code(folder: Path, config: Mapping[str, Any]) -> list[Path]:
    """The code files that a type of its own needs."""
    modules = {name.split(".")[0] for name in config.get("auto_map", {}).values()}
    missing = [f"{module}.py" for module in modules if not (folder / f"{module}.py").is_file()]
    if missing:
        raise HubError(f"{folder} lacks {', '.join(missing)}, which its {CONFIG} names; save the model again")
    if not modules and str(config.get("model_type", "")).startswith("aesexpert"):
        raise HubError(
            f"{folder} is of the type {config['model_type']} but brings no code, so nobody could load it; use "
            '`save_checkpoint(model, processor, folder)`, or with "aesexpert" as its last argument to keep the type'
        )
    return _found(folder, "*.py") if modules else []


def _read_recipe(file: Path) -> dict[str, Any]:
    return last_parts(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def _adapter_config(file: Path, base_model: str | None) -> bytes:
    config = json.loads(file.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base_model
    return (json.dumps(config, indent=2, sort_keys=True) + "\n").encode()
