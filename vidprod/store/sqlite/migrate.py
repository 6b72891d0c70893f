"""Migrations: numbered SQL files, each applied once, in a transaction of its own, with its checksum recorded.

A file is never edited once it was released: a database that ran another text of it is refused.
"""

import hashlib
from collections.abc import Sequence
from importlib import resources

import apsw
import msgspec

from vidprod.errors import SchemaTooNew, SchemaTooOld, StoreError
from vidprod.store.sqlite.connection import APPLICATION_ID, Row, rows, transaction, translated

_LEDGER = """
create table if not exists schema_migration (
    version integer primary key check (version >= 1),
    name text not null,
    checksum text not null check (length(checksum) = 64),
    applied_at integer not null
) strict
"""


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """One numbered file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, whatever its line ends became on the way."""
        return hashlib.sha256(self.sql.replace("\r\n", "\n").encode()).hexdigest()


def shipped() -> list[Migration]:
    """The migrations of this version, oldest first.

    Raises:
        StoreError: their numbers are not 1, 2, 3 …
    """
    folder = resources.files("vidprod.store.sqlite").joinpath("migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    found = [Migration(version=int(file.name[:4]), name=file.name, sql=file.read_text("utf-8")) for file in files]
    if not found or [one.version for one in found] != list(range(1, len(found) + 1)):
        raise StoreError(f"the migrations are not numbered 1, 2, 3 …: {[one.name for one in found]}")
    return found


def migrate(connection: apsw.Connection, *, now: int, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Bring the database to this version. The names of what was applied.

    Raises:
        SchemaTooNew: a newer version wrote it.
        StoreError: it ran a migration of another text, or a migration fails.
    """
    known = shipped() if migrations is None else migrations
    if not transaction(connection, lambda: _pending(connection, known), begin="begin"):
        return []  # nothing is written to a database that is up to date
    transaction(connection, lambda: _claim_file(connection))
    return [one.name for one in known if _apply(connection, one, known=known, now=now)]


def check(connection: apsw.Connection) -> None:
    """Whether the database is of this version. Raises SchemaTooOld, SchemaTooNew or StoreError."""
    known = shipped()
    if pending := transaction(connection, lambda: _pending(connection, known), begin="begin"):
        raise SchemaTooOld(f"the database is without {', '.join(one.name for one in pending)}")


def _claim_file(connection: apsw.Connection) -> None:
    rows(connection, f"pragma application_id = {APPLICATION_ID}")
    rows(connection, _LEDGER)


def _apply(connection: apsw.Connection, migration: Migration, *, known: Sequence[Migration], now: int) -> bool:
    def work() -> bool:
        if migration not in _pending(connection, known):  # another process was here meanwhile
            return False
        rows(connection, migration.sql)
        if broken := rows(connection, "pragma foreign_key_check"):
            raise StoreError(f"{migration.name} leaves rows that refer to nothing: {broken[:3]}")
        rows(
            connection,
            "insert into schema_migration values (:version, :name, :checksum, :now)",
            version=migration.version,
            name=migration.name,
            checksum=migration.checksum,
            now=now,
        )
        return True

    with translated(connection):  # a table is rebuilt without its foreign keys; they cannot be switched inside
        rows(connection, "pragma foreign_keys = off")
    try:
        return transaction(connection, work)
    finally:
        with translated(connection):
            rows(connection, "pragma foreign_keys = on")


def _pending(connection: apsw.Connection, known: Sequence[Migration]) -> list[Migration]:
    ledger = _ledger(connection)
    if newer := [row["name"] for version, row in ledger.items() if version > len(known)]:
        raise SchemaTooNew(
            f"the database has {', '.join(newer)}, which this version does not know",
            hint="Start the newer version, or restore a backup made before it.",
        )
    for migration in known:
        row = ledger.get(migration.version)
        if row is not None and row["checksum"] != migration.checksum:
            raise StoreError(
                f"{migration.name} is not the text this database ran as {row['name']}",
                hint="Install an unchanged release.",
            )
    return [migration for migration in known if migration.version not in ledger]


def _ledger(connection: apsw.Connection) -> dict[int, Row]:
    if not rows(connection, "select 1 from sqlite_schema where name = 'schema_migration'"):
        return {}
    applied = rows(connection, "select version, name, checksum from schema_migration order by version")
    return {row["version"]: row for row in applied}
