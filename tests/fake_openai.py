"""An OpenAI-compatible server for tests of load and faults.

    python tests/fake_openai.py --port 8077 --latency 0.5 --jitter 0.2 --p500 0.01 --pbad 0.02
    with serve(Config(latency=0.05)) as url: ...

It answers /v1/chat/completions (texts and pictures, JSON schemas), /v1/models, and the Batch API of fake_batches.py.
Faults are drawn from the seed, the request and its attempt: a run repeats exactly, and another attempt draws anew.
Every request is counted under the header X-Custom-Id, or else under a hash of its messages, so that one paid for twice
shows:

    asked   requests received             paid   answers written, billed even if the client has gone
    good    well-formed and delivered     bad    cut or of the wrong form, delivered
    lost    billed, but the client had gone
    e429, e500, hung, dropped, slow, refused     not billed

GET /_stats has the counts (?full=1 for each request), POST /_reset takes changes of the configuration and zeroes them.
"""

import argparse
import asyncio
import base64
import contextlib
import dataclasses
import hashlib
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from fake_batches import Batches


MODEL = "fake-gpt"


@dataclasses.dataclass
class Config:
    """What the server does; shares are probabilities of a request."""

    latency: float = 0.0
    """Mean seconds to an answer."""
    jitter: float = 0.0
    """Seconds around it, uniformly."""
    p500: float = 0.0
    """Answered 500 or 503."""
    pbad: float = 0.0
    """JSON cut in half."""
    phang: float = 0.0
    """Silent for `hang` seconds, then 504."""
    pdrop: float = 0.0
    """Connection broken in the middle of the reply."""
    pslow: float = 0.0
    """A byte every tenth of a second, for `hang` seconds."""
    hang: float = 60.0
    rps: float = 0.0
    """Requests a second let through, in a bucket of one second; others get 429. No limit: 0."""
    tpm: float = 0.0
    """Tokens a minute let through. No limit: 0."""
    retry_after: bool = True
    """Whether a 429 says how long to wait."""
    quota: int = 0
    """So many answers, then `insufficient_quota`. No limit: 0."""
    context: int = 0
    """Longest prompt in tokens. No limit: 0."""
    schemas: str = "kept"
    """JSON schemas are `kept`, `ignored` or `refused`; JSON asked for in the prompt is always written."""
    api_key: str = ""
    """The key wanted; any if empty."""
    echo_key: bool = False
    """Whether refusals and answers repeat the key that was sent."""
    batch_seconds: float = 0.5
    """From a batch's creation to its end."""
    batch_expire: float = 0.0
    """Requests of a batch that expire."""
    seed: int = 0


def fill(schema: dict[str, Any], definitions: dict[str, Any], rng: random.Random) -> Any:
    """A small instance of a JSON schema."""
    if "$ref" in schema:
        return fill(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions, rng)
    if "anyOf" in schema:
        return fill(schema["anyOf"][0], definitions, rng)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if schema.get("type") == "object":
        return {name: fill(entry, definitions, rng) for name, entry in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [fill(schema["items"], definitions, rng) for _ in range(schema.get("minItems", 3))]
    if schema.get("type") in ("integer", "number"):
        return rng.randint(schema.get("minimum", 0), schema.get("maximum", 5))
    return "true" if schema.get("type") == "boolean" else " ".join(rng.choices(WORDS, k=rng.randint(3, 12)))


WORDS = ["light", "colour", "shadow", "soft", "warm", "sharp", "calm", "frame", "line", "depth", "tone", "focus"]


def error(status: int, text: str, code: str | None = None, headers: dict[str, str] | None = None) -> JSONResponse:
    """A refusal in OpenAI's form."""
    content = {"error": {"message": text, "type": code or "server_error", "code": code, "param": None}}
    return JSONResponse(content, status, headers)


class Refusal(ValueError):
    """A request that the real server refuses."""


class FakeOpenAI:
    """The server's state, and its routes. `writer` writes the answers where random words will not do."""

    def __init__(self, config: Config | None = None) -> None:
        self.batches = Batches(self)
        self.writer: Callable[[dict[str, Any], random.Random], str] | None = None
        self.reset(config or Config())
        self.app = Starlette(
            routes=[
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/models", self.models),
                Route("/_stats", self.stats),
                Route("/_reset", self.change, methods=["POST"]),
                *self.batches.routes,
            ]
        )

    def reset(self, config: Config) -> None:
        """Begins anew."""
        self.config = config
        self.by_id: dict[str, Counter[str]] = {}
        self.total: Counter[str] = Counter()
        self.times: list[float] = []
        self.first = self.filled = time.monotonic()
        self.under_way = self.peak = 0
        self.free_requests, self.free_tokens = config.rps, config.tpm / 60
        self.batches.reset()

    def note(self, name: str, *what: str) -> None:
        """Counts something of a request."""
        self.by_id.setdefault(name, Counter()).update(what)
        self.total.update(what)

    async def chat(self, http: Request) -> Response:
        """Answers a chat completion."""
        body = await http.json()
        refusal = self.unauthorised(http)
        if refusal:
            return refusal
        name = http.headers.get("x-custom-id") or hashlib.sha1(json.dumps(body["messages"]).encode()).hexdigest()[:12]
        if not self.total["asked"]:
            self.first = time.monotonic()
        self.note(name, "asked")
        try:
            tokens = self.look(body)
        except Refusal as why:
            self.note(name, "refused")
            return error(400, str(why), "invalid_request_error")
        if body["model"] != MODEL:
            self.note(name, "refused")
            return error(404, f"The model `{body['model']}` does not exist", "model_not_found")
        limited = self.limited(name, tokens)
        return limited or await self.reply(http, body, name, tokens)

    def unauthorised(self, http: Request) -> Response | None:
        """The refusal of a wrong key."""
        sent = http.headers.get("authorization", "").removeprefix("Bearer ")
        if not self.config.api_key or sent == self.config.api_key:
            return None
        shown = sent if self.config.echo_key else "(hidden)"
        return error(401, f"Incorrect API key provided: {shown}", "invalid_api_key")

    def look(self, body: dict[str, Any]) -> int:
        """The tokens of a prompt, refused as the real server does."""
        if not body.get("messages"):
            raise Refusal("Empty input messages")
        tokens = 0
        for message in body["messages"]:
            content = message["content"]
            for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
                tokens += len(part["text"]) // 4 if part["type"] == "text" else self.look_at(part)
        if self.config.context and tokens > self.config.context:
            raise Refusal(f"This model's maximum context length is {self.config.context} tokens, you sent {tokens}")
        if self.config.schemas == "refused" and "response_format" in body:
            raise Refusal("Unknown parameter: 'response_format'")
        return tokens

    def look_at(self, part: dict[str, Any]) -> int:
        """The tokens of a picture."""
        url = part["image_url"]["url"]
        if not url.startswith("data:image/"):
            raise Refusal("Invalid image_url")
        base64.b64decode(url.partition(";base64,")[2], validate=True)
        return 765

    def limited(self, name: str, tokens: int) -> Response | None:
        """The 429 of a request beyond the limits."""
        if self.config.quota and self.total["paid"] + self.under_way >= self.config.quota:
            self.note(name, "refused")
            return error(429, "You exceeded your current quota", "insufficient_quota")
        wait = self.wait(tokens + 100)
        if not wait:
            return None
        self.note(name, "e429")
        headers = {"retry-after": str(int(wait) + 1)} if self.config.retry_after else None
        return error(429, "Rate limit reached", "rate_limit_exceeded", headers)

    def wait(self, tokens: int) -> float:
        """Seconds until so many tokens are let through; at 0 they have been."""
        rate, now = self.config.rps, time.monotonic()
        token_rate, passed, self.filled = self.config.tpm / 60, now - self.filled, now
        self.free_requests = min(rate, self.free_requests + passed * rate)
        self.free_tokens = min(token_rate, self.free_tokens + passed * token_rate)
        by_requests = (1 - self.free_requests) / rate if rate else 0.0
        by_tokens = -self.free_tokens / token_rate if token_rate else 0.0
        wait = max(by_requests, by_tokens, 0.0)
        if not wait:
            self.free_requests, self.free_tokens = self.free_requests - 1, self.free_tokens - tokens
        return wait

    async def reply(self, http: Request, body: dict[str, Any], name: str, tokens: int) -> Response:
        """Waits, and then answers or fails."""
        c, attempt = self.config, self.by_id[name]["asked"] - self.by_id[name]["e429"]
        rng = random.Random(f"{c.seed}/{name}/{attempt}")
        shares = (1 - c.p500 - c.phang - c.pdrop - c.pslow, c.p500, c.phang, c.pdrop, c.pslow)
        fault = rng.choices(("", "e500", "hung", "dropped", "slow"), shares)[0]
        delay = max(0.0, c.latency + rng.uniform(-c.jitter, c.jitter))
        self.under_way += 1
        self.peak = max(self.peak, self.under_way)
        try:
            await asyncio.sleep(c.hang if fault == "hung" else delay)
        finally:
            self.under_way -= 1
        if fault:
            self.note(name, fault)
            return self.failed(fault, rng)
        content, is_good = self.answer(body, rng, tokens, http.headers.get("authorization", ""))
        self.times.append(time.monotonic())
        self.note(name, "paid")  # before anything is awaited: the quota counts what is under way and what is paid
        self.note(name, "lost" if await http.is_disconnected() else "good" if is_good else "bad")
        return JSONResponse(content)

    def failed(self, fault: str, rng: random.Random) -> Response:
        """What a fault looks like to the client."""
        if fault == "dropped":
            return StreamingResponse(self.broken())
        if fault == "slow":
            return StreamingResponse(self.dribbled())
        return error(504 if fault == "hung" else rng.choice([500, 503]), "The server had an error")

    async def broken(self) -> AsyncIterator[bytes]:
        """A reply that breaks off."""
        yield b'{"id": "chatcmpl-'
        raise ConnectionAbortedError("injected")

    async def dribbled(self) -> AsyncIterator[bytes]:
        """A reply that comes byte by byte."""
        yield b'{"id": "'
        for _ in range(int(self.config.hang * 10)):
            await asyncio.sleep(0.1)
            yield b"x"
        yield b'"}'

    def answer(self, body: dict[str, Any], rng: random.Random, tokens: int, key: str = "") -> tuple[Any, bool]:
        """A chat completion, and whether it is well-formed."""
        schema, is_bad = self.schema(body), rng.random() < self.config.pbad
        text = " ".join(rng.choices(WORDS, k=30))
        if schema:
            text = json.dumps(fill(schema, schema.get("$defs", {}), rng))
        text = self.writer(body, rng) if self.writer else text
        text = text[: len(text) // 2] if is_bad else text
        text += key if self.config.echo_key else ""
        usage = {"prompt_tokens": tokens, "completion_tokens": len(text) // 4 + 1}
        self.total.update(usage)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return {"object": "chat.completion", "model": body["model"], "choices": [choice], "usage": usage}, not is_bad

    def schema(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """The JSON schema that an answer keeps to."""
        form = body.get("response_format", {})
        if form.get("type") == "json_schema" and self.config.schemas == "kept":
            return form["json_schema"]["schema"]
        content = body["messages"][-1]["content"]
        said = content if isinstance(content, str) else content[-1].get("text", "")
        _, found, schema = said.partition("follows this JSON schema, and with nothing else:\n")
        return json.loads(schema) if found else None

    async def models(self, http: Request) -> Response:
        """Lists the one model."""
        listed = {"object": "list", "data": [{"id": MODEL, "object": "model"}]}
        return self.unauthorised(http) or JSONResponse(listed)

    async def stats(self, http: Request) -> Response:
        """The counts."""
        return JSONResponse(self.counts("full" in http.query_params))

    def counts(self, full: bool = False) -> dict[str, Any]:
        """The counts, with `full` also of each request, and the times of answers."""
        counts = self.by_id.values()
        summary = {
            **self.total,
            "ids": len(counts),
            "good_ids": sum(count["good"] > 0 for count in counts),
            "paid_twice": sum(count["good"] + count["lost"] > 1 for count in counts),
            "peak": self.peak,
        }
        times = [when - self.first for when in self.times]
        return summary | ({"per_id": self.by_id, "times": times} if full else {})

    async def change(self, http: Request) -> Response:
        """Takes changes of the configuration, and begins anew."""
        self.reset(dataclasses.replace(self.config, **json.loads(await http.body() or b"{}")))
        return JSONResponse(dataclasses.asdict(self.config))


@contextlib.contextmanager
def serve(config: Config | None = None) -> Iterator[tuple[str, FakeOpenAI]]:
    """Runs the server in a thread, on a free port of this machine; yields its address and itself."""
    fake = FakeOpenAI(config)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    # at the end, answers that still dribble are cut off
    settings = uvicorn.Config(fake.app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", fake
    finally:
        server.should_exit = True
        thread.join(5)
        listener.close()


def main() -> None:
    """Runs the server until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8077)
    for field in dataclasses.fields(Config):
        kind = (lambda text: text not in ("0", "false")) if field.type is bool else field.type
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    options = vars(parser.parse_args())
    port = options.pop("port")
    uvicorn.run(FakeOpenAI(Config(**options)).app, host="127.0.0.1", port=port, log_level="critical", backlog=1024)


if __name__ == "__main__":
    main()
