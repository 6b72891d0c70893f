"""Transactions: whole or nothing, whatever is cancelled around them."""

import asyncio
import os
import random
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
import pytest

from tests.store.given import NOW, a_job_alone, upload
from vidprod.errors import NotFound, StoreError, Unavailable
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.connection import rows

Write = Callable[[int], Awaitable[object]]

INSERT_HALF = "insert into event (type, at, data) values ('half.x', 1, json_object('n', :n))"


def record_twice(db: Tables, n: int) -> int:
    """Two rows that belong together."""
    for half in ("left", "right"):
        db.events.record(f"half.{half}", data={"n": n}, now=NOW)
    return n


async def halves(store: Store) -> dict[int, int]:
    """How many of its two rows each n has."""
    events = await store.read(lambda db: db.events.after(0, limit=100_000))
    counts: dict[int, int] = {}
    for event in events:
        counts[event.data["n"]] = counts.get(event.data["n"], 0) + 1
    return counts


async def cancel_at_random(write: Write, *, count: int, seed: int) -> set[int]:
    """Start `count` writers, cancel each after a random number of turns of the loop. Those that were answered."""
    dice = random.Random(seed)
    answered: set[int] = set()

    async def writer(n: int) -> None:
        await write(n)
        answered.add(n)

    async def canceller(task: asyncio.Task[None]) -> None:
        for _ in range(dice.choice((0, 1, 2, 3, 5, 8, 13, 200))):
            await asyncio.sleep(0 if dice.random() < 0.9 else 0.0005)
        task.cancel()

    for start in range(0, count, 10):
        tasks = [asyncio.create_task(writer(n)) for n in range(start, start + 10)]
        await asyncio.gather(*(canceller(task) for task in tasks))
        await asyncio.gather(*tasks, return_exceptions=True)
    return answered


async def test_writers_cancelled_at_random_leave_no_open_transaction(store: Store) -> None:
    async def write(n: int) -> None:
        await store.write(lambda db: record_twice(db, n))

    answered = await cancel_at_random(write, count=500, seed=7)

    assert not await store._writer.run(lambda connection: connection.in_transaction)
    counts = await halves(store)
    assert set(counts.values()) == {2}
    assert answered <= set(counts)
    assert 50 < len(answered) < 500  # some were cut off, some were not
    await store.write(lambda db: record_twice(db, -1))


async def test_a_transaction_in_several_awaits_is_left_open(store: Store) -> None:
    """The known-bad twin: `await begin … await commit` on the same thread, in the same harness."""

    async def write(n: int) -> None:
        run = store._writer.run
        await run(lambda connection: rows(connection, "begin immediate"))
        try:
            for _ in range(2):
                await run(lambda connection: rows(connection, INSERT_HALF, n=n))
            await run(lambda connection: rows(connection, "commit"))
        except apsw.Error:
            await run(lambda connection: rows(connection, "rollback"))

    broken = 0
    for seed in range(20):
        await cancel_at_random(write, count=10, seed=seed)
        if await store._writer.run(lambda connection: connection.in_transaction):
            broken += 1
            await store._writer.run(lambda connection: rows(connection, "rollback"))
    assert broken > 0


async def test_a_writer_cancelled_before_its_turn_never_writes(store: Store) -> None:
    gate = threading.Event()
    first = asyncio.create_task(store.write(lambda db: gate.wait(10)))
    await asyncio.sleep(0)
    second = asyncio.create_task(store.write(lambda db: record_twice(db, 1)))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    gate.set()
    await first
    assert await halves(store) == {}


async def test_a_writer_cancelled_in_the_middle_is_committed_whole(store: Store) -> None:
    begun, gate = threading.Event(), threading.Event()

    def slow(db: Tables) -> None:
        db.events.record("half.left", data={"n": 1}, now=NOW)
        begun.set()
        gate.wait(10)
        db.events.record("half.right", data={"n": 1}, now=NOW)

    writer = asyncio.create_task(store.write(slow))
    await asyncio.to_thread(begun.wait)
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    gate.set()
    await store.write(lambda db: None)  # after it
    assert await halves(store) == {1: 2}


async def test_what_raises_is_rolled_back_and_raised(store: Store) -> None:
    def fail(db: Tables) -> None:
        record_twice(db, 1)
        raise KeyError("the caller's own")

    with pytest.raises(KeyError, match="the caller's own"):
        await store.write(fail)
    with pytest.raises(NotFound):
        await store.write(lambda db: (record_twice(db, 2), db.jobs.get("job_x")))
    assert await halves(store) == {}
    assert not await store._writer.run(lambda connection: connection.in_transaction)


async def test_a_transaction_that_would_await_is_refused(store: Store) -> None:
    async def later(db: Tables) -> None:
        record_twice(db, 1)

    with pytest.raises(TypeError, match="plain function"):
        _ = await store.write(later)
    assert await halves(store) == {}


async def test_readers_see_one_state_while_a_writer_is_at_work(store: Store) -> None:
    begun, gate = threading.Event(), threading.Event()

    def slow(db: Tables) -> None:
        record_twice(db, 1)
        begun.set()
        gate.wait(10)

    writer = asyncio.create_task(store.write(slow))
    await asyncio.to_thread(begun.wait)
    assert await halves(store) == {}  # nobody waits, nothing half done is seen
    gate.set()
    await writer
    assert await halves(store) == {1: 2}


async def test_a_reader_keeps_its_state_until_it_is_done(store: Store) -> None:
    begun, gate = threading.Event(), threading.Event()

    def slow(db: Tables) -> tuple[int, int]:
        before = db.events.last_id()
        begun.set()
        gate.wait(10)
        return before, db.events.last_id()

    reader = asyncio.create_task(store.read(slow))
    await asyncio.to_thread(begun.wait)
    await store.write(lambda db: record_twice(db, 1))
    gate.set()
    assert await reader == (0, 0)
    assert await store.read(lambda db: db.events.last_id()) == 2


async def test_two_readers_read_at_once(store: Store) -> None:
    meeting = threading.Barrier(2, timeout=10)
    ranks = await asyncio.gather(*(store.read(lambda db: meeting.wait()) for _ in range(2)))
    assert sorted(ranks) == [0, 1]


async def test_many_readers_beside_a_busy_writer_all_see_whole_transactions(store: Store) -> None:
    async def write() -> None:
        for n in range(60):
            await store.write(lambda db, n=n: record_twice(db, n))  # type: ignore[misc]

    async def read() -> bool:
        last = 0
        while last < 120:
            last = await store.read(lambda db: db.events.last_id())
            assert last % 2 == 0
        return True

    results = await asyncio.gather(write(), *(read() for _ in range(8)))
    assert results[1:] == [True] * 8


async def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError, match="readonly"):
        await store.read(lambda db: record_twice(db, 1))
    assert await halves(store) == {}


async def test_a_closed_store_is_unavailable(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "vidprod.db", now=NOW)
    await upload(store)
    queued = [asyncio.create_task(store.write(lambda db: record_twice(db, 1))) for _ in range(5)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*queued)  # what was queued is done first
    for call in (store.write, store.read):
        with pytest.raises(Unavailable, match="closed"):
            await call(lambda db: None)
    with pytest.raises(Unavailable):
        await store.pulse(now=NOW)
    assert sorted(os.listdir(tmp_path)) == ["reserve.bin", "vidprod.db"]  # the log is folded in
    await store.close()


async def test_a_lock_held_elsewhere_is_waited_for_and_then_named(store: Store) -> None:
    other = apsw.Connection(str(store.path))
    other.execute("begin immediate").fetchall()
    waiting = asyncio.create_task(a_job_alone(store))
    await asyncio.sleep(0.05)
    other.execute("rollback").fetchall()
    await waiting
    other.execute("begin immediate").fetchall()
    await store._writer.run(lambda connection: connection.set_busy_timeout(20))
    with pytest.raises(Unavailable, match="busy"):
        await a_job_alone(store)
    assert len(await store.read(lambda db: db.jobs.list(limit=5))) == 1
    other.execute("rollback").fetchall()
    other.close()
    await a_job_alone(store)


async def test_the_pulse_is_a_real_write(store: Store) -> None:
    await store.pulse(now=NOW)
    await store.pulse(now=NOW + 1)
    assert await store.read(lambda db: db.jobs._all("select * from pulse")) == [{"id": 1, "at": NOW + 1}]


async def test_opening_cancelled_at_any_point_leaves_nothing_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    for turns in range(0, 60, 3):
        opening = asyncio.create_task(Store.open(tmp_path / "vidprod.db", now=NOW))
        for _ in range(turns):
            await asyncio.sleep(0.0002)
        opening.cancel()
        (result,) = await asyncio.gather(opening, return_exceptions=True)
        if isinstance(result, Store):
            await result.close()
    left = [thread for thread in set(threading.enumerate()) - before if "_connection_worker" in thread.name]
    for thread in left:
        await asyncio.to_thread(thread.join, 5)
        assert not thread.is_alive()
    async with await Store.open(tmp_path / "vidprod.db", now=NOW) as store:
        await upload(store)
