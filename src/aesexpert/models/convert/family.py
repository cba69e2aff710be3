"""What a family of checkpoints brings to a conversion."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import PreTrainedConfig, PreTrainedModel, ProcessorMixin
from transformers.image_processing_utils import BaseImageProcessor

from aesexpert.models.convert.errors import ConversionError
from aesexpert.models.convert.plan import Rename
from aesexpert.models.convert.weights import TensorInfo


@dataclass(frozen=True)
class Conversion:
    """
    All that is known of a new checkpoint before its tensors are read.

    Args:
        model (`PreTrainedModel`): The new model, without memory behind its weights.
        saved_names (`Mapping[str, str]`): What each of its tensors is called in a file.
        sources (`Sequence[tuple[Mapping[str, TensorInfo], Rename]]`):
            Where its tensors come from, and what they become; an earlier one has precedence.
        dtype (`torch.dtype`): The number format of the source's language model.
        processor (`ProcessorMixin`, *optional*): Its processor, if the source has a tokenizer.
        image_processor (`BaseImageProcessor`): The part of the processor that reads pictures.
        notes (`list[str]`, *optional*): What the user should know.
    """

    model: PreTrainedModel
    saved_names: Mapping[str, str]
    sources: Sequence[tuple[Mapping[str, TensorInfo], Rename]]
    dtype: torch.dtype
    processor: ProcessorMixin | None
    image_processor: BaseImageProcessor
    notes: list[str] = field(default_factory=list)

    @property
    def expected(self) -> dict[str, tuple[int, ...]]:
        """The shapes of all tensors of the new checkpoint, by their names in a file."""
        shapes = {name: tuple(tensor.shape) for name, tensor in self.model.state_dict().items()}
        tied = self.model.all_tied_weights_keys
        return {self.saved_names[name]: shape for name, shape in shapes.items() if name not in tied}


def empty_model(
    build: Callable[[PreTrainedConfig], PreTrainedModel], config: PreTrainedConfig, tensors: int
) -> PreTrainedModel:
    """
    Build a model that takes no memory.

    Args:
        build (`Callable`): Its class.
        config (`PreTrainedConfig`): Its configuration.
        tensors (`int`): How many tensors there are for it, so that no claim of a billion layers keeps us building.

    Returns:
        `PreTrainedModel`: The model on the meta device.

    Raises:
        `ConversionError`: If it has more layers than there are tensors.
    """
    for part in config.sub_configs:
        layers = getattr(config, part).num_hidden_layers
        if layers > tensors:
            raise ConversionError(f"`{part}` claims {layers} layers, but the checkpoint has {tensors} tensors in all")
    with torch.device("meta"):
        return build(config)


def read_template(name: str) -> str:
    """
    Read a chat template of this package.

    Args:
        name (`str`): `"llava"` or `"owl2"`.

    Returns:
        `str`: The template.
    """
    return Path(__file__).with_name(f"{name}.jinja").read_text(encoding="utf-8").rstrip("\n")


def recomputed(name: str) -> str | None:
    """
    Tell why a source tensor is not needed.

    Args:
        name (`str`): Its name.

    Returns:
        `str`, *optional*: The reason, if the tensor is a table that the model computes from its configuration.
    """
    tables = (".inv_freq", ".position_ids", ".q_pos_embed", ".k_pos_embed")
    return "the model computes it from its configuration" if name.endswith(tables) else None
