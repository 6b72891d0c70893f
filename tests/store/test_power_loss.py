"""Power loss on the real store: what was acknowledged is there, and nothing is there by half.

The disk remembers every write and sync. At random points the power goes: what was synced stays, of the rest any
sectors. The store is opened on what is left, and must hold exactly the rows of the last acknowledged transaction, or
of the one that was under way.
"""

import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import pytest

from tests.store.disks import RememberingDisk, Wreck
from tests.store.given import LEASE_MS, NOW, a_rendition, a_segment, upload
from vidprod.domain.task import Task
from vidprod.errors import StoreError
from vidprod.store.sqlite import Store, Tables, connection
from vidprod.store.sqlite.connection import open_database, rows
from vidprod.store.sqlite.migrate import migrate

pytestmark = pytest.mark.usefixtures("short_log")

TABLES = ("schema_migration", "video", "job", "segment", "task", "event", "answer", "pulse")
JOBS = 12


class Toll(NamedTuple):
    """What the power cuts cost."""

    corrupt: int
    torn: int  # a state that never was
    lost: int  # cuts after which an acknowledged transaction was gone


def dump(database: apsw.Connection) -> str:
    """All rows of all tables, as text to compare."""
    return repr([rows(database, f"select * from {table}") for table in TABLES])


async def claim(store: Store, *, now: int) -> Task | None:
    return await store.write(lambda db: db.tasks.claim(boot_id="b", token=f"t{now}", lease_ms=LEASE_MS, now=now))


async def give_back(store: Store, task: Task, *, now: int) -> None:
    await store.write(lambda db: db.tasks.give_back(task, now=now))


async def finish(store: Store, task: Task, *, now: int) -> None:
    """The result of a step, the next task and the event, as one."""

    def write(db: Tables) -> None:
        db.jobs.start(task.job_id, now=now)
        db.tasks.complete(task, now=now)
        if task.kind == "render":
            for segment in db.segments.of_job(task.job_id):
                db.segments.ready(segment.id, a_rendition(), now=now)
            db.jobs.complete(task.job_id, [], now=now)
        else:
            if task.kind == "plan":
                db.segments.add_all([a_segment(task.job_id, index=index) for index in range(3)])
            db.tasks.enqueue(
                "plan" if task.kind == "probe" else "render",
                job_id=task.job_id,
                priority="normal",
                run_at=now,
                max_attempts=3,
                payload={"plan": "x" * 800},
                now=now,
            )
        db.events.record("step.completed", job_id=task.job_id, data={"step": task.kind}, now=now)

    await store.write(write)


async def delete_newest(store: Store) -> None:
    await store.write(lambda db: db.jobs.delete(db.jobs.list(limit=1, states={"completed"})[0].id))


async def work(store: Store, dice: random.Random) -> AsyncIterator[None]:
    """A daemon's day, transaction by transaction: uploads, claims, results, interruptions, deletions."""
    for n in range(JOBS):
        await upload(store, now=NOW + n)
        yield
        while (task := await claim(store, now=NOW + n)) is not None:
            yield
            if dice.random() < 0.2:
                await give_back(store, task, now=NOW + n)
            else:
                await finish(store, task, now=NOW + n)
            yield
        if n % 4 == 3:
            await delete_newest(store)
            yield


async def record(folder: Path, *, seed: int) -> tuple[list[tuple[Any, ...]], list[str]]:
    """The log of a day on a remembering disk, and the state after each of its transactions, numbered by the marks."""
    disk = RememberingDisk(f"remembering-{folder.name}")
    states: list[str] = []
    async with await Store.open(folder / "vidprod.db", now=NOW, vfs=f"remembering-{folder.name}") as store:
        steps = work(store, random.Random(seed))
        while True:
            disk.mark(len(states))
            states.append(await store._writer.run(dump))
            if await anext(steps, "over") == "over":
                break
    disk.unregister()
    return disk.log, states


def cut(log: list[tuple[Any, ...]], states: list[str], *, points: int, seed: int, folder: Path) -> Toll:
    """Cut the power at `points` places of the log, and open what is left with the store's own code."""
    dice = random.Random(seed)
    wreck = Wreck(log)
    corrupt = torn = lost = 0
    for n, point in enumerate(sorted(dice.randint(0, len(log)) for _ in range(points))):
        wreck.advance(point)
        left = folder / f"wreck-{n}"
        left.mkdir()
        wreck.leave(left, dice)
        acknowledged = -1 if wreck.last_mark is None else int(str(wreck.last_mark))
        found = recover(left / "vidprod.db")
        if found is None:
            corrupt += 1
        elif found not in states:
            torn += 1
        elif found not in states[max(0, acknowledged) : acknowledged + 2]:
            lost += 1
        shutil.rmtree(left)
    return Toll(corrupt, torn, lost)


def recover(path: Path) -> str | None:
    """The rows that are there once the store was opened again; None when it cannot be."""
    try:
        database = open_database(path)
    except StoreError:
        return None
    try:
        migrate(database, now=NOW)
        whole = rows(database, "pragma integrity_check") == [{"integrity_check": "ok"}]
        bound = rows(database, "pragma foreign_key_check") == []
        return dump(database) if whole and bound else None
    except (StoreError, apsw.Error):
        return None
    finally:
        database.close(True)


def synchronous(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    """The known-bad twins: the store as it would be without `synchronous = full`."""
    pragmas = tuple(pragma.replace("synchronous = full", f"synchronous = {level}") for pragma in connection.PRAGMAS)
    assert pragmas != connection.PRAGMAS
    monkeypatch.setattr(connection, "PRAGMAS", pragmas)


async def test_no_acknowledged_transaction_is_lost_when_the_power_goes(tmp_path: Path) -> None:
    log, states = await record(tmp_path, seed=1)
    assert len(states) > 80
    assert len([entry for entry in log if entry[:2] == ("sync", "vidprod.db")]) > 5  # checkpoints
    assert cut(log, states, points=500, seed=1, folder=tmp_path) == Toll(corrupt=0, torn=0, lost=0)


async def test_with_synchronous_normal_acknowledged_transactions_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synchronous(monkeypatch, "normal")
    log, states = await record(tmp_path, seed=1)
    toll = cut(log, states, points=100, seed=1, folder=tmp_path)
    assert (toll.corrupt, toll.torn) == (0, 0)
    assert toll.lost > 5  # of 100; how many depends on when the checkpoints came


async def test_with_synchronous_off_the_database_is_corrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synchronous(monkeypatch, "off")
    log, states = await record(tmp_path, seed=1)
    assert cut(log, states, points=60, seed=1, folder=tmp_path).corrupt > 5


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10, 20))
async def test_ten_thousand_power_cuts_lose_nothing(tmp_path: Path, seed: int) -> None:
    log, states = await record(tmp_path, seed=seed)
    assert cut(log, states, points=1000, seed=seed, folder=tmp_path) == Toll(corrupt=0, torn=0, lost=0)
