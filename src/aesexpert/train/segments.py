"""Packed rows for every image-text-to-text model of transformers, whatever its architecture."""

import inspect
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from aesexpert.models.modeling_segments import ATTENTION, segment_mask, segment_positions


USE_ONE = "train with `packing: one`"


def take_segments(model: nn.Module) -> None:
    """
    Let a model take `segment_ids`: a hook turns them into the mask and the positions that its architecture knows.

    A model that takes them by itself, such as [`AesExpertModel`], is left as it is.

    Args:
        model (`torch.nn.Module`): An image-text-to-text model, or the [`~peft.PeftModel`] around it.

    Raises:
        `ValueError`: If the architecture cannot hide the segments of a row from each other.
    """
    network = _network(model)
    if _takes_segments(network):
        return
    _check_layers(network)
    # PEFT calls its inner model by `forward` alone, which passes over that model's hooks
    runs = model if network is model else model.base_model
    runs.register_forward_pre_hook(_Segments(network), with_kwargs=True)


def _network(model: nn.Module) -> PreTrainedModel:
    return model if isinstance(model, PreTrainedModel) else model.get_base_model()


def _takes_segments(network: PreTrainedModel) -> bool:
    return "segment_ids" in inspect.signature(network.base_model.forward).parameters


def _check_layers(network: PreTrainedModel) -> None:
    config = network.config.get_text_config()
    kinds = sorted(set(getattr(config, "layer_types", None) or []) - {"full_attention"})
    if kinds:
        raise ValueError(
            f"{type(network).__name__} has layers of the kind {', '.join(kinds)}, which cannot hide the segments of a "
            f"packed row from each other; {USE_ONE}"
        )
    if config._attn_implementation not in ATTENTION:
        raise ValueError(
            f"`attn_implementation` is {config._attn_implementation!r}, which cannot hide the segments of a packed "
            f"row from each other; choose one of {', '.join(ATTENTION)}, or {USE_ONE}"
        )


class _Segments:
    """The hook: in place of `segment_ids`, a mask and positions."""

    def __init__(self, network: PreTrainedModel) -> None:
        self.network = network

    def __call__(
        self, module: nn.Module, args: tuple[Any, ...], inputs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        segment_ids = inputs.pop("segment_ids", None)
        if segment_ids is None:
            return None
        inputs["position_ids"] = self._positions(segment_ids, inputs)
        inputs["attention_mask"] = segment_mask(segment_ids, self.network.config.get_text_config(), self.network.dtype)
        return args, inputs

    def _positions(self, segment_ids: torch.Tensor, inputs: dict[str, Any]) -> torch.Tensor:
        positions = segment_positions(segment_ids)
        own = getattr(self.network.base_model, "get_rope_index", None)
        if own is None:
            return positions
        # Positions of several axes (M-RoPE) count text by one on each axis: a segment's only have to go back.
        accepted = inspect.signature(own).parameters
        in_a_row, _ = own(**{name: value for name, value in inputs.items() if name in accepted})
        plain = torch.arange(segment_ids.shape[1], device=segment_ids.device)
        return in_a_row + (positions - plain).masked_fill(segment_ids < 0, 0)
