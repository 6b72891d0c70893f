"""All segments of a job in one zip, made while it is sent. Stored, not deflated: H.264 does not get smaller.

Written out here (PKWARE APPNOTE 6.3.3, sections 4.3 and 4.5.3) because `zipfile` on a stream puts sizes behind the
data, which several readers refuse for stored files, and because its length is not known before it is made. Each
file is read twice, first for its checksum; both reads come from the page cache or the disk, not from memory of ours.
"""

import asyncio
import os
import struct
import zlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from vidprod.errors import NotFound
from vidprod.store.sqlite import Tables
from vidprod.web.desk import Desk, checked
from vidprod.web.files import disposition
from vidprod.web.reading import read
from vidprod.web.segments import segment_filename, stem_of

_PIECE_BYTES = 256 << 10
_UTF8 = 1 << 11  # general purpose bit 11: the name is UTF-8
_MADE_BY = (3 << 8) | 45  # Unix, version 4.5: the one that knows zip64
_NEEDS, _NEEDS_ZIP64 = 20, 45
_SEE_ZIP64, _SEE_ZIP64_COUNT = 0xFFFFFFFF, 0xFFFF  # in a field of 32 or 16 bits: the value is in the zip64 one
_ZIP64_FROM, _ZIP64_FROM_COUNT = 0xFFFFFFFF, 0xFFFF
_MODE = 0o100644 << 16


class Entry(NamedTuple):
    """One file of the archive. Its size is settled; its bytes must not change."""

    path: Path
    name: str
    size: int
    at_ms: int


@read("/v1/jobs/{job_id:str}/segments.zip")
async def get_archive(desk: NamedDependency[Desk], job_id: FromPath[str]) -> Stream:
    """Every finished segment of a job in one zip, but those that somebody dropped: they come one by one."""
    checked(job_id, "job")
    filename, entries = await desk.store.read(lambda db: _entries(desk, db, job_id))
    return Stream(
        pieces(entries),
        media_type="application/zip",
        headers={
            "Content-Length": str(length(entries)),
            "Content-Disposition": disposition(filename, attachment=True),
            "Cache-Control": "private, no-store",
        },
    )


def _entries(desk: Desk, db: Tables, job_id: str) -> tuple[str, list[Entry]]:
    job = db.jobs.get(job_id)
    video = db.videos.get(job.video_id)
    segments = db.segments.of_job(job_id)
    entries = [
        Entry(
            path=desk.blobs.segment_path(job_id, segment.id, ".mp4", making=segment.making),
            name=segment_filename(video, segment, ".mp4", of=len(segments)),
            size=segment.rendition.size,
            at_ms=segment.ready_at or job.created_at,
        )
        for segment in segments
        if segment.rendition is not None and segment.deleted_at is None and segment.review != "dropped"
    ]
    if not entries:
        raise NotFound(
            f"The job {job_id} has no finished segments to download.",
            code="no_segments",
            hint="Dropped ones come one by one, or with all again once they are taken back.",
        )
    return f"{stem_of(video.filename)}.zip", entries


def length(entries: Sequence[Entry]) -> int:
    """Of the archive, in bytes, before it is made."""
    total = 0
    central = 0
    for entry in entries:
        central += len(_central_header(entry, crc=0, offset=total))
        total += len(_local_header(entry, crc=0)) + entry.size
    return total + central + len(_end(len(entries), start=total, size=central))


async def pieces(entries: Sequence[Entry]) -> AsyncIterator[bytes]:
    """The archive. Raises OSError, and so ends short of its length, when a file went meanwhile."""
    offset = 0
    central: list[bytes] = []
    for entry in entries:
        file = await asyncio.to_thread(os.open, entry.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            crc = await asyncio.to_thread(_checksum, file, entry.size)
            header = _local_header(entry, crc=crc)
            yield header
            for start in range(0, entry.size, _PIECE_BYTES):
                yield await asyncio.to_thread(_read, file, min(_PIECE_BYTES, entry.size - start), start)
        finally:
            os.close(file)
        central.append(_central_header(entry, crc=crc, offset=offset))
        offset += len(header) + entry.size
    directory = b"".join(central)
    yield directory + _end(len(entries), start=offset, size=len(directory))


def _checksum(file: int, size: int) -> int:
    crc = 0
    for start in range(0, size, _PIECE_BYTES):
        crc = zlib.crc32(_read(file, min(_PIECE_BYTES, size - start), start), crc)
    return crc


def _read(file: int, size: int, start: int) -> bytes:
    data = os.pread(file, size, start)
    if len(data) != size:
        raise OSError(f"a segment's file ends at {start + len(data)}, before the {start + size} bytes it was made with")
    return data


def _local_header(entry: Entry, *, crc: int) -> bytes:
    name = entry.name.encode()
    large = entry.size >= _ZIP64_FROM
    extra = struct.pack("<HHQQ", 1, 16, entry.size, entry.size) if large else b""
    size = _field(entry.size)
    needs = _NEEDS_ZIP64 if large else _NEEDS
    return (
        struct.pack("<4s5H3L2H", b"PK\3\4", needs, _UTF8, 0, *_dos_time(entry), crc, size, size, len(name), len(extra))
        + name
        + extra
    )


def _central_header(entry: Entry, *, crc: int, offset: int) -> bytes:
    name = entry.name.encode()
    large = entry.size >= _ZIP64_FROM
    values = [entry.size, entry.size] if large else []
    if offset >= _ZIP64_FROM:
        values.append(offset)
    extra = struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values) if values else b""
    size = _field(entry.size)
    needs = _NEEDS_ZIP64 if values else _NEEDS
    head = struct.pack(
        "<4s6H3L5H2L",
        b"PK\1\2",
        _MADE_BY,
        needs,
        _UTF8,
        0,
        *_dos_time(entry),
        crc,
        size,
        size,
        len(name),
        len(extra),
        0,
        0,
        0,
        _MODE,
        _field(offset),
    )
    return head + name + extra


def _end(count: int, *, start: int, size: int) -> bytes:
    tail = b""
    if count >= _ZIP64_FROM_COUNT or start >= _ZIP64_FROM or size >= _ZIP64_FROM:
        tail = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, _MADE_BY, _NEEDS_ZIP64, 0, 0, count, count, size, start)
        tail += struct.pack("<4sLQL", b"PK\6\7", 0, start + size, 1)
    few = _SEE_ZIP64_COUNT if count >= _ZIP64_FROM_COUNT else count
    return tail + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, few, few, _field(size), _field(start), 0)


def _field(value: int) -> int:
    """As a field of 32 bits says it."""
    return _SEE_ZIP64 if value >= _ZIP64_FROM else value


def _dos_time(entry: Entry) -> tuple[int, int]:
    at = datetime.fromtimestamp(entry.at_ms / 1000, UTC)
    year = max(at.year, 1980) - 1980  # no earlier one can be said; a clock that was not set yet stamps 1970
    return (at.hour << 11) | (at.minute << 5) | (at.second // 2), (year << 9) | (at.month << 5) | at.day
