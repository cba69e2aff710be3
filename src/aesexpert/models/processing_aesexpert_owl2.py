"""The processor of AesExpert on mPLUG-Owl2: pictures and text to model inputs."""

from typing import Any

from transformers import ProcessorMixin
from transformers.image_utils import is_pil_image, load_image


class AesExpertOwl2Processor(ProcessorMixin):
    """
    Turns pictures and conversations into the inputs of [`AesExpertOwl2ForConditionalGeneration`].

    Pictures are turned upright as their camera noted (EXIF), then resized to a square without regard to their shape,
    as mPLUG-Owl2 does. Each picture token of the text becomes as many as the picture has vectors, so that `input_ids`
    of shape `(batch, length)` and `pixel_values` of shape `(pictures, 3, height, width)` agree.

    Args:
        image_processor ([`~transformers.CLIPImageProcessor`]): Resizes and normalises.
        tokenizer ([`~transformers.PreTrainedTokenizerFast`]): Knows the picture token.
        image_seq_length (`int`, *optional*, defaults to 65): Vectors of a picture.
        image_token (`str`, *optional*, defaults to `"<|image|>"`): The picture token.
        chat_template (`str`, *optional*): The conversation template.
    """

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        image_seq_length: int = 65,
        image_token: str = "<|image|>",
        chat_template: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.image_seq_length = image_seq_length
        self.image_token = image_token
        self.image_token_id = tokenizer.convert_tokens_to_ids(image_token)
        super().__init__(image_processor, tokenizer, chat_template=chat_template)

    def prepare_inputs_layout(self, images: Any = None, **kwargs: Any) -> tuple[Any, ...]:
        """See [`~transformers.ProcessorMixin`]; pictures are turned upright besides."""
        images, *others = super().prepare_inputs_layout(images=images, **kwargs)
        return (_upright(images), *others)

    def replace_image_token(self, image_inputs: dict[str, Any], image_idx: int, **kwargs: Any) -> str:
        """See [`~transformers.ProcessorMixin`]: a picture has the same number of vectors whatever its size."""
        return self.image_token * self.image_seq_length


def _upright(images: Any) -> Any:
    if isinstance(images, list | tuple):
        return [_upright(image) for image in images]
    return load_image(images) if is_pil_image(images) else images


__all__ = ["AesExpertOwl2Processor"]
