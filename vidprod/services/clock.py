"""Publishing's clock: the wall clock, or one that runs faster beside simulated platforms.

Schedules are points on it, and waiting goes by it, so that a week can be rehearsed in minutes. Uploads, leases and
everything else keep the wall clock.
"""

import asyncio
import time
from collections.abc import Callable

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
