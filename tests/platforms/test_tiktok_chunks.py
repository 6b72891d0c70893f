"""The chunks of a file, and that each gets to TikTok once."""

import dataclasses
import random
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.platforms.clips import clip_of
from tests.platforms.tiktok import POST, Far, Held, ignore, media, sent
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import Handle, Media
from vidprod.platforms.simulators.world import Fault
from vidprod.platforms.tiktok_chunks import plan

# as the sheet has them: size, chunk_size, total_chunk_count, Content-Range of the last chunk
WORKED_EXAMPLES = """
3145728    3145728  1   bytes 0-3145727/3145728
64000000   64000000 1   bytes 0-63999999/64000000
64000001   10000000 6   bytes 50000000-64000000/64000001
66259900   10000000 6   bytes 50000000-66259899/66259900
150000000  10000000 15  bytes 140000000-149999999/150000000
4294967296 10000000 429 bytes 4280000000-4294967295/4294967296
"""
MOST_BYTES = 4 << 30


@pytest.mark.parametrize("line", WORKED_EXAMPLES.strip().splitlines())
def test_a_file_is_cut_as_in_the_worked_examples(line: str) -> None:
    size, chunk_size, count, span = line.split(maxsplit=3)
    chunks = plan(int(size))
    assert (chunks.chunk_size, chunks.count) == (int(chunk_size), int(count))
    first, last = chunks.chunk(int(size) - 1, int(size))
    assert f"bytes {first}-{last}/{size}" == span


def test_every_plan_holds_to_the_rules_of_the_transfer_guide() -> None:
    """5 to 64 MB a chunk, but a smaller file is one; the last takes the rest, up to 128 MB; 1 to 1000 of them, one
    after the other. Since August 2026 one chunk has to be the whole file, and there is no one chunk above 64 MB."""
    dice = random.Random(5)
    for size in (1, 4_999_999, 5_000_000, *(int(MOST_BYTES ** dice.random()) for _ in range(200)), MOST_BYTES):
        chunks = plan(size)
        spans, at = list[tuple[int, int]](), 0
        while at < size:
            spans.append(chunks.chunk(at, size))
            at = spans[-1][1] + 1
        assert len(spans) == chunks.count <= 1000
        assert [first for first, _ in spans] == [0, *(last + 1 for _, last in spans[:-1])]
        *others, rest = (last + 1 - first for first, last in spans)
        assert set(others) <= {chunks.chunk_size}
        assert chunks.chunk_size <= rest <= 128_000_000
        assert chunks.chunk_size <= 64_000_000
        assert chunks.chunk_size >= 5_000_000 or chunks.chunk_size == size
        assert others or chunks.chunk_size == size


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


async def test_failure_5_more_than_64_mb_is_declared_in_chunks_that_tiktok_takes(there: Far, take: Media) -> None:
    """platforms.md 6, 5: as one chunk it was taken until August 2026, and then refused."""
    long = dataclasses.replace(take, size=66_259_900)
    handle = await there.tiktok.begin(there.grant(), POST, long)
    [upload] = there.sim.uploads.values()
    assert (upload.size, upload.chunk_size, upload.count) == (66_259_900, 10_000_000, 6)
    assert (handle["chunk_size"], handle["chunks"]) == (10_000_000, 6)


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


async def test_a_last_byte_after_which_more_is_expected_is_asked_about(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await there.tiktok.begin(grant, POST, take)
    there.transport.instead += [httpx.Response(206)]
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.send(grant, handle, take, sent=ignore)
    assert caught.value.kind == "RECONCILE"
    assert (await there.tiktok.read(grant, handle, take)).state == "uploading"


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
