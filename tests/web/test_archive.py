"""All segments in one zip: other people's readers must take it."""

import asyncio
import io
import os
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.web.conftest import Live
from tests.web.made import complete, segment_bytes
from vidprod.web.archive import Entry, length, pieces

AT_MS = 1_790_000_000_000


async def test_the_zip_has_every_segment_whole(live: Live, tmp_path: Path) -> None:
    job_id = await live.upload(filename="Grüße 東京.mov")
    await complete(live, job_id, segments=3)
    answer = await live.client.get(f"/v1/jobs/{job_id}/segments.zip")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert "filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%E6%9D%B1%E4%BA%AC.zip" in answer.headers["content-disposition"]
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    assert archive.namelist() == [f"Grüße 東京-{n:02d}.mp4" for n in (1, 2, 3)]
    assert archive.read("Grüße 東京-02.mp4") == segment_bytes(1)
    assert archive.infolist()[0].compress_type == zipfile.ZIP_STORED
    assert archive.infolist()[0].flag_bits & 0x08 == 0  # sizes before the data: stored files can be streamed out
    saved = tmp_path / "all.zip"
    saved.write_bytes(answer.content)
    if unzip := shutil.which("unzip"):
        await asyncio.to_thread(subprocess.run, [unzip, "-tq", str(saved)], check=True, capture_output=True)


async def test_a_job_without_finished_segments_has_no_zip(live: Live) -> None:
    answer = await live.client.get(f"/v1/jobs/{await live.upload()}/segments.zip")
    assert answer.status_code == 404
    assert answer.json()["code"] == "no_segments"


async def test_the_zip_leaves_out_what_was_dropped_which_still_comes_by_itself(live: Live) -> None:
    job_id = await live.upload(filename="talk.mov", review="on")
    first, second = await complete(live, job_id)
    await live.client.post(f"/v1/segments/{first}/drop")
    url = f"/v1/jobs/{job_id}/segments.zip"
    archive = zipfile.ZipFile(io.BytesIO((await live.client.get(url)).content))
    assert archive.namelist() == ["talk-02.mp4"]  # the names stay
    assert (await live.client.get(f"/v1/segments/{first}/video")).content == segment_bytes(0)
    await live.client.post(f"/v1/segments/{second}/drop")
    answer = await live.client.get(url)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_segments")
    await live.client.post(f"/v1/segments/{first}/restore")
    archive = zipfile.ZipFile(io.BytesIO((await live.client.get(url)).content))
    assert archive.namelist() == ["talk-01.mp4"]


async def test_a_file_that_went_cuts_the_answer_short(live: Live) -> None:
    """The length was announced: the client sees that bytes are missing, instead of a zip that looks whole."""
    job_id = await live.upload()
    _, second = await complete(live, job_id)
    live.blobs.segment_path(job_id, second, ".mp4").unlink()
    status, out = await live.curl("-o", "/dev/null", f"{live.url}/v1/jobs/{job_id}/segments.zip")
    assert status == 18, out  # curl: transfer closed with outstanding read data remaining


@pytest.mark.soak  # 4 GiB are read three times
async def test_archives_beyond_four_gigabytes_are_read(tmp_path: Path) -> None:
    """Sparse files: a large one, and one that starts behind 4 GiB. Read with `zipfile` from a sparse copy."""
    large, small = tmp_path / "large", tmp_path / "small"
    _sparse(large, (4 << 30) + 10)
    small.write_bytes(b"behind")
    entries = [_entry(large, (4 << 30) + 10), _entry(small, 6)]
    made = tmp_path / "all.zip"
    await _write_sparse(made, entries)
    assert made.stat().st_size == length(entries)
    archive = zipfile.ZipFile(made)
    assert [info.file_size for info in archive.infolist()] == [(4 << 30) + 10, 6]
    assert archive.read("small") == b"behind"
    with archive.open("large") as file:
        assert file.read(100) == bytes(100)


@pytest.mark.parametrize("size_limit", [1000, 2500])  # the second: only the later offsets are beyond it
async def test_what_32_bits_cannot_say_is_said_in_zip64(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size_limit: int
) -> None:
    """The form begins at a thousand bytes here instead of at 4 GiB; readers follow the markers, not the sizes."""
    monkeypatch.setattr("vidprod.web.archive._ZIP64_FROM", size_limit)
    contents = {"a.mp4": b"a" * 2000, "b.mp4": b"b" * 3000, "c.mp4": b"c" * 10}
    entries = []
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        entries.append(_entry(tmp_path / name, len(content)))
    data = b"".join([piece async for piece in pieces(entries)])
    assert len(data) == length(entries)
    assert b"PK\6\6" in data
    assert b"PK\6\7" in data
    archive = zipfile.ZipFile(io.BytesIO(data))
    assert archive.testzip() is None
    assert {name: archive.read(name) for name in archive.namelist()} == contents


async def test_more_files_than_16_bits_count_are_counted_in_zip64(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidprod.web.archive._ZIP64_FROM_COUNT", 2)
    (tmp_path / "a.mp4").write_bytes(b"abc")
    entries = [_entry(tmp_path / "a.mp4", 3)] * 3
    data = b"".join([piece async for piece in pieces(entries)])
    assert len(data) == length(entries)
    assert len(zipfile.ZipFile(io.BytesIO(data)).infolist()) == 3


async def test_a_segment_stamped_before_1980_is_in_the_zip(tmp_path: Path) -> None:
    """The daemon's clock was wrong when it was made. A zip's dates begin in 1980: the answer was a 500."""
    (tmp_path / "a.mp4").write_bytes(b"abc")
    early = Entry(path=tmp_path / "a.mp4", name="a.mp4", size=3, at_ms=0)
    archive = zipfile.ZipFile(io.BytesIO(b"".join([piece async for piece in pieces([early])])))
    assert archive.testzip() is None
    assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def _sparse(path: Path, size: int) -> None:
    path.touch()
    os.truncate(path, size)


async def _write_sparse(path: Path, entries: list[Entry]) -> None:
    out = os.open(path, os.O_WRONLY | os.O_CREAT)
    offset = 0
    async for piece in pieces(entries):
        if piece.count(0) != len(piece):
            os.pwrite(out, piece, offset)
        offset += len(piece)
    os.close(out)


def _entry(path: Path, size: int) -> Entry:
    return Entry(path=path, name=path.name, size=size, at_ms=AT_MS)


def test_the_end_record_is_where_the_specification_says(tmp_path: Path) -> None:
    one = tmp_path / "one"
    one.write_bytes(b"abc")

    async def whole() -> bytes:
        return b"".join([piece async for piece in pieces([_entry(one, 3)])])

    data = asyncio.run(whole())
    signature, *_, size, offset, comment = struct.unpack("<4s4H2LH", data[-22:])
    assert (signature, comment) == (b"PK\5\6", 0)
    assert data[offset : offset + 4] == b"PK\1\2"
    assert offset + size == len(data) - 22
