"""The language-modelling head on the positions that carry a label."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass
class LabelledScores:
    """
    What the loss and the logged metrics need of each labelled position.

    Args:
        log_probs (`torch.Tensor` of shape `(labels,)`): Log-probability of the label.
        entropy (`torch.Tensor` of shape `(labels,)`): Entropy of the prediction, in nats.
        is_top1 (`torch.Tensor` of shape `(labels,)`): Whether the label is the likeliest token.
        label_mask (`torch.Tensor` of shape `(labels,)`): True throughout: every position has a label.
    """

    log_probs: torch.Tensor
    entropy: torch.Tensor
    is_top1: torch.Tensor
    label_mask: torch.Tensor


def score_labelled_positions(model: nn.Module, head: nn.Module, labels: torch.Tensor, **inputs: Any) -> LabelledScores:
    """
    Run `model` with its head on the positions that predict a labelled token.

    Responses are a small part of a sequence, and the head is the widest matrix of a small model: without an
    accelerator's fused kernel, TRL's own head multiplies all positions.

    Args:
        model (`torch.nn.Module`): An image-text-to-text model, or a wrapper around it.
        head (`torch.nn.Module`): Its output embeddings, which it calls once, on all hidden states.
        labels (`torch.Tensor` of shape `(batch, length)`): Token ids, -100 where there is no label.
        inputs (`dict[str, Any]`): The other inputs of the model.

    Returns:
        `LabelledScores`: Scores of the labels, row after row.
    """
    labelled = labels[:, 1:] != -100
    targets = labels[:, 1:][labelled]
    hook = head.register_forward_pre_hook(lambda _, hidden_states: (hidden_states[0][:, :-1][labelled],))
    try:
        log_probs = model(**inputs).logits.float().log_softmax(dim=-1)
    finally:
        hook.remove()
    chosen = log_probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    with torch.no_grad():
        entropy = -(log_probs.exp() * log_probs).sum(dim=-1)
        is_top1 = log_probs.argmax(dim=-1) == targets
    return LabelledScores(chosen, entropy, is_top1, torch.ones_like(is_top1))
