"""Uploads over real HTTP: what is taken, what is refused, and what is left behind."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.web.conftest import Live, mp4, running
from tests.web.raw_socket import RawClient
from vidprod.store.sqlite import Tables
from vidprod.web.uploads.order import clean_filename


async def test_curl_puts_a_file_and_gets_a_job(live: Live, tmp_path: Path) -> None:
    take = tmp_path / "take.mov"
    take.write_bytes(mp4(3_000_000))
    status, out = await live.curl("-i", "-T", str(take), f"{live.url}/upload?filename=take.mov&segment_s=45")
    assert status == 0
    head, _, body = out.rpartition("\r\n\r\n")
    assert "202" in head
    answer = json.loads(body)
    assert answer["state"] == "queued"
    assert answer["status_url"] == f"/status/{answer['job_id']}"
    assert f"location: /status/{answer['job_id']}" in head.lower()
    job = (await live.client.get(answer["status_url"])).json()
    assert job["source"]["filename"] == "take.mov"
    assert job["source"]["size"] == 3_000_000
    assert job["recipe"]["segment_s"] == 45
    assert live.blobs.source_path(answer["video_id"], "mp4").read_bytes() == take.read_bytes()
    assert live.files() == {f"media/{answer['video_id']}/source.mp4"}


async def test_curl_sends_a_form_and_gets_a_job(live: Live, tmp_path: Path) -> None:
    take = tmp_path / "take.mov"
    take.write_bytes(mp4(3_000_000))
    status, out = await live.curl(
        "-F", "snap=none", "-F", f"file=@{take}", "-F", "segment_s=30", f"{live.url}/upload?frame=fill"
    )
    assert status == 0
    answer = json.loads(out)
    job = (await live.client.get(answer["status_url"])).json()
    assert job["source"]["filename"] == "take.mov"
    assert (job["recipe"]["snap"], job["recipe"]["segment_s"], job["recipe"]["frame"]) == ("none", 30, "fill")
    assert live.blobs.source_path(answer["video_id"], "mp4").read_bytes() == take.read_bytes()


async def test_curl_appends_the_name_to_a_directory_url(live: Live, tmp_path: Path) -> None:
    take = tmp_path / "my take.mp4"
    take.write_bytes(mp4(5000))
    status, out = await live.curl("-T", str(take), f"{live.url}/upload/")
    assert status == 0
    job = (await live.client.get(json.loads(out)["status_url"])).json()
    assert job["source"]["filename"] == "my take.mp4"


async def test_curl_sends_from_a_pipe_in_chunks(live: Live) -> None:
    body = mp4(2_000_000)
    status, out = await live.curl("-T", "-", f"{live.url}/upload", stdin=body)
    assert status == 0
    video_id = json.loads(out)["video_id"]
    assert live.blobs.source_path(video_id, "mp4").read_bytes() == body


async def test_a_client_that_asks_first_is_told_to_go_on(live: Live, tmp_path: Path) -> None:
    take = tmp_path / "take.mp4"
    take.write_bytes(mp4(2_000_000))
    status, out = await live.curl("-v", "-H", "Expect: 100-continue", "-T", str(take), f"{live.url}/upload")
    assert status == 0
    assert "100 Continue" in out
    assert "202 Accepted" in out


async def test_the_job_is_queued_with_its_first_task_and_events(live: Live) -> None:
    job_id = await live.upload(priority="high")
    tasks = await live.store.read(lambda db: db.tasks.of_job(job_id))
    assert [(task.kind, task.state, task.priority) for task in tasks] == [("probe", "available", "high")]
    events = await live.store.read(lambda db: db.events.after(0, job_id=job_id))
    assert [event.type for event in events] == ["video.stored", "job.created"]
    assert live.store.feed.nudge.is_set()


async def test_a_text_named_mp4_is_refused_and_named(live: Live) -> None:
    answer = await live.client.put("/upload?filename=take.mp4", content=b"Dear diary, this is no video.\n" * 1000)
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "not_a_video"
    assert "text" in problem["detail"]
    assert problem["hint"]
    assert await live.left_over() == set()


async def test_a_short_and_an_empty_file_are_looked_at_too(live: Live) -> None:
    assert (await live.client.put("/upload", content=b"hello")).status_code == 415
    empty = await live.client.put("/upload", content=b"")
    assert empty.status_code == 415
    assert "empty" in empty.json()["detail"]


async def test_a_refused_type_is_told_while_the_body_is_still_coming(live: Live) -> None:
    async with RawClient(live.port) as client:
        await client.head("PUT /upload", "Content-Length: 100000000")
        await client.send(b"plain text, and a lot more of it is announced. " * 200)
        answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 415")
    assert await live.left_over() == set()


async def test_curl_sees_a_refusal_of_a_large_body(live: Live, tmp_path: Path) -> None:
    """A connection closed on unread bytes is reset, and the reset can overtake the answer."""
    text = tmp_path / "long.mp4"
    text.write_bytes(b"not a video at all\n" * 2_000_000)
    for extra in (
        ["-H", "Expect:"],
        ["-H", "Expect: 100-continue"],
        ["-H", "Expect:", "-H", "Transfer-Encoding: chunked"],
    ):
        status, out = await live.curl("-w", "\n%{http_code}", *extra, "-T", str(text), f"{live.url}/upload")
        assert (status, out.rpartition("\n")[2]) == (0, "415"), out
    assert await live.left_over() == set()


async def test_a_client_that_reads_only_at_the_end_sees_the_refusal(live: Live) -> None:
    """A browser: it sends everything before it looks at the answer."""
    async with RawClient(live.port) as client:
        await client.head("PUT /upload", "Content-Length: 30000000")
        for _ in range(300):
            await client.send(b"x" * 100_000)
        answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 415")


async def test_what_is_announced_over_the_limit_is_refused_before_a_byte(tmp_path: Path) -> None:
    async with running(tmp_path, max_upload_bytes=1_000_000) as live, RawClient(live.port) as client:
        await client.head("PUT /upload", "Content-Length: 5000000")
        answer = await client.answer()
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"5.0 MB" in answer
        assert b"1.0 MB" in answer
        assert live.files() == set()


async def test_a_chunked_body_is_counted(tmp_path: Path) -> None:
    async with running(tmp_path, max_upload_bytes=1_000_000) as live, RawClient(live.port) as client:
        await client.head("PUT /upload", "Transfer-Encoding: chunked")
        for _ in range(11):
            await client.chunk(mp4(100_000))
        answer = await client.answer()
        assert answer.startswith(b"HTTP/1.1 413")
        assert await live.left_over() == set()


async def test_exactly_the_limit_is_taken(tmp_path: Path) -> None:
    async with running(tmp_path, max_upload_bytes=1_000_000) as live:
        assert (await live.client.put("/upload", content=mp4(1_000_000))).status_code == 202
        assert (await live.client.put("/upload", content=mp4(1_000_001))).status_code == 413


async def test_more_than_the_volume_holds_is_refused_with_figures_before_a_byte(tmp_path: Path) -> None:
    async with running(tmp_path, disk_floor_bytes=1 << 60) as live, RawClient(live.port) as client:
        await client.head("PUT /upload", "Content-Length: 5000000")
        answer = await client.answer()
        assert answer.startswith(b"HTTP/1.1 507")
        assert b"5.0 MB are needed" in answer
        assert b"no_space" in answer
        assert (await live.client.get("/v1/jobs")).status_code == 200  # reads keep working


async def test_a_volume_that_fills_while_bytes_come_in_is_507(live: Live) -> None:
    async with RawClient(live.port) as client:
        await client.head("PUT /upload", "Content-Length: 50000000")
        await client.send(mp4(2_000_000))
        live.blobs.floor_bytes = 1 << 60  # the rest of the machine filled it
        for _ in range(20):
            await client.send(bytes(100_000))
        answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 507")
    assert await live.left_over() == set()
    live.blobs.floor_bytes = 0
    assert await live.upload()  # and works again without a restart


async def test_one_upload_too_many_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with running(tmp_path, max_uploads=1) as live:
        async with RawClient(live.port) as first:
            await first.head("PUT /upload", "Content-Length: 100000")
            await first.send(mp4(50_000))
            await live.receiving()
            answer = await live.client.put("/upload", content=mp4(1000))
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            await first.send(bytes(50_000))
            assert (await first.answer()).startswith(b"HTTP/1.1 202")
        assert await live.upload()


@pytest.mark.parametrize("how", ["closed", "reset", "closed in a chunk", "reset in a chunk"])
async def test_a_client_that_goes_away_leaves_nothing(live: Live, how: str) -> None:
    chunked = "chunk" in how
    async with RawClient(live.port) as client:
        await client.head("PUT /upload", "Transfer-Encoding: chunked" if chunked else "Content-Length: 9000000")
        piece = mp4(3_000_000)
        await (client.chunk(piece) if chunked else client.send(piece))
        await live.receiving()  # a file that stayed would be seen: here it is
        if "reset" in how:
            client.reset()
    assert await live.left_over() == set()
    assert (await live.client.get("/v1/jobs")).json()["jobs"] == []
    assert live.blobs.promised_bytes() == 0


async def test_an_end_without_the_last_chunk_is_no_end(live: Live) -> None:
    """A cut connection must not look like a finished upload."""
    async with RawClient(live.port) as client:
        await client.head("PUT /upload", "Transfer-Encoding: chunked")
        await client.chunk(mp4(1_000_000))
        client.writer.write_eof()
        answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"ended early or is malformed" in answer
    assert await live.left_over() == set()
    assert (await live.client.get("/v1/jobs")).json()["jobs"] == []


async def test_a_malformed_chunk_is_told_what_it_is(live: Live) -> None:
    """It was told that it had gone away."""
    async with RawClient(live.port) as client:
        await client.head("PUT /upload", "Transfer-Encoding: chunked")
        await client.chunk(mp4(1_000_000))
        await client.send(b"no length\r\n")
        answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 400")
    problem = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert problem["detail"] == "The request's body ended early or is malformed."
    assert problem["hint"] == "Send the file again."
    assert await live.left_over() == set()


async def test_a_silent_client_is_ended_and_leaves_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, upload_read_timeout_s=0.3) as live, RawClient(live.port) as client:
        await client.head("PUT /upload", "Content-Length: 9000000")
        await client.send(mp4(100_000))
        answer = await client.answer()
        assert answer.startswith(b"HTTP/1.1 408")
        assert await live.left_over() == set()


async def test_a_slow_client_that_keeps_sending_is_let_in(tmp_path: Path) -> None:
    async with running(tmp_path, upload_read_timeout_s=0.6) as live, RawClient(live.port) as client:
        body = mp4(10_000)
        await client.head("PUT /upload", "Content-Length: 10000")
        for start in range(0, 10_000, 1000):  # 1.5 s in all: more than twice the timeout
            await client.send(body[start : start + 1000])
            await asyncio.sleep(0.15)
        answer = await client.answer()
        assert answer.startswith(b"HTTP/1.1 202")
        assert len(live.files()) == 1


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_client_that_trickles_is_ended_and_leaves_nothing(tmp_path: Path, chunked: bool) -> None:
    """A byte now and then is no silence, but it must not hold a place for ever."""
    async with running(tmp_path, upload_read_timeout_s=0.5, max_uploads=1) as live, RawClient(live.port) as client:
        await client.head("PUT /upload", "Transfer-Encoding: chunked" if chunked else "Content-Length: 9000000")
        trickling = asyncio.create_task(_trickle(client, chunked=chunked))
        answer = await client.answer()
        trickling.cancel()
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"too_slow" in answer
        assert b"at least 1024 a second must" in answer
        assert await live.left_over() == set()
        assert (await live.client.put("/upload", content=mp4(1000))).status_code == 202


async def _trickle(client: RawClient, *, chunked: bool) -> None:
    body = mp4(5000)
    for byte in [body[:1000], *(body[n : n + 1] for n in range(1000, 5000))]:
        await (client.chunk(byte) if chunked else client.send(byte))
        await asyncio.sleep(0.05)


async def test_a_client_that_pauses_again_and_again_is_let_in(tmp_path: Path) -> None:
    """Phones do. The pauses are shorter than the longest silence, and the average is good."""
    async with running(tmp_path, upload_read_timeout_s=0.8) as live, RawClient(live.port) as client:
        body = mp4(60_000)
        await client.head("PUT /upload", f"Content-Length: {len(body)}")
        for start in range(0, len(body), 10_000):  # 1.8 s in all, more than a window
            await client.send(body[start : start + 10_000])
            await asyncio.sleep(0.3)
        assert (await client.answer()).startswith(b"HTTP/1.1 202")


async def test_a_media_child_is_asked_for_once_a_video_begins(live: Live) -> None:
    async with RawClient(live.port) as client:
        await client.head("PUT /upload", "Content-Length: 9000000")
        await client.send(mp4(100_000))
        await live.receiving()
        await _until(lambda: live.warmed)
    assert await live.left_over() == set()


async def test_what_is_refused_asks_for_no_media_child(live: Live) -> None:
    assert (await live.client.put("/upload", content=b"plain text " * 2000)).status_code == 415
    form = {"file": ("take.mp4", b"plain text " * 2000)}
    assert (await live.client.post("/upload", files=form)).status_code == 415
    assert live.warmed == []
    assert (await live.client.post("/upload", files={"file": ("take.mp4", mp4(20_000))})).status_code == 202
    assert live.warmed != []


async def test_a_long_upload_asks_again_before_its_end(live: Live) -> None:
    """A child of its beginning has gone idle by then."""
    body = mp4(4_000_000)
    async with RawClient(live.port) as client:
        await client.head("PUT /upload", f"Content-Length: {len(body)}")
        await client.send(body[:5000])
        await _until(lambda: live.warmed)
        await asyncio.sleep(0.2)
        await client.send(body[5000:10_000])  # at this pace it takes more than a minute
        await _until(lambda: [upload.size for upload in live.blobs._open.values()] == [10_000])
        assert len(live.warmed) == 1
        await client.send(body[10_000:3_000_000])
        await _until(lambda: len(live.warmed) == 2)
        await client.send(body[3_000_000:])
        assert (await client.answer()).startswith(b"HTTP/1.1 202")
    assert len(live.warmed) == 2


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_unknown_options_are_refused_before_a_byte_with_all_faults(live: Live) -> None:
    async with RawClient(live.port) as client:
        await client.head("PUT /upload?segment_s=900&snap=never&speed=2&priority=urgent", "Content-Length: 5000000")
        answer = (await client.answer()).decode()
    assert answer.startswith("HTTP/1.1 422")
    for fault in ("segment_s=", "snap=", "speed: no such option", "priority="):
        assert fault in answer
    assert live.files() == set()


async def test_an_option_given_twice_is_a_fault(live: Live) -> None:
    answer = await live.client.put("/upload?snap=none&snap=pause", content=mp4(1000))
    assert answer.status_code == 422
    assert "snap: given more than once" in answer.json()["detail"]


async def test_a_compressed_body_is_not_taken_for_a_video(live: Live) -> None:
    answer = await live.client.put("/upload", content=mp4(1000), headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert "Content-Encoding" in answer.json()["detail"]


async def test_a_row_that_cannot_be_written_takes_its_file_along(live: Live) -> None:
    await live.store.write(_break_jobs)
    answer = await live.client.put("/upload", content=mp4(10_000))
    assert answer.status_code == 500
    assert await live.left_over() == set()
    assert live.blobs.stored_videos() == set()


async def test_a_row_that_fails_after_two_cancellations_takes_its_file_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drain cancels, and soon again: nobody waited for the writer any more, and the file stayed."""
    monkeypatch.setattr("vidprod.web.server._CANCELLED_WITHIN_S", 0.05)
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def no_rows(*_arguments: object) -> None:
        asked.set()
        await go_on.wait()
        raise OSError("the disk is gone")

    async with running(tmp_path, drain_s=0.0) as live, RawClient(live.port) as client:
        monkeypatch.setattr(live.store, "write", no_rows)
        await client.head("PUT /upload", "Content-Length: 10000")
        await client.send(mp4(10_000))
        await asked.wait()  # with the file in its place for good: before that it would go with the request
        live.stop.set()
        await live.serving
        assert live.blobs.stored_videos() != set()
        go_on.set()
        assert await live.left_over() == set()


def _break_jobs(db: Tables) -> None:
    db.jobs._run("create trigger no_jobs before insert on job begin select raise(abort, 'no jobs today'); end")


async def test_many_uploads_at_once_are_all_stored_whole(live: Live) -> None:
    bodies = [mp4(300_000 + n) for n in range(40)]
    answers = await asyncio.gather(*(live.client.put("/upload", content=body) for body in bodies))
    assert {answer.status_code for answer in answers} == {202}
    sizes = {live.blobs.source_path(answer.json()["video_id"], "mp4").stat().st_size for answer in answers}
    assert sizes == {len(body) for body in bodies}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("take.mov", "take.mov"),
        ("../../etc/passwd.mp4", "passwd.mp4"),
        ("C:\\Users\\me\\take.mp4", "take.mp4"),
        ("a\x00b\r\nc.mp4", "abc.mp4"),
        ("exe.\u202e4pm.mp4", "exe.4pm.mp4"),
        ("e\u0301te\u0301.mp4", "\u00e9t\u00e9.mp4"),
        ("x" * 400 + ".mp4", "x" * 251 + ".mp4"),
        ("\u00e4" * 200 + ".mp4", "\u00e4" * 125 + ".mp4"),
        ("..", "video"),
        ("  ", "video"),
        ("", "video"),
        (None, "video"),
    ],
)
def test_a_clients_file_name_is_only_a_name(given: str | None, kept: str) -> None:
    assert clean_filename(given) == kept
    assert len(kept.encode()) <= 255
