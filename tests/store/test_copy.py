"""A copy is whole, as of one moment, while the original is written on."""

import asyncio
from pathlib import Path

import pytest

from tests.store.given import NOW
from vidprod.errors import StoreError
from vidprod.store.sqlite import Store
from vidprod.store.sqlite.copy import copy_database


async def test_a_copy_taken_while_events_are_recorded_has_no_gap(store: Store, tmp_path: Path) -> None:
    begun, copied = asyncio.Event(), asyncio.Event()

    async def write_on() -> None:
        number = 0
        while not copied.is_set():
            number += 1
            await store.write(lambda db: db.events.record("job.started", data={"n": number}, now=NOW))  # noqa: B023
            if number == 20:
                begun.set()

    writing = asyncio.create_task(write_on())
    await begun.wait()
    await asyncio.to_thread(copy_database, tmp_path / "vidprod.db", tmp_path / "copy.db")
    copied.set()
    await writing
    async with await Store.open(tmp_path / "copy.db", now=NOW) as copy:
        events = await copy.read(lambda db: db.events.after(0, limit=100_000))
        assert [event.data["n"] for event in events] == list(range(1, len(events) + 1))
        assert len(events) >= 20
    assert await store.read(lambda db: db.events.last_id()) >= len(events)


def test_where_there_is_no_database_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database"):
        copy_database(tmp_path / "vidprod.db", tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
