"""TikTok in this process: a world whose clock is turned by hand, its simulator, and an account that may post."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.platforms.clips import clip
from vidprod.domain.account import AccountSettings, Flavour
from vidprod.domain.post import Post
from vidprod.platforms.base import App, Handle, Media, Tokens
from vidprod.platforms.simulators.oauth import Issued
from vidprod.platforms.simulators.tiktok import TikTokSim
from vidprod.platforms.simulators.tiktok_rules import Creator, Rules
from vidprod.platforms.simulators.transport import SimTransport, application
from vidprod.platforms.simulators.world import World
from vidprod.platforms.tiktok import TikTok
from vidprod.platforms.tiktok_login import TikTokLogin
from vidprod.platforms.wire import Wire

START = 1_790_000_000_000
HOUR_S = 3600
APP = App(client_id="key", client_secret="known")
DIRECT = AccountSettings(delivery="direct")
DRAFT = AccountSettings()
POST = Post(title="A take", caption="Look", hashtags=["tag"], privacy="public")


class Wall:
    """The wall's clock, turned by hand."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> int:
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at += int(seconds * 1000)


@dataclass
class Held:
    """A grant whose tokens are renewed at the far end."""

    login: TikTokLogin
    tokens: Tokens
    external_id: str
    username: str
    settings: AccountSettings
    account_id: str = "acc_1"
    flavour: Flavour = ""
    renewed: int = 0

    async def token(self) -> str:
        return self.tokens.access_token

    async def renew(self, refused: str) -> str:
        if self.tokens.access_token == refused:
            self.renewed += 1
            self.tokens = await self.login.refresh(APP, self.tokens)
        return self.tokens.access_token

    async def extra(self, name: str) -> str:
        return ""


@dataclass
class Request:
    """What was sent."""

    method: str
    path: str
    headers: httpx.Headers


class Watched(SimTransport):
    """Notes each request, and answers instead of the far end where an answer is waiting."""

    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.requests: list[Request] = []
        self.instead: list[httpx.Response] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(Request(request.method, request.url.path, request.headers))
        if self.instead:
            return self.instead.pop(0)
        return await super().handle_async_request(request)

    def paths(self, ending: str) -> list[str]:
        return [request.path for request in self.requests if request.path.rstrip("/").endswith(ending)]


@dataclass
class Far:
    """The far end, and the near one."""

    sim: TikTokSim
    wall: Wall
    wire: Wire
    transport: Watched
    tiktok: TikTok
    login: TikTokLogin
    grants: dict[str, Held] = field(default_factory=dict)

    @property
    def world(self) -> World:
        return self.sim.world

    def grant(self, settings: AccountSettings = DIRECT, *, private: bool = False, scopes: tuple[str, ...] = ()) -> Held:
        creator = self.creator(private=private)
        return self.hold(self.sim.grant(creator.open_id, *scopes, client_key=APP.client_id), creator, settings)

    def hold(self, issued: Issued, creator: Creator, settings: AccountSettings) -> Held:
        tokens = Tokens(access_token=issued.access_token, refresh_token=issued.refresh_token, scopes=issued.scopes)
        return Held(self.login, tokens, creator.open_id, creator.username, settings)

    def creator(self, *, private: bool = False) -> Creator:
        return next(creator for creator in self.sim.creators.values() if creator.private is private)

    async def call(self, held: Held | None, path: str, body: dict[str, Any] | None = None) -> Any:
        """An answer of the API, as it is."""
        headers = {"Authorization": f"Bearer {held.tokens.access_token}"} if held else {}
        return await self.wire.call("POST", f"https://open.tiktokapis.com{path}", headers=headers, body=body or {})


def far(*, rules: Rules | None = None, seed: int = 0, chance: float = 0.0) -> Far:
    wall = Wall()
    world = World(wall=wall, seed=seed, chance=chance)
    sim = TikTokSim(world, rules=rules)
    transport = Watched(application(sim.handlers()))
    wire = Wire(simulator_url=world.base_url, transport=transport)
    return Far(sim, wall, wire, transport, TikTok(wire, now=world.now), TikTokLogin(wire))


def media(path: Path, data: bytes | None = None, **facts: Any) -> Media:
    """A clip on disk."""
    data = clip() if data is None else data
    path.write_bytes(data)
    said: dict[str, Any] = {"duration_us": 12_000_000, "width": 1080, "height": 1920, "fps": "30", **facts}
    return Media(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest(), **said)


def ignore(_: int) -> None:
    """Nobody looks at the progress."""


async def sent(there: Far, grant: Held, take: Media, post: Post = POST) -> Handle:
    handle = await there.tiktok.begin(grant, post, take)
    return await there.tiktok.send(grant, handle, take, sent=ignore)
