"""Uploads that resume: what VidProd makes of them. What tus itself demands is in `tus/`."""

import base64
from pathlib import Path
from typing import Any

import httpx

from tests.web.conftest import Live, mp4, running

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
