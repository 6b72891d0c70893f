"""The simulated YouTube over HTTP, driven by Google's own client."""

import asyncio
import http.client
import io
import json
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files
from typing import Any

import httpx
import pytest

from tests.platforms.clips import clip_of
from tests.platforms.tube import ANN, APP, META
from vidprod.platforms.simulators.transport import application
from vidprod.platforms.simulators.world import World
from vidprod.platforms.simulators.youtube import YouTubeSim
from vidprod.platforms.simulators.youtube_session import GRAIN
from vidprod.platforms.youtube_login import READ, UPLOAD
from vidprod.web import server

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # of the Python versions that Google will drop some day
    import google.oauth2.credentials as google
    from google_auth_httplib2 import AuthorizedHttp  # type: ignore[import-untyped]
    from googleapiclient.discovery import build_from_document  # type: ignore[import-untyped]
    from googleapiclient.errors import HttpError  # type: ignore[import-untyped]
    from googleapiclient.http import MediaIoBaseUpload, build_http  # type: ignore[import-untyped]


@asynccontextmanager
async def served(sim: YouTubeSim) -> AsyncIterator[str]:
    """The simulator on a port of this machine."""
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    app = application(sim.handlers(), over_http=True)
    serving = asyncio.create_task(server.serve(app, "127.0.0.1", 0, port.set_result, stop, drain_s=1))
    try:
        sim.world.base_url = f"http://127.0.0.1:{await port}"
        yield sim.world.base_url
    finally:
        stop.set()
        await serving


@contextmanager
def client_of(base: str, sim: YouTubeSim, *, expired: bool = False) -> Iterator[Any]:
    """google-api-python-client, told of another root; tokens are google-auth's to renew."""
    issued = sim.auth.issue(ANN, client_id=APP.client_id, scopes=(UPLOAD, READ))
    if expired:
        sim.auth.expire(ANN)
    rights = google.Credentials(  # type: ignore[no-untyped-call]
        issued.access_token,
        refresh_token=issued.refresh_token,
        token_uri=f"{base}/oauth2.googleapis.com/token",
        client_id=APP.client_id,
        client_secret=APP.client_secret,
    )
    described = files("googleapiclient.discovery_cache.documents").joinpath("youtube.v3.json").read_text()
    document = {**json.loads(described), "rootUrl": f"{base}/youtube.googleapis.com/"}
    document.pop("mtlsRootUrl", None)
    transport = build_http()
    transport.timeout = 5
    client = build_from_document(document, http=AuthorizedHttp(rights, http=transport))
    try:
        yield client
    finally:
        transport.close()


def google_upload(client: Any, data: bytes) -> tuple[dict[str, Any], list[int], int]:
    """The video, the progress, and how often the client was thrown back.

    Its own retries are left off: they send a chunk again whose stream has been read to the end.
    """
    media = MediaIoBaseUpload(io.BytesIO(data), "video/mp4", chunksize=4 * GRAIN, resumable=True)
    request = client.videos().insert(part="snippet,status", body=META, media_body=media)
    answer, progress, thrown = None, [], 0
    while answer is None:
        try:
            status, answer = request.next_chunk()
        except HttpError as error:
            if error.status_code < 500 or thrown == 9:
                raise
            thrown += 1
        except (OSError, http.client.HTTPException):  # the connection broke
            thrown += 1
        else:
            if answer is None:
                progress.append(status.resumable_progress)
    return answer, progress, thrown


async def test_googles_client_uploads_and_reads() -> None:
    sim = YouTubeSim(World(seed=1), processing_s=0)
    async with served(sim) as base:
        with client_of(base, sim, expired=True) as client:
            video, progress, thrown = await asyncio.to_thread(google_upload, client, clip_of(3_000_000))
            query = client.videos().list(part="status,processingDetails,snippet", id=video["id"])
            found = await asyncio.to_thread(query.execute)
            mine = await asyncio.to_thread(client.channels().list(part="snippet,contentDetails", mine=True).execute)
    assert (progress, thrown) == ([4 * GRAIN, 8 * GRAIN], 0)
    assert found["items"][0]["status"]["uploadStatus"] == "processed"
    assert mine["items"][0]["id"] == ANN
    (posted,) = sim.posts()
    assert posted.remote_id == video["id"]
    assert sim.requests["youtube.token"] == 1


async def test_googles_client_gets_over_what_goes_wrong_and_posts_once() -> None:
    sim = YouTubeSim(World(seed=1))
    sim.world.order("youtube.put", "503", "partial", "lost_answer", "500", "broken_off", "html", "reset")
    sim.world.order("youtube.insert", "500")
    async with served(sim) as base:
        with client_of(base, sim) as client:
            video, progress, thrown = await asyncio.to_thread(google_upload, client, clip_of(5_000_000))
    assert sum(sim.world.happened.values()) == 8
    assert thrown == 7  # all but the chunk that was kept in part
    assert progress == sorted(progress)
    (posted,) = sim.posts()
    assert (posted.remote_id, len(sim.sessions)) == (video["id"], 1)
    assert sim.videos[video["id"]].facts.whole


async def test_googles_client_finds_the_lost_last_answer() -> None:
    sim = YouTubeSim(World(seed=1))
    sim.world.order("youtube.put", "lost_answer")
    async with served(sim) as base:
        with client_of(base, sim) as client:
            video, _, thrown = await asyncio.to_thread(google_upload, client, clip_of(100_000))
    assert thrown == 1
    assert [posted.remote_id for posted in sim.posts()] == [video["id"]]


async def test_googles_client_reads_the_errors() -> None:
    sim = YouTubeSim(World(seed=1), uploads_per_day=0, units_per_day=0)
    async with served(sim) as base:
        with client_of(base, sim) as client:
            with pytest.raises(HttpError, match="Video Uploads per day") as raised:
                await asyncio.to_thread(google_upload, client, clip_of(10_000))
            assert raised.value.status_code == 429
            with pytest.raises(HttpError) as raised:
                await asyncio.to_thread(client.channels().list(part="snippet", mine=True).execute)
            assert raised.value.error_details[0]["reason"] == "quotaExceeded"


async def test_what_arrived_before_a_client_went_away_is_kept_in_whole_pieces() -> None:
    sim = YouTubeSim(World(seed=1))
    token = sim.auth.issue(ANN, client_id=APP.client_id, scopes=(UPLOAD,)).access_token
    data, rights = clip_of(4 * GRAIN), {"Authorization": f"Bearer {token}"}
    async with served(sim) as base:
        async with httpx.AsyncClient(headers=rights, trust_env=False) as client:
            url = f"{base}/www.googleapis.com/upload/youtube/v3/videos?uploadType=resumable&part=snippet,status"
            address = (await client.post(url, json=META)).headers["location"]

            async def half() -> AsyncIterator[bytes]:
                yield data[: 2 * GRAIN + 1000]
                (one,) = sim.sessions.values()
                while one.stored < 2 * GRAIN:  # noqa: ASYNC110  # on its way: nothing tells when it has come
                    await asyncio.sleep(0.001)
                raise ConnectionAbortedError

            headers = {"Content-Length": str(len(data)), "Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"}
            with pytest.raises(ConnectionAbortedError):
                await client.put(address, content=half(), headers=headers)
        async with httpx.AsyncClient(headers=rights, trust_env=False) as client:
            answer = await client.put(address, headers={"Content-Length": "0", "Content-Range": "bytes */*"})
            assert answer.headers["range"] == f"bytes=0-{2 * GRAIN - 1}"
            headers = {"Content-Range": f"bytes {2 * GRAIN}-{len(data) - 1}/{len(data)}"}
            answer = await client.put(address, content=data[2 * GRAIN :], headers=headers)
    assert answer.status_code == 200
    (video,) = sim.videos.values()
    assert video.facts.whole
