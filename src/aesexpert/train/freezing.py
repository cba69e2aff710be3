"""Which parts of a vision-language model train: the projector and the language model, never the vision tower."""

from typing import Any

from torch import nn
from transformers import PreTrainedModel


def vision_tower(model: PreTrainedModel) -> nn.Module:
    """
    The part of `model` that encodes pictures.

    Args:
        model ([`~transformers.PreTrainedModel`]): An image-text-to-text model.

    Returns:
        `torch.nn.Module`: Its vision tower.

    Raises:
        `ValueError`: If the model has none.
    """
    tower = model.get_encoder(modality="image")
    if tower is model or tower is model.base_model:
        raise ValueError(f"{type(model).__name__} has no vision tower; expected an image-text-to-text model")
    return tower


def freeze_vision_tower(model: PreTrainedModel) -> None:
    """
    Keep the vision tower as it is: no gradients, and evaluation mode whatever the trainer switches (section 4.2).

    Args:
        model ([`~transformers.PreTrainedModel`]): An image-text-to-text model.
    """
    tower = vision_tower(model)
    tower.requires_grad_(False)
    # The trainer calls `model.train()` before every step; dropout in the tower would then change its features.
    tower.register_forward_pre_hook(_to_eval_mode)


def projector_parameters(model: PreTrainedModel) -> list[nn.Parameter]:
    """
    The trainable parameters between the vision tower and the language model.

    Args:
        model ([`~transformers.PreTrainedModel`]): An image-text-to-text model, or its LoRA wrapper.

    Returns:
        `list[torch.nn.Parameter]`: Those that belong neither to the tower, nor to the language model or its head.
    """
    others = [vision_tower(model), model.get_decoder(), model.get_output_embeddings()]
    known = {id(parameter) for part in others for parameter in part.parameters()}
    return [p for p in model.parameters() if p.requires_grad and id(p) not in known]


def _to_eval_mode(tower: nn.Module, _: Any) -> None:
    if tower.training:
        tower.eval()
