"""How simulators are reached, in this process or over HTTP, and how a connection to them breaks.

A handler that raises `Broken` leaves its caller without an answer: `SimTransport` makes a read error of it as httpx
does, and whoever serves the application over HTTP closes the socket.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, NoReturn

import httpx
from litestar import Litestar, Request, Response
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler

from vidprod.platforms.simulators.world import Broken

MOST_BYTES = 1 << 40  # of a request: what is too large is for each platform to say


def application(handlers: Sequence[HTTPRouteHandler]) -> Litestar:
    """An application of simulators that lets a broken connection out, whole: no 500 is made of it."""
    return Litestar(
        list(handlers),
        exception_handlers={Broken: _broken},
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


class _Break(Response[bytes]):
    """No answer: an error as soon as it shall be sent, when no handler of errors is left to make an answer of it."""

    def to_asgi_response(self, *_: Any, **__: Any) -> NoReturn:
        raise Broken


def _broken(_: Request[Any, Any, Any], __: Exception) -> Response[bytes]:
    return _Break(content=b"")
