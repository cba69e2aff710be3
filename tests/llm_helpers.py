"""Requests that the tests of the client ask."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from aesexpert.llm import Client, Request
from fake_openai import MODEL


class Pair(BaseModel):
    """A question and its answer."""

    question: str
    answer: str


class Pairs(BaseModel):
    """What a request asks for."""

    pairs: list[Pair]


def request(number: int, schema: type[BaseModel] | None = Pairs, text: str = "Describe picture") -> Request:
    """One request."""
    return Request(f"r{number}", [{"role": "user", "content": f"{text} {number}."}], schema)


def requests(count: int, schema: type[BaseModel] | None = Pairs) -> Iterator[Request]:
    """Some requests, made when they are drawn."""
    return (request(number, schema) for number in range(count))


def ask(url: str, count: int, journal: Path | None = None, **options: Any) -> dict[str, Any]:
    """Asks some requests and returns the answers by name; a request answered twice fails."""
    schema = options.pop("schema", Pairs)
    client = Client(url, MODEL, **{"concurrency": 16, **options})
    answers = list(client.ask(requests(count, schema), journal))
    by_name = {answer.id: answer for answer in answers}
    assert len(by_name) == len(answers)
    return by_name
