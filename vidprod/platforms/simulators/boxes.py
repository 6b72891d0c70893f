"""What the boxes of an MP4 say of its tracks, without a codec.

Source: ISO/IEC 14496-12 (boxes), 14496-15 (avcC, hvcC).
"""

import struct
from collections.abc import Iterator
from typing import Any

MOST_BOXES = 10_000


def read_moov(moov: bytes) -> dict[str, Any]:
    """What a file's index says, as fields of `Facts`.

    Raises:
        struct.error, IndexError, ZeroDivisionError: its boxes contradict themselves.
    """
    told: dict[str, Any] = {"video_tracks": 0, "audio_tracks": 0}
    header = _find(moov, b"mvhd")
    movie_us = _duration_us(header) if header else None
    videos = audios = 0
    for kind, body in _boxes(moov):
        if kind == b"mvex":
            told["fragmented"] = True
        if kind != b"trak":
            continue
        edits = _find(body, b"edts", b"elst")
        if edits is not None and struct.unpack_from(">I", edits, 4)[0]:
            told["edit_list"] = True
        handler = (_find(body, b"mdia", b"hdlr") or b"")[8:12]
        if handler == b"vide":
            videos += 1
            if videos == 1:
                told.update(_read_video(body))
        elif handler == b"soun":
            audios += 1
            if audios == 1:
                told.update(_read_audio(body))
    return told | {
        "video_tracks": videos,
        "audio_tracks": audios,
        "duration_us": movie_us or told.get("duration_us"),
    }


def _read_video(trak: bytes) -> dict[str, Any]:
    told: dict[str, Any] = {}
    entry, name = _sample_entry(trak)
    times = _find(trak, b"mdia", b"mdhd")
    if times is not None:
        told["duration_us"] = _duration_us(times) or None
    if name:
        told["video"] = name
    if len(entry) >= 78:
        width, height = struct.unpack_from(">HH", entry, 24)
        turned = _rotation(trak)
        told["rotation"] = turned
        told["width"], told["height"] = (height, width) if turned in (90, 270) else (width, height)
        told.update(_read_pixels(entry[78:]))
    deltas = _find(trak, b"mdia", b"minf", b"stbl", b"stts")
    if deltas is not None and times is not None:
        told.update(_read_rate(deltas, _timescale(times)))
    return told


def _read_rate(stts: bytes, timescale: int) -> dict[str, Any]:
    """From (sample count, delta) runs. The last frame's own duration says nothing of a rate that changes."""
    count = struct.unpack_from(">I", stts, 4)[0]
    runs = [struct.unpack_from(">II", stts, 8 + 8 * index) for index in range(min(count, (len(stts) - 8) // 8))]
    frames, ticks = sum(run[0] for run in runs), sum(run[0] * run[1] for run in runs)
    if not frames or not ticks:
        return {}  # fragmented: the runs are elsewhere
    inner = [run for index, run in enumerate(runs) if not (index == len(runs) - 1 and index and run[0] == 1)]
    spread = max(run[1] for run in inner) - min(run[1] for run in inner)
    mean = ticks / frames
    return {
        "frames": frames,
        "fps": frames * timescale / ticks,
        "constant_fps": spread <= max(1.0, mean / 100),  # a timescale that does not divide: one tick more or less
    }


def _read_pixels(boxes: bytes) -> dict[str, Any]:
    """From avcC or hvcC."""
    formats = ("4:0:0", "4:2:0", "4:2:2", "4:4:4")
    hevc = _find(boxes, b"hvcC")
    if hevc is not None and len(hevc) > 17:
        return {"chroma": formats[hevc[16] & 3], "depth": 8 + (hevc[17] & 7)}
    avc = _find(boxes, b"avcC")
    if avc is None or len(avc) < 7:
        return {}
    if avc[1] not in (100, 110, 122, 144, 244):  # the others have no other format
        return {"chroma": "4:2:0", "depth": 8}
    at = 6
    for _ in range(avc[5] & 31):
        at += 2 + struct.unpack_from(">H", avc, at)[0]
    pictures = avc[at]
    at += 1
    for _ in range(pictures):
        at += 2 + struct.unpack_from(">H", avc, at)[0]
    if at + 2 > len(avc):
        return {}  # some muxers leave the extension away
    return {"chroma": formats[avc[at] & 3], "depth": 8 + (avc[at + 1] & 7)}


def _read_audio(trak: bytes) -> dict[str, Any]:
    entry, name = _sample_entry(trak)
    told: dict[str, Any] = {"audio": name} if name else {}
    if len(entry) >= 28:
        told["audio_channels"] = struct.unpack_from(">H", entry, 16)[0]
        told["audio_rate"] = struct.unpack_from(">I", entry, 24)[0] >> 16
    return told


def _sample_entry(trak: bytes) -> tuple[bytes, str]:
    """The first one's body and its name."""
    entries = _find(trak, b"mdia", b"minf", b"stbl", b"stsd")
    for kind, body in _boxes((entries or b"")[8:]):
        return body, kind.decode("latin-1")
    return b"", ""


def _rotation(trak: bytes) -> int:
    """Degrees clockwise, by the matrix of the track header."""
    header = _find(trak, b"tkhd")
    if header is None:
        return 0
    a, b, _, c, d = struct.unpack_from(">5i", header, 52 if header[0] == 1 else 40)
    turns = {(1, 0, 0, 1): 0, (0, 1, -1, 0): 90, (-1, 0, 0, -1): 180, (0, -1, 1, 0): 270}
    return turns.get((_sign(a), _sign(b), _sign(c), _sign(d)), 0)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _timescale(header: bytes) -> int:
    """Of an mvhd or mdhd: ticks a second."""
    return int(struct.unpack_from(">I", header, 20 if header[0] == 1 else 12)[0])


def _duration_us(header: bytes) -> int:
    """Of an mvhd or mdhd."""
    form, at = (">Q", 24) if header[0] == 1 else (">I", 16)
    return int(struct.unpack_from(form, header, at)[0]) * 1_000_000 // _timescale(header)


def _find(data: bytes, *kinds: bytes) -> bytes | None:
    """The body of the first box down this path."""
    for kind in kinds:
        found = next((body for name, body in _boxes(data) if name == kind), None)
        if found is None:
            return None
        data = found
    return data


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of the boxes side by side in `data`."""
    at = 0
    for _ in range(MOST_BOXES):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if length == 1:
            length, body = struct.unpack_from(">Q", data, body)[0], at + 16
        elif length == 0:
            length = len(data) - at
        if length < body - at or at + length > len(data):
            return
        yield kind, data[body : at + length]
        at += length
