"""The store: one writing connection, two reading ones, and the feed that tells what was committed."""

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import apsw

from vidprod.errors import NoSpace
from vidprod.store.feed import Feed
from vidprod.store.sqlite import guard
from vidprod.store.sqlite.checkpoint import Checkpoint
from vidprod.store.sqlite.connection import Connection, rows, transaction
from vidprod.store.sqlite.migrate import check, migrate
from vidprod.store.sqlite.reserve import RESERVE_BYTES, Reserve
from vidprod.store.sqlite.table import Outcome
from vidprod.store.sqlite.tables import Tables

T = TypeVar("T")

READERS = 2


class Store:
    """Made by `await Store.open(…)`; `async with` closes it, or `close` does."""

    def __init__(
        self, *, path: Path, writer: Connection, readers: list[Connection], reserve: Reserve, checkpoint: Checkpoint
    ) -> None:
        self.path = path
        self.feed = Feed()
        self._writer = writer
        self._readers = readers
        self._reserve = reserve
        self._checkpoint = checkpoint
        self._opened = AsyncExitStack()
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(
        cls,
        path: Path | str,
        *,
        now: int,
        migrates: bool = True,
        vfs: str | None = None,
        reserve_bytes: int = RESERVE_BYTES,
        reserve_dir: Path | None = None,
    ) -> "Store":
        """Open or create the database, and bring it to this version. From here on `sqlite3.connect` raises.

        Args:
            now: unix ms, recorded with the migrations that are applied.
            migrates: False beside a daemon that may be older: a database that is behind is left as it is.
            vfs: the SQLite VFS to go through, for faults put there on purpose.
            reserve_bytes: of `reserve.bin`; see `write`.
            reserve_dir: where that lies; None: beside the database.

        Raises:
            NoSpace: the volume is too full even without the reserve.
            SchemaTooNew: a newer version wrote it.
            SchemaTooOld: an older one did, and it is not to be changed.
            StoreError: it cannot be opened, is not ours, or ran another text of a migration.
        """
        path = _absolute(path)
        guard.stand()
        reserve = Reserve((reserve_dir or path.parent) / "reserve.bin", size=reserve_bytes)
        try:
            return await cls._open(path, now=now, migrates=migrates, vfs=vfs, reserve=reserve)
        except NoSpace:  # a full volume must not keep the daemon, and with it all deletions, from starting
            if not reserve.free():
                raise
        return await cls._open(path, now=now, migrates=migrates, vfs=vfs, reserve=reserve)

    @classmethod
    async def _open(cls, path: Path, *, now: int, migrates: bool, vfs: str | None, reserve: Reserve) -> "Store":
        async with AsyncExitStack() as opened:
            opened.enter_context(guard.keep_out(path))
            writer = await opened.enter_async_context(Connection(path, vfs=vfs))
            await writer.run(lambda connection: migrate(connection, now=now) if migrates else check(connection))
            readers = [
                await opened.enter_async_context(Connection(path, vfs=vfs, query_only=True)) for _ in range(READERS)
            ]
            await writer.run(lambda _: reserve.hold(spare=reserve.size))
            checkpoint = Checkpoint()
            await writer.run(checkpoint.watch)
            store = cls(path=path, writer=writer, readers=readers, reserve=reserve, checkpoint=checkpoint)
            store._opened = opened.pop_all()
        return store

    async def write(self, fn: Callable[[Tables], T], *, urgent: bool = False) -> T:
        """Run `fn` as one transaction on the writing thread: whole, or nothing when it raises.

        Cancelled while others are before it, it never runs; once it runs, it runs whole and is committed, whoever
        waits for it. Its events reach the feed after the commit.

        Args:
            fn: awaits nothing and touches nothing but its tables: it may run twice.
            urgent: on a full volume, give up the reserve and try again. For what makes room or ends work: deletions,
                cancellations, failures. The reserve comes back by itself once there is room.

        Raises:
            NoSpace: the volume is full. Nothing was changed; reads keep working.
            Unavailable: the store is closed, or another process holds the lock for more than 5 s.
            StoreError: the database refuses. What `fn` raises passes through.
        """
        return await self._writer.run(lambda connection: self._write(connection, fn, urgent=urgent))

    async def read(self, fn: Callable[[Tables], T]) -> T:
        """Run `fn` on a reading connection: all of it sees one state, and it holds up no writer."""
        reader = min(self._readers, key=lambda one: one.waiting)
        return await reader.run(
            lambda connection: transaction(connection, lambda: fn(Tables(connection, Outcome())), begin="begin")
        )

    async def pulse(self, *, now: int) -> None:
        """Write one row, to find out whether the volume takes writes. Raises what `write` raises."""

        def beat(connection: apsw.Connection) -> None:
            sql = "insert into pulse (id, at) values (1, :now) on conflict do update set at = :now"
            transaction(connection, lambda: rows(connection, sql, now=now))

        await self._writer.run(beat)

    async def close(self) -> None:
        """End the feed, finish what is queued, close the connections. The last one folds the log into the file."""
        self.feed.close()
        await self._opened.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _write(self, connection: apsw.Connection, fn: Callable[[Tables], T], *, urgent: bool) -> T:
        try:
            result, outcome = self._transact(connection, fn)
        except NoSpace:
            if not urgent or not self._reserve.free():
                raise
            result, outcome = self._transact(connection, fn)
        self._tell(outcome)
        self._tidy_up()
        return result

    def _transact(self, connection: apsw.Connection, fn: Callable[[Tables], T]) -> tuple[T, Outcome]:
        outcome = Outcome()
        return transaction(connection, lambda: fn(Tables(connection, outcome))), outcome

    def _tidy_up(self) -> None:
        """What is due after a commit but need not hold up its answer."""
        if self._checkpoint.is_due():
            self._writer.later(self._checkpoint.run)
        if not self._reserve.held:  # with so much to spare that taking it does not fill the volume again
            self._writer.later(lambda _: self._reserve.hold(spare=4 * self._reserve.size))

    def _tell(self, outcome: Outcome) -> None:
        if not (outcome.events or outcome.nudge or outcome.publishing or outcome.delivering or outcome.pushing):
            return
        try:
            self._loop.call_soon_threadsafe(lambda: self._hand_out(outcome))
        except RuntimeError:  # the loop is closed: nobody listens any more
            return

    def _hand_out(self, outcome: Outcome) -> None:
        self.feed.publish(
            outcome.events,
            nudge=outcome.nudge,
            publishing=outcome.publishing,
            delivering=outcome.delivering,
            pushing=outcome.pushing,
        )


def _absolute(path: Path | str) -> Path:
    return Path(os.path.abspath(path))
