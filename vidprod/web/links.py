"""Links to a segment for who has no account: signed, for some time, and ended all at once by whoever made them."""

from typing import Annotated

import msgspec
from litestar import Response, delete, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from vidprod.domain.address import LONGEST_S, SHORTEST_S, link_of
from vidprod.domain.segment import Segment
from vidprod.errors import NotFound
from vidprod.store.sqlite import Tables
from vidprod.web.client import scheme
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.given import given
from vidprod.web.moments import moment


class LinkOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long."""

    expires_s: Annotated[
        int, Meta(ge=SHORTEST_S, le=LONGEST_S, description="seconds until it ends: a minute to 30 days")
    ] = 86_400


class LinkView(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever has `url` can see the video, until it ends, is ended, or the segment is made again."""

    url: str
    expires_at: str


@post("/v1/segments/{segment_id:str}/link", status_code=200)
async def make_link(request: HttpRequest, desk: NamedDependency[Desk], segment_id: FromPath[str]) -> Response[LinkView]:
    """A link to a finished segment, for who has no account. It is kept nowhere: it says all itself, signed."""
    order = await given(request, LinkOrder)
    segment = await desk.store.read(lambda db: _shown(db, checked(segment_id, "seg")))
    now = desk.now()
    path = link_of(segment.id, making=segment.making, now=now, lasts_s=order.expires_s, sign=desk.vault.sign)
    return Response(LinkView(url=_origin(request, desk) + path, expires_at=moment(now + order.expires_s * 1000)))


@delete("/v1/segments/{segment_id:str}/links", status_code=204)
async def end_links(desk: NamedDependency[Desk], segment_id: FromPath[str]) -> None:
    """No link to the segment that was made until now works any more. What platforms were given stays."""
    checked(segment_id, "seg")

    def end(db: Tables) -> None:
        db.segments.get(segment_id)
        db.links.end(segment_id, now=desk.now())

    await desk.store.write(end)


def _shown(db: Tables, segment_id: str) -> Segment:
    segment = db.segments.get(segment_id)
    if segment.rendition is None:
        raise NotFound(f"The segment {segment_id} is {segment.state}: it has no file yet.", code="not_ready")
    if segment.deleted_at is not None:
        raise NotFound("The file is past its keeping time and was deleted.", code="media_gone")
    return segment


def _origin(request: HttpRequest, desk: Desk) -> str:
    """By which who asks came here: `web/guard.py` knows the name, or an owner let any be taken."""
    if desk.config.public_url:
        return desk.config.public_url
    return f"{scheme(request.scope, desk.config)}://{request.headers.get('host', '')}"


HANDLERS = [make_link, end_links]
