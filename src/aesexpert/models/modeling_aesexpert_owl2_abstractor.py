"""The visual abstractor of mPLUG-Owl2: learnable queries that read a picture by cross-attention (arXiv 2311.04257)."""

from collections.abc import Callable

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.clip.modeling_clip import eager_attention_forward

from .configuration_aesexpert_owl2 import AesExpertOwl2AbstractorConfig


class AesExpertOwl2AbstractorAttention(nn.Module):
    """
    Attention of the queries to themselves and to the picture.

    Args:
        config ([`AesExpertOwl2AbstractorConfig`]): Width and heads.
    """

    def __init__(self, config: AesExpertOwl2AbstractorConfig) -> None:
        super().__init__()
        self.config = config
        self.is_causal = False
        self.head_dim = config.hidden_size // config.num_attention_heads
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.k_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.v_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """
        Attend, every query to every key.

        Args:
            query (`torch.Tensor` of shape `(pictures, queries, hidden_size)`): What asks.
            key (`torch.Tensor` of shape `(pictures, keys, hidden_size)`): What is compared with.
            value (`torch.Tensor` of shape `(pictures, keys, hidden_size)`): What is mixed.

        Returns:
            `torch.Tensor` of shape `(pictures, queries, hidden_size)`: The mixtures.
        """
        query, key, value = (
            projection(states).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for projection, states in ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value))
        )
        attention: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        dropout = self.config.attention_dropout if self.training else 0.0
        output, _ = attention(self, query, key, value, None, dropout=dropout, scaling=self.head_dim**-0.5)
        return self.out_proj(output.flatten(-2))


class AesExpertOwl2AbstractorMLP(nn.Module):
    """
    A gated feed-forward layer with a norm before its last projection.

    Args:
        config ([`AesExpertOwl2AbstractorConfig`]): Its widths.
    """

    def __init__(self, config: AesExpertOwl2AbstractorConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size)
        self.norm = nn.LayerNorm(config.intermediate_size, eps=config.layer_norm_eps)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """
        Run the layer.

        Args:
            hidden_states (`torch.Tensor` of shape `(pictures, queries, hidden_size)`): The inputs.

        Returns:
            `torch.Tensor` of the same shape: The outputs.
        """
        gated = nn.functional.silu(self.gate_proj(hidden_states)) * self.up_proj(hidden_states)
        return self.down_proj(self.norm(gated))


class AesExpertOwl2AbstractorLayer(GradientCheckpointingLayer):
    """
    A layer of the abstractor. Its first residual is the normed input, and its norms have torch's epsilon, as in the
    original.

    Args:
        config ([`AesExpertOwl2AbstractorConfig`]): Its architecture.
    """

    def __init__(self, config: AesExpertOwl2AbstractorConfig) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(config.hidden_size)
        self.image_norm = nn.LayerNorm(config.hidden_size)
        self.attention = AesExpertOwl2AbstractorAttention(config)
        self.mlp_norm = nn.LayerNorm(config.hidden_size)
        self.mlp = AesExpertOwl2AbstractorMLP(config)

    def forward(
        self,
        queries: torch.Tensor,
        image_states: torch.Tensor,
        query_positions: torch.Tensor,
        image_positions: torch.Tensor,
    ) -> torch.Tensor:
        """
        Let the queries read the picture once.

        Args:
            queries (`torch.Tensor` of shape `(pictures, queries, hidden_size)`): The queries as they are.
            image_states (`torch.Tensor` of shape `(pictures, patches + 1, hidden_size)`): What the tower gives.
            query_positions (`torch.Tensor` of shape `(queries, hidden_size)`): Added to queries, not to values.
            image_positions (`torch.Tensor` of shape `(patches + 1, hidden_size)`): Added to keys, not to values.

        Returns:
            `torch.Tensor` of shape `(pictures, queries, hidden_size)`: The queries after reading.
        """
        normed = self.query_norm(queries)
        values = torch.cat([normed, self.image_norm(image_states)], dim=1)
        keys = values + torch.cat([query_positions, image_positions])
        queries = normed + self.attention(normed + query_positions, keys, values)
        return queries + self.mlp(self.mlp_norm(queries))


class AesExpertOwl2Abstractor(PreTrainedModel):
    """
    The visual abstractor: turns a picture of any number of patches into a fixed number of vectors for the language
    model, one a query and a last one that ends the picture.

    Args:
        config ([`AesExpertOwl2AbstractorConfig`]): Its architecture.
        output_size (`int`): Width of the language model.
    """

    config_class = AesExpertOwl2AbstractorConfig
    supports_gradient_checkpointing = True
    _no_split_modules = ["AesExpertOwl2AbstractorLayer"]
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, config: AesExpertOwl2AbstractorConfig, output_size: int) -> None:
        super().__init__(config)
        self.query_embeds = nn.Parameter(torch.empty(config.num_queries, config.hidden_size))
        self.end_embed = nn.Parameter(torch.empty(output_size))
        self.layers = nn.ModuleList(AesExpertOwl2AbstractorLayer(config) for _ in range(config.num_hidden_layers))
        self.output_proj = nn.Linear(config.hidden_size, output_size)
        query_positions = line_positions(config.num_queries, config.hidden_size)
        image_positions = grid_positions(config.grid_size, config.hidden_size)
        self.register_buffer("query_positions", query_positions, persistent=False)
        self.register_buffer("image_positions", image_positions, persistent=False)
        self.gradient_checkpointing = False
        self.post_init()

    def forward(self, image_states: torch.Tensor) -> torch.Tensor:
        """
        Read pictures.

        Args:
            image_states (`torch.Tensor` of shape `(pictures, patches + 1, hidden_size)`): What the tower gives, the
                class token first.

        Returns:
            `torch.Tensor` of shape `(pictures, queries + 1, output_size)`: The vectors for the language model.
        """
        pictures = image_states.shape[0]
        queries = self.query_embeds.expand(pictures, -1, -1)
        positions = (self.query_positions.to(image_states.dtype), self.image_positions.to(image_states.dtype))
        for layer in self.layers:
            queries = layer(queries, image_states, *positions)
        return torch.cat([self.output_proj(queries), self.end_embed.expand(pictures, 1, -1)], dim=1)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, AesExpertOwl2Abstractor):
            init.normal_(module.query_embeds, std=module.config.initializer_range)
            init.normal_(module.end_embed, std=module.config.initializer_range)
            # tables are not in the checkpoint, and `from_pretrained` builds the model without memory behind it
            init.copy_(module.query_positions, line_positions(*module.query_positions.shape))
            init.copy_(module.image_positions, grid_positions(module.config.grid_size, module.config.hidden_size))


def line_positions(count: int, width: int) -> torch.Tensor:
    """
    Fixed sine and cosine embeddings of the places on a line.

    Args:
        count (`int`): How many places.
        width (`int`): Width of an embedding: sines in its first half, cosines in its second.

    Returns:
        `torch.Tensor` of shape `(count, width)`: The embeddings, in float32.
    """
    frequencies = 10000.0 ** (-torch.arange(width // 2, dtype=torch.float64) / (width / 2))
    angles = torch.arange(count, dtype=torch.float64)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1).float()


def grid_positions(size: int, width: int) -> torch.Tensor:
    """
    Fixed embeddings of a class token (zeros) and of the patches of a square grid, row after row.

    Args:
        size (`int`): Patches along a side.
        width (`int`): Width of an embedding: the column in its first half, the row in its second.

    Returns:
        `torch.Tensor` of shape `(1 + size * size, width)`: The embeddings, in float32.
    """
    line = line_positions(size, width // 2)
    columns, rows = line.repeat(size, 1), line.repeat_interleave(size, 0)
    return torch.cat([torch.zeros(1, width), torch.cat([columns, rows], dim=-1)])


__all__ = ["AesExpertOwl2Abstractor"]
