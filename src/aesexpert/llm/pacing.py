"""When the next request may leave: limits that the user gives, and limits that only show as replies 429.

A reply 429 holds all requests back for as long as the server asks, and lowers the shared rate to a little below what
got through of late. From there the rate grows slowly, then faster, until the next 429: near the limit it is careful,
and far below it soon recovers.
"""

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Callable

from aesexpert.llm.errors import QuotaError


BACK_OFF = 0.95
"""What a 429 leaves of the rate that got through."""

GROWTH = 0.0005
"""The rate after t seconds without a 429 is 1 + GROWTH * t * t times what it was: 5 % more after ten seconds."""

WINDOW = 5.0
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
        self._rate = self._ceiling
        self._tokens_a_second = tokens_per_minute / 60 if tokens_per_minute else math.inf
        self._next = self._tokens_free = self._paused_until = self._cut_at = clock()
        self._accepted_at = clock()
        self._cut_due = False
        self._refusals = 0
        self._sent: deque[float] = deque()
        self._turn = asyncio.Lock()

    @property
    def rate(self) -> float:
        """Requests a second that may leave now; infinite without a limit."""
        grown = self._rate * (1 + GROWTH * (self._clock() - self._cut_at) ** 2)
        return min(self._ceiling, grown)

    async def turn(self, tokens: float) -> float:
        """Waits until a request may leave.

        Args:
            tokens (`float`): How many tokens it will take, answer included.

        Returns:
            `float`: When it left, for `refused`.
        """
        async with self._turn:
            while (wait := self._wait()) > 0:
                await asyncio.sleep(wait)
            now = self._clock()
            self._next = max(self._next, now - CATCH_UP) + 1 / self.rate
            self._tokens_free = max(self._tokens_free, now - CATCH_UP) + tokens / self._tokens_a_second
            self._sent.append(now)
            while self._sent[0] < now - WINDOW:
                self._sent.popleft()
            return now

    def _wait(self) -> float:
        now = self._clock()
        if self._cut_due and now >= self._paused_until:
            self._cut(now)
        return max(self._paused_until, self._next, self._tokens_free) - now

    def _cut(self, now: float) -> None:
        """Sets the rate to a little below what was let through lately, once the pause is over and that is known."""
        self._cut_due = False
        let_through = sum(sent >= now - WINDOW for sent in self._sent)
        span = min(WINDOW, max(1.0, now - self._sent[0] if self._sent else 1.0))
        self._rate = min(self._ceiling, BACK_OFF * max(let_through, 1) / span)
        self._cut_at, self._next = now, now

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
            waiting = f"has let nothing through for {PATIENCE:.0f} s"
            waiting = f"asks to wait {retry_after:.0f} s" if retry_after else waiting
            raise QuotaError(f"the server's rate limit is used up: it {waiting}; run the same command again then")
        self._refusals += sent_at >= self._paused_until
        pause = min(LONGEST_PAUSE, 2.0 ** min(self._refusals - 1, 10)) * random.uniform(0.75, 1.25)
        if self._sent and sent_at in self._sent:
            self._sent.remove(sent_at)
        if sent_at >= self._cut_at:
            self._cut_due = True
        self._paused_until = max(self._paused_until, now + (pause if retry_after is None else retry_after))
