"""How a server is asked for an answer in a given form, and asked again when the answer had another."""

import json
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from aesexpert.llm.requests import Message, Request, strict_schema, text_part


SHOWN_CHARACTERS = 2000


class Form(IntEnum):
    """The ways to ask for JSON, the strictest first."""

    SCHEMA = 0
    """`response_format` with the JSON schema."""
    HINTED = 1
    """The same, and the schema in the prompt too, for servers that ignore `response_format`."""
    OBJECT = 2
    """`response_format` for any JSON object, and the schema in the prompt."""
    PROMPT = 3
    """The schema in the prompt alone."""

    @property
    def if_ignored(self) -> "Form":
        """What to try where answers do not have the form."""
        return max(self, Form.HINTED)

    @property
    def if_refused(self) -> "Form":
        """What to try where the server does not know the form."""
        return Form.OBJECT if self < Form.OBJECT else Form.PROMPT


def request_body(request: Request, model: str, form: Form = Form.SCHEMA) -> dict[str, Any]:
    """Writes a request as the body of a chat completion.

    Args:
        request (`Request`): The request.
        model (`str`): The model to ask.
        form (`Form`, *optional*, defaults to `Form.SCHEMA`): How to ask for JSON, where the request has a schema.

    Returns:
        `dict[str, Any]`: The body.
    """
    body = {"model": model, "messages": list(request.messages), **request.parameters}
    if request.schema is None:
        return body
    schema = strict_schema(request.schema)
    if form is not Form.SCHEMA:
        body["messages"] = _said(body["messages"], _demand(schema))
    if form < Form.OBJECT:
        wanted = {"name": request.schema.__name__, "schema": schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": wanted}
    elif form is Form.OBJECT:
        body["response_format"] = {"type": "json_object"}
    return body


def ask_again(body: dict[str, Any], request: Request, text: str, problem: str) -> dict[str, Any]:
    """Asks once more after an unusable answer, with what was wrong with it.

    Args:
        body (`dict[str, Any]`): The body of the request.
        request (`Request`): The request.
        text (`str`): The answer.
        problem (`str`): What was wrong with it.

    Returns:
        `dict[str, Any]`: The body of the next attempt.
    """
    messages = list(body["messages"])
    if text.strip():
        messages.append({"role": "assistant", "content": text[:SHOWN_CHARACTERS]})
    again = f"That answer cannot be used ({problem}). Answer again."
    if request.schema is not None:
        again += " " + _demand(strict_schema(request.schema))
    return body | {"messages": _said(messages, again)}


def _demand(schema: dict[str, Any]) -> str:
    wording = "Answer with one JSON object that follows this JSON schema, and with nothing else:\n"
    return wording + json.dumps(schema, ensure_ascii=False)


def _said(messages: Sequence[Message], text: str) -> list[Message]:
    """Adds to the user's last turn, or begins one: many chat templates want the roles to alternate."""
    last = messages[-1]
    if last["role"] != "user":
        return [*messages, {"role": "user", "content": text}]
    content = last["content"]
    longer = f"{content}\n\n{text}" if isinstance(content, str) else [*content, text_part(text)]
    return [*messages[:-1], {**last, "content": longer}]
