"""Rounds: when they begin, what ends them, and what is said of those that go wrong."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.services.conftest import eventually
from vidprod.errors import NoSpace
from vidprod.services.timers import Timers


@contextlib.asynccontextmanager
async def running(
    work: Callable[[], Coroutine[Any, Any, None]], *, every_s: float
) -> AsyncIterator[tuple[Timers, "asyncio.Task[None]"]]:
    timers = Timers()
    timers.every(every_s, work, name="sweep")
    task = asyncio.create_task(timers.run())
    try:
        yield timers, task
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()


class Rounds:
    """Counts its rounds."""

    def __init__(self) -> None:
        self.begun = self.ended = 0

    async def quick(self) -> None:
        self.begun += 1
        self.ended += 1

    async def endless(self) -> None:
        self.begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)  # to put things in order takes a while
            self.ended += 1


async def test_the_first_round_is_at_the_start_and_others_follow() -> None:
    rounds = Rounds()
    async with running(rounds.quick, every_s=3600):
        await eventually(lambda: rounds.ended == 1, within_s=1)
    async with running(rounds.quick, every_s=0.05):
        await eventually(lambda: rounds.ended >= 4)


async def test_a_round_that_raises_is_logged_and_the_next_comes() -> None:
    rounds = Rounds()

    async def fails() -> None:
        await rounds.quick()
        raise NoSpace("the volume is full") if rounds.begun == 1 else ZeroDivisionError("a bug")

    with capture_logs() as said:
        async with running(fails, every_s=0.05):
            await eventually(lambda: rounds.begun >= 3)
    assert [(line["event"], line["error"]) for line in said[:2]] == [
        ("a round ended early", "the volume is full"),
        ("a round ended early", "a bug"),
    ]
    assert said[0]["exc_info"] is None
    assert isinstance(said[1]["exc_info"], ZeroDivisionError)


async def test_a_round_is_not_begun_beside_one_that_works(caplog: pytest.LogCaptureFixture) -> None:
    rounds = Rounds()
    caplog.set_level(logging.WARNING, "apscheduler")
    async with running(rounds.endless, every_s=0.05):
        await eventually(lambda: "maximum number of running instances" in caplog.text)
        assert rounds.begun == 1


async def test_rounds_that_were_missed_are_one_late_one() -> None:
    """The machine slept."""
    rounds = Rounds()
    timers = Timers()
    timers.every(3600, rounds.quick, name="sweep")
    [job] = timers._scheduler.get_jobs()
    job.next_run_time = datetime.now(UTC) - timedelta(hours=9, minutes=30)
    with capture_logs() as said:
        task = asyncio.create_task(timers.run())
        await eventually(lambda: rounds.ended)
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait({task})
    assert rounds.ended == 1
    assert job.next_run_time > datetime.now(UTC)
    [line] = said
    assert (line["event"], line["round"]) == ("a round begins late", "sweep")
    assert 1800 <= line["seconds"] < 1860  # after the last of them


async def test_when_it_has_stopped_no_round_is_under_way(caplog: pytest.LogCaptureFixture) -> None:
    rounds = Rounds()
    async with running(rounds.endless, every_s=3600) as (timers, _):
        await eventually(lambda: rounds.begun)
    assert (rounds.begun, rounds.ended) == (1, 1)
    assert not timers._scheduler.running
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("turns", range(8))
async def test_it_can_be_stopped_at_any_moment(turns: int, caplog: pytest.LogCaptureFixture) -> None:
    rounds = Rounds()
    async with running(rounds.endless, every_s=3600) as (timers, _):
        for _n in range(turns):
            await asyncio.sleep(0)
    if turns:  # else it never began
        assert not timers._scheduler.running
    assert rounds.begun == rounds.ended
    await asyncio.sleep(0.02)
    assert rounds.begun == rounds.ended
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
