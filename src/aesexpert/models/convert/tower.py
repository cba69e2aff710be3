"""The CLIP vision tower of a LLaVA checkpoint, which may be inside it or in a folder of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import CLIPVisionConfig

from aesexpert.models.configuration_aesexpert import AesExpertConfig
from aesexpert.models.convert.errors import ConversionError
from aesexpert.models.convert.plan import Change
from aesexpert.models.convert.source import Source, build_config, read_json
from aesexpert.models.convert.weights import TensorInfo, list_tensors


EMBEDDED = "model.vision_tower.vision_tower."
VISION_FIELDS = (
    "hidden_size",
    "intermediate_size",
    "projection_dim",
    "num_hidden_layers",
    "num_attention_heads",
    "num_channels",
    "image_size",
    "patch_size",
    "hidden_act",
    "layer_norm_eps",
    "attention_dropout",
)
_LLAVA_1_5 = "clip-vit-large-patch14-336"


@dataclass(frozen=True)
class Tower:
    """
    A vision tower.

    Args:
        config (`CLIPVisionConfig`): Its architecture.
        tensors (`Mapping[str, TensorInfo]`): Its tensors outside the checkpoint; empty if those inside are taken.
        folder (`Path`, *optional*): Its folder, if it has one.
        note (`str`, *optional*): What the user should know about the choice.
    """

    config: CLIPVisionConfig
    tensors: Mapping[str, TensorInfo]
    folder: Path | None
    note: str | None = None


def find_tower(source: Source, given: Path | None, allow_pickle: bool) -> Tower:
    """
    Choose the vision tower that the original code would use.

    It loads the tower that the configuration names, even if the checkpoint has one inside, unless the tower was
    trained (`unfreeze_mm_vision_tower`). A frozen tower inside is a copy of the named one, so it is taken where the
    named one is not at hand.

    Args:
        source (`Source`): An original LLaVA folder.
        given (`Path`, *optional*): The tower's folder, by the user.
        allow_pickle (`bool`): Whether `.bin` files may be read.

    Returns:
        `Tower`: The tower.

    Raises:
        `ConversionError`: If there is none, or if it is no CLIP.
    """
    name = str(source.config.get("mm_vision_tower") or source.config.get("vision_tower") or "")
    folder = given if given is not None else _find_folder(name, source.folder)
    inside = any(tensor.startswith(EMBEDDED) for tensor in source.tensors)
    trained = bool(source.config.get("unfreeze_mm_vision_tower", False))
    if folder is None:
        if inside and name.rsplit("/", 1)[-1] == _LLAVA_1_5:
            return Tower(AesExpertConfig.aesexpert_7b().vision_config, {}, None)
        wanted = "its configuration" if inside else "it"
        raise ConversionError(
            f"{source.folder} needs the vision tower {name!r}: download it and name the folder that has {wanted} with "
            "--vision-tower DIR"
        )
    config = _read_config(folder)
    if inside and trained:
        note = f"the vision tower was trained and is taken from the checkpoint itself, not from {folder.name}"
        return Tower(config, {}, folder, note)
    note = f"the vision tower was frozen and is taken from {folder.name}, not from the copy inside the checkpoint"
    return Tower(config, list_tensors(folder, allow_pickle), folder, note if inside else None)


def rename_tower(name: str) -> dict[str, Change | None]:
    """
    Name a tensor of a CLIP folder as stock Llava does.

    Args:
        name (`str`): Its name in a `CLIPVisionModel` or a whole `CLIPModel`, of any version of transformers.

    Returns:
        `dict[str, Change | None]`: Its new name.
    """
    return {f"vision_tower.{name.removeprefix('vision_model.')}": None}


def _find_folder(name: str, source: Path) -> Path | None:
    """The original looks from the working directory; beside and inside the checkpoint are as plausible."""
    candidates = [Path(name), source / name, source.parent / name] if name else []
    return next((folder for folder in candidates if (folder / "config.json").is_file()), None)


def _read_config(folder: Path) -> CLIPVisionConfig:
    config: dict[str, Any] = read_json(folder / "config.json")
    values = config.get("vision_config") if config.get("model_type") == "clip" else config
    if config.get("model_type") not in ("clip", "clip_vision_model") or not isinstance(values, dict):
        raise ConversionError(
            f"{folder}/config.json describes a {config.get('model_type')!r}; expected the CLIP vision tower of "
            "LLaVA-1.5"
        )
    return build_config(CLIPVisionConfig, values, VISION_FIELDS, folder / "config.json")
