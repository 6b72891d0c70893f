"""Videos at rest."""

import pytest

from tests.store.given import FAULT, NOW, a_job, a_video, an_info, upload
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite import Store, Tables


async def test_a_video_comes_back_as_it_went_in(store: Store) -> None:
    video = a_video(filename="Übung „1“ 🎬.mov")
    await store.write(lambda db: db.videos.add(video))
    assert await store.read(lambda db: db.videos.get(video.id)) == video
    probed = await store.write(lambda db: db.videos.set_info(video.id, an_info()))
    assert probed.info == an_info()
    assert await store.read(lambda db: db.videos.get(video.id)) == probed
    with pytest.raises(Conflict):
        await store.write(lambda db: db.videos.add(video))


async def test_an_unknown_video_is_not_found(store: Store) -> None:
    unknown = a_video().id
    with pytest.raises(NotFound, match=unknown):
        await store.read(lambda db: db.videos.get(unknown))
    with pytest.raises(NotFound):
        await store.write(lambda db: db.videos.set_info(unknown, an_info()))
    with pytest.raises(NotFound):
        await store.write(lambda db: db.videos.mark_deleted(unknown, now=NOW))


async def test_a_source_is_kept_while_a_job_needs_it(store: Store) -> None:
    job = await upload(store)
    with pytest.raises(Conflict, match="still needs"):
        await store.write(lambda db: db.videos.mark_deleted(job.video_id, now=NOW))
    await store.write(lambda db: db.jobs.cancel(job.id, now=NOW))
    deleted = await store.write(lambda db: db.videos.mark_deleted(job.video_id, now=NOW + 1))
    assert (deleted.state, deleted.deleted_at) == ("deleted", NOW + 1)
    again = await store.write(lambda db: db.videos.mark_deleted(job.video_id, now=NOW + 2))
    assert again == deleted


async def test_only_the_sources_of_jobs_long_over_are_prunable(store: Store) -> None:
    over, recent, running, shared = [await upload(store, now=NOW + n) for n in range(4)]
    alone = a_video(now=NOW + 4)

    def finish(db: Tables) -> None:
        db.jobs.fail(over.id, FAULT, now=NOW + 100)
        db.jobs.fail(recent.id, FAULT, now=NOW + 200)
        db.jobs.start(running.id, now=NOW + 100)
        db.jobs.fail(shared.id, FAULT, now=NOW + 100)
        db.jobs.add(a_job(db.videos.get(shared.video_id)))
        db.videos.add(alone)

    await store.write(finish)
    prunable = await store.read(lambda db: db.videos.prunable(before_ms=NOW + 200, limit=10))
    assert [video.id for video in prunable] == [over.video_id, alone.id]
    assert len(await store.read(lambda db: db.videos.prunable(before_ms=NOW + 200, limit=1))) == 1

    await store.write(lambda db: db.videos.mark_deleted(over.video_id, now=NOW + 300))
    left = await store.read(lambda db: db.videos.ids())
    assert left == {recent.video_id, running.video_id, shared.video_id, alone.id}
