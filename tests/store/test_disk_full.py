"""A full disk: writes say so, reads go on, deletions get through on the reserve, and room brings everything back."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.store.given import FAULT, NOW, claim, upload
from vidprod.domain.job import Job
from vidprod.errors import NoSpace
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.connection import rows
from vidprod.store.sqlite.reserve import Reserve

VOLUME_BYTES = 24 << 20
RESERVE_BYTES = 3 << 20


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A volume of 24 MiB of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small volume")
    folder = tmp_path / "volume"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={VOLUME_BYTES}", "tmpfs", str(folder)]
    if (done := subprocess.run(mount, capture_output=True, text=True)).returncode:
        pytest.skip(f"no volume can be mounted here: {done.stderr}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest_asyncio.fixture
async def store(volume: Path) -> AsyncIterator[Store]:
    async with await Store.open(volume / "vidprod.db", now=NOW, reserve_bytes=RESERVE_BYTES) as opened:
        yield opened


def fill(volume: Path) -> Path:
    """A take that leaves not one free byte."""
    take = volume / "take.mov"
    with take.open("ab", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    assert os.statvfs(volume).f_bavail == 0
    return take


def say_a_lot(db: Tables, job: Job) -> None:
    for _ in range(20):
        db.events.record("job.said", job_id=job.id, data={"x": "y" * 3000}, now=NOW)


async def write_until_full(store: Store, job: Job) -> int:
    """The space the log has is used up first. How many transactions were still taken."""
    for taken in range(1000):
        try:
            await store.write(lambda db: say_a_lot(db, job))
        except NoSpace:
            return taken
    pytest.fail("the volume never is full")


def delete(db: Tables, job: Job) -> None:
    db.jobs.fail(job.id, FAULT, now=NOW)
    db.tasks.cancel_of_job(job.id, now=NOW)
    db.jobs.delete(job.id)
    db.events.record("job.deleted", job_id=job.id, now=NOW)
    while db.events.prune(before_ms=NOW + 1, limit=100):
        pass


async def test_a_full_disk_refuses_writes_and_nothing_else(store: Store, volume: Path) -> None:
    job = await upload(store)
    take = fill(volume)
    taken = await write_until_full(store, job)

    for _ in range(3):
        with pytest.raises(NoSpace):
            await store.write(lambda db: say_a_lot(db, job))
    assert await store.read(lambda db: db.jobs.get(job.id)) == job
    assert await store.read(lambda db: db.events.last_id()) == 2 + 20 * taken
    assert not await store._writer.run(lambda connection: connection.in_transaction)
    assert (volume / "reserve.bin").stat().st_size == RESERVE_BYTES

    take.unlink()  # recovery without a restart
    await store.write(lambda db: say_a_lot(db, job))
    assert await store.read(lambda db: rows(db.jobs._connection, "pragma integrity_check")) == [
        {"integrity_check": "ok"}
    ]


async def test_deletions_get_through_on_the_reserve_which_comes_back(store: Store, volume: Path) -> None:
    job = await upload(store)
    take = fill(volume)
    await write_until_full(store, job)

    await store.write(lambda db: delete(db, job), urgent=True)

    assert await store.read(lambda db: db.jobs.list(limit=5)) == []
    assert not (volume / "reserve.bin").exists()
    take.unlink()
    second = await upload(store)
    await store.write(lambda db: None)  # the reserve is taken after the answer, and before this
    assert (volume / "reserve.bin").stat().st_blocks * 512 >= RESERVE_BYTES
    assert await store.read(lambda db: db.jobs.get(second.id)) == second


async def test_without_the_reserve_a_full_disk_could_not_be_cleared(store: Store, volume: Path) -> None:
    """The known-bad twin: the same deletion as an ordinary write."""
    job = await upload(store)
    fill(volume)
    await write_until_full(store, job)
    with pytest.raises(NoSpace):
        await store.write(lambda db: delete(db, job))


async def test_an_urgent_write_that_fails_for_its_own_reasons_leaves_the_reserve(store: Store, volume: Path) -> None:
    with pytest.raises(KeyError):
        await store.write(lambda db: os.environ["NOT_THERE"], urgent=True)
    assert (volume / "reserve.bin").exists()


async def test_an_urgent_write_too_large_for_the_reserve_says_so(store: Store, volume: Path) -> None:
    job = await upload(store)
    fill(volume)
    await write_until_full(store, job)

    def say_too_much(db: Tables) -> None:
        for _ in range(200):
            say_a_lot(db, job)

    with pytest.raises(NoSpace):
        await store.write(say_too_much, urgent=True)
    await store.write(lambda db: delete(db, job), urgent=True)  # what was given up is still there for this


async def test_a_step_at_work_when_the_disk_fills_can_be_given_back_after_it(store: Store, volume: Path) -> None:
    job = await upload(store)
    task = await claim(store)
    take = fill(volume)
    await write_until_full(store, job)

    def finish(db: Tables) -> None:
        db.tasks.complete(task, now=NOW)
        say_a_lot(db, job)

    with pytest.raises(NoSpace):
        await store.write(finish)
    assert (await store.read(lambda db: db.tasks.get(task.id))).state == "running"
    take.unlink()
    assert (await store.write(lambda db: db.tasks.complete(task, now=NOW))).state == "completed"


async def test_a_store_opens_and_is_read_on_a_full_disk(volume: Path) -> None:
    async with await Store.open(volume / "vidprod.db", now=NOW, reserve_bytes=RESERVE_BYTES) as store:
        job = await upload(store)
    fill(volume)
    async with await Store.open(volume / "vidprod.db", now=NOW, reserve_bytes=RESERVE_BYTES) as store:
        assert await store.read(lambda db: db.jobs.get(job.id)) == job
        assert not (volume / "reserve.bin").exists()
        await store.write(lambda db: delete(db, job))
    fill(volume)
    with pytest.raises(NoSpace):  # the twin: without a reserve it cannot even be opened
        await Store.open(volume / "vidprod.db", now=NOW, reserve_bytes=RESERVE_BYTES)


def test_a_reserve_is_whole_or_not_there(volume: Path) -> None:
    reserve = Reserve(volume / "reserve.bin", size=RESERVE_BYTES)
    assert not reserve.hold(spare=VOLUME_BYTES)
    assert not reserve.path.exists()
    assert reserve.hold(spare=VOLUME_BYTES - 2 * RESERVE_BYTES)
    assert reserve.path.stat().st_blocks * 512 == RESERVE_BYTES
    again = Reserve(volume / "reserve.bin", size=RESERVE_BYTES)  # after a restart
    fill(volume)
    assert again.hold()
    assert again.free()
    assert not again.free()
    assert not reserve.path.exists()
    assert again.hold()
