"""API keys over HTTP: made, rotated, revoked. Each is shown once, when it is made."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, delete, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from vidprod.domain.key import ROTATION_S, Key, make_key
from vidprod.domain.who import USUAL, Scope
from vidprod.errors import BadRequest
from vidprod.store.sqlite import Tables
from vidprod.store.sqlite.entrances import tell_of_key
from vidprod.telemetry import log
from vidprod.web.auth import who
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.given import given
from vidprod.web.moments import moment
from vidprod.web.reading import read

_log = log.get(__name__)


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key for a program. `expires_at`: RFC 3339 with an offset; none: until it is revoked."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=4)] = msgspec.field(
        default_factory=lambda: list(USUAL)
    )
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long the key before works, too."""

    keep_s: Annotated[int, Meta(ge=0, le=90 * 86_400)] = ROTATION_S


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key, without what lets its holder in. `public_id` is how its secret part begins, after `vp_live_`; `used_at` is
    to the minute; `replaced_by`: the key that it was rotated to."""

    id: str
    public_id: str
    name: str
    scopes: list[Scope]
    live: bool
    created_at: str
    expires_at: str | None
    used_at: str | None
    revoked_at: str | None
    replaced_by: str | None


class KeyWithSecret(KeyView, frozen=True, kw_only=True):
    """With the key itself, which is shown this once."""

    key: str


class KeyList(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, the newest first."""

    keys: list[KeyView]


@read("/v1/keys")
async def list_keys(desk: NamedDependency[Desk]) -> KeyList:
    """Every key that was made, those too that work no more."""
    found = await desk.store.read(lambda db: db.keys.list())
    return KeyList(keys=[_view(key, now=desk.now()) for key in found])


@post("/v1/keys", status_code=201)
async def add_key(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[KeyWithSecret]:
    """Make a key, as JSON `{name, scopes, expires_at}`. It is in this answer and in no other."""
    asked, now = await given(request, NewKey), desk.now()
    until = None if asked.expires_at is None else round(asked.expires_at.timestamp() * 1000)
    if until is not None and until <= now:
        raise BadRequest("`expires_at` is over already.")
    key, secret = make_key(asked.name, asked.scopes, expires_at=until, user_id=who(request).user_id, now=now)

    def add(db: Tables) -> None:
        db.keys.add(key)
        tell_of_key(db, "key.created", key, now=now)

    await desk.store.write(add)
    desk.door.look_again()
    _log.info("key made", public=key.public_id, scopes=key.scopes)
    return _with_secret(key, secret, now=now)


@post("/v1/keys/{key_id:str}/rotate", status_code=201)
async def rotate_key(
    request: HttpRequest, desk: NamedDependency[Desk], key_id: FromPath[str]
) -> Response[KeyWithSecret]:
    """Another key of the same name and scopes, shown this once. The one before works too for a day, or for `keep_s`;
    two of a line live at most."""
    checked(key_id, "key")
    asked, now = await given(request, Rotation), desk.now()

    def rotate(db: Tables) -> tuple[Key, str]:
        key, secret = db.keys.rotate(key_id, keep_s=asked.keep_s, now=now)
        tell_of_key(db, "key.rotated", key, now=now)
        return key, secret

    key, secret = await desk.store.write(rotate)
    _log.info("key rotated", public=key.public_id)
    return _with_secret(key, secret, now=now)


@delete("/v1/keys/{key_id:str}", status_code=200)
async def revoke_key(desk: NamedDependency[Desk], key_id: FromPath[str]) -> KeyView:
    """Revoke a key: from the next request on nobody gets in with it. It stays in the list."""
    checked(key_id, "key")
    now = desk.now()

    def revoke(db: Tables) -> Key:
        was_live = db.keys.get(key_id).is_live(now=now)
        key = db.keys.revoke(key_id, now=now)
        if was_live:
            tell_of_key(db, "key.revoked", key, now=now)
        return key

    key = await desk.store.write(revoke, urgent=True)
    desk.door.look_again()
    _log.info("key revoked", public=key.public_id)
    return _view(key, now=now)


def _with_secret(key: Key, secret: str, *, now: int) -> Response[KeyWithSecret]:
    view = KeyWithSecret(key=secret, **msgspec.structs.asdict(_view(key, now=now)))
    return Response(view, status_code=201, headers={"Location": f"/v1/keys/{key.id}"})


def _view(key: Key, *, now: int) -> KeyView:
    return KeyView(
        id=key.id,
        public_id=key.public_id,
        name=key.name,
        scopes=key.scopes,
        live=key.is_live(now=now),
        created_at=moment(key.created_at),
        expires_at=moment(key.expires_at),
        used_at=moment(key.used_at),
        revoked_at=moment(key.revoked_at),
        replaced_by=key.replaced_by,
    )


HANDLERS = [list_keys, add_key, rotate_key, revoke_key]
