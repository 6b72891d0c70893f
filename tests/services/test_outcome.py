"""What an attempt came to, where publishing is concerned."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.store.given import LEASE_MS, NOW, a_job, a_rendition, a_segment, a_video
from vidprod.domain.account import Account, AccountSettings
from vidprod.domain.ids import new_id
from vidprod.domain.publication import Publication
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Making, Segment
from vidprod.domain.target import Target
from vidprod.domain.task import Task, TaskKind
from vidprod.errors import ClaimLost
from vidprod.services.outcome import Outcome
from vidprod.store.sqlite import Store, Tables

FAST = NOW + 86_400_000  # publishing's clock is a day ahead
TURNED = msgspec.structs.replace(a_rendition(), synthetic=True, synthetic_reason="eyes were turned")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(tmp_path / "vidprod.db", now=NOW, reserve_bytes=1 << 20) as opened:
        yield opened


async def rendering(store: Store) -> Segment:
    """A pending segment of a job that goes to one account."""
    account = Account(
        id=new_id("acc", now=NOW),
        platform="youtube",
        external_id="UC1",
        name="Channel",
        state="connected",
        settings=AccountSettings(),
        connected_at=NOW,
    )
    video = a_video()
    job = msgspec.structs.replace(a_job(video), targets=[Target(account_id=account.id)])
    segment = a_segment(job.id)

    def write(db: Tables) -> None:
        db.accounts.add(account, b"sealed")
        db.videos.add(video)
        db.jobs.add(job)
        db.segments.add_all([segment])

    await store.write(write)
    return segment


async def claim(store: Store, segment: Segment, kind: TaskKind) -> Task:
    def write(db: Tables) -> Task | None:
        of = segment.id if kind == "remake" else None
        db.tasks.enqueue(
            kind, job_id=segment.job_id, segment_id=of, priority="normal", run_at=NOW, max_attempts=3, now=NOW
        )
        return db.tasks.claim(boot_id="b", token=kind, lease_ms=LEASE_MS, now=NOW)

    task = await store.write(write)
    assert task is not None
    return task


def outcome(db: Tables, task: Task) -> Outcome:
    return Outcome(db, task, now=NOW, clock=FAST, max_attempts=3)


async def publications(store: Store) -> list[Publication]:
    return list(await store.read(lambda db: db.publications.list(limit=10)))


async def test_a_segment_is_ready_and_planned_in_one_write(store: Store) -> None:
    segment = await rendering(store)
    task = await claim(store, segment, "render")
    await store.write(lambda db: outcome(db, task).segment_ready(segment, TURNED))
    (planned,) = await publications(store)
    assert (planned.segment_id, planned.due_at, planned.post.synthetic) == (segment.id, FAST, True)
    events = await store.read(lambda db: db.events.after(0))
    assert [event.type for event in events] == ["segment.ready", "publication.scheduled"]


async def test_an_attempt_that_lost_its_claim_plans_nothing(store: Store) -> None:
    segment = await rendering(store)
    task = await claim(store, segment, "render")
    await store.write(lambda db: db.tasks.cancel_of_job(segment.job_id, now=NOW))
    with pytest.raises(ClaimLost):
        await store.write(lambda db: outcome(db, task).segment_ready(segment, TURNED))
    assert await publications(store) == []


async def test_what_is_planned_follows_a_segment_that_was_made_again(store: Store) -> None:
    segment = await rendering(store)
    task = await claim(store, segment, "render")
    await store.write(lambda db: outcome(db, task).segment_ready(segment, TURNED))
    await store.write(lambda db: db.tasks.complete(task, now=NOW))
    ready = await store.read(lambda db: db.segments.get(segment.id))
    again = await claim(store, ready, "remake")
    await store.write(lambda db: outcome(db, again).remade(ready, a_rendition(), Making(recipe=Recipe(gaze="off"))))
    (planned,) = await publications(store)
    assert (planned.post.synthetic, planned.post.synthetic_reason) == (False, None)
