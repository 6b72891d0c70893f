"""Events over HTTP: a list with a cursor, and a stream that goes on where a client left off."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream

from vidprod.domain.event import Event
from vidprod.domain.who import Who
from vidprod.errors import BadRequest, Unavailable
from vidprod.store.feed import ProgressNote, Subscription
from vidprod.telemetry import metrics
from vidprod.web.auth import known
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.moments import moment
from vidprod.web.reading import read

HEARTBEAT_S = 15.0  # below the idle limits of common proxies
MAX_STREAMS = 256
_RESUME_PAGE = 500
_LARGEST_CURSOR = (1 << 63) - 1


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened."""

    id: int
    type: str
    at: str
    job_id: str | None
    data: dict[str, Any]


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some events, oldest first; `next` is the cursor for what follows."""

    events: list[EventView]
    next: int


@read("/v1/events")
async def list_events(
    desk: NamedDependency[Desk],
    after: Annotated[int, QueryParameter(ge=0, le=_LARGEST_CURSOR, description="`next` of the page before")] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=1000, description="events a page")] = 100,
    job_id: Annotated[str | None, QueryParameter(description="only of this job")] = None,
) -> EventPage:
    """What happened since a cursor, oldest first."""
    _check(job_id)
    events = await desk.store.read(lambda db: db.events.after(after, limit=limit, job_id=job_id))
    return EventPage(events=[_view(event) for event in events], next=events[-1].id if events else after)


@get("/v1/events/stream", media_type="text/event-stream")
async def stream_events(
    request: HttpRequest,
    desk: NamedDependency[Desk],
    job_id: Annotated[str | None, QueryParameter(description="only of this job")] = None,
) -> Stream:
    """Events as they happen (Server-Sent Events), of one job or of all. Starts after `Last-Event-ID`, or now.

    `progress` events are passing: they have no id and are not repeated. A comment comes every 15 s of silence.
    """
    _check(job_id)
    cursor = _cursor(request.headers.get("last-event-id"))
    if desk.stopping.is_set():
        raise Unavailable("The daemon is stopping.")
    if desk.store.feed.listeners >= MAX_STREAMS:
        raise Unavailable(f"{MAX_STREAMS} event streams are open, the most at once.", code="too_many_streams")
    return Stream(
        _stream(desk, known(request), job_id=job_id, cursor=cursor),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},  # nginx would hold it back
    )


async def _stream(desk: Desk, somebody: Who | None, *, job_id: str | None, cursor: int | None) -> AsyncIterator[bytes]:
    with metrics.sse_clients.track_inprogress(), desk.store.feed.subscribe(job_id) as live:
        # Subscribed first, then caught up from the store: what is committed in between comes twice, and is dropped.
        yield b"retry: 2000\n\n"
        last = await desk.store.read(lambda db: db.events.last_id())
        if cursor is not None:
            last = min(cursor, last)  # a cursor of a database that is no more starts now
            async for event in _caught_up(desk, job_id=job_id, cursor=last):
                last = event.id
                yield _message(event)
        looked_at_s = time.monotonic()
        async for item in _with_heartbeat(live, stopping=desk.stopping):
            if time.monotonic() - looked_at_s >= HEARTBEAT_S:  # whoever was signed out meanwhile hears no more
                looked_at_s = time.monotonic()
                if not await desk.door.still_lets_in(somebody):
                    return
            if not isinstance(item, Event):
                yield _transient(item)
            elif item.id > last:
                yield _message(item)


async def _caught_up(desk: Desk, *, job_id: str | None, cursor: int) -> AsyncIterator[Event]:
    while True:
        after = cursor
        page = await desk.store.read(lambda db: db.events.after(after, limit=_RESUME_PAGE, job_id=job_id))  # noqa: B023
        for event in page:
            yield event
        if len(page) < _RESUME_PAGE:
            return
        cursor = page[-1].id


async def _with_heartbeat(live: Subscription, *, stopping: asyncio.Event) -> AsyncIterator[Event | ProgressNote | None]:
    """What comes, and None after each silence. Ends when the daemon stops or the listener fell behind."""
    stopped = asyncio.ensure_future(stopping.wait())
    coming: asyncio.Future[Event | ProgressNote] | None = None
    try:
        while not stopped.done():
            coming = coming or asyncio.ensure_future(anext(live))
            waiting: set[asyncio.Future[Any]] = {coming, stopped}
            await asyncio.wait(waiting, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                yield None
                continue
            try:
                item = coming.result()
            except StopAsyncIteration:
                return
            finally:
                coming = None
            yield item
    finally:
        stopped.cancel()
        if coming is not None:
            coming.cancel()


def _transient(note: ProgressNote | None) -> bytes:
    if note is None:
        return b": still here\n\n"
    data = msgspec.json.encode({"job_id": note.job_id, **note.data})
    return b"event: progress\ndata: " + data + b"\n\n"


def _message(event: Event) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.type.encode(), msgspec.json.encode(_view(event)))


def _view(event: Event) -> EventView:
    return EventView(id=event.id, type=event.type, at=moment(event.at), job_id=event.job_id, data=event.data)


def _check(job_id: str | None) -> None:
    if job_id is not None:
        checked(job_id, "job")


def _cursor(text: str | None) -> int | None:
    if not text:
        return None
    # its length before its value: Python refuses to read thousands of digits
    if text.isascii() and text.isdigit() and len(text) <= 19 and (cursor := int(text)) <= _LARGEST_CURSOR:
        return cursor
    raise BadRequest(f"Last-Event-ID is {text[:30]!r}, not the id of an event.")
