"""The plans of the hot statements are pinned: what a claim costs does not depend on how much lies in the tables."""

from collections.abc import Callable

import apsw
import pytest

from tests.store.given import LEASE_MS, NOW, a_rendition, a_segment, a_video, an_error, upload
from vidprod.domain.recipe import Recipe
from vidprod.domain.task import Task
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.connection import rows

JOB = "job_" + "0" * 26
ACCOUNT = "acc_" + "0" * 26
TASK = Task(
    id="tsk_" + "0" * 26,
    job_id=JOB,
    kind="probe",
    state="running",
    priority="normal",
    run_at=NOW,
    attempt=1,
    max_attempts=3,
    lease_token="t",
    created_at=NOW,
)


async def statements(store: Store, call: Callable[[Tables], object]) -> list[tuple[str, object]]:
    """The statements that `call` runs, with their values."""
    seen: list[tuple[str, object]] = []

    def trace(cursor: apsw.Cursor, sql: str, values: object) -> bool:
        seen.append((sql, values))
        return True

    def traced(db: Tables) -> None:
        connection = db.tasks._connection
        connection.exec_trace = trace
        try:
            call(db)
        except Exception:
            seen.append(("", None))  # not found, claim lost: it is the statements that count
        finally:
            connection.exec_trace = None

    await store.write(traced)
    return [(sql, values) for sql, values in seen if sql]


async def plan(store: Store, call: Callable[[Tables], object]) -> list[str]:
    """What SQLite says it will do, of all statements of `call`."""
    steps = []
    for sql, values in await statements(store, call):
        found = await store.write(
            lambda db, sql=sql, values=values: list(  # type: ignore[misc]
                db.tasks._connection.execute(f"explain query plan {sql}", values)
            )
        )
        steps += [row["detail"] for row in found]
    return steps


async def test_a_claim_looks_at_the_head_of_each_lane_and_nothing_else(store: Store) -> None:
    await upload(store)
    steps = await plan(store, lambda db: db.tasks.claim(boot_id="b", token="t", lease_ms=LEASE_MS, now=NOW))
    assert [step for step in steps if "task" in step or "head" in step] == [
        "SEARCH task USING INTEGER PRIMARY KEY (rowid=?)",
        "SEARCH head USING INTEGER PRIMARY KEY (rowid=?)",
        "SEARCH task USING COVERING INDEX task_available (kind=? AND priority=? AND run_at<?)",
    ]
    assert [step for step in steps if "B-TREE" in step] == ["USE TEMP B-TREE FOR ORDER BY"]  # of at most fifteen heads


async def test_when_the_next_task_is_due_is_read_off_the_ends_of_the_lanes(store: Store) -> None:
    await upload(store)
    steps = await plan(store, lambda db: db.tasks.next_due_at())
    assert [step for step in steps if "task" in step] == [
        "SEARCH task USING COVERING INDEX task_running",
        "SEARCH task USING COVERING INDEX task_available (kind=? AND priority=?)",
    ]


async def test_dead_letters_are_found_without_a_look_at_what_was_refused(store: Store) -> None:
    assert await plan(store, lambda db: db.tasks.dead(limit=5)) == [
        "SCAN task USING INDEX task_dead"  # from its end, until the limit
    ]
    assert await plan(store, lambda db: db.tasks.refused(limit=5)) == [
        "SCAN task USING INDEX task_refused"  # from its end, until the limit
    ]
    steps = await plan(store, lambda db: db.tasks.depth())
    assert [step for step in steps if "task" in step] == [
        "SCAN task USING COVERING INDEX task_available",
        "SCAN task USING INDEX task_running",
        "SCAN task USING INDEX task_dead",
    ]


HOT: dict[str, Callable[[Tables], object]] = {
    "heartbeat": lambda db: db.tasks.heartbeat(TASK, lease_ms=1, now=NOW),
    "set_progress": lambda db: db.tasks.set_progress(TASK, 0.5),
    "advance": lambda db: db.tasks.advance(TASK),
    "complete": lambda db: db.tasks.complete(TASK, now=NOW),
    "retry": lambda db: db.tasks.retry(TASK, an_error(TASK), run_at=NOW),
    "retry_without": lambda db: db.tasks.retry_without(TASK, an_error(TASK), why=["no"], run_at=NOW),
    "do_without": lambda db: db.tasks.do_without(TASK, an_error(TASK), now=NOW),
    "postpone": lambda db: db.tasks.postpone(TASK, an_error(TASK), run_at=NOW),
    "renew": lambda db: db.tasks.renew([TASK], lease_ms=1, now=NOW),
    "give_back": lambda db: db.tasks.give_back(TASK, now=NOW),
    "discard": lambda db: db.tasks.discard(TASK, an_error(TASK), now=NOW),
    "cancel_of_job": lambda db: db.tasks.cancel_of_job(JOB, now=NOW),
    "requeue": lambda db: db.tasks.requeue(TASK.id, max_attempts=5, now=NOW),
    "rescue": lambda db: db.tasks.rescue(boot_id="b", now=NOW, max_rescues=3),
    "expired": lambda db: db.tasks.expired(now=NOW, max_rescues=3),
    "of_job": lambda db: db.tasks.of_job(JOB),
    "live_of_segment": lambda db: db.tasks.live_of_segment("seg_" + "0" * 26),
    "next_due_at": lambda db: db.tasks.next_due_at(),
    "job get": lambda db: db.jobs.get(JOB),
    "job start": lambda db: db.jobs.start(JOB, now=NOW),
    "job list": lambda db: db.jobs.list(limit=20),
    "job prunable": lambda db: db.jobs.prunable(before_ms=NOW, limit=5),
    "job delete": lambda db: db.jobs.delete(JOB),
    "job media_prunable": lambda db: db.jobs.media_prunable(before_ms=NOW, limit=5),
    "segments count": lambda db: db.segments.count(JOB),
    "segments of_job": lambda db: db.segments.of_job(JOB),
    "segments remake": lambda db: db.segments.remake(a_segment(JOB), a_rendition(), recipe=Recipe(), now=NOW),
    "segments reopen": lambda db: db.segments.reopen(JOB),
    "events after": lambda db: db.events.after(5),
    "events after, of a job": lambda db: db.events.after(5, job_id=JOB),
    "upload get": lambda db: db.uploads.get("upl_" + "0" * 26),
    "upload advance": lambda db: db.uploads.advance("upl_" + "0" * 26, offset=1, extension=None, expires_at=NOW),
    "uploads expired": lambda db: db.uploads.expired(now=NOW, limit=5),
    "uploads made_of": lambda db: db.uploads.made_of(["upl_x"]),
    "uploads prune": lambda db: db.uploads.prune(before_ms=NOW, limit=5),
    "answers find": lambda db: db.answers.find("k"),
    "answers prune": lambda db: db.answers.prune(before_ms=NOW, limit=5),
    "publications list": lambda db: db.publications.list(limit=5),
    "plans taken": lambda db: db.plans.taken(ACCOUNT, since=NOW),
    "plans fixed": lambda db: db.plans.fixed(ACCOUNT, since=NOW, after=NOW),
    "plans before": lambda db: db.plans.before(ACCOUNT, JOB, 3),
    "plans in_slots": lambda db: db.plans.in_slots(ACCOUNT, after=NOW),
    "plans held": lambda db: db.plans.held(before=NOW, limit=1),
    "plans segments": lambda db: db.plans.segments(["seg"]),
    "video get": lambda db: db.videos.get(a_video().id),
    "video prunable": lambda db: db.videos.prunable(before_ms=NOW, limit=5),
    "video mark_deleted": lambda db: db.videos.mark_deleted(a_video().id, now=NOW),
}


SMALL = ("SCAN wanted", "SCAN json_each", "SCAN rank", "SCAN task USING INDEX task_running")  # a handful of rows each


@pytest.mark.parametrize("name", HOT)
async def test_no_hot_statement_reads_a_whole_table_or_sorts_one(store: Store, name: str) -> None:
    steps = await plan(store, HOT[name])
    assert steps
    for step in steps:
        assert not step.startswith("SCAN") or step.startswith(SMALL), steps
    sorts = [step for step in steps if "TEMP B-TREE" in step]
    assert sorts == (["USE TEMP B-TREE FOR ORDER BY"] if name == "job list" else [])  # a page from each state, merged


async def test_pruning_events_looks_only_at_the_oldest(store: Store) -> None:
    steps = await plan(store, lambda db: db.events.prune(before_ms=NOW, limit=5))
    assert steps[0] == "SEARCH event USING INTEGER PRIMARY KEY (rowid=?)"
    assert "SCAN event" in steps[2]  # in the order of the key, stopped by the limit


async def test_of_the_segments_only_those_made_again_are_looked_at(store: Store) -> None:
    assert await plan(store, lambda db: db.segments.remade()) == ["SCAN segment USING INDEX segment_remade"]


async def test_deleting_a_job_finds_its_rows_by_index(store: Store) -> None:
    """The cascades show in no plan: SQLite makes them up from the indexes of the referring columns."""
    indexed = await store.read(
        lambda db: {
            (table, key["from"])
            for table in ("job", "task", "segment")
            for key in rows(db.jobs._connection, f"pragma foreign_key_list({table})")
            for index in rows(db.jobs._connection, f"pragma index_list({table})")
            if not index["partial"]
            and rows(db.jobs._connection, f"pragma index_info({index['name']})")[0]["name"] == key["from"]
        }
    )
    assert indexed == {("job", "video_id"), ("task", "job_id"), ("task", "segment_id"), ("segment", "job_id")}


async def test_every_statement_is_prepared_once(store: Store) -> None:
    await upload(store)
    await upload(store)
    before = await store._writer.run(lambda connection: connection.cache_stats())
    for _ in range(10):
        await upload(store)
    after = await store._writer.run(lambda connection: connection.cache_stats())
    assert after["misses"] == before["misses"]
    assert after["hits"] > before["hits"]


async def claim_steps(store: Store) -> int:
    """How many steps of SQLite's machine a claim takes."""
    taken: list[int] = []

    def traced(db: Tables) -> None:
        db.tasks._connection.trace_v2(
            apsw.SQLITE_TRACE_PROFILE, lambda event: taken.append(event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"])
        )
        db.tasks.claim(boot_id="b", token="t", lease_ms=LEASE_MS, now=NOW)
        db.tasks._connection.trace_v2(0, None)

    await store.write(traced)
    return taken[-1]


async def test_a_claim_takes_as_many_steps_from_a_long_queue_as_from_a_short_one(store: Store) -> None:
    job = await upload(store)

    def grow(db: Tables) -> None:
        rows(db.jobs._connection, "drop index task_live")  # so that one job can stand for many
        rows(
            db.jobs._connection,
            """
            insert into task (id, job_id, kind, state, priority, run_at, max_attempts, created_at)
            select printf('tsk_%026d', value), :job_id, 'render', 'available', 1 + value % 3, :now + value % 7 - 3, 3, 1
            from (
                with recursive series (value) as (select 1 union all select value + 1 from series where value < 20000)
                select value from series)
            """,
            job_id=job.id,
            now=NOW,
        )

    short = await claim_steps(store)
    await store.write(grow)
    long = await claim_steps(store)
    assert long <= short + 30  # three lanes more have a head
    assert short < 700
