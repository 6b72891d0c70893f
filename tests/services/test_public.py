"""Before a platform is told where to fetch a file, the daemon has read it there itself."""

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.web.conftest import Live, running
from tests.web.made import complete, now_ms
from vidprod.config import Config
from vidprod.errors import PlatformError
from vidprod.platforms.wire import Wire
from vidprod.services.public import PublicAddress
from vidprod.vault import Vault


async def _address(live: Live, public_url: str, **changes: Any) -> str | None:
    (segment_id,) = await complete(live, await live.upload(), segments=1)
    segment = await live.store.read(lambda db: db.segments.get(segment_id))
    segment = msgspec.structs.replace(segment, **changes)
    config = msgspec.structs.replace(live.config, public_url=public_url)
    wire = Wire(simulator_url="http://127.0.0.1:1")  # platforms are simulated; we are not
    try:
        public = PublicAddress(config=config, vault=live.vault, wire=lambda: wire, now=now_ms)
        url = public.url_of(segment)
        assert segment.rendition is not None
        if url is not None:
            await public.check(url, size=segment.rendition.size)
        return url
    finally:
        await wire.close()


async def test_an_address_is_given_out_once_the_file_was_found_there(tmp_path: Path) -> None:
    async with running(tmp_path) as live:
        url = await _address(live, live.url)
        assert url is not None
        assert (await live.client.get(url)).status_code == 200


async def test_without_a_public_address_there_is_none_to_give(tmp_path: Path) -> None:
    async with running(tmp_path) as live:
        assert await _address(live, "") is None


async def test_what_answers_with_something_else_is_named(tmp_path: Path) -> None:
    async with running(tmp_path) as live:
        with pytest.raises(PlatformError, match="status 404") as told:
            await _address(live, live.url, making=7)
        assert told.value.kind == "FIX"


async def test_an_address_where_nobody_answers_is_tried_again_later(tmp_path: Path) -> None:
    async with running(tmp_path) as live:
        with pytest.raises(PlatformError, match="does not reach itself") as told:
            await _address(live, "http://127.0.0.1:1")
        assert told.value.kind == "RETRY"


@pytest.mark.parametrize(
    ("status", "kind", "rules", "forbidden"),
    [
        (200, "text/plain", "User-agent: *\nDisallow: /\n", True),
        (200, "text/plain", "User-agent: facebookexternalhit\nDisallow: /public/\n", True),
        (200, "text/plain", "User-agent: *\nDisallow: /v1/\n", False),
        (404, "text/plain", "User-agent: *\nDisallow: /\n", False),
        (200, "text/html", "<p>Not found", False),
    ],
)
async def test_failure_8_what_meta_is_forbidden_to_fetch_is_said_before_it_is_asked_to(
    status: int, kind: str, rules: str, forbidden: bool
) -> None:
    def proxy(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/robots.txt":
            return httpx.Response(status, text=rules, headers={"Content-Type": kind})
        return httpx.Response(200, headers={"Content-Type": "video/mp4", "Content-Length": "7"})

    wire = Wire(transport=httpx.MockTransport(proxy))
    config = Config(public_url="https://video.example")
    public = PublicAddress(config=config, vault=Vault({"k": b"k" * 32}), wire=lambda: wire, now=now_ms)
    try:
        await public.check("https://video.example/public/seg_1.mp4", size=7)
        told = None
    except PlatformError as error:
        told = (error.kind, error.code)
    assert told == (("FIX", "public_forbidden") if forbidden else None)
    await wire.close()
