"""The disk fails at the n-th call, for every n.

What raised has changed nothing, what returned is there, and the store goes on without a restart.
"""

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import apsw
import pytest
import pytest_asyncio

from tests.store.disks import FailingDisk
from tests.store.given import FAULT, NOW, a_rendition, a_segment, an_error, claim, prepared, upload
from vidprod.domain.job import Job
from vidprod.errors import NoSpace, StoreError
from vidprod.store.sqlite import Answer, Store, Tables
from vidprod.store.sqlite.connection import rows

pytestmark = pytest.mark.usefixtures("short_log")

TABLES = ("task", "segment", "job", "video", "event", "answer", "pulse")
Operation = Callable[[Tables, Job], object]


def all_rows(db: Tables) -> list[object]:
    return [rows(db.jobs._connection, f"select * from {table}") for table in TABLES]


def finish_step(db: Tables, job: Job) -> None:
    (task,) = [one for one in db.tasks.of_job(job.id) if one.state == "running"]
    db.jobs.start(job.id, now=NOW)
    db.tasks.complete(task, now=NOW)
    db.tasks.enqueue("plan", job_id=job.id, priority="normal", run_at=NOW, max_attempts=3, now=NOW)
    db.events.record("step.completed", job_id=job.id, now=NOW)


def discard_and_fail(db: Tables, job: Job) -> None:
    (task,) = [one for one in db.tasks.of_job(job.id) if one.state == "running"]
    db.tasks.discard(task, an_error(task), now=NOW)
    db.jobs.fail(job.id, FAULT, now=NOW)
    db.segments.fail_pending(job.id)
    db.events.record("job.failed", job_id=job.id, now=NOW)


def cancel_and_delete(db: Tables, job: Job) -> None:
    db.tasks.cancel_of_job(job.id, now=NOW)
    db.jobs.cancel(job.id, now=NOW)
    db.jobs.delete(job.id)
    db.events.record("job.deleted", job_id=job.id, now=NOW)


def segment_ready(db: Tables, job: Job) -> None:
    (segment,) = db.segments.of_job(job.id)
    db.segments.ready(segment.id, a_rendition(), now=NOW)


OPERATIONS: dict[str, Operation] = {  # each on a job whose first task runs and that has a pending segment
    "finish a step": finish_step,
    "discard and fail": discard_and_fail,
    "cancel and delete": cancel_and_delete,
    "segment ready": segment_ready,
    "rescue": lambda db, job: db.tasks.rescue(boot_id="boot-2", now=NOW, max_rescues=3),
    "answer": lambda db, job: db.answers.add(Answer(key=job.id * 8, fingerprint="f", made_id=job.id, created_at=NOW)),
    "prune events": lambda db, job: db.events.prune(before_ms=NOW + 1, limit=1000),
    "many events": lambda db, job: [db.events.record("job.said", data={"x": "y" * 3000}, now=NOW) for _ in range(18)],
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FailingDisk]:
    made = FailingDisk(f"failing-{tmp_path.name}")
    yield made
    made.unregister()


@pytest_asyncio.fixture
async def store(disk: FailingDisk, tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(prepared(tmp_path / "vidprod.db"), now=NOW, vfs=f"failing-{tmp_path.name}") as opened:
        yield opened
        disk.heal()


async def a_job_at_work(store: Store) -> Job:
    job = await upload(store)
    await claim(store)
    await store.write(lambda db: db.segments.add_all([a_segment(job.id)]))
    return job


def clear(db: Tables) -> None:
    for table in TABLES:
        db.tasks._run(f"delete from {table}")


async def fail_at_every_call(
    disk: FailingDisk, store: Store, operation: Operation, *, error: type[apsw.Error], for_ever: bool
) -> tuple[int, int]:
    """For how many n the operation raised, and for how many it did not mind, until n is not reached any more."""
    raised = unminded = 0
    expected = NoSpace if error is apsw.FullError else StoreError
    for call in range(1000):
        job = await a_job_at_work(store)
        await store.write(lambda db: None)  # no checkpoint is under way
        before = await store.read(all_rows)
        disk.fail(call=call, error=error, for_ever=for_ever)
        try:
            await store.write(lambda db, job=job: operation(db, job))  # type: ignore[misc]
        except expected:
            raised += 1
            assert await store.read(all_rows) == before  # read while the disk is still broken
            reached = disk.heal()
            await store.write(lambda db, job=job: operation(db, job))  # type: ignore[misc]
        else:
            await store.write(lambda db: None)  # the checkpoint is after the answer, and before this
            reached = disk.heal()
            unminded += reached
        assert await store.read(all_rows) != before
        await store.write(clear)
        if not reached:
            return raised, unminded
    pytest.fail("the fault is reached for every n")


@pytest.mark.parametrize("error", [apsw.IOError, apsw.FullError])
@pytest.mark.parametrize("name", OPERATIONS)
async def test_what_raised_has_changed_nothing(
    disk: FailingDisk, store: Store, name: str, error: type[apsw.Error]
) -> None:
    for for_ever in (False, True):
        raised, unminded = await fail_at_every_call(disk, store, OPERATIONS[name], error=error, for_ever=for_ever)
        assert raised >= 2  # a write and a sync at least
        assert unminded >= 1 or name != "many events"  # that one meets the checkpoint
    assert await store.read(lambda db: rows(db.jobs._connection, "pragma integrity_check")) == [
        {"integrity_check": "ok"}
    ]
    assert await store.read(lambda db: rows(db.jobs._connection, "pragma foreign_key_check")) == []


async def test_a_store_that_ignores_the_fault_is_seen(disk: FailingDisk, store: Store) -> None:
    """The known-bad twin: two transactions where there should be one are caught half done by the same harness."""

    def in_two(db: Tables, job: Job) -> None:
        db.jobs.start(job.id, now=NOW)
        rows(db.jobs._connection, "commit")
        rows(db.jobs._connection, "begin immediate")
        db.events.record("job.started", job_id=job.id, now=NOW)

    with pytest.raises(AssertionError):
        await fail_at_every_call(disk, store, in_two, error=apsw.IOError, for_ever=True)


async def test_a_store_that_cannot_be_created_says_so_and_can_be_created_later(tmp_path: Path) -> None:
    """Some 320 calls create it; all of the first are tried, and then some of each migration's, which are alike."""
    disk = FailingDisk("failing-open")
    failures = 0
    for call in itertools.chain(range(20), itertools.count(20, 9)):
        path = tmp_path / f"{call}.db"
        disk.fail(call=call, error=apsw.IOError, for_ever=True)
        try:
            store = await Store.open(path, now=NOW, vfs="failing-open", reserve_bytes=1)
        except StoreError:
            failures += 1
            assert disk.heal()
            store = await Store.open(path, now=NOW, vfs="failing-open", reserve_bytes=1)
            reached = True
        else:
            reached = disk.heal()
        await upload(store)
        await store.close()
        if not reached:
            break
    disk.unregister()
    assert failures > 10
