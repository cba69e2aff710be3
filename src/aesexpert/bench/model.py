"""Any image-text-to-text model: loading it, asking it, and telling one state of it from another."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    BatchFeature,
    GenerationConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.utils.hub import cached_file, extract_commit_hash

from aesexpert.bench.errors import BenchError
from aesexpert.models.conversations import Conversation, to_inputs


_MODEL_FILES = ("*config.json", "tokenizer.*", "chat_template*", "*.safetensors", "pytorch_model*.bin")
_NEEDED_FILES = (
    ("config.json", "adapter_config.json"),
    ("processor_config.json", "preprocessor_config.json"),
    ("tokenizer.json", "tokenizer.model", "tokenizer_config.json"),
)
_SAMPLES, _SAMPLE_BYTES = 64, 2**16


@dataclass(frozen=True)
class VisionLanguageModel:
    """A model with its processor, ready to be asked.

    Args:
        model (`PreTrainedModel`): The model, in evaluation mode.
        processor (`ProcessorMixin`): Its processor, which has a chat template.
    """

    model: PreTrainedModel
    processor: ProcessorMixin

    def encode(
        self, conversations: Sequence[Conversation], padding_side: str = "left", **template_options: bool
    ) -> BatchFeature:
        """Turns conversations with pictures into a padded batch on the model's device.

        Args:
            conversations (`Sequence[Conversation]`): Lists of messages, as chat templates read them.
            padding_side (`str`, *optional*, defaults to `"left"`): `"left"` or `"right"`.
            template_options (`bool`): Options of the chat template.

        Returns:
            `BatchFeature`: `input_ids` and `attention_mask` of shape `(B, S)`, and whatever else the model takes.
        """
        return to_inputs(self.model, self.processor, conversations, padding_side, **template_options)


def load_model(model_id: str) -> VisionLanguageModel:
    """Loads a model of any image-text-to-text architecture that the Auto classes know.

    It runs on the accelerator in bfloat16 if there is one, else on the CPU in float32.

    Args:
        model_id (`str`): A folder, or the id of a repository on the Hub.

    Returns:
        `VisionLanguageModel`: The model and its processor.

    Raises:
        `BenchError`: If something is missing, or if it is no image-text-to-text model with a chat template.
    """
    check_files(model_id)
    try:
        processor = AutoProcessor.from_pretrained(model_id)
        _check_processor(processor, model_id)
        model = AutoModelForImageTextToText.from_pretrained(model_id, dtype=_dtype())
    except BenchError:
        raise
    except (OSError, ValueError, ImportError) as error:
        raise BenchError(
            f"{model_id} cannot be loaded as an image-text-to-text model: {_first_line(error)}"
        ) from error
    model.generation_config = _greedy(model.generation_config, processor.tokenizer)
    return VisionLanguageModel(model.to(_device()).eval(), processor)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _device() -> torch.device:
    return torch.accelerator.current_accelerator() or torch.device("cpu")


def _dtype() -> torch.dtype:
    return torch.bfloat16 if torch.accelerator.is_available() else torch.float32


def dtype_name() -> str:
    """Names the number format that models run in here: bfloat16 on an accelerator, float32 on the CPU."""
    return str(_dtype()).removeprefix("torch.")


def _greedy(own: GenerationConfig, tokenizer: Any) -> GenerationConfig:
    """Keeps only the special tokens of a model's own settings.

    Sampling or a penalty on repetition would make models incomparable, and the penalty also sees the padding.
    """
    end = own.eos_token_id if own.eos_token_id is not None else tokenizer.eos_token_id
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    return GenerationConfig(do_sample=False, bos_token_id=own.bos_token_id, eos_token_id=end, pad_token_id=padding)


def check_files(model_id: str) -> None:
    """Checks that a model folder has all parts; a Hub id is left to the Hub.

    Args:
        model_id (`str`): A folder, or the id of a repository on the Hub.

    Raises:
        `BenchError`: If it is neither, or if a file is missing.
    """
    folder = Path(model_id)
    if not folder.is_dir():
        check_hub_id(model_id, "a model folder")
        return
    for names in _NEEDED_FILES:
        if not any((folder / name).is_file() for name in names):
            raise BenchError(f"the model folder {folder} has no {names[0]}; save model and processor into one folder")


def check_hub_id(name: str, otherwise: str) -> None:
    """Checks that a name could be the id of a repository on the Hub.

    Args:
        name (`str`): The name.
        otherwise (`str`): What else it could have been, for the message.

    Raises:
        `BenchError`: If it is none.
    """
    if name.startswith((".", "/")) or name.count("/") != 1:
        raise BenchError(f"{name} is neither {otherwise} nor the id of a Hub repository (OWNER/NAME)")


def _check_processor(processor: Any, model_id: str) -> None:
    if not hasattr(processor, "image_processor"):
        raise BenchError(f"{model_id} has no processor for pictures (processor_config.json)")
    if not processor.chat_template:
        raise BenchError(
            f"the {type(processor).__name__} of {model_id} has no chat template; add chat_template.jinja to the folder"
        )


def model_fingerprint(model_id: str) -> str:
    """Tells one state of a model from another without reading all of it.

    Args:
        model_id (`str`): A folder, or the id of a repository on the Hub.

    Returns:
        `str`: The commit of a Hub repository; of a folder a hash of configuration and processor, and of the sizes,
        headers and evenly spaced samples of the weight files.

    Raises:
        `BenchError`: If there is no such model.
    """
    check_files(model_id)
    folder = Path(model_id)
    if not folder.is_dir():
        return _hub_commit(model_id)
    digest = hashlib.sha256()
    for file in sorted({file for pattern in _MODEL_FILES for file in folder.glob(pattern)}):
        digest.update(f"\n{file.name}\t{file.stat().st_size}\n".encode())
        _update_with_samples(digest, file)
    return digest.hexdigest()


def _hub_commit(model_id: str) -> str:
    try:
        commit = extract_commit_hash(cached_file(model_id, "config.json"), None)
    except OSError as error:
        raise BenchError(f"{model_id} cannot be loaded from the Hub: {_first_line(error)}") from error
    if commit is None:
        raise BenchError(f"{model_id} has no commit in the local cache; download it again")
    return commit


def _update_with_samples(digest: Any, file: Path) -> None:
    size = file.stat().st_size
    step = max(_SAMPLE_BYTES, size // _SAMPLES)
    with open(file, "rb") as handle:
        for start in range(0, size, step):
            handle.seek(start)
            digest.update(handle.read(_SAMPLE_BYTES))
