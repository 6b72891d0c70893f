"""Publishing's clock: the wall clock, one that runs faster beside simulated platforms, or one that jumps.

Schedules are points on it, and waiting goes by it, so that a week can be rehearsed in a minute. Uploads, leases and
everything else keep the wall clock.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator

_QUIET_S = 0.005  # of the wall: who was woken has begun to work by then
LONGEST_WAIT_S = 30.0  # of the wall: a machine that slept, or whose clock was set, is noticed at the next look


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Clock:
    """Unix milliseconds that pass `speed` times as fast as the wall clock's, from `since` on."""

    def __init__(self, *, speed: float = 1.0, since: int | None = None, wall: Callable[[], int] = _wall_ms) -> None:
        """
        Args:
            since: unix ms of the wall at which both clocks agree; now, when not given.
        """
        self.speed = speed
        self._wall = wall
        self._since = wall() if since is None else since

    def now(self) -> int:
        wall = self._wall()
        return wall if self.speed == 1 else self._since + int((wall - self._since) * self.speed)

    def seconds_until(self, at: int) -> float:
        """Of the wall; never less than 0."""
        return max(0, at - self.now()) / 1000 / self.speed

    async def wait(self, event: asyncio.Event, *, until: int | None = None) -> None:
        """Until the event is set, `until` has come, or a while has passed: who waits looks again anyway."""
        seconds = LONGEST_WAIT_S if until is None else min(LONGEST_WAIT_S, self.seconds_until(until) + 0.002)
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return

    async def sleep(self, seconds: float) -> None:
        """`seconds` of this clock."""
        await asyncio.sleep(seconds / self.speed)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Something is done that takes time by itself; only a clock that jumps has to know."""
        yield


class JumpingClock(Clock):
    """Stands still while somebody works, and jumps to the next moment that somebody waits for: a week in a minute."""

    def __init__(self, *, since: int) -> None:
        super().__init__(since=since)
        self._at = since
        self._works = 0
        self._changes = 0
        self._moments: dict[asyncio.Event, int | None] = {}

    def now(self) -> int:
        return self._at

    def seconds_until(self, at: int) -> float:
        return max(0, at - self._at) / 1000

    async def wait(self, event: asyncio.Event, *, until: int | None = None) -> None:
        if until is not None and until <= self._at:
            return
        moment = asyncio.Event()
        self._moments[moment] = until
        self._changes += 1
        waiting = [asyncio.ensure_future(one.wait()) for one in (event, moment)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
            del self._moments[moment]
            self._changes += 1

    async def sleep(self, seconds: float) -> None:
        await self.wait(asyncio.Event(), until=self._at + int(seconds * 1000))

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        self._works += 1
        try:
            yield
        finally:
            self._works -= 1
            self._changes += 1

    async def run(self, *, until: int) -> None:
        """Let the time pass, up to `until`, as fast as those who wait and work allow."""
        while True:
            await self._quiet()
            if self._at >= until:
                return
            self._at = min([until, *(at for at in self._moments.values() if at is not None and at > self._at)])
            for moment, at in self._moments.items():
                if at is not None and at <= self._at:
                    moment.set()

    async def _quiet(self) -> None:
        while True:
            before = self._changes
            await asyncio.sleep(_QUIET_S)
            if self._changes == before and not self._works:
                return
