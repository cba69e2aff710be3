"""Writing checkpoints: as a stock `llava` folder, or as the registered `aesexpert` type with its code."""

import shutil
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from transformers import (
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.dynamic_module_utils import custom_object_save
from transformers.image_processing_utils import BaseImageProcessor

from aesexpert.models.configuration_aesexpert import AesExpertConfig
from aesexpert.models.modeling_aesexpert import AesExpertForConditionalGeneration
from aesexpert.models.processing_aesexpert import AesExpertProcessor


class CheckpointFormat(StrEnum):
    """The two ways to write a checkpoint of the LLaVA design; their tensors are the same."""

    LLAVA = "llava"
    AESEXPERT = "aesexpert"


_CLASSES: dict[CheckpointFormat, tuple[type[LlavaConfig], type[PreTrainedModel], type[LlavaProcessor]]] = {
    CheckpointFormat.LLAVA: (LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor),
    CheckpointFormat.AESEXPERT: (AesExpertConfig, AesExpertForConditionalGeneration, AesExpertProcessor),
}
_CODE = {
    "AutoConfig": "configuration_aesexpert.AesExpertConfig",
    "AutoModel": "modeling_aesexpert.AesExpertModel",
    "AutoModelForImageTextToText": "modeling_aesexpert.AesExpertForConditionalGeneration",
    "AutoProcessor": "processing_aesexpert.AesExpertProcessor",
}


def save_checkpoint(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    folder: str | Path,
    checkpoint_format: CheckpointFormat | str = CheckpointFormat.LLAVA,
) -> None:
    """
    Write a model of the LLaVA design with its processor.

    The stock format loads with nothing imported: `AutoModel.from_pretrained`, `pipeline`, vLLM and the like. The
    registered format carries its code files and needs `trust_remote_code=True` or an `import aesexpert.models`.

    Args:
        model ([`~transformers.LlavaForConditionalGeneration`] or [`AesExpertForConditionalGeneration`]):
            The model; it is not changed, and its weights are not copied.
        processor ([`~transformers.LlavaProcessor`]): Its processor.
        folder (`str` or `Path`): Where to write.
        checkpoint_format (`CheckpointFormat` or `str`, *optional*, defaults to `"llava"`): `"llava"` or `"aesexpert"`.

    Raises:
        `ValueError`: If the model is of another architecture, or the format is unknown.
    """
    checkpoint_format = CheckpointFormat(checkpoint_format)
    if not isinstance(model, LlavaForConditionalGeneration):
        raise ValueError(
            f"expected a model of the LLaVA design, got {type(model).__name__}; save it with `save_pretrained`"
        )
    config_class, model_class, processor_class = _CLASSES[checkpoint_format]
    model = _as_class(model, config_class, model_class)
    processor = _processor_as_class(processor, processor_class)
    _forget_paths(model.config)
    processor.tokenizer.init_kwargs.pop("name_or_path", None)
    if checkpoint_format is CheckpointFormat.AESEXPERT:
        _carry_code(model.config, processor, Path(folder))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def save_architecture(
    model: PreTrainedModel,
    reader: ProcessorMixin | BaseImageProcessor,
    folder: str | Path,
    checkpoint_format: CheckpointFormat | str = CheckpointFormat.LLAVA,
) -> PreTrainedConfig:
    """
    Write all of a checkpoint but its weights: the configuration, the processor, and code files where it needs them.

    Args:
        model ([`~transformers.PreTrainedModel`]): The model, which may be on the meta device.
        reader ([`~transformers.ProcessorMixin`] or [`~transformers.BaseImageProcessor`]): Its processor, or the part
            of it that reads pictures.
        folder (`str` or `Path`): Where to write.
        checkpoint_format (`CheckpointFormat` or `str`, *optional*, defaults to `"llava"`):
            `"llava"` or `"aesexpert"` for the LLaVA design; other models always have their registered type.

    Returns:
        [`~transformers.PreTrainedConfig`]: The configuration that was written.
    """
    checkpoint_format = CheckpointFormat(checkpoint_format)
    config, architecture = model.config, type(model)
    if isinstance(model, LlavaForConditionalGeneration):
        config_class, architecture, processor_class = _CLASSES[checkpoint_format]
        config = config_class.from_dict(_fields(config))
        if isinstance(reader, LlavaProcessor):
            reader = _processor_as_class(reader, processor_class)
        if checkpoint_format is CheckpointFormat.AESEXPERT:
            _carry_code(config, reader, Path(folder))
    else:
        custom_object_save(model, folder, config=config)
    config.architectures = [architecture.__name__]
    config.save_pretrained(folder)
    reader.save_pretrained(folder)
    return config


def _as_class(
    model: LlavaForConditionalGeneration, config_class: type[LlavaConfig], model_class: type[PreTrainedModel]
) -> PreTrainedModel:
    """A model of the wanted class around the same tensors."""
    config = config_class.from_dict(_fields(model.config))
    with torch.device("meta"):
        twin = model_class(config)
    twin.load_state_dict(model.state_dict(), assign=True)
    twin.tie_weights()
    twin.generation_config = model.generation_config
    return twin


def _processor_as_class(processor: ProcessorMixin, processor_class: type[LlavaProcessor]) -> LlavaProcessor:
    return processor_class(
        image_processor=processor.image_processor,
        tokenizer=processor.tokenizer,
        patch_size=processor.patch_size,
        vision_feature_select_strategy=processor.vision_feature_select_strategy,
        chat_template=processor.chat_template,
        image_token=processor.image_token,
        num_additional_image_tokens=processor.num_additional_image_tokens,
    )


def _fields(config: PreTrainedConfig) -> dict[str, Any]:
    """The architecture alone: what names the class and its code is written anew."""
    return {
        key: value for key, value in config.to_dict().items() if key not in ("model_type", "architectures", "auto_map")
    }


def _forget_paths(config: PreTrainedConfig) -> None:
    """`from_pretrained` notes the folder of each part, which means nothing on another machine."""
    for part in (config, config.vision_config, config.text_config):
        part._name_or_path = ""


def _carry_code(config: PreTrainedConfig, processor: ProcessorMixin | BaseImageProcessor, folder: Path) -> None:
    """Copy the code files and name their classes, so that the folder loads with `trust_remote_code=True` alone."""
    config.auto_map = {auto: name for auto, name in _CODE.items() if auto != "AutoProcessor"}
    if isinstance(processor, ProcessorMixin):
        processor.auto_map = {"AutoProcessor": _CODE["AutoProcessor"]}
    folder.mkdir(parents=True, exist_ok=True)
    for module in {*(name.split(".")[0] for name in _CODE.values()), "modeling_segments"}:
        shutil.copyfile(Path(__file__).with_name(f"{module}.py"), folder / f"{module}.py")
