"""Endpoints over HTTP: who wants events."""

from typing import Annotated, Any

import msgspec
from litestar import Response, delete, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from vidprod.domain.endpoint import (
    MAX_URL,
    ROTATION_S,
    TEST,
    Endpoint,
    EndpointState,
    Secret,
    check_types,
    place_of,
    rotated,
)
from vidprod.domain.event import Event
from vidprod.domain.ids import new_id
from vidprod.errors import Conflict, SealBroken
from vidprod.store.sqlite import Tables
from vidprod.web.auth import who
from vidprod.web.deliveries import AT_ONCE, DeliveryView, view_delivery
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.given import given
from vidprod.web.moments import moment
from vidprod.web.reading import read
from vidprod.webhooks.egress import Egress
from vidprod.webhooks.signing import key_of, new_secret

_secrets = msgspec.json.Decoder(list[Secret])

_Url = Annotated[str, Meta(min_length=1, max_length=MAX_URL)]
_Types = Annotated[list[Annotated[str, Meta(max_length=60)]], Meta(max_length=50)]
_Description = Annotated[str, Meta(max_length=200)]


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to hear. `types`: types of events, or a noun and a star; none: all. Without a secret one is made."""

    url: _Url
    types: _Types = []
    description: _Description = ""
    secret: Annotated[str, Meta(max_length=200)] | None = None


class EndpointEdit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not named stays."""

    url: _Url | UnsetType = UNSET
    types: _Types | UnsetType = UNSET
    description: _Description | UnsetType = UNSET


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint, without its secret. `waiting`: deliveries that are due or will be; `older_secret_until`: the secret
    before the last rotation signs until then, too; `held_until`: it asked for time, and has it until then."""

    id: str
    url: str
    types: list[str]
    job_id: str | None
    state: EndpointState
    disabled_reason: str | None
    description: str
    created_at: str
    failing_since: str | None
    failed_at: str | None
    held_until: str | None
    rotated_at: str | None
    older_secret_until: str | None
    waiting: int


class EndpointWithSecret(EndpointView, frozen=True, kw_only=True):
    """With its secret, which is shown this once."""

    secret: str


class EndpointList(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, the oldest first."""

    endpoints: list[EndpointView]


@read("/v1/endpoints")
async def list_endpoints(
    desk: NamedDependency[Desk],
    job_id: Annotated[str | None, QueryParameter(description="only those of this job: its `webhook_url`")] = None,
) -> EndpointList:
    """The endpoints that hear of everything, or those of one job."""
    if job_id is not None:
        checked(job_id, "job")

    def found(db: Tables) -> EndpointList:
        return EndpointList(endpoints=[_view(db, desk, endpoint) for endpoint in db.endpoints.list(job_id=job_id)])

    return await desk.store.read(found)


@post("/v1/endpoints", status_code=201)
async def add_endpoint(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[EndpointWithSecret]:
    """Have events sent to an address, as JSON `{url, types, description, secret}`, signed after Standard Webhooks. The
    secret is in this answer and in no other."""
    asked = await given(request, NewEndpoint)
    made = make_endpoint(
        desk,
        asked.url,
        user_id=who(request).user_id,
        types=check_types(asked.types),
        description=asked.description,
        secret=asked.secret,
        now=desk.clock(),
    )

    def add(db: Tables) -> EndpointWithSecret:
        made.add(db)
        return EndpointWithSecret(secret=made.secret, **msgspec.structs.asdict(_view(db, desk, made.endpoint)))

    view = await desk.store.write(add)
    return Response(view, status_code=201, headers={"Location": f"/v1/endpoints/{view.id}"})


@read("/v1/endpoints/{endpoint_id:str}")
async def get_endpoint(desk: NamedDependency[Desk], endpoint_id: FromPath[str]) -> EndpointView:
    """One endpoint."""
    checked(endpoint_id, "end")
    return await desk.store.read(lambda db: _view(db, desk, db.endpoints.get(endpoint_id)))


@patch("/v1/endpoints/{endpoint_id:str}")
async def edit_endpoint(request: HttpRequest, desk: NamedDependency[Desk], endpoint_id: FromPath[str]) -> EndpointView:
    """Change its address, its types or its description. What is on its way goes to the new address."""
    checked(endpoint_id, "end")
    asked = await given(request, EndpointEdit)
    new: dict[str, Any] = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not UNSET}
    if "url" in new:
        Egress.of(desk.config).check(new["url"])
    if "types" in new:
        new["types"] = check_types(new["types"])

    def edit(db: Tables) -> EndpointView:
        endpoint = msgspec.structs.replace(db.endpoints.get(endpoint_id), **new)
        return _view(db, desk, db.endpoints.edit(endpoint))

    return await desk.store.write(edit)


@delete("/v1/endpoints/{endpoint_id:str}", status_code=204)
async def delete_endpoint(desk: NamedDependency[Desk], endpoint_id: FromPath[str]) -> Response[None]:
    """Forget an endpoint, what waits for it, and the log of what was delivered to it."""
    checked(endpoint_id, "end")

    def forget_some(db: Tables) -> int:
        return db.deliveries.forget(db.endpoints.get(endpoint_id).id, limit=AT_ONCE)

    def forget(db: Tables) -> None:
        endpoint = db.endpoints.get(endpoint_id)
        db.endpoints.delete(endpoint_id)
        _tell(db, "endpoint.deleted", endpoint, now=desk.clock())

    while await desk.store.write(forget_some, urgent=True) == AT_ONCE:
        pass
    await desk.store.write(forget, urgent=True)
    return Response(None, status_code=204)


@post("/v1/endpoints/{endpoint_id:str}/test", status_code=202)
async def test_endpoint(desk: NamedDependency[Desk], endpoint_id: FromPath[str]) -> DeliveryView:
    """Send it an `endpoint.test`, whatever types it wants and whatever time it asked for. How that went is seen at the
    delivery."""
    checked(endpoint_id, "end")

    def send(db: Tables) -> DeliveryView:
        endpoint = db.endpoints.get(endpoint_id)
        if endpoint.state == "disabled":
            raise Conflict(f"the endpoint {endpoint_id} is disabled", hint="Enable it first.")
        db.endpoints.release(endpoint_id)
        event = _tell(db, TEST, endpoint, now=desk.clock())
        return view_delivery(db.deliveries.of_event(endpoint_id, event.id))

    return await desk.store.write(send)


@post("/v1/endpoints/{endpoint_id:str}/rotate", status_code=200)
async def rotate_secret(desk: NamedDependency[Desk], endpoint_id: FromPath[str]) -> EndpointWithSecret:
    """A new secret, shown this once. The one before it signs too for 24 hours, time to bring the new one to the
    receiver."""
    checked(endpoint_id, "end")
    now, secret, place = desk.clock(), new_secret(), place_of(endpoint_id)
    was = await desk.store.read(lambda db: db.endpoints.secrets(endpoint_id))
    try:
        before = _secrets.decode(desk.vault.open(was, place=place))
    except SealBroken:  # its key is gone, as after a restore without keys: nothing can sign with it any more
        before = []
    secrets = rotated(before, secret, now=now)
    sealed = desk.vault.seal(msgspec.json.encode(secrets), place=place)

    def rotate(db: Tables) -> EndpointWithSecret:
        endpoint = db.endpoints.rotate(endpoint_id, sealed, was=was, now=now)
        _tell(db, "endpoint.rotated", endpoint, now=now)
        return EndpointWithSecret(secret=secret, **msgspec.structs.asdict(_view(db, desk, endpoint)))

    return await desk.store.write(rotate)


@post("/v1/endpoints/{endpoint_id:str}/enable", status_code=200)
async def enable_endpoint(desk: NamedDependency[Desk], endpoint_id: FromPath[str]) -> EndpointView:
    """Send to it again, and what has waited for it first."""
    checked(endpoint_id, "end")

    def enable(db: Tables) -> EndpointView:
        endpoint = db.endpoints.enable(endpoint_id)
        _tell(db, "endpoint.enabled", endpoint, now=desk.clock())
        return _view(db, desk, endpoint)

    return await desk.store.write(enable)


@post("/v1/endpoints/{endpoint_id:str}/disable", status_code=200)
async def disable_endpoint(desk: NamedDependency[Desk], endpoint_id: FromPath[str]) -> EndpointView:
    """Send nothing to it until it is enabled. What waits for it stays; what happens meanwhile it never hears of."""
    checked(endpoint_id, "end")

    def disable(db: Tables) -> EndpointView:
        endpoint = db.endpoints.disable(endpoint_id, "disabled by hand")
        _tell(db, "endpoint.disabled", endpoint, now=desk.clock(), reason="disabled by hand")
        return _view(db, desk, endpoint)

    return await desk.store.write(disable)


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint to be added, and its secret."""

    endpoint: Endpoint
    secret: str
    sealed: bytes

    def add(self, db: Tables) -> None:
        """Its row, and the event."""
        db.endpoints.add(self.endpoint, self.sealed)
        _tell(db, "endpoint.created", self.endpoint, now=self.endpoint.created_at)


def check_endpoint(desk: Desk, url: str, *, secret: str | None) -> None:
    """Raises BadRequest: it may not be sent there, or the secret is none."""
    Egress.of(desk.config).check(url)
    if secret is not None:
        key_of(secret)


def make_endpoint(
    desk: Desk,
    url: str,
    *,
    user_id: str,
    types: list[str] | None = None,
    description: str = "",
    job_id: str | None = None,
    secret: str | None = None,
    now: int,
) -> Made:
    """Raises BadRequest: it may not be sent there, or the secret is none."""
    check_endpoint(desk, url, secret=secret)
    secret = secret or new_secret()
    endpoint = Endpoint(
        id=new_id("end", now=now),
        user_id=user_id,
        url=url,
        types=types or [],
        job_id=job_id,
        description=description,
        created_at=now,
    )
    sealed = desk.vault.seal(msgspec.json.encode([Secret(secret=secret)]), place=place_of(endpoint.id))
    return Made(endpoint=endpoint, secret=secret, sealed=sealed)


def _tell(db: Tables, event_type: str, endpoint: Endpoint, *, now: int, **more: str) -> Event:
    """Without the address: it may hold a secret."""
    return db.events.record(event_type, job_id=endpoint.job_id, data={"endpoint_id": endpoint.id, **more}, now=now)


def _view(db: Tables, desk: Desk, endpoint: Endpoint) -> EndpointView:
    older = None if endpoint.rotated_at is None else endpoint.rotated_at + ROTATION_S * 1000
    return EndpointView(
        id=endpoint.id,
        url=endpoint.url,
        types=endpoint.types,
        job_id=endpoint.job_id,
        state=endpoint.state,
        disabled_reason=endpoint.disabled_reason,
        description=endpoint.description,
        created_at=moment(endpoint.created_at),
        failing_since=moment(endpoint.failing_since),
        failed_at=moment(endpoint.failed_at),
        held_until=moment(endpoint.held_until) if (endpoint.held_until or 0) > desk.clock() else None,
        rotated_at=moment(endpoint.rotated_at),
        older_secret_until=moment(older) if older is not None and older > desk.clock() else None,
        waiting=db.deliveries.waiting(endpoint.id),
    )


HANDLERS = [
    list_endpoints,
    add_endpoint,
    get_endpoint,
    edit_endpoint,
    delete_endpoint,
    test_endpoint,
    rotate_secret,
    enable_endpoint,
    disable_endpoint,
]
