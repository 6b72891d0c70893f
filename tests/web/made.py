"""Jobs as the worker would leave them: rows through the real store, files through the real volume."""

import hashlib
import time
from typing import Any

import msgspec

from tests.web.conftest import Live
from vidprod.blobs.disk import SegmentSuffix
from vidprod.domain.gaze import Compare, FramingReport, GazeReport
from vidprod.domain.ids import new_id
from vidprod.domain.plan import Canvas, Plan, PlannedSegment
from vidprod.domain.segment import Making, Rendition, Segment, Sprite, as_made
from vidprod.domain.task import STEPS
from vidprod.store.sqlite import Tables

SPRITE = Sprite(columns=10, rows=3, count=30, tile_width=90, tile_height=160, interval_s=2.0)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def segment_bytes(index: int, *, size: int = 100_000) -> bytes:
    return (b"segment %d " % index) * (size // 10)


async def start(live: Live, job_id: str) -> None:
    """The probe runs."""

    def rows(db: Tables) -> None:
        task = db.tasks.claim(boot_id="boot", token="token", lease_ms=60_000, now=now_ms())
        assert task is not None
        assert task.job_id == job_id
        db.jobs.start(job_id, now=now_ms())
        db.tasks.set_progress(task, 0.5)

    await live.store.write(rows)


async def complete(live: Live, job_id: str, *, segments: int = 2, turned: bool = False) -> list[str]:
    """All steps done, every segment ready. Returns the segments' ids. `turned`: the speaker's eyes."""
    ids = [new_id("seg", now=now_ms()) for _ in range(segments)]
    for index, segment_id in enumerate(ids):
        _put_files(live, job_id, segment_id, index)

    def rows(db: Tables) -> None:
        now = now_ms()
        db.jobs.start(job_id, now=now)
        for kind in STEPS:
            if kind != "probe":
                payload = {"plan": _plan(segments)} if kind == "render" else {}
                db.tasks.enqueue(
                    kind, job_id=job_id, priority="normal", run_at=now, max_attempts=5, payload=payload, now=now
                )
            task = db.tasks.claim(boot_id="boot", token="token", lease_ms=60_000, now=now)
            assert task is not None
            db.tasks.complete(task, now=now)
        waits = db.jobs.get(job_id).review
        db.segments.add_all([_segment(job_id, segment_id, index, waits=waits) for index, segment_id in enumerate(ids)])
        for index, segment_id in enumerate(ids):
            rendition = _rendition(segment_bytes(index))
            db.segments.ready(segment_id, turn(rendition) if turned else rendition, now=now)
        db.jobs.complete(job_id, ["one warning"], now=now)
        db.events.record("job.completed", job_id=job_id, now=now)

    await live.store.write(rows)
    return ids


async def complete_remake(live: Live, segment_id: str, content: bytes) -> None:
    """The segment that was asked for is made again."""
    segment = await live.store.read(lambda db: db.segments.get(segment_id))
    _put_files(live, segment.job_id, segment_id, segment.index, content=content, making=segment.making + 1)

    def rows(db: Tables) -> None:
        task = db.tasks.claim(boot_id="boot", token="token", lease_ms=60_000, now=now_ms())
        assert task is not None
        assert task.segment_id == segment_id
        db.tasks.complete(task, now=now_ms())
        making = msgspec.convert(task.payload, Making)
        db.segments.remake(as_made(segment, making), _rendition(content), recipe=making.recipe, now=now_ms())

    await live.store.write(rows)


def turn(rendition: Rendition) -> Rendition:
    """As if eyes had been turned in it."""
    return msgspec.structs.replace(
        rendition,
        gaze=GazeReport(
            strength=0.9, corrected=0.84, faded=0.0, left_alone={"blink": 0.16}, mean_deg=11.0, largest_deg=19.0
        ),
        framing=FramingReport(followed=1.0, blurred=0.0, moves=2, cuts=0, speakers=1),
        compare=Compare(rows=2, tile_width=90, tile_height=30, at_s=[1.0, 2.0]),
        synthetic=True,
        synthetic_reason="the speaker's eyes were turned to the lens in 84 % of the frames",
    )


def _put_files(
    live: Live, job_id: str, segment_id: str, index: int, *, content: bytes | None = None, making: int = 1
) -> None:
    task_id = new_id("tsk", now=now_ms())
    work_dir = live.blobs.work_dir(task_id)
    work_dir.mkdir()
    contents: dict[SegmentSuffix, bytes] = {
        ".mp4": content or segment_bytes(index),
        ".jpg": b"poster %d" % index,
        ".sprite.jpg": b"sprite %d" % index,
        ".gaze.jpg": b"before and after %d" % index,
    }
    files = {suffix: work_dir / f"000{suffix}" for suffix in contents}
    for suffix, path in files.items():
        path.write_bytes(contents[suffix])
    live.blobs.adopt(files, job_id, segment_id, making=making)
    live.blobs.delete_work(task_id)


def _plan(segments: int) -> dict[str, Any]:
    """Of so many minutes at 30 frames a second, with a pause at the tenth second of each."""
    pieces = [
        PlannedSegment(index=n, in_us=n * 60_000_000, out_us=(n + 1) * 60_000_000, first_frame=n * 1800, frames=1800)
        for n in range(segments)
    ]
    canvas = Canvas(width=1080, height=1920, picture_width=1080, picture_height=1920, x=0, y=0, background="none")
    plan = Plan(fps="30", canvas=canvas, segments=pieces, pauses_ms=[n * 60_000 + 10_000 for n in range(segments)])
    planned: dict[str, Any] = msgspec.to_builtins(plan)
    return planned


def _segment(job_id: str, segment_id: str, index: int, *, waits: bool = False) -> Segment:
    return Segment(
        id=segment_id,
        job_id=job_id,
        index=index,
        state="pending",
        in_us=index * 60_000_000,
        out_us=(index + 1) * 60_000_000,
        created_at=now_ms(),
        waits=waits,
    )


def _rendition(content: bytes) -> Rendition:
    return Rendition(
        duration_us=59_966_666,
        frames=1799,
        width=1080,
        height=1920,
        fps="30",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        video_codec="h264",
        audio_codec="aac",
        loudness_lufs=-14.1,
        true_peak_dbtp=-1.4,
        sprite=SPRITE,
    )
