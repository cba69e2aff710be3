"""What comes back: replies of the server, and answers that were read from them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from aesexpert.llm.requests import Request


if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class Reply:
    """A reply as it came, before it is read.

    Args:
        text (`str`): What the model wrote; empty if it refused.
        finish_reason (`str`): Why it stopped: `"stop"`, `"length"` and so on.
        prompt_tokens (`int`): Tokens read.
        completion_tokens (`int`): Tokens written.
        refusal (`str`, *optional*, defaults to `""`): Why the model refused, if it did.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    refusal: str = ""


@dataclass(frozen=True)
class Answer:
    """What became of a request.

    Args:
        id (`str`): The request's name.
        text (`str`): The model's last words, also where they could not be used.
        parsed (`BaseModel`, *optional*): The answer in the form that was asked for, if one was.
        failure (`str`, *optional*): Why there is no usable answer; none if there is.
        prompt_tokens (`int`, *optional*, defaults to 0): Tokens read for it.
        completion_tokens (`int`, *optional*, defaults to 0): Tokens written for it.
        from_journal (`bool`, *optional*, defaults to `False`): Whether it was there already.
    """

    id: str
    text: str
    parsed: Any = None
    failure: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    from_journal: bool = False


class Unusable(ValueError):
    """An answer that has not the form that was asked for."""


def read_completion(body: Any) -> Reply:
    """Reads a chat completion.

    Args:
        body (`Any`): The server's JSON.

    Returns:
        `Reply`: Its first choice.

    Raises:
        `ValueError`: If it is no chat completion.
    """
    try:
        choice = body["choices"][0]
        message, usage = choice["message"], body.get("usage") or {}
        return Reply(
            text=_text(message.get("content")),
            finish_reason=str(choice.get("finish_reason") or ""),
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
            refusal=str(message.get("refusal") or ""),
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"the reply is no chat completion: {str(body)[:SHOWN_CHARACTERS]!r}") from error


def _text(content: Any) -> str:
    # some servers write the content as a list of parts
    parts = content if isinstance(content, list) else [content]
    return "".join(str(part.get("text") or "") if isinstance(part, Mapping) else str(part or "") for part in parts)


def parse(request: Request, reply: Reply) -> "BaseModel | str":
    """Reads a reply in the form that was asked for.

    Args:
        request (`Request`): What was asked.
        reply (`Reply`): What came.

    Returns:
        `BaseModel` or `str`: An instance of the request's schema, or the text if it has none.

    Raises:
        `Unusable`: If the reply has not that form.
    """
    if reply.refusal:
        raise Unusable(f"the model refused: {reply.refusal[:SHOWN_CHARACTERS]}")
    if not reply.text.strip():
        raise Unusable("the answer is empty")
    if request.schema is None:
        return reply.text
    return _validate(request.schema, reply)


def _validate(schema: "type[BaseModel]", reply: Reply) -> "BaseModel":
    try:
        content = _find_object(reply.text)
    except (ValueError, RecursionError) as error:
        cut = " (it was cut off at the limit of tokens)" if reply.finish_reason == "length" else ""
        raise Unusable(f"the answer is not JSON{cut}") from error
    try:
        return schema.model_validate(content)
    except ValueError as error:
        first = cast("ValidationError", error).errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        raise Unusable(f"{where}: {first['msg']}") from error


def _find_object(text: str) -> Any:
    """The JSON object in an answer, also between other words or code fences. Thoughts before it are passed over."""
    text = text.rpartition("</think>")[2]
    try:
        return json.loads(text)
    except ValueError:
        start = text.find("{")
        if start < 0:
            raise
    return json.JSONDecoder().raw_decode(text, start)[0]
