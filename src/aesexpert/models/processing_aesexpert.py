"""The AesExpert processor: pictures and text to model inputs."""

from transformers import LlavaProcessor


class AesExpertProcessor(LlavaProcessor):
    """
    Turns pictures and conversations into the inputs of [`AesExpertForConditionalGeneration`].

    The arguments are those of [`~transformers.LlavaProcessor`]. Each `<image>` of the text becomes as many
    placeholder tokens as the vision tower gives features (576 at 336 px with patches of 14 px), so that
    `input_ids` of shape `(batch, length)` and `pixel_values` of shape `(pictures, 3, height, width)` agree.
    """


__all__ = ["AesExpertProcessor"]
