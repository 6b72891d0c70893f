"""The queue: what is claimed, who may take it back, and how it comes back when nobody does."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from tests.store.given import (
    LEASE_MS,
    NOW,
    a_job,
    a_job_alone,
    a_segment,
    a_video,
    advance,
    an_error,
    claim,
    claim_if_any,
    discard,
    enqueue,
    rescue,
    retry,
    upload,
)
from vidprod.domain.job import Job
from vidprod.domain.task import AttemptError, Task, TaskKind, backoff_ms
from vidprod.errors import ClaimLost, Conflict, NotFound
from vidprod.store.sqlite import Store, Tables


async def several_jobs(store: Store, count: int) -> list[Job]:
    return [await a_job_alone(store) for _ in range(count)]


async def test_a_claim_takes_the_most_urgent_then_the_longest_due_then_the_first_enqueued(store: Store) -> None:
    jobs = await several_jobs(store, 6)
    low = await enqueue(store, jobs[0], priority="low", run_at=NOW - 9000)
    first = await enqueue(store, jobs[1], run_at=NOW - 10)
    second = await enqueue(store, jobs[2], run_at=NOW - 10)
    older = await enqueue(store, jobs[3], "render", run_at=NOW - 20)
    high = await enqueue(store, jobs[4], "plan", priority="high")
    await enqueue(store, jobs[5], priority="high", run_at=NOW + 1)

    claimed = [await claim_if_any(store) for _ in range(6)]

    assert [task and task.id for task in claimed] == [high.id, older.id, first.id, second.id, low.id, None]


async def test_a_task_that_is_not_due_waits_for_its_time(store: Store) -> None:
    job = await a_job_alone(store)
    task = await enqueue(store, job, run_at=NOW + 5000)
    assert await claim_if_any(store, now=NOW + 4999) is None
    assert (await claim(store, now=NOW + 5000)).id == task.id


async def test_a_claim_counts_the_attempt_and_sets_the_lease(store: Store) -> None:
    await upload(store)
    task = await claim(store, token="token-1", now=NOW + 7)
    assert (task.state, task.attempt, task.started_at) == ("running", 1, NOW + 7)
    assert (task.lease_token, task.lease_until, task.boot_id) == ("token-1", NOW + 7 + LEASE_MS, "boot-1")


async def test_two_workers_never_claim_the_same_task(store: Store) -> None:
    for _ in range(20):
        await upload(store)
    claimed = await asyncio.gather(*(claim_if_any(store) for _ in range(30)))
    ids = [task.id for task in claimed if task is not None]
    assert len(ids) == len(set(ids)) == 20


async def test_a_stale_attempt_cannot_touch_the_task(store: Store) -> None:
    await upload(store)
    stale = await claim(store)
    await store.write(lambda db: db.tasks.expired(now=NOW + LEASE_MS, max_rescues=3))
    now = NOW + LEASE_MS
    await claim(store, now=now)

    moves: dict[str, Callable[[Tables], object]] = {
        "hold": lambda db: db.tasks.hold(stale),
        "heartbeat": lambda db: db.tasks.heartbeat(stale, lease_ms=1, now=now),
        "set_progress": lambda db: db.tasks.set_progress(stale, 0.5),
        "advance": lambda db: db.tasks.advance(stale),
        "complete": lambda db: db.tasks.complete(stale, now=now),
        "retry": lambda db: db.tasks.retry(stale, an_error(stale), run_at=now),
        "give_back": lambda db: db.tasks.give_back(stale, now=now),
        "discard": lambda db: db.tasks.discard(stale, an_error(stale), now=now),
    }
    before = await store.read(lambda db: db.tasks.get(stale.id))
    for move in moves.values():
        with pytest.raises(ClaimLost):
            await store.write(move)
    assert await store.read(lambda db: db.tasks.get(stale.id)) == before


async def test_a_lost_claim_takes_the_whole_result_with_it(store: Store) -> None:
    job = await upload(store)
    stale = await claim(store)
    await store.write(lambda db: db.tasks.cancel_of_job(job.id, now=NOW))
    last = await store.read(lambda db: db.events.last_id())

    def finish(db: Tables) -> None:
        db.events.record("step.completed", job_id=job.id, now=NOW)
        db.tasks.enqueue("plan", job_id=job.id, priority="normal", run_at=NOW, max_attempts=3, now=NOW)
        db.tasks.complete(stale, now=NOW)

    with pytest.raises(ClaimLost):
        await store.write(finish)
    assert await store.read(lambda db: db.events.last_id()) == last
    assert [task.kind for task in await store.read(lambda db: db.tasks.of_job(job.id))] == ["probe"]


async def test_without_the_token_a_stale_attempt_would_complete_the_task(store: Store) -> None:
    """The known-bad twin: the same late worker, fenced by id and state alone as queues without tokens are."""
    await upload(store)
    stale = await claim(store)
    await store.write(lambda db: db.tasks.expired(now=NOW + LEASE_MS, max_rescues=3))
    second = await claim(store, now=NOW + LEASE_MS)

    def complete_by_id(db: Tables) -> int:
        return db.tasks._run(
            """
            update task set state = 'completed', progress = 1.0, finalized_at = :now,
                lease_token = null, lease_until = null, boot_id = null
            where id = :id and state = 'running'
            """,
            id=stale.id,
            now=NOW,
        )

    assert await store.write(complete_by_id) == 1
    with pytest.raises(ClaimLost):  # and the attempt that really ran loses its result
        await store.write(lambda db: db.tasks.complete(second, now=NOW))


async def test_completion_ends_the_task_and_frees_the_lease(store: Store) -> None:
    await upload(store)
    task = await claim(store)
    done = await store.write(lambda db: db.tasks.complete(task, now=NOW + 9))
    assert (done.state, done.progress, done.finalized_at) == ("completed", 1.0, NOW + 9)
    assert (done.lease_token, done.lease_until, done.boot_id) == (None, None, None)
    with pytest.raises(ClaimLost):
        await store.write(lambda db: db.tasks.complete(task, now=NOW + 10))


async def test_a_heartbeat_moves_the_lease_and_progress_is_kept(store: Store) -> None:
    await upload(store)
    task = await claim(store)
    await store.write(lambda db: db.tasks.heartbeat(task, lease_ms=LEASE_MS, now=NOW + 20_000))
    await store.write(lambda db: db.tasks.set_progress(task, 0.25))
    assert await store.write(lambda db: db.tasks.expired(now=NOW + LEASE_MS, max_rescues=3)) == []
    kept = await store.read(lambda db: db.tasks.get(task.id))
    assert (kept.lease_until, kept.progress) == (NOW + 20_000 + LEASE_MS, 0.25)


async def test_only_a_lease_that_is_over_is_renewed_and_only_for_who_holds_it(store: Store) -> None:
    for _ in range(3):
        await upload(store)
    slept, awake = await claim(store), await claim(store, now=NOW + 1)
    stale = msgspec.structs.replace(await claim(store), lease_token="another's")
    now = NOW + LEASE_MS
    await store.write(lambda db: db.tasks.renew([slept, awake, stale], lease_ms=LEASE_MS, now=now))
    tasks = await store.read(lambda db: [db.tasks.get(task.id) for task in (slept, awake, stale)])
    assert [task.lease_until for task in tasks] == [now + LEASE_MS, awake.lease_until, stale.lease_until]


async def test_a_retry_waits_its_backoff_and_keeps_every_error(store: Store) -> None:
    await upload(store)
    now = NOW
    for attempt in (1, 2):
        task = await claim(store, now=now)
        assert task.attempt == attempt
        error = an_error(task, crash=attempt == 2, message=f"no {attempt}")
        due = now + backoff_ms(attempt, first_s=2, jitter=0.5)
        await retry(store, task, error, run_at=due)
        assert await claim_if_any(store, now=due - 1) is None
        now = due
    last = await claim(store, now=now)
    assert [(one.attempt, one.message) for one in last.errors] == [(1, "no 1"), (2, "no 2")]
    assert (last.attempt, last.crashes) == (3, 1)


async def test_the_last_attempt_cannot_be_retried_only_discarded(store: Store) -> None:
    await upload(store)
    for _ in range(2):
        task = await claim(store)
        await retry(store, task, an_error(task), run_at=NOW)
    last = await claim(store)
    with pytest.raises(Conflict, match="3 of 3 attempts"):
        await store.write(lambda db: db.tasks.retry(last, an_error(last), run_at=NOW))
    dead = await store.write(lambda db: db.tasks.discard(last, an_error(last, crash=True), now=NOW + 3))
    assert (dead.state, dead.finalized_at, dead.crashes, len(dead.errors)) == ("discarded", NOW + 3, 1, 3)
    assert await claim_if_any(store, now=NOW + 10**9) is None


async def test_a_wait_costs_no_attempt_and_is_told_once_with_its_beginning(store: Store) -> None:
    await upload(store)
    for seconds in range(5):
        task = await claim(store, now=NOW + seconds)
        error = AttemptError(attempt=task.attempt, at=NOW + seconds, code="no_space", message=f"{seconds} too few")
        assert task.waits_on(error) is (seconds > 0)
        await store.write(lambda db: db.tasks.postpone(task, error, run_at=error.at + 1))  # noqa: B023
        task = (await store.read(lambda db: db.tasks.of_job(task.job_id)))[0]  # noqa: B023
    assert (task.state, task.attempt) == ("available", 0)
    assert [(one.at, one.message) for one in task.errors] == [(NOW, "4 too few")]


async def test_what_is_given_back_costs_no_attempt_and_keeps_its_place(store: Store) -> None:
    await upload(store, now=NOW - 5)
    await upload(store, now=NOW - 4)
    task = await claim(store)
    back = await store.write(lambda db: db.tasks.give_back(task, now=NOW + 50))
    assert (back.state, back.attempt, back.run_at, back.errors) == ("available", 0, NOW - 5, [])
    assert (await claim(store)).id == task.id


async def test_the_newest_errors_are_kept_when_there_are_too_many(store: Store) -> None:
    job = await a_job_alone(store)
    await enqueue(store, job, max_attempts=100)
    for n in range(40):
        task = await claim(store)
        await retry(store, task, an_error(task, message=f"no {n}"), run_at=NOW)
    errors = (await claim(store)).errors
    assert [error.message for error in errors] == [f"no {n}" for n in range(10, 40)]


async def test_a_cancelled_job_takes_its_tasks_along_and_says_which_ran(store: Store) -> None:
    job = await upload(store)
    running = await claim(store)
    waiting = await enqueue(store, job, "plan")
    other = await upload(store)

    cancelled = await store.write(lambda db: db.tasks.cancel_of_job(job.id, now=NOW + 1))

    assert [(task.id, task.state) for task in cancelled] == [(running.id, "running"), (waiting.id, "available")]
    after = await store.read(lambda db: db.tasks.of_job(job.id))
    assert {(task.state, task.finalized_at, task.lease_token) for task in after} == {("cancelled", NOW + 1, None)}
    assert [task.state for task in await store.read(lambda db: db.tasks.of_job(other.id))] == ["available"]
    assert await store.write(lambda db: db.tasks.cancel_of_job(job.id, now=NOW + 2)) == []


async def test_a_dead_letter_is_requeued_with_all_its_attempts(store: Store) -> None:
    job = await a_job_alone(store)
    await enqueue(store, job, max_attempts=1)
    task = await claim(store)
    await store.write(lambda db: db.tasks.discard(task, an_error(task, crash=True), now=NOW))
    again = await store.write(lambda db: db.tasks.requeue(task.id, max_attempts=5, now=NOW + 5))
    assert (again.state, again.attempt, again.max_attempts, again.crashes) == ("available", 1, 6, 0)
    assert (again.run_at, again.finalized_at, len(again.errors)) == (NOW + 5, None, 1)
    assert (await claim(store, now=NOW + 5)).attempt == 2


async def test_only_what_ended_badly_is_requeued(store: Store) -> None:
    job = await upload(store)
    (task,) = await store.read(lambda db: db.tasks.of_job(job.id))
    with pytest.raises(Conflict, match="available"):
        await store.write(lambda db: db.tasks.requeue(task.id, max_attempts=5, now=NOW))
    with pytest.raises(NotFound):
        await store.write(lambda db: db.tasks.requeue("tsk_" + "0" * 26, max_attempts=5, now=NOW))
    await store.write(lambda db: db.tasks.cancel_of_job(job.id, now=NOW))
    assert (await store.write(lambda db: db.tasks.requeue(task.id, max_attempts=5, now=NOW))).state == "available"


async def test_a_step_of_a_job_is_never_there_twice(store: Store) -> None:
    job = await upload(store)
    with pytest.raises(Conflict):
        await enqueue(store, job, "probe")
    task = await claim(store)
    with pytest.raises(Conflict):
        await enqueue(store, job, "probe")
    await store.write(lambda db: db.tasks.complete(task, now=NOW))
    await enqueue(store, job, "probe")


async def test_dead_letters_are_listed_newest_first(store: Store) -> None:
    dead = []
    for n in range(5):
        await upload(store, now=NOW + n)
        task = await claim(store, now=NOW + n)
        dead.append(await discard(store, task, an_error(task)))
    await upload(store)
    expected = [task.id for task in reversed(dead)]
    assert [task.id for task in await store.read(lambda db: db.tasks.dead(limit=3))] == expected[:3]
    assert [task.id for task in await store.read(lambda db: db.tasks.dead(limit=9))] == expected


async def test_what_was_refused_is_no_dead_letter(store: Store) -> None:
    jobs = [await upload(store, now=NOW + n) for n in range(3)]
    given_up = await claim(store, now=NOW + 9)
    await discard(store, given_up, an_error(given_up))
    refused = await claim(store, now=NOW + 9)
    await discard(store, refused, msgspec.structs.replace(an_error(refused), refused=True))
    at_last = await claim(store, now=NOW + 9)  # refused by the second attempt, after a first that crashed
    await retry(store, at_last, an_error(at_last), run_at=NOW)
    at_last = await claim(store, now=NOW + 9)
    await discard(store, at_last, msgspec.structs.replace(an_error(at_last), refused=True))

    def look(db: Tables) -> tuple[list[Task], list[Task], object]:
        return db.tasks.dead(limit=9), db.tasks.refused(limit=9), db.tasks.depth()

    dead, judged, depth = await store.read(look)
    assert [(task.job_id, task.refused) for task in dead] == [(jobs[0].id, False)]
    assert [(task.job_id, task.refused) for task in judged] == [(jobs[2].id, True), (jobs[1].id, True)]
    assert depth == {("probe", "discarded"): 1}


async def test_a_restart_frees_what_the_old_boot_left_running_at_once(store: Store) -> None:
    for n in range(3):
        await upload(store, now=NOW + n)
    old = [await claim(store, now=NOW + 9) for _ in range(2)]
    own = await claim(store, now=NOW + 9, boot_id="boot-2")

    rescued = await store.write(lambda db: db.tasks.rescue(boot_id="boot-2", now=NOW + 10, max_rescues=3))

    assert [task.id for task in rescued] == [task.id for task in old]
    assert {(task.state, task.attempt, task.rescues) for task in rescued} == {("available", 0, 1)}
    assert [task.errors[-1].code for task in rescued] == ["daemon_died"] * 2
    assert (await store.read(lambda db: db.tasks.get(own.id))).state == "running"
    assert (await claim(store, now=NOW + 10, boot_id="boot-2")).id == old[0].id


async def test_a_task_that_kills_daemon_after_daemon_becomes_a_dead_letter(store: Store) -> None:
    await upload(store)
    for boot in range(3):
        await claim(store, boot_id=f"boot-{boot}")
        (task,) = await rescue(store, boot_id=f"boot-{boot + 1}")
    assert (task.state, task.rescues, task.attempt) == ("discarded", 2, 1)
    assert [error.code for error in task.errors] == ["daemon_died"] * 3


async def test_a_task_that_gets_further_may_outlive_any_number_of_daemons(store: Store) -> None:
    await upload(store)
    for boot in range(10):
        running = await claim(store, boot_id=f"boot-{boot}")
        await advance(store, running)
        (task,) = await rescue(store, boot_id=f"boot-{boot + 1}")
        assert task.state == "available"


async def test_a_lease_that_ran_out_frees_the_task(store: Store) -> None:
    await upload(store)
    task = await claim(store)
    assert await store.write(lambda db: db.tasks.expired(now=NOW + LEASE_MS - 1, max_rescues=3)) == []
    (freed,) = await store.write(lambda db: db.tasks.expired(now=NOW + LEASE_MS, max_rescues=3))
    assert (freed.id, freed.state, freed.attempt, freed.rescues) == (task.id, "available", 0, 1)
    assert freed.errors[-1].code == "lease_expired"


async def test_the_queue_says_when_it_is_next_due_and_how_deep_it_is(store: Store) -> None:
    nothing = await store.read(lambda db: (db.tasks.next_due_at(), db.tasks.oldest_available_age_ms(now=NOW)))
    assert nothing == (None, 0)
    jobs = await several_jobs(store, 3)
    await enqueue(store, jobs[0], "render", run_at=NOW + 500, priority="low")
    assert await store.read(lambda db: db.tasks.next_due_at()) == NOW + 500
    assert await store.read(lambda db: db.tasks.oldest_available_age_ms(now=NOW)) == 0
    await enqueue(store, jobs[1], "probe", run_at=NOW - 300)
    assert await store.read(lambda db: db.tasks.next_due_at()) == NOW - 300
    assert await store.read(lambda db: db.tasks.oldest_available_age_ms(now=NOW)) == 300
    await claim(store)
    await enqueue(store, jobs[2], "probe")
    assert await store.read(lambda db: db.tasks.depth()) == {
        ("render", "available"): 1,
        ("probe", "available"): 1,
        ("probe", "running"): 1,
    }


async def test_the_end_of_a_lease_is_due_too(store: Store) -> None:
    jobs = await several_jobs(store, 2)
    await enqueue(store, jobs[0], "probe")
    await enqueue(store, jobs[1], "probe", run_at=NOW + 2 * LEASE_MS)
    task = await claim(store)
    assert await store.read(lambda db: db.tasks.next_due_at()) == NOW + LEASE_MS
    await store.write(lambda db: db.tasks.heartbeat(task, lease_ms=LEASE_MS, now=NOW + 10_000))
    assert await store.read(lambda db: db.tasks.next_due_at()) == NOW + 10_000 + LEASE_MS
    await store.write(lambda db: db.tasks.complete(task, now=NOW + 20_000))
    assert await store.read(lambda db: db.tasks.next_due_at()) == NOW + 2 * LEASE_MS


async def test_a_task_needs_its_job(store: Store) -> None:
    with pytest.raises(Conflict):
        await enqueue(store, a_job(a_video()))
    with pytest.raises(NotFound):
        await store.read(lambda db: db.tasks.get("tsk_" + "0" * 26))


async def test_payload_and_kind_come_back_as_they_went_in(store: Store) -> None:
    job = await a_job_alone(store)
    payload = {"todo": [0, 2], "plan": {"fps": "30000/1001", "é": None}}
    task: Task = await enqueue(store, job, "render", payload=payload, max_attempts=7)
    assert await store.read(lambda db: db.tasks.get(task.id)) == task
    assert (task.payload, task.kind, task.max_attempts) == (payload, "render", 7)


async def a_segment_of(store: Store, job: Job, index: int = 0) -> str:
    segment = a_segment(job.id, index=index)
    await store.write(lambda db: db.segments.add_all([segment]))
    return segment.id


async def test_each_segment_of_a_job_may_be_made_again_once_at_a_time(store: Store) -> None:
    job = await a_job_alone(store)
    first, second = [await a_segment_of(store, job, index) for index in range(2)]
    task = await enqueue(store, job, "remake", segment_id=first)
    await enqueue(store, job, "remake", segment_id=second)
    with pytest.raises(Conflict):
        await enqueue(store, job, "remake", segment_id=first)
    assert await store.read(lambda db: db.tasks.live_of_segment(first)) == task
    claimed = await claim(store)
    assert (claimed.kind, claimed.segment_id) == ("remake", first)
    await store.write(lambda db: db.tasks.complete(claimed, now=NOW))
    assert await store.read(lambda db: db.tasks.live_of_segment(first)) is None
    again = await enqueue(store, job, "remake", segment_id=first)
    assert (await store.read(lambda db: db.tasks.last_of_segment(first))) == again


async def test_what_was_given_up_of_a_segment_is_superseded(store: Store) -> None:
    job = await a_job_alone(store)
    segment_id = await a_segment_of(store, job)
    await enqueue(store, job, "remake", segment_id=segment_id)
    task = await claim(store)
    await discard(store, task, an_error(task))
    assert await store.write(lambda db: db.tasks.supersede(segment_id, now=NOW)) == 1
    assert await store.read(lambda db: db.tasks.dead(limit=5)) == []
    assert (await store.read(lambda db: db.tasks.get(task.id))).state == "cancelled"


async def test_what_is_tried_again_with_less_keeps_its_attempt_and_says_why(store: Store) -> None:
    job = await a_job_alone(store)
    await enqueue(store, job, "render", payload={"plan": {"fps": "30"}}, max_attempts=1)
    for said in (["the eyes"], ["the crop"]):
        task = await claim(store, now=NOW + 5)
        error = an_error(task, crash=True)
        waiting = await store.write(
            lambda db, task=task, error=error, said=said: db.tasks.retry_without(  # type: ignore[misc]
                task, error, why=said, run_at=NOW + 5
            )
        )
        assert (waiting.state, waiting.attempt, waiting.without[-1:]) == ("available", 0, said)
    assert (waiting.crashes, waiting.without, len(waiting.errors)) == (2, ["the eyes", "the crop"], 2)
    task = await claim(store, now=NOW + 5)
    await discard(store, task, an_error(task, crash=True))
    again = await store.write(lambda db: db.tasks.requeue(task.id, max_attempts=3, now=NOW + 6))
    assert (again.without, again.payload) == ([], {"plan": {"fps": "30"}})  # it begins with everything again
    with pytest.raises(ClaimLost):
        await store.write(lambda db: db.tasks.retry_without(task, an_error(task), why=[], run_at=NOW))


async def test_a_step_that_is_done_without_is_completed_with_what_it_said(store: Store) -> None:
    job = await a_job_alone(store)
    await enqueue(store, job, "track")
    task = await claim(store)
    error = an_error(task, crash=True)
    done = await store.write(lambda db: db.tasks.do_without(task, error, now=NOW + 1))
    assert (done.state, done.progress, done.errors, done.crashes) == ("completed", 1.0, [error], 1)
    assert await store.read(lambda db: db.tasks.dead(limit=5)) == []
    with pytest.raises(ClaimLost):
        await store.write(lambda db: db.tasks.do_without(task, error, now=NOW + 1))


@pytest.mark.parametrize(("kind", "state"), [("track", "completed"), ("render", "discarded")])
async def test_what_takes_daemons_with_it_is_done_without_where_that_is_possible(
    store: Store, kind: TaskKind, state: str
) -> None:
    job = await a_job_alone(store)
    await enqueue(store, job, kind)
    for boot in range(3):
        await claim(store, boot_id=f"boot-{boot}")
        [rescued] = await rescue(store, boot_id=f"boot-{boot + 1}", max_rescues=2)
    assert rescued.state == state
    assert rescued.errors[-1].code == "daemon_died"
