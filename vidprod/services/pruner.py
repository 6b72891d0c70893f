"""The pruner: what was kept long enough goes, and what a crash left behind.

A row says that files may go before they do, so that a crash leaves files without a row and never a row without its
files. What a row says may go, goes, however much it is. Of files without a row it takes only what it can prove to be
its own: directories named by ids of ours, in our directories, of no upload under way, on a volume whose database knows
most of what is there. No clock is asked: it may be set back.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from vidprod.blobs.disk import DiskBlobs
from vidprod.config import Config
from vidprod.domain.address import LONGEST_S
from vidprod.domain.job import Job
from vidprod.domain.task import Task
from vidprod.domain.upload import Upload
from vidprod.domain.video import Video
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite import Store, Tables
from vidprod.telemetry import log, metrics

T = TypeVar("T")
Gone = TypeVar("Gone")

BATCH = 100  # rows in one transaction: others wait for the writer
FEW = 20  # unknown directories that a crash explains, however little else is there
_USAGE_KEEP_S = 3 * 86_400  # what counts against quotas: no window is longer than a day
FEW_JOBS = FEW // 2  # that leave no row: each has two directories

_logger = log.get(__name__)


async def take_up_uploads(store: Store, blobs: DiskBlobs) -> None:
    """At the start: what a crash left half received goes, but for uploads that may be resumed, and what those announced
    is set aside again."""
    unfinished = await store.read(lambda db: db.uploads.unfinished())
    blobs.sweep_incoming(keep={upload.id for upload in unfinished})
    for upload in unfinished:
        blobs.promise(upload.id, upload.still_expected)


class Pruner:
    """Prunes, a round at a time."""

    def __init__(self, *, store: Store, blobs: DiskBlobs, config: Config, now: Callable[[], int]) -> None:
        self._store = store
        self._blobs = blobs
        self._config = config
        self._now = now

    async def prune(self) -> None:
        """One round. Raises VidProdError or OSError when it ends early; the next round takes it up."""
        began_s = time.monotonic()
        await self._orphans()  # before more is let go: what two crashes left must not add up
        await self._sources()
        await self._segments()
        await self._earlier_makings()
        await self._jobs()
        await self._rows(lambda db, before, n: db.events.prune(before_ms=before, limit=n), self._config.event_keep_s)
        await self._rows(lambda db, before, n: db.usage.prune(before_ms=before, limit=n), _USAGE_KEEP_S)
        await self._rows(
            lambda db, before, n: db.answers.prune(before_ms=before, limit=n), self._config.idempotency_keep_s
        )
        await self._rows(lambda db, before, n: db.uploads.prune(before_ms=before, limit=n), self._config.event_keep_s)
        await self._uploads()
        await self._rows(lambda db, before, n: db.audit.prune(before_ms=before, limit=n), self._config.audit_keep_s)
        await self._rows(lambda db, before, n: db.links.prune(before_ms=before, limit=n), LONGEST_S)
        await self._deliveries()
        await self._work_dirs()
        await self._measure()
        for waiter in (self._store.feed.delivering, self._store.feed.pushing):
            waiter.set()  # of what a command beside us wrote, nobody here has heard
        _logger.debug("pruned", seconds=round(time.monotonic() - began_s, 3))

    # what was kept long enough

    async def _sources(self) -> None:
        before = self._before(self._config.source_keep_s)

        def let_go(db: Tables, video: Video) -> str:
            db.videos.mark_deleted(video.id, now=self._now())
            db.events.record("media.pruned", data={"video_id": video.id}, now=self._now())
            return video.id

        def remove(video_id: str) -> None:
            self._blobs.delete_source(video_id)
            _logger.info("source pruned", video=video_id)

        await self._all(lambda db: db.videos.prunable(before_ms=before, limit=BATCH), let_go, remove)

    async def _segments(self) -> None:
        before = self._before(self._config.segment_keep_s)

        def let_go(db: Tables, job: Job) -> str:
            db.jobs.mark_media_deleted(job.id, now=self._now())
            db.segments.mark_deleted(job.id, now=self._now())
            db.events.record("media.pruned", job_id=job.id, now=self._now())
            return job.id

        def remove(job_id: str) -> None:
            self._blobs.delete_media(job_id)
            _logger.info("segments pruned", job=job_id)

        await self._all(lambda db: db.jobs.media_prunable(before_ms=before, limit=BATCH), let_go, remove)

    async def _earlier_makings(self) -> None:
        """Of segments that were made again. Not at once when they were: somebody may be downloading them."""
        for segment in await self._store.read(lambda db: db.segments.remade()):
            await asyncio.to_thread(
                self._blobs.delete_makings_before, segment.making, job_id=segment.job_id, segment_id=segment.id
            )

    async def _jobs(self) -> None:
        if not self._config.job_keep_s:
            return
        before = self._before(self._config.job_keep_s)

        def let_go(db: Tables, job: Job) -> tuple[str, str | None]:
            video = db.jobs.delete(job.id)
            db.events.record("job.deleted", job_id=job.id, now=self._now())
            return job.id, None if video is None else video.id

        def remove(gone: tuple[str, str | None]) -> None:
            job_id, video_id = gone
            self._blobs.delete_media(job_id)
            if video_id is not None:
                self._blobs.delete_source(video_id)
            _logger.info("job pruned", job=job_id)

        await self._all(lambda db: db.jobs.prunable(before_ms=before, limit=FEW_JOBS), let_go, remove)

    async def _uploads(self) -> None:
        """Those that wait too long to be resumed. Each byte moves the time of the ones that are being sent."""

        def let_go(db: Tables, upload: Upload) -> Upload:
            expired = db.uploads.expire(upload.id, now=self._now())
            if expired.kind == "whole":
                data = {"upload_id": expired.id, "size": expired.length, "offset": expired.offset}
                db.events.record("upload.expired", data=data, now=self._now())
            return expired

        def remove(upload: Upload) -> None:
            self._blobs.delete_partial(upload.id)
            _logger.info("upload expired", upload=upload.id, bytes=upload.offset)

        await self._all(lambda db: db.uploads.expired(now=self._now(), limit=BATCH), let_go, remove)

    async def _deliveries(self) -> None:
        """The log of webhooks, and then the endpoints of jobs that are gone."""
        keep_s = self._config.webhook_keep_s
        await self._rows(lambda db, before, n: db.deliveries.prune(before_ms=before, limit=n), keep_s)
        await self._rows(lambda db, before, n: db.deliveries.prune_unheard(before_ms=before, limit=n), keep_s)
        await self._rows(lambda db, before, n: db.endpoints.prune(limit=n), keep_s)

    async def _all(
        self,
        find: Callable[[Tables], Sequence[T]],
        let_go: Callable[[Tables, T], Gone],
        remove: Callable[[Gone], None],
    ) -> None:
        """Batch by batch: the rows that `find` gives say that their files may go, then the files go.

        Args:
            let_go: in the transaction; raises Conflict or NotFound for what was taken up, or went, since we looked.
            remove: blocking.
        """
        while batch := await self._store.read(find):

            def let_all_go(db: Tables) -> list[Gone]:
                gone = []
                for row in batch:  # called before the loop goes on
                    with contextlib.suppress(Conflict, NotFound):
                        gone.append(let_go(db, row))
                return gone

            gone = await self._store.write(let_all_go, urgent=True)
            for one in gone:
                await asyncio.to_thread(remove, one)
            if not gone:
                return

    async def _rows(self, prune: Callable[[Tables, int, int], int], keep_s: float) -> None:
        before = self._before(keep_s)
        pruned = BATCH
        while pruned == BATCH:  # each transaction is another's chance to write between
            pruned = await self._store.write(lambda db: prune(db, before, BATCH), urgent=True)

    def _before(self, keep_s: float) -> int:
        return max(0, self._now() - int(keep_s * 1000))

    # what a crash left behind

    async def _orphans(self) -> None:
        # not incoming/: it is swept before the first upload may begin, and uploads clear up after themselves since
        there = await asyncio.to_thread(lambda: self._blobs.stored_videos() | self._blobs.stored_jobs())
        # In this order: who had a directory and arrives no more has its row by now. A job has its own before any file.
        there -= self._blobs.arriving_videos()
        for name in sorted(await self._store.read(lambda db: _orphans(db, there))):
            await self._remove_orphan(name)

    async def _remove_orphan(self, name: str) -> None:
        if await self._store.read(lambda db: _is_needed(db, name)):
            return  # again: the removals before it took a while, and the job was retried
        delete = self._blobs.delete_source if name.startswith("vid_") else self._blobs.delete_media
        try:
            await asyncio.to_thread(delete, name)
        except OSError as error:  # the rest of the round does not wait for it
            _logger.error("an orphan cannot be removed", name=name, error=str(error))
        else:
            _logger.info("orphan removed", name=name)

    async def _work_dirs(self) -> None:
        """Of tasks that are over, or are not there. One that may run again clears its own directory."""
        there = await asyncio.to_thread(self._blobs.work_dirs)
        over = await self._store.read(lambda db: [task_id for task_id in there if _is_over(db, task_id)])
        for task_id in over:
            await asyncio.to_thread(self._blobs.delete_work, task_id)

    async def _measure(self) -> None:
        metrics.disk_used_bytes.set(await asyncio.to_thread(self._blobs.used_bytes))


def _orphans(db: Tables, there: set[str]) -> set[str]:
    """Of the directories that are there, those that may go."""
    unneeded = there - db.videos.ids() - db.jobs.ids()
    unknown = {name for name in unneeded if not _is_known(db, name)}
    lost_rows = not db.events.last_id() or (len(unknown) > FEW and len(unknown) > len(there) // 2)
    if unknown and lost_rows:
        _logger.warning("the database does not know most of the media: it is not removed", unknown=len(unknown))
        return unneeded - unknown
    return unneeded


def _is_known(db: Tables, name: str) -> bool:
    """Whether there is a row: of what belongs on the disk no more, it proves that the files were ours."""
    try:
        db.videos.get(name) if name.startswith("vid_") else db.jobs.get(name)
    except NotFound:
        return False
    return True


def _is_needed(db: Tables, name: str) -> bool:
    """Whether a row says that the files belong on the disk."""
    try:
        if name.startswith("vid_"):
            return db.videos.get(name).state == "stored"
        return db.jobs.get(name).media_deleted_at is None
    except NotFound:
        return False


def _is_over(db: Tables, task_id: str) -> bool:
    try:
        task: Task = db.tasks.get(task_id)
    except NotFound:
        return True
    return task.finalized_at is not None
