"""What is checked before hours of training start."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel, ProcessorMixin
from transformers.integrations import is_deepspeed_zero3_enabled


def check_texts(pictures: Dataset, image_token: str) -> None:
    """
    Make sure that no instruction spells the picture's placeholder, which would stand for a picture that is not there.

    Args:
        pictures (`datasets.Dataset`): A split of AesMMIT in its `instructions` configuration.
        image_token (`str`): The placeholder, such as `"<image>"`.

    Raises:
        `ValueError`: Naming the picture and the text.
    """
    for row in pictures.select_columns(["image_id", "instructions"]):
        for instruction in row["instructions"]:
            for text in (instruction["prompt"], instruction["response"]):
                if image_token in text:
                    raise ValueError(
                        f"picture {row['image_id']!r}: the text {text[:80]!r} contains {image_token!r}, which stands "
                        "for a picture; remove it, the picture is put before the text"
                    )


def check_placeholders(
    model: PreTrainedModel, processor: ProcessorMixin, batch: dict[str, Any], max_length: int | None
) -> None:
    """
    Make sure that a row has as many placeholders as the model gives picture features, and that none is cut off.

    Args:
        model ([`~transformers.PreTrainedModel`]): The model.
        processor ([`~transformers.ProcessorMixin`]): Its processor.
        batch (`dict[str, Any]`): The first row as the collator gives it: `input_ids` of shape `(1, length)` and the
            picture's tensors.
        max_length (`int`, *optional*): Longest sequence in tokens.

    Raises:
        `ValueError`: With both numbers and what to change.
    """
    placeholders = int((batch["input_ids"] == processor.image_token_id).sum())
    if is_deepspeed_zero3_enabled():  # the tower's weights are spread over the processes
        return
    features = _count_features(model.get_image_features, batch)
    if placeholders != features and max_length is not None:
        raise ValueError(
            f"a row keeps {placeholders} of {features} picture tokens within `max_length` {max_length}; raise "
            "`max_length` or leave it out"
        )
    if placeholders != features:
        raise ValueError(
            f"the processor writes {placeholders} placeholders for a picture, the model gives {features} features; "
            "check `patch_size`, `num_additional_image_tokens` and `vision_feature_select_strategy` of the processor, "
            "and that its chat template writes the picture"
        )


def _count_features(get_image_features: Callable[..., Any], batch: dict[str, Any]) -> int:
    accepted = inspect.signature(get_image_features).parameters
    inputs = {name: value for name, value in batch.items() if name in accepted}
    with torch.no_grad():
        features = get_image_features(**inputs, return_dict=True).pooler_output
    return sum(len(picture) for picture in features)
