"""A step that worker processes can import."""

from collections.abc import Iterable

from aesexpert.llm import Request
from aesexpert.llm.scale import AskShard
from llm_helpers import requests


class AskNumbers(AskShard):
    """Asks the requests of the client's tests."""

    def requests(self) -> Iterable[Request]:
        """Sixty of them."""
        return requests(60)
