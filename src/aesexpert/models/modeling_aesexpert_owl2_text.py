"""The language model of mPLUG-Owl2: Llama with weights of their own for text and for pictures (arXiv 2311.04257)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import Cache, LlamaModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama.modeling_llama import (
    LlamaAttention,
    LlamaDecoderLayer,
    LlamaRMSNorm,
    apply_rotary_pos_emb,
    eager_attention_forward,
)

from .configuration_aesexpert_owl2 import AesExpertOwl2TextConfig


class ModalityPositions(NamedTuple):
    """
    Where the positions of each modality are in a batch that is flattened to `batch * length` positions.

    Args:
        text (`torch.LongTensor` of shape `(texts,)`): Positions of text.
        image (`torch.LongTensor` of shape `(images,)`): Positions of pictures.
        order (`torch.LongTensor` of shape `(batch * length,)`): Puts all texts, then all pictures, back into place.
    """

    text: torch.Tensor
    image: torch.Tensor
    order: torch.Tensor

    @classmethod
    def of(cls, is_image: torch.Tensor) -> "ModalityPositions":
        """
        Sort the positions by modality.

        Args:
            is_image (`torch.BoolTensor` of shape `(batch, length)`): Whether a position belongs to a picture.

        Returns:
            `ModalityPositions`: The positions of each modality.
        """
        flat = is_image.flatten()
        text, image = (~flat).nonzero().squeeze(-1), flat.nonzero().squeeze(-1)
        return cls(text, image, torch.cat([text, image]).argsort())


class ModalityAdaptive(nn.Module):
    """
    Two modules of one shape: one for the positions of text, one for those of pictures.

    Args:
        text (`torch.nn.Module`): What text goes through.
        image (`torch.nn.Module`): What pictures go through.
    """

    def __init__(self, text: nn.Module, image: nn.Module) -> None:
        super().__init__()
        self.text = text
        self.image = image

    def forward(self, hidden_states: torch.Tensor, modality: ModalityPositions | None = None) -> torch.Tensor:
        """
        Send each position through the module of its modality.

        Args:
            hidden_states (`torch.Tensor` of shape `(batch, length, width)`): The inputs.
            modality (`ModalityPositions`, *optional*): The positions of each modality; all are text by default.

        Returns:
            `torch.Tensor` of shape `(batch, length, output_width)`: The outputs.
        """
        if modality is None:
            return self.text(hidden_states)
        flat = hidden_states.flatten(0, 1)
        text = self.text(flat.index_select(0, modality.text))
        image = self.image(flat.index_select(0, modality.image))
        return torch.cat([text, image]).index_select(0, modality.order).unflatten(0, hidden_states.shape[:2])


class AesExpertOwl2Attention(LlamaAttention):
    """Llama's attention with keys and values by the modality of the position they come from."""

    def __init__(self, config: AesExpertOwl2TextConfig, layer_idx: int) -> None:
        super().__init__(config, layer_idx)
        width = config.num_key_value_heads * self.head_dim
        for name in ("k_proj", "v_proj"):
            text, image = (nn.Linear(config.hidden_size, width, bias=config.attention_bias) for _ in range(2))
            setattr(self, name, ModalityAdaptive(text, image))

    def forward(
        self,
        hidden_states: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        attention_mask: Any = None,
        past_key_values: Cache | None = None,
        modality: ModalityPositions | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """
        Attend to the positions that the mask allows.

        Args:
            hidden_states (`torch.Tensor` of shape `(batch, length, hidden_size)`): The inputs.
            position_embeddings (`tuple[torch.Tensor, torch.Tensor]`): Cosine and sine of the rotation by position.
            attention_mask (`torch.Tensor` or `BlockMask`, *optional*): As the attention implementation takes it.
            past_key_values (`Cache`, *optional*): Keys and values of earlier positions.
            modality (`ModalityPositions`, *optional*): The positions of each modality; all are text by default.
            kwargs (`dict[str, Any]`, *optional*): For the attention implementation.

        Returns:
            `tuple[torch.Tensor, torch.Tensor]`: The outputs, and the attention weights where the implementation has
            them.
        """
        shape = hidden_states.shape[:-1]
        query = self.q_proj(hidden_states).view(*shape, -1, self.head_dim).transpose(1, 2)
        key = self.k_proj(hidden_states, modality).view(*shape, -1, self.head_dim).transpose(1, 2)
        value = self.v_proj(hidden_states, modality).view(*shape, -1, self.head_dim).transpose(1, 2)
        query, key = apply_rotary_pos_emb(query, key, *position_embeddings)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        attention: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        dropout = self.attention_dropout if self.training else 0.0
        output, weights = attention(
            self, query, key, value, attention_mask, dropout=dropout, scaling=self.scaling, **kwargs
        )
        return self.o_proj(output.reshape(*shape, -1)), weights


class AesExpertOwl2DecoderLayer(LlamaDecoderLayer):
    """A layer of Llama with norms, keys and values by modality; queries, output and feed-forward are shared."""

    def __init__(self, config: AesExpertOwl2TextConfig, layer_idx: int) -> None:
        super().__init__(config, layer_idx)
        self.self_attn = AesExpertOwl2Attention(config, layer_idx)
        for name in ("input_layernorm", "post_attention_layernorm"):
            text, image = (LlamaRMSNorm(config.hidden_size, eps=config.rms_norm_eps) for _ in range(2))
            setattr(self, name, ModalityAdaptive(text, image))

    def forward(
        self, hidden_states: torch.Tensor, modality: ModalityPositions | None = None, **kwargs: Any
    ) -> torch.Tensor:
        """
        Run the layer.

        Args:
            hidden_states (`torch.Tensor` of shape `(batch, length, hidden_size)`): The inputs.
            modality (`ModalityPositions`, *optional*): The positions of each modality; all are text by default.
            kwargs (`dict[str, Any]`, *optional*): Further arguments of [`AesExpertOwl2Attention.forward`].

        Returns:
            `torch.Tensor` of shape `(batch, length, hidden_size)`: The outputs.
        """
        normed = self.input_layernorm(hidden_states, modality)
        hidden_states = hidden_states + self.self_attn(normed, modality=modality, **kwargs)[0]
        normed = self.post_attention_layernorm(hidden_states, modality)
        return hidden_states + self.mlp(normed)


class AesExpertOwl2TextModel(LlamaModel):
    """
    The language model: Llama with modality-adaptive layers.

    Args:
        config ([`AesExpertOwl2TextConfig`]): Its architecture.

    Inputs and outputs are those of [`~transformers.LlamaModel`], and `modality`, a [`ModalityPositions`].
    """

    config_class = AesExpertOwl2TextConfig
    _no_split_modules = ["AesExpertOwl2DecoderLayer"]
    _can_record_outputs = {"hidden_states": AesExpertOwl2DecoderLayer, "attentions": AesExpertOwl2Attention}

    def __init__(self, config: AesExpertOwl2TextConfig) -> None:
        super().__init__(config)
        self.layers = nn.ModuleList(
            AesExpertOwl2DecoderLayer(config, layer_idx) for layer_idx in range(config.num_hidden_layers)
        )
        self.post_init()


__all__ = ["AesExpertOwl2TextModel", "ModalityPositions"]
