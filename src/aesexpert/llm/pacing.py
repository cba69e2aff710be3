"""When the next request may leave: limits that the user gives, and limits that only show as replies 429.

A reply 429 holds all requests back for as long as the server asks. After that the shared rate begins a little below
the one at which the reply came, returns to it slowly, and then grows faster and faster until the next 429, as TCP's
CUBIC does: near the limit it is careful, and far below it soon recovers.
"""

import asyncio
import math
import random
import time
from asyncio import sleep
from collections import deque
from collections.abc import Callable

from aesexpert.llm.errors import QuotaError


BACK_OFF = 0.05
"""By which share the rate goes down after a 429."""

FIRST_RECOVERY, RECOVERY = 1.0, 8.0
"""Seconds until it is back: the first time, when the limit is hardly known, and later."""

WINDOW = 1.0
"""Seconds over which the rate is measured."""

CATCH_UP = 0.1
"""Seconds' worth of requests that may leave at once, to make up for timers that ring late."""

PATIENCE = 600.0
"""Seconds of nothing but 429s, or of waiting that a server asks for, after which a job stops."""

LONGEST_PAUSE = 30.0
"""Seconds between attempts when the server does not say how long to wait."""


class Pacer:
    """Lets requests go one by one, at the rate that all of them share.

    Args:
        requests_per_minute (`float`, *optional*): The most requests a minute; no limit by default.
        tokens_per_minute (`float`, *optional*): The most tokens a minute; no limit by default.
        clock (`Callable[[], float]`, *optional*): Tells the time in seconds.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._ceiling = requests_per_minute / 60 if requests_per_minute else math.inf
        self._tokens_a_second = tokens_per_minute / 60 if tokens_per_minute else math.inf
        self._seen, self._recovery = math.inf, FIRST_RECOVERY
        self._next = self._tokens_free = self._paused_until = self._resumed_at = self._accepted_at = clock()
        self._is_cut_due = False
        self._refusals = 0
        self._sent: deque[float] = deque()
        self._let_through = 0
        self._turn = asyncio.Lock()

    @property
    def rate(self) -> float:
        """Requests a second that may leave now; infinite without a limit."""
        steps = (self._clock() - self._resumed_at) / self._recovery - 1
        return min(self._ceiling, self._seen * (1 + BACK_OFF * steps**3))

    async def turn(self, tokens: float) -> float:
        """Waits until a request may leave.

        Args:
            tokens (`float`): How many tokens it will take, answer included.

        Returns:
            `float`: When it left, for `refused`.
        """
        async with self._turn:
            while (wait := self._wait()) > 0:
                await sleep(wait)
            now = self._clock()
            self._next = max(self._next, now - CATCH_UP) + 1 / self.rate
            self._tokens_free = max(self._tokens_free, now - CATCH_UP) + tokens / self._tokens_a_second
            self._sent.append(now)
            self._let_through += 1
            while self._sent[0] < now - WINDOW:
                self._sent.popleft()
            return now

    def _wait(self) -> float:
        now = self._clock()
        if self._is_cut_due and now >= self._paused_until:
            self._resume(now)
        return max(self._paused_until, self._next, self._tokens_free) - now

    def _resume(self, now: float) -> None:
        if math.isinf(self._seen):
            # refused before there was any rate: what got through since the first request is all that is known
            self._seen = max(self._let_through, 1) / max(WINDOW, now - self._resumed_at)
        else:
            self._recovery = RECOVERY
        self._is_cut_due = False
        self._resumed_at = self._next = now

    def _measure(self, now: float) -> float:
        """The rate since the last pause, as it was allowed or as it was, whichever is less."""
        if now - self._resumed_at < WINDOW:
            return self.rate
        sent = sum(sent >= now - WINDOW for sent in self._sent)
        return min(self.rate, max(sent, 1) / WINDOW)  # none where the reply came late

    def correct(self, estimated: float, used: float) -> None:
        """Makes up for a wrong estimate of tokens once the answer is there."""
        self._tokens_free += (used - estimated) / self._tokens_a_second

    def accepted(self) -> None:
        """Takes note that the server let a request through."""
        self._accepted_at = self._clock()
        self._refusals = 0

    def refused(self, sent_at: float, retry_after: float | None) -> None:
        """Takes note of a reply 429.

        Args:
            sent_at (`float`): When the request left.
            retry_after (`float`, *optional*): How many seconds the server asks to wait, if it does.

        Raises:
            `QuotaError`: If it is longer than a job should wait, or has been refused for so long.
        """
        now = self._clock()
        if (retry_after or 0) > PATIENCE or now - self._accepted_at > PATIENCE:
            is_long = (retry_after or 0) > PATIENCE
            waiting = f"asks to wait {retry_after:.0f} s" if is_long else f"let nothing through for {PATIENCE:.0f} s"
            raise QuotaError(f"the server's rate limit is used up: it {waiting}; run the same command again then")
        self._refusals += sent_at >= self._paused_until
        pause = min(LONGEST_PAUSE, 2.0 ** min(self._refusals - 1, 10)) * random.uniform(0.75, 1.25)
        self._let_through -= 1
        if sent_at in self._sent:
            self._sent.remove(sent_at)
        if sent_at >= self._resumed_at and not self._is_cut_due:
            self._seen, self._is_cut_due = self._measure(now), True
        self._paused_until = max(self._paused_until, now + (pause if retry_after is None else retry_after))
