"""The guard: one SQLite library in this process, and nobody opens the live database behind its back.

Two copies of SQLite in one process do not see each other's POSIX locks; a plain `open()` and `close()` of the file
drops them. Both ended in corrupt databases and lost rows when tried.
Source: https://sqlite.org/howtocorrupt.html, sections 2.2 and 2.2.1.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from vidprod.errors import StoreError

OLDEST_SQLITE = (3, 51, 3)  # fixes the WAL-reset bug: rows lost when a write meets a checkpoint

_live: list[str] = []  # the files of every open store; one name as often as it is open
_standing = False


def check_version(version: str) -> None:
    """Refuse a SQLite that can lose rows.

    Raises:
        StoreError: `version` is older than 3.51.3.
    """
    if tuple(int(part) for part in version.split(".")) < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise StoreError(
            f"apsw brings SQLite {version}, which can lose rows", hint=f"Install one with {oldest} or later."
        )


def stand() -> None:
    """From now until the process ends, `sqlite3.connect` raises StoreError. Audit hooks cannot be taken away."""
    global _standing
    check_version(apsw.sqlite_lib_version())
    if not _standing:
        _standing = True
        sys.addaudithook(_refuse)


@contextmanager
def keep_out(path: Path) -> Iterator[None]:
    """While inside, Python's `open` of the database or of its -wal or -shm raises StoreError."""
    files = [os.path.realpath(path) + suffix for suffix in ("", "-wal", "-shm")]
    _live.extend(files)
    try:
        yield
    finally:
        for name in files:
            _live.remove(name)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "sqlite3.connect":
        raise StoreError(
            f"sqlite3.connect({arguments[0]!r}): a second copy of SQLite would corrupt the database",
            hint="Use vidprod.store in this process, or another process.",
        )
    if event == "open" and _live and isinstance(arguments[0], (str, bytes, os.PathLike)):
        name = os.fsdecode(arguments[0])
        if any(os.path.basename(name) == os.path.basename(live) for live in _live) and os.path.realpath(name) in _live:
            raise StoreError(
                f"open({name!r}): closing it would drop the locks of the live database",
                hint="Go through vidprod.store, or copy it with VACUUM INTO in another process.",
            )
