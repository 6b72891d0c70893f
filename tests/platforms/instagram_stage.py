"""A simulated Instagram, one account of it, and a clip: what the tests of both sides stand on."""

import hashlib
from collections.abc import Awaitable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from tests.platforms.clips import clip_of
from vidprod.domain.account import AccountSettings, Flavour
from vidprod.domain.post import Post
from vidprod.errors import PlatformError
from vidprod.platforms.base import Handle, Media, Reading
from vidprod.platforms.instagram import Instagram
from vidprod.platforms.simulators.instagram import InstagramSim
from vidprod.platforms.simulators.instagram_login import SCOPES, Host
from vidprod.platforms.simulators.transport import SimTransport, application
from vidprod.platforms.simulators.world import World
from vidprod.platforms.wire import Wire

START = 1_790_000_000_000
SIZE = (2 << 20) + 12_345
POST = Post(title="Bread", caption="How I bake\nbread", hashtags=["bread", "oven"])
CAPTION = "How I bake\nbread\n\n#bread #oven"
HOSTS: Mapping[Flavour, Host] = {"facebook_login": "facebook", "instagram_login": "instagram"}


class Hands:
    """The wall, turned by hand."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> int:
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at += int(seconds * 1000)


class Right:
    """A grant, as the keeper gives it."""

    account_id = "acc_1"
    username = "robin.cooks"
    settings = AccountSettings()

    def __init__(self, flavour: Flavour, external_id: str, token: str, page_token: str = "") -> None:
        self.flavour: Flavour = flavour
        self.external_id = external_id
        self.tokens = [token]
        self.newer: list[str] = []  # what renewing brings; none: nobody can
        self.page_token = page_token

    async def token(self) -> str:
        return self.tokens[-1]

    async def renew(self, refused: str) -> str:
        if not self.newer:
            raise PlatformError("The account has to be connected again.", kind="REAUTH", code="190")
        self.tokens.append(self.newer.pop(0))
        return self.tokens[-1]

    async def extra(self, name: str) -> str:
        return self.page_token if name == "page_token" else ""


class Gate(httpx.AsyncBaseTransport):
    """Counts what goes through, and keeps it."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner
        self.asked: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return await self.inner.handle_async_request(request)

    def paths(self) -> list[str]:
        return [f"{one.method} {one.url.path}" for one in self.asked]


class Cellar:
    """Where this daemon serves its segments, as Instagram sees it."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.robots = ""
        self.status = 200
        self.media_type = "video/mp4"
        self.asked: list[str] = []

    def handlers(self) -> list[HTTPRouteHandler]:
        @route("/{path:path}", http_method="GET")
        async def serve(request: Request[Any, Any, Any], path: FromPath[str]) -> Response[Any]:
            self.asked.append(path)
            if path.endswith("robots.txt"):
                return Response(self.robots, status_code=200 if self.robots else 404, media_type="text/plain")
            headers = {"Location": "https://elsewhere.example/"} if 300 <= self.status < 400 else {}
            return Response(self.body, status_code=self.status, media_type=self.media_type, headers=headers)

        return [serve]


class Slow(httpx.AsyncBaseTransport):
    """Nobody answers in time."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("too slow", request=request)


_clip = cache(partial(clip_of, seed=1))


async def refusal(work: Awaitable[Any]) -> PlatformError:
    """The error that the call ends with."""
    with pytest.raises(PlatformError) as caught:
        await work
    return caught.value


class Stage:
    """All of it. `walk` publishes as the publisher does where nothing goes wrong."""

    def __init__(
        self, flavour: Flavour, path: Path, *, sim: InstagramSim | None = None, size: int = SIZE, **more: Any
    ) -> None:
        """
        Args:
            size: of the clip, bytes.
            sim: one that was made elsewhere; its clock is turned there. more: of one that is made here.
        """
        self.flavour: Flavour = flavour
        self.wall = Hands()
        self.body = _clip(size)
        self.cellar = Cellar(self.body)
        if flavour == "instagram_login":
            more.setdefault("fetch_transport", SimTransport(application(self.cellar.handlers())))
        self.sim = sim or InstagramSim(World(wall=self.wall, seed=3), **more)
        self.world = self.sim.world
        self.gate = Gate(SimTransport(application(self.sim.handlers())))
        self.wire = Wire(simulator_url=self.world.base_url, transport=self.gate)
        self.instagram = Instagram(self.wire, flavour=flavour)
        host = HOSTS[flavour]
        account = self.sim.accounts[0]
        person = next(iter((self.sim.logins.facebook if host == "facebook" else self.sim.logins.instagram).accounts))
        token = self.sim.logins.long_token(host, person, (*SCOPES[host], "pages_show_list"))
        page_token = self.sim.logins.page_token(token, account) if host == "facebook" else ""
        self.grant = Right(flavour, account.id_at(host), token, page_token)
        file = path / "clip.mp4"
        file.write_bytes(self.body)
        self.media = Media(
            path=file,
            size=len(self.body),
            sha256=hashlib.sha256(self.body).hexdigest(),
            duration_us=12_000_000,
            width=1080,
            height=1920,
            fps="30/1",
            public_url="https://daemon.example/public/seg_1.mp4" if host == "instagram" else None,
        )
        self.sent: list[int] = []

    async def begin(self, post: Post = POST) -> Handle:
        return await self.instagram.begin(self.grant, post, self.media)

    async def send(self, handle: Handle) -> Handle:
        return await self.instagram.send(self.grant, handle, self.media, sent=self.sent.append)

    async def publish(self, handle: Handle) -> Handle:
        return await self.instagram.publish(self.grant, handle)

    async def read(self, handle: Handle) -> Reading:
        return await self.instagram.read(self.grant, handle, self.media)

    async def ready(self, post: Post = POST) -> Handle:
        """A handle that can be published."""
        handle = await self.send(await self.begin(post))
        self.wall.pass_s(self.sim.uploads.processing_s)
        return handle

    async def walk(self, post: Post = POST) -> Handle:
        handle = await self.ready(post)
        assert (await self.read(handle)).state == "ready"
        return await self.publish(handle)
