"""The way of a request through the network, and of its reply back.

Requests leave through the HTTP client that `openai` brings for asyncio. `AsyncOpenAI` says how the server is addressed
and is passed by then: it builds options, headers and models anew around every request, for retries and types that are
not used here, at a price that `benchmarks/llm_client.py` shows.
"""

import asyncio
import json
from typing import Any

import aiohttp
import httpx2
import openai

from aesexpert.llm.answers import Reply, read_completion
from aesexpert.llm.connection import Connection, Transient, is_refused
from aesexpert.llm.errors import KeyMissingError, ServerError


CONNECT_SECONDS, KEPT_SECONDS = 15.0, 30.0
"""How long a connection may take to be made, and is kept when idle."""

GREETINGS, GREETING_SECONDS, GREETING_PAUSE = 3, 10.0, 0.5
"""How often a server is looked for, how long each time, and how long after the last."""

ABOUT_OPENAI = "X-Stainless-"
"""How the headers begin that describe the layer passed by."""


class Endpoint:
    """The chat completions of a server.

    Args:
        connection (`Connection`): The model and its server.
        connections (`int`): How many connections there can be.
    """

    def __init__(self, connection: Connection, connections: int) -> None:
        self._connection = connection
        limits = httpx2.Limits(max_connections=connections, keepalive_expiry=KEPT_SECONDS)
        # the limit to a whole reply is kept by `complete`
        timeout = httpx2.Timeout(2 * connection.timeout, connect=CONNECT_SECONDS)
        self._http = openai.DefaultAioHttpClient(limits=limits, timeout=timeout)
        api = openai.AsyncOpenAI(base_url=connection.base_url, api_key=connection.api_key, http_client=self._http)
        for name, value in (api.auth_headers | api.default_headers).items():
            if isinstance(value, str) and not name.startswith(ABOUT_OPENAI):
                self._http.headers[name] = value

    async def __aenter__(self) -> "Endpoint":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def greet(self) -> None:
        """Sees to it that there is a server.

        Raises:
            `ServerError`: If there is none.
            `KeyMissingError`: If it refuses the key.
        """
        request = self._http.build_request("GET", self._url("models"), timeout=GREETING_SECONDS)
        for number in range(GREETINGS):
            try:
                await self._send(request)
                return
            except openai.APIConnectionError as error:
                if not is_refused(error):
                    return  # it is there, and busy
                if number == GREETINGS - 1:
                    raise ServerError(f"{self._connection.unreachable(error)}; see to --base-url") from None
                await asyncio.sleep(GREETING_PAUSE)
            except openai.APIStatusError as error:
                explained = self._connection.explain(error)
                if isinstance(explained, KeyMissingError):
                    raise explained from None
                return  # not every server lists its models

    async def complete(self, body: dict[str, Any], key: str) -> Reply:
        """Asks for a chat completion.

        Args:
            body (`dict[str, Any]`): The request.
            key (`str`): Its key, sent along for the server's records.

        Returns:
            `Reply`: The reply.

        Raises:
            `RateLimited`, `Transient`, `FormRefused`, `Refused`: If there is none, by what can be done about it.
            `LLMError`: If the whole job cannot go on.
        """
        try:
            request = self._http.build_request(
                "POST", self._url("chat/completions"), json=body, headers={"X-Custom-Id": key}
            )
            # a limit to the whole reply: a server that sends a byte now and then holds a worker no longer than others
            async with asyncio.timeout(self._connection.timeout):
                response = await self._send(request)
            return read_completion(_content(response))
        except TimeoutError:
            raise Transient(f"no whole reply within {self._connection.timeout:g} s") from None
        except openai.APIStatusError as error:
            raise self._connection.explain(error, "response_format" in body) from None
        except openai.APIConnectionError as error:
            raise Transient(self._connection.unreachable(error)) from None
        except ValueError as error:
            raise Transient(self._connection.hide(str(error))) from None

    def _url(self, path: str) -> str:
        return f"{self._connection.base_url}/{path}"

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await self._http.send(request)
        except (httpx2.HTTPError, aiohttp.ClientError) as error:  # the latter where what comes is no HTTP
            raise openai.APIConnectionError(request=request) from error
        if response.is_error:
            content = _content(response)
            body = content.get("error", content) if isinstance(content, dict) else content
            raise openai.APIStatusError(response.reason_phrase, response=response, body=body)
        return response


def _content(response: httpx2.Response) -> Any:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        return response.text
