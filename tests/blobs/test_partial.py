"""Bytes that come in several goes: what was kept is there, what was not is cut off."""

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from vidprod.blobs.disk import DiskBlobs
from vidprod.blobs.partial import BytesLost
from vidprod.domain.ids import new_id
from vidprod.errors import NoSpace

NOW = 1_700_000_000_000
DATA = os.urandom(300_000)


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[DiskBlobs]:
    disk = DiskBlobs(tmp_path, floor_bytes=0)
    disk.open()
    yield disk
    disk.close()


@pytest.fixture
def upload_id() -> str:
    return new_id("upl", now=NOW)


async def put(blobs: DiskBlobs, upload_id: str, data: bytes, *, offset: int) -> int:
    async with blobs.resume(upload_id, offset=offset, expected=len(DATA)) as partial:
        await partial.write(data)
        return await partial.keep()


async def test_what_comes_in_several_goes_is_one_file(blobs: DiskBlobs, upload_id: str) -> None:
    offset = 0
    for end in (1, 5000, 200_000, len(DATA)):
        offset = await put(blobs, upload_id, DATA[offset:end], offset=offset)
        assert offset == end
    video_id = new_id("vid", now=NOW)
    async with blobs.resume(upload_id, offset=offset, expected=len(DATA)) as partial:
        assert partial.head == DATA[:4096]
        path = await partial.commit(video_id, "mp4")
        assert blobs.arriving_videos() == {video_id}
    assert path.read_bytes() == DATA
    assert blobs.partial_path(upload_id).exists()  # until its row says that it is a video
    blobs.delete_partial(upload_id)
    assert path.read_bytes() == DATA


async def test_what_lies_behind_the_offset_is_cut_off(blobs: DiskBlobs, upload_id: str) -> None:
    await put(blobs, upload_id, DATA[:1000] + b"never acknowledged", offset=0)
    await put(blobs, upload_id, DATA[1000:2000], offset=1000)
    assert blobs.partial_path(upload_id).read_bytes() == DATA[:2000]


async def test_a_file_shorter_than_its_offset_is_not_gone_on_with(blobs: DiskBlobs, upload_id: str) -> None:
    await put(blobs, upload_id, DATA[:1000], offset=0)
    with pytest.raises(BytesLost):
        await put(blobs, upload_id, b"x", offset=1001)
    assert blobs.arriving_videos() == set()


async def test_what_can_still_be_written_before_a_full_volume_is_kept(blobs: DiskBlobs, upload_id: str) -> None:
    async with blobs.resume(upload_id, offset=0, expected=len(DATA)) as partial:
        await partial.write(DATA[:100_000])
        blobs.floor_bytes = 1 << 60
        with pytest.raises(NoSpace):
            await partial.write(DATA[100_000:])
        assert await partial.keep() == 100_000
    blobs.floor_bytes = 0
    await put(blobs, upload_id, DATA[100_000:], offset=100_000)
    assert blobs.partial_path(upload_id).read_bytes() == DATA


async def test_a_volume_without_links_gets_a_copy(
    blobs: DiskBlobs, upload_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)
    await put(blobs, upload_id, DATA, offset=0)
    async with blobs.resume(upload_id, offset=len(DATA), expected=len(DATA)) as partial:
        path = await partial.commit(new_id("vid", now=NOW), "mp4")
    assert path.read_bytes() == DATA
    assert blobs.partial_path(upload_id).read_bytes() == DATA


@pytest.mark.parametrize("shares", [True, False])
async def test_parts_are_joined_in_their_order(
    blobs: DiskBlobs, upload_id: str, monkeypatch: pytest.MonkeyPatch, shares: bool
) -> None:
    def no_copy(*_: object) -> int:
        raise OSError(errno.EXDEV, "not between these")

    if not shares:
        monkeypatch.setattr(os, "copy_file_range", no_copy)
    parts = [new_id("upl", now=NOW) for _ in range(2)]
    await put(blobs, parts[0], DATA[:100], offset=0)
    await put(blobs, parts[1], DATA[100:], offset=0)
    async with blobs.resume(upload_id, offset=0, expected=len(DATA) + 100) as partial:
        await partial.join([blobs.partial_path(name) for name in (*parts, parts[0])])
        assert partial.head == DATA[:4096]
        path = await partial.commit(new_id("vid", now=NOW), "mp4")
    assert path.read_bytes() == DATA + DATA[:100]


async def test_a_part_the_volume_takes_in_small_pieces_is_joined_whole(
    blobs: DiskBlobs, upload_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_copy(*_: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "not on this file system")

    part = new_id("upl", now=NOW)
    await put(blobs, part, DATA, offset=0)
    write = os.write
    monkeypatch.setattr(os, "copy_file_range", no_copy)
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:70_000]))  # as when room comes and goes
    async with blobs.resume(upload_id, offset=0, expected=len(DATA)) as partial:
        await partial.join([blobs.partial_path(part)])
        path = await partial.commit(new_id("vid", now=NOW), "mp4")
    assert path.read_bytes() == DATA


async def test_what_unfinished_uploads_announced_is_set_aside(blobs: DiskBlobs, upload_id: str) -> None:
    blobs.promise(upload_id, 300_000)
    assert blobs.promised_bytes() == 300_000
    async with blobs.resume(upload_id, offset=0, expected=300_000) as partial:
        await partial.write(DATA[:100_000])
        assert blobs.promised_bytes() == 200_000  # once, not twice
        await partial.keep()
    blobs.promise(upload_id, 200_000)
    blobs.floor_bytes = blobs.free_bytes() - 250_000
    with pytest.raises(NoSpace, match=r"200\.0 kB are promised"):
        blobs.admit(100_000)
    blobs.delete_partial(upload_id)
    assert blobs.promised_bytes() == 0


async def test_a_sweep_leaves_what_may_be_resumed(blobs: DiskBlobs, upload_id: str) -> None:
    await put(blobs, upload_id, DATA[:10], offset=0)
    left = new_id("upl", now=NOW)
    await put(blobs, left, DATA[:10], offset=0)
    assert blobs.sweep_incoming(keep={upload_id}) == 1
    assert blobs.partial_path(upload_id).exists()
