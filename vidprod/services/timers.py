"""Timers: what the daemon does again and again, fired by APScheduler.

Its schedules are in memory only, and made anew by each start: what has to outlive the process is a row.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from apscheduler.events import EVENT_JOB_SUBMITTED, JobSubmissionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from vidprod.errors import VidProdError
from vidprod.telemetry import log

LATE_S = 5.0  # a round that begins so long after its time says so: the machine slept, or the loop was held up

_logger = log.get(__name__)


class Timers:
    """Tell it what to do and how often, then `run` it."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._scheduler.add_listener(_tell_if_late, EVENT_JOB_SUBMITTED)
        self._rounds: set[asyncio.Task[Any]] = set()

    def every(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> None:
        """Do `work` at the start, and then every `seconds` of the wall clock.

        One round at a time: what comes due during a round is left out, and logged. Rounds that were missed become
        one, late. A round that raises is logged, and the next comes.
        """
        self._scheduler.add_job(
            self._round,
            IntervalTrigger(seconds=seconds, timezone=UTC),
            args=(work, name),
            id=name,
            name=name,
            next_run_time=datetime.now(UTC),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,  # late is better than never
        )

    async def run(self) -> None:
        """Until it is cancelled; when it returns, no round is under way."""
        self._scheduler.start()
        try:
            await asyncio.Event().wait()
        finally:
            self._scheduler.pause()
            await asyncio.sleep(0)  # a round that was fired begins, so that it is known
            for task in self._rounds:
                task.cancel()
            await asyncio.gather(*self._rounds)
            self._scheduler.shutdown()
            await asyncio.sleep(0)  # it does so in a callback of the loop

    async def _round(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._rounds.add(task)
        try:
            await work()
        except asyncio.CancelledError:
            return  # by us: to APScheduler it would be a job that failed
        except Exception as error:
            foreseen = isinstance(error, (VidProdError, OSError))
            _logger.error("a round ended early", round=name, error=str(error), exc_info=None if foreseen else error)
        finally:
            self._rounds.discard(task)


def _tell_if_late(event: JobSubmissionEvent) -> None:
    late_s = (datetime.now(UTC) - event.scheduled_run_times[0]).total_seconds()
    if late_s > LATE_S:
        _logger.warning("a round begins late", round=event.job_id, seconds=round(late_s, 1))
