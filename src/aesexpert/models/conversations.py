"""From questions about pictures to the tokens that a model reads and writes, by the processor's chat template."""

from collections.abc import Sequence
from typing import Any

from PIL.Image import Image
from transformers import BatchFeature, PreTrainedModel, ProcessorMixin


Conversation = Sequence[dict[str, Any]]
"""Messages, as chat templates read them."""


class ChatTemplateError(ValueError):
    """A chat template that does not write a response right behind its prompt."""


def ask_about(picture: Image, text: str) -> list[dict[str, Any]]:
    """Asks something about a picture.

    Args:
        picture (`PIL.Image.Image`): The picture.
        text (`str`): The question.

    Returns:
        `list[dict[str, Any]]`: A conversation of one turn, the user's.
    """
    return [{"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": text}]}]


def to_inputs(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    conversations: Sequence[Conversation],
    padding_side: str = "left",
    **template_options: bool,
) -> BatchFeature:
    """Turns conversations with pictures into a padded batch on the model's device.

    Args:
        model ([`~transformers.PreTrainedModel`]): The model that will read them.
        processor ([`~transformers.ProcessorMixin`]): Its processor.
        conversations (`Sequence[Conversation]`): Lists of messages.
        padding_side (`str`, *optional*, defaults to `"left"`): `"left"` or `"right"`.
        template_options (`bool`): Options of the chat template.

    Returns:
        `BatchFeature`: `input_ids` and `attention_mask` of shape `(B, S)`, and whatever else the model takes.
    """
    batch = processor.apply_chat_template(
        list(conversations),
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True, "padding_side": padding_side},
        **template_options,
    )
    return batch.to(model.device, model.dtype)


def response_tokens(processor: ProcessorMixin, prompt: Conversation, response: str) -> list[int]:
    """The tokens that a response adds to its prompt, its end marker included.

    They are found on the text, before pictures become many tokens, and on whole texts: a tokenizer may write a word
    in other tokens when it stands alone.

    Args:
        processor ([`~transformers.ProcessorMixin`]): A processor with a chat template.
        prompt (`Conversation`): What is asked.
        response (`str`): What is answered.

    Returns:
        `list[int]`: The tokens after those of the prompt.

    Raises:
        `ChatTemplateError`: If the template does not write the prompt and then the response.
    """
    answered = [*prompt, {"role": "assistant", "content": [{"type": "text", "text": response}]}]
    texts = [
        processor.apply_chat_template(list(prompt), add_generation_prompt=True),
        processor.apply_chat_template(answered),
    ]
    prompt_ids, ids = processor.tokenizer(texts, add_special_tokens=False)["input_ids"]
    if ids[: len(prompt_ids)] != prompt_ids:
        raise ChatTemplateError(
            f"the chat template does not write a prompt and its response {response[:60]!r} in one piece"
        )
    return list(ids[len(prompt_ids) :])
