"""A client for language models behind OpenAI-compatible servers, for jobs of many requests that must not be lost.

Names are imported when they are first touched: the packages of the extra `llm` are needed only then.
"""

import importlib
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from aesexpert.llm.answers import Answer
    from aesexpert.llm.batch import Batches
    from aesexpert.llm.client import Client
    from aesexpert.llm.connection import Connection
    from aesexpert.llm.errors import Interrupted, LLMError, MissingExtraError
    from aesexpert.llm.journal import Journal, merge_journals
    from aesexpert.llm.prices import Price, Totals, known_price
    from aesexpert.llm.requests import Request, estimate_tokens, image_part, text_part
    from aesexpert.llm.shards import Shard

_HOMES = {
    "Answer": "answers",
    "Batches": "batch",
    "Client": "client",
    "Connection": "connection",
    "Interrupted": "errors",
    "Journal": "journal",
    "LLMError": "errors",
    "MissingExtraError": "errors",
    "Price": "prices",
    "Request": "requests",
    "Shard": "shards",
    "Totals": "prices",
    "estimate_tokens": "requests",
    "image_part": "requests",
    "known_price": "prices",
    "merge_journals": "journal",
    "text_part": "requests",
}

__all__ = [
    "Answer",
    "Batches",
    "Client",
    "Connection",
    "Interrupted",
    "Journal",
    "LLMError",
    "MissingExtraError",
    "Price",
    "Request",
    "Shard",
    "Totals",
    "estimate_tokens",
    "image_part",
    "known_price",
    "merge_journals",
    "text_part",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
