"""The AesExpert model: the LLaVA-1.5 design on transformers' own classes (section 4.1 of the paper)."""

from transformers import LlavaForConditionalGeneration, LlavaModel
from transformers.conversion_mapping import get_checkpoint_conversion_mapping, register_checkpoint_conversion_mapping

from .configuration_aesexpert import AesExpertConfig


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
    `(batch, length, hidden_size)`.
    """

    config_class = AesExpertConfig


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
