"""What is checked before hours of training start."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from datasets import Dataset
from torch import nn
from transformers import PreTrainedModel, ProcessorMixin
from transformers.integrations import is_deepspeed_zero3_enabled

from aesexpert.train.packing import IGNORED
from aesexpert.train.segments import USE_ONE


PACKED = ("segment_ids", "position_ids")  # what packed rows have and single ones do not need
# Nats a token: rounding in float32 and in 16 bits; a segment that sees another is above.
TOLERANCE, HALF_TOLERANCE = 1e-3, 0.2


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


def check_packing(model: nn.Module, collate: Callable[[list[Any]], dict[str, torch.Tensor]], rows: list[Any]) -> None:
    """
    Make sure that a model answers packed rows as it answers one instruction a row.

    Args:
        model (`torch.nn.Module`): The model, made to take `segment_ids`.
        collate ([`SharedPrefixCollator`]): The collator of packed rows.
        rows (`list[Any]`): Some instructions of one picture.

    Raises:
        `ValueError`: If its answers differ, or if its code refuses the mask of packed rows.
    """
    packed = collate(rows)
    apart = [{key: value for key, value in collate([row]).items() if key not in PACKED} for row in rows]
    name = type(model).__name__
    try:
        together = _log_probs(model, packed)
    except Exception as error:  # whatever an architecture's own code says of a mask that it does not know
        raise ValueError(f"{name} does not take packed rows ({error}); {USE_ONE}") from error
    difference = (together - torch.cat([_log_probs(model, batch) for batch in apart])).abs().mean().item()
    if difference > (TOLERANCE if together.dtype == torch.float32 else HALF_TOLERANCE):
        raise ValueError(
            f"{name} answers packed rows differently than single ones (by {difference:.2g} nats a token): its "
            f"attention or its positions are of a kind that packing does not know; {USE_ONE}"
        )


@torch.no_grad()
def _log_probs(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    device = next(model.parameters()).device
    inputs = {key: value.to(device) for key, value in batch.items()}
    labels = inputs.pop("labels")
    logits = model.eval()(**inputs).logits[:, :-1][labels[:, 1:] != IGNORED]
    return logits.log_softmax(dim=-1).gather(-1, labels[labels != IGNORED].unsqueeze(-1))


def _count_features(get_image_features: Callable[..., Any], batch: dict[str, Any]) -> int:
    accepted = inspect.signature(get_image_features).parameters
    inputs = {name: value for name, value in batch.items() if name in accepted}
    with torch.no_grad():
        features = get_image_features(**inputs, return_dict=True).pooler_output
    return sum(len(picture) for picture in features)
