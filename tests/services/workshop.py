"""A workshop: a worker on a volume with a real store, real files and real children with small steps."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.services.conftest import FAKE_STEPS
from tests.store.given import prepared
from vidprod.blobs.disk import DiskBlobs
from vidprod.config import Config
from vidprod.domain.event import Event
from vidprod.domain.ids import new_id
from vidprod.domain.job import Job, Priority
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Segment
from vidprod.domain.task import Task
from vidprod.domain.video import Video
from vidprod.services.child import ChildHost
from vidprod.services.worker import Worker
from vidprod.store.sqlite import Store, lifecycle


class Workshop:
    """A worker on a volume, and what a test does to it."""

    def __init__(self, root: Path, config: Config, store: Store, blobs: DiskBlobs, host: ChildHost) -> None:
        self.root, self.config, self.store, self.blobs, self.host = root, config, store, blobs, host
        self.ahead_ms = 0  # the clock runs ahead by this: nobody waits for a pause
        self._running: asyncio.Task[None] | None = None

    def now(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    async def start(self, *, boot_id: str = "boot_1", may_begin: asyncio.Event | None = None) -> Worker:
        worker = Worker(
            store=self.store,
            blobs=self.blobs,
            host=self.host,
            config=self.config,
            boot_id=boot_id,
            now=self.now,
            jitter=lambda: 0.5,
            may_begin=may_begin,
        )
        await worker.rescue()
        self._running = asyncio.create_task(worker.run())
        return worker

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
            self._running = None

    async def submit(self, *, priority: Priority = "normal", recipe: Recipe | None = None, **script: Any) -> str:
        """A video whose bytes say what happens to it, a job, and its first task.

        Args:
            recipe: without one nothing is done for faces.
        """
        now = self.now()
        source = json.dumps(script).encode()
        video = Video(
            id=new_id("vid", now=now),
            state="stored",
            filename="take.mov",
            extension="mov",
            size=len(source),
            created_at=now,
        )
        path = self.blobs.source_path(video.id, "mov")
        path.parent.mkdir()
        path.write_bytes(source)
        job = Job(
            id=new_id("job", now=now),
            video_id=video.id,
            state="queued",
            priority=priority,
            recipe=recipe or Recipe(gaze="off", frame="blur"),
            created_at=now,
        )

        def add(db: Any) -> None:
            db.videos.add(video)
            db.jobs.add(job)
            db.tasks.enqueue(
                "probe", job_id=job.id, priority=priority, run_at=now, max_attempts=self.config.max_attempts, now=now
            )
            db.events.record("job.created", job_id=job.id, now=now)

        await self.store.write(add)
        return job.id

    async def job(self, job_id: str) -> Job:
        return await self.store.read(lambda db: db.jobs.get(job_id))

    async def tasks(self, job_id: str) -> list[Task]:
        return await self.store.read(lambda db: db.tasks.of_job(job_id))

    async def segments(self, job_id: str) -> list[Segment]:
        return await self.store.read(lambda db: db.segments.of_job(job_id))

    async def events(self, job_id: str) -> list[Event]:
        return await self.store.read(lambda db: db.events.after(0, limit=1000, job_id=job_id))

    async def types(self, job_id: str) -> list[str]:
        return [event.type for event in await self.events(job_id)]

    async def cancel(self, job_id: str) -> None:
        await self.store.write(lambda db: lifecycle.cancel_job(db, db.jobs.get(job_id), now=self.now()))

    async def retry(self, job_id: str) -> None:
        await self.store.write(lambda db: lifecycle.retry_job(db, job_id, max_attempts=5, now=self.now()))

    async def event(self, job_id: str, *types: str) -> Event:
        """The first event of one of these types, when it happens."""
        async with asyncio.timeout(15):
            with self.store.feed.subscribe(job_id) as news:
                for event in await self.events(job_id):
                    if event.type in types:
                        return event
                async for item in news:
                    if isinstance(item, Event) and item.type in types:
                        return item
        raise AssertionError("the feed ended")

    async def end_of(self, job_id: str) -> Job:
        await self.event(job_id, "job.completed", "job.failed", "job.cancelled")
        return await self.job(job_id)

    async def hurry(self, job_id: str, retries: int) -> None:
        """Let the pauses between attempts pass."""
        for n in range(retries):
            await eventually_async(partial(self._retried, job_id, n + 1))
            self.ahead_ms += 3_600_000
            self.store.feed.nudge.set()

    async def _retried(self, job_id: str, times: int) -> bool:
        types = await self.types(job_id)
        return types.count("step.retrying") >= times or "job.failed" in types


async def eventually_async(condition: Callable[[], Any], *, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def workshop_in(root: Path, *, children: int = 1, **settings: Any) -> AsyncIterator[Workshop]:
    config = Config(**{"data_dir": str(root), "lease_s": 3.0, "disk_floor_bytes": 0, **settings})
    blobs = DiskBlobs(root, floor_bytes=0)
    blobs.open()
    async with (
        await Store.open(prepared(root / "vidprod.db"), now=1) as store,
        ChildHost(steps=FAKE_STEPS, children=children, step_floor_s=20, stall_factor=1) as host,
    ):
        workshop = Workshop(root, config, store, blobs, host)
        try:
            yield workshop
        finally:
            await workshop.stop()
    blobs.close()


def files_of(workshop: Workshop, job_id: str) -> dict[str, bytes]:
    directory = workshop.root / "media" / job_id
    return {path.name: path.read_bytes() for path in directory.iterdir()} if directory.exists() else {}
