"""A tokenizer of the kind that Vicuna and LLaMA-2 have, small enough to build on the fly."""

import string

from transformers import LlamaTokenizer


MERGES = [("▁", "U"), ("S", "E"), ("E", "R"), ("▁", "A")]


def vicuna_tokenizer(size: int) -> LlamaTokenizer:
    """Bytes, letters and a few merges: reads any text; `size` tokens, `<unk>` for padding as Vicuna has it."""
    tokens = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        *string.ascii_letters,
        ":",
        ".",
        ",",
    ]
    tokens += ["".join(merge) for merge in MERGES]
    assert len(tokens) <= size
    tokens += [f"<extra_{number}>" for number in range(size - len(tokens))]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return LlamaTokenizer(vocab=vocabulary, merges=MERGES, pad_token="<unk>")
