"""The scheduler beside a real store, on a clock that is set by hand."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.store.given import NOW, a_job, a_rendition, a_segment, a_video
from vidprod.config import Config
from vidprod.domain.account import Account, AccountSettings
from vidprod.domain.ids import new_id
from vidprod.domain.post import Wording
from vidprod.domain.publication import Publication
from vidprod.services.clock import Clock
from vidprod.services.scheduler import Scheduler
from vidprod.store.sqlite import Store, Tables, planning

HOUR_MS = 3_600_000


class Wall:
    """The wall clock, in our hands."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(tmp_path / "vidprod.db", now=NOW, reserve_bytes=1 << 20) as opened:
        yield opened


@pytest.fixture
def scheduler(store: Store, wall: Wall) -> Scheduler:
    return Scheduler(store, Config(), Clock(wall=wall))


async def plan(store: Store, *, settings: AccountSettings) -> Publication:
    """One segment, ready, to one account."""
    account = Account(
        id=new_id("acc", now=NOW),
        platform="youtube",
        external_id="UC1",
        name="Channel",
        state="connected",
        settings=settings,
        connected_at=NOW,
    )
    video = a_video()
    job = a_job(video)
    segment = a_segment(job.id)

    def write(db: Tables) -> Publication:
        db.accounts.add(account, b"sealed")
        db.videos.add(video)
        db.jobs.add(job)
        db.segments.add_all([segment])
        db.segments.ready(segment.id, a_rendition(), now=NOW)
        return planning.plan(db, segment.id, account.id, when="slot", wording=Wording(), now=NOW)

    return await store.write(write)


async def get(store: Store, publication: Publication) -> Publication:
    return await store.read(lambda db: db.publications.get(publication.id))


async def test_what_nobody_approved_in_time_is_missed(store: Store, scheduler: Scheduler, wall: Wall) -> None:
    planned = await plan(store, settings=AccountSettings(approve=True))
    wall.now += HOUR_MS
    await scheduler.look()
    assert (await get(store, planned)).missed_at is None
    wall.now += 1
    await scheduler.look()
    assert (await get(store, planned)).missed_at == wall.now


async def test_a_clock_that_goes_back_an_hour_misses_nothing(store: Store, scheduler: Scheduler, wall: Wall) -> None:
    planned = await plan(store, settings=AccountSettings(approve=True))
    wall.now -= HOUR_MS
    await scheduler.look()
    assert (await get(store, planned)).missed_at is None


async def test_a_clock_that_goes_forward_a_day_leaves_what_may_go_to_the_publisher(
    store: Store, scheduler: Scheduler, wall: Wall
) -> None:
    planned = await plan(store, settings=AccountSettings())
    wall.now += 24 * HOUR_MS
    await scheduler.look()
    assert await get(store, planned) == planned


async def test_slots_that_a_zones_new_rules_moved_are_planned_anew_after_a_start(
    store: Store, scheduler: Scheduler, wall: Wall
) -> None:
    planned = await plan(store, settings=AccountSettings(zone="Europe/Paris", slots=["daily 12:00"]))

    def other_rules(db: Tables) -> None:
        before = planned.due_at + HOUR_MS  # as it was when it was planned
        db.publications.reschedule(planned, due_at=before, when="slot")

    await store.write(other_rules)
    await scheduler.look()
    assert (await get(store, planned)).due_at == planned.due_at


async def test_settings_that_cannot_be_read_do_not_stop_it(store: Store, scheduler: Scheduler, wall: Wall) -> None:
    planned = await plan(store, settings=AccountSettings(approve=True, slots=["daily 12:00"]))
    broken = AccountSettings(approve=True, slots=["never"])
    await store.write(lambda db: db.accounts.set_settings(planned.account_id, broken))
    wall.now = planned.due_at + 2 * HOUR_MS
    await scheduler.look()
    assert (await get(store, planned)).missed_at == wall.now


async def test_at_rest_a_look_is_one_read(store: Store, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    await plan(store, settings=AccountSettings(approve=True))
    await scheduler.look()
    seen: list[str] = []

    def trace(cursor: apsw.Cursor, sql: str, values: Any) -> bool:
        seen.append(sql)
        return True

    async def no_write(*_: Any, **__: Any) -> None:
        raise AssertionError("a write")

    monkeypatch.setattr(store, "write", no_write)
    for reader in store._readers:
        await reader.run(lambda connection: setattr(connection, "exec_trace", trace))
    await scheduler.look()
    assert sum("select" in sql for sql in seen) == 1


def test_beside_a_fast_clock_it_looks_more_often() -> None:
    def every(speed: float) -> float:
        return Scheduler(None, Config(), Clock(speed=speed)).every_s  # type: ignore[arg-type]

    assert [every(1), every(20), every(100_000)] == [60, 3, 1]
