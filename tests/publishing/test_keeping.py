"""What is on its way to an account is kept: its file, its job, its words."""

from pathlib import Path

import pytest

from tests.publishing.stage import DAY_MS, HOUR_MS, START, Stage
from vidprod.domain.publication import Publication
from vidprod.errors import Conflict
from vidprod.services.pruner import Pruner
from vidprod.store.sqlite import Tables
from vidprod.store.sqlite.lifecycle import remake_segment


async def finished(stage: Stage, publication: Publication) -> None:
    def finish(db: Tables) -> None:
        db.jobs.start(publication.job_id, now=START)
        db.jobs.complete(publication.job_id, [], now=START)

    await stage.store.write(finish)


async def test_files_are_kept_until_they_are_published(tmp_path: Path) -> None:
    async with Stage(tmp_path, segment_keep_s=3600).open() as stage:
        (publication,) = await stage.plan(await stage.connect(), due_at=START + 30 * DAY_MS)
        await finished(stage, publication)
        pruner = Pruner(store=stage.store, blobs=stage.blobs, config=stage.config, now=lambda: START + 20 * DAY_MS)
        path = stage.blobs.segment_path(publication.job_id, publication.segment_id, ".mp4")
        await pruner.prune()
        assert path.exists()
        with pytest.raises(Conflict, match="stripped of its media"):
            await stage.store.write(lambda db: db.jobs.mark_media_deleted(publication.job_id, now=START))
        await stage.settle()
        assert (await stage.get(publication)).state == "published"
        await pruner.prune()
        assert not path.exists()


async def test_a_job_is_deleted_only_when_its_publications_are_over(tmp_path: Path) -> None:
    async with Stage(tmp_path, job_keep_s=3600).open() as stage:
        (publication,) = await stage.plan(await stage.connect(), due_at=START + 30 * DAY_MS)
        await finished(stage, publication)
        with pytest.raises(Conflict, match="1 publications of the job") as told:
            await stage.store.write(lambda db: db.jobs.delete(publication.job_id))
        assert told.value.code == "being_published"
        await stage.store.write(lambda db: db.publications.cancel(publication, now=START))
        assert await stage.store.write(lambda db: db.jobs.delete(publication.job_id)) is not None
        assert (await stage.get(publication)).state == "cancelled"  # what became of it is remembered


async def test_a_segment_is_not_made_again_while_it_is_sent(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        (publication,) = await stage.plan(await stage.connect())
        await finished(stage, publication)
        stage.far.order("send", *["reset"] * 4)
        await stage.settle(until=START + 2000)
        assert (await stage.get(publication)).state == "uploading"

        def remake(db: Tables) -> None:
            remake_segment(db, publication.segment_id, {"gaze_strength": 0.5}, max_attempts=3, now=START)

        with pytest.raises(Conflict, match="is being published as it is"):
            await stage.store.write(remake)


async def test_a_segment_that_is_made_again_is_published_afterwards(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        (publication,) = await stage.plan(await stage.connect(), due_at=START + HOUR_MS)
        await finished(stage, publication)
        _, task = await stage.store.write(
            lambda db: remake_segment(db, publication.segment_id, {"gaze_strength": 0.5}, max_attempts=3, now=START)
        )
        await stage.settle(until=START + HOUR_MS + 60_000)
        waiting = await stage.get(publication)
        assert (waiting.state, waiting.wait and waiting.wait.code) == ("scheduled", "hold")
        await stage.store.write(lambda db: db.tasks.cancel_of_job(publication.job_id, now=START))
        await stage.settle(until=START + 2 * HOUR_MS)
        assert (await stage.get(publication)).state == "published"
        assert task.kind == "remake"


async def test_a_file_that_is_not_what_was_made_is_not_sent(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        changed, gone = await stage.plan(await stage.connect(), n=2)
        stage.blobs.segment_path(changed.job_id, changed.segment_id, ".mp4").write_bytes(b"something else")
        stage.blobs.segment_path(gone.job_id, gone.segment_id, ".mp4").unlink()
        await stage.settle()
        for publication, code in ((changed, "file_changed"), (gone, "file_gone")):
            rejected = await stage.get(publication)
            assert (rejected.state, rejected.errors[-1].kind, rejected.errors[-1].code) == ("rejected", "FIX", code)
        assert not stage.far.calls
