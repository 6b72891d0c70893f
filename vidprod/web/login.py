"""Setting up, signing in and out: what the pages `/setup` and `/login` ask.

A password is tried five times a minute from one address. After twenty wrong ones in an hour, from
wherever, each takes longer: nobody is locked out by others who try, and they do not get far.
Source: OWASP ASVS 5.0, 6.3.1, 7.2 and 7.4; OWASP Authentication, "Login throttling".
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from msgspec import Meta

from vidprod import codes
from vidprod.domain import session as sessions
from vidprod.domain.ids import new_id
from vidprod.domain.session import MAX_AGENT, Session
from vidprod.domain.user import MAX_NAME, OWNER_ID, User
from vidprod.errors import BadRequest, TooMany, Unavailable, VidProdError
from vidprod.passwords import LONGEST, check, is_outdated
from vidprod.store.sqlite import Tables
from vidprod.store.sqlite.entrances import tell_of_owner
from vidprod.telemetry import log
from vidprod.web.auth import COOKIE, DEVICE, LOCAL_COOKIE, NotAllowed, came_in, cookies, is_local, known
from vidprod.web.client import client_address, network_of
from vidprod.web.desk import Desk, HttpRequest
from vidprod.web.given import given
from vidprod.web.reading import read

_LATE_S = 2.0  # that a try takes longer, after too many wrong ones
_DEVICE_S = 400 * 86_400  # the longest for which browsers keep a cookie
_late = asyncio.Semaphore(20)  # that may wait so at once

_log = log.get(__name__)

_Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
_Secret = Annotated[str, Meta(max_length=LONGEST)]
_Code = Annotated[str, Meta(max_length=60)]


class WrongPassword(VidProdError):
    """The name or the password is wrong."""

    code = "wrong_password"
    status = 401
    hint = "With the volume at hand, `vidprod owner set-password` sets another one."


class CodeNeeded(VidProdError):
    """The authenticator's code is missing."""

    code = "code_needed"
    status = 401
    hint = "Give the six digits that it shows now, or a recovery code."


class WrongCode(VidProdError):
    """The code is wrong, or was used before."""

    code = "wrong_code"
    status = 401
    hint = "Wait for the next one; each is taken once. The phone's clock must be right."


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who signs in. `code`: of the authenticator, where there is one, or a recovery code."""

    name: Annotated[str, Meta(max_length=MAX_NAME)]
    password: _Secret
    code: _Code = ""


class Setup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who the owner is to be. `setup_code`: where others can reach the daemon, out of its log."""

    name: _Name
    password: _Secret
    setup_code: _Code = ""


class DoorView(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for at the door. `asks`: who comes now is a stranger; `owner`: whether there is one; `setup_code`:
    whether setting up takes it."""

    asks: bool
    owner: bool
    setup_code: bool


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in now; the session is in the cookie."""

    name: str


@read("/login/state")
async def get_door(request: HttpRequest, desk: NamedDependency[Desk]) -> DoorView:
    """What the pages have to ask for."""
    mode = await desk.door.mode()
    owner = await desk.store.read(lambda db: db.users.can_sign_in())
    return DoorView(asks=known(request) is None, owner=owner, setup_code=mode == "setup")


@post("/login", status_code=200)
async def sign_in(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[SignedIn]:
    """Sign in, as JSON `{name, password, code}`. The answer sets the cookie of a new session; one that the browser had
    before ends."""
    asked = await given(request, Credentials)
    user = await desk.store.read(lambda db: db.users.find(asked.name))
    address = await _admit(request, desk, "login", asked.name, user=user)
    if not await desk.passwords.verify(None if user is None else user.password, asked.password) or user is None:
        _wrong(desk, "password", "login", address)
        raise WrongPassword
    if user.asks_for_code:
        await _check_code(desk, user, asked.code, address=address)
    if user.password is not None and is_outdated(user.password):
        await _rehash(desk, user, asked.password)
    _log.info("signed in", address=address)

    def tell(db: Tables, session: Session) -> None:
        new_device = not _is_known(request, desk, user)
        tell_of_owner(db, "owner.signed_in", session_id=session.id, new_device=new_device, now=session.created_at)

    session, answer = await _begin(request, desk, user, tell=tell)
    came_in(request, user.id, session.id)
    return answer


@post("/setup", status_code=201)
async def set_up(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[SignedIn]:
    """Make the owner, as JSON `{name, password, setup_code}`, and sign in. Where others can reach the daemon it takes
    the setup code, or a key with the scope admin; there is one owner, and a second time this is refused."""
    asked = await given(request, Setup)
    address = await _admit(request, desk, "setup", "")
    somebody = known(request)
    is_trusted = somebody is not None and somebody.may("admin")
    if not is_trusted and not desk.door.is_setup_code(asked.setup_code):
        _wrong(desk, "setup code", "setup", address)
        raise NotAllowed(
            "The setup code is wrong.",
            code="wrong_setup_code",
            hint="It is in the daemon's log, a new one after each start, until there is an owner.",
        )
    name = " ".join(asked.name.split())
    if not name:
        raise BadRequest("The name is empty.")
    check(asked.password, name=name)
    hashed = await desk.passwords.hash(asked.password)

    def claim(db: Tables) -> User:
        user = db.users.claim(name, hashed, now=desk.now())
        tell_of_owner(db, "owner.created", now=desk.now())
        return user

    user = await desk.store.write(claim)
    desk.door.look_again()
    _log.info("set up: there is an owner now", address=address)
    session, answer = await _begin(request, desk, user, status=201)
    if not is_trusted:
        came_in(request, user.id, session.id)
    return answer


@post("/logout", status_code=204)
async def sign_out(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[None]:
    """End the session of this browser."""
    somebody = known(request)
    if somebody is not None and somebody.session_id is not None:
        ended = somebody.session_id
        await desk.store.write(lambda db: db.sessions.end(ended), urgent=True)
    return Response(None, status_code=204, cookies=forget_cookies(request))


async def begin_session(request: HttpRequest, desk: Desk, user: User) -> Response[Any]:
    """A new session instead of every one that the user has: what lets in has changed."""
    _, answer = await _begin(request, desk, user, ends="all")
    return answer


async def _begin(
    request: HttpRequest,
    desk: Desk,
    user: User,
    *,
    status: int = 200,
    ends: str = "",
    tell: Callable[[Tables, Session], None] | None = None,
) -> tuple[Session, Response[Any]]:
    """A new session, by a token made here, whatever the browser brought; what it had before ends. The browser is known
    from then on.

    Args:
        ends: "all": every other session of the user, too.
        tell: in the same transaction.
    """
    token, now = sessions.new_token(), desk.now()
    session = Session(
        id=new_id("ses", now=now),
        user_id=user.id,
        hash=sessions.hash_of(token),
        created_at=now,
        used_at=now,
        agent=request.headers.get("user-agent", "")[:MAX_AGENT],
        address=client_address(request.scope, desk.config)[:60],
    )
    brought = [sessions.hash_of(one) for one in cookies(request.scope)]
    idle_ms, longest_ms = int(desk.config.session_idle_s * 1000), int(desk.config.session_longest_s * 1000)

    def begin(db: Tables) -> None:
        db.sessions.forget_over(unused_since=now - idle_ms, older_than=now - longest_ms)
        for one in brought:
            if (before := db.sessions.find(one)) is not None:
                db.sessions.end(before.id)
        if ends == "all":
            db.sessions.end_all(user.id)
        db.sessions.add(session)
        if tell is not None:
            tell(db, session)

    await desk.store.write(begin, urgent=True)  # who makes room on a full volume has to get in
    mark = secrets.token_urlsafe(16)
    set_cookies = [
        # not strict: who comes back from a platform's own page is to be known
        _cookie(request, "", token, samesite="lax", max_age=int(desk.config.session_longest_s)),
        _cookie(
            request, DEVICE, f"{mark}.{desk.vault.sign(_device(user, mark))}", samesite="strict", max_age=_DEVICE_S
        ),
    ]
    return session, Response(SignedIn(name=user.name), status_code=status, cookies=set_cookies)


def _is_known(request: HttpRequest, desk: Desk, user: User) -> bool:
    """Whether somebody has signed in with this browser since the password was set. It lets nobody in: it says whether
    there is news to tell, and whose try does not wait with those of strangers."""
    brought = [one.partition(".") for one in cookies(request.scope, of=DEVICE)]
    return any(desk.vault.signed(_device(user, mark), signature) for mark, _, signature in brought)


def _device(user: User, mark: str) -> str:
    """What is signed for a browser."""
    return f"device|{user.id}|{user.password_at}|{mark}"


def _cookie(request: HttpRequest, of: str, value: str, *, samesite: Literal["lax", "strict"], max_age: int) -> Cookie:
    local = is_local(request.scope)
    return Cookie(
        key=(LOCAL_COOKIE if local else COOKIE) + of,
        value=value,
        path="/",
        httponly=True,
        secure=not local,
        samesite=samesite,
        max_age=max_age,
    )


def forget_cookies(request: HttpRequest) -> list[Cookie]:
    """What makes a browser forget its session."""
    return [_cookie(request, "", "", samesite="lax", max_age=0)]


async def check_password(request: HttpRequest, desk: Desk, password: str) -> User:
    """The owner, whose password it is: asked again before what a stolen browser must not do. Raises WrongPassword."""
    user = await desk.store.read(lambda db: db.users.get(OWNER_ID))
    address = await _admit(request, desk, "login", user.name, user=user)
    if not await desk.passwords.verify(user.password, password):
        _wrong(desk, "password", "login", address)
        raise WrongPassword("The password is wrong.")
    return user


async def _admit(request: HttpRequest, desk: Desk, rule: str, of: str, *, user: User | None = None) -> str:
    """The address of who tries. Raises TooMany; waits after too many wrong tries from anywhere, unless the browser is
    one of the user's: strangers must not keep the owner out.

    Args:
        rule: "login" or "setup"; of: whom it is about.
    """
    address = client_address(request.scope, desk.config)
    wait_s = desk.limits.take(rule, f"{of.casefold()} {network_of(address)}")
    if wait_s is not None:
        raise TooMany("Too many tries.", code="too_many_tries", retry_after_s=wait_s)
    if desk.limits.wait_s("account", rule) is not None and not (user and _is_known(request, desk, user)):
        await _hold_up()
    return address


async def _hold_up() -> None:
    if _late.locked():
        raise Unavailable("Too many wait for their try.", code="busy")
    async with _late:
        await asyncio.sleep(_LATE_S)


def _wrong(desk: Desk, what: str, rule: str, address: str) -> None:
    desk.limits.take("account", rule)
    _log.warning(f"wrong {what}", address=address)


async def _check_code(desk: Desk, user: User, code: str, *, address: str) -> None:
    if not code.strip():
        raise CodeNeeded
    if not await take_code(desk, user, code):
        _wrong(desk, "code", "login", address)
        await desk.store.write(lambda db: tell_of_owner(db, "owner.code_refused", now=desk.now()), urgent=True)
        raise WrongCode


async def take_code(desk: Desk, user: User, code: str) -> bool:
    """Whether it is a code of the authenticator that was not taken before, or a recovery code that was not used."""
    assert user.totp is not None  # the schema holds it to `asks_for_code`
    secret = desk.vault.open(user.totp, place=totp_place(user.id)).decode()
    step = codes.step_of(secret, code, now=desk.now())
    if step is not None:
        return await desk.store.write(lambda db: db.users.take_step(user.id, step))
    hashed = codes.recovery_hash(code)
    return await desk.store.write(lambda db: db.users.use_recovery_code(user.id, hashed, now=desk.now()))


def totp_place(user_id: str) -> str:
    """What an authenticator's secret is sealed for."""
    return f"user|{user_id}|totp"


async def _rehash(desk: Desk, user: User, password: str) -> None:
    """With today's parameters."""
    hashed, was = await desk.passwords.hash(password), user.password or ""
    await desk.store.write(lambda db: db.users.rehash(user.id, hashed, was=was))


HANDLERS = [get_door, sign_in, set_up, sign_out]
