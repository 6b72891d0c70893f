"""A pace that all uploads keep together: so many bytes a second, whoever sends them."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable

_SLICE = 16 << 10  # bytes sent at once: a slow pace still sends something every second or so


class Pace:
    """Each slice of a body has its turn; turns follow each other at the pace, over all bodies."""

    def __init__(
        self,
        bytes_per_s: int,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._bytes_per_s = bytes_per_s
        self._now = now
        self._sleep = sleep
        self._free_at = 0.0  # when the next turn begins

    async def __call__(self, body: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        """`body` again, slower."""
        async for piece in body:
            for first in range(0, len(piece), _SLICE):
                part = piece[first : first + _SLICE]
                await self._turn(len(part))
                yield part

    async def _turn(self, size: int) -> None:
        now = self._now()
        begins = max(now, self._free_at)
        self._free_at = begins + size / self._bytes_per_s
        if begins > now:
            await self._sleep(begins - now)
