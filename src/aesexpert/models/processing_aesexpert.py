"""The AesExpert processor: pictures and text to model inputs."""

from typing import Any

from transformers import LlavaProcessor
from transformers.image_utils import is_pil_image, load_image


class AesExpertProcessor(LlavaProcessor):
    """
    Turns pictures and conversations into the inputs of [`AesExpertForConditionalGeneration`].

    The arguments are those of [`~transformers.LlavaProcessor`]. Each `<image>` of the text becomes as many
    placeholder tokens as the vision tower gives features (576 at 336 px with patches of 14 px), so that
    `input_ids` of shape `(batch, length)` and `pixel_values` of shape `(pictures, 3, height, width)` agree. Pictures
    are turned upright as their camera noted (EXIF), whether they come by name or as `PIL.Image`.
    """

    def prepare_inputs_layout(self, images: Any = None, **kwargs: Any) -> tuple[Any, ...]:
        """See [`~transformers.ProcessorMixin`]; pictures are turned upright besides."""
        images, *others = super().prepare_inputs_layout(images=images, **kwargs)
        return (_upright(images), *others)


def _upright(images: Any) -> Any:
    if isinstance(images, list | tuple):
        return [_upright(image) for image in images]
    return load_image(images) if is_pil_image(images) else images


__all__ = ["AesExpertProcessor"]
