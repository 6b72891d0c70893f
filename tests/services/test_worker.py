"""Jobs through the queue: claimed, tried, recorded, given back."""

import asyncio
import errno
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from tests.services.conftest import eventually, pids_of, worker_pids
from tests.services.workshop import Workshop, eventually_async, files_of, workshop_in
from vidprod.domain.ids import new_id
from vidprod.errors import ClaimLost, NoSpace
from vidprod.services.process import WATCH_EVERY_S
from vidprod.store.feed import ProgressNote


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    async with workshop_in(tmp_path / "data") as workshop:
        yield workshop


async def test_a_job_goes_through_its_steps(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(segments=3, warnings=["a note"])
    job = await workshop.end_of(job_id)
    assert (job.state, job.warnings) == ("completed", ["a note"])
    assert [(task.kind, task.state, task.attempt) for task in await workshop.tasks(job_id)] == [
        ("probe", "completed", 1),
        ("plan", "completed", 1),
        ("render", "completed", 1),
    ]
    segments = await workshop.segments(job_id)
    assert [segment.state for segment in segments] == ["ready"] * 3
    assert set(files_of(workshop, job_id)) == {s.id + e for s in segments for e in (".mp4", ".jpg", ".sprite.jpg")}
    assert await workshop.types(job_id) == [
        "job.created",
        "job.started",
        *["step.completed"] * 2,
        "segment.planned",
        *["segment.ready"] * 3,
        "step.completed",
        "job.completed",
    ]
    await eventually(lambda: workshop.blobs.work_dirs() == set())


async def test_work_begins_without_a_wait(workshop: Workshop) -> None:
    await workshop.start()
    await workshop.end_of(await workshop.submit(segments=1))  # the child is warm
    began = time.monotonic()
    job_id = await workshop.submit(segments=1)
    await workshop.event(job_id, "step.completed")
    assert time.monotonic() - began < 1


async def test_progress_is_told_to_who_listens(workshop: Workshop) -> None:
    await workshop.start()
    with workshop.store.feed.subscribe() as news:
        job_id = await workshop.submit(segments=2, pause_s=0.6)
        notes = []
        async with asyncio.timeout(10):
            async for item in news:
                if isinstance(item, ProgressNote):
                    notes.append(item)
                elif item.type == "job.completed":
                    break
    assert {note.job_id for note in notes} == {job_id}
    render = [note.data for note in notes if note.data["step"] == "render"]
    assert [data["progress"] for data in render] == [0.0, 50.0, 100.0]
    assert [data["job_progress"] for data in render] == [10.0, 55.0, 100.0]


async def test_a_refused_take_fails_its_job_at_once(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(probe="refuse")
    job = await workshop.end_of(job_id)
    assert job.state == "failed"
    assert job.error is not None
    assert (job.error.code, job.error.message) == ("no_video_stream", "there is no picture in it")
    [task] = await workshop.tasks(job_id)
    assert (task.state, task.attempt, task.errors[0].refused) == ("discarded", 1, True)


async def test_a_source_that_is_gone_fails_the_job(workshop: Workshop) -> None:
    job_id = await workshop.submit()
    workshop.blobs.delete_source((await workshop.job(job_id)).video_id)
    await workshop.start()
    job = await workshop.end_of(job_id)
    assert job.error is not None
    assert job.error.code == "source_gone"


async def test_a_failed_attempt_is_tried_again_later(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(plan="try_later")
    event = await workshop.event(job_id, "step.retrying")
    assert event.data["code"] == "busy"
    task = (await workshop.tasks(job_id))[-1]
    assert (task.kind, task.state, task.attempt) == ("plan", "available", 1)
    assert 1500 < task.run_at - event.at < 2500
    assert "something was busy" in task.errors[0].output
    assert (await workshop.job(job_id)).state == "processing"


async def test_a_task_without_attempts_left_is_a_dead_letter(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(plan="try_later")
    await workshop.hurry(job_id, retries=workshop.config.max_attempts)
    job = await workshop.end_of(job_id)
    assert job.state == "failed"
    assert job.error is not None
    assert job.error.code == "busy"
    task = (await workshop.tasks(job_id))[-1]
    assert (task.state, task.attempt, len(task.errors)) == ("discarded", 5, 5)


async def test_three_deaths_of_the_child_are_poison(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(render="abort")
    await workshop.hurry(job_id, retries=3)
    job = await workshop.end_of(job_id)
    assert job.error is not None
    assert job.error.code == "poison"
    assert "SIGABRT" in job.error.message
    task = (await workshop.tasks(job_id))[-1]
    assert (task.state, task.crashes) == ("discarded", 3)
    assert "the codec is upset" in task.errors[-1].output
    assert {segment.state for segment in await workshop.segments(job_id)} == {"failed"}


async def test_a_crash_redoes_only_what_was_not_finished(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(segments=3, render="crash_after_the_first")
    await workshop.event(job_id, "step.retrying")
    before = files_of(workshop, job_id)
    assert len(before) == 3
    inodes = {path: path.stat().st_ino for path in (workshop.root / "media" / job_id).iterdir()}
    await workshop.hurry(job_id, retries=1)
    assert (await workshop.end_of(job_id)).state == "completed"
    assert {path: path.stat().st_ino for path in inodes} == inodes
    assert files_of(workshop, job_id).items() > before.items()
    ready = [event.data["index"] for event in await workshop.events(job_id) if event.type == "segment.ready"]
    assert ready == [0, 1, 2]


async def test_a_full_disk_ends_the_attempt_with_the_reason(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(segments=2, render="fill_the_disk", after=1)
    event = await workshop.event(job_id, "step.retrying")
    assert (event.data["code"], event.data["step"]) == ("no_space", "render")
    assert event.data["run_at"] - event.at > 5000


FLOOR = 100 << 20


@pytest.fixture
def has_free(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes the volume have so many bytes free, as others that write to it would, and a floor."""
    workshop.blobs.floor_bytes = FLOOR
    return lambda size: monkeypatch.setattr(workshop.blobs, "free_bytes", lambda: size)


async def test_a_render_does_not_begin_without_room_for_a_segment(
    workshop: Workshop, has_free: Callable[[int], None]
) -> None:
    has_free(FLOOR + 900_000)
    job_id = await workshop.submit(segments=2)
    await workshop.start()
    event = await workshop.event(job_id, "step.retrying")
    assert (event.data["code"], event.data["step"]) == ("no_space", "render")
    assert "1.1 MB are needed" in event.data["message"]  # a segment is of a second
    assert event.data["run_at"] - event.at > 5000
    assert [segment.state for segment in await workshop.segments(job_id)] == ["pending"] * 2
    has_free(FLOOR + 3_000_000)
    await workshop.hurry(job_id, retries=1)
    assert (await workshop.end_of(job_id)).state == "completed"


async def test_a_render_waits_for_room_for_as_long_as_the_setting_says(
    workshop: Workshop, has_free: Callable[[int], None]
) -> None:
    has_free(FLOOR)
    job_id = await workshop.submit(segments=2)
    await workshop.start()
    for _look in range(workshop.config.max_attempts + 2):
        await eventually_async(partial(_has_looked, workshop, job_id))
        workshop.ahead_ms += 3_600_000
        workshop.store.feed.nudge.set()
    await eventually_async(partial(_has_looked, workshop, job_id))
    [*_, render] = await workshop.tasks(job_id)
    assert (render.state, render.attempt, [error.code for error in render.errors]) == ("available", 0, ["no_space"])
    assert (await workshop.types(job_id)).count("step.retrying") == 1
    workshop.ahead_ms += int(workshop.config.room_wait_s * 1000)
    workshop.store.feed.nudge.set()
    job = await workshop.end_of(job_id)
    assert job.error is not None
    assert (job.error.code, "Delete finished jobs" in job.error.hint) == ("no_space", True)


async def _has_looked(workshop: Workshop, job_id: str) -> bool:
    """And waits again."""
    [*_, render] = await workshop.tasks(job_id)
    return (render.kind, render.state) == ("render", "available") and render.run_at > workshop.now()


async def test_a_render_at_work_leaves_the_floor_alone(workshop: Workshop, has_free: Callable[[int], None]) -> None:
    await workshop.start()
    job_id = await workshop.submit(segments=2, render="spin")
    await eventually_async(lambda: _renders(workshop, job_id))
    has_free(FLOOR - 1)
    event = await workshop.event(job_id, "step.retrying")
    assert (event.data["code"], event.data["step"]) == ("no_space", "render")
    assert "kept for the database" in event.data["message"]
    assert (await workshop.tasks(job_id))[-1].crashes == 0  # nobody died
    await eventually(lambda: not worker_pids(workshop.host), within_s=3)


async def test_a_finished_segment_is_kept_though_there_is_no_room_for_the_next(
    workshop: Workshop, has_free: Callable[[int], None]
) -> None:
    await workshop.start()
    job_id = await workshop.submit(segments=3, render="spin", after=1)
    await workshop.event(job_id, "segment.ready")
    has_free(FLOOR)
    await workshop.event(job_id, "step.retrying")
    assert [segment.state for segment in await workshop.segments(job_id)] == ["ready", "pending", "pending"]
    assert len(files_of(workshop, job_id)) == 3


async def test_a_full_disk_ends_no_render_whose_segments_are_all_made(
    workshop: Workshop, has_free: Callable[[int], None]
) -> None:
    await workshop.start()
    job_id = await workshop.submit(segments=2, render="spin", after=2)
    await eventually_async(lambda: _is_all_made(workshop, job_id))
    has_free(0)
    await asyncio.sleep(5 * WATCH_EVERY_S)
    assert worker_pids(workshop.host)
    assert "step.retrying" not in await workshop.types(job_id)


async def _is_all_made(workshop: Workshop, job_id: str) -> bool:
    segments = await workshop.segments(job_id)
    return bool(segments) and all(segment.state == "ready" for segment in segments)


async def test_a_render_takes_nothing_that_was_promised_to_an_upload(
    workshop: Workshop, has_free: Callable[[int], None]
) -> None:
    has_free(FLOOR + 10_000_000)
    job_id = await workshop.submit()
    async with workshop.blobs.receive(new_id("upl", now=1), expected=10_000_000):
        await workshop.start()
        event = await workshop.event(job_id, "step.retrying")
        assert "promised to other uploads" in event.data["message"]
    await workshop.hurry(job_id, retries=1)
    assert (await workshop.end_of(job_id)).state == "completed"


async def test_a_full_disk_met_by_the_daemon_itself_is_no_space_too(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Any, *_rest: Any, **_options: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    job_id = await workshop.submit()
    with monkeypatch.context() as volume:
        volume.setattr(os, "mkdir", full)
        await workshop.start()
        event = await workshop.event(job_id, "step.retrying")
    assert (event.data["code"], event.data["step"]) == ("no_space", "probe")
    assert event.data["run_at"] - event.at > 5000
    await workshop.hurry(job_id, retries=1)
    assert (await workshop.end_of(job_id)).state == "completed"


async def test_a_cancelled_job_ends_its_child(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(render="spin")
    await eventually_async(lambda: _renders(workshop, job_id))
    await workshop.cancel(job_id)
    await eventually(lambda: not worker_pids(workshop.host), within_s=3)
    await eventually(lambda: not workshop.blobs.work_dirs())
    assert (await workshop.tasks(job_id))[-1].state == "cancelled"
    assert "step.retrying" not in await workshop.types(job_id)
    other = await workshop.submit()
    assert (await workshop.end_of(other)).state == "completed"


async def test_a_job_deleted_while_it_runs_leaves_nothing(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(segments=3, render="spin", after=1)
    await workshop.event(job_id, "segment.ready")

    def delete(db: Any) -> None:
        db.jobs.cancel(job_id, now=workshop.now())
        db.tasks.cancel_of_job(job_id, now=workshop.now())
        db.jobs.delete(job_id)
        db.events.record("job.deleted", job_id=job_id, now=workshop.now())

    await workshop.store.write(delete)
    await eventually(lambda: not worker_pids(workshop.host), within_s=3)
    await eventually(lambda: not workshop.blobs.work_dirs() and not workshop.blobs.stored_jobs())


async def _renders(workshop: Workshop, job_id: str) -> bool:
    tasks = await workshop.tasks(job_id)
    return tasks[-1].kind == "render" and bool(worker_pids(workshop.host))


async def test_stopping_uses_no_attempt_up_and_work_resumes(workshop: Workshop) -> None:
    await workshop.start(boot_id="boot_1")
    job_id = await workshop.submit(segments=3, pause_s=0.4)
    await workshop.event(job_id, "segment.ready")
    began = time.monotonic()
    await workshop.stop()
    assert time.monotonic() - began < 3
    task = (await workshop.tasks(job_id))[-1]
    assert (task.kind, task.state, task.attempt, task.rescues) == ("render", "available", 0, 0)
    await workshop.start(boot_id="boot_2")
    assert (await workshop.end_of(job_id)).state == "completed"
    ready = [event.data["index"] for event in await workshop.events(job_id) if event.type == "segment.ready"]
    assert ready == [0, 1, 2]


@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.01, 0.05, 0.15, 0.3])
async def test_it_can_be_stopped_at_any_moment(workshop: Workshop, after_s: float) -> None:
    jobs = [await workshop.submit(segments=2) for _n in range(2)]
    for boot in range(4):
        await workshop.start(boot_id=f"boot_{boot}")
        await asyncio.sleep(after_s)
        await workshop.stop()
        for job_id in jobs:
            assert "running" not in {task.state for task in await workshop.tasks(job_id)}
    await workshop.start(boot_id="boot_last")
    for job_id in jobs:
        assert (await workshop.end_of(job_id)).state == "completed"
        assert {task.attempt for task in await workshop.tasks(job_id)} == {1}


async def test_it_can_be_stopped_while_nothing_can_be_claimed(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await workshop.start()
    claiming, may_fail = threading.Event(), threading.Event()

    def full(*_: Any) -> None:
        claiming.set()
        may_fail.wait(10)
        raise NoSpace("the volume is full")

    monkeypatch.setattr(worker, "_claim_one", full)
    workshop.store.feed.nudge.set()
    await eventually(claiming.is_set)
    stopping = asyncio.create_task(workshop.stop())
    await asyncio.sleep(0)
    may_fail.set()
    done, _ = await asyncio.wait({stopping}, timeout=5)
    assert done


async def test_what_an_earlier_daemon_left_running_is_freed_at_the_start(workshop: Workshop) -> None:
    job_id = await workshop.submit()
    await workshop.store.write(
        lambda db: db.tasks.claim(boot_id="boot_dead", token="x", lease_ms=3_600_000, now=workshop.now())
    )
    await workshop.start(boot_id="boot_2")
    assert (await workshop.end_of(job_id)).state == "completed"
    task = (await workshop.tasks(job_id))[0]
    assert (task.attempt, task.errors[0].code) == (1, "daemon_died")


async def test_a_task_that_takes_the_daemon_with_it_again_and_again_is_poison(workshop: Workshop) -> None:
    job_id = await workshop.submit()
    for boot in range(workshop.config.max_crashes + 1):
        await workshop.store.write(
            lambda db: (
                db.jobs.start(job_id, now=workshop.now())
                and db.tasks.claim(boot_id="boot_dead", token="x", lease_ms=3_600_000, now=workshop.now())
            )
        )
        await workshop.start(boot_id=f"boot_{boot}")
        if boot < workshop.config.max_crashes:
            await workshop.stop()
    job = await workshop.job(job_id)
    assert job.error is not None
    assert job.error.code == "poison"


async def test_an_attempt_that_lost_its_lease_changes_nothing(workshop: Workshop) -> None:
    """The machine slept: the lease ran out, another attempt finished the segment, and the first one wakes."""
    await workshop.start()
    job_id = await workshop.submit(segments=2, pause_s=0.5)
    await workshop.event(job_id, "segment.planned")
    await eventually_async(lambda: _renders(workshop, job_id))
    workshop.ahead_ms += 60_000

    def take_over(db: Any) -> None:
        db.tasks.expired(now=workshop.now(), max_rescues=3)
        taken = db.tasks.claim(boot_id="boot_other", token="other", lease_ms=3_600_000, now=workshop.now())
        assert taken.kind == "render"

    await workshop.store.write(take_over)
    await eventually(lambda: not worker_pids(workshop.host), within_s=5)
    assert {segment.state for segment in await workshop.segments(job_id)} == {"pending"}
    assert files_of(workshop, job_id) == {}
    assert (await workshop.tasks(job_id))[-1].lease_token == "other"


async def test_a_machine_that_slept_past_the_lease_goes_on(tmp_path: Path) -> None:
    async with workshop_in(tmp_path / "data", children=2, lease_s=60.0) as workshop:
        await workshop.start()
        job_id = await workshop.submit(segments=2, pause_s=0.3)
        await eventually_async(lambda: _renders(workshop, job_id))
        workshop.ahead_ms += 61_000
        workshop.store.feed.nudge.set()  # the child that is free looks for work before the other's lease is renewed
        assert (await workshop.end_of(job_id)).state == "completed"
        assert [task.errors for task in await workshop.tasks(job_id)] == [[], [], []]


class _OfTheLoop(dict[str, Any]):
    """Attempts that say who looked at them."""

    looked: ClassVar[set[str]] = set()

    def values(self) -> Any:
        self.looked.add(threading.current_thread().name)
        return super().values()


async def test_attempts_are_looked_at_only_where_they_change(tmp_path: Path) -> None:
    async with workshop_in(tmp_path / "data", children=2) as workshop:
        worker = await workshop.start()
        worker._attempts = _OfTheLoop()
        for job_id in [await workshop.submit(segments=1) for _n in range(3)]:
            await workshop.end_of(job_id)
    assert _OfTheLoop.looked == {threading.current_thread().name}


async def test_without_the_fence_the_late_attempt_would_overwrite(workshop: Workshop) -> None:
    """The twin: what the token keeps out gets in when the token is not looked at."""
    await workshop.start()
    job_id = await workshop.submit(segments=1)
    await workshop.end_of(job_id)
    [segment] = await workshop.segments(job_id)
    task = (await workshop.tasks(job_id))[-1]
    stale = msgspec.structs.replace(task, lease_token="late")
    with pytest.raises(ClaimLost):
        await workshop.store.write(lambda db: db.tasks.heartbeat(stale, lease_ms=1000, now=workshop.now()))
    await eventually(lambda: workshop.blobs.work_dirs() == set())  # the attempt clears up after the job is over
    work_dir = workshop.blobs.work_dir(task.id)
    work_dir.mkdir()
    (work_dir / "0000.mp4").write_bytes(b"late")
    workshop.blobs.adopt({".mp4": work_dir / "0000.mp4"}, job_id, segment.id)  # without asking first
    assert files_of(workshop, job_id)[segment.id + ".mp4"] == b"late"


async def test_an_expired_lease_is_taken_up_without_a_nudge(tmp_path: Path) -> None:
    async with workshop_in(tmp_path / "data", lease_s=0.3) as workshop:
        job_id = await workshop.submit()
        await workshop.store.write(
            lambda db: db.tasks.claim(boot_id="boot_1", token="lost", lease_ms=300, now=workshop.now())
        )
        workshop.store.feed.nudge.clear()
        await workshop.start(boot_id="boot_1")
        assert (await workshop.end_of(job_id)).state == "completed"


async def test_the_worker_wakes_at_the_end_of_the_lease_not_a_lease_later(tmp_path: Path) -> None:
    async with workshop_in(tmp_path / "data", lease_s=60.0) as workshop:
        job_id = await workshop.submit()
        await workshop.store.write(
            lambda db: db.tasks.claim(boot_id="boot_1", token="lost", lease_ms=500, now=workshop.now())
        )
        await workshop.start(boot_id="boot_1")
        assert (await workshop.end_of(job_id)).state == "completed"  # the workshop waits for 15 s


async def test_a_task_claimed_while_its_older_attempt_ends_is_given_back_when_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with workshop_in(tmp_path / "data", children=2, lease_s=60.0) as workshop:
        worker = await workshop.start()
        job_id = await workshop.submit(render="spin")
        await eventually_async(lambda: _renders(workshop, job_id))
        await eventually(workshop.blobs.work_dirs)
        [*_, first] = await workshop.tasks(job_id)
        assert (first.kind, first.state) == ("render", "running")
        may_end = threading.Event()
        delete_work = workshop.blobs.delete_work

        def delete_slowly(task_id: str) -> None:
            may_end.wait(10)
            delete_work(task_id)

        monkeypatch.setattr(workshop.blobs, "delete_work", delete_slowly)
        await workshop.cancel(job_id)
        await workshop.retry(job_id)
        _, older = worker._attempts[first.id]
        await eventually(older.cancelling)
        [*_, claimed] = await workshop.tasks(job_id)
        assert (claimed.state, claimed.lease_token != first.lease_token) == ("running", True)
        asyncio.get_running_loop().call_later(0.5, may_end.set)  # long after the claim is given back
        await workshop.stop()
        [*_, given_back] = await workshop.tasks(job_id)
        assert (given_back.state, given_back.attempt) == ("available", first.attempt)


async def test_a_child_that_makes_files_elsewhere_is_not_believed(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(segments=1, render="name_a_foreign_file")
    event = await workshop.event(job_id, "step.retrying")
    assert event.data["code"] == "child_garbled"


async def test_urgent_jobs_come_first(workshop: Workshop) -> None:
    jobs = [await workshop.submit(segments=1, priority=priority) for priority in ("low", "normal", "high")]
    await workshop.start()
    for job_id in jobs:
        await workshop.end_of(job_id)
    started = [(await workshop.job(job_id)).finished_at or 0 for job_id in jobs]
    assert started == sorted(started, reverse=True)


async def test_two_children_work_at_once(tmp_path: Path) -> None:
    async with workshop_in(tmp_path / "data", children=2) as workshop:
        await workshop.start()
        jobs = [await workshop.submit(render="sleep") for _n in range(3)]
        await eventually_async(partial(_are_rendering, workshop, jobs, 2))
        await eventually(lambda: len(worker_pids(workshop.host)) == 2)
        assert len(pids_of(workshop.host)) == 2


async def _are_rendering(workshop: Workshop, jobs: list[str], number: int) -> bool:
    last = [(await workshop.tasks(job_id))[-1] for job_id in jobs]
    return [(task.kind, task.state) for task in last].count(("render", "running")) == number


async def test_many_jobs_are_all_done(tmp_path: Path) -> None:
    async with workshop_in(tmp_path / "data", children=2) as workshop:
        await workshop.start()
        jobs = [await workshop.submit(segments=1) for _n in range(20)]
        for job_id in jobs:
            assert (await workshop.end_of(job_id)).state == "completed"


async def test_nothing_is_begun_while_the_machine_is_strained(tmp_path: Path) -> None:
    """What is under way ends; the next task waits, and goes on by itself."""
    async with workshop_in(tmp_path / "data", children=2) as workshop:
        may_begin = asyncio.Event()
        may_begin.set()
        await workshop.start(may_begin=may_begin)
        first = await workshop.submit(segments=3, pause_s=0.2)
        await workshop.event(first, "segment.ready")
        may_begin.clear()
        second = await workshop.submit(segments=1)
        await workshop.end_of(first)
        [waiting] = await workshop.tasks(second)
        assert (waiting.state, waiting.attempt) == ("available", 0)
        may_begin.set()
        assert (await workshop.end_of(second)).state == "completed"
