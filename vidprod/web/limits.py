"""How often each client may ask, and how many uploads it may send at once. Where nobody is asked who he is, as often
as he likes.

A client is a key, else a session, else an address. What the owner's page does in its normal use is far below its limit,
and what only moves bytes, ranges of media and the pieces of an upload, is counted apart: a video that is sought through
must not use up what its buttons need.
"""

import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from vidprod.config import Config
from vidprod.domain.bucket import Buckets, Rule
from vidprod.domain.who import Who
from vidprod.errors import TooMany
from vidprod.web.client import client_address, network_of

_MINUTE_S, _HOUR_S = 60.0, 3600.0

# by route, as a method and the path with names in place of what differs
_FREE = frozenset({"GET /health", "GET /ready"})  # whoever runs us asks there, and would end a daemon that says no
_SHELL = frozenset(
    {"GET /", "GET /static/{path}", "GET /sw.js", "GET /favicon.ico"}
    | {"GET /login", "GET /setup", "GET /docs", "GET /docs/style.css", "GET /docs/{path}"}
)
_TRANSFERS = frozenset(
    {"GET /v1/segments/{segment_id}/{kind}", "GET /v1/jobs/{job_id}/segments.zip", "GET /v1/events/stream"}
    | {"GET /files/{upload_id}", "PATCH /files/{upload_id}", "POST /files/{upload_id}"}  # POST: for a PATCH
)
_PUBLIC = frozenset({"GET /public/{name}"})
_UPLOADS = frozenset({"POST /upload", "PUT /upload", "PUT /upload/{name}", "POST /files", "POST /share"})
_SENDING = _UPLOADS | {"PATCH /files/{upload_id}", "POST /files/{upload_id}"}

_AGAIN_S = 5  # after which a client that sends too many uploads at once may try


def rules(config: Config) -> dict[str, Rule]:
    """Every rule by its name, with the settings' numbers; what a setting switches off is not in it."""
    key, uploads = config.requests_per_min, config.uploads_per_min
    found = {
        # measured: 30 takes with 300 segments that are finished within 14 s make the page ask 50 times
        "session": Rule(quota=1200, window_s=_MINUTE_S, burst=600),
        # of an address; loading the page asks for 58 files of its own
        "page": Rule(quota=2400, window_s=_MINUTE_S, burst=1600),
        "transfer": Rule(quota=6000, window_s=_MINUTE_S, burst=1000),
        "public": Rule(quota=600, window_s=_MINUTE_S, burst=200),  # of an address: one video makes a dozen ranges
        "stranger": Rule(quota=60, window_s=_MINUTE_S, burst=60),  # of an address
        "login": Rule(quota=5, window_s=_MINUTE_S, burst=5),  # of a name and an address
        "account": Rule(quota=20, window_s=_HOUR_S, burst=20),  # of a name, from everywhere
        "setup": Rule(quota=5, window_s=_MINUTE_S, burst=5),  # of an address
        "strangers_told": Rule(quota=100, window_s=_HOUR_S, burst=100),  # of all: rows of wrong tries to sign in
        "bad_key": Rule(quota=10, window_s=_MINUTE_S, burst=10),  # of an address
    }
    if key:
        found["key"] = Rule(quota=key, window_s=_MINUTE_S, burst=max(1, key // 2))
    if uploads:
        found["uploads"] = Rule(quota=uploads, window_s=_MINUTE_S, burst=uploads)
        found["page_uploads"] = Rule(quota=uploads * 4, window_s=_MINUTE_S, burst=uploads * 4)  # a whole gallery
    return found


class Limits:
    """What each client has used up. One for the application, in memory: a restart forgets it."""

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets = {name: Buckets(rule) for name, rule in rules(config).items()}

    def take(self, name: str, key: str) -> float | None:
        """Count one more by the rule `name`. After how many seconds to come again; None: it may be done now."""
        buckets = self._buckets.get(name)
        return None if buckets is None else buckets.take(key, now_s=self._clock()) or None

    def wait_s(self, name: str, key: str) -> float | None:
        """As `take`, without counting."""
        buckets = self._buckets.get(name)
        return None if buckets is None else buckets.wait_s(key, now_s=self._clock()) or None

    def told(self, name: str, key: str) -> tuple[str, str] | None:
        """How it stands, for RateLimit-Policy and RateLimit; None: there is no such limit.

        Source: draft-ietf-httpapi-ratelimit-headers-10: a policy's name with its quota `q` and window `w`, and how
        many remain, `r`, of which none is used any more after `t` seconds.
        """
        buckets = self._buckets.get(name)
        if buckets is None:
            return None
        rule, now_s = buckets.rule, self._clock()
        left, full_in_s = buckets.left(key, now_s=now_s), math.ceil(buckets.full_in_s(key, now_s=now_s))
        return f'"{name}";q={rule.quota:g};w={rule.window_s:g}', f'"{name}";r={left};t={full_in_s}'

    def most(self, name: str) -> str:
        """A rule in words."""
        rule = self._buckets[name].rule
        return f"{rule.quota:g} requests in {rule.window_s:g} s, and {rule.burst} at once"

    @property
    def clients(self) -> int:
        """Clients that are remembered, by all rules together."""
        return sum(len(buckets) for buckets in self._buckets.values())


class Limit(ASGIMiddleware):
    """Refuses what is too much. It stands behind the one that says who asks."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, limits: Limits, config: Config, mode: Callable[[], Awaitable[str]]) -> None:
        """
        Args:
            mode: "open" where nobody is asked who he is.
        """
        self._limits = limits
        self._config = config
        self._mode = mode
        self._sending: dict[str, int] = {}  # uploads under way, by client

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Raises TooMany."""
        request = cast(HTTPScope, scope)  # `scopes` says so
        route = _route(request)
        if route in _FREE or await self._mode() == "open":
            await next_app(scope, receive, send)
            return
        who, network = request["state"].get("who"), network_of(client_address(request, self._config))
        client = _client(who, network)
        told = request["state"][_TOLD] = []
        for name, key in _counted(route, who, network):
            wait_s = self._limits.take(name, key)
            if (state := self._limits.told(name, key)) is not None:
                told.append(state)
            if wait_s is not None:
                raise TooMany(f"More than {self._limits.most(name)}.", retry_after_s=wait_s)
        if route not in _SENDING:
            await next_app(scope, receive, send)
            return
        self._begin(client)
        try:
            await next_app(scope, receive, send)
        finally:
            self._end(client)

    def _begin(self, client: str) -> None:
        limit = self._config.max_uploads_per_client
        under_way = self._sending.get(client, 0)
        if under_way >= limit:
            raise TooMany(
                f"{under_way} uploads of yours are under way, the most of one client at once.",
                code="too_many_uploads",
                retry_after_s=_AGAIN_S,
            )
        self._sending[client] = under_way + 1

    def _end(self, client: str) -> None:
        left = self._sending[client] - 1
        if left:
            self._sending[client] = left
        else:
            del self._sending[client]


async def add_headers(message: Message, scope: Scope) -> None:
    """Before each answer is sent: how what was counted stands."""
    told: list[tuple[str, str]] = scope.get("state", {}).get(_TOLD, [])
    if message["type"] == "http.response.start" and told:
        headers = MutableScopeHeaders.from_message(message)
        headers["RateLimit-Policy"] = ", ".join(policy for policy, _ in told)
        headers["RateLimit"] = ", ".join(state for _, state in told)


_TOLD = "rate_limits"


def _counted(route: str, who: Who | None, network: str) -> list[tuple[str, str]]:
    """By which rules a request counts, and for whom."""
    client = _client(who, network)
    if route in _SHELL:
        return [("page", network)]
    if route in _PUBLIC:
        return [("public", network)]
    if who is None:
        return [("stranger", network)]
    if route in _TRANSFERS:
        return [("transfer", client)]
    if who.kind == "key":
        return [("key", client), *([("uploads", client)] if route in _UPLOADS else [])]
    return [("session", client), *([("page_uploads", client)] if route in _UPLOADS else [])]


def _client(who: Who | None, network: str) -> str:
    return network if who is None else who.key_id or who.session_id or network


def _route(request: HTTPScope) -> str:
    method: str = request["method"]
    path: Any = request.get("path_template", "")
    return f"{'GET' if method == 'HEAD' else method} {path.rstrip('/') or '/'}"
