"""The pace of uploads: kept by all of them together, and by what is sent alone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from tests.platforms.tube import POST, Tube
from vidprod.platforms.pace import Pace
from vidprod.platforms.wire import Wire
from vidprod.platforms.youtube import YouTube


class Watch:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.at = 0.0
        self.asleep: list[tuple[float, asyncio.Event]] = []

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self.asleep.append((self.at + seconds, woken))
        await woken.wait()

    async def run(self, *tasks: "asyncio.Task[bytes]") -> None:
        """Wake who sleeps, the first due first, until all have ended."""
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            if self.asleep:
                self.asleep.sort(key=lambda one: one[0])
                self.at, woken = self.asleep.pop(0)
                woken.set()


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for first in range(0, len(data), size):
        yield data[first : first + size]


async def sent(pace: Pace, data: bytes, size: int) -> bytes:
    return b"".join([piece async for piece in pace(pieces(data, size))])


async def test_a_body_arrives_whole_and_takes_its_time() -> None:
    watch = Watch()
    pace, data = Pace(100_000, now=watch.now, sleep=watch.sleep), bytes(range(250)) * 4000
    task = asyncio.create_task(sent(pace, data, 300_000))
    await watch.run(task)
    assert task.result() == data
    assert 9.7 < watch.at <= 10  # the last slice is not waited for


async def test_two_bodies_share_the_pace() -> None:
    watch = Watch()
    pace = Pace(100_000, now=watch.now, sleep=watch.sleep)
    one, two = (asyncio.create_task(sent(pace, bytes(500_000), 65_536)) for _ in range(2))
    await watch.run(one, two)
    assert 9.7 < watch.at <= 10
    assert len(one.result()) == len(two.result()) == 500_000


async def test_nothing_is_saved_up_while_nobody_sends() -> None:
    watch = Watch()
    pace = Pace(100_000, now=watch.now, sleep=watch.sleep)
    watch.at = 1000.0
    task = asyncio.create_task(sent(pace, bytes(1_000_000), 65_536))
    await watch.run(task)
    assert 1009.7 < watch.at <= 1010


async def test_an_upload_keeps_the_pace_and_arrives_whole(tmp_path: Path) -> None:
    tube = Tube(tmp_path)
    wire = Wire(simulator_url=tube.world.base_url, transport=tube.transport, bytes_per_s=10_000_000)
    media = tube.media(1_000_000)
    youtube, loop = YouTube(wire), asyncio.get_running_loop()
    handle = await youtube.begin(tube.grant, POST, media)
    began = loop.time()
    await youtube.send(tube.grant, handle, media, sent=lambda _: None)
    assert loop.time() - began >= 0.09
    assert [post.sha256 for post in tube.sim.posts()] == [media.sha256]
