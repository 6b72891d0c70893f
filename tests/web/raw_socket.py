"""A client that can misbehave: half a request, a reset, a body that trickles."""

import asyncio
import socket
import struct


class RawClient:
    """One connection, byte by byte."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def __aenter__(self) -> "RawClient":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            return

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, request: str, *headers: str) -> None:
        await self.send("\r\n".join([f"{request} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode())

    async def chunk(self, data: bytes) -> None:
        """A piece of a chunked body."""
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def answer(self, *, timeout_s: float = 10) -> bytes:
        """Everything until the server closes, or the first answer's head and what came with it."""
        async with asyncio.timeout(timeout_s):
            return await self.reader.read(65536)

    def reset(self) -> None:
        """Go away rudely: RST, not FIN."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
