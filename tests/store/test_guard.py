"""The guard: one SQLite in the process, and nobody opens the live file behind its back."""

import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from tests.store.given import NOW, upload
from vidprod.errors import StoreError
from vidprod.store.sqlite import Store
from vidprod.store.sqlite.guard import check_version


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("way", [sqlite3.connect, sqlite3.Connection, sqlite3.dbapi2.connect])
def test_a_second_sqlite_is_refused_whatever_it_opens(way: type[sqlite3.Connection], tmp_path: Path) -> None:
    for name in (":memory:", str(tmp_path / "other.db")):
        with pytest.raises(StoreError, match=r"sqlite3\.connect.*second copy"):
            way(name)
    assert not (tmp_path / "other.db").exists()


def test_the_guard_stands_after_the_store_is_closed(tmp_path: Path) -> None:
    code = f"""
import asyncio, sqlite3
from vidprod.errors import StoreError
from vidprod.store.sqlite import Store

sqlite3.connect(":memory:").close()  # before there is a store, it is nobody's business

async def main():
    await (await Store.open({str(tmp_path / "vidprod.db")!r}, now=1)).close()

asyncio.run(main())
try:
    sqlite3.connect(":memory:")
except StoreError as error:
    print("refused:", error)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("refused: sqlite3.connect(':memory:')")


async def test_a_plain_open_of_the_live_files_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await upload(store)
    link = tmp_path / "link"
    link.symlink_to(tmp_path, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    for name in ("vidprod.db", "vidprod.db-wal", "vidprod.db-shm"):
        for path in (tmp_path / name, link / name, Path(name)):
            with pytest.raises(StoreError, match="drop the locks"):
                path.read_bytes()
    with pytest.raises(StoreError):
        os.open(store.path, os.O_RDONLY)
    with pytest.raises(StoreError):
        shutil.copy(store.path, tmp_path / "copy.db")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "vidprod.db").write_text("another file of that name")


async def test_a_closed_database_may_be_opened(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "vidprod.db", now=NOW)
    await store.close()
    assert (tmp_path / "vidprod.db").read_bytes().startswith(b"SQLite format 3")


def test_a_plain_open_would_really_drop_the_locks(tmp_path: Path) -> None:
    """The known-bad twin: the same open without the guard lets another process write into an open transaction."""
    path = tmp_path / "unguarded.db"
    connection = apsw.Connection(str(path))
    connection.execute("pragma journal_mode = wal; create table t (x)").fetchall()
    connection.execute("begin immediate").fetchall()
    connection.execute("insert into t values (1)").fetchall()
    code = f"""
import apsw
connection = apsw.Connection({str(path)!r})
try:
    connection.execute("begin immediate").fetchall()
    print("got the lock")
except apsw.BusyError:
    print("busy")
"""

    def another_process() -> str:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

    assert another_process() == "busy"
    for suffix in ("", "-wal", "-shm"):
        open(f"{path}{suffix}", "rb").close()
    assert another_process() == "got the lock"


def test_a_sqlite_that_can_lose_rows_is_refused() -> None:
    for old in ("3.40.1", "3.51.2", "3.7.0"):
        with pytest.raises(StoreError, match=old):
            check_version(old)
    for good in ("3.51.3", "3.54.1", "4.0.0", apsw.sqlite_lib_version()):
        check_version(good)
