"""Jobs at rest: the diagram of `domain/job.py`, held."""

from collections.abc import Callable

import pytest

from tests.store.given import (
    FAULT,
    NOW,
    a_job,
    a_job_alone,
    a_segment,
    a_video,
    claim,
    upload,
)
from vidprod.domain.job import Job
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite import Store, Tables

Move = Callable[[Tables, str], Job]

MOVES: dict[str, Move] = {
    "start": lambda db, job_id: db.jobs.start(job_id, now=NOW + 1),
    "complete": lambda db, job_id: db.jobs.complete(job_id, ["the last frames are damaged"], now=NOW + 2),
    "fail": lambda db, job_id: db.jobs.fail(job_id, FAULT, now=NOW + 3),
    "cancel": lambda db, job_id: db.jobs.cancel(job_id, now=NOW + 4),
    "requeue": lambda db, job_id: db.jobs.requeue(job_id),
}
WAYS = {  # how a job comes into each state
    "queued": [],
    "processing": ["start"],
    "completed": ["start", "complete"],
    "failed": ["start", "fail"],
    "cancelled": ["cancel"],
}
ALLOWED = {
    ("queued", "start"): "processing",
    ("queued", "fail"): "failed",
    ("queued", "cancel"): "cancelled",
    ("processing", "start"): "processing",
    ("processing", "complete"): "completed",
    ("processing", "fail"): "failed",
    ("processing", "cancel"): "cancelled",
    ("failed", "requeue"): "queued",
    ("cancelled", "requeue"): "queued",
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("state", WAYS)
async def test_a_job_moves_only_along_its_diagram(store: Store, state: str, move: str) -> None:
    job = await a_job_alone(store)
    for step in WAYS[state]:
        await store.write(lambda db, step=step: MOVES[step](db, job.id))  # type: ignore[misc]
    before = await store.read(lambda db: db.jobs.get(job.id))
    assert before.state == state
    if (state, move) in ALLOWED:
        moved = await store.write(lambda db: MOVES[move](db, job.id))
        assert moved.state == ALLOWED[state, move]
        assert await store.read(lambda db: db.jobs.get(job.id)) == moved
    else:
        with pytest.raises(Conflict, match=state):
            await store.write(lambda db: MOVES[move](db, job.id))
        assert await store.read(lambda db: db.jobs.get(job.id)) == before


async def test_a_job_remembers_its_times_its_warnings_and_its_error(store: Store) -> None:
    job = await a_job_alone(store)
    assert await store.read(lambda db: db.jobs.get(job.id)) == job
    await store.write(lambda db: db.jobs.start(job.id, now=NOW + 1))
    started = await store.write(lambda db: db.jobs.start(job.id, now=NOW + 2))
    assert started.started_at == NOW + 1
    failed = await store.write(lambda db: db.jobs.fail(job.id, FAULT, now=NOW + 3))
    assert (failed.error, failed.finished_at) == (FAULT, NOW + 3)
    again = await store.write(lambda db: db.jobs.requeue(job.id))
    assert (again.error, again.started_at, again.finished_at, again.created_at) == (None, None, None, NOW)
    await store.write(lambda db: db.jobs.start(job.id, now=NOW + 5))
    done = await store.write(lambda db: db.jobs.complete(job.id, ["dark"], now=NOW + 6))
    assert (done.warnings, done.started_at, done.finished_at) == (["dark"], NOW + 5, NOW + 6)


async def test_a_job_whose_source_is_gone_cannot_be_retried(store: Store) -> None:
    job = await a_job_alone(store)
    await store.write(lambda db: db.jobs.cancel(job.id, now=NOW))
    await store.write(lambda db: db.videos.mark_deleted(job.video_id, now=NOW))
    with pytest.raises(Conflict, match=f"^the video of the job {job.id} is gone: it cannot be retried$") as refusal:
        await store.write(lambda db: db.jobs.requeue(job.id))
    assert refusal.value.hint == "Upload it again."


async def test_a_completed_job_is_not_told_that_its_video_is_gone(store: Store) -> None:
    job = await a_job_alone(store)
    await store.write(lambda db: db.jobs.start(job.id, now=NOW))
    await store.write(lambda db: db.jobs.complete(job.id, [], now=NOW))
    await store.write(lambda db: db.videos.mark_deleted(job.video_id, now=NOW))
    with pytest.raises(Conflict, match=r"is completed already: it cannot be retried$") as refusal:
        await store.write(lambda db: db.jobs.requeue(job.id))
    assert refusal.value.hint == "Only a job that failed or was cancelled can be retried."


async def test_jobs_are_listed_newest_first_page_by_page(store: Store) -> None:
    jobs = [await upload(store, now=NOW + n) for n in range(7)]
    newest_first = [job.id for job in reversed(jobs)]
    first = await store.read(lambda db: db.jobs.list(limit=3))
    second = await store.read(lambda db: db.jobs.list(limit=3, before=first[-1].id))
    third = await store.read(lambda db: db.jobs.list(limit=3, before=second[-1].id))
    assert [job.id for page in (first, second, third) for job in page] == newest_first
    assert [len(page) for page in (first, second, third)] == [3, 3, 1]


async def test_jobs_are_found_by_state_and_by_part_of_the_file_name(store: Store) -> None:
    names = ["Morning 100%_take.mov", "ÜBUNG.mov", "U\u0308bung zwei.mov", "evening.mov"]
    jobs = [await upload(store, now=NOW + n, filename=name) for n, name in enumerate(names)]
    await store.write(lambda db: db.jobs.cancel(jobs[2].id, now=NOW))

    async def found(**filters: object) -> list[int]:
        listed = await store.read(lambda db: db.jobs.list(limit=10, **filters))  # type: ignore[arg-type]
        return [jobs.index(job) if job in jobs else 2 for job in listed]

    assert await found(q="übung") == [2, 1]
    assert await found(q="0%_T") == [0]
    assert await found(q="nothing") == []
    assert await found(states={"cancelled"}) == [2]
    assert await found(states=["queued", "failed"]) == [3, 1, 0]
    assert await found(states={"queued"}, q="ING") == [3, 0]
    assert await found(states=[]) == []


async def test_a_deleted_job_takes_its_rows_along_and_its_video_when_nobody_else_uses_it(store: Store) -> None:
    job = await upload(store)
    second = a_job(await store.read(lambda db: db.videos.get(job.video_id)), now=NOW + 1)
    await store.write(lambda db: db.jobs.add(second))
    segment = a_segment(job.id)
    await store.write(lambda db: db.segments.add_all([segment]))

    assert await store.write(lambda db: db.jobs.delete(job.id)) is None
    for gone in (
        lambda db: db.jobs.get(job.id),
        lambda db: db.segments.get(segment.id),
    ):
        with pytest.raises(NotFound):
            await store.read(gone)
    assert await store.read(lambda db: db.tasks.of_job(job.id)) == []
    assert len(await store.read(lambda db: db.events.after(0, job_id=job.id))) == 2

    video = await store.write(lambda db: db.jobs.delete(second.id))
    assert video is not None
    assert video.id == job.video_id
    with pytest.raises(NotFound):
        await store.read(lambda db: db.videos.get(job.video_id))
    with pytest.raises(NotFound):
        await store.write(lambda db: db.jobs.delete(job.id))


async def test_a_job_at_work_cannot_be_deleted(store: Store) -> None:
    job = await upload(store)
    await claim(store)
    with pytest.raises(Conflict):  # not started yet, but its task runs
        await store.write(lambda db: db.jobs.delete(job.id))
    await store.write(lambda db: db.jobs.start(job.id, now=NOW))
    with pytest.raises(Conflict, match="processing"):
        await store.write(lambda db: db.jobs.delete(job.id))

    def cancel_and_delete(db: Tables) -> None:
        db.tasks.cancel_of_job(job.id, now=NOW)
        db.jobs.cancel(job.id, now=NOW)
        db.jobs.delete(job.id)

    await store.write(cancel_and_delete)
    assert await store.read(lambda db: db.jobs.list(limit=5)) == []


async def test_jobs_long_over_are_prunable_their_media_before_themselves(store: Store) -> None:
    jobs = [await a_job_alone(store) for _ in range(3)]
    for n, job in enumerate(jobs[:2]):
        await store.write(lambda db, job=job, n=n: db.jobs.cancel(job.id, now=NOW + n))  # type: ignore[misc]
    with pytest.raises(Conflict):
        await store.write(lambda db: db.jobs.mark_media_deleted(jobs[2].id, now=NOW))

    def prunable(db: Tables) -> tuple[list[str], list[str]]:
        media = db.jobs.media_prunable(before_ms=NOW + 2, limit=10)
        return [job.id for job in media], [job.id for job in db.jobs.prunable(before_ms=NOW + 2, limit=10)]

    both = [job.id for job in jobs[:2]]
    assert await store.read(prunable) == (both, both)
    stripped = await store.write(lambda db: db.jobs.mark_media_deleted(jobs[0].id, now=NOW + 5))
    assert stripped.media_deleted_at == NOW + 5
    assert await store.write(lambda db: db.jobs.mark_media_deleted(jobs[0].id, now=NOW + 6)) == stripped
    assert await store.read(prunable) == (both[1:], both)
    assert await store.read(lambda db: db.jobs.ids()) == {jobs[1].id, jobs[2].id}


async def test_a_job_needs_its_video(store: Store) -> None:
    with pytest.raises(Conflict):
        await store.write(lambda db: db.jobs.add(a_job(a_video())))
    with pytest.raises(NotFound):
        await store.write(lambda db: db.jobs.start("job_" + "0" * 26, now=NOW))
