"""The limit for all uploads together."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx

from vidprod.platforms.wire import Wire


async def pieces(n: int) -> AsyncIterator[bytes]:
    for _ in range(n):
        yield b"x" * 50_000


async def test_uploads_share_the_limit() -> None:
    seen: list[int] = []

    async def take(request: httpx.Request) -> httpx.Response:
        seen.append(len(await request.aread()))
        return httpx.Response(200)

    wire = Wire(bytes_per_s=1_000_000, transport=httpx.MockTransport(take))
    began = time.monotonic()
    await asyncio.gather(*[wire.call("PUT", "https://example.com/", content=pieces(2)) for _ in range(3)])
    took = time.monotonic() - began
    assert seen == [100_000] * 3
    assert 0.24 <= took <= 0.6  # 300,000 bytes, of which the last piece need not wait for its end
    await wire.close()


async def test_without_a_limit_nothing_waits() -> None:
    wire = Wire(transport=httpx.MockTransport(lambda _: httpx.Response(200)))
    answer = await wire.call("PUT", "https://example.com/", content=pieces(40))
    assert answer.status == 200
    await wire.close()
