"""How simulators are reached, in this process or over HTTP, and how a connection to them breaks.

A handler that raises `Broken` leaves its caller without an answer: in this process `SimTransport` makes httpx's read
error of it, over HTTP the connection is closed before the answer was whole.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Receive, Scope, Send

from vidprod.platforms.simulators.world import Broken

MOST_BYTES = 1 << 40  # of a request: what is too large is for each platform to say


def application(handlers: Sequence[HTTPRouteHandler], *, over_http: bool = False) -> Litestar:
    """An application of simulators that breaks connections off: no 500 is made of it.

    Args:
        over_http: served by a web server; else reached by `SimTransport`.
    """
    breaks = _Close if over_http else _Raise
    return Litestar(
        list(handlers),
        exception_handlers={Broken: lambda _, __: breaks(content=b"")},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=MOST_BYTES,
        state=State({"stopping": asyncio.Event()}),
    )


class SimTransport(httpx.AsyncBaseTransport):
    """An application in this process, as httpx sees a server: a broken connection is a read error."""

    def __init__(self, app: Litestar) -> None:
        self._inner = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # ASGI's types, spelt otherwise

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._inner.handle_async_request(request)
        except Broken:
            raise httpx.ReadError("the connection broke", request=request) from None

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Raise(Response[bytes]):
    """No answer: the error again, where no handler of errors is left to make an answer of it."""

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]
        raise Broken


class _Close(Response[bytes]):
    """An answer that ends before its time: the web server has to close the connection."""

    def to_asgi_response(self, request: Request[Any, Any, Any], **_: Any) -> ASGIApp:  # type: ignore[override]
        return _half


async def _half(scope: Scope, receive: Receive, send: Send) -> None:
    headers = [(b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 502, "headers": headers})
    await send({"type": "http.response.body", "body": b" ", "more_body": True})
