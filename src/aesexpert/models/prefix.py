"""What a model has read once, to go on from as often as needed: pictures to questions, questions to answers."""

import copy
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import Cache, PreTrainedModel


@dataclass(frozen=True)
class EncodedPrefix:
    """A batch of token sequences that a model has read.

    Args:
        model ([`~transformers.PreTrainedModel`]): The model.
        cache ([`~transformers.Cache`]): Keys and values of the `B` sequences.
        attention_mask (`torch.Tensor`): What of the cache is no padding, of shape `(B, S)`.
        position_offset (`torch.Tensor`): The next token's position less the number of tokens before it, of shape
            `(B, 1)`: 0 except where a picture takes up fewer positions than tokens, as in the Qwen-VL families.
        logits (`torch.Tensor`): The scores of the next token, of shape `(B, V)`.
    """

    model: PreTrainedModel
    cache: Cache
    attention_mask: torch.Tensor
    position_offset: torch.Tensor
    logits: torch.Tensor

    def continued(self, rows: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, Any]:
        """Goes on from copies of the prefix, which itself stays as it is.

        Args:
            rows (`torch.Tensor`): For each of `R` continuations the sequence that it goes on from, of shape `(R,)`.
            attention_mask (`torch.Tensor`): What of the continuations is no padding, of shape `(R, T)`. The padding
                can be on either side.

        Returns:
            `dict[str, Any]`: What `generate` and `forward` take beside the continuations' `input_ids` of shape
            `(R, T)`: `past_key_values`, `attention_mask` over prefix and continuation, and `position_ids`.
        """
        cache = copy.deepcopy(self.cache)
        cache.reorder_cache(rows)
        seen = torch.cat([self.attention_mask[rows], attention_mask], dim=1)
        counted = seen.cumsum(dim=1)[:, -attention_mask.shape[1] :]
        positions = counted - 1 + self.position_offset[rows]
        return {"past_key_values": cache, "attention_mask": seen, "position_ids": positions}

    @torch.inference_mode()
    def log_likelihoods(self, continuations: Sequence[Sequence[Sequence[int]]]) -> tuple[torch.Tensor, ...]:
        """Scores how likely the prefixes go on in given ways.

        Where every continuation is a single token, nothing is computed anew.

        Args:
            continuations (`Sequence[Sequence[Sequence[int]]]`): For each of the `B` sequences its continuations, each
                a list of tokens.

        Returns:
            `tuple[torch.Tensor, ...]`: For each sequence the natural logarithms of the probabilities of its
            continuations, each the product over its tokens.
        """
        flat = [tokens for group in continuations for tokens in group]
        sizes = torch.tensor([len(group) for group in continuations], device=self.logits.device)
        rows = torch.arange(len(continuations), device=self.logits.device).repeat_interleave(sizes)
        first = torch.tensor([tokens[0] for tokens in flat], device=self.logits.device)
        totals = self.logits.float().log_softmax(dim=-1)[rows, first]
        if any(len(tokens) > 1 for tokens in flat):
            totals = totals + self._log_likelihoods_after_first(rows, flat)
        return totals.split(sizes.tolist())

    def _log_likelihoods_after_first(self, rows: torch.Tensor, flat: Sequence[Sequence[int]]) -> torch.Tensor:
        tokens = [torch.tensor(tokens, device=rows.device) for tokens in flat]
        ids = pad_sequence(tokens, batch_first=True)
        mask = pad_sequence([torch.ones_like(row) for row in tokens], batch_first=True)
        # the last token of each is only predicted, never read
        predicted = self.model(input_ids=ids[:, :-1], **self.continued(rows, mask[:, 1:])).logits.float()
        scores = predicted.log_softmax(dim=-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        return (scores * mask[:, 1:]).sum(dim=1)


@torch.inference_mode()
def encode_prefix(model: PreTrainedModel, inputs: Mapping[str, Any]) -> EncodedPrefix:
    """Reads a batch of token sequences, with their pictures or from where another prefix ends.

    Args:
        model ([`~transformers.PreTrainedModel`]): The model.
        inputs (`Mapping[str, Any]`): What `generate` takes: `input_ids` and `attention_mask`, padded on the left, and
            pictures or what [`EncodedPrefix.continued`] gives.

    Returns:
        `EncodedPrefix`: The prefix.
    """
    # `generate` knows every family's positions; it reads the prompt, and the one token that it adds is not read
    output = model.generate(**inputs, max_new_tokens=1, output_logits=True, return_dict_in_generate=True)
    offset = _position_offset(model, inputs)
    return EncodedPrefix(model, output.past_key_values, inputs["attention_mask"], offset, output.logits[0])


def _position_offset(model: PreTrainedModel, inputs: Mapping[str, Any]) -> torch.Tensor:
    mask = inputs["attention_mask"]
    if "position_ids" in inputs:
        return inputs["position_ids"][:, -1:] + 1 - mask.sum(dim=1, keepdim=True)
    # where the families with positions in three dimensions keep it while they generate
    offset = getattr(model.base_model, "rope_deltas", None)
    return torch.zeros_like(mask[:, :1]) if offset is None else offset


def takes_positions(model: PreTrainedModel) -> bool:
    """Whether a model can be told the positions of its tokens, as going on from a padded prefix needs."""
    return "position_ids" in inspect.signature(model.forward).parameters
