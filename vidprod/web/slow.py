"""A small body has to be here soon. Uploads have a rule of their own, in `web/uploads/body.py`: they may take hours.

Without it a client that sends a form of a hundred bytes at one a minute holds a connection and a task for as long as it
likes, and it needs no account for that: signing in is a form too.
"""

import asyncio
from typing import cast

from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Receive, Scope, Send

from vidprod.web.uploads.body import TooSlow

WITHIN_S = 30.0  # 128 KiB, the largest, over the slowest of phone networks, is 13 s

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


class EndSlowBodies(ASGIMiddleware):
    """Of every handler that has its body limited; those that take any length see to it themselves."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, *, within_s: float = WITHIN_S) -> None:
        self._within_s = within_s

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """The handler's next look at the body raises TooSlow."""
        request = cast(HTTPScope, scope)  # `scopes` says so
        handler = cast(HTTPRouteHandler, request["route_handler"])
        if request["method"] not in _BODILESS and handler.resolve_request_max_body_size() is not None:
            receive = self._in_time(receive)
        await next_app(scope, receive, send)

    def _in_time(self, receive: Receive) -> Receive:
        until_s = asyncio.get_running_loop().time() + self._within_s
        is_here = False

        async def receive_in_time() -> HTTPReceiveMessage:
            nonlocal is_here
            if is_here:  # who asks now wants to know whether the client has gone
                return cast(HTTPReceiveMessage, await receive())
            try:
                async with asyncio.timeout_at(until_s):
                    message = cast(HTTPReceiveMessage, await receive())
            except TimeoutError as error:
                raise TooSlow(f"The body was not here within {self._within_s:g} s.") from error
            is_here = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        return cast(Receive, receive_in_time)
