"""What goes, when, and what never does."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.services.workshop import Workshop, files_of, workshop_in
from tests.store.given import an_upload
from vidprod.blobs.disk import DiskBlobs
from vidprod.domain.ids import new_id
from vidprod.domain.video import Video
from vidprod.errors import NotFound
from vidprod.services.pruner import Pruner, take_up_uploads
from vidprod.services.timers import Timers
from vidprod.store.sqlite import Answer
from vidprod.telemetry import metrics

DAY_MS = 86_400_000


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    async with workshop_in(tmp_path / "data") as workshop:
        yield workshop


def pruner_of(workshop: Workshop) -> Pruner:
    return Pruner(store=workshop.store, blobs=workshop.blobs, config=workshop.config, now=workshop.now)


async def finished_job(workshop: Workshop) -> str:
    await workshop.start()
    job_id = await workshop.submit(segments=1)
    await workshop.end_of(job_id)
    await workshop.stop()
    return job_id


async def test_a_source_goes_a_day_after_its_job_is_over(workshop: Workshop) -> None:
    job_id = await finished_job(workshop)
    await pruner_of(workshop).prune()
    assert len(workshop.blobs.stored_videos()) == 1
    workshop.ahead_ms += DAY_MS + 60_000
    await pruner_of(workshop).prune()
    assert workshop.blobs.stored_videos() == set()
    video = await workshop.store.read(lambda db: db.videos.get(db.jobs.get(job_id).video_id))
    assert video.state == "deleted"
    assert len(files_of(workshop, job_id)) == 3


async def test_a_source_that_a_job_still_needs_stays(workshop: Workshop) -> None:
    await workshop.submit()
    workshop.ahead_ms += 100 * DAY_MS
    await pruner_of(workshop).prune()
    assert len(workshop.blobs.stored_videos()) == 1


async def test_segments_go_after_two_weeks(workshop: Workshop) -> None:
    job_id = await finished_job(workshop)
    workshop.ahead_ms += 13 * DAY_MS
    await pruner_of(workshop).prune()
    assert len(files_of(workshop, job_id)) == 3
    workshop.ahead_ms += 2 * DAY_MS
    await pruner_of(workshop).prune()
    assert files_of(workshop, job_id) == {}
    assert (await workshop.job(job_id)).media_deleted_at is not None
    assert [segment.deleted_at is not None for segment in await workshop.segments(job_id)] == [True]
    assert (await workshop.types(job_id))[-1] == "media.pruned"


async def test_jobs_are_kept_for_ever_unless_told(tmp_path: Path) -> None:
    async with workshop_in(tmp_path / "data", job_keep_s=3600) as workshop:
        job_id = await finished_job(workshop)
        workshop.ahead_ms += 3_700_000
        await pruner_of(workshop).prune()
        assert await workshop.store.read(lambda db: db.jobs.list(limit=10)) == []
        assert workshop.blobs.stored_videos() == workshop.blobs.stored_jobs() == set()
        assert (await workshop.types(job_id))[-1] == "job.deleted"


async def test_old_events_and_answers_go(workshop: Workshop) -> None:
    def add(db: Any) -> None:
        for n in range(250):
            db.events.record("job.created", now=1000 + n)
            db.answers.add(Answer(key=f"key {n}", fingerprint="x", made_id="job_x", created_at=1000 + n))
        db.events.record("job.created", now=workshop.now())

    await workshop.store.write(add)
    await pruner_of(workshop).prune()
    assert [event.id for event in await workshop.store.read(lambda db: db.events.after(0))] == [251]
    assert await workshop.store.read(lambda db: db.answers.find("key 7")) is None


async def test_what_a_crash_left_behind_goes(workshop: Workshop) -> None:
    kept = await finished_job(workshop)
    now = workshop.now()
    for name in (
        f"media/{new_id('vid', now=now)}",
        f"media/{new_id('job', now=now)}",
        f"work/{new_id('tsk', now=now)}",
    ):
        (workshop.root / name).mkdir()
        (workshop.root / name / "left.mp4").write_bytes(b"x")
    await pruner_of(workshop).prune()
    assert workshop.blobs.stored_jobs() == {kept}
    assert len(workshop.blobs.stored_videos()) == 1
    assert workshop.blobs.work_dirs() == set()


async def test_a_source_whose_row_is_not_written_yet_is_left_alone(workshop: Workshop) -> None:
    """It was told from an orphan by the clock: one set back in that moment made it look older than the boot."""
    await finished_job(workshop)
    video_id = new_id("vid", now=workshop.now())
    async with workshop.blobs.receive(new_id("upl", now=workshop.now())) as incoming:
        await incoming.write(b"x")
        path = await incoming.commit(video_id, "mp4")
        os.utime(path.parent, (0, 0))
        await pruner_of(workshop).prune()
        assert path.exists()
        video = Video(
            id=video_id, state="stored", filename="take.mp4", extension="mp4", size=1, created_at=workshop.now()
        )
        await workshop.store.write(lambda db: db.videos.add(video))
    await pruner_of(workshop).prune()
    assert path.exists()


async def test_what_failed_to_be_removed_in_this_boot_goes_in_the_next_round(workshop: Workshop) -> None:
    """It was taken for somebody's at work, until a restart."""
    await finished_job(workshop)
    pruner = pruner_of(workshop)
    await pruner.prune()
    async with workshop.blobs.receive(new_id("upl", now=workshop.now())) as incoming:
        await incoming.write(b"x")
        path = await incoming.commit(new_id("vid", now=workshop.now()), "mp4")
    late = workshop.root / "media" / new_id("job", now=workshop.now())
    late.mkdir()
    await pruner.prune()
    assert not path.exists()
    assert not late.exists()


async def test_an_upload_under_way_is_left_alone(workshop: Workshop) -> None:
    """Swept in a thread, a file made a moment before its upload was known as open lost its name."""
    await finished_job(workshop)
    part = workshop.root / "incoming" / f"{new_id('upl', now=workshop.now())}.part"
    part.write_bytes(b"x")
    await pruner_of(workshop).prune()
    assert part.exists()


async def test_a_file_under_a_foreign_name_is_left_alone(workshop: Workshop) -> None:
    await finished_job(workshop)
    names = ["media/holiday", "media/vid_short", "media/lost+found", "work/notes", "incoming/holiday.mov"]
    for name in names:
        (workshop.root / name).mkdir()
    await pruner_of(workshop).prune()
    assert all((workshop.root / name).exists() for name in names)


async def test_what_a_command_beside_wrote_for_others_is_looked_at_then(workshop: Workshop) -> None:
    """Another process told nobody here: a notification of a key that it made would wait for the next event."""
    feed = workshop.store.feed
    feed.pushing.clear()
    feed.delivering.clear()
    await pruner_of(workshop).prune()
    assert feed.pushing.is_set()
    assert feed.delivering.is_set()


async def test_a_link_is_not_followed(workshop: Workshop, tmp_path: Path) -> None:
    await finished_job(workshop)
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "holiday.mov").write_bytes(b"x")
    now = workshop.now()
    os.symlink(treasure, workshop.root / "media" / new_id("vid", now=now))
    os.symlink(treasure, workshop.root / "work" / new_id("tsk", now=now))
    inside = workshop.root / "media" / new_id("job", now=now)
    inside.mkdir()
    os.symlink(treasure, inside / "link")
    await pruner_of(workshop).prune()
    assert (treasure / "holiday.mov").exists()
    assert not inside.exists()


async def test_nothing_is_removed_when_the_database_knows_nothing(workshop: Workshop) -> None:
    lost = workshop.root / "media" / new_id("vid", now=workshop.now())
    lost.mkdir()
    await pruner_of(workshop).prune()
    assert lost.exists()


async def test_nothing_is_removed_when_the_database_knows_little(workshop: Workshop) -> None:
    """Restored from before most of the uploads: they are no crash's leavings."""
    await finished_job(workshop)
    for _n in range(30):
        (workshop.root / "media" / new_id("vid", now=workshop.now())).mkdir()
    await pruner_of(workshop).prune()
    assert len(workshop.blobs.stored_videos()) == 31


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({"source_keep_s": 60.0}, 40),
        ({"source_keep_s": 10.0, "segment_keep_s": 60.0}, 0),
        ({"job_keep_s": 60.0}, 0),
    ],
    ids=["sources", "segments", "jobs"],
)
async def test_a_kill_between_the_rows_and_their_files_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], left: int
) -> None:
    """A hundred sources were let go in one transaction, and the daemon killed: each round then found most of the media
    unknown, and removed nothing."""
    async with workshop_in(tmp_path / "data", **settings) as workshop:
        for n in range(60):
            job_id = await workshop.submit()
            await workshop.cancel(job_id)
            if n < 40:
                (workshop.root / "media" / job_id).mkdir()
        workshop.ahead_ms += 30_000
        await pruner_of(workshop).prune()
        workshop.ahead_ms += 60_000
        _killed_at_the_first_removal(monkeypatch)
        with pytest.raises(Killed):
            await pruner_of(workshop).prune()
        monkeypatch.undo()
        await pruner_of(workshop).prune()
        assert workshop.blobs.stored_videos() == set()
        assert len(workshop.blobs.stored_jobs()) == left


class Killed(Exception):
    """In place of a kill -9."""


def _killed_at_the_first_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_arguments: object) -> None:
        raise Killed

    monkeypatch.setattr(DiskBlobs, "delete_source", killed)
    monkeypatch.setattr(DiskBlobs, "delete_media", killed)


async def test_an_orphan_that_cannot_be_removed_holds_up_nothing_else(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await finished_job(workshop)
    for _n in range(2):
        (workshop.root / "media" / new_id("job", now=workshop.now())).mkdir()

    def broken(_blobs: DiskBlobs, name: str) -> None:
        raise OSError(5, "Input/output error", name)

    monkeypatch.setattr(DiskBlobs, "delete_media", broken)
    workshop.ahead_ms += 2 * DAY_MS
    with capture_logs() as said:
        await pruner_of(workshop).prune()
    assert [line["event"] for line in said].count("an orphan cannot be removed") == 2
    assert workshop.blobs.stored_videos() == set()


async def test_the_directory_of_a_running_task_stays(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(segments=2, pause_s=0.7)
    await workshop.event(job_id, "segment.ready")
    await pruner_of(workshop).prune()
    assert len(workshop.blobs.work_dirs()) == 1
    assert (await workshop.end_of(job_id)).state == "completed"
    assert {task.attempt for task in await workshop.tasks(job_id)} == {1}


async def test_it_goes_round_and_round(tmp_path: Path) -> None:
    async with workshop_in(tmp_path / "data", prune_every_s=0.1) as workshop:
        await finished_job(workshop)
        timers = Timers()
        timers.every(workshop.config.prune_every_s, pruner_of(workshop).prune, name="prune")
        running = asyncio.create_task(timers.run())
        with workshop.store.feed.subscribe() as news:
            workshop.ahead_ms += 2 * DAY_MS
            async with asyncio.timeout(5):
                event = await anext(news)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert event.type == "media.pruned"  # type: ignore[union-attr]


async def test_a_round_counts_what_is_kept(workshop: Workshop) -> None:
    job_id = await finished_job(workshop)
    await pruner_of(workshop).prune()
    source = next(path for path in (workshop.root / "media").rglob("source.*"))
    kept = source.stat().st_size + sum(map(len, files_of(workshop, job_id).values()))
    assert [sample.value for family in metrics.disk_used_bytes.collect() for sample in family.samples] == [kept]


async def test_an_upload_that_waits_too_long_goes_and_says_so(workshop: Workshop) -> None:
    blobs, now = workshop.blobs, workshop.now()
    uploads = [an_upload(now=now), an_upload(kind="partial", now=now), an_upload(length=None, now=now)]
    for upload in uploads:
        await workshop.store.write(lambda db, upload=upload: db.uploads.add(upload))  # type: ignore[misc]
        async with blobs.resume(upload.id, offset=0, expected=upload.length) as partial:
            await partial.write(b"x" * 60)
            await partial.keep()
    await take_up_uploads(workshop.store, blobs)
    assert blobs.promised_bytes() == 200
    await pruner_of(workshop).prune()
    assert all(blobs.partial_path(upload.id).exists() for upload in uploads)
    workshop.ahead_ms += DAY_MS
    later = workshop.now() + DAY_MS
    await workshop.store.write(
        lambda db: db.uploads.advance(uploads[2].id, offset=60, extension=None, expires_at=later)
    )
    await pruner_of(workshop).prune()
    assert [blobs.partial_path(upload.id).exists() for upload in uploads] == [False, False, True]
    assert blobs.promised_bytes() == 0
    assert [upload.id for upload in await workshop.store.read(lambda db: db.uploads.unfinished())] == [uploads[2].id]
    events = await workshop.store.read(lambda db: db.events.after(0))
    assert [event.data["upload_id"] for event in events if event.type == "upload.expired"] == [uploads[0].id]
    workshop.ahead_ms += 31 * DAY_MS
    await pruner_of(workshop).prune()
    with pytest.raises(NotFound):
        await workshop.store.read(lambda db: db.uploads.get(uploads[0].id))
