"""Uploads that resume: what VidProd makes of them. What tus itself demands is in `tus/`."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.web.conftest import Live, mp4, running
from tests.web.raw_socket import RawClient
from vidprod.blobs.incoming import BUFFER_BYTES
from vidprod.blobs.partial import Partial
from vidprod.services.pruner import take_up_uploads
from vidprod.store.sqlite import Tables
from vidprod.web.uploads import taking

VERSION = {"Tus-Resumable": "1.0.0"}
PART = {"Content-Type": "application/offset+octet-stream"}


def metadata(**fields: str) -> dict[str, str]:
    """An Upload-Metadata header."""
    pairs = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in fields.items())
    return {"Upload-Metadata": pairs}


async def begin(live: Live, length: int, headers: dict[str, str] | None = None, **fields: str) -> str:
    """The address of a new upload."""
    answer = await live.client.post(
        "/files/", headers=VERSION | {"Upload-Length": str(length)} | metadata(**fields) | (headers or {})
    )
    assert answer.status_code == 201, answer.text
    address: str = answer.headers["location"]
    return address


async def send(live: Live, address: str, data: bytes, offset: int, **headers: str) -> httpx.Response:
    return await live.client.patch(
        address, content=data, headers=VERSION | PART | {"Upload-Offset": str(offset)} | headers
    )


async def head(live: Live, address: str) -> httpx.Response:
    return await live.client.head(address, headers=VERSION)


async def types(live: Live) -> list[str]:
    return [event["type"] for event in (await live.client.get("/v1/events?limit=1000")).json()["events"]]


async def state(live: Live, address: str) -> Any:
    return (await live.client.get(address.replace("/files/", "/v1/uploads/"))).json()


async def test_an_upload_in_parts_becomes_a_job(live: Live) -> None:
    body = mp4(300_000)
    address = await begin(live, len(body), filename="take.mov", segment_s="45", priority="high")
    assert (await send(live, address, body[:100_000], 0)).headers["upload-offset"] == "100000"
    assert live.blobs.promised_bytes() == 200_000
    answer = await send(live, address, body[100_000:], 100_000)
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "300000")
    assert live.blobs.promised_bytes() == 0
    job_id = answer.headers["vidprod-job"]
    assert (await head(live, address)).headers["vidprod-job"] == job_id
    job = (await live.client.get(f"/v1/jobs/{job_id}")).json()
    assert (job["source"]["filename"], job["recipe"]["segment_s"], job["priority"]) == ("take.mov", 45, "high")
    video_id = job["source"]["video_id"]
    assert live.files() == {f"media/{video_id}/source.mp4"}
    assert live.blobs.source_path(video_id, "mp4").read_bytes() == body
    assert await types(live) == ["upload.created", "upload.completed", "video.stored", "job.created"]


async def test_unfinished_uploads_are_listed_until_they_are_complete(live: Live) -> None:
    body = mp4(5000)
    address = await begin(live, len(body), filename="a.mp4")
    await send(live, address, body[:10], 0)
    [shown] = (await live.client.get("/v1/uploads")).json()["uploads"]
    assert (shown["url"], shown["filename"], shown["size"], shown["offset"]) == (address, "a.mp4", 5000, 10)
    assert shown["expires_at"] is not None
    await send(live, address, body[10:], 10)
    assert (await live.client.get("/v1/uploads")).json() == {"uploads": []}
    done = await state(live, address)
    assert done["state"] == "complete"
    assert done["job_id"].startswith("job_")


async def test_what_is_no_video_is_refused_early_and_the_upload_ended(live: Live) -> None:
    address = await begin(live, 1_000_000)
    answer = await send(live, address, b"plain text, " * 2000, 0)
    assert (answer.status_code, answer.json()["code"]) == (415, "not_a_video")
    assert (await head(live, address)).status_code == 410
    ended = await state(live, address)
    assert (ended["state"], ended["error"]["code"]) == ("terminated", "not_a_video")
    assert live.files() == set()
    assert live.blobs.promised_bytes() == 0


async def test_unfinished_uploads_are_counted(tmp_path: Path) -> None:
    async with running(tmp_path, max_unfinished_uploads=1) as live:
        address = await begin(live, 100)
        answer = await live.client.post("/files/", headers=VERSION | {"Upload-Length": "100"})
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_unfinished")
        assert live.blobs.promised_bytes() == 100
        await live.client.delete(address, headers=VERSION)
        await begin(live, 100)


# breaks, and what goes on after them


@asynccontextmanager
async def hanging(live: Live, address: str, data: bytes, *, length: int) -> AsyncIterator[RawClient]:
    """A PATCH that sends `data`, all of which has arrived, and then nothing more, on a connection that stays open."""
    async with RawClient(live.port) as client:
        await client.head(
            f"PATCH {address}",
            "Tus-Resumable: 1.0.0",
            "Upload-Offset: 0",
            "Content-Type: application/offset+octet-stream",
            f"Content-Length: {length}",
        )
        await client.send(data)
        async with asyncio.timeout(10):
            while not any(upload.size == len(data) for upload in live.blobs._open.values()):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        yield client


async def finish(live: Live, address: str, body: bytes) -> None:
    """Goes on where HEAD says, and compares what was stored."""
    offset = int((await head(live, address)).headers["upload-offset"])
    answer = await send(live, address, body[offset:], offset)
    assert answer.status_code == 204, answer.text
    video_id = answer.headers["vidprod-job"].replace("job_", "vid_")
    assert live.blobs.source_path(video_id, "mp4").read_bytes() == body


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
async def test_the_newest_request_ends_one_that_hangs(live: Live, method: str) -> None:
    """A phone that changed its network: the old connection looks alive for a minute."""
    body = mp4(200_000)
    address = await begin(live, len(body))
    async with hanging(live, address, body[:100_000], length=len(body)) as old:
        began = time.monotonic()
        rest = body[100_000:] if method == "PATCH" else None  # a body that nobody reads would take the answer with it
        headers = VERSION | PART | {"Upload-Offset": "100000"}
        answer = await live.client.request(method, address, headers=headers, content=rest)
        assert time.monotonic() - began < 5
        assert answer.status_code == (200 if method == "HEAD" else 204)
        assert b"interrupted" in await old.answer()
        if method == "HEAD":
            assert answer.headers["upload-offset"] == "100000"  # nothing that had arrived was lost
            await finish(live, address, body)
        elif method == "PATCH":
            assert "vidprod-job" in answer.headers
        else:
            assert (await head(live, address)).status_code == 410
            assert live.files() == set()


async def test_of_several_the_newest_wins(live: Live) -> None:
    body = mp4(200_000)
    address = await begin(live, len(body))
    async with hanging(live, address, body[:100_000], length=len(body)):
        answers = await asyncio.gather(*(head(live, address) for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {200, 400}  # 400: a newer one came while it waited
    assert 200 in {answer.status_code for answer in answers}
    await finish(live, address, body)
    assert live.blobs._open == {}


@pytest.mark.parametrize("how", ["closed", "reset", "half closed"])
async def test_what_arrived_before_a_break_is_kept(live: Live, how: str) -> None:
    body = mp4(300_000)
    address = await begin(live, len(body))
    async with hanging(live, address, body[:123_456], length=len(body)) as client:
        if how == "reset":
            client.reset()
        elif how == "half closed":
            client.writer.write_eof()
            assert (await client.answer()).startswith(b"HTTP/1.1 400")
    assert (await head(live, address)).headers["upload-offset"] == "123456"
    await finish(live, address, body)


async def test_a_silent_client_keeps_what_it_sent(tmp_path: Path) -> None:
    """tus-js-client may announce a part of an unknown length that never comes."""
    body = mp4(200_000)
    async with running(tmp_path, upload_read_timeout_s=0.3) as live:
        address = await begin(live, len(body))
        async with hanging(live, address, body[:100_000], length=len(body)) as client:
            assert (await client.answer()).startswith(b"HTTP/1.1 408")
        assert (await state(live, address))["offset"] == 100_000
        await finish(live, address, body)


async def test_a_long_request_is_recorded_on_its_way(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash at its end would lose all of it. Once what came while the disk was busy waited for the next piece."""
    monkeypatch.setattr(taking, "RECORD_BYTES", 50_000)
    all_came, sync = asyncio.Event(), Partial.sync

    async def slow_sync(partial: Partial) -> int:
        written = await sync(partial)
        await all_came.wait()
        return written

    monkeypatch.setattr(Partial, "sync", slow_sync)
    body = mp4(400_000)
    address = await begin(live, len(body))
    async with hanging(live, address, body[:300_000], length=len(body)):
        all_came.set()
        async with asyncio.timeout(20):
            while (await state(live, address))["offset"] < 300_000 - 50_000 - BUFFER_BYTES:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    await finish(live, address, body)


async def test_a_full_volume_keeps_the_offset(live: Live) -> None:
    body = mp4(400_000)
    address = await begin(live, len(body))
    await send(live, address, body[:100_000], 0)
    live.blobs.floor_bytes = 1 << 60
    answer = await send(live, address, body[100_000:], 100_000)
    assert answer.status_code == 507
    assert (await head(live, address)).headers["upload-offset"] == "100000"
    refused = await live.client.post("/files/", headers=VERSION | {"Upload-Length": "5000000"})
    assert refused.status_code == 507
    assert "5.0 MB" in refused.json()["detail"]
    live.blobs.floor_bytes = 0
    await finish(live, address, body)


async def test_announced_lengths_are_set_aside(live: Live) -> None:
    live.blobs.floor_bytes = live.blobs.free_bytes() - 3_000_000_000  # others write there, too
    address = await begin(live, 2_000_000_000)
    refused = await live.client.post("/files/", headers=VERSION | {"Upload-Length": "2000000000"})
    assert refused.status_code == 507
    await live.client.delete(address, headers=VERSION)
    await begin(live, 2_000_000_000)


async def test_unfinished_uploads_survive_a_restart(tmp_path: Path) -> None:
    body = mp4(300_000)
    async with running(tmp_path) as live:
        address = await begin(live, len(body), filename="a.mp4")
        other = await begin(live, len(body))
        await send(live, address, body[:100_000], 0)
    left = tmp_path / "incoming" / "upl_00000000000000000000000000.part"  # of a PUT that a crash cut short
    left.write_bytes(b"x")
    async with running(tmp_path) as live:
        await take_up_uploads(live.store, live.blobs)
        assert not left.exists()
        assert live.blobs.promised_bytes() == 500_000
        await finish(live, address, body)
        await finish(live, other, body)


async def test_a_daemon_that_stops_keeps_what_arrived(tmp_path: Path) -> None:
    body = mp4(300_000)
    async with running(tmp_path, drain_s=0.0) as live:
        address = await begin(live, len(body))
        async with hanging(live, address, body[:100_000], length=len(body)):
            live.stop.set()
            await live.serving
    async with running(tmp_path) as live:
        assert (await head(live, address)).headers["upload-offset"] == "100000"
        await finish(live, address, body)


async def test_a_completion_that_failed_is_made_up_for_by_the_next_look(live: Live) -> None:
    body = mp4(100_000)
    address = await begin(live, len(body))

    def no_jobs(db: Tables) -> None:
        db.jobs._run("create trigger no_jobs before insert on job begin select raise(abort, 'no jobs today'); end")

    await live.store.write(no_jobs)
    assert (await send(live, address, body, 0)).status_code == 500
    assert live.blobs.stored_videos() == set()
    assert (await state(live, address))["offset"] == len(body)  # acknowledged or not: it is here
    assert (await head(live, address)).status_code == 500  # not "complete": the client would forget it
    await live.store.write(lambda db: db.jobs._run("drop trigger no_jobs"))
    assert (await head(live, address)).headers["vidprod-job"].startswith("job_")
    assert len(live.files()) == 1


async def test_bytes_that_somebody_took_away_end_the_upload(live: Live) -> None:
    body = mp4(100_000)
    address = await begin(live, len(body))
    await send(live, address, body[:50_000], 0)
    live.blobs.partial_path(address.rpartition("/")[2]).write_bytes(b"")
    answer = await send(live, address, body[50_000:], 50_000)
    assert (answer.status_code, answer.json()["code"]) == (410, "upload_gone")
    assert (await state(live, address))["error"]["code"] == "bytes_lost"


async def test_an_upload_that_waited_too_long_is_gone(tmp_path: Path) -> None:
    async with running(tmp_path, upload_expire_s=1) as live:
        address = await begin(live, 100)
        await live.store.write(lambda db: db.uploads._run("update upload set expires_at = 5"))
        answer = await live.client.delete(address, headers=VERSION)
        assert (answer.status_code, answer.json()["detail"]) == (410, "The upload is expired.")
        assert (await live.client.get("/v1/uploads")).json() == {"uploads": []}


# what is ordered


async def test_faults_of_the_order_are_told_at_the_creation(live: Live) -> None:
    answer = await live.client.post(
        "/files/", headers=VERSION | {"Upload-Length": "100"} | metadata(segment_s="900", speed="2", publish="me")
    )
    assert answer.status_code == 422
    for fault in ("segment_s=", "speed: no such option", "publish=me"):
        assert fault in answer.json()["detail"]
    assert (await live.client.get("/v1/uploads")).json() == {"uploads": []}


async def test_what_clients_add_by_themselves_is_no_order(live: Live) -> None:
    address = await begin(live, 100, name="a.mp4", type="video/mp4", filetype="video/mp4", relativePath="null")
    assert (await state(live, address))["filename"] == "a.mp4"


async def test_a_repeat_of_a_creation_is_the_same_upload(live: Live) -> None:
    body = mp4(10_000)
    key = {"Idempotency-Key": "k-1"}
    address = await begin(live, len(body), key, filename="a.mp4")
    await send(live, address, body[:100], 0)
    again = await live.client.post(
        "/files/", headers=VERSION | key | {"Upload-Length": str(len(body))} | metadata(filename="a.mp4")
    )
    assert (again.status_code, again.headers["location"]) == (201, address)
    assert (again.headers["upload-offset"], again.headers["idempotent-replayed"]) == ("100", "true")
    other = await live.client.post("/files/", headers=VERSION | key | {"Upload-Length": "77"})
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    put = await live.client.put("/upload", content=body, headers=key)
    assert put.json()["code"] == "key_reused"


async def test_a_repeat_with_bytes_ends_the_one_that_hangs_and_says_how_far_it_came(live: Live) -> None:
    body = mp4(200_000)
    head_lines = ["Tus-Resumable: 1.0.0", f"Upload-Length: {len(body)}", "Idempotency-Key: k-2"]
    async with RawClient(live.port) as client:
        await client.head(
            "POST /files", *head_lines, "Content-Type: application/offset+octet-stream", f"Content-Length: {len(body)}"
        )
        await client.send(body[:90_000])
        async with asyncio.timeout(10):
            while not any(upload.size == 90_000 for upload in live.blobs._open.values()):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        again = await live.client.post(
            "/files",
            headers=VERSION | PART | {"Upload-Length": str(len(body)), "Idempotency-Key": "k-2"},
            content=body,
        )
    assert (again.status_code, again.headers["upload-offset"]) == (201, "90000")
    await finish(live, again.headers["location"], body)


@pytest.mark.parametrize("given", ["whsec_" + base64.b64encode(b"x" * 32).decode(), ""])
async def test_a_webhook_of_the_upload_hears_of_its_job_and_its_secret_is_nowhere(tmp_path: Path, given: str) -> None:
    async with running(tmp_path, webhook_allow=("127.0.0.1",)) as live:
        fields = {"webhook_url": "http://127.0.0.1:9/", "filename": "a.mp4"}
        answer = await live.client.post(
            "/files/",
            headers=VERSION
            | {"Upload-Length": "5000"}
            | metadata(**fields, **({"webhook_secret": given} if given else {})),
        )
        assert answer.status_code == 201, answer.text
        told = answer.json().get("webhook_secret")
        assert (told is None) == bool(given)
        address = answer.headers["location"]
        asked = await head(live, address)
        assert "webhook_secret" not in asked.headers["upload-metadata"]
        job_id = (await send(live, address, mp4(5000), 0)).headers["vidprod-job"]
        [endpoint] = await live.store.read(lambda db: db.endpoints.list(job_id=job_id))
        sealed = await live.store.read(lambda db: db.endpoints._value("select secrets from endpoint"))
        kept = live.vault.open(sealed, place=f"endpoint|{endpoint.id}|secrets")
        assert (given or told).encode() in kept
        heard = await live.store.read(lambda db: [d.event_type for d in db.deliveries.list(endpoint.id, limit=9)])
        assert {"upload.completed", "video.stored", "job.created"} <= set(heard)


async def test_partial_uploads_are_joined_in_their_order(live: Live) -> None:
    body = mp4(300_000)
    addresses = []
    for start in range(0, len(body), 100_000):
        addresses.append(await begin(live, 100_000, {"Upload-Concat": "partial"}))
        await send(live, addresses[-1], body[start : start + 100_000], 0)
    final = VERSION | {"Upload-Concat": "final;" + " ".join(f"{live.url}{address}" for address in addresses)}
    answer = await live.client.post("/files/", headers=final | metadata(filename="a.mp4", segment_s="30"))
    assert answer.status_code == 201, answer.text
    job = (await live.client.get(f"/v1/jobs/{answer.headers['vidprod-job']}")).json()
    assert (job["source"]["filename"], job["recipe"]["segment_s"]) == ("a.mp4", 30)
    assert live.blobs.source_path(job["source"]["video_id"], "mp4").read_bytes() == body
    assert live.files() == {f"media/{job['source']['video_id']}/source.mp4"}
    assert live.blobs.promised_bytes() == 0
    assert (await types(live)).count("upload.created") == 1
    again = await live.client.post("/files/", headers=final | metadata(filename="a.mp4", segment_s="30"))
    assert again.headers["vidprod-job"] == job["job_id"]  # its answer was lost: no second job


async def test_parts_that_make_no_video_are_refused(live: Live) -> None:
    address = await begin(live, 10_000, {"Upload-Concat": "partial"})
    assert (await send(live, address, b"plain text" * 1000, 0)).status_code == 204  # it may be from anywhere in a file
    answer = await live.client.post("/files/", headers=VERSION | {"Upload-Concat": f"final;{address}"})
    assert answer.status_code == 415
    assert live.blobs.stored_videos() == set()


async def test_many_uploads_at_once_end_whole(live: Live) -> None:
    async def one(n: int) -> None:
        body = mp4(200_000 + n)
        address = await begin(live, len(body))
        for start in range(0, len(body), 70_000):
            assert (await send(live, address, body[start : start + 70_000], start)).status_code == 204
        video_id = (await state(live, address))["job_id"].replace("job_", "vid_")
        assert live.blobs.source_path(video_id, "mp4").read_bytes() == body

    await asyncio.gather(*(one(n) for n in range(20)))
    assert live.blobs.promised_bytes() == 0
    assert live.blobs._open == {}
    assert len(live.warmed) >= 1
