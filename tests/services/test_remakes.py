"""A finished segment is made again: its file stays until the new one is whole, whatever happens meanwhile."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.services.conftest import eventually, worker_pids
from tests.services.workshop import Workshop, eventually_async, files_of, workshop_in
from tests.store.given import a_rendition
from vidprod.blobs.disk import SEGMENT_SUFFIXES, SegmentSuffix
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Making, Segment
from vidprod.domain.task import Task
from vidprod.errors import BadRecipe, Conflict, NotFound
from vidprod.services.outcome import Outcome
from vidprod.services.pruner import Pruner
from vidprod.store.feed import ProgressNote
from vidprod.store.sqlite import lifecycle

DAY_MS = 86_400_000


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    async with workshop_in(tmp_path / "data") as workshop:
        yield workshop


async def finished(workshop: Workshop, *, recipe: Recipe | None = None, **script: Any) -> tuple[str, list[Segment]]:
    """A completed job and its segments; the worker is stopped."""
    await workshop.start()
    job_id = await workshop.submit(**{"recipe": recipe or Recipe(), "segments": 2, **script})
    assert (await workshop.end_of(job_id)).state == "completed"
    await eventually(lambda: not workshop.blobs.work_dirs())  # the attempt clears up after the job is over
    await workshop.stop()
    return job_id, await workshop.segments(job_id)


async def ask(workshop: Workshop, segment: Segment, **asked: Any) -> Task:
    _, task = await workshop.store.write(
        lambda db: lifecycle.remake_segment(db, segment.id, asked, max_attempts=5, now=workshop.now())
    )
    return task


async def change_script(workshop: Workshop, job_id: str, **script: Any) -> None:
    job = await workshop.job(job_id)
    path = workshop.blobs.source_path(job.video_id, "mov")
    known: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode(known | script))


async def task_of(workshop: Workshop, task: Task) -> Task:
    return await workshop.store.read(lambda db: db.tasks.get(task.id))


def file_of(workshop: Workshop, segment: Segment) -> Path:
    return workshop.blobs.segment_path(segment.job_id, segment.id, ".mp4", making=segment.making)


async def test_one_segment_is_made_again_and_the_others_stay(workshop: Workshop) -> None:
    job_id, [first, second] = await finished(workshop)
    before = files_of(workshop, job_id)
    await ask(workshop, second, gaze_strength=0.5)
    await workshop.start()
    event = await workshop.event(job_id, "segment.remade")
    assert (event.data["segment_id"], event.data["synthetic"]) == (second.id, True)
    kept, made = await workshop.segments(job_id)
    assert kept == first
    assert (made.making, made.state, made.recipe) == (2, "ready", Recipe(gaze_strength=0.5))
    assert made.rendition is not None
    assert second.rendition is not None
    assert made.rendition.sha256 != second.rendition.sha256
    assert made.rendition.gaze is not None
    assert made.rendition.gaze.strength == 0.5
    assert files_of(workshop, job_id).items() > before.items()  # the old file too, for who is reading it
    assert file_of(workshop, made).name == f"{second.id}-2.mp4"
    job = await workshop.job(job_id)
    assert (job.state, job.recipe) == ("completed", Recipe())
    assert [task.kind for task in await workshop.tasks(job_id)].count("track") == 1  # the faces are known


async def test_only_what_is_named_changes_from_making_to_making(workshop: Workshop) -> None:
    job_id, [segment, _] = await finished(workshop)
    for asked in ({"gaze": "0.5"}, {"look_away_deg": 0}):
        await workshop.start()
        task = await ask(workshop, segment, **asked)
        await eventually_async(lambda task=task: is_over(workshop, task))  # type: ignore[misc]
        await workshop.stop()
    [made, _] = await workshop.segments(job_id)
    assert (made.making, made.recipe) == (3, Recipe(gaze_strength=0.5, look_away_deg=0))


async def is_over(workshop: Workshop, task: Task) -> bool:
    return (await task_of(workshop, task)).finalized_at is not None


async def test_a_job_that_looked_for_no_faces_has_them_followed_for_one_segment(workshop: Workshop) -> None:
    job_id, [segment, _] = await finished(workshop, recipe=Recipe(gaze="off", frame="blur"))
    with workshop.store.feed.subscribe(job_id) as news:
        await ask(workshop, segment, gaze="on")
        await workshop.start()
        notes = []
        async for item in news:
            if isinstance(item, ProgressNote):
                notes.append(item.data["progress"])
            elif item.type == "segment.remade":
                break
    assert notes == sorted(notes)
    assert 50.0 in notes
    assert notes[-1] == 100.0
    [made, _] = await workshop.segments(job_id)
    assert made.rendition is not None
    assert made.rendition.synthetic
    assert workshop.blobs.track_path((await workshop.job(job_id)).video_id).exists()


async def test_faces_that_cannot_be_followed_then_are_done_without(workshop: Workshop) -> None:
    job_id, [segment, _] = await finished(workshop, recipe=Recipe(gaze="off", frame="blur"), track="abort")
    await ask(workshop, segment, gaze="on")
    await workshop.start()
    await workshop.event(job_id, "segment.remade")
    [made, _] = await workshop.segments(job_id)
    assert made.rendition is not None
    assert made.rendition.gaze is not None
    assert "was ended by SIGABRT" in (made.rendition.gaze.reason or "")


async def test_a_making_that_fails_over_eyes_leaves_them_alone(workshop: Workshop) -> None:
    job_id, [segment, _] = await finished(workshop)
    await change_script(workshop, job_id, while_correcting="abort")
    await ask(workshop, segment, gaze_strength=1)
    await workshop.start()
    await workshop.hurry(job_id, retries=1)
    await workshop.event(job_id, "segment.remade")
    [made, _] = await workshop.segments(job_id)
    assert made.rendition is not None
    assert made.rendition.gaze is not None
    assert "while correcting" in (made.rendition.gaze.reason or "")


async def test_a_making_that_is_given_up_leaves_the_segment_and_its_job_as_they_were(workshop: Workshop) -> None:
    job_id, [segment, other] = await finished(workshop)
    before = files_of(workshop, job_id)
    await change_script(workshop, job_id, render="abort")
    task = await ask(workshop, segment, gaze="off")
    await workshop.start()
    await workshop.hurry(job_id, retries=2)
    event = await workshop.event(job_id, "segment.remake_failed")
    assert (event.data["code"], event.data["segment_id"]) == ("poison", segment.id)
    assert await workshop.segments(job_id) == [segment, other]
    assert files_of(workshop, job_id) == before
    assert (await workshop.job(job_id)).state == "completed"
    assert [dead.id for dead in await workshop.store.read(lambda db: db.tasks.dead(limit=5))] == [task.id]

    await change_script(workshop, job_id, render="pass")  # and from the dead letters it is tried again
    again = await workshop.store.write(
        lambda db: lifecycle.retry_remake(db, segment.id, max_attempts=5, now=workshop.now())
    )
    assert (again.id, again.payload["recipe"]["gaze"]) == (task.id, "off")
    workshop.store.feed.nudge.set()
    await workshop.event(job_id, "segment.remade")
    assert (await workshop.segments(job_id))[0].making == 2


async def test_what_is_asked_anew_is_no_dead_letter_any_more(workshop: Workshop) -> None:
    job_id, [segment, _] = await finished(workshop)
    await change_script(workshop, job_id, render="refuse")
    await ask(workshop, segment, gaze="off")
    await workshop.start()
    await workshop.event(job_id, "segment.remake_failed")
    await workshop.stop()
    assert len(await workshop.store.read(lambda db: db.tasks.refused(limit=5))) == 1
    await ask(workshop, segment, gaze="on")
    assert await workshop.store.read(lambda db: db.tasks.refused(limit=5)) == []


async def test_a_child_that_makes_another_segment_is_not_believed(workshop: Workshop) -> None:
    job_id, [segment, other] = await finished(workshop)
    await change_script(workshop, job_id, render="make_another_segment")
    await ask(workshop, segment, gaze="off")
    await workshop.start()
    event = await workshop.event(job_id, "step.retrying")
    assert (event.data["code"], event.data["segment_id"]) == ("child_garbled", segment.id)
    assert await workshop.segments(job_id) == [segment, other]


async def test_without_room_it_waits(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, [segment, _] = await finished(workshop)
    task = await ask(workshop, segment, gaze="off")
    with monkeypatch.context() as volume:
        volume.setattr(workshop.blobs, "free_bytes", lambda: 0)
        await workshop.start()
        event = await workshop.event(job_id, "step.retrying")
        assert (event.data["code"], (await task_of(workshop, task)).attempt) == ("no_space", 0)
    await workshop.hurry(job_id, retries=1)
    await workshop.event(job_id, "segment.remade")


async def test_two_segments_of_a_job_may_wait_but_each_only_once(workshop: Workshop) -> None:
    job_id, [first, second] = await finished(workshop)
    await ask(workshop, first, gaze="off")
    await ask(workshop, second, gaze="off")
    with pytest.raises(Conflict, match="is being made again already"):
        await ask(workshop, first, gaze="on")
    await workshop.start()
    await eventually_async(lambda: all_remade(workshop, job_id))


async def all_remade(workshop: Workshop, job_id: str) -> bool:
    return [segment.making for segment in await workshop.segments(job_id)] == [2, 2]


async def test_what_cannot_be_made_again_says_why(workshop: Workshop) -> None:
    job_id, [segment, _] = await finished(workshop)
    with pytest.raises(NotFound):
        await ask(workshop, msgspec.structs.replace(segment, id="seg_" + "0" * 26))
    with pytest.raises(BadRecipe, match="segment_s: no such option"):
        await ask(workshop, segment, segment_s=30)
    with pytest.raises(Conflict, match=r"no making of the segment .* was given up"):
        await workshop.store.write(lambda db: lifecycle.retry_remake(db, segment.id, max_attempts=5, now=1))
    running = await workshop.submit(segments=1, render="sleep")
    await workshop.start()
    await workshop.event(running, "segment.planned")
    with pytest.raises(Conflict, match="is processing: a segment is made again only when all are finished"):
        await ask(workshop, (await workshop.segments(running))[0])
    await workshop.store.write(lambda db: db.segments.mark_deleted(job_id, now=workshop.now()))
    with pytest.raises(Conflict, match="was deleted"):
        await ask(workshop, segment)
    await workshop.store.write(lambda db: db.videos.mark_deleted(db.jobs.get(job_id).video_id, now=workshop.now()))
    with pytest.raises(Conflict, match=r"the take of the job .* is gone"):
        await ask(workshop, segment)


async def test_of_a_copied_picture_nothing_is_made_again(workshop: Workshop) -> None:
    _, [segment, _] = await finished(workshop, recipe=Recipe(video="copy"))
    with pytest.raises(Conflict, match="copies the picture"):
        await ask(workshop, segment)


async def test_nothing_of_its_job_is_pruned_while_it_waits(tmp_path: Path) -> None:
    async with workshop_in(tmp_path / "data", job_keep_s=1) as workshop:
        job_id, [segment, _] = await finished(workshop)
        before = files_of(workshop, job_id)
        task = await ask(workshop, segment, gaze="off")
        workshop.ahead_ms += 100 * DAY_MS
        pruner = Pruner(store=workshop.store, blobs=workshop.blobs, config=workshop.config, now=workshop.now)
        await pruner.prune()
        assert files_of(workshop, job_id) == before
        assert len(workshop.blobs.stored_videos()) == 1
        with pytest.raises(Conflict):
            await workshop.store.write(lambda db: db.jobs.delete(job_id))
        await workshop.start()
        await eventually_async(lambda: is_over(workshop, task))
        assert (await workshop.segments(job_id))[0].making == 2
        await workshop.stop()
        await pruner.prune()  # and then everything goes
        assert workshop.blobs.stored_videos() == workshop.blobs.stored_jobs() == set()


async def test_the_pruner_takes_the_files_of_earlier_makings(workshop: Workshop) -> None:
    job_id, [segment, other] = await finished(workshop)
    await ask(workshop, segment, gaze="off")
    await workshop.start()
    await workshop.event(job_id, "segment.remade")
    with file_of(workshop, segment).open("rb") as reading:  # somebody downloads it
        begun = reading.read(10)
        pruner = Pruner(store=workshop.store, blobs=workshop.blobs, config=workshop.config, now=workshop.now)
        await pruner.prune()
        assert not file_of(workshop, segment).exists()
        assert len(begun + reading.read()) == 3200
    assert {name.partition(".")[0] for name in files_of(workshop, job_id)} == {f"{segment.id}-2", other.id}


async def test_stopping_uses_no_attempt_up_and_work_resumes(workshop: Workshop) -> None:
    job_id, [segment, _] = await finished(workshop)
    await change_script(workshop, job_id, pause_s=0.3)
    task = await ask(workshop, segment, gaze="off")
    await workshop.start(boot_id="boot_2")
    await eventually(lambda: worker_pids(workshop.host))
    await workshop.stop()
    waiting = await task_of(workshop, task)
    assert (waiting.state, waiting.attempt) == ("available", 0)
    await workshop.start(boot_id="boot_3")
    await workshop.event(job_id, "segment.remade")


async def test_a_job_deleted_while_a_segment_is_made_again_leaves_nothing(workshop: Workshop) -> None:
    job_id, [segment, _] = await finished(workshop)
    await change_script(workshop, job_id, render="spin")
    await ask(workshop, segment, gaze="off")
    await workshop.start()
    await eventually(lambda: worker_pids(workshop.host))

    def delete(db: Any) -> None:
        db.tasks.cancel_of_job(job_id, now=workshop.now())
        db.jobs.delete(job_id)
        db.events.record("job.deleted", job_id=job_id, now=workshop.now())

    await workshop.store.write(delete)
    await eventually(lambda: not worker_pids(workshop.host), within_s=3)
    await eventually(lambda: not workshop.blobs.work_dirs() and not workshop.blobs.stored_jobs())


@pytest.mark.parametrize("moment", ["before the files", "between the files", "after the files", "after the row"])
async def test_an_end_at_any_moment_loses_nothing(workshop: Workshop, moment: str) -> None:
    """What `kill -9` leaves there, and what the next daemon makes of it."""
    job_id, [segment, other] = await finished(workshop)
    before = files_of(workshop, job_id)
    task = await ask(workshop, segment, gaze="off")
    claimed = await workshop.store.write(
        lambda db: db.tasks.claim(boot_id="boot_dead", token="x", lease_ms=3_600_000, now=workshop.now())
    )
    assert claimed is not None
    work_dir = workshop.blobs.work_dir(task.id)
    work_dir.mkdir()
    half_made: dict[SegmentSuffix, Path] = {}
    for suffix in SEGMENT_SUFFIXES[1:] if moment == "between the files" else SEGMENT_SUFFIXES:
        half_made[suffix] = work_dir / f"0{suffix}"
        half_made[suffix].write_bytes(b"of the dead daemon")
    if moment == "between the files":
        for suffix, path in half_made.items():
            path.rename(workshop.blobs.segment_path(job_id, segment.id, suffix, making=2))
    elif moment != "before the files":
        workshop.blobs.adopt(half_made, job_id, segment.id, making=2)
    if moment == "after the row":
        await workshop.store.write(
            lambda db: Outcome(db, claimed, now=workshop.now(), clock=workshop.now(), max_attempts=5).remade(
                segment, a_rendition(), Making(recipe=Recipe(gaze="off"))
            )
        )
    else:
        assert await workshop.segments(job_id) == [segment, other]
    assert files_of(workshop, job_id).items() >= before.items()

    await workshop.start(boot_id="boot_next")
    await eventually_async(lambda: is_over(workshop, task))
    await workshop.stop()
    await Pruner(store=workshop.store, blobs=workshop.blobs, config=workshop.config, now=workshop.now).prune()
    [made_again, kept] = await workshop.segments(job_id)
    assert (made_again.making, kept) == (2, other)
    assert (await workshop.types(job_id)).count("segment.remade") == 1
    assert workshop.blobs.work_dirs() == set()
    if moment != "after the row":
        assert made_again.rendition is not None
        assert file_of(workshop, made_again).stat().st_size == made_again.rendition.size
    assert not file_of(workshop, segment).exists()


async def test_files_that_took_the_old_names_would_be_torn(workshop: Workshop) -> None:
    """The twin: without names of its own, a making that ends between its files and its row leaves a mix."""
    _, [segment, _] = await finished(workshop)
    assert segment.rendition is not None
    work_dir = workshop.blobs.work_dir("tsk_" + "0" * 26)
    work_dir.mkdir()
    (work_dir / "0.mp4").write_bytes(b"new")
    workshop.blobs.adopt({".mp4": work_dir / "0.mp4"}, segment.job_id, segment.id, making=segment.making)
    assert file_of(workshop, segment).stat().st_size != segment.rendition.size
