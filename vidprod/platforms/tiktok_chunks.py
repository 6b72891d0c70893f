"""The chunks in which TikTok wants a file, and how far it says it has it.

Source: developers.tiktok.com, "Media Transfer Guide"; one chunk as it is taken since August 2026.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from vidprod.platforms.wire import Answer

ONE_CHUNK = 64_000_000  # bytes; up to here the file is one chunk, whose size must be declared exactly
CHUNK = 10_000_000
_PIECE = 512 << 10


@dataclass(frozen=True)
class Plan:
    """How a file is cut into chunks."""

    chunk_size: int
    count: int

    def chunk(self, position: int, size: int) -> tuple[int, int]:
        """First and last byte of the chunk that a byte belongs to; the rest of the file joins the last one."""
        index = min(position // self.chunk_size, self.count - 1)
        first = index * self.chunk_size
        return first, size - 1 if index == self.count - 1 else first + self.chunk_size - 1


def plan(size: int) -> Plan:
    """The chunks of a file of `size` bytes.

    Since August 2026 one chunk must be declared with the file's own size, and more than 64 MB must be several.
    """
    return Plan(size, 1) if size <= ONE_CHUNK else Plan(CHUNK, size // CHUNK)


async def pieces(path: Path, first: int, last: int, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
    """A range of the file, from disk."""
    file = path.open("rb")  # at once: one that opened while we are cancelled would stay open
    try:
        await asyncio.to_thread(file.seek, first)
        at = first
        while at <= last and (piece := await asyncio.to_thread(file.read, min(_PIECE, last + 1 - at))):
            yield piece
            at += len(piece)
            sent(at)
    finally:
        file.close()


def progress(answer: Answer, size: int, default: int) -> int:
    """Bytes that are stored, as an answer to a chunk says; 0: it does not say, and has to be asked.

    Args:
        default: where an answer that names no range ends: behind the chunk.
    """
    if answer.status != 206:
        return size
    told = re.fullmatch(r"bytes 0-(\d+)/\d+", answer.headers.get("Content-Range", ""))
    if told:
        return min(int(told[1]) + 1, size)
    return default if default < size else 0  # "more is expected" after the last byte
