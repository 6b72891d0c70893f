"""All simulators as one application: each platform below /HOST/PATH, and at / what came of it.

GET /far.json says what was posted where, and which faults happened; POST /faults orders one:
{"point": "youtube.put", "name": "lost_answer", "value": null, "times": 1}.
"""

from dataclasses import dataclass
from html import escape
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Response, get, post
from litestar.params import JSONBody

from vidprod.errors import BadRequest
from vidprod.platforms.simulators import instagram, tiktok, youtube
from vidprod.platforms.simulators.instagram import InstagramSim
from vidprod.platforms.simulators.tiktok import TikTokSim
from vidprod.platforms.simulators.transport import application
from vidprod.platforms.simulators.world import Fault, Posted, World
from vidprod.platforms.simulators.youtube import YouTubeSim

FAULTS: dict[str, tuple[str, ...]] = {**youtube.FAULTS, **tiktok.FAULTS, **instagram.FAULTS}


@dataclass(frozen=True, kw_only=True)
class Far:
    """The far end of everything."""

    world: World
    youtube: YouTubeSim
    tiktok: TikTokSim
    instagram: InstagramSim

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


def far_end(world: World, *, audited: bool = True) -> Far:
    """The three platforms of one world.

    Args:
        audited: this installation's apps were audited by the platforms; else YouTube keeps uploads private and TikTok
            takes drafts and private accounts only.
    """
    return Far(
        world=world,
        youtube=YouTubeSim(world, verified=audited),
        tiktok=TikTokSim(world, rules=tiktok.Rules(audited=audited)),
        instagram=InstagramSim(world),
    )


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
