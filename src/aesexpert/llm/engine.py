"""The asynchronous inside of the client: some workers that share one lazy intake, one pace and one journal.

As many requests are in memory as there are workers. A request that has to wait for its next attempt lies in a heap and
holds up no worker.
"""

import asyncio
import heapq
import itertools
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

from aesexpert.llm.answers import Answer, Reply
from aesexpert.llm.connection import Connection, FormRefused, RateLimited, Refused, Transient
from aesexpert.llm.errors import JournalError, LLMError, RequestError, ServerError, needs_extra
from aesexpert.llm.journal import Journal
from aesexpert.llm.pacing import Pacer
from aesexpert.llm.replay import Replay, replay
from aesexpert.llm.requests import Request, estimate_tokens
from aesexpert.llm.structured import Form, ask_again, request_body


logger = logging.getLogger(__name__)

FIRST_BACK_OFF, LONGEST_BACK_OFF = 0.5, 60.0
"""Seconds before the second attempt, doubled for each further one, and at most."""

COMPLETION_TOKENS = 300.0
"""How long an answer is thought to be before the first one is there."""

IGNORED = 5
"""So many unusable answers, and more than usable ones, tell that a server ignores the form of answer asked for."""

IN_A_ROW = 8
"""So many requests given up without a single answer in between tell that it is not the requests."""

BREATH = 50
"""After so many answers from the journal the requests under way get their turn."""

BUSY_SECONDS = 0.02


@dataclass
class _Job:
    """A request on its way, and what has become of its attempts."""

    request: Request
    key: str
    prompt_tokens: int
    state: Replay
    form: Form = Form.SCHEMA
    tries: int = 0


class Engine:
    """One run over some requests. Everything but `stop` and `abort` belongs to the thread that calls `run`.

    Args:
        connection (`Connection`): The model and its server.
        requests (`Iterator[Request]`): The requests; one is drawn when a worker is free.
        journal (`Journal`, *optional*): Where replies are written down.
        deliver (`Callable[[Answer], bool]`): Takes an answer, or says that it cannot take one now.
        spend (`Callable[[Reply], None]`): Counts a reply that was paid for.
        pacer (`Pacer`): Says when a request may leave.
        concurrency (`int`): How many requests are under way at most.
        attempts (`int`): How often a request is tried that fails without an answer.
        answers (`int`): How many answers a request may get until one has to be usable.
    """

    def __init__(
        self,
        connection: Connection,
        requests: Iterator[Request],
        journal: Journal | None,
        deliver: Callable[[Answer], bool],
        spend: Callable[[Reply], None],
        pacer: Pacer,
        *,
        concurrency: int,
        attempts: int,
        answers: int,
    ) -> None:
        self._connection, self._requests, self._journal = connection, requests, journal
        self._deliver, self._spend, self._pacer = deliver, spend, pacer
        self._concurrency, self._attempts, self._answers = concurrency, attempts, answers
        self._retries: list[tuple[float, int, _Job]] = []
        self._numbers = itertools.count()
        self._names: set[str] = set()
        self._is_exhausted = False
        self._form, self._usable, self._unusable = Form.SCHEMA, 0, 0
        self._completion_tokens = COMPLETION_TOKENS
        self._given_up_in_a_row = 0
        self._connecting: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[Any]] = set()
        self._workers: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_stopping = False
        self.error: BaseException | None = None

    @property
    def under_way(self) -> int:
        """How many requests wait for their reply."""
        return len(self._sending)

    def stop(self, error: BaseException | None = None) -> None:
        """Begins nothing more, and ends when what is under way has come in. Any thread may call it.

        Args:
            error (`BaseException`, *optional*): Why.
        """
        self.is_stopping = True
        self.error = self.error or error
        self._call(self._cancel_idle)

    def abort(self) -> None:
        """Ends at once. Any thread may call it."""
        self._call(lambda: [worker.cancel() for worker in self._workers])

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop has ended already
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function, *arguments)

    def _cancel_idle(self) -> None:
        for worker in self._workers:
            if worker not in self._sending:
                worker.cancel()

    async def run(self) -> None:
        """Asks everything. What stopped it early is in `error`."""
        self._loop = asyncio.get_running_loop()
        async with AsyncExitStack() as self._opened:
            self._workers = [asyncio.create_task(self._work()) for _ in range(self._concurrency)]
            try:
                await asyncio.gather(*self._workers, return_exceptions=True)
            finally:
                if self._connecting is not None:
                    self._connecting.cancel()

    async def _work(self) -> None:
        try:
            while not self.is_stopping and (job := await self._next()):
                await self._attempt(job)
        except Exception as error:  # a defect, or what the caller's requests raise: raised again for the caller
            self.stop(error)

    async def _next(self) -> _Job | None:
        """The next request to send: one whose wait is over, or else a new one."""
        while True:
            now = self._now()
            if self._retries and self._retries[0][0] <= now:
                return heapq.heappop(self._retries)[2]
            if not self._is_exhausted:
                job = await self._draw()
                if job:
                    return job
            elif self._retries:
                await asyncio.sleep(self._retries[0][0] - now)
            else:
                return None

    async def _draw(self) -> _Job | None:
        for count, request in enumerate(self._requests):
            job = await self._admit(request)
            if job:
                return job
            if count % BREATH == 0:
                await asyncio.sleep(0)
        self._is_exhausted = True
        return None

    async def _admit(self, request: Request) -> _Job | None:
        """Makes a job of a request, unless the journal has its answer."""
        if request.id in self._names:
            raise RequestError(f"two requests have the name {request.id!r}; give each its own")
        self._names.add(request.id)
        key = request.key(self._connection.model)
        state = replay(request, key, self._journal)
        if state.answer is None and state.unusable < self._answers:
            return _Job(request, key, estimate_tokens(request.messages), state)
        answer = state.answer or Answer(request.id, state.text, failure=state.given_up, from_journal=True)
        await self._hand_over(answer)
        return None

    async def _hand_over(self, answer: Answer) -> None:
        while not self._deliver(answer):
            await asyncio.sleep(BUSY_SECONDS)

    async def _attempt(self, job: _Job) -> None:
        task = asyncio.current_task()
        assert task
        try:
            await self._connect()
            expected = job.prompt_tokens + self._completion_tokens
            sent_at = await self._pacer.turn(expected)
            self._sending.add(task)
            await self._exchange(job, sent_at, expected)
        except LLMError as error:
            self.stop(error)
        finally:
            self._sending.discard(task)

    async def _exchange(self, job: _Job, sent_at: float, expected: float) -> None:
        job.form = self._form
        try:
            reply = await self._send(job)
        except RateLimited as limit:
            self._pacer.refused(sent_at, limit.retry_after)
            self._retry(job)
        except Transient as failure:
            await self._try_later(job, failure)
        except FormRefused:
            if job.form is self._form:
                self._change_form(job.form.if_refused)
            self._retry(job)
        except Refused as refusal:
            self._note_sign_of_life()
            await self._give_up(job, str(refusal))
        else:
            self._note_sign_of_life()
            self._pacer.correct(expected, reply.prompt_tokens + reply.completion_tokens)
            await self._take(job, reply)

    def _note_sign_of_life(self) -> None:
        self._given_up_in_a_row = 0
        self._pacer.accepted()

    async def _connect(self) -> None:
        """Sees to it that there is a server, once and before anything is asked."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._open())
        if not self._connecting.done() or self._connecting.exception():
            await asyncio.shield(self._connecting)

    async def _open(self) -> None:
        # imported here: it takes a second, and a journal that has every answer needs no server
        with needs_extra("llm"):
            from aesexpert.llm.endpoint import Endpoint
        endpoint = Endpoint(self._connection, self._concurrency + 1)
        self._endpoint = await self._opened.enter_async_context(endpoint)
        await self._endpoint.greet()

    async def _send(self, job: _Job) -> Reply:
        body = request_body(job.request, self._connection.model, job.form)
        if job.state.unusable:
            body = ask_again(body, job.request, job.state.text, job.state.problem)
        return await self._endpoint.complete(body, job.key)

    async def _take(self, job: _Job, reply: Reply) -> None:
        """Writes a reply down, then reads it."""
        self._completion_tokens += 0.05 * (reply.completion_tokens - self._completion_tokens)
        self._spend(reply)
        if self._journal:
            self._journal.add_reply(job.key, job.request.id, reply)
            self._check_disk(self._journal)
        job.state.take(job.request, reply)
        if job.state.answer:
            self._usable += 1
            await self._hand_over(job.state.answer)
        else:
            await self._ask_again(job)

    def _check_disk(self, journal: Journal) -> None:
        if journal.is_full and not self.is_stopping:
            message = f"the disk of {journal.path} is full; every answer is kept. Make room and run the same command"
            self.stop(JournalError(message))

    async def _ask_again(self, job: _Job) -> None:
        self._unusable += job.form is self._form
        if self._unusable >= IGNORED and self._unusable > self._usable:
            self._change_form(self._form.if_ignored)
        if job.state.unusable < self._answers:
            self._retry(job)
        else:
            await self._give_up(job, job.state.given_up)

    def _change_form(self, form: Form) -> None:
        if form is not self._form:
            logger.warning("the server does not keep to the JSON schema; the prompts now say it (%s)", form.name)
        self._form, self._usable, self._unusable = form, 0, 0

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _retry(self, job: _Job, delay: float = 0.0) -> None:
        heapq.heappush(self._retries, (self._now() + delay, next(self._numbers), job))

    async def _try_later(self, job: _Job, failure: Transient) -> None:
        job.tries += 1
        if job.tries < self._attempts:
            delay = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2.0 ** (job.tries - 1)) * random.uniform(0.5, 1.5)
            self._retry(job, max(delay, failure.retry_after or 0.0))
            return
        await self._give_up(job, f"{failure} (attempt {job.tries} of {self._attempts})")
        self._given_up_in_a_row += 1
        if self._given_up_in_a_row >= IN_A_ROW:
            self.stop(ServerError(f"the server has answered nothing for some time ({failure}); run again to go on"))

    async def _give_up(self, job: _Job, reason: str) -> None:
        if self._journal:
            self._journal.add_failure(job.key, job.request.id, reason)
            self._check_disk(self._journal)
        await self._hand_over(Answer(job.request.id, job.state.text, failure=reason))
