"""Rows to begin with, and who does what with them. The clock of these tests starts at `NOW`."""

import functools
import tempfile
from pathlib import Path
from typing import Any

from vidprod.domain.account import Account
from vidprod.domain.ids import new_id
from vidprod.domain.job import Fault, Job, Priority
from vidprod.domain.post import Post
from vidprod.domain.publication import Publication
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Rendition, Segment
from vidprod.domain.task import AttemptError, Task, TaskKind
from vidprod.domain.upload import Upload, UploadKind
from vidprod.domain.video import MediaInfo, Video, VideoStreamInfo
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.connection import open_database
from vidprod.store.sqlite.migrate import migrate

NOW = 1_800_000_000_000  # unix ms
LEASE_MS = 30_000

FAULT = Fault(code="undecodable", message="the picture cannot be decoded at second 3", hint="Export it again.")


def prepared(path: Path) -> Path:
    """`path`, where an empty database of this version is put if there is none: all migrations take 20 ms."""
    if not path.exists():
        path.write_bytes(_empty())
    return path


@functools.cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vidprod.db"
        connection = open_database(path)
        migrate(connection, now=NOW)
        connection.close()
        return path.read_bytes()


def a_video(*, now: int = NOW, filename: str = "take.mov") -> Video:
    return Video(
        id=new_id("vid", now=now), state="stored", filename=filename, extension="mov", size=1000, created_at=now
    )


def a_job(video: Video, *, now: int = NOW, priority: Priority = "normal") -> Job:
    return Job(
        id=new_id("job", now=now),
        video_id=video.id,
        state="queued",
        priority=priority,
        recipe=Recipe(segment_s=45),
        created_at=now,
    )


def a_segment(job_id: str, *, index: int = 0, now: int = NOW) -> Segment:
    return Segment(
        id=new_id("seg", now=now),
        job_id=job_id,
        index=index,
        state="pending",
        in_us=index * 60_000_000,
        out_us=(index + 1) * 60_000_000,
        created_at=now,
    )


def an_account(*, external_id: str = "UC1", name: str = "Ann") -> Account:
    return Account(
        id=new_id("acc", now=NOW),
        platform="youtube",
        external_id=external_id,
        name=name,
        username="@ann",
        state="connected",
        scopes=["youtube.upload"],
        notices=["This Google project is not audited: uploads will be private."],
        connected_at=NOW,
        access_expires_at=NOW + 3600_000,
    )


def a_publication(segment: Segment, account: Account, *, due_at: int = NOW) -> Publication:
    return Publication(
        id=new_id("pub", now=NOW),
        segment_id=segment.id,
        job_id=segment.job_id,
        account_id=account.id,
        platform=account.platform,
        state="scheduled",
        post=Post(title="part 1"),
        when="at",
        due_at=due_at,
        run_at=due_at,
        created_at=NOW,
    )


def an_upload(*, kind: UploadKind = "whole", length: int | None = 100, now: int = NOW) -> Upload:
    return Upload(
        id=new_id("upl", now=now), state="open", kind=kind, length=length, created_at=now, expires_at=now + 86_400_000
    )


def a_rendition() -> Rendition:
    return Rendition(
        duration_us=60_000_000,
        frames=1800,
        width=1080,
        height=1920,
        fps="30",
        size=12345,
        sha256="ab" * 32,
        video_codec="h264",
        audio_codec="aac",
        loudness_lufs=-14.1,
        true_peak_dbtp=-1.4,
        sprite=None,
    )


def an_info() -> MediaInfo:
    return MediaInfo(
        container="mov",
        size=1000,
        sha256="cd" * 32,
        duration_us=120_000_000,
        declared_duration_us=None,
        start_us=0,
        video=VideoStreamInfo(
            index=0,
            codec="h264",
            pix_fmt="yuv420p",
            coded_width=1920,
            coded_height=1080,
            width=1080,
            height=1920,
            rotation=90,
            sample_aspect="1:1",
            average_rate="30000/1001",
            usual_rate="30000/1001",
            declared_rate=None,
            variable_rate=False,
            hdr=None,
            interlaced=False,
            full_range=False,
            color_space=None,
            frames=3596,
            start_us=0,
            duration_us=120_000_000,
            keyframes=60,
            longest_gop_us=2_000_000,
        ),
        audio=None,
    )


def an_error(task: Task, *, crash: bool = False, message: str = "no") -> AttemptError:
    return AttemptError(
        attempt=task.attempt, at=NOW, code="child_crashed" if crash else "try_later", message=message, crash=crash
    )


async def upload(store: Store, *, now: int = NOW, filename: str = "take.mov", priority: Priority = "normal") -> Job:
    """What the last byte of an upload writes: video, job, first task, events, as one."""

    def write(db: Tables) -> Job:
        video = db.videos.add(a_video(now=now, filename=filename))
        job = db.jobs.add(a_job(video, now=now, priority=priority))
        db.tasks.enqueue("probe", job_id=job.id, priority=priority, run_at=now, max_attempts=3, now=now)
        db.events.record("video.stored", job_id=job.id, data={"video_id": video.id}, now=now)
        db.events.record("job.created", job_id=job.id, now=now)
        return job

    return await store.write(write)


async def enqueue(
    store: Store, job: Job, kind: TaskKind = "probe", *, run_at: int = NOW, priority: Priority = "normal", **values: Any
) -> Task:
    return await store.write(
        lambda db: db.tasks.enqueue(
            kind, job_id=job.id, priority=priority, run_at=run_at, **({"max_attempts": 3, "now": NOW} | values)
        )
    )


async def claim(store: Store, *, now: int = NOW, token: str = "", boot_id: str = "boot-1") -> Task:
    """Claim what must be there."""
    task = await claim_if_any(store, now=now, token=token, boot_id=boot_id)
    assert task is not None
    return task


async def claim_if_any(store: Store, *, now: int = NOW, token: str = "", boot_id: str = "boot-1") -> Task | None:
    token = token or new_id("tok", now=now)
    return await store.write(lambda db: db.tasks.claim(boot_id=boot_id, token=token, lease_ms=LEASE_MS, now=now))


async def a_job_alone(store: Store) -> Job:
    """A job without any task."""

    def write(db: Tables) -> Job:
        return db.jobs.add(a_job(db.videos.add(a_video())))

    return await store.write(write)


async def retry(store: Store, task: Task, error: AttemptError, *, run_at: int) -> Task:
    return await store.write(lambda db: db.tasks.retry(task, error, run_at=run_at))


async def discard(store: Store, task: Task, error: AttemptError) -> Task:
    return await store.write(lambda db: db.tasks.discard(task, error, now=NOW))


async def advance(store: Store, task: Task) -> Task:
    return await store.write(lambda db: db.tasks.advance(task))


async def rescue(store: Store, *, boot_id: str, max_rescues: int = 2) -> list[Task]:
    return await store.write(lambda db: db.tasks.rescue(boot_id=boot_id, now=NOW, max_rescues=max_rescues))
