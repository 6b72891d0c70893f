"""The server itself: where it listens, how it ends."""

import asyncio
import json
import os
import socket
import time
from pathlib import Path

import pytest
from litestar import Litestar

from tests.web.conftest import Live, mp4, running
from tests.web.made import complete
from tests.web.raw_socket import RawClient
from vidprod.web.app import create_app
from vidprod.web.server import serve


async def test_a_port_in_use_is_told_at_once(live: Live) -> None:
    other = live.serving  # it keeps running
    with pytest.raises(OSError, match="in use"):
        await serve(_app_of(live), "127.0.0.1", live.port, lambda _: None, asyncio.Event())
    assert not other.done()
    assert (await live.client.get("/health")).status_code == 200


def _app_of(live: Live) -> Litestar:
    async def child_check() -> None:
        return None

    return create_app(live.store, live.blobs, live.config, child_check, lambda: None, lambda: 0)


async def test_it_stops_at_once_when_nothing_is_under_way(tmp_path: Path) -> None:
    async with running(tmp_path, drain_s=5) as live, RawClient(live.port) as idle:  # keep-alive, and done
        await idle.head("GET /health")
        await idle.answer()
        began = time.monotonic()
        live.stop.set()
        await live.serving
        assert time.monotonic() - began < 2
        assert await idle.answer() == b""


async def test_open_event_streams_end_first(tmp_path: Path) -> None:
    async with running(tmp_path, drain_s=5) as live:
        streams = []
        for _ in range(20):
            client = RawClient(live.port)
            await client.__aenter__()
            await client.head("GET /v1/events/stream")
            assert b"200 OK" in await client.answer()
            streams.append(client)
        began = time.monotonic()
        live.stop.set()
        await live.serving
        assert time.monotonic() - began < 2
        for client in streams:
            await client.__aexit__()


async def test_an_upload_under_way_is_finished_while_draining(tmp_path: Path) -> None:
    async with running(tmp_path, drain_s=5) as live, RawClient(live.port) as client:
        await client.head("PUT /upload", "Content-Length: 100000")
        await client.send(mp4(50_000))
        await live.receiving()
        live.stop.set()
        await asyncio.sleep(0.1)
        await client.send(bytes(50_000))
        answer = await client.answer()
        assert answer.startswith(b"HTTP/1.1 202")
        await live.serving
        assert len(live.files()) == 1


async def test_an_upload_that_outlasts_the_drain_is_told_so_and_leaves_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, drain_s=0.3) as live, RawClient(live.port) as client:
        await client.head("PUT /upload", "Content-Length: 100000")
        await client.send(mp4(50_000))
        await live.receiving()
        began = time.monotonic()
        live.stop.set()
        answer = await client.answer()
        assert answer.startswith(b"HTTP/1.1 503")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "unavailable"
        await live.serving
        assert time.monotonic() - began < 3
        assert live.files() == set()


async def test_a_half_sent_head_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with running(tmp_path, drain_s=0.3) as live, RawClient(live.port) as client:
        await client.send(b"GET /health HT")
        await asyncio.sleep(0.05)
        began = time.monotonic()
        live.stop.set()
        await live.serving
        assert time.monotonic() - began < 3


async def test_no_new_connection_is_taken_once_it_stopped(tmp_path: Path) -> None:
    async with running(tmp_path) as live:
        live.stop.set()
        await live.serving
        with socket.socket() as late:
            assert late.connect_ex(("127.0.0.1", live.port)) != 0


async def test_a_client_that_reads_slowly_is_not_buffered(live: Live) -> None:
    """A large answer waits on the disk, not in memory, for who reads it."""
    job_id = await live.upload()
    (segment_id,) = await complete(live, job_id, segments=1)
    os.truncate(live.blobs.segment_path(job_id, segment_id, ".mp4"), 300 << 20)
    before = _resident_bytes()
    async with RawClient(live.port) as client:
        await client.head(f"GET /v1/segments/{segment_id}/video")
        await client.answer()
        await asyncio.sleep(1)
        grown = _resident_bytes() - before
    assert grown < 50 << 20


def _resident_bytes() -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) << 10
