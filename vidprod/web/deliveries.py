"""Deliveries over HTTP: what was sent to an endpoint and how that went, and having it again."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import Meta

from vidprod.domain.endpoint import DELIVERY_STATES, Delivery, DeliveryAttempt, DeliveryState
from vidprod.errors import BadRequest
from vidprod.store.sqlite import Tables
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.given import given
from vidprod.web.moments import moment
from vidprod.web.paging import check_cursor, states_of
from vidprod.web.reading import read

AT_ONCE = 500  # deliveries in one transaction: others wait for the writer


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One request, and what it came to. `status` is null where there was no answer; `answer` is how it began."""

    number: int
    at: str
    took_ms: int
    status: int | None
    error: str
    answer: str


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one endpoint. `id` is `webhook-id`; `run_at`: when the next attempt comes."""

    id: str
    endpoint_id: str
    event_id: int
    event_type: str
    state: DeliveryState
    attempt: int
    run_at: str | None
    created_at: str
    finalized_at: str | None


class DeliveryInFull(DeliveryView, frozen=True, kw_only=True):
    """With the body, as it is signed, and the log of its attempts."""

    body: str
    attempts: list[AttemptView]


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some deliveries, newest first, and where the next page starts."""

    deliveries: list[DeliveryView]
    next_cursor: str | None


class Span(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From when to when (RFC 3339 with an offset) events happened that shall be delivered again; `state`: only those
    that failed, or were delivered."""

    since: Annotated[datetime, Meta(tz=True)] = msgspec.field(name="from")
    until: Annotated[datetime, Meta(tz=True)] | None = msgspec.field(name="to", default=None)
    state: Literal["delivered", "failed"] | None = None


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """How many deliveries are due again."""

    replayed: int


@read("/v1/endpoints/{endpoint_id:str}/deliveries")
async def list_deliveries(
    desk: NamedDependency[Desk],
    endpoint_id: FromPath[str],
    states: Annotated[
        str | None, QueryParameter(name="state", description="only these, separated by commas: pending,failed")
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200, description="deliveries a page")] = 50,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before")] = None,
) -> DeliveryPage:
    """What was sent to an endpoint, or will be, newest first."""
    checked(endpoint_id, "end")
    wanted = states_of(states, DELIVERY_STATES)
    check_cursor(cursor, "msg")

    def page(db: Tables) -> DeliveryPage:
        db.endpoints.get(endpoint_id)
        found = db.deliveries.list(endpoint_id, limit=limit + 1, before=cursor, states=wanted)
        return DeliveryPage(
            deliveries=[view_delivery(delivery) for delivery in found[:limit]],
            next_cursor=found[limit - 1].id if len(found) > limit else None,
        )

    return await desk.store.read(page)


@read("/v1/deliveries/{delivery_id:str}")
async def get_delivery(desk: NamedDependency[Desk], delivery_id: FromPath[str]) -> DeliveryInFull:
    """One delivery, with every attempt."""
    checked(delivery_id, "msg")

    def found(db: Tables) -> DeliveryInFull:
        return DeliveryInFull(
            body=db.deliveries.body(delivery_id),
            attempts=[_attempt(attempt) for attempt in db.deliveries.attempts(delivery_id)],
            **msgspec.structs.asdict(view_delivery(db.deliveries.get(delivery_id))),
        )

    return await desk.store.read(found)


@post("/v1/deliveries/{delivery_id:str}/replay", status_code=202)
async def replay_delivery(desk: NamedDependency[Desk], delivery_id: FromPath[str]) -> DeliveryView:
    """Deliver it again, now, with the same id and body; one that waits is sent now."""
    checked(delivery_id, "msg")
    return await desk.store.write(lambda db: view_delivery(db.deliveries.replay(delivery_id, now=desk.clock())))


@post("/v1/endpoints/{endpoint_id:str}/replay", status_code=202)
async def replay_span(request: HttpRequest, desk: NamedDependency[Desk], endpoint_id: FromPath[str]) -> Replayed:
    """Deliver again what happened in a time, as JSON `{from, to, state}`: for a receiver that lost what it had heard.
    What still waits is left as it is."""
    checked(endpoint_id, "end")
    asked = await given(request, Span)
    since, until = _ms(asked.since), desk.clock() + 1 if asked.until is None else _ms(asked.until)
    if until <= since:
        raise BadRequest("`to` is not after `from`.")
    states = ("delivered", "failed") if asked.state is None else (asked.state,)
    found = await desk.store.read(
        lambda db: db.deliveries.over_between(endpoint_id, since=since, until=until, states=states)
    )
    replayed = 0
    for start in range(0, len(found), AT_ONCE):
        some = found[start : start + AT_ONCE]
        replayed += await desk.store.write(lambda db: db.deliveries.replay_over(some, now=desk.clock()))  # noqa: B023
    return Replayed(replayed=replayed)


def view_delivery(delivery: Delivery) -> DeliveryView:
    """As it is shown."""
    return DeliveryView(
        id=delivery.id,
        endpoint_id=delivery.endpoint_id,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        state=delivery.state,
        attempt=delivery.attempt,
        run_at=moment(delivery.run_at) if delivery.state == "pending" else None,
        created_at=moment(delivery.created_at),
        finalized_at=moment(delivery.finalized_at),
    )


def _attempt(attempt: DeliveryAttempt) -> AttemptView:
    return AttemptView(
        number=attempt.number,
        at=moment(attempt.at),
        took_ms=attempt.took_ms,
        status=attempt.status,
        error=attempt.error,
        answer=attempt.answer,
    )


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


HANDLERS = [list_deliveries, get_delivery, replay_delivery, replay_span]
