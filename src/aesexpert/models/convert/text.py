"""The language model of a source: Llama's configuration as older versions of transformers wrote it."""

from collections.abc import Mapping
from typing import Any


# `rope_theta` and `rope_scaling` are what newer versions call `rope_parameters`; they read both.
LLAMA_FIELDS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "hidden_act",
    "max_position_embeddings",
    "initializer_range",
    "rms_norm_eps",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "tie_word_embeddings",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "attention_bias",
    "attention_dropout",
    "mlp_bias",
)


def llama_values(config: Mapping[str, Any], pad_token_id: int | None) -> dict[str, Any]:
    """
    Take Llama's values out of a configuration that has others besides.

    Args:
        config (`Mapping[str, Any]`): The configuration.
        pad_token_id (`int`, *optional*): The tokenizer's padding token, which wins.

    Returns:
        `dict[str, Any]`: The values that are there.
    """
    values = {name: config[name] for name in LLAMA_FIELDS if config.get(name) is not None}
    if pad_token_id is not None:
        values["pad_token_id"] = pad_token_id
    if values.get("pad_token_id", 0) < 0:  # LLaMA's first release has no padding token and calls it -1
        del values["pad_token_id"]
    return values
