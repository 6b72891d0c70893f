"""What the rows of earlier takes say, and what it costs to ask them."""

import time

from tests.store.given import (
    NOW,
    a_job_alone,
    a_publication,
    a_rendition,
    a_segment,
    an_account,
    an_error,
    an_info,
    claim,
    enqueue,
    upload,
)
from vidprod.domain.job import Job
from vidprod.domain.segment import Segment
from vidprod.domain.task import STEPS
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.connection import rows
from vidprod.store.sqlite.history import JOBS

HOUR = 3_600_000


async def make(store: Store, *, seconds: int = 10, now: int = NOW) -> tuple[Job, Segment]:
    """A take whose steps took so long each, with one segment."""
    job = await upload(store, now=now)
    await store.write(lambda db: db.videos.set_info(job.video_id, an_info()))
    for kind in STEPS:
        if kind != "probe":
            await enqueue(store, job, kind, run_at=now)
        task = await claim(store, now=now)
        await store.write(lambda db, task=task: db.tasks.complete(task, now=now + 1000 * seconds))  # type: ignore[misc]
    segment = a_segment(job.id, now=now)

    def finish(db: Tables) -> None:
        db.segments.add_all([segment])
        db.segments.ready(segment.id, a_rendition(), now=now)
        db.jobs.start(job.id, now=now)
        db.jobs.complete(job.id, [], now=now + 4000 * seconds)

    await store.write(finish)
    return job, segment


async def test_a_take_that_was_made_says_how_long_it_took_and_what_came_of_it(store: Store) -> None:
    await make(store)
    [past] = await store.read(lambda db: db.history.past())
    assert (past.kind, past.media_s, past.work_s, past.pixels) == ("gaze", 120.0, 40.0, 1080 * 1920)
    assert (past.source_bytes, past.made_bytes) == (1000, 2 * 12345)  # the one segment is half of the take


async def test_a_step_that_was_tried_twice_says_nothing(store: Store) -> None:
    job = await upload(store)
    task = await claim(store)
    await store.write(lambda db: db.tasks.retry(task, an_error(task), run_at=NOW))
    await store.write(lambda db: db.videos.set_info(job.video_id, an_info()))
    again = await claim(store)

    def finish(db: Tables) -> None:
        db.tasks.complete(again, now=NOW + 1000)
        segment = a_segment(job.id)
        db.segments.add_all([segment])
        db.segments.ready(segment.id, a_rendition(), now=NOW)
        db.jobs.start(job.id, now=NOW)
        db.jobs.complete(job.id, [], now=NOW + 1000)

    await store.write(finish)
    assert await store.read(lambda db: db.history.past()) == []


async def test_what_waits_says_how_far_it_is(store: Store) -> None:
    waiting, worked_on = await a_job_alone(store), await upload(store)
    task = await claim(store)
    await store.write(lambda db: db.tasks.set_progress(task, 0.5))
    ahead, count = await store.read(lambda db: db.history.ahead())
    assert count == 2
    assert {one.done for one in ahead} == {0.0, 0.01}  # half of the probe
    assert all(one.media_s is None and one.source_bytes == 1000 for one in ahead), (waiting, worked_on)


async def test_the_pruner_lets_go_of_sources_and_then_of_segments(store: Store) -> None:
    job, segment = await make(store)
    ended = NOW + 40_000

    async def going() -> list[tuple[int, int]]:
        return await store.read(lambda db: db.history.going(source_keep_ms=HOUR, segment_keep_ms=2 * HOUR))

    assert await going() == [(ended + HOUR, 1000), (ended + 2 * HOUR, 12345)]
    account = an_account()

    def publish(db: Tables) -> None:
        db.accounts.add(account, b"sealed")
        db.publications.add(a_publication(segment, account))

    await store.write(publish)
    assert await going() == [(ended + HOUR, 1000)]  # nobody knows when it will have been published
    await store.write(lambda db: db.videos.mark_deleted(job.video_id, now=NOW))
    assert await going() == []


# of one job that was made, ten thousand
_MANY = """
with recursive n (i) as (select 1 union all select i + 1 from n where i < 10000),
    name (i, name) as (select i, substr('00000000000000000000000000' || i, -26) from n)
"""
_COPIES = [
    """insert into video (id, state, filename, extension, size, created_at, info, deleted_at)
    select 'vid_' || name, 'deleted', filename, extension, size, created_at, info, 1 from name, video""",
    """insert into job (id, video_id, state, priority, recipe, created_at, started_at, finished_at)
    select 'job_' || name, 'vid_' || name, state, priority, recipe, created_at, started_at, finished_at + i
    from name, (select * from job limit 1)""",
    """insert into task (id, job_id, kind, state, priority, run_at, attempt, max_attempts, progress, created_at,
        started_at, finalized_at)
    select 'tsk_' || substr(name, 2) || step, 'job_' || name, kind, state, priority, run_at, attempt, max_attempts,
        progress, created_at, started_at, finalized_at
    from name, (select row_number() over () as step, * from task)""",
    """insert into segment (id, job_id, "index", state, in_us, out_us, created_at, rendition, ready_at)
    select 'seg_' || name, 'job_' || name, "index", state, in_us, out_us, created_at, rendition, ready_at
    from name, segment""",
]


async def test_a_quote_costs_the_same_with_ten_thousand_takes(store: Store) -> None:
    await make(store)

    def fill(db: Tables) -> None:
        for copy in _COPIES:
            rows(db.history._connection, _MANY + copy)
        rows(db.history._connection, _MANY + "insert into job (id, video_id, state, priority, recipe, created_at)"
            " select 'job_z' || substr(name, 2), 'vid_' || name, 'queued', 2, '{}', 1 from name")  # fmt: skip

    await store.write(fill)

    def ask(db: Tables) -> tuple[int, int, int]:
        past, (ahead, waiting) = db.history.past(), db.history.ahead()
        return len(past), len(ahead), waiting

    assert await store.read(ask) == (JOBS, 200, 10_000)

    def cost_s(db: Tables) -> float:
        began = time.thread_time()
        ask(db)
        return time.thread_time() - began

    assert min([await store.read(cost_s) for _ in range(5)]) < 0.005
