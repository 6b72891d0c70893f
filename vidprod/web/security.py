"""What the owner sees and changes about who gets in: sessions, the password, the authenticator."""

import io
from typing import Annotated

import msgspec
from litestar import Response, delete, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Meta

from vidprod import codes
from vidprod.domain.user import MAX_NAME, OWNER_ID, User
from vidprod.errors import Conflict, NotFound
from vidprod.passwords import LONGEST, check
from vidprod.store.sqlite import Tables
from vidprod.store.sqlite.entrances import tell_of_owner
from vidprod.telemetry import log
from vidprod.web.auth import who
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.door import Mode
from vidprod.web.given import given
from vidprod.web.login import (
    SignedIn,
    WrongCode,
    begin_session,
    check_password,
    forget_cookies,
    take_code,
    totp_place,
)
from vidprod.web.moments import moment
from vidprod.web.reading import read

_log = log.get(__name__)

_Secret = Annotated[str, Meta(max_length=LONGEST)]


class NewPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another password, and another name where one is given. `current` is asked for again."""

    current: _Secret
    password: _Secret
    name: Annotated[str, Meta(max_length=MAX_NAME)] = ""


class Confirmed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password, asked for again."""

    password: _Secret


class Code(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the authenticator shows now."""

    code: Annotated[str, Meta(max_length=60)]


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """A browser that is signed in. `current`: the one that asks. `used_at` is to the minute."""

    id: str
    current: bool
    agent: str
    address: str
    created_at: str
    used_at: str


class SecurityView(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands. `mode`: "open": nobody is asked who they are. `totp`: codes are asked for; `recovery_codes`: how
    many are left."""

    mode: Mode
    owner: bool
    name: str
    password_at: str | None
    totp: bool
    recovery_codes: int
    sessions: list[SessionView]


class NewTotp(msgspec.Struct, frozen=True, kw_only=True):
    """The authenticator's secret, for one that cannot take the picture at `/v1/security/totp.svg`. Nothing is asked for
    until a code of it was given to `/v1/security/totp/confirm`."""

    secret: str
    address: str


class RecoveryCodes(msgspec.Struct, frozen=True, kw_only=True):
    """Each lets in once instead of a code. Shown this once."""

    recovery_codes: list[str]


@read("/v1/security")
async def get_security(request: HttpRequest, desk: NamedDependency[Desk]) -> SecurityView:
    """Whether there is an owner, and which browsers are signed in."""
    mode, asks = await desk.door.mode(), who(request)

    def found(db: Tables) -> SecurityView:
        user = db.users.get(OWNER_ID)
        return SecurityView(
            mode=mode,
            owner=user.password is not None,
            name=user.name,
            password_at=moment(user.password_at),
            totp=user.asks_for_code,
            recovery_codes=db.users.recovery_codes_left(user.id),
            sessions=[
                SessionView(
                    id=one.id,
                    current=one.id == asks.session_id,
                    agent=one.agent,
                    address=one.address,
                    created_at=moment(one.created_at),
                    used_at=moment(one.used_at),
                )
                for one in db.sessions.list(user.id)
                if desk.door.is_live(one)
            ],
        )

    return await desk.store.read(found)


@post("/v1/security/password", status_code=200)
async def set_password(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[SignedIn]:
    """Another password, as JSON `{current, password, name}`. Every session ends; this browser gets a new one."""
    asked = await given(request, NewPassword)
    user = await _owner(request, desk, asked.current)
    name = " ".join(asked.name.split()) or user.name
    check(asked.password, name=name)
    hashed = await desk.passwords.hash(asked.password)
    now = desk.now()

    def change(db: Tables) -> User:
        tell_of_owner(db, "owner.password_changed", now=now)
        return db.users.set_password(user.id, hashed, name=name, now=now)

    changed = await desk.store.write(change)
    _log.warning("the owner's password was changed")
    return await begin_session(request, desk, changed)


@post("/v1/security/totp", status_code=200)
async def begin_totp(request: HttpRequest, desk: NamedDependency[Desk]) -> NewTotp:
    """Begin with an authenticator, as JSON `{password}`: its secret, shown until it is confirmed."""
    user = await _owner(request, desk, (await given(request, Confirmed)).password)
    secret = codes.new_secret()
    sealed = desk.vault.seal(secret.encode(), place=totp_place(user.id))
    await desk.store.write(lambda db: db.users.begin_totp(user.id, sealed))
    return NewTotp(secret=secret, address=codes.address_of(secret, name=user.name))


@read("/v1/security/totp.svg", include_in_schema=False)
async def get_picture(desk: NamedDependency[Desk]) -> Response[bytes]:
    """The secret that was begun, for an authenticator's camera."""
    import segno  # loaded for this picture alone

    user = await desk.store.read(lambda db: db.users.get(OWNER_ID))
    if user.totp is None or user.asks_for_code:
        raise NotFound("No authenticator was begun.")
    secret = desk.vault.open(user.totp, place=totp_place(user.id)).decode()
    picture = io.BytesIO()
    segno.make(codes.address_of(secret, name=user.name), error="m").save(
        picture, kind="svg", scale=4, border=4, dark="#000", light="#fff", nl=False
    )
    return Response(picture.getvalue(), media_type="image/svg+xml")


@post("/v1/security/totp/confirm", status_code=200)
async def confirm_totp(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[RecoveryCodes]:
    """Ask for its codes from now on, as JSON `{code}`: one of them shows that it works. Every other session ends."""
    asked = await given(request, Code)
    user = await desk.store.read(lambda db: db.users.get(OWNER_ID))
    if user.totp is None or user.asks_for_code:
        raise Conflict("No authenticator was begun.")
    if not await take_code(desk, user, asked.code):
        raise WrongCode
    was, fresh, now = user.totp, codes.new_recovery_codes(), desk.now()

    def confirm(db: Tables) -> None:
        db.users.confirm_totp(user.id, was=was, now=now)
        tell_of_owner(db, "owner.authenticator_on", now=now)
        db.users.set_recovery_codes(user.id, [codes.recovery_hash(one) for one in fresh])

    await desk.store.write(confirm)
    _log.warning("an authenticator is asked for from now on")
    return await _anew(request, desk, user, fresh)


@post("/v1/security/totp/off", status_code=200)
async def end_totp(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[SignedIn]:
    """Ask for no codes any more, as JSON `{password}`. Every other session ends."""
    user = await _owner(request, desk, (await given(request, Confirmed)).password)

    def end(db: Tables) -> None:
        db.users.end_totp(user.id)
        if user.asks_for_code:
            tell_of_owner(db, "owner.authenticator_off", now=desk.now())

    await desk.store.write(end)
    _log.warning("no authenticator is asked for any more")
    return await begin_session(request, desk, user)


@post("/v1/security/recovery-codes", status_code=200)
async def renew_recovery_codes(request: HttpRequest, desk: NamedDependency[Desk]) -> RecoveryCodes:
    """Ten new ones, as JSON `{password}`; those before are of no use any more."""
    user = await _owner(request, desk, (await given(request, Confirmed)).password)
    if not user.asks_for_code:
        raise Conflict("No authenticator is in use.")
    fresh = codes.new_recovery_codes()
    hashes = [codes.recovery_hash(one) for one in fresh]

    def renew(db: Tables) -> None:
        db.users.set_recovery_codes(user.id, hashes)
        tell_of_owner(db, "owner.recovery_codes_changed", now=desk.now())

    await desk.store.write(renew)
    return RecoveryCodes(recovery_codes=fresh)


@delete("/v1/sessions/{session_id:str}", status_code=204)
async def end_session(desk: NamedDependency[Desk], session_id: FromPath[str]) -> Response[None]:
    """Sign one browser out."""
    checked(session_id, "ses")

    def end(db: Tables) -> None:
        db.sessions.end(db.sessions.get(session_id).id)

    await desk.store.write(end, urgent=True)
    return Response(None, status_code=204)


@delete("/v1/sessions", status_code=204)
async def end_all_sessions(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[None]:
    """Sign out everywhere, here too."""
    await desk.store.write(lambda db: db.sessions.end_all(who(request).user_id), urgent=True)
    _log.warning("signed out everywhere")
    return Response(None, status_code=204, cookies=forget_cookies(request))


async def _owner(request: HttpRequest, desk: Desk, password: str) -> User:
    """Raises Conflict: nobody has set a password up; WrongPassword."""
    if not await desk.store.read(lambda db: db.users.can_sign_in()):
        raise Conflict("There is no owner yet.", hint="Open /setup.")
    return await check_password(request, desk, password)


async def _anew(request: HttpRequest, desk: Desk, user: User, fresh: list[str]) -> Response[RecoveryCodes]:
    """Recovery codes, and a new session for this browser instead of all others."""
    begun = await begin_session(request, desk, user)
    return Response(RecoveryCodes(recovery_codes=fresh), status_code=200, cookies=begun.cookies)


HANDLERS = [
    get_security,
    set_password,
    begin_totp,
    get_picture,
    confirm_totp,
    end_totp,
    renew_recovery_codes,
    end_session,
    end_all_sessions,
]
