"""The chunks of a file, and that each gets to TikTok once."""

from contextlib import suppress
from pathlib import Path

import pytest

from tests.platforms.clips import clip_of
from tests.platforms.tiktok import POST, Far, Held, ignore, media, sent
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import Handle, Media
from vidprod.platforms.simulators.world import Fault
from vidprod.platforms.tiktok_chunks import plan

SIZES = (3_145_728, 64_000_000, 64_000_001, 66_259_900, 150_000_000, 4_294_967_296)


@pytest.mark.parametrize(
    ("size", "chunk_size", "count", "last"),
    [
        (3_145_728, 3_145_728, 1, (0, 3_145_727)),
        (64_000_000, 64_000_000, 1, (0, 63_999_999)),
        (64_000_001, 10_000_000, 6, (50_000_000, 64_000_000)),
        (66_259_900, 10_000_000, 6, (50_000_000, 66_259_899)),
        (150_000_000, 10_000_000, 15, (140_000_000, 149_999_999)),
        (4_294_967_296, 10_000_000, 429, (4_280_000_000, 4_294_967_295)),
    ],
)
def test_a_file_is_cut_into_the_chunks_of_the_table(
    size: int, chunk_size: int, count: int, last: tuple[int, int]
) -> None:
    chunks = plan(size)
    assert (chunks.chunk_size, chunks.count) == (chunk_size, count)
    assert chunks.chunk(size - 1, size) == last


@pytest.mark.parametrize(
    "size", [1, 4_999_999, 63_999_999, *SIZES, *(n - 1 for n in SIZES), *(n + 7 for n in SIZES[:5])]
)
def test_chunks_follow_each_other_without_a_gap(size: int) -> None:
    chunks, at, number = plan(size), 0, 0
    while at < size:
        first, last = chunks.chunk(at, size)
        assert first == at
        assert last - first < 128_000_000
        at, number = last + 1, number + 1
    assert (at, number) == (size, chunks.count)


async def big(there: Far, tmp_path: Path, grant: Held) -> tuple[Media, Handle]:
    """A clip in chunks, made small: 7 bytes are no chunk that TikTok would take, so the plan is given afterwards."""
    take = media(tmp_path / "big.mp4", clip_of(61_700))
    handle = await there.tiktok.begin(grant, POST, take)
    [upload] = there.sim.uploads.values()
    upload.chunk_size, upload.count = 10_000, 6
    return take, {**handle, "chunk_size": 10_000, "chunks": 6}


async def test_chunks_go_in_order_and_progress_is_told(there: Far, tmp_path: Path) -> None:
    grant, told = there.grant(), list[int]()
    take, handle = await big(there, tmp_path, grant)
    handle = await there.tiktok.send(grant, handle, take, sent=told.append)
    puts = [request.headers for request in there.transport.requests if request.method == "PUT"]
    assert [put["Content-Range"] for put in puts][-2:] == ["bytes 40000-49999/61700", "bytes 50000-61699/61700"]
    assert all(put["Content-Type"] == "video/mp4" and "Authorization" not in put for put in puts)
    assert [put["Content-Length"] for put in puts] == ["10000"] * 5 + ["11700"]
    assert all("Transfer-Encoding" not in put for put in puts)
    assert told == sorted(told)
    assert told[-1] == handle["stored"] == take.size
    assert [post.sha256 for post in there.sim.posts()] == [take.sha256]


async def test_failure_5_more_than_64_mb_goes_in_chunks_that_tiktok_takes(there: Far, tmp_path: Path) -> None:
    """platforms.md 6, 5: as one chunk it was taken until August 2026, and then refused."""
    grant = there.grant()
    take = media(tmp_path / "long.mp4", clip_of(66_259_900))
    await sent(there, grant, take)
    assert [post.sha256 for post in there.sim.posts()] == [take.sha256]
    assert len([request for request in there.transport.requests if request.method == "PUT"]) == 6


@pytest.mark.parametrize("fault", ["reset", "lost_answer", "500", "503", "html", "partial", "416"])
async def test_a_chunk_that_failed_is_gone_on_from_where_tiktok_is(there: Far, tmp_path: Path, fault: str) -> None:
    grant = there.grant()
    take, handle = await big(there, tmp_path, grant)
    there.world.order("tiktok.put", Fault(fault))
    for _ in range(3):
        reading = await there.tiktok.read(grant, handle, take)
        if reading.state != "uploading":
            break
        try:
            await there.tiktok.send(grant, {**handle, "stored": reading.stored}, take, sent=ignore)
        except PlatformError as error:
            assert error.kind in ("RETRY", "RECONCILE")  # noqa: PT017
    assert [post.sha256 for post in there.sim.posts()] == [take.sha256]
    assert len(there.sim.uploads) == 1


async def test_a_last_byte_whose_answer_was_lost_is_found_by_reading(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await there.tiktok.begin(grant, POST, take)
    there.world.order("tiktok.put", "lost_answer")
    with pytest.raises(Unanswered):
        await there.tiktok.send(grant, handle, take, sent=ignore)
    assert (await there.tiktok.read(grant, handle, take)).state == "processing"
    there.wall.pass_s(60)
    assert (await there.tiktok.read(grant, handle, take)).state == "live"
    assert len(there.sim.posts()) == 1


async def test_who_sends_again_without_reading_posts_nothing_again(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await there.tiktok.begin(grant, POST, take)
    there.world.order("tiktok.put", "lost_answer")
    with pytest.raises(Unanswered):
        await there.tiktok.send(grant, handle, take, sent=ignore)
    assert (await there.tiktok.send(grant, handle, take, sent=ignore))["stored"] == take.size  # 416, and the status
    assert len(there.sim.posts()) == 1


async def test_failure_1_who_begins_anew_after_a_lost_last_answer_posts_twice(there: Far, take: Media) -> None:
    """platforms.md 6, 1: why a lost answer is read and not repeated; TikTok notices nothing."""
    grant = there.grant()
    there.world.order("tiktok.put", "lost_answer")
    for _ in range(2):
        with suppress(Unanswered):
            await sent(there, grant, take)
    assert [post.sha256 for post in there.sim.posts()] == [take.sha256] * 2
