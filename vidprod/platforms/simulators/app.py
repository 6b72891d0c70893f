"""All simulators as one application: each platform below /HOST/PATH, and at / what came of it.

GET /far.json says what was posted where, and which faults happened; POST /faults orders one:
{"point": "youtube.put", "name": "lost_answer", "value": null, "times": 1}.
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import httpx
import msgspec
from litestar import Litestar, MediaType, Response, get, post
from litestar.params import JSONBody

from vidprod.domain.account import Account
from vidprod.errors import BadRequest
from vidprod.platforms.base import Tokens
from vidprod.platforms.simulators import instagram_graph, tiktok_faults, youtube_faults
from vidprod.platforms.simulators.instagram import InstagramSim
from vidprod.platforms.simulators.instagram_login import PERSON, SCOPES, SimAccount
from vidprod.platforms.simulators.tiktok import TikTokSim
from vidprod.platforms.simulators.tiktok_rules import Creator, Rules
from vidprod.platforms.simulators.transport import application
from vidprod.platforms.simulators.world import Fault, Posted, World
from vidprod.platforms.simulators.youtube import YouTubeSim
from vidprod.platforms.simulators.youtube_video import Channel
from vidprod.platforms.youtube_login import SCOPES as YOUTUBE_SCOPES

_CLIENT = "vidprod-simulated"
_LONG_S = 60 * 86_400

FAULTS: dict[str, tuple[str, ...]] = {**youtube_faults.FAULTS, **tiktok_faults.FAULTS, **instagram_graph.FAULTS}


@dataclass(frozen=True, kw_only=True)
class Far:
    """The far end of everything."""

    world: World
    youtube: YouTubeSim
    tiktok: TikTokSim
    instagram: InstagramSim

    def welcome(self, account: Account) -> Tokens:
        """Have an account there that is named as this one, and grant all that its publishing needs."""
        now = self.world.now()
        if account.platform == "instagram":
            return self._welcome_to_instagram(account)
        if account.platform == "youtube":
            channel = Channel(id=account.external_id, title=account.name, handle=account.username)
            self.youtube.channels.setdefault(channel.id, channel)
            issued = self.youtube.auth.issue(channel.id, client_id=_CLIENT, scopes=YOUTUBE_SCOPES)
        else:
            if account.external_id not in self.tiktok.creators:
                creator = Creator(open_id=account.external_id, username=account.username, nickname=account.name)
                self.tiktok.add(creator)
            issued = self.tiktok.grant(account.external_id, client_key=_CLIENT)
        return Tokens(
            access_token=issued.access_token,
            refresh_token=issued.refresh_token,
            scopes=tuple(issued.scopes),
            expires_in_s=(issued.expires_at - now) // 1000,
            refresh_expires_in_s=None
            if issued.refresh_expires_at is None
            else (issued.refresh_expires_at - now) // 1000,
        )

    def _welcome_to_instagram(self, account: Account) -> Tokens:
        sim, number = self.instagram, len(self.instagram.accounts)
        there = next((one for one in sim.accounts if account.external_id in (one.ig_id, one.scoped_id)), None)
        if there is None:
            there = SimAccount(
                ig_id=account.external_id,
                scoped_id=account.external_id,
                username=account.username,
                name=account.name,
                page_id=f"10{number:013}",
            )
            sim.accounts.append(there)
        if account.flavour == "instagram_login":
            token = sim.logins.long_token("instagram", there.scoped_id, SCOPES["instagram"], client_id=_CLIENT)
            return Tokens(access_token=token, expires_in_s=_LONG_S, scopes=SCOPES["instagram"])
        scopes = (*SCOPES["facebook"], "pages_show_list")
        token = sim.logins.long_token("facebook", PERSON, scopes, client_id=_CLIENT)
        page = sim.logins.page_token(token, there)
        return Tokens(access_token=token, expires_in_s=_LONG_S, scopes=scopes, extra={"page_token": page})

    def posts(self) -> list[Posted]:
        """Every clip that got to an account, in the order of arriving."""
        found = [*self.youtube.posts(), *self.tiktok.posts(), *self.instagram.posts()]
        return sorted(found, key=lambda one: one.at)

    def twice(self) -> list[tuple[str, str, str]]:
        """Platform, account and sha256 of what got to an account more than once."""
        seen: set[tuple[str, str, str]] = set()
        double = []
        for one in self.posts():
            what = (one.platform, one.account, one.sha256)
            if what in seen:
                double.append(what)
            seen.add(what)
        return double


class Ordered(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault that shall come."""

    point: str
    name: str
    value: Any = None
    times: int = 1


def far_end(world: World, *, audited: bool = True, files: Callable[[str], bytes | None] | None = None) -> Far:
    """The three platforms of one world.

    Args:
        files: what lies at an address that Instagram fetches; without it, it is fetched over the network.
        audited: this installation's apps were audited by the platforms; else YouTube keeps uploads private and TikTok
            takes drafts and private accounts only.
    """
    return Far(
        world=world,
        youtube=YouTubeSim(world, verified=audited),
        tiktok=TikTokSim(world, rules=Rules(audited=audited)),
        instagram=InstagramSim(world, fetch_transport=None if files is None else httpx.MockTransport(_shelf(files))),
    )


def _shelf(files: Callable[[str], bytes | None]) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        content = None if request.url.path == "/robots.txt" else files(str(request.url))
        if content is None:
            return httpx.Response(404)
        return httpx.Response(200, content=content, headers={"Content-Type": "video/mp4"})

    return answer


def simulators(far: Far, *, over_http: bool = False) -> Litestar:
    """The application. `over_http`: it is served by a web server; else reached by `SimTransport`."""

    @get("/", media_type=MediaType.HTML)
    async def overview() -> str:
        rows = "".join(
            f"<tr><td>{escape(one.platform)}<td>{escape(one.account)}<td>{escape(one.title)}<td>{escape(one.privacy)}"
            f"<td>{escape(one.remote_id)}<td>{one.sha256[:12]}"
            for one in far.posts()
        )
        faults = "".join(f"<li>{escape(what)}: {count}" for what, count in sorted(far.world.happened.items()))
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>The far end, simulated</title>'
            "<h1>What got to the platforms</h1><table><tr><th>platform<th>account<th>title<th>privacy<th>id<th>sha256"
            f"{rows}</table><h2>Faults that happened</h2><ul>{faults or '<li>none'}</ul>"
        )

    @get("/far.json")
    async def state() -> Response[dict[str, Any]]:
        return Response(
            {
                "now": far.world.now(),
                "posts": far.posts(),
                "twice": far.twice(),
                "faults": dict(far.world.happened),
                "points": FAULTS,
            }
        )

    @post("/faults")
    async def order(data: JSONBody[Ordered]) -> Response[dict[str, str]]:
        try:
            order_fault(far.world, data.point, data.name, value=data.value, times=data.times)
        except BadRequest as error:
            return Response({"detail": str(error)}, status_code=400)
        return Response({"ordered": f"{data.point}={data.name}"}, status_code=201)

    handlers = [*far.youtube.handlers(), *far.tiktok.handlers(), *far.instagram.handlers()]
    return application([overview, state, order, *handlers], over_http=over_http)


def order_fault(world: World, point: str, name: str, *, value: Any = None, times: int = 1) -> None:
    """Raises BadRequest: no simulator fails there, or not so."""
    if point not in FAULTS:
        raise BadRequest(f"{point!r} is no point of failure; they are {', '.join(sorted(FAULTS))}.")
    if name not in FAULTS[point]:
        raise BadRequest(f"{name!r} does not happen at {point}; {', '.join(FAULTS[point])} do.")
    world.order(point, *[Fault(name, value)] * times)
