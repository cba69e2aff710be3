"""A checkpoint folder to convert: its configuration, its tensors, its tokenizer."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub.errors import StrictDataclassError
from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase

from aesexpert.models.convert.errors import ConversionError
from aesexpert.models.convert.weights import TensorInfo, list_tensors


ConfigT = TypeVar("ConfigT", bound=PreTrainedConfig)
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model")


@dataclass(frozen=True)
class Source:
    """
    A checkpoint folder.

    Args:
        folder (`Path`): Where it is.
        config (`dict[str, Any]`): Its `config.json`.
        tensors (`dict[str, TensorInfo]`): Its tensors.
        tokenizer (`PreTrainedTokenizerBase`, *optional*): Its tokenizer, if it has one.
    """

    folder: Path
    config: dict[str, Any]
    tensors: dict[str, TensorInfo]
    tokenizer: PreTrainedTokenizerBase | None


def read_source(folder: Path, allow_pickle: bool) -> Source:
    """
    Read everything of a checkpoint folder but the tensors themselves.

    Args:
        folder (`Path`): The folder.
        allow_pickle (`bool`): Whether `.bin` files may be read.

    Returns:
        `Source`: What is there.

    Raises:
        `ConversionError`: If it is no checkpoint folder, or damaged.
    """
    if not folder.is_dir():
        raise ConversionError(f"there is no folder {folder}; expected a downloaded checkpoint")
    config = read_json(folder / "config.json")
    return Source(folder, config, list_tensors(folder, allow_pickle), _read_tokenizer(folder))


def read_json(file: Path) -> dict[str, Any]:
    """
    Read a file with one JSON object.

    Args:
        file (`Path`): The file.

    Returns:
        `dict[str, Any]`: The object.

    Raises:
        `ConversionError`: If it is missing or something else.
    """
    if not file.is_file():
        raise ConversionError(f"{file} is missing; expected a checkpoint folder as `save_pretrained` writes it")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConversionError(f"{file} is not JSON ({error}); get it again") from error
    if not isinstance(content, dict):
        raise ConversionError(f"{file} holds a {type(content).__name__}; expected a JSON object")
    return content


def build_config(
    config_class: type[ConfigT], values: Mapping[str, Any], names: Iterable[str], where: Path, **fixed: Any
) -> ConfigT:
    """
    Make a configuration of some values of another.

    Args:
        config_class (`type`): What to make.
        values (`Mapping[str, Any]`): The other configuration; a missing value takes the class's default.
        names (`Iterable[str]`): The values to take.
        where (`Path`): The file they are from, for the message.
        fixed (`dict[str, Any]`, *optional*): Values that are set whatever the other says.

    Returns:
        `PreTrainedConfig`: The configuration.

    Raises:
        `ConversionError`: If a value is of a wrong kind.
    """
    try:
        return config_class(**{**{name: values[name] for name in names if name in values}, **fixed})
    except (StrictDataclassError, TypeError, ValueError, AttributeError, KeyError) as error:
        raise ConversionError(f"{where}: {str(error).strip()}") from error


def _read_tokenizer(folder: Path) -> PreTrainedTokenizerBase | None:
    fast, slow = ((folder / name).is_file() for name in _TOKENIZER_FILES)
    if not fast and not slow:
        return None
    if not fast and find_spec("sentencepiece") is None:
        raise ConversionError(
            f"reading {folder / 'tokenizer.model'} needs sentencepiece: pip install 'aesexpert[convert]'"
        )
    try:
        # the originals tokenise the text before and behind a picture each as if it stood alone: "legacy"
        tokenizer = AutoTokenizer.from_pretrained(folder, legacy=True, trust_remote_code=False)
    except (OSError, ValueError, ImportError, TypeError, KeyError) as error:
        raise ConversionError(f"the tokenizer of {folder} cannot be read: {str(error).strip()}") from error
    tokenizer.init_kwargs["legacy"] = True
    tokenizer.padding_side = "left"  # as generation needs it; training chooses its own
    tokenizer.init_kwargs.pop("name_or_path", None)
    return tokenizer
