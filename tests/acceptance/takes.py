"""Takes to send: small and quick to encode, each with bytes of its own."""

import functools
import random
import struct
import tempfile
from pathlib import Path

from tests.media.synth import Style, numbered


@functools.cache
def take(seconds: float = 6.4, size: tuple[int, int] = (320, 180), gop: int | None = None) -> bytes:
    """A take whose frames carry numbers."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "take.mp4"
        numbered(path, round(seconds * 30), size=size, style=Style(gop=gop))
        return path.read_bytes()


def unique(data: bytes, *, seed: str, padding: int) -> bytes:
    """The same take to a player, but other bytes: an MP4 may end with a box of free space.

    Source: ISO/IEC 14496-12, 8.1.2.
    """
    return data + struct.pack(">I4s", 8 + padding, b"free") + random.Random(seed).randbytes(padding)
