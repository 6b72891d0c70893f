"""Segments that wait, are cut anew alone, and get a cover; with real children that do small steps."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.services.test_remakes import ask, file_of, finished
from tests.services.workshop import Workshop, eventually_async, workshop_in
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Segment
from vidprod.errors import BadCut, Conflict
from vidprod.store.sqlite import reviewing

SECOND = 1_000_000


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    async with workshop_in(tmp_path / "data") as workshop:
        yield workshop


async def edit(workshop: Workshop, segment: Segment, **asked: Any) -> None:
    now = workshop.now()
    await workshop.store.write(
        lambda db: reviewing.edit(db, segment.id, reviewing.Edit(**asked), max_attempts=5, now=now, clock=now)
    )


async def done(workshop: Workshop, job_id: str, event: str = "segment.remade") -> list[Segment]:
    await workshop.start()
    await workshop.event(job_id, event)
    await workshop.stop()
    return await workshop.segments(job_id)


async def test_one_segment_is_cut_anew_and_its_neighbours_stay(workshop: Workshop) -> None:
    job_id, segments = await finished(workshop, segments=8, recipe=Recipe(gaze="off", frame="blur"))
    second = segments[1]
    await edit(workshop, second, in_us=500_000, out_us=4 * SECOND + 10_000)
    made = await done(workshop, job_id)
    assert made[:1] + made[2:] == segments[:1] + segments[2:]
    assert (made[1].in_us, made[1].out_us, made[1].making) == (500_000, 4_000_000, 2)  # the nearest frames
    assert made[1].rendition is not None
    assert (made[1].rendition.frames, made[1].rendition.duration_us) == (105, 3_500_000)
    await ask(workshop, made[1], gaze="off")  # and so it stays when it is made again for another reason
    third = (await _next(workshop, job_id, 3))[1]
    assert (third.in_us, third.out_us) == (500_000, 4_000_000)


async def _next(workshop: Workshop, job_id: str, making: int) -> list[Segment]:
    """The segments once one of them was made so often."""

    async def is_made() -> bool:
        return any(segment.making == making for segment in await workshop.segments(job_id))

    await workshop.start()
    await eventually_async(is_made)
    await workshop.stop()
    return await workshop.segments(job_id)


async def test_a_cover_is_chosen_without_touching_the_video(workshop: Workshop) -> None:
    job_id, [first, other] = await finished(workshop)
    video = file_of(workshop, first).read_bytes()
    await edit(workshop, first, cover_us=400_000)
    made, same = await done(workshop, job_id, "segment.cover")
    assert same == other
    assert (made.cover_us, made.making, made.rendition) == (400_000, 2, first.rendition)
    path = file_of(workshop, made)
    assert path.read_bytes() == video
    assert path.stat().st_ino == file_of(workshop, first).stat().st_ino  # not written again
    poster = path.with_suffix(".jpg").read_bytes()
    assert poster == b"at 400000 of %s" % hashlib.md5(video).digest()
    await ask(workshop, made, gaze="off")  # and made again it keeps its cover
    third = (await _next(workshop, job_id, 3))[0]
    assert file_of(workshop, third).with_suffix(".jpg").read_bytes() == b"frame 12"


async def test_a_cover_needs_no_take(workshop: Workshop) -> None:
    job_id, [first, _] = await finished(workshop)
    job = await workshop.job(job_id)
    await workshop.store.write(lambda db: db.videos.mark_deleted(job.video_id, now=workshop.now() + 10**12))
    workshop.blobs.delete_source(job.video_id)
    await edit(workshop, first, cover_us=0)
    assert (await done(workshop, job_id, "segment.cover"))[0].making == 2
    with pytest.raises(Conflict, match="nothing can be made of it any more"):
        await edit(workshop, first, in_us=0, out_us=3 * SECOND)


async def test_what_cannot_be_cut_or_shown_says_why(workshop: Workshop) -> None:
    job_id, [first, _] = await finished(workshop, segments=2)
    before = await workshop.tasks(job_id)
    for asked, words in (
        ({"in_us": 0}, "it would take 1.000 s"),
        ({"out_us": 3 * SECOND}, "outside the take, which takes 2.000 s"),
        ({"cover_us": SECOND}, "not within the segment, which takes 1.000 s"),
    ):
        with pytest.raises(BadCut, match=words):
            await edit(workshop, first, **asked)
    assert await workshop.tasks(job_id) == before


async def test_a_cover_outside_of_new_cuts_is_refused(workshop: Workshop) -> None:
    _, [first, *_] = await finished(workshop, segments=8)
    with pytest.raises(BadCut, match="cover_us=3500000: not within the segment"):
        await edit(workshop, first, in_us=0, out_us=3 * SECOND, cover_us=3_500_000)


async def test_segments_of_a_job_with_review_wait(workshop: Workshop) -> None:
    job_id = await workshop.submit(segments=2)
    job = await workshop.job(job_id)
    assert not job.review
    await workshop.store.write(lambda db: db.jobs._run("update job set review = 1"))
    await workshop.start()
    await workshop.end_of(job_id)
    assert [segment.review for segment in await workshop.segments(job_id)] == ["waiting", "waiting"]
    assert msgspec.structs.replace(job, review=True).review == (await workshop.job(job_id)).review
