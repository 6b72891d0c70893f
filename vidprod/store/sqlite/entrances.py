"""Say what changed about who gets in, in the transaction in which it changed. What is told can be read by whoever may
read, and goes to webhooks: it names keys and sessions, and neither addresses nor secrets."""

from typing import Any, Literal

from vidprod.domain.key import Key
from vidprod.store.sqlite.tables import Tables

OfKey = Literal["key.created", "key.rotated", "key.revoked"]
OfOwner = Literal[
    "owner.created",
    "owner.forgotten",
    "owner.password_changed",
    "owner.authenticator_on",
    "owner.authenticator_off",
    "owner.recovery_codes_changed",
    "owner.signed_in",
    "owner.code_refused",
]


def tell_of_key(db: Tables, what: OfKey, key: Key, *, now: int) -> None:
    """`key`: the new one, where there is one."""
    data = {"key_id": key.id, "name": key.name, "scopes": list(key.scopes)}
    db.events.record(what, data=data, now=now)


def tell_of_owner(db: Tables, what: OfOwner, *, now: int, **data: Any) -> None:
    """The event, with what else is to be said of it."""
    db.events.record(what, data=data, now=now)
