"""Clips without a codec: MP4 files whose boxes say what a test wants, and whose pictures are noise.

What a platform looks at before it decodes is all there; nothing else is.
"""

import random
import struct
from typing import Any


def clip(
    *,
    seconds: float = 12.0,
    width: int = 1080,
    height: int = 1920,
    fps: int = 30,
    size: int = 4096,
    video: bytes = b"avc1",
    audio: bytes = b"mp4a",
    brand: bytes = b"isom",
    edit_list: bool = False,
    moov_first: bool = True,
    turned: bool = False,
    deltas: list[tuple[int, int]] | None = None,
    seed: int = 0,
) -> bytes:
    """
    Args:
        size: of the noise, bytes; the file is some hundred bytes larger.
        turned: the matrix turns the coded picture by 90°.
        deltas: (count, duration) runs of frames in 1/15360 s; the default is a constant `fps`.
        seed: another one, another file.
    """
    ftyp = _box(b"ftyp", brand + bytes(4) + b"isomavc1")
    traks = [_video(seconds, width, height, fps, video, edit_list, turned, deltas)]
    if audio:
        traks.append(_audio(seconds, audio))
    mvhd = _box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 1000, round(seconds * 1000)) + bytes(80))
    moov = _box(b"moov", mvhd + b"".join(traks))
    mdat = _box(b"mdat", random.Random(seed).randbytes(size))
    return ftyp + (moov + mdat if moov_first else mdat + moov)


def clip_of(size: int, **more: Any) -> bytes:
    """A clip of `size` bytes in all."""
    return clip(size=size - len(clip(size=0, **more)), **more)


def _video(
    seconds: float,
    width: int,
    height: int,
    fps: int,
    codec: bytes,
    edit_list: bool,
    turned: bool,
    deltas: list[tuple[int, int]] | None,
) -> bytes:
    one = 1 << 16
    matrix = (0, one, 0, -one, 0, 0, 0, 0, 1 << 30) if turned else (one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    tkhd = _box(
        b"tkhd", struct.pack(">6I", 3, 0, 0, 1, 0, round(seconds * 1000)) + bytes(16) + struct.pack(">9i", *matrix)
    )
    avcc = _box(b"avcC", bytes([1, 100, 0, 40, 255, 0xE1, 0, 1, 0, 1, 0, 1, 0, 0xFD, 0xF8, 0xF8, 0]))
    fields = bytes(24) + struct.pack(">HH", width, height) + bytes(50)
    runs = deltas or [(round(seconds * fps), 15360 // fps)]
    stts = struct.pack(">II", 0, len(runs)) + b"".join(struct.pack(">II", *run) for run in runs)
    edits = _box(b"edts", _box(b"elst", struct.pack(">II", 0, 1) + bytes(12))) if edit_list else b""
    return _trak(tkhd + edits, b"vide", 15360, seconds, _box(codec, fields + avcc), stts)


def _audio(seconds: float, codec: bytes) -> bytes:
    tkhd = _box(b"tkhd", struct.pack(">6I", 3, 0, 0, 2, 0, round(seconds * 1000)) + bytes(52))
    fields = bytes(16) + struct.pack(">HHHH", 2, 16, 0, 0) + struct.pack(">I", 48_000 << 16)
    stts = struct.pack(">IIII", 0, 1, round(seconds * 48_000 / 1024), 1024)
    return _trak(tkhd, b"soun", 48_000, seconds, _box(codec, fields), stts)


def _trak(head: bytes, handler: bytes, timescale: int, seconds: float, entry: bytes, stts: bytes) -> bytes:
    mdhd = _box(b"mdhd", struct.pack(">IIIII", 0, 0, 0, timescale, round(seconds * timescale)) + bytes(4))
    hdlr = _box(b"hdlr", bytes(8) + handler + bytes(13))
    stsd = _box(b"stsd", struct.pack(">II", 0, 1) + entry)
    stbl = _box(b"stbl", stsd + _box(b"stts", stts))
    return _box(b"trak", head + _box(b"mdia", mdhd + hdlr + _box(b"minf", stbl)))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body
