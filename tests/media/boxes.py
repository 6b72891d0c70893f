"""MP4 boxes, read from the bytes with `struct`: a second opinion that shares no code with FFmpeg.

Source: ISO/IEC 14496-12 (boxes), 14496-14 (esds), 14496-15 (avcC).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta", b"mvex"}
IDENTITY_MATRIX = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


class BadBoxes(Exception):
    """The bytes are not a sequence of boxes."""


@dataclass(frozen=True)
class Box:
    """One box. `start` and `end` are offsets in the file, `body` is where the payload begins."""

    kind: bytes
    start: int
    body: int
    end: int
    path: str
    children: list["Box"] = field(default_factory=list)

    def walk(self) -> Iterator["Box"]:
        yield self
        for child in self.children:
            yield from child.walk()

    def first(self, *kinds: bytes) -> "Box | None":
        """The first box down this path of kinds."""
        box: Box | None = self
        for kind in kinds:
            box = next((child for child in box.children if child.kind == kind), None) if box else None
        return box


@dataclass(frozen=True)
class Track:
    """What the boxes of one `trak` say. Times are in ticks of `timescale`."""

    handler: str  # "vide", "soun", …
    handler_name: str
    timescale: int
    duration: int
    tkhd_duration: int  # of the movie's timescale
    creation_times: tuple[int, ...]  # creation and modification, of tkhd and mdhd
    matrix: tuple[int, ...]
    display_size: tuple[float, float]
    edits: bool
    sample_entries: tuple[bytes, ...]
    entry: bytes  # the first sample entry, whole
    deltas: tuple[tuple[int, int], ...]  # stts: (count, delta)
    offsets: tuple[int, ...]  # ctts, one a sample; empty when there is none
    sync: tuple[int, ...] | None  # stss, zero-based; None: every sample is
    sizes: tuple[int, ...]
    positions: tuple[int, ...]  # of each sample in the file

    @property
    def decode_times(self) -> list[int]:
        times, now = [], 0
        for count, delta in self.deltas:
            for _ in range(count):
                times.append(now)
                now += delta
        return times

    @property
    def presentation_times(self) -> list[int]:
        times = self.decode_times
        return [at + offset for at, offset in zip(times, self.offsets or (0,) * len(times), strict=True)]


@dataclass(frozen=True)
class Movie:
    """A file of boxes."""

    data: bytes
    boxes: list[Box]
    timescale: int
    duration: int
    creation_times: tuple[int, ...]
    tracks: list[Track]

    def walk(self) -> Iterator[Box]:
        for box in self.boxes:
            yield from box.walk()

    def samples(self, track: Track) -> Iterator[bytes]:
        for position, size in zip(track.positions, track.sizes, strict=True):
            yield self.data[position : position + size]


def read_movie(path: Path) -> Movie:
    """The boxes of a file.

    Raises:
        BadBoxes: a box does not fit, or one that must be there is not.
    """
    data = path.read_bytes()
    boxes = read_boxes(data)
    moov = next((box for box in boxes if box.kind == b"moov"), None)
    if moov is None:
        raise BadBoxes(f"no moov among {', '.join(box.kind.decode('latin1') for box in boxes)}")
    header = _need(moov, b"mvhd")
    created, timescale, duration, _ = _times(data, header)
    tracks = [_track(data, box) for box in moov.children if box.kind == b"trak"]
    return Movie(data, boxes, timescale, duration, created, tracks)


def read_boxes(data: bytes, start: int = 0, end: int | None = None, path: str = "") -> list[Box]:
    """The boxes from `start` to `end`, with what is inside the containers among them."""
    limit = len(data) if end is None else end
    boxes = []
    while start < limit:
        if limit - start < 8:
            if path.endswith("udta") and data[start:limit].strip(b"\0") == b"":
                break  # QuickTime ends a user data list with a 32-bit zero
            raise BadBoxes(f"{limit - start} stray bytes at {start} in {path or 'the file'}")
        size, kind = struct.unpack_from(">I4s", data, start)
        body = start + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        elif size == 0:
            size = limit - start
        if size < body - start or start + size > limit:
            raise BadBoxes(f"box {kind!r} at {start} in {path or 'the file'} says {size} bytes")
        name = f"{path}/{kind.decode('latin1')}" if path else kind.decode("latin1")
        inside = read_boxes(data, body, start + size, name) if kind in _CONTAINERS else []
        boxes.append(Box(kind, start, body, start + size, name, inside))
        start += size
    return boxes


def _need(box: Box, *kinds: bytes) -> Box:
    found = box.first(*kinds)
    if found is None:
        raise BadBoxes(f"{box.path} has no {'/'.join(kind.decode('latin1') for kind in kinds)}")
    return found


def _times(data: bytes, box: Box) -> tuple[tuple[int, ...], int, int, int]:
    """Creation and modification, timescale, duration and the offset after them, of mvhd or mdhd."""
    layout = ">QQIQ" if data[box.body] == 1 else ">IIII"
    created, modified, timescale, duration = struct.unpack_from(layout, data, box.body + 4)
    return (created, modified), timescale, duration, box.body + 4 + struct.calcsize(layout)


def _track(data: bytes, trak: Box) -> Track:
    tkhd, mdhd, hdlr = _need(trak, b"tkhd"), _need(trak, b"mdia", b"mdhd"), _need(trak, b"mdia", b"hdlr")
    table = _need(trak, b"mdia", b"minf", b"stbl")
    layout = ">QQIIQ" if data[tkhd.body] == 1 else ">IIIII"
    tkhd_created, tkhd_modified, _, _, tkhd_duration = struct.unpack_from(layout, data, tkhd.body + 4)
    geometry = tkhd.body + 4 + struct.calcsize(layout) + 16  # reserved, layer, group, volume, reserved
    *matrix, width, height = struct.unpack_from(">9iII", data, geometry)
    created, timescale, duration, _ = _times(data, mdhd)
    entries = _sample_entries(data, _need(table, b"stsd"))
    sizes = _sizes(data, _need(table, b"stsz"))
    return Track(
        handler=data[hdlr.body + 8 : hdlr.body + 12].decode("latin1"),
        handler_name=data[hdlr.body + 24 : hdlr.end].strip(b"\0").decode("latin1"),
        timescale=timescale,
        duration=duration,
        tkhd_duration=tkhd_duration,
        creation_times=(tkhd_created, tkhd_modified, *created),
        matrix=tuple(matrix),
        display_size=(width / 65536, height / 65536),
        edits=trak.first(b"edts") is not None,
        sample_entries=tuple(entry[4:8] for entry in entries),
        entry=entries[0] if entries else b"",
        deltas=tuple(_pairs(data, _need(table, b"stts"), ">II")),
        offsets=tuple(_run_offsets(data, table.first(b"ctts"))),
        sync=_sync(data, table.first(b"stss")),
        sizes=sizes,
        positions=_positions(data, table, sizes),
    )


def _pairs(data: bytes, box: Box, layout: str) -> Iterator[tuple[int, int]]:
    (count,) = struct.unpack_from(">I", data, box.body + 4)
    for index in range(count):
        first, second = struct.unpack_from(layout, data, box.body + 8 + 8 * index)
        yield first, second


def _run_offsets(data: bytes, box: Box | None) -> Iterator[int]:
    if box is not None:
        for count, offset in _pairs(data, box, ">Ii"):  # version 0 is unsigned, but none is that large
            yield from (offset for _ in range(count))


def _sync(data: bytes, box: Box | None) -> tuple[int, ...] | None:
    if box is None:
        return None
    (count,) = struct.unpack_from(">I", data, box.body + 4)
    return tuple(number - 1 for number in struct.unpack_from(f">{count}I", data, box.body + 8))


def _sizes(data: bytes, box: Box) -> tuple[int, ...]:
    size, count = struct.unpack_from(">II", data, box.body + 4)
    return (size,) * count if size else struct.unpack_from(f">{count}I", data, box.body + 12)


def _sample_entries(data: bytes, box: Box) -> list[bytes]:
    return [data[entry.start : entry.end] for entry in read_boxes(data, box.body + 8, box.end, box.path)]


def _positions(data: bytes, table: Box, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Where each sample lies, from chunk offsets and the sample-to-chunk runs."""
    chunks_box, layout = (table.first(b"stco"), "I") if table.first(b"stco") else (table.first(b"co64"), "Q")
    if chunks_box is None:
        raise BadBoxes(f"{table.path} has no stco or co64")
    (chunks,) = struct.unpack_from(">I", data, chunks_box.body + 4)
    offsets = struct.unpack_from(f">{chunks}{layout}", data, chunks_box.body + 8)
    runs_box = _need(table, b"stsc")
    (count,) = struct.unpack_from(">I", data, runs_box.body + 4)
    runs = [struct.unpack_from(">III", data, runs_box.body + 8 + 12 * index) for index in range(count)]
    positions: list[int] = []
    for number, offset in enumerate(offsets, start=1):
        per_chunk = next((run[1] for run in reversed(runs) if run[0] <= number), 0)
        for size in sizes[len(positions) : len(positions) + per_chunk]:
            positions.append(offset)
            offset += size
    if len(positions) != len(sizes):
        raise BadBoxes(f"{table.path} places {len(positions)} of {len(sizes)} samples")
    return tuple(positions)
