"""Notifications over HTTP: a browser asks for them, and does no more."""

import hashlib
from typing import Annotated

import msgspec
from litestar import Response, delete, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from vidprod.domain.ids import new_id
from vidprod.domain.notification import MOST_SUBSCRIPTIONS, Address, Subscription
from vidprod.errors import BadRequest, Conflict
from vidprod.store.sqlite import Tables
from vidprod.web.auth import who
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.given import given
from vidprod.web.moments import moment
from vidprod.web.reading import read
from vidprod.webhooks.egress import Egress

_KEY = "push_key|vapid|private"


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Of the browser, in base64url: what is sent is sealed for them."""

    p256dh: Annotated[str, Meta(max_length=200)]
    auth: Annotated[str, Meta(max_length=100)]


class NewSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """What `PushSubscription.toJSON()` gives, and what the device shall be called."""

    endpoint: Annotated[str, Meta(min_length=1, max_length=2000)]
    keys: Keys
    label: Annotated[str, Meta(max_length=80)] = ""


class PushKey(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser subscribes with, as `applicationServerKey`."""

    public_key: str


class SubscriptionView(msgspec.Struct, frozen=True, kw_only=True):
    """A browser that is told. `host`: its push service; `pushed_at`: when that took something last; `failures`: since
    then."""

    id: str
    host: str
    label: str
    created_at: str
    pushed_at: str | None
    failures: int


class SubscriptionList(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, the oldest first."""

    subscriptions: list[SubscriptionView]


@read("/v1/push/key")
async def get_key(desk: NamedDependency[Desk]) -> PushKey:
    """The key that notifications are known by. It is made when it is first asked for."""
    from vidprod.webhooks.push import new_key, public_of

    sealed = await desk.store.read(lambda db: db.subscriptions.key())
    if sealed is None:
        made = desk.vault.seal(new_key(), place=_KEY)
        sealed = await desk.store.write(lambda db: db.subscriptions.keep_key(made, now=desk.now()))
    return PushKey(public_key=public_of(desk.vault.open(sealed, place=_KEY)))


@read("/v1/push/subscriptions")
async def list_subscriptions(request: HttpRequest, desk: NamedDependency[Desk]) -> SubscriptionList:
    """The browsers that are told."""
    found = await desk.store.read(lambda db: db.subscriptions.list(user_id=who(request).user_id))
    return SubscriptionList(subscriptions=[_view(one) for one in found])


@post("/v1/push/subscriptions")
async def add_subscription(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[SubscriptionView]:
    """Tell this browser what happens. Again with the same endpoint: with the keys it has now."""
    from vidprod.webhooks.push import BadSubscription, check_keys

    asked = await given(request, NewSubscription)
    check_keys(asked.keys.p256dh, asked.keys.auth)
    try:
        target = Egress.of(desk.config).check(asked.endpoint)
    except BadRequest as error:
        raise BadSubscription(f"endpoint: {error}", hint="It is the address of a push service.") from error
    user_id, now = who(request).user_id, desk.clock()
    address = msgspec.json.encode(Address(endpoint=asked.endpoint, p256dh=asked.keys.p256dh, auth=asked.keys.auth))
    fresh = Subscription(
        id=new_id("sub", now=now),
        user_id=user_id,
        hash=hashlib.sha256(asked.endpoint.encode()).hexdigest(),
        host=target.host,
        label=asked.label,
        created_at=now,
    )

    def rows(db: Tables) -> tuple[Subscription, bool]:
        before = db.subscriptions.find(fresh.hash)
        if before is not None and before.user_id == user_id:
            db.subscriptions.renew(before.id, _sealed(desk, before.id, address), label=asked.label)
            return db.subscriptions.get(before.id, user_id=user_id), False
        if before is not None:  # another person signs in with the same browser
            db.subscriptions.delete(before.id)
        if len(db.subscriptions.list(user_id=user_id)) >= MOST_SUBSCRIPTIONS:
            raise Conflict(
                f"{MOST_SUBSCRIPTIONS} browsers are told already, the most there may be.",
                hint="DELETE /v1/push/subscriptions/{id} takes one off.",
            )
        db.subscriptions.add(fresh, _sealed(desk, fresh.id, address))
        return fresh, True

    kept, is_new = await desk.store.write(rows)
    return Response(_view(kept), status_code=201 if is_new else 200)


@delete("/v1/push/subscriptions/{subscription_id:str}", status_code=204)
async def delete_subscription(
    request: HttpRequest, desk: NamedDependency[Desk], subscription_id: FromPath[str]
) -> None:
    """Tell this browser nothing more."""
    name, user_id = checked(subscription_id, "sub"), who(request).user_id

    def rows(db: Tables) -> None:
        db.subscriptions.delete(db.subscriptions.get(name, user_id=user_id).id)

    await desk.store.write(rows, urgent=True)


@post("/v1/push/subscriptions/{subscription_id:str}/test", status_code=202)
async def test_subscription(
    request: HttpRequest, desk: NamedDependency[Desk], subscription_id: FromPath[str]
) -> SubscriptionView:
    """Send it a notification that says that notifications work."""
    name, user_id, now = checked(subscription_id, "sub"), who(request).user_id, desk.clock()

    def rows(db: Tables) -> Subscription:
        subscription = db.subscriptions.get(name, user_id=user_id)
        db.notifications.add(subscription.id, "test", tag="test", data={}, now=now)
        return subscription

    return _view(await desk.store.write(rows))


def _sealed(desk: Desk, subscription_id: str, address: bytes) -> bytes:
    return desk.vault.seal(address, place=f"subscription|{subscription_id}|sealed")


def _view(subscription: Subscription) -> SubscriptionView:
    return SubscriptionView(
        id=subscription.id,
        host=subscription.host,
        label=subscription.label,
        created_at=moment(subscription.created_at),
        pushed_at=moment(subscription.pushed_at),
        failures=subscription.failures,
    )


HANDLERS = [get_key, list_subscriptions, add_subscription, delete_subscription, test_subscription]
