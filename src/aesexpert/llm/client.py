"""A client for every OpenAI-compatible server: requests in, answers out as they come.

Asynchronous inside, in a thread of its own; a plain iterator outside.
"""

import asyncio
import logging
import queue
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

from tqdm.auto import tqdm

from aesexpert.llm.answers import Answer
from aesexpert.llm.connection import Connection
from aesexpert.llm.engine import Engine
from aesexpert.llm.errors import Interrupted
from aesexpert.llm.journal import Journal
from aesexpert.llm.pacing import Pacer
from aesexpert.llm.prices import Price, Totals, known_price
from aesexpert.llm.requests import Request


logger = logging.getLogger(__name__)

UNREAD_ANSWERS = 1000
"""So many answers wait for the caller at most; then nothing more is asked."""

REFRESH_SECONDS = 0.5

BUNCH_SECONDS = 0.05
"""So long answers gather before the caller is woken: waking it for each takes the engine's time from the requests."""


class Client:
    """Asks a language model behind an OpenAI-compatible server.

    Args:
        base_url (`str`, *optional*): The server's address, up to and with `/v1`; by default what the environment
            variable `OPENAI_BASE_URL` says, or OpenAI's.
        model (`str`): The model's name.
        api_key (`str`, *optional*): The key, by default that of the environment variable `OPENAI_API_KEY`.
        concurrency (`int`, *optional*, defaults to 64): How many requests are under way at a time.
        requests_per_minute (`float`, *optional*): The most requests a minute. Without it the limit is found by the
            server's replies 429.
        tokens_per_minute (`float`, *optional*): The most tokens a minute, read and written.
        timeout (`float`, *optional*, defaults to 300): Seconds until a reply has to be there as a whole.
        attempts (`int`, *optional*, defaults to 8): How often a request is tried that fails without an answer: by a
            broken connection, 408, 409 or 5xx. A reply 429 is no attempt.
        answers (`int`, *optional*, defaults to 4): How many answers a request gets at most until one has the form that
            was asked for.
        price (`Price`, *optional*): What tokens cost, by default what the small table of prices says.

    Raises:
        `LLMError`: If there is no key and the server is OpenAI's, or if the address is none.

    Example:

    ```python
    >>> client = Client("http://127.0.0.1:8000/v1", "SmolLM2")
    >>> requests = (Request(str(n), [{"role": "user", "content": f"What is {n} squared?"}]) for n in range(1000))
    >>> for answer in client.ask(requests, journal="squares.jsonl"):
    ...     print(answer.id, answer.text)
    ```
    """

    def __init__(
        self,
        base_url: str | None,
        model: str,
        api_key: str | None = None,
        concurrency: int = 64,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        *,
        timeout: float = 300.0,
        attempts: int = 8,
        answers: int = 4,
        price: Price | None = None,
    ) -> None:
        self.connection = Connection(model, base_url or "", api_key or "", timeout)
        self.concurrency = concurrency
        self.requests_per_minute, self.tokens_per_minute = requests_per_minute, tokens_per_minute
        self.attempts, self.answers = attempts, answers
        self.totals = Totals(price or known_price(model))

    def ask(
        self, requests: Iterable[Request], journal: str | Path | Journal | None = None, total: int | None = None
    ) -> Iterator[Answer]:
        """Asks some requests and yields every answer as it comes, in no order, each request once.

        Requests are drawn when they can be sent, so there may be any number of them. Those that the journal has are
        answered from it. SIGTERM and Ctrl-C end the job after the answers under way; a second one ends it at once.

        Args:
            requests (`Iterable[Request]`): The requests.
            journal (`str`, `Path` or `Journal`, *optional*): The file that keeps the answers; without it a job that is
                killed begins anew.
            total (`int`, *optional*): How many requests there are, for the progress bar, where they have no length.

        Yields:
            `Answer`: An answer, or why there is none.

        Raises:
            `LLMError`: If the job cannot go on: no server, no such model, a quota used up, a disk that is full.
            `Interrupted`: If it was told to stop.
        """
        if total is None and isinstance(requests, Sized):
            total = len(requests)
        with self._opened(journal) as book, tqdm(total=total, unit="answer", disable=None) as progress:
            shown_at = 0.0
            for answer in self._answers(iter(requests), book):
                self.count(answer)
                progress.update()
                if time.monotonic() - shown_at > REFRESH_SECONDS:
                    shown_at = time.monotonic()
                    progress.set_postfix_str(self._progress(), refresh=False)
                yield answer

    @contextmanager
    def _opened(self, journal: str | Path | Journal | None) -> Iterator[Journal | None]:
        if journal is None or isinstance(journal, Journal):
            context: Any = nullcontext(journal)
        else:
            context = Journal(journal, self.connection.secret)
        with context as book:
            yield book

    def count(self, answer: Answer) -> None:
        """Counts an answer in `totals`."""
        self.totals.answered += answer.failure is None
        self.totals.failed += answer.failure is not None
        self.totals.from_journal += answer.from_journal

    def _progress(self) -> str:
        totals = self.totals
        parts = [f"{totals.prompt_tokens + totals.completion_tokens:,} tokens"]
        parts += [f"${totals.cost:.2f}"] if totals.cost is not None else []
        parts += [f"{totals.failed:,} failed"] if totals.failed else []
        return ", ".join(parts)

    def _answers(self, requests: Iterator[Request], journal: Journal | None) -> Iterator[Answer]:
        run = _Run(self, requests, journal)
        with run.signals():
            yield from run.answers()


class _Run:
    """An engine in its thread, and the queue that its answers come through."""

    def __init__(self, client: Client, requests: Iterator[Request], journal: Journal | None) -> None:
        self._queue: queue.SimpleQueue[Answer | None] = queue.SimpleQueue()
        self._engine = Engine(
            client.connection,
            requests,
            journal,
            self._deliver,
            client.totals.add,
            Pacer(client.requests_per_minute, client.tokens_per_minute),
            concurrency=client.concurrency,
            attempts=client.attempts,
            answers=client.answers,
        )
        self._thread = threading.Thread(target=self._work, name="aesexpert-llm", daemon=True)

    def _deliver(self, answer: Answer) -> bool:
        has_room = self._queue.qsize() < UNREAD_ANSWERS or self._engine.is_stopping
        if has_room:
            self._queue.put(answer)
        return has_room

    def _work(self) -> None:
        try:
            asyncio.run(self._engine.run())
        except BaseException as error:  # raised again for the caller
            self._engine.error = self._engine.error or error
        finally:
            self._queue.put(None)

    def answers(self) -> Iterator[Answer]:
        self._thread.start()
        try:
            while (answer := self._queue.get()) is not None:
                yield answer
                if self._queue.empty():
                    time.sleep(BUNCH_SECONDS)
        finally:
            # also where the caller wants no more answers: what is under way is paid for and goes into the journal
            self._engine.stop()
            self._thread.join()
        if self._engine.error:
            raise self._engine.error

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Handles SIGTERM and Ctrl-C, where this thread may."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._drain) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)

    def _drain(self, number: int, frame: FrameType | None) -> None:
        if self._engine.is_stopping:
            self._engine.abort()
            raise KeyboardInterrupt
        count = self._engine.under_way
        logger.warning("stopping after the %d requests under way; once more to stop at once", count)
        name = signal.Signals(number).name
        message = f"stopped by {name}; what was answered is kept, and the same command goes on from there"
        self._engine.stop(Interrupted(number, message))
