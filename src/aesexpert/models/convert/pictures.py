"""How pictures become pixels, as the source's vision tower was trained."""

from pathlib import Path
from typing import Any

from aesexpert.models.convert.source import read_json


_FILES = ("preprocessor_config.json", "processor_config.json")
_KEPT = ("image_mean", "image_std", "resample", "rescale_factor")


def clip_options(*folders: Path | None) -> dict[str, Any]:
    """
    Read mean, deviation and interpolation of a CLIP image processor.

    Args:
        folders (`Path`, *optional*): Where its configuration can be; the first that has one wins.

    Returns:
        `dict[str, Any]`: The values that are there; CLIP's own are the default for the others.
    """
    for folder in folders:
        values = {} if folder is None else _read(folder)
        if values:
            return {name: values[name] for name in _KEPT if values.get(name) is not None}
    return {}


def pads_to_square(folder: Path) -> bool | None:
    """
    Tell whether a checkpoint's own processor pads pictures to squares.

    Args:
        folder (`Path`): The checkpoint.

    Returns:
        `bool`, *optional*: What its processor says, if it is one that could pad.
    """
    values = _read(folder)
    if not str(values.get("image_processor_type", "")).startswith("LlavaImageProcessor"):
        return None
    return bool(values.get("do_pad", False))


def _read(folder: Path) -> dict[str, Any]:
    """What a folder says of its image processor; newer versions of transformers nest it in the processor's file."""
    for name in _FILES:
        if (folder / name).is_file():
            values = read_json(folder / name)
            values = values.get("image_processor", values)
            return values if isinstance(values, dict) else {}
    return {}
