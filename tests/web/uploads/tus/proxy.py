"""A bad network: a TCP proxy that cuts, resets, half-closes, stalls and delays connections after a random byte."""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

WAYS = ("cut", "reset", "half close", "stall", "lose the answer")


@dataclass
class BadNetwork:
    """What lies between clients and a daemon."""

    to_port: int
    chance: random.Random
    largest: int  # bytes of a request, about: breaks come before
    good: float = 0.3  # of connections, so that something gets through
    port: int = 0
    breaks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WAYS, 0))
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def broken(self) -> int:
        return sum(self.breaks.values())

    @asynccontextmanager
    async def running(self) -> AsyncIterator["BadNetwork"]:
        server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError):
                await self._pass_on(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, over = await asyncio.open_connection("127.0.0.1", self.to_port)
        way = None if self.chance.random() < self.good else self.chance.choice(WAYS)
        forth = asyncio.create_task(self._forth(reader, over, way, self.chance.randrange(1, self.largest)))
        back = asyncio.create_task(self._back(there, writer, way))
        try:
            await asyncio.wait({forth, back}, return_when=asyncio.FIRST_COMPLETED)
            if forth.done() and way == "half close":
                await back
            elif forth.done() and way == "stall":
                writer.close()  # the client gave up; the daemon does not know, until it ends this by itself
                await asyncio.wait({back}, timeout=10)
        finally:
            for task in (forth, back):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await task
            if way == "reset":
                _reset(writer)
                _reset(over)
            over.close()

    async def _forth(
        self, reader: asyncio.StreamReader, over: asyncio.StreamWriter, way: str | None, after: int
    ) -> None:
        """Ends with the break, or when the client has left."""
        passed = 0
        breaks = way not in (None, "lose the answer")
        while piece := await reader.read(8192):
            if breaks and passed + len(piece) >= after:
                over.write(piece[: after - passed])
                await over.drain()
                assert way is not None
                self.breaks[way] += 1
                if way == "half close":
                    over.write_eof()
                while way == "stall" and await reader.read(8192):
                    pass
                return
            over.write(piece)
            await over.drain()
            passed += len(piece)
            if self.chance.random() < 0.02:
                await asyncio.sleep(self.chance.random() * 0.01)

    async def _back(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str | None) -> None:
        """Ends when the daemon has closed, or with the answer that is lost."""
        while piece := await there.read(8192):
            if way == "lose the answer":
                self.breaks[way] += 1
                return
            writer.write(piece)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
