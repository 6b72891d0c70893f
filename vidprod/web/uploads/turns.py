"""One request at a time for each upload, and the newest wins.

A phone that lost its network resumes on another, while the old connection still looks alive from here: what holds the
upload is told to stop, keeps what it has, and leaves. In memory: one process serves an upload.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from vidprod.errors import BadRequest, VidProdError

_LONGEST_S = 20.0  # that a request which was told to stop may still take; a second or two for what it has to sync


class Interrupted(BadRequest):
    """A newer request for this upload came."""  # not a conflict: clients try again after those, and would take turns

    code = "interrupted"
    hint = "What arrived was kept; the newer request goes on with it."


class Busy(VidProdError):
    """Another request for this upload does not come to its end."""

    code = "upload_busy"
    status = 423
    hint = "Ask again in a few seconds."


class Turn:
    """A request's hold on an upload."""

    def __init__(self) -> None:
        self.is_cut = False
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stop: Callable[[], None] | None = None

    def stops_by(self, stop: Callable[[], None]) -> None:
        """What ends it when a newer request comes. Raises Interrupted when one came already."""
        if self.is_cut:
            raise Interrupted
        self._stop = stop

    def cut(self) -> None:
        self.is_cut = True
        if self._stop is not None:
            self._stop()

    def leave(self) -> None:
        if not self.left.done():
            self.left.set_result(None)


class Turns:
    """Who holds which upload."""

    def __init__(self) -> None:
        self._last: dict[str, Turn] = {}  # the newest of each: it waits for the one before it, and so on

    @asynccontextmanager
    async def take(self, upload_id: str) -> AsyncIterator[Turn]:
        """Hold an upload. Who held it, or waited for it, is told to stop.

        Raises:
            Interrupted: a newer request came while this one waited.
            Busy: who holds it does not leave.
        """
        turn, before = Turn(), self._last.get(upload_id)
        self._last[upload_id] = turn
        try:
            if before is not None:
                before.cut()
                await asyncio.wait({before.left}, timeout=_LONGEST_S)
                if turn.is_cut:
                    raise Interrupted
                if not before.left.done():
                    raise Busy
            yield turn
        finally:
            if before is None or before.left.done():
                self._end(upload_id, turn)
            else:  # it gave up waiting: whoever comes next waits for the one before it
                before.left.add_done_callback(lambda _: self._end(upload_id, turn))

    def _end(self, upload_id: str, turn: Turn) -> None:
        turn.leave()
        if self._last.get(upload_id) is turn:
            del self._last[upload_id]
