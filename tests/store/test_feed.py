"""The feed: what is committed is heard once, in order; what is not is never heard."""

import asyncio

import pytest

from tests.store.given import LEASE_MS, NOW, an_error, claim, enqueue, upload
from vidprod.domain.event import Event
from vidprod.store.feed import Feed, ProgressNote
from vidprod.store.sqlite import Store, Tables


def an_event(number: int, *, job_id: str | None = None) -> Event:
    return Event(id=number, type="job.created", at=NOW, job_id=job_id)


async def test_a_listener_hears_each_committed_event_once_in_order(store: Store) -> None:
    with store.feed.subscribe() as listener:
        job = await upload(store)
        await store.write(lambda db: db.events.record("job.started", job_id=job.id, now=NOW))
        heard = [await anext(listener) for _ in range(3)]
    assert heard == await store.read(lambda db: db.events.after(0))


async def test_a_listener_to_one_job_hears_only_that(store: Store) -> None:
    first = await upload(store)
    with store.feed.subscribe(first.id) as listener:
        await upload(store)
        store.feed.progress("another", {"step": "probe", "progress": 1.0})
        await store.write(lambda db: db.events.record("job.started", job_id=first.id, now=NOW))
        heard = await anext(listener)
    assert isinstance(heard, Event)
    assert (heard.type, heard.job_id) == ("job.started", first.id)


async def test_what_was_rolled_back_is_never_heard(store: Store) -> None:
    def fail(db: Tables) -> None:
        db.events.record("job.lost", now=NOW)
        raise RuntimeError("after the event")

    with store.feed.subscribe() as listener:
        with pytest.raises(RuntimeError):
            await store.write(fail)
        await store.write(lambda db: db.events.record("job.kept", now=NOW))
        heard = await anext(listener)
    assert isinstance(heard, Event)
    assert heard.type == "job.kept"


async def test_events_are_heard_before_the_writer_goes_on(store: Store) -> None:
    with store.feed.subscribe() as listener:
        event = await store.write(lambda db: db.events.record("job.created", now=NOW))
        store.feed.close()  # what comes now is not heard
        assert await anext(listener, None) == event


async def test_events_of_a_cancelled_writer_are_heard_when_they_were_committed(store: Store) -> None:
    with store.feed.subscribe() as listener:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def slow(db: Tables) -> None:
            loop.call_soon_threadsafe(begun.set)
            db.events.record("job.created", now=NOW)

        writer = asyncio.create_task(store.write(slow))
        await begun.wait()
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        assert isinstance(await anext(listener), Event)


async def test_a_listener_that_falls_behind_is_ended_and_can_resume_from_its_cursor(store: Store) -> None:
    job = await upload(store)
    with store.feed.subscribe(limit=3) as slow, store.feed.subscribe() as quick:
        for _ in range(5):
            await store.write(lambda db: db.events.record("step.completed", job_id=job.id, now=NOW))
        assert [item async for item in slow] == []
        assert slow.overflowed
        assert not quick.overflowed
        assert [(await anext(quick)).id for _ in range(5)] == [3, 4, 5, 6, 7]  # type: ignore[union-attr]
    assert len(await store.read(lambda db: db.events.after(2))) == 5


async def test_of_progress_only_the_latest_of_a_step_waits() -> None:
    feed = Feed()
    with feed.subscribe(limit=2) as listener:
        for percent in (1.0, 2.0, 3.0):
            feed.progress("job", {"step": "render", "progress": percent})
        feed.progress("job", {"step": "plan", "progress": 9.0})
        feed.progress("job", {"step": "probe", "progress": 9.0})  # one too many: left out, no reason to end
        assert [await anext(listener) for _ in range(2)] == [
            ProgressNote(job_id="job", data={"step": "render", "progress": 3.0}),
            ProgressNote(job_id="job", data={"step": "plan", "progress": 9.0}),
        ]
        feed.progress("job", {"step": "render", "progress": 4.0})
        assert (await anext(listener)).data["progress"] == 4.0
        assert not listener.overflowed


async def test_a_closed_feed_ends_its_listeners_after_what_they_have_waiting() -> None:
    feed = Feed()
    with feed.subscribe() as listener, feed.subscribe() as waiting:
        reader = asyncio.create_task(anext(waiting, None))
        await asyncio.sleep(0)
        feed.publish([an_event(1)])
        assert await reader == an_event(1)
        feed.close()
        feed.publish([an_event(2)])
        assert [item async for item in listener] == [an_event(1)]
        assert await anext(waiting, None) is None
        with feed.subscribe() as late:
            assert await anext(late, None) is None
    assert feed.listeners == 0


async def test_the_worker_is_nudged_whenever_a_task_becomes_available(store: Store) -> None:
    nudge = store.feed.nudge

    async def nudged() -> bool:
        was = nudge.is_set()
        nudge.clear()
        return was

    job = await upload(store)
    assert await nudged()
    task = await claim(store)
    await store.write(lambda db: db.tasks.heartbeat(task, lease_ms=LEASE_MS, now=NOW))
    assert not await nudged()
    await store.write(lambda db: db.tasks.give_back(task, now=NOW))
    assert await nudged()
    again = await claim(store)
    await store.write(lambda db: db.tasks.retry(again, an_error(again), run_at=NOW))
    assert await nudged()
    await claim(store)
    await store.write(lambda db: db.tasks.rescue(boot_id="boot-2", now=NOW, max_rescues=3))
    assert await nudged()
    last = await claim(store)
    await store.write(lambda db: db.tasks.discard(last, an_error(last), now=NOW))
    assert not await nudged()
    await store.write(lambda db: db.tasks.requeue(last.id, max_attempts=5, now=NOW))
    assert await nudged()
    await enqueue(store, job, "plan", run_at=NOW + 10**6)  # to be slept for
    assert await nudged()
