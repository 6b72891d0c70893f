"""A copy of the database, whole and as of one moment, taken beside a daemon that writes on.

For a process of its own, which opens the live file with this one engine and in no other way.
"""

from pathlib import Path

import apsw

from vidprod.errors import StoreError
from vidprod.store.sqlite import guard
from vidprod.store.sqlite.connection import open_database, translated


def copy_database(source: Path, target: Path) -> None:
    """Copy `source` into the new file `target`. Blocking.

    Raises:
        StoreError: there is no database, it cannot be read, or the copy is not sound.
        NoSpace: the copy does not fit.
    """
    guard.stand()
    if not source.is_file():
        raise StoreError(f"there is no database at {source}")
    with translated():
        live, copy = open_database(source, query_only=True), apsw.Connection(str(target))
        try:
            with copy.backup("main", live, "main") as backup:
                backup.step(-1)  # all at once: in pieces it begins anew whenever the daemon writes
            found = next(iter(copy.execute("pragma quick_check")))[0]
        finally:
            copy.close()
            live.close()
    if found != "ok":
        raise StoreError(f"the copy of {source} is not sound: {found}")
