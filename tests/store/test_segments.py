"""Segments at rest: a result is taken once."""

import msgspec
import pytest

from tests.store.given import NOW, a_job_alone, a_rendition, a_segment
from vidprod.domain.gaze import Compare, FramingReport, GazeReport
from vidprod.domain.recipe import Recipe
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite import Store


async def test_segments_come_in_the_order_of_the_take(store: Store) -> None:
    job = await a_job_alone(store)
    segments = [a_segment(job.id, index=index) for index in (2, 0, 1)]
    await store.write(lambda db: db.segments.add_all(segments))
    kept = await store.read(lambda db: db.segments.of_job(job.id))
    assert kept == sorted(segments, key=lambda segment: segment.index)
    assert await store.read(lambda db: db.segments.get(segments[0].id)) == segments[0]


async def test_no_finished_segment_is_recorded_twice(store: Store) -> None:
    job = await a_job_alone(store)
    segment = a_segment(job.id)
    await store.write(lambda db: db.segments.add_all([segment]))
    ready = await store.write(lambda db: db.segments.ready(segment.id, a_rendition(), now=NOW + 1))
    assert (ready.state, ready.rendition, ready.ready_at) == ("ready", a_rendition(), NOW + 1)
    with pytest.raises(Conflict, match="ready, not pending"):
        await store.write(lambda db: db.segments.ready(segment.id, a_rendition(), now=NOW + 2))
    assert await store.read(lambda db: db.segments.get(segment.id)) == ready


async def test_what_is_pending_fails_with_its_job_and_reopens_with_it(store: Store) -> None:
    job = await a_job_alone(store)
    first, second, third = segments = [a_segment(job.id, index=index) for index in range(3)]
    await store.write(lambda db: db.segments.add_all(segments))
    await store.write(lambda db: db.segments.ready(first.id, a_rendition(), now=NOW))
    await store.write(lambda db: db.segments.ready(third.id, a_rendition(), now=NOW))
    assert await store.write(lambda db: db.segments.fail_pending(job.id)) == 1
    with pytest.raises(Conflict, match="failed, not pending"):
        await store.write(lambda db: db.segments.ready(second.id, a_rendition(), now=NOW))
    assert await store.write(lambda db: db.segments.reopen(job.id)) == 1
    assert [one.state for one in await store.read(lambda db: db.segments.of_job(job.id))] == [
        "ready",
        "pending",
        "ready",
    ]

    assert await store.write(lambda db: db.segments.mark_deleted(job.id, now=NOW + 5)) == 2
    assert await store.write(lambda db: db.segments.mark_deleted(job.id, now=NOW + 6)) == 0
    assert (await store.read(lambda db: db.segments.get(first.id))).deleted_at == NOW + 5
    assert await store.write(lambda db: db.segments.reopen(job.id)) == 2
    assert await store.read(lambda db: db.segments.of_job(job.id)) == segments


async def test_an_index_is_there_once_and_a_segment_needs_its_job(store: Store) -> None:
    job = await a_job_alone(store)
    await store.write(lambda db: db.segments.add_all([a_segment(job.id)]))
    with pytest.raises(Conflict):
        await store.write(lambda db: db.segments.add_all([a_segment(job.id)]))
    with pytest.raises(Conflict):
        await store.write(lambda db: db.segments.add_all([a_segment("job_" + "0" * 26)]))
    with pytest.raises(NotFound):
        await store.write(lambda db: db.segments.ready("seg_" + "0" * 26, a_rendition(), now=NOW))


async def test_a_making_takes_the_place_of_the_one_it_was_asked_for_and_of_no_other(store: Store) -> None:
    job = await a_job_alone(store)
    segment = a_segment(job.id)
    await store.write(lambda db: db.segments.add_all([segment]))
    with pytest.raises(Conflict, match="has changed"):
        await store.write(lambda db: db.segments.remake(segment, a_rendition(), recipe=Recipe(), now=NOW))
    first = await store.write(lambda db: db.segments.ready(segment.id, a_rendition(), now=NOW))
    assert (first.making, first.recipe) == (1, None)
    other = msgspec.structs.replace(a_rendition(), sha256="ef" * 32)
    asked = Recipe(gaze_strength=0.5)
    second = await store.write(lambda db: db.segments.remake(first, other, recipe=asked, now=NOW + 1))
    assert (second.state, second.making, second.recipe, second.rendition) == ("ready", 2, asked, other)
    assert second.ready_at == NOW + 1
    with pytest.raises(Conflict, match="has changed"):
        await store.write(lambda db: db.segments.remake(first, a_rendition(), recipe=Recipe(), now=NOW + 2))
    assert await store.read(lambda db: db.segments.remade()) == [second]
    await store.write(lambda db: db.segments.mark_deleted(job.id, now=NOW + 3))
    assert await store.read(lambda db: db.segments.remade()) == []


async def test_a_rendition_from_before_faces_were_told_is_read(store: Store) -> None:
    job = await a_job_alone(store)
    segment = a_segment(job.id)
    new = {"gaze", "framing", "compare", "synthetic", "synthetic_reason"}
    old = {name: value for name, value in msgspec.to_builtins(a_rendition()).items() if name not in new}
    await store.write(lambda db: db.segments.add_all([segment]))
    await store.write(
        lambda db: db.segments._run(
            "update segment set state = 'ready', ready_at = 1, rendition = :old", old=msgspec.json.encode(old).decode()
        )
    )
    assert (await store.read(lambda db: db.segments.get(segment.id))).rendition == a_rendition()


async def test_what_is_told_of_faces_is_kept(store: Store) -> None:
    told = msgspec.structs.replace(
        a_rendition(),
        gaze=GazeReport(strength=1, corrected=1, faded=0, left_alone={}, mean_deg=9.5, largest_deg=12),
        framing=FramingReport(followed=1, blurred=0, moves=1, cuts=0, speakers=1),
        compare=Compare(rows=1, tile_width=90, tile_height=30, at_s=[0.5]),
        synthetic=True,
        synthetic_reason="eyes",
    )
    job = await a_job_alone(store)
    segment = a_segment(job.id)
    await store.write(lambda db: db.segments.add_all([segment]))
    await store.write(lambda db: db.segments.ready(segment.id, told, now=NOW))
    assert (await store.read(lambda db: db.segments.get(segment.id))).rendition == told
