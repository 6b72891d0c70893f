"""What protects the browser's user: no other site reads or changes anything, and headers forbid what we never do."""

from collections.abc import Awaitable, Callable, Iterable
from typing import cast

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from vidprod.config import Config
from vidprod.errors import BadRequest, VidProdError
from vidprod.hosts import address_of, is_localhost, split_host
from vidprod.web.client import scheme

# Orchestrators and collectors ask by names of their own, or by none, and there is nothing private in the answers.
_FOR_ANY_HOST = frozenset({"/health", "/ready", "/metrics"})

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = frozenset({"same-origin", "none"})  # none: typed, or from a bookmark

# blob: a take that was chosen tells the page how long it is before any of it is sent
POLICY = (
    "default-src 'self'; media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)

_HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",  # unless an answer says otherwise
}


_ONLY_HTTPS = f"max-age={365 * 86_400}"  # not for names below this one: they may be somebody else's


class CrossSite(BadRequest):
    """Another site asked for this."""

    code = "cross_site"
    status = 403
    hint = "Use VidProd's own page, or a script without browser headers."


class UnknownHost(VidProdError):
    """The request is for a host that is not this one."""

    code = "unknown_host"
    status = 421
    hint = "If it is this one, add the name to the setting `hosts` (VIDPROD_HOSTS=name,other); `*` takes any."


class RefuseOtherHosts(ASGIMiddleware):
    """Requests are for a name of ours, for this machine, or for an address.

    A site whose name is made to point here after its page was loaded (DNS rebinding) is this daemon's own origin to
    the browser: it may read everything, and Sec-Fetch-Site says "same-origin". Only the Host header tells: the
    browser sends the site's name. An address cannot be rebound.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, names: Iterable[str]) -> None:
        """
        Args:
            names: by which it is reached, besides localhost and addresses; "*" is any.
        """
        self._names = frozenset(name.lower() for name in names if name)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        request = cast(HTTPScope, scope)  # `scopes` says so
        if "*" not in self._names and request["path"] not in _FOR_ANY_HOST:
            for name, value in request["headers"]:  # a browser always sends one; what sends none is none
                if name.lower() == b"host" and not self._is_ours(host := value.decode("latin-1")):
                    raise UnknownHost(f"This daemon is not known as {host[:100]!r}.")
        await next_app(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        name, _ = split_host(host)
        return name in self._names or is_localhost(name) or address_of(name) is not None


class RefuseOtherSites(ASGIMiddleware):
    """Methods that change something are for our own page and for scripts.

    Source: OWASP, Cross-Site Request Forgery Prevention, "Fetch Metadata headers", with Origin where a browser is too
    old to send them. A page on another port of this machine is "same-site": it is not ours either.
    """

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        request = cast(HTTPScope, scope)  # `scopes` says so
        if request["method"] not in _SAFE and not _is_ours(request):
            raise CrossSite
        await next_app(scope, receive, send)


def _is_ours(scope: HTTPScope) -> bool:
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site in _OURS
    origin = headers.get(b"origin")
    return origin is None or origin.partition("://")[2] == headers.get(b"host")


def headers(config: Config) -> Callable[[Message, Scope], Awaitable[None]]:
    """What adds, before each answer is sent, every header it does not set itself."""

    async def add(message: Message, scope: Scope) -> None:
        if message["type"] == "http.response.start":
            of_answer = MutableScopeHeaders.from_message(message)
            for name, value in _HEADERS.items():
                of_answer.setdefault(name, value)
            if scheme(scope, config) == "https":
                of_answer.setdefault("strict-transport-security", _ONLY_HTTPS)

    return add
