"""The clients that people use: tus-js-client in node, and tuspy, which knows neither a length that comes later nor
parts. Uppy and our own page are run in a browser elsewhere.
"""

import asyncio
import io
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tusclient import client as tuspy
from tusclient.exceptions import TusCommunicationError

from tests.web.conftest import Live, mp4, running

NODE = Path(__file__).resolve().parents[3] / "node"
BODY = mp4(450_000)

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules" / "tus-js-client").exists(),
    reason="no node, or its packages are not installed: npm install --prefix tests/node",
)


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    async with running(tmp_path / "data", upload_read_timeout_s=0.5) as server:
        yield server


async def stored(live: Live, job_id: str) -> tuple[bytes, Any]:
    job = (await live.client.get(f"/v1/jobs/{job_id}")).json()
    return live.blobs.source_path(job["source"]["video_id"], "mp4").read_bytes(), job


async def tus_js(live: Live, file: Path, way: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        "node",
        str(NODE / "tus_client.mjs"),
        f"{live.url}/files/",
        str(file),
        way,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@needs_node
@pytest.mark.parametrize(
    "way", ["plain", "chunks", "resume", "creation_with_upload", "deferred_length", "parallel", "override"]
)
async def test_tus_js_client(live: Live, tmp_path: Path, way: str) -> None:
    file = tmp_path / "take.mp4"
    file.write_bytes(BODY)
    code, out, err = await tus_js(live, file, way)
    assert code == 0, err
    told = json.loads(out)
    body, job = await stored(live, told["job"])
    assert body == BODY
    assert (job["source"]["filename"], job["recipe"]["segment_s"]) == ("take.mp4", 30)
    assert (await live.client.get("/v1/uploads")).json() == {"uploads": []}


@needs_node
async def test_bytes_that_tus_js_client_announces_and_never_sends_lose_nothing(live: Live, tmp_path: Path) -> None:
    """Of a file's stream whose length is to be said later it announces a whole part at the end, and waits."""
    file = tmp_path / "take.mp4"
    file.write_bytes(BODY)
    code, _, err = await tus_js(live, file, "deferred_file")
    assert (code, "408" in err) == (1, True), err
    [upload] = (await live.client.get("/v1/uploads")).json()["uploads"]
    assert (upload["offset"], upload["size"]) == (len(BODY), None)


def with_tuspy(live: Live, **options: Any) -> Any:
    return tuspy.TusClient(f"{live.url}/files/").uploader(file_stream=io.BytesIO(BODY), **options)


async def finished(live: Live, address: str) -> str:
    job_id: str = (await live.client.get(address.replace("/files/", "/v1/uploads/"))).json()["job_id"]
    return job_id


@pytest.mark.parametrize(
    "options",
    [
        {"chunk_size": 100_000},  # which sends an empty Upload-Metadata
        {"chunk_size": 100_000, "metadata": {"filename": "a.mp4", "segment_s": "30"}},
        {"chunk_size": 1 << 20},
        {"chunk_size": 100_000, "upload_checksum": True},
    ],
    ids=["plain", "metadata", "at once", "checksum"],
)
async def test_tuspy(live: Live, options: dict[str, Any]) -> None:
    uploader = with_tuspy(live, **options)
    await asyncio.to_thread(uploader.upload)
    body, _ = await stored(live, await finished(live, uploader.url))
    assert body == BODY


async def test_tuspy_resumes(live: Live) -> None:
    first = with_tuspy(live, chunk_size=100_000)
    await asyncio.to_thread(first.upload, stop_at=200_000)
    second = await asyncio.to_thread(with_tuspy, live, chunk_size=100_000, url=first.url)  # it asks at once
    assert second.offset == 200_000
    await asyncio.to_thread(second.upload)
    body, _ = await stored(live, await finished(live, first.url))
    assert body == BODY


async def test_tuspy_is_told_what_is_refused(live: Live) -> None:
    with pytest.raises(TusCommunicationError) as told:
        await asyncio.to_thread(with_tuspy(live, metadata={"segment_s": "900"}).create_url)
    assert told.value.status_code == 422
