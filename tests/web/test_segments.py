"""The files of segments: whole, in part, conditionally, and named."""

from pathlib import Path

import pytest

from tests.web.conftest import Live
from tests.web.made import complete, now_ms, segment_bytes


async def _video_url(live: Live, *, filename: str = "take.mov") -> str:
    job_id = await live.upload(filename=filename)
    (segment_id,) = await complete(live, job_id, segments=1)
    return f"/v1/segments/{segment_id}/video"


WHOLE = segment_bytes(0)
SIZE = len(WHOLE)


async def test_a_whole_file_comes_with_what_a_player_needs(live: Live) -> None:
    answer = await live.client.get(await _video_url(live))
    assert answer.status_code == 200
    assert answer.content == WHOLE
    headers = answer.headers
    assert headers["content-type"] == "video/mp4"
    assert headers["content-length"] == str(SIZE)
    assert headers["accept-ranges"] == "bytes"
    assert headers["cache-control"].startswith("private")
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
    assert headers["etag"].startswith('"')
    assert headers["content-disposition"].startswith("inline")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, SIZE),
        ("bytes=100-199", 100, 200),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        ("bytes=-10", SIZE - 10, SIZE),
        (f"bytes=-{SIZE + 99}", 0, SIZE),
        ("bytes=50-99999999", 50, SIZE),
    ],
)
async def test_a_range_gets_just_that_part(live: Live, asked: str, start: int, end: int) -> None:
    answer = await live.client.get(await _video_url(live), headers={"Range": asked})
    assert answer.status_code == 206
    assert answer.content == WHOLE[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", "bytes=-0", "bytes=99999999-"])
async def test_a_range_behind_the_end_is_416(live: Live, asked: str) -> None:
    answer = await live.client.get(await _video_url(live), headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=0-1,5-6", "lines=1-2", "bytes=a-b", "bytes=-", "bytes"])
async def test_a_range_we_do_not_serve_gets_the_whole(live: Live, asked: str) -> None:
    answer = await live.client.get(await _video_url(live), headers={"Range": asked})
    assert answer.status_code == 200
    assert answer.content == WHOLE


async def test_if_range_gives_the_part_only_of_the_same_bytes(live: Live) -> None:
    url = await _video_url(live)
    etag = (await live.client.head(url)).headers["etag"]
    same = await live.client.get(url, headers={"Range": "bytes=1-2", "If-Range": etag})
    assert same.status_code == 206
    for other in ('"other"', f"W/{etag}", "Sat, 21 Nov 2026 00:00:00 GMT"):
        answer = await live.client.get(url, headers={"Range": "bytes=1-2", "If-Range": other})
        assert answer.status_code == 200


async def test_what_did_not_change_is_not_sent_again(live: Live) -> None:
    url = await _video_url(live)
    etag = (await live.client.head(url)).headers["etag"]
    for header in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        answer = await live.client.get(url, headers={"If-None-Match": header})
        assert answer.status_code == 304
        assert answer.content == b""
        assert answer.headers["etag"] == etag
    assert (await live.client.get(url, headers={"If-None-Match": '"x"'})).status_code == 200


async def test_head_says_the_same_without_bytes(live: Live) -> None:
    url = await _video_url(live)
    head, get = await live.client.head(url), await live.client.get(url)
    assert head.status_code == 200
    assert head.content == b""
    for name in ("content-length", "content-type", "etag", "accept-ranges", "content-disposition"):
        assert head.headers[name] == get.headers[name]
    part = await live.client.head(url, headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.headers["content-length"]) == (206, "10")


async def test_poster_and_sprite_are_pictures_with_their_own_tags(live: Live) -> None:
    video = await _video_url(live)
    tags = {(await live.client.head(video)).headers["etag"]}
    for kind, content in (("poster", b"poster 0"), ("sprite", b"sprite 0"), ("gaze", b"before and after 0")):
        answer = await live.client.get(video.replace("/video", f"/{kind}"))
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content == content
        tags.add(answer.headers["etag"])
    assert len(tags) == 4


async def test_a_download_is_saved_under_the_takes_name_whatever_it_is(live: Live) -> None:
    url = await _video_url(live, filename='Grüße "an" 東京; rm -rf.mov')
    header = (await live.client.get(f"{url}?download=1")).headers["content-disposition"]
    assert header.startswith("attachment; ")
    assert "filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%22an%22%20%E6%9D%B1%E4%BA%AC%3B%20rm%20-rf-01.mp4" in header
    assert 'filename="Gr__e _an_ __; rm -rf-01.mp4"' in header


async def test_curl_saves_under_the_name_and_goes_on_with_a_broken_download(live: Live, tmp_path: Path) -> None:
    url = await _video_url(live, filename="take.mov")
    status, out = await live.curl("-OJ", "--output-dir", str(tmp_path), f"{live.url}{url}?download=1")
    assert status == 0, out
    saved = tmp_path / "take-01.mp4"
    assert saved.read_bytes() == WHOLE
    saved.write_bytes(WHOLE[:40_000])
    status, out = await live.curl("-C", "-", "-o", str(saved), f"{live.url}{url}")
    assert status == 0, out
    assert saved.read_bytes() == WHOLE


async def test_a_segment_that_is_not_ready_or_gone_is_not_found_and_says_why(live: Live) -> None:
    url = await _video_url(live)
    segment_id = url.split("/")[3]
    segment = await live.store.read(lambda db: db.segments.get(segment_id))
    live.blobs.segment_path(segment.job_id, segment.id, ".mp4").unlink()
    lost = await live.client.get(url)
    assert (lost.status_code, lost.json()["code"]) == (404, "media_gone")
    await live.store.write(lambda db: db.segments.mark_deleted(segment.job_id, now=now_ms()))
    pruned = await live.client.get(url.replace("/video", "/poster"))
    assert (pruned.status_code, pruned.json()["code"]) == (404, "media_gone")
    await live.store.write(lambda db: db.segments.reopen(segment.job_id))
    pending = await live.client.get(url)
    assert (pending.status_code, pending.json()["code"]) == (404, "not_ready")
    assert (await live.client.get(f"/v1/segments/{segment_id}/subtitles")).status_code == 404


async def test_a_file_is_read_to_its_end_though_its_job_is_deleted_meanwhile(live: Live) -> None:
    job_id = await live.upload()
    (segment_id,) = await complete(live, job_id, segments=1)
    big = bytes(range(256)) * 40_000
    live.blobs.segment_path(job_id, segment_id, ".mp4").write_bytes(big)
    async with live.client.stream("GET", f"/v1/segments/{segment_id}/video") as answer:
        pieces = answer.aiter_bytes()
        first = await anext(pieces)
        assert (await live.client.delete(f"/v1/jobs/{job_id}")).status_code == 204
        rest = [piece async for piece in pieces]
    assert first + b"".join(rest) == big
