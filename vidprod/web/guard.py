"""What protects the browser's user: no changes asked for by other sites, and headers that forbid what we never do."""

from typing import cast
from urllib.parse import urlsplit

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from vidprod.errors import BadRequest

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = frozenset({"same-origin", "none"})  # none: typed, or from a bookmark

_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob: data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",  # unless an answer says otherwise
}


class CrossSite(BadRequest):
    """Another site asked for this."""

    code = "cross_site"
    status = 403
    hint = "Use VidProd's own page, or a script without browser headers."


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
    return origin is None or urlsplit(origin).netloc == headers.get(b"host")


async def add_headers(message: Message, scope: Scope) -> None:
    """Before each answer is sent: every header it does not set itself."""
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
