"""The server itself: where it listens, how it reads, how it ends."""

import asyncio
import json
import os
import socket
import time
from pathlib import Path
from typing import Any, cast

import pytest
from litestar.types import HTTPScope, Receive, Scope, Send
from structlog.testing import capture_logs

from tests.web.conftest import Live, mp4, running
from tests.web.made import complete
from tests.web.raw_socket import RawClient
from vidprod.web.app import App, create_app
from vidprod.web.server import _Exchange, _Requests, serve


async def test_a_port_in_use_is_told_at_once(live: Live) -> None:
    other = live.serving  # it keeps running
    with pytest.raises(OSError, match="in use"):
        await serve(_app_of(live), "127.0.0.1", live.port, lambda _: None, asyncio.Event())
    assert not other.done()
    assert (await live.client.get("/health")).status_code == 200


def _app_of(live: Live) -> App:
    async def child_check() -> None:
        return None

    return create_app(
        live.store,
        live.blobs,
        live.config,
        child_check,
        lambda: None,
        lambda: 0,
        vault=live.vault,
        connects=live.connects,
    )


class _Granian:
    """The far end of `receive`: as Granian's, it begins to read when it is called."""

    def __init__(self) -> None:
        self.reads: list[asyncio.Future[dict[str, Any]]] = []
        self.asked = asyncio.Event()

    def receive(self) -> "asyncio.Future[dict[str, Any]]":
        self.reads.append(asyncio.get_running_loop().create_future())
        self.asked.set()
        return self.reads[-1]

    def answers(self, body: bytes, *, more: bool = True) -> None:
        self.reads[-1].set_result({"type": "http.request", "body": body, "more_body": more})


async def _send(message: object) -> None:
    raise AssertionError(f"nobody answers here: {message}")


PUT = cast(HTTPScope, {"type": "http", "method": "PUT", "headers": []})


async def _first_piece(granian: _Granian) -> _Exchange:
    """An exchange whose application took one piece, with more to come."""
    exchange = _Exchange(PUT, cast(Receive, granian.receive), _send)
    taking = asyncio.create_task(exchange.receive())
    await granian.asked.wait()
    granian.answers(b"first")
    assert (await taking) == {"type": "http.request", "body": b"first", "more_body": True}
    return exchange


async def _next(exchange: _Exchange) -> dict[str, Any]:
    return cast(dict[str, Any], await asyncio.wait_for(exchange.receive(), 5))


async def test_the_next_piece_is_read_while_the_one_before_is_written() -> None:
    granian = _Granian()
    exchange = await _first_piece(granian)
    assert len(granian.reads) == 2  # and the application has not asked again
    granian.answers(b"second", more=False)
    assert (await _next(exchange)) == {"type": "http.request", "body": b"second", "more_body": False}


async def test_no_more_than_one_piece_is_read_ahead() -> None:
    """Granian does not promise the order of two, and fifty uploads shall fit into 100 MB."""
    granian = _Granian()
    exchange = await _first_piece(granian)
    for number in range(5):
        granian.answers(b"%d" % number)
        await asyncio.sleep(0)
        assert len(granian.reads) == number + 2  # what came waits to be taken
        assert (await _next(exchange))["body"] == b"%d" % number


async def test_nothing_is_read_after_the_last_piece() -> None:
    granian = _Granian()
    exchange = await _first_piece(granian)
    granian.answers(b"last", more=False)
    await _next(exchange)
    assert len(granian.reads) == 2


async def test_a_client_that_leaves_while_its_piece_is_written_is_told_at_the_next() -> None:
    """Granian cancels what waits for a connection that is gone; that is no cancellation of ours."""
    granian = _Granian()
    exchange = await _first_piece(granian)
    granian.reads[-1].cancel()
    assert (await _next(exchange)) == {"type": "http.disconnect"}


async def test_what_is_read_ahead_ends_with_its_request() -> None:
    granian = _Granian()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise ValueError("of the application")

    requests = _Requests(cast(App, app))
    answering = asyncio.create_task(requests(PUT, cast(Receive, granian.receive), _send))
    await granian.asked.wait()
    granian.answers(b"first")
    with pytest.raises(ValueError, match="of the application"):
        await answering
    assert granian.reads[-1].cancelled()


async def test_a_request_that_something_else_cancels_is_answered_and_logged(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server below answered a bare 500, and the log had no line of it."""

    async def cancelled(*_arguments: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(live.store, "write", cancelled)
    with capture_logs() as said:
        answer = await live.client.put("/upload", content=mp4(10_000))
    assert answer.status_code == 503
    assert ("request ended without an answer", "/upload") in {(line["event"], line.get("path")) for line in said}
    assert answer.json()["detail"] == "The request ended without an answer."
    assert "retry-after" in answer.headers
    assert await live.left_over() == set()


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
