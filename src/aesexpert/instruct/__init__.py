"""Stage 2 of the paper: critiques become AesVQA, written by a language model and checked (section 3.3).

Names are imported when they are first touched.
"""

import importlib
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from aesexpert.instruct.asking import Prompts
    from aesexpert.instruct.checks import Pair, Rejection, check_pairs
    from aesexpert.instruct.counts import Counts
    from aesexpert.instruct.errors import InstructError
    from aesexpert.instruct.generation import assemble, read_pairs, write_aesvqa

_HOMES = {
    "Counts": "counts",
    "InstructError": "errors",
    "Pair": "checks",
    "Prompts": "asking",
    "Rejection": "checks",
    "assemble": "generation",
    "check_pairs": "checks",
    "read_pairs": "generation",
    "write_aesvqa": "generation",
}

__all__ = [
    "Counts",
    "InstructError",
    "Pair",
    "Prompts",
    "Rejection",
    "assemble",
    "check_pairs",
    "read_pairs",
    "write_aesvqa",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
