"""The AesExpert model: the LLaVA-1.5 design on transformers' own classes (section 4.1 of the paper)."""

from typing import Any

import torch
from transformers import LlavaForConditionalGeneration, LlavaModel
from transformers.conversion_mapping import get_checkpoint_conversion_mapping, register_checkpoint_conversion_mapping

from .configuration_aesexpert import AesExpertConfig
from .modeling_segments import segment_mask, segment_positions


# The tensors of a checkpoint have the names of a stock Llava, in its present and in its older spelling.
register_checkpoint_conversion_mapping(
    AesExpertConfig.model_type, get_checkpoint_conversion_mapping("llava"), overwrite=True
)
register_checkpoint_conversion_mapping(
    "AesExpertModel", get_checkpoint_conversion_mapping("LlavaModel"), overwrite=True
)


class AesExpertModel(LlavaModel):
    """
    AesExpert without its language-modelling head: vision tower, two-layer projector, language model.

    Args:
        config ([`AesExpertConfig`]): The architecture of the three parts.

    Inputs and outputs are those of [`~transformers.LlavaModel`]: `input_ids` and `attention_mask` of shape
    `(batch, length)`, `pixel_values` of shape `(pictures, 3, height, width)`; the last hidden state has the shape
    `(batch, length, hidden_size)`. One more input, `segment_ids` of shape `(batch, length)`, tells the segments of
    packed rows apart (see [`segment_mask`]).
    """

    config_class = AesExpertConfig

    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        segment_ids: torch.LongTensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """
        Run the model; rows with `segment_ids` are packed rows.

        Args:
            segment_ids (`torch.Tensor` of shape `(batch, length)`, *optional*):
                0 for the prefix that all segments see, k > 0 for the k-th segment, -1 for padding. Takes the place of
                `attention_mask`, and of `position_ids` where they are not given.
            kwargs (`dict[str, Any]`, *optional*): The other inputs of [`~transformers.LlavaModel`].

        Returns:
            `LlavaModelOutputWithPast`: As [`~transformers.LlavaModel`] returns it.
        """
        if segment_ids is not None:
            attention_mask = segment_mask(segment_ids, self.config.get_text_config(), self.dtype)
            position_ids = segment_positions(segment_ids) if position_ids is None else position_ids
        return super().forward(
            input_ids=input_ids,
            pixel_values=pixel_values,
            attention_mask=attention_mask,
            position_ids=position_ids,
            **kwargs,
        )


class AesExpertForConditionalGeneration(LlavaForConditionalGeneration):
    """
    AesExpert with its language-modelling head: reads pictures and text, writes text.

    Loads folders of its own type and stock `llava` checkpoints alike, since their tensors have the same names.

    Args:
        config ([`AesExpertConfig`]): The architecture of the three parts.

    Example:

    ```python
    >>> from aesexpert import AesExpertForConditionalGeneration

    >>> model = AesExpertForConditionalGeneration.from_pretrained("aesexpert-demo")
    ```
    """

    config_class = AesExpertConfig

    def __init__(self, config: AesExpertConfig) -> None:
        super().__init__(config)
        self.model = AesExpertModel(config)
        self.post_init()


__all__ = ["AesExpertForConditionalGeneration", "AesExpertModel"]
