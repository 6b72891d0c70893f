"""A small body that trickles in ends its request, not the daemon's patience."""

import asyncio
from pathlib import Path

import pytest

from tests.web.conftest import Live, running
from tests.web.raw_socket import RawClient
from vidprod.web import slow


async def _trickled(live: Live, *head: str) -> bytes:
    """The answer to a body of which one byte came."""
    async with RawClient(live.port) as client:
        await client.head("POST /v1/posts/preview", "Content-Type: application/json", *head)
        await client.send(b"{" if head[0].startswith("Content-Length") else b"1\r\n{\r\n")
        return await client.answer(timeout_s=5)


@pytest.mark.parametrize("head", ["Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_a_body_that_does_not_come_ends_its_request(tmp_path: Path, head: str) -> None:
    async with running(tmp_path, upload_read_timeout_s=0.3) as live:
        answer = await _trickled(live, head)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b'"code":"too_slow"' in answer
        assert (await live.client.get("/health")).status_code == 200


async def test_it_would_wait_without_the_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: it is the rule that ends it, neither the server nor the framework."""
    monkeypatch.setattr(slow, "_BODILESS", frozenset({"GET", "POST"}))
    async with running(tmp_path, upload_read_timeout_s=0.1, drain_s=0.1) as live, RawClient(live.port) as client:
        await client.head("POST /v1/posts/preview", "Content-Length: 100")
        await client.send(b"{")
        with pytest.raises(TimeoutError):
            await client.answer(timeout_s=0.6)


async def test_bodies_that_come_in_pieces_are_read_whole(tmp_path: Path) -> None:
    async with running(tmp_path, upload_read_timeout_s=5) as live, RawClient(live.port) as client:
        await client.head("POST /v1/accounts/connect", "Content-Type: application/json", "Content-Length: 22")
        for piece in (b'{"platfor', b'm":"mysp', b'ace"}'):
            await client.send(piece)
            await asyncio.sleep(0)
        assert b"platform='myspace'" in await client.answer()
