"""The pace, in simulated time: a server that lets a given rate through, and the pacer that finds it."""

import asyncio
import math
from collections.abc import Coroutine
from typing import Any

import pytest

from aesexpert.llm import pacing
from aesexpert.llm.errors import QuotaError
from aesexpert.llm.pacing import PATIENCE, Pacer


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(pacing, "sleep", self.sleep)  # not the one that other threads may use

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def let_through(
    pacer: Pacer, clock: Clock, limit: float, burst: float, seconds: float, retry_after: float
) -> list[float]:
    """When requests got through a bucket of a given size that fills at a given rate; others are refused."""

    async def work() -> list[float]:
        free, filled, passed = burst, clock.now, []
        end = clock.now + seconds
        while clock.now < end:
            sent = await pacer.turn(1.0)
            clock.now += 1e-4
            free, filled = min(burst, free + (clock.now - filled) * limit), clock.now
            if free >= 1:
                free -= 1
                passed.append(sent)
                pacer.accepted()
            else:
                pacer.refused(sent, retry_after)
        return passed

    return run(work())


def test_without_limits_nothing_waits(clock: Clock) -> None:
    pacer, begun = Pacer(clock=clock), clock.now

    async def work() -> None:
        for _ in range(1000):
            await pacer.turn(10**6)

    run(work())
    assert clock.now == begun
    assert pacer.rate == math.inf


@pytest.mark.parametrize(("limit", "burst"), [(60, 60), (10, 10), (200, 200), (60, 5)])
def test_a_limit_found_by_429s_is_used_and_hardly_overstepped(clock: Clock, limit: float, burst: float) -> None:
    pacer = Pacer(clock=clock)
    passed = let_through(pacer, clock, limit, burst, 120, retry_after=0.5)
    late = [when for when in passed if when > passed[0] + 20]
    assert len(late) / (late[-1] - late[0]) > 0.9 * limit


def test_requests_a_minute_are_kept(clock: Clock) -> None:
    pacer = Pacer(requests_per_minute=600, clock=clock)
    passed = let_through(pacer, clock, 10.0, 3, 60, retry_after=1.0)
    assert 0.98 * 600 < len(passed) <= 602


def test_tokens_a_minute_are_kept(clock: Clock) -> None:
    pacer, begun = Pacer(tokens_per_minute=6000, clock=clock), clock.now

    async def work() -> None:
        for _ in range(50):
            await pacer.turn(200)
            pacer.correct(200, 100)

    run(work())
    assert clock.now - begun == pytest.approx(50, abs=3)


def test_a_429_holds_everything_back(clock: Clock) -> None:
    pacer = Pacer(clock=clock)

    async def work() -> float:
        sent = await pacer.turn(1)
        pacer.refused(sent, 7.0)
        return await pacer.turn(1) - sent

    assert run(work()) == pytest.approx(7.0)


def test_waits_grow_where_the_server_gives_none(clock: Clock) -> None:
    pacer, waits = Pacer(clock=clock), []

    async def work() -> None:
        sent = await pacer.turn(1)
        for _ in range(7):
            pacer.refused(sent, None)
            again = await pacer.turn(1)
            waits.append(again - sent)
            sent = again

    run(work())
    assert 0.7 < waits[0] < 2
    assert waits[-1] > 20


def test_a_refusal_that_comes_late_stops_nothing(clock: Clock) -> None:
    pacer = Pacer(clock=clock)

    async def work() -> None:
        for _ in range(3):
            sent = await pacer.turn(1)
            clock.now += 5.0
            pacer.refused(sent, 1.0)
        await pacer.turn(1)

    begun = clock.now
    run(work())
    assert clock.now - begun < 25


def test_patience_ends(clock: Clock) -> None:
    pacer = Pacer(clock=clock)
    with pytest.raises(QuotaError, match="asks to wait 86400 s"):
        pacer.refused(clock.now, 86400.0)
    clock.now += PATIENCE + 1
    with pytest.raises(QuotaError, match="let nothing through for 600 s"):
        pacer.refused(clock.now, 1.0)
