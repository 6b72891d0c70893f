"""The simulated YouTube, and one channel's right to upload to it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.platforms.clips import clip_of
from vidprod.domain.account import AccountSettings, Flavour
from vidprod.domain.post import Post
from vidprod.platforms.base import App, Handle, Media, Tokens
from vidprod.platforms.simulators.inspect import inspect
from vidprod.platforms.simulators.oauth import AuthServer, OAuthRefused, pressed
from vidprod.platforms.simulators.transport import SimTransport, application
from vidprod.platforms.simulators.world import World
from vidprod.platforms.simulators.youtube import YouTubeSim
from vidprod.platforms.wire import Wire
from vidprod.platforms.youtube import YouTube
from vidprod.platforms.youtube_login import SCOPES, YouTubeLogin

START = 1_795_000_000_000  # 18 November 2026, 11:06:40 UTC, 03:06:40 at Google
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
ANN, BEN, NOBODY = (f"UCsim00000000000000000{number}" for number in (1, 2, 3))
UPLOADS = "http://simulators/www.googleapis.com/upload/youtube/v3/videos"
API = "http://simulators/www.googleapis.com/youtube/v3"
HOME = "http://127.0.0.1:8000/oauth/youtube"
APP = App(client_id="client-1", client_secret="client-secret-1")
META: dict[str, Any] = {
    "snippet": {"title": "One", "description": "", "categoryId": "22"},
    "status": {"privacyStatus": "private", "selfDeclaredMadeForKids": False},
}
POST = Post(title="Part 1", caption="What it is about", hashtags=["one", "two"], privacy="public")


class Wall:
    """A clock turned by hand."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> int:
        return self.at


@dataclass
class Right:
    """A grant whose tokens are renewed at the simulator without a request."""

    auth: AuthServer
    external_id: str = ANN
    scopes: tuple[str, ...] = SCOPES
    account_id: str = "acc_1"
    username: str = "annexample"
    flavour: Flavour = ""
    settings: AccountSettings = field(default_factory=AccountSettings)
    renewals: int = 0

    def __post_init__(self) -> None:
        self.issued = self.auth.issue(self.external_id, client_id=APP.client_id, scopes=self.scopes)

    async def token(self) -> str:
        return self.issued.access_token

    async def renew(self, refused: str) -> str:
        assert refused == self.issued.access_token
        self.renewals += 1
        try:
            self.issued = self.auth.renew(self.issued.refresh_token, client_id=APP.client_id, client_secret="")
        except OAuthRefused as error:
            raise AssertionError(error) from None
        return self.issued.access_token

    async def extra(self, name: str) -> str:
        return ""


class Tube:
    """Everything of one test."""

    def __init__(self, folder: Path, *, seed: int = 1, chance: float = 0.0, **options: Any) -> None:
        self.wall = Wall()
        self.world = World(wall=self.wall, seed=seed, chance=chance)
        self.sim = YouTubeSim(self.world, **options)
        self.transport = SimTransport(application(self.sim.handlers()))
        self.wire = Wire(simulator_url=self.world.base_url, transport=self.transport)
        self.youtube = YouTube(self.wire)
        self.login = YouTubeLogin(self.wire)
        self.grant = Right(self.sim.auth)
        self.progress: list[int] = []
        self._folder = folder
        self._clips = 0

    def media(self, size: int = 300_000, **more: Any) -> Media:
        """A clip of `size` bytes on disk."""
        return self.file(clip_of(size, **more))

    def file(self, data: bytes) -> Media:
        self._clips += 1
        path = self._folder / f"clip-{self._clips}.mp4"
        path.write_bytes(data)
        facts = inspect(data)
        return Media(
            path=path,
            size=len(data),
            sha256=facts.sha256,
            duration_us=facts.duration_us or 0,
            width=facts.width or 0,
            height=facts.height or 0,
            fps="30",
        )

    async def begin(self, media: Media, post: Post = POST, **more: Any) -> Handle:
        return await self.youtube.begin(self.grant, post, media, **more)

    async def send(self, handle: Handle, media: Media) -> Handle:
        return await self.youtube.send(self.grant, handle, media, sent=self.progress.append)

    async def upload(self, media: Media, post: Post = POST, **more: Any) -> Handle:
        return await self.send(await self.begin(media, post, **more), media)

    async def granted(self, *, account: str = ANN, scopes: list[str] | None = None, without: str = "") -> Tokens:
        """The tokens after somebody pressed Allow.

        Args:
            without: a parameter that the page is asked without.
        """
        asked = self.login.ask(APP, redirect_uri=HOME, state="s1", direct=False)
        url = httpx.URL(pressed(asked.url, account=account, scopes=scopes))
        if without:
            url = url.copy_remove_param(without)
        async with httpx.AsyncClient(transport=self.transport, trust_env=False) as browser:
            answer = await browser.get(url)
        back = httpx.URL(answer.headers["location"])
        assert back.params["state"] == "s1"
        return await self.login.exchange(APP, code=back.params["code"], redirect_uri=HOME, verifier=asked.verifier)

    async def ask(self, method: str, url: str, *, token: str | None = None, **more: Any) -> httpx.Response:
        """One plain request, with the channel's token."""
        access = self.grant.issued.access_token if token is None else token
        headers = {**({"Authorization": f"Bearer {access}"} if access else {}), **more.pop("headers", {})}
        async with httpx.AsyncClient(transport=self.transport, trust_env=False) as client:
            return await client.request(method, url, headers=headers, **more)
