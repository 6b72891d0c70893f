"""Who asks, and whether they may: before every handler. What a route asks for is in `web/rules.py`, how somebody is
known in `web/door.py`."""

from typing import cast
from urllib.parse import quote

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from vidprod.config import Config
from vidprod.domain.key import PREFIX
from vidprod.domain.user import OWNER_ID
from vidprod.domain.who import EVERYTHING, Who
from vidprod.domain.who import Scope as ScopeOf
from vidprod.errors import TooMany, VidProdError
from vidprod.hosts import is_loopback, split_host
from vidprod.web.client import client_address, network_of
from vidprod.web.desk import HttpRequest
from vidprod.web.door import BadKey, Door, Mode
from vidprod.web.guard import CrossSite
from vidprod.web.limits import Limits
from vidprod.web.rules import Need, need_of

COOKIE = "__Host-vidprod"  # the prefix: only over https, only from this very host, for all of it
LOCAL_COOKIE = "vidprod"  # on this machine there is no https to be had
DEVICE = "-device"  # after either name: of a browser in which somebody has signed in before

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_MOST_COOKIES = 4  # of one name: a browser sends one, or one for each path and domain that somebody set it for
_HOPS = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-real-ip", b"fly-client-ip", b"cf-connecting-ip", b"true-client-ip", b"via"}
    | {b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"x-forwarded-server"}
)


class NotSignedIn(VidProdError):
    """Sign in first."""

    code = "not_signed_in"
    status = 401
    hint = "In a browser: /login. In a script: `Authorization: Bearer vp_live_…`; `vidprod keys add` makes a key."


class NotAllowed(VidProdError):
    """This key may not do that."""

    code = "not_allowed"
    status = 403


class NotSetUp(VidProdError):
    """VidProd is not set up yet."""

    code = "not_set_up"
    status = 401
    hint = "Open /setup in a browser, with the setup code from the daemon's log."


class Authenticate(ASGIMiddleware):
    """Lets in who may, and says who it is: `who(request)`."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, door: Door, limits: Limits, config: Config) -> None:
        self._door = door
        self._limits = limits
        self._config = config

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        request = cast(HTTPScope, scope)  # `scopes` says so
        asked = need_of(request["method"], request["path_template"])
        if asked is None:
            raise RuntimeError(f"web/rules.py has no rule for {request['method']} {request['path_template']}")
        if asked != "nothing":
            mode = await self._door.mode()
            somebody = await self._known(request, mode)
            request["state"]["who"] = somebody
            if asked != "anybody" and (place := _refuse(request, somebody, asked, mode)):
                await _send_to(place, send)
                return
        await next_app(scope, receive, send)

    async def _known(self, request: HTTPScope, mode: Mode) -> Who | None:
        """Who it is; None for a stranger. Raises BadKey: who shows a key is judged by it."""
        key = _bearer(request)
        if key is not None and (mode == "asking" or key.startswith(PREFIX)):
            return await self._by_key(request, key)
        for token in cookies(request) if mode == "asking" else ():
            if (found := await self._door.by_token(token)) is not None:
                return found
        if mode == "open" and (self._door.asks_nobody or not came_through_proxy(request)):
            return Who(kind="open", user_id=OWNER_ID, scopes=EVERYTHING)
        return None

    async def _by_key(self, request: HTTPScope, key: str) -> Who:
        """Raises BadKey; TooMany: it was wrong too often."""
        try:
            return await self._door.by_key(key)
        except BadKey:
            network = network_of(client_address(request, self._config))
            if (wait_s := self._limits.take("bad_key", network)) is not None:
                raise TooMany("Too many keys that let nobody in.", retry_after_s=wait_s) from None
            raise


def who(request: HttpRequest) -> Who:
    """Who asks. Raises NotSignedIn: a stranger, where strangers may come."""
    if (found := known(request)) is None:
        raise NotSignedIn
    return found


def known(request: HttpRequest) -> Who | None:
    """Who asks; None for a stranger, and where nobody was looked at."""
    found: Who | None = request.scope["state"].get("who")
    return found


def came_in(request: HttpRequest, user_id: str, session_id: str) -> None:
    """Somebody has just signed in: from here on the request is theirs, and the log of changes says so."""
    request.scope["state"]["who"] = Who(kind="owner", user_id=user_id, session_id=session_id, scopes=EVERYTHING)


def need(request: HttpRequest, scope: ScopeOf) -> None:
    """What a handler asks for beyond its route. Raises NotAllowed."""
    if not who(request).may(scope):
        raise _lacks(scope)


def came_through_proxy(request: HTTPScope) -> bool:
    """Whether something before us says for whom it asks: then that is not this machine, whatever the connection is."""
    return any(name.lower() in _HOPS for name, _ in request["headers"])


def is_local(request: HTTPScope) -> bool:
    """Whether a browser on this machine asks, without https."""
    host, _ = split_host(_header(request, b"host"))
    return is_loopback(host) and not came_through_proxy(request)


def cookies(request: HTTPScope, *, of: str = "") -> list[str]:
    """Of sessions, out of the cookies. The name without the prefix could be set by a neighbour: it counts here only.

    Args:
        of: DEVICE: those of devices.
    """
    names = [name + of for name in ((COOKIE, LOCAL_COOKIE) if is_local(request) else (COOKIE,))]
    pairs = [one.strip().partition("=") for one in _header(request, b"cookie").split(";")]
    found = [value for name, _, value in pairs if name in names and value]
    return found[:_MOST_COOKIES]  # each is looked up, for strangers too, before anything is counted


def is_near(request: Scope) -> bool:
    """Whether a program on this machine asks, or what stands before us without saying so."""
    client = cast(HTTPScope, request)["client"]
    return client is not None and is_loopback(client[0]) and not came_through_proxy(cast(HTTPScope, request))


def _refuse(request: HTTPScope, somebody: Who | None, asked: Need, mode: Mode) -> str | None:
    """Where to send a browser instead; None when it may come in. Raises what is answered to others."""
    if somebody is None:
        if _is_navigation(request):
            return "/setup" if mode == "setup" else f"/login?next={quote(request['path'])}"
        raise NotSetUp if mode == "setup" else NotSignedIn
    if asked == "owner":
        if somebody.kind == "key":
            raise NotAllowed("No key may do this.", hint="Sign in with a browser.")
    elif asked != "nothing" and asked != "anybody" and not somebody.may(asked):
        raise _lacks(asked)
    if somebody.kind == "owner" and request["method"] not in _SAFE and not _says_where_from(request):
        # web/guard.py has looked at what is said; a cookie is believed only where something is
        raise CrossSite("The browser does not say which page asks.")
    return None


def _lacks(scope: ScopeOf) -> NotAllowed:
    return NotAllowed(f"This key lacks the scope {scope}.", hint=f"`vidprod keys add NAME --scope {scope}` makes one.")


def _says_where_from(request: HTTPScope) -> bool:
    return bool(_header(request, b"sec-fetch-site") or _header(request, b"origin"))


def _is_navigation(request: HTTPScope) -> bool:
    """Whether a person waits for a page."""
    if request["method"] not in ("GET", "HEAD"):
        return False
    mode = _header(request, b"sec-fetch-mode")
    return mode == "navigate" if mode else "text/html" in _header(request, b"accept")


def _bearer(request: HTTPScope) -> str | None:
    kind, _, text = _header(request, b"authorization").partition(" ")
    return text.strip() if kind.lower() == "bearer" else None


def _header(request: HTTPScope, wanted: bytes) -> str:
    """The first of that name; "" when there is none."""
    for name, value in request["headers"]:
        if name.lower() == wanted:
            return value.decode("latin-1")
    return ""


async def _send_to(place: str, send: Send) -> None:
    headers = [(b"location", place.encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
