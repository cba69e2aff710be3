"""The language-modelling head on the positions that carry a label."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass
class LabelledScores:
    """
    What the loss and the logged metrics need of each labelled position; zero where there is no label.

    Args:
        log_probs (`torch.Tensor` of shape `(batch, positions)`): Log-probability of the label.
        entropy (`torch.Tensor` of shape `(batch, positions)`): Entropy of the prediction, in nats.
        is_top1 (`torch.Tensor` of shape `(batch, positions)`): Whether the label is the likeliest token.
        label_mask (`torch.Tensor` of shape `(batch, positions)`): Whether there is a label.
    """

    log_probs: torch.Tensor
    entropy: torch.Tensor
    is_top1: torch.Tensor
    label_mask: torch.Tensor


def score_labelled_positions(model: nn.Module, labels: torch.Tensor, **inputs: Any) -> LabelledScores:
    """
    Run `model` with its head on the positions that predict a labelled token in some row of the batch.

    Responses are a small part of a sequence, and the head is the widest matrix of a small model: without an
    accelerator's fused kernel, TRL's own head multiplies all positions.

    Args:
        model (`torch.nn.Module`): An image-text-to-text model whose `forward` takes `logits_to_keep`.
        labels (`torch.Tensor` of shape `(batch, length)`): Token ids, -100 where there is no label.
        inputs (`dict[str, Any]`): The other inputs of the model.

    Returns:
        `LabelledScores`: Scores of the kept positions.
    """
    targets = labels[:, 1:]
    kept = (targets != -100).any(dim=0).nonzero().squeeze(-1)
    targets = targets[:, kept]
    mask = targets != -100
    log_probs = model(**inputs, logits_to_keep=kept).logits.float().log_softmax(dim=-1)
    chosen = log_probs.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    with torch.no_grad():
        entropy = -(log_probs.exp() * log_probs).sum(dim=-1)
        is_top1 = log_probs.argmax(dim=-1) == targets
    return LabelledScores(chosen.masked_fill(~mask, 0), entropy.masked_fill(~mask, 0), is_top1 & mask, mask)
