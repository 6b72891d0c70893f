"""A copy of the database, whole and as of one moment, taken beside a daemon that writes on.

For a process of its own, which opens the live file with this one engine and in no other way.

SQLite's backup in one step, and not `vacuum into`: that cannot run inside a transaction, and inside one the rows of the
very state that is copied can be counted, to compare.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import apsw
import msgspec

from vidprod.errors import StoreError
from vidprod.store.sqlite import guard
from vidprod.store.sqlite.connection import open_database, rows, transaction, translated
from vidprod.store.sqlite.migrate import check
from vidprod.store.sqlite.table import Outcome
from vidprod.store.sqlite.tables import Tables

T = TypeVar("T")


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What a sound database holds."""

    schema: int  # the number of the last migration; 0: none ran
    counts: dict[str, int]  # rows, by table


def copy_database(source: Path, target: Path, *, thorough: bool = False) -> Examined:
    """Copy `source` into the new file `target`. Blocking; nothing is synced.

    Args:
        thorough: read every index and reference of the copy as well.
    Raises:
        StoreError: there is no database, it cannot be read, or the copy is not sound or not whole.
        NoSpace: the copy does not fit.
    """
    guard.stand()
    if not source.is_file():
        raise StoreError(f"there is no database at {source}")
    with translated():
        live, copy = open_database(source, query_only=True), apsw.Connection(str(target))
        try:
            rows(live, "begin")  # what is counted is what is copied
            counted = _look(live)
            with copy.backup("main", live, "main") as backup:
                backup.step(-1)  # all at once: in pieces it begins anew whenever the daemon writes
            rows(live, "rollback")
        finally:
            copy.close()
            live.close()
    found = examine(target, thorough=thorough)
    if found != counted:
        raise StoreError(f"the copy of {source} holds {found.counts}, and not {counted.counts}")
    return found


def examine(database: Path, *, thorough: bool = True) -> Examined:
    """What a file holds that nobody works on. Blocking.

    Args:
        thorough: read every index and reference as well.
    Raises:
        StoreError: it is not sound, with what SQLite found first, or no database of ours.
    """
    guard.stand()
    if faults := find_damage(database, thorough=thorough):
        raise StoreError(f"{database.name} is not sound: {'; '.join(faults[:3])}")
    with translated():
        connection = open_database(database, query_only=True)
        try:
            return _look(connection)
        finally:
            connection.close()


def read_database(database: Path, fn: Callable[[Tables], T]) -> T:
    """What `fn` makes of a database of this version, in one state of it. Blocking; others may work on it.

    Raises:
        SchemaTooOld, SchemaTooNew, StoreError: it is of another version, or cannot be read.
    """
    guard.stand()
    with translated():
        connection = open_database(database, query_only=True)
        try:
            check(connection)
            return transaction(connection, lambda: fn(Tables(connection, Outcome())), begin="begin")
        finally:
            connection.close()


def find_damage(database: Path, *, thorough: bool = True) -> list[str]:
    """What SQLite finds wrong with the file and with what refers to nothing, in words; none: it is sound. Others may
    work on it. Raises StoreError: it cannot be read at all."""
    guard.stand()
    with translated():
        connection = open_database(database, query_only=True)
        try:
            check = "integrity_check" if thorough else "quick_check"
            found = [str(next(iter(row.values()))) for row in rows(connection, f"pragma {check}")]
            faults = [one for one in found if one != "ok"]
            if thorough:
                faults += [
                    f"row {row['rowid']} of {row['table']} refers to no {row['parent']}"
                    for row in rows(connection, "pragma foreign_key_check")
                ]
            return faults
        finally:
            connection.close()


def _look(connection: apsw.Connection) -> Examined:
    tables = rows(
        connection, "select name from sqlite_schema where type = 'table' and name not glob 'sqlite_*' order by name"
    )
    counts = {}
    for table in tables:
        (row,) = rows(connection, f'select count(*) as n from "{table["name"]}"')  # noqa: S608  # names of the schema
        counts[table["name"]] = int(row["n"])
    schema = 0
    if "schema_migration" in counts:
        (row,) = rows(connection, "select max(version) as version from schema_migration")
        schema = int(row["version"] or 0)
    return Examined(schema=schema, counts=counts)
