"""A request's body, piece by piece: a client that falls silent or goes away is told apart from one that is done."""

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType

from vidprod.errors import BadRequest, TooLarge
from vidprod.web.desk import HttpRequest
from vidprod.web.uploads.turns import Interrupted

MIN_BYTES_PER_SECOND = 1024  # a tenth of what EDGE, the slowest of phone networks, carries
_WINDOW = 2.0  # times the longest silence, so that one pause alone does not make a sender too slow


class ClientGone(BadRequest):
    """The request's body ended early or is malformed."""  # read by who sent a bad chunk, or closed its sending half

    code = "client_gone"
    hint = "Send the file again."


class TooSlow(BadRequest):
    """The client sent nothing, or next to nothing, for too long."""

    code = "too_slow"
    status = 408
    hint = "Check the connection, then send the file again."


class Body:
    """Iterate to read it, once."""

    def __init__(self, request: HttpRequest, *, read_timeout_s: float, max_bytes: int) -> None:
        """
        Args:
            read_timeout_s: longest silence.
            max_bytes: of the whole body; chunked bodies say their length nowhere else.
        """
        self.size = 0
        self._receive = request.receive
        self._max_bytes = max_bytes
        self._silence = _Silence(read_timeout_s)
        self._window_s = _WINDOW * read_timeout_s
        self._window_began = (0.0, 0)  # seconds waited, and bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """
        Raises:
            ClientGone: it disconnected, or sent a chunk that is none: the server says the same of both.
            TooSlow: no byte came within the read timeout, or too few within the window.
            TooLarge: more came than `max_bytes`.
            Interrupted: it was cut.
        """
        receive, silence = self._receive, self._silence
        with silence:
            while True:
                silence.begins()
                message = await receive()
                silence.ends()
                if message["type"] != "http.request":
                    raise ClientGone
                if piece := message["body"]:
                    self.size += len(piece)
                    if self.size > self._max_bytes:
                        raise TooLarge(f"The request is larger than {self._max_bytes} bytes.")
                    if silence.waited_s - self._window_began[0] >= self._window_s:
                        self._end_window()
                    yield piece
                if not message["more_body"]:
                    return
                del message, piece  # 128 KiB of each upload, if they were held until the next one comes

    def cut(self) -> None:
        """End the reading, at once where it waits for the client."""
        self._silence.cut()

    def _end_window(self) -> None:
        """A client that sends a byte now and then would hold one of the places for uploads for ever. Only the average
        counts: phones pause for tens of seconds. And only the time that was spent waiting for it: not when we write.
        """
        (waited_s, size), self._window_began = self._window_began, (self._silence.waited_s, self.size)
        seconds, came = self._silence.waited_s - waited_s, self.size - size
        if came < seconds * MIN_BYTES_PER_SECOND:
            raise TooSlow(f"{came} bytes came in {seconds:.3g} s; at least {MIN_BYTES_PER_SECOND} a second must.")


class _Silence:
    """Ends the task's wait when it lasts too long. As `asyncio.timeout` around each read, but with one timer for all
    of them: there are thousands, and what is spent on each is the upload's speed."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._loop = asyncio.get_running_loop()
        self._since: float | None = None
        self.waited_s = 0.0  # in all
        self._ended_it = False
        self._is_cut = False

    def begins(self) -> None:
        if self._is_cut:
            raise Interrupted
        self._since = self._loop.time()

    def ends(self) -> None:
        assert self._since is not None
        self.waited_s += self._loop.time() - self._since
        self._since = None

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._timer = self._loop.call_later(self._limit_s, self._look)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._timer.cancel()
        if self._ended_it and isinstance(error, asyncio.CancelledError):
            assert self._task is not None
            if self._task.uncancel() == 0:  # else somebody else wants it to end too
                raise Interrupted if self._is_cut else TooSlow(f"No byte came for {self._limit_s:g} s.") from error

    def cut(self) -> None:
        self._is_cut = True
        if self._since is not None and not self._ended_it:
            self._end()

    def _look(self) -> None:
        now = self._loop.time()
        since = now if self._since is None else self._since  # None: it is us who are slow
        if now < since + self._limit_s:
            self._timer = self._loop.call_at(since + self._limit_s, self._look)
        elif not self._ended_it:
            self._end()

    def _end(self) -> None:
        self._ended_it = True
        assert self._task is not None
        self._task.cancel()


def content_length(request: HttpRequest) -> int | None:
    """The announced length of the body; None when it is chunked. Raises BadRequest when it is no number."""
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(f"Content-Length is {text[:30]!r}, not a number.")
    return int(text)
