"""A connection: apsw's engine on the thread that aiosqlite lends, and whole transactions on it.

Nothing awaits inside a transaction. It is one function that runs on the thread from `begin` to `commit` or `rollback`,
so that whatever is cancelled around it leaves no transaction open.
"""

import asyncio
import errno
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import aiosqlite
import apsw

from vidprod.errors import Conflict, NoSpace, StoreError, Unavailable

T = TypeVar("T")
Row = dict[str, Any]

PRAGMAS = (
    "pragma journal_mode = wal",
    "pragma synchronous = full",  # normal loses acknowledged rows when the power goes
    "pragma foreign_keys = on",
    "pragma journal_size_limit = 67108864",  # bytes the log keeps after a checkpoint
    "pragma trusted_schema = off",
    "pragma temp_store = memory",
)
APPLICATION_ID = 0x56696450  # "VidP", in the header of the file
BUSY_TIMEOUT_MS = 5000
CACHED_STATEMENTS = 256  # more than there are, so that each is prepared once

_CONFLICTS = {
    apsw.SQLITE_CONSTRAINT_UNIQUE,
    apsw.SQLITE_CONSTRAINT_PRIMARYKEY,
    apsw.SQLITE_CONSTRAINT_FOREIGNKEY,
}


class Connection(aiosqlite.Connection):
    """One SQLite connection and its thread. Opened and closed by `async with`."""

    def __init__(self, path: Path, *, vfs: str | None = None, query_only: bool = False) -> None:
        def connector() -> Any:  # aiosqlite says sqlite3's; it only ever calls `close` on it
            return open_database(path, vfs=vfs, query_only=query_only)

        super().__init__(connector, iter_chunk_size=64)
        self.waiting = 0  # calls of `run` that have not returned

    async def __aenter__(self) -> Self:
        try:
            await self
        except BaseException:
            await asyncio.to_thread(self._thread.join)  # it was told to stop; aiosqlite does not wait for it
            raise
        return self

    async def close(self) -> None:
        """Finish what is queued and close. Raises StoreError when the last one cannot fold the log into the file."""
        with translated():
            await super().close()

    async def run(self, fn: Callable[[apsw.Connection], T]) -> T:
        """Run `fn` on the thread. Cancelled before its turn, it never runs; later, it runs to its end unheard."""
        if not self._running or self._connection is None:
            raise Unavailable("the store is closed")
        abandoned = threading.Event()
        self.waiting += 1
        try:
            return cast(T, await self._execute(self._run, fn, abandoned))  # type: ignore[no-untyped-call]
        except asyncio.CancelledError:
            abandoned.set()
            raise
        finally:
            self.waiting -= 1

    def later(self, fn: Callable[[apsw.Connection], object]) -> None:
        """Run `fn` on the thread after what is queued. Nobody waits for it or hears of it. Called on the thread."""
        self._tx.put_nowait((None, lambda: fn(cast(apsw.Connection, self._conn))))

    def _run(self, fn: Callable[[apsw.Connection], T], abandoned: threading.Event) -> T | None:
        return None if abandoned.is_set() else fn(cast(apsw.Connection, self._conn))


def open_database(path: Path, *, vfs: str | None = None, query_only: bool = False) -> apsw.Connection:
    """Open the file with our settings, on the thread that will use it.

    Raises:
        NoSpace: the volume has no room for the log or its index.
        StoreError: the file cannot be opened, or is no database.
    """
    with translated():
        connection = apsw.Connection(str(path), vfs=vfs, statementcachesize=CACHED_STATEMENTS)
    try:
        with translated(connection):
            _set_up(connection, query_only=query_only)
    except BaseException:
        connection.close(True)
        raise
    return connection


def _set_up(connection: apsw.Connection, *, query_only: bool) -> None:
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)
    connection.row_trace = _as_dict
    _refuse_foreign(connection)  # before anything is written to it
    connection.create_scalar_function("fold", lambda *text: fold(text[0]), 1, deterministic=True)
    for pragma in PRAGMAS:
        rows(connection, pragma)
    if query_only:
        rows(connection, "pragma query_only = on")


def _refuse_foreign(connection: apsw.Connection) -> None:
    (found,) = rows(
        connection,
        """
        select (select application_id from pragma_application_id) as application_id,
            (select count(*) from sqlite_schema) as tables
        """,
    )
    if found["application_id"] != APPLICATION_ID and (found["application_id"] or found["tables"]):
        raise StoreError(
            f"the database belongs to another program: its application id is {found['application_id']:#x}, "
            f"and it holds {found['tables']} tables and indexes",
            hint="Choose an empty data directory.",
        )


def rows(connection: apsw.Connection, sql: str, **values: Any) -> list[Row]:
    """Run the statements to their end: a cursor left half read keeps a later statement from ever running."""
    return cast(list[Row], connection.execute(sql, values).fetchall())


def fold(text: Any) -> str:
    """`text` as it is compared: without case, and with the accents of macOS file names joined to their letters."""
    return unicodedata.normalize("NFC", str(text)).casefold()


def _as_dict(cursor: apsw.Cursor, row: tuple[Any, ...]) -> Row:
    return {column[0]: value for column, value in zip(cursor.get_description(), row, strict=True)}


def transaction(connection: apsw.Connection, fn: Callable[[], T], *, begin: str = "begin immediate") -> T:
    """`fn` as one transaction: committed when it returns, rolled back when it raises.

    Raises:
        NoSpace: the volume is full; nothing was changed.
        Unavailable: another process holds the lock for too long; nothing was changed.
        Conflict: a row that must be unique is there already, or one that is referred to is not.
        StoreError: anything else that SQLite refuses.
    """
    with translated(connection):
        rows(connection, begin)
        try:
            result = fn()
            if asyncio.iscoroutine(result):
                result.close()
                raise TypeError("a transaction is a plain function: it cannot await")
            rows(connection, "commit")
        finally:
            if connection.in_transaction:
                rows(connection, "rollback")
    return result


@contextmanager
def translated(connection: apsw.Connection | None = None) -> Iterator[None]:
    """apsw's errors become ours here; above, nobody knows apsw."""
    try:
        yield
    except apsw.Error as error:
        raise _ours(error, connection) from error


def _ours(error: apsw.Error, connection: apsw.Connection | None) -> Exception:
    full_below = isinstance(error, apsw.IOError) and connection is not None and connection.system_errno == errno.ENOSPC
    if full_below or isinstance(error, apsw.FullError):
        return NoSpace("the volume is full: the database cannot grow")
    if isinstance(error, apsw.ConnectionClosedError):
        return Unavailable("the store is closed")
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return Unavailable(f"the database is busy: {error}")
    if isinstance(error, apsw.ConstraintError) and getattr(error, "extendedresult", 0) in _CONFLICTS:
        return Conflict(str(error))
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return StoreError(f"the database is damaged: {error}", hint="Stop the daemon and restore a backup.")
    return StoreError(f"{type(error).__name__}: {error}")
