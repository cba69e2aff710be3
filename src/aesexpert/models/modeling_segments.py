"""Shared-prefix packing: what each token of a packed row may see, and at which position it stands.

A packed row holds one prefix (system text and a picture) and behind it several segments (a question with its answer
each) that do not know of each other. `segment_ids` of shape `(batch, length)` says what is what: 0 is the prefix,
k > 0 the k-th segment, -1 padding.
"""

from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedConfig
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS


ATTENTION = ("sdpa", "eager", "flex_attention")
"""The attention implementations that take a mask of their own for every row."""


def segment_mask(segment_ids: torch.Tensor, config: PreTrainedConfig, dtype: torch.dtype) -> Any:
    """
    The attention mask of packed rows: a token sees earlier tokens of the prefix and of its own segment.

    Args:
        segment_ids (`torch.Tensor` of shape `(batch, length)`):
            0 for the prefix, k > 0 for the k-th segment, -1 for padding.
        config ([`~transformers.PreTrainedConfig`]):
            Configuration of the language model, which names its attention implementation.
        dtype (`torch.dtype`):
            Number format that the model computes in.

    Returns:
        `torch.Tensor` of shape `(batch, 1, length, length)`, boolean for `"sdpa"` and additive for `"eager"`, or a
        `BlockMask` for `"flex_attention"`. transformers' models take all of them as `attention_mask`.

    Raises:
        `ValueError`: If the attention implementation takes no such mask.
    """
    attention = config._attn_implementation
    if attention not in ATTENTION:
        raise ValueError(
            f"`attn_implementation` is {attention!r}, which cannot hide the segments of a packed row from each other; "
            f"expected one of {', '.join(ATTENTION)}"
        )
    batch_size, length = segment_ids.shape
    return ALL_MASK_ATTENTION_FUNCTIONS[attention](
        batch_size=batch_size,
        q_length=length,
        kv_length=length,
        mask_function=_sees(segment_ids),
        allow_is_causal_skip=False,
        dtype=dtype,
        config=config,
        device=segment_ids.device,
    )


def segment_positions(segment_ids: torch.Tensor) -> torch.Tensor:
    """
    The positions of packed rows: every segment goes on where the prefix ends.

    Args:
        segment_ids (`torch.Tensor` of shape `(batch, length)`):
            0 for the prefix, k > 0 for the k-th segment, -1 for padding. Each segment is in one piece.

    Returns:
        `torch.Tensor` of shape `(batch, length)`: Positions from 0 on; those of padding mean nothing.
    """
    plain = torch.arange(segment_ids.shape[1], device=segment_ids.device).expand_as(segment_ids)
    begins = torch.ones_like(segment_ids, dtype=torch.bool)
    begins[:, 1:] = segment_ids[:, 1:] != segment_ids[:, :-1]
    start_of_own = plain.masked_fill(~begins, 0).cummax(dim=1).values
    prefix_length = (segment_ids == 0).sum(dim=1, keepdim=True)
    return torch.where(segment_ids == 0, plain, prefix_length + plain - start_of_own)


def _sees(segment_ids: torch.Tensor) -> Callable[..., torch.Tensor]:
    """Padding sees itself, so that no row of the mask is empty: its softmax would be undefined."""

    def sees(batch: torch.Tensor, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        of_key = segment_ids[batch, key]
        return (key <= query) & ((of_key == 0) | (of_key == segment_ids[batch, query]))

    return sees


__all__ = ["segment_mask", "segment_positions"]
