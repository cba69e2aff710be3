"""The same requests through a server's Batch API: cheaper, slower, and never paid for twice.

The requests are cut into batches of a fixed size. The hash of the requests that a batch holds goes into its metadata,
so that a run which was killed at any moment finds its batches again at the server by what they contain, and collects
them in place of submitting them once more.
"""

import io
import json
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tqdm.auto import tqdm

from aesexpert.llm.answers import Answer, Reply, read_completion
from aesexpert.llm.client import Client
from aesexpert.llm.connection import RateLimited, Transient
from aesexpert.llm.errors import BatchError, LLMError, ModelMissingError, needs_extra
from aesexpert.llm.journal import Journal
from aesexpert.llm.replay import outcome, replay
from aesexpert.llm.requests import Request
from aesexpert.llm.structured import Form, request_body


logger = logging.getLogger(__name__)

LABEL = "aesexpert"
"""The entry of a batch's metadata that has the hash of its requests."""

MOST_REQUESTS, MOST_BYTES = 50_000, 200_000_000
"""What OpenAI takes in one batch."""

FIRST_POLL, LONGEST_POLL = 1.0, 60.0
"""Seconds between looks at the batches: half as many again each time nothing has changed."""

ATTEMPTS = 5
"""How often what failed in a batch is submitted once more, in one run."""

_LIVE = ("validating", "in_progress", "finalizing", "cancelling")
_ENDED = ("completed", "expired", "cancelled")


@dataclass
class _Part:
    """Some requests that go to the server together, and the batch that has them."""

    requests: Sequence[tuple[str, Request]]
    waiting: list[tuple[str, Request]] = field(default_factory=list)
    batch: Any = None
    tries: int = 0

    @property
    def content_key(self) -> str:
        """The hash of what is to be submitted."""
        return sha256("\n".join(key for key, _ in self.waiting).encode()).hexdigest()[:40]


class Batches:
    """A job that goes through the Batch API.

    Args:
        client (`Client`): The model, its server and the counting of tokens.
        requests (`Iterable[Request]`): The requests; all are read, those that go into one batch at a time.
        journal (`Journal`): Where answers are written down.
        size (`int`, *optional*, defaults to 10,000): Requests a batch.

    Raises:
        `BatchError`: If batches are under way that belong to other requests, or were cut in another size.
    """

    def __init__(self, client: Client, requests: Iterable[Request], journal: Journal, size: int = 10_000) -> None:
        with needs_extra("llm"):
            import openai
        if not 1 <= size <= MOST_REQUESTS:
            raise BatchError(f"a batch of {size} requests is not possible, expected 1 to {MOST_REQUESTS:,}")
        self._openai, self._client, self._journal = openai, client, journal
        connection = client.connection
        self._api = openai.OpenAI(base_url=connection.base_url, api_key=connection.api_key, timeout=connection.timeout)
        self._form = Form.SCHEMA
        keyed = ((request.key(connection.model), request) for request in requests)
        self._parts = [_Part(part) for part in _cut(keyed, size)]
        for part in self._parts:
            part.waiting = self._unanswered(part)

    def _unanswered(self, part: _Part) -> list[tuple[str, Request]]:
        waiting = []
        for key, request in part.requests:
            found = replay(request, key, self._journal)
            if found.answer is None and found.unusable < self._client.answers:
                waiting.append((key, request))
        return waiting

    def run(self, wait: bool = True) -> Iterator[Answer]:
        """Submits what is not under way, collects what has ended, and does so until everything is answered.

        Args:
            wait (`bool`, *optional*, defaults to `True`): Whether to wait for batches that have not ended.

        Yields:
            `Answer`: Every answer, or why there is none; without `wait`, of the requests that have ended.

        Raises:
            `LLMError`: If the server cannot be reached, or refuses a batch.
        """
        pause = FIRST_POLL
        with tqdm(total=sum(len(part.requests) for part in self._parts), unit="answer", disable=None) as progress:
            self.submit()
            while under_way := [part for part in self._parts if part.batch is not None]:
                progress.n = sum(len(part.requests) - len(part.waiting) for part in self._parts)
                progress.set_postfix_str(f"{len(under_way)} batches under way")
                if self.collect():
                    pause = FIRST_POLL
                    self.submit()
                elif wait:
                    time.sleep(pause)
                    pause = min(LONGEST_POLL, 1.5 * pause)
                else:
                    break
        yield from self._answers()

    def _answers(self) -> Iterator[Answer]:
        for part in self._parts:
            waiting = {key for key, _ in part.waiting} if part.batch is not None else set()
            for key, request in part.requests:
                answer = outcome(request, key, self._journal) if key not in waiting else None
                if answer:
                    self._client.count(answer)
                    yield answer

    def submit(self) -> int:
        """Creates the batches of requests that have none, after looking for them at the server.

        Returns:
            `int`: How many batches were created.
        """
        wanting = [part for part in self._parts if part.waiting and part.batch is None and part.tries < ATTEMPTS]
        if not wanting:
            return 0
        found = self._at_server()
        self._check_open(found)
        created = 0
        for part in wanting:
            part.batch = found.get(part.content_key)
            if part.batch is None:
                part.batch, part.tries = self._create(part), part.tries + 1
                created += 1
        return created

    def _at_server(self) -> dict[str, Any]:
        """The batches of this client at the server by their content, but for those that failed or are collected."""
        with self._explained():
            listed = [batch for batch in self._api.batches.list(limit=100) if (batch.metadata or {}).get(LABEL)]
        return {
            str(batch.metadata and batch.metadata[LABEL]): batch
            for batch in reversed(listed)
            if batch.status in (*_LIVE, *_ENDED) and not self._journal.is_collected(batch.id)
        }

    def _check_open(self, found: dict[str, Any]) -> None:
        mine = {part.content_key for part in self._parts}
        for key, count in self._journal.open_batches.items():
            if key in found and key not in mine:
                raise BatchError(
                    f"batch {found[key].id} with {count:,} requests of this job is under way, but the requests or "
                    "the size of batches have changed since; change them back to collect it, or cancel it (--cancel)"
                )

    def _create(self, part: _Part) -> Any:
        lines = (_line(key, request_body(request, self._model, self._form)) for key, request in part.waiting)
        content = "".join(lines).encode()
        if len(content) > MOST_BYTES:
            raise BatchError(f"a batch has {len(content):,} bytes, more than {MOST_BYTES:,}; make batches smaller")
        self._journal.begin_batch(part.content_key, len(part.waiting))
        with self._explained():
            file = self._api.files.create(file=("requests.jsonl", io.BytesIO(content)), purpose="batch")
            return self._api.with_options(max_retries=0).batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={LABEL: part.content_key},
            )

    def collect(self) -> int:
        """Writes the answers of batches that have ended into the journal.

        Returns:
            `int`: How many batches were collected.
        """
        collected = 0
        for part in self._parts:
            if part.batch is None:
                continue
            with self._explained():
                part.batch = self._api.batches.retrieve(part.batch.id)
            if part.batch.status == "failed":
                raise BatchError(f"the server refuses batch {part.batch.id}: {self._why(part.batch)}")
            if part.batch.status in _ENDED:
                self._collect(part)
                collected += 1
        return collected

    def _collect(self, part: _Part) -> None:
        requests, content_key = dict(part.waiting), part.content_key
        for line in self._lines(part.batch):
            key = line.get("custom_id")
            if key in requests and not self._journal.has_from(part.batch.id, key):
                self._take(requests[key], key, line, part.batch.id)
        self._journal.end_batch(part.batch.id, content_key)
        part.batch, part.waiting = None, self._unanswered(part)

    def _lines(self, batch: Any) -> Iterator[dict[str, Any]]:
        for name in (batch.output_file_id, batch.error_file_id):
            if name:
                with self._explained():
                    content = self._api.files.content(name).text
                yield from map(json.loads, filter(str.strip, content.split("\n")))

    def _take(self, request: Request, key: str, line: dict[str, Any], batch: str) -> None:
        response = line.get("response") or {}
        try:
            reply: Reply = read_completion(response.get("body"))
        except ValueError:
            failure = self._client.connection.hide(_failure(line, response))
            if _is_about_the_form(failure) and self._form is not Form.PROMPT:
                self._form = self._form.if_refused
            self._journal.add_failure(key, request.id, failure, batch)
        else:
            self._client.totals.add(reply)
            self._journal.add_reply(key, request.id, reply, batch)

    def cancel(self) -> int:
        """Cancels this job's batches at the server. What they have answered already can still be collected.

        Returns:
            `int`: How many were cancelled.
        """
        mine = self._journal.open_batches
        live = [batch for key, batch in self._at_server().items() if key in mine and batch.status in _LIVE]
        for batch in live:
            with self._explained():
                self._api.batches.cancel(batch.id)
        return len(live)

    @property
    def _model(self) -> str:
        return self._client.connection.model

    def _why(self, batch: Any) -> str:
        errors = getattr(batch.errors, "data", None) or []
        reasons = "; ".join(str(error.message) for error in errors[:3])
        return self._client.connection.hide(reasons or "no reason given")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns what the server or the network says into an error that names the remedy."""
        connection, again = self._client.connection, "run the same command again to go on"
        try:
            yield
        except self._openai.APIStatusError as error:
            explained = connection.explain(error)
            if isinstance(explained, ModelMissingError):
                raise BatchError(f"the server at {connection.base_url} has no Batch API; leave out --batch") from None
            if isinstance(explained, LLMError):
                raise explained from None
            if isinstance(explained, RateLimited | Transient):
                raise BatchError(f"the server is busy ({error.status_code}); {again}") from None
            raise BatchError(f"the server refuses the batch: {explained}") from None
        except self._openai.APIError as error:
            raise BatchError(f"{connection.unreachable(error)}; {again}") from None


def _cut(keyed: Iterable[tuple[str, Request]], size: int) -> Iterator[list[tuple[str, Request]]]:
    part: list[tuple[str, Request]] = []
    for entry in keyed:
        part.append(entry)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def _line(key: str, body: dict[str, Any]) -> str:
    entry = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(entry, ensure_ascii=False) + "\n"


def _failure(line: dict[str, Any], response: dict[str, Any]) -> str:
    error = line.get("error") or {}
    body = response.get("body") or {}
    inner = body.get("error") if isinstance(body, dict) else None
    message = (inner or {}).get("message") if isinstance(inner, dict) else None
    return str(error.get("message") or error.get("code") or message or f"no answer: {str(body)[:200]}")


def _is_about_the_form(failure: str) -> bool:
    return any(word in failure for word in ("response_format", "json_schema"))
