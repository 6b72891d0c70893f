"""The feed: after each commit it hands events to those who listen, and nudges the services. No SQLite in this room."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from vidprod.domain.event import Event


class ProgressNote(msgspec.Struct, frozen=True, kw_only=True):
    """How far a step is. Transient: never stored, and only the latest of a job's step is kept for a slow reader."""

    job_id: str
    data: dict[str, Any]


class Subscription:
    """What one listener has yet to read, in the order of the commits: `async for item in subscription`.

    It ends when the feed closes, or when the listener fell too far behind (`overflowed`); who resumes reads the
    events after its last id from the store.
    """

    def __init__(self, *, job_id: str | None, limit: int) -> None:
        self.overflowed = False
        self._job_id = job_id
        self._limit = limit
        self._waiting: deque[Event | tuple[str, str]] = deque()  # events, and keys of notes
        self._notes: dict[tuple[str, str], ProgressNote] = {}
        self._closed = False
        self._changed = asyncio.Event()

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Event | ProgressNote:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        item = self._waiting.popleft()
        return item if isinstance(item, Event) else self._notes.pop(item)

    def _wants(self, job_id: str | None) -> bool:
        return not self._closed and self._job_id in (None, job_id)

    def _offer_event(self, event: Event) -> None:
        if not self._wants(event.job_id):
            return
        if len(self._waiting) >= self._limit:
            self._overflow()
            return
        self._waiting.append(event)
        self._changed.set()

    def _offer_note(self, note: ProgressNote) -> None:
        if not self._wants(note.job_id):
            return
        key = (note.job_id, str(note.data.get("step", "")))
        if key not in self._notes:
            if len(self._waiting) >= self._limit:
                return  # the next note says more than this one
            self._waiting.append(key)
        self._notes[key] = note
        self._changed.set()

    def _overflow(self) -> None:
        self.overflowed = True
        self._waiting.clear()  # a gap must not look like an end: nothing after it is handed out
        self._notes.clear()
        self._close()

    def _close(self) -> None:
        self._closed = True
        self._changed.set()


class Feed:
    """Everything here runs on the event loop.

    `nudge` is set whenever a task became available, now or at a later time; `publishing` whenever a publication or an
    account changed; `delivering` whenever a delivery became due; `pushing` whenever somebody is to be told something.
    Each is meant for one waiter, which clears it before it looks into its table.
    """

    def __init__(self) -> None:
        self.nudge = asyncio.Event()
        self.publishing = asyncio.Event()
        self.delivering = asyncio.Event()
        self.pushing = asyncio.Event()
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    @contextmanager
    def subscribe(self, job_id: str | None = None, *, limit: int = 1000) -> Iterator[Subscription]:
        """Everything committed from now on, of one job or of all.

        To miss nothing, subscribe first, then read the events after the cursor from the store, then drop from the
        subscription what was read already.

        Args:
            limit: items that may wait; one event more ends the subscription.
        """
        subscription = Subscription(job_id=job_id, limit=limit)
        if self._closed:
            subscription._close()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    @property
    def listeners(self) -> int:
        """How many subscriptions are open."""
        return len(self._subscriptions)

    def publish(
        self,
        events: Sequence[Event],
        *,
        nudge: bool = False,
        publishing: bool = False,
        delivering: bool = False,
        pushing: bool = False,
    ) -> None:
        """Hand out what a transaction recorded. Called by the store, after the commit and in its order."""
        for event in events:
            for subscription in self._subscriptions:
                subscription._offer_event(event)
        for asked, waiter in (
            (nudge, self.nudge),
            (publishing, self.publishing),
            (delivering, self.delivering),
            (pushing, self.pushing),
        ):
            if asked:
                waiter.set()

    def progress(self, job_id: str, data: dict[str, Any]) -> None:
        """Tell who listens how far the job is: {"step": "render", "progress": 41.5, "job_progress": 47.3}."""
        note = ProgressNote(job_id=job_id, data=data)
        for subscription in self._subscriptions:
            subscription._offer_note(note)

    def close(self) -> None:
        """End every subscription, and every later one, after what it has waiting."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription._close()
