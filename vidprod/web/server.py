"""The HTTP server: Granian, in the daemon's own event loop. All that is particular to it is in this file.

Chosen by running Granian 2.8 (`granian.server.embed`, labelled experimental) and uvicorn 0.54 (httptools, uvloop)
with the same application on two cores:

- One 500 MB PUT to the disk, with fsync: 595 to 615 MB/s on Granian, 430 to 570 on uvicorn (nginx, without fsync:
  345 to 430). Granian parses HTTP in a thread of its own without the interpreter's lock.
- 50 uploads at once: as fast as each other; at most 73 MB resident on Granian, 70 on uvicorn. Granian needs
  `max_buffer_size` for that: its default of 400 kB a connection made 131 MB.
- An upload refused in the middle: on Granian a request may read on after its answer, so that the rest is thrown
  away to a limit of ours and then the connection ends. uvicorn swallows all of it, however long.
- A client that leaves a download: Granian raises at the next `send`; uvicorn lets the generator run to its end.
- A client that connects and says nothing: Granian ends it (`header_read_timeout`); uvicorn waits for ever.
- SIGTERM with an open event stream: both wait for it, uvicorn up to its own timeout, Granian without end. So streams
  end first (`app.state.stopping`), and requests that outlast the drain are cancelled here.
"""

import asyncio
import contextlib
import math
import resource
import socket
from collections.abc import Callable
from typing import Any, Protocol, cast

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server
from litestar.datastructures import State
from litestar.types import HTTPReceiveMessage, HTTPRequestEvent, HTTPScope, Message, Receive, Send

from vidprod.telemetry import log

_BACKLOG = 1024
_MOST_CONNECTIONS = 1024
_FILES = 320  # descriptors for uploads, media, the database and children, above what counts as few
_HEADER_READ_TIMEOUT_MS = 30_000
_BUFFER_BYTES = 128 << 10  # of each connection; also the largest piece of a body that the application sees
_CANCELLED_WITHIN_S = 1.0  # what is cancelled may still remove its file
_LINGER_BYTES = 64 << 20  # of a body that was refused
_LINGER_S = 20.0
_LINGER_SILENCE_S = 2.0
_DONE_SILENCE_S = 20.0  # of a body that was answered well before its end
_GIVEN_UP = (
    b'{"type":"about:blank","title":"Service Unavailable","status":503,"code":"unavailable",'
    b'"detail":"%s","hint":"Try again in a few seconds."}'
)

# Granian's own dictionary would print to stdout; this one only sets a level, and its lines go where ours go.
_LOGGING: dict[str, Any] = {"incremental": True, "handlers": {}, "formatters": {}, "loggers": {}}

_log = log.get(__name__)


class Application(Protocol):
    """What is served. Streams end when its `state.stopping` is set."""

    @property
    def state(self) -> State: ...

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send, /) -> None: ...


async def serve(
    app: Application,
    host: str,
    port: int,
    ready: Callable[[int], None],
    stop: asyncio.Event,
    *,
    drain_s: float = 8.0,
) -> None:
    """Answer requests until `stop` is set, then let those under way end.

    Args:
        port: 0 takes a free one.
        ready: called with the port once connections are taken.
        drain_s: how long answers and uploads under way may still take after `stop`; then they are cancelled.
    Raises:
        OSError: the address cannot be listened on.
    """
    requests = _Requests(app)
    with _listen(host, port) as listener:
        server = _Embedded(requests, listener)
        serving = asyncio.create_task(server.serve(), name="http")
        try:
            await _either(serving, server.started)
            if not serving.done():
                ready(listener.getsockname()[1])
                await _either(serving, stop)
        finally:
            app.state.stopping.set()
            server.stop()  # type: ignore[no-untyped-call]
            await _drain(serving, requests, drain_s=drain_s)
        if serving.done():
            serving.result()


async def _either(serving: "asyncio.Task[None]", event: asyncio.Event) -> None:
    """Until the event is set, or the server ended by itself."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


async def _drain(serving: "asyncio.Task[None]", requests: "_Requests", *, drain_s: float) -> None:
    await asyncio.wait({serving}, timeout=drain_s)
    if not serving.done():
        _log.warning("requests cancelled at shutdown", count=requests.cancel(), drain_s=drain_s)
        await asyncio.wait({serving}, timeout=_CANCELLED_WITHIN_S)
    await requests.end()


def _listen(host: str, port: int) -> socket.socket:
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


class _Requests:
    """The application, with the requests that are under way: Granian keeps no list, and cannot cancel."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._tasks: set[asyncio.Task[Any]] = set()
        self._cancelled = False

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        exchange = _Exchange(scope, receive, send)
        try:
            await self._app(scope, exchange.receive, exchange.send)
            await exchange.linger()
        except asyncio.CancelledError as error:
            if self._cancelled:
                await exchange.give_up(b"The daemon is stopping.")
            elif exchange.started:
                raise
            else:  # what it waited for was cancelled, not the request: Granian would answer a bare 500, without a line
                _log.error(
                    "request ended without an answer", method=scope["method"], path=scope["path"], exc_info=error
                )
                await exchange.give_up(b"The request ended without an answer.")
        finally:
            exchange.close()
            self._tasks.discard(task)

    def cancel(self) -> int:
        self._cancelled = True
        for task in self._tasks:
            task.cancel()
        return len(self._tasks)

    async def end(self) -> None:
        """Granian may end while a request that was answered still waits for its client to leave."""
        if tasks := set(self._tasks):
            self.cancel()
            await asyncio.wait(tasks, timeout=_CANCELLED_WITHIN_S)


class _Exchange:
    """One request and its answer, and how far both are.

    The body is read one piece ahead: Granian begins to read when `receive` is called, not when it is awaited, and a
    piece passes through three threads. So it comes while the application writes the one before. Never two ahead:
    Granian does not promise their order.
    """

    def __init__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._ahead: asyncio.Future[Any] | None = None
        self._read = False
        self.started = False
        self._ended = scope["method"] in ("GET", "HEAD")
        self._well = False  # answered with 2xx

    async def receive(self) -> HTTPReceiveMessage:
        reading, self._ahead = self._ahead or self._receive(), None
        try:
            message = cast(HTTPReceiveMessage, await reading)
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            message = {"type": "http.disconnect"}  # Granian gave the connection up: it ends what waits for it this way
        self._read = True
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._ended = True
        else:
            self._ahead = asyncio.ensure_future(self._receive())
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self._well = 200 <= message["status"] < 300
        await self._send(message)

    async def linger(self) -> None:
        """Read on after an early answer. A connection closed on unread bytes is reset, and a reset may overtake the
        answer: curl would say "connection reset" and a browser would show no reason.

        What was refused is read to a limit. What was done already, a repeated upload, is read to its end: the client
        has nothing to mend, and what it made of a reset it would only send again.
        """
        if self._ended or self._waits_to_be_asked():
            return
        with contextlib.suppress(TimeoutError):
            if self._well:
                await self._read_on(silence_s=_DONE_SILENCE_S)
            else:
                async with asyncio.timeout(_LINGER_S):
                    await self._read_on(silence_s=_LINGER_SILENCE_S, limit=_LINGER_BYTES)

    async def _read_on(self, *, silence_s: float, limit: float = math.inf) -> None:
        left = limit
        while left > 0 and not self._ended:
            async with asyncio.timeout(silence_s):
                message = await self.receive()
            left -= len(cast(HTTPRequestEvent, message).get("body", b""))

    async def give_up(self, reason: bytes) -> None:
        """The request will not be done, at least now: say so, if nothing was said yet."""
        if self.started:
            return
        body = _GIVEN_UP % reason
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"retry-after", b"5"),
        ]
        with contextlib.suppress(RuntimeError):  # of Granian: nobody is there any more
            await self._send({"type": "http.response.start", "status": 503, "headers": headers})
            await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def close(self) -> None:
        """Nobody asks any more."""
        if self._ahead is not None:
            self._ahead.cancel()

    def _waits_to_be_asked(self) -> bool:
        """`Expect: 100-continue`, and nobody asked for the body: none comes."""
        return not self._read and any(name.lower() == b"expect" for name, _ in self._scope["headers"])


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _places() -> int:
    """How many connections may be open at once: never so many that no file can be opened any more."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(most // 3, min(_MOST_CONNECTIONS, most - _FILES))


class _Embedded(Server):
    """Granian on a socket of ours: bound before it starts, so that a port in use is told at once and 0 is known."""

    def __init__(self, target: Any, listener: socket.socket) -> None:
        super().__init__(
            target,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backlog=_BACKLOG,
            backpressure=_places(),
            runtime_threads=1,
            runtime_blocking_threads=1,
            http1_settings=HTTP1Settings(
                header_read_timeout=_HEADER_READ_TIMEOUT_MS,
                max_buffer_size=_BUFFER_BYTES,
            ),
            log_level=LogLevels.error,
            log_dictconfig=_LOGGING,
        )
        self.started = asyncio.Event()
        self._listener = listener

    def _init_shared_socket(self) -> None:
        # Granian closes what it is given, so it gets a descriptor of its own
        holder: Any = SocketHolder  # its stub leaves its arguments out
        self._shd: Any = holder(self._listener.dup().detach(), False, _BACKLOG)

    def startup(self, spawn_target: Any, target_loader: Any) -> None:
        super().startup(spawn_target, target_loader)  # type: ignore[no-untyped-call]
        asyncio.get_running_loop().call_soon(self.started.set)
