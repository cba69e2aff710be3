"""What is asked: chat messages, the form of the answer, and the key that tells one request from all others."""

import base64
import json
import mimetypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from pydantic import BaseModel

Message = Mapping[str, Any]
"""A chat message: `role` and `content`, a text or a list of parts."""

KEY_LENGTH = 40
"""Hexadecimal digits of a key: 160 bits."""

CHARACTERS_A_TOKEN = 4
"""English text has about four characters a token; good enough for limits and estimates."""

TOKENS_A_PICTURE = 765
"""What a picture of up to 1024 px costs at OpenAI's high detail: four tiles of 170 tokens and 85."""

_sorted_json = json.JSONEncoder(sort_keys=True).encode


@dataclass(frozen=True)
class Request:
    """One request to a language model.

    Args:
        id (`str`): Its name, different from that of every other request of a job.
        messages (`Sequence[Mapping[str, Any]]`): The conversation, in the form of OpenAI's chat completions.
        schema (`type[BaseModel]`, *optional*): The pydantic model that the answer has to fit; none for free text.
        parameters (`Mapping[str, Any]`, *optional*): Further fields of the request, such as `temperature`.
    """

    id: str
    messages: Sequence[Message]
    schema: "type[BaseModel] | None" = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def key(self, model: str) -> str:
        """Hashes everything that is asked, with the name and the model, so that a changed prompt is a new request.

        Args:
            model (`str`): The model that is asked.

        Returns:
            `str`: 40 hexadecimal digits.
        """
        content = {
            "id": self.id,
            "model": model,
            "messages": list(self.messages),
            "parameters": dict(self.parameters),
        }
        # `schema` comes after these names, and its text is the same for every request of a job
        text = _sorted_json(content)[:-1] + f', "schema": {_schema_text(self.schema)}}}'
        return sha256(text.encode()).hexdigest()[:KEY_LENGTH]


@lru_cache(maxsize=64)
def strict_schema(schema: "type[BaseModel]") -> dict[str, Any]:
    """Writes a pydantic model as the JSON schema of strict structured output.

    Args:
        schema (`type[BaseModel]`): The model.

    Returns:
        `dict[str, Any]`: Its schema; every property is required and no other is allowed, as servers demand.
    """
    return _strict(schema.model_json_schema())


@lru_cache(maxsize=64)
def _schema_text(schema: "type[BaseModel] | None") -> str:
    return _sorted_json(strict_schema(schema) if schema else None)


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    entries = {name: _strict(value) for name, value in node.items() if name != "default"}
    if node.get("type") == "object" and "properties" in node:
        entries |= {"required": list(node["properties"]), "additionalProperties": False}
    return entries


def text_part(text: str) -> dict[str, Any]:
    """Makes a part of a message from a text."""
    return {"type": "text", "text": text}


def image_part(picture: str | Path) -> dict[str, Any]:
    """Makes a part of a message from a picture file, whose bytes travel inside the request.

    Args:
        picture (`str` or `Path`): The file.

    Returns:
        `dict[str, Any]`: A part with a `data:` URL.
    """
    path = Path(picture)
    kind = mimetypes.guess_type(path.name)[0] or "image/jpeg"
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{content}"}}


def estimate_tokens(messages: Sequence[Message]) -> int:
    """Estimates the tokens of a prompt.

    Args:
        messages (`Sequence[Mapping[str, Any]]`): The conversation.

    Returns:
        `int`: A quarter of its characters, and 765 for every picture.
    """
    tokens = 0
    for message in messages:
        content = message["content"]
        parts = [text_part(content)] if isinstance(content, str) else content
        for part in parts:
            tokens += len(part["text"]) // CHARACTERS_A_TOKEN + 1 if "text" in part else TOKENS_A_PICTURE
    return tokens
