"""A job's moves that several tables make together. Each runs inside one transaction, whoever asks for it."""

from collections.abc import Mapping
from typing import Any

import msgspec

from vidprod.domain.job import Job
from vidprod.domain.publication import ACTIVE
from vidprod.domain.recipe import GAZE_OPTIONS, parse_recipe
from vidprod.domain.segment import Making, Segment
from vidprod.domain.task import OPTIONAL, STEPS, Task
from vidprod.errors import Conflict
from vidprod.store.sqlite.tables import Tables


def cancel_job(db: Tables, job: Job, *, now: int) -> Job:
    """The job ends, and the worker hears of it. What is finished stays. Raises Conflict when it is over."""
    cancelled = db.jobs.cancel(job.id, now=now)
    db.tasks.cancel_of_job(job.id, now=now)
    db.segments.fail_pending(job.id)
    db.events.record("job.cancelled", job_id=job.id, now=now)
    return cancelled


def retry_job(db: Tables, job_id: str, *, max_attempts: int, now: int) -> Job:
    """The job is queued again, from the step that did not end well. What is finished stays.

    Args:
        max_attempts: at that step, from now on.
    Raises:
        NotFound: there is no such job.
        Conflict: it has not failed or been cancelled, or its take is gone.
    """
    job = db.jobs.requeue(job_id)
    db.segments.reopen(job_id)
    _requeue_steps(db, job, max_attempts=max_attempts, now=now)
    db.events.record("job.retried", job_id=job_id, now=now)
    return job


def remake_segment(
    db: Tables, segment_id: str, asked: Mapping[str, Any], *, max_attempts: int, now: int
) -> tuple[Segment, Task]:
    """A finished segment of a completed job is queued to be made again. It keeps its file until then.

    Args:
        asked: of `GAZE_OPTIONS`; what is not named stays as it was made with.
    Raises:
        NotFound: there is no such segment.
        BadRecipe: naming every fault of `asked`.
        Conflict: its job is not completed, its take or its own file is gone, its picture is copied, it is being made
            already, or its file is being published.
    """
    segment = db.segments.get(segment_id)
    job = remakable(db, segment)
    recipe = parse_recipe(asked, base=segment.recipe or job.recipe, options=GAZE_OPTIONS)
    return segment, enqueue_remake(db, segment, Making(recipe=recipe), max_attempts=max_attempts, now=now)


def enqueue_remake(db: Tables, segment: Segment, making: Making, *, max_attempts: int, now: int) -> Task:
    """The segment, which is `remakable`, is queued to be made again so."""
    db.tasks.supersede(segment.id, now=now)
    task = db.tasks.enqueue(
        "remake",
        job_id=segment.job_id,
        segment_id=segment.id,
        priority=db.jobs.get(segment.job_id).priority,
        run_at=now,
        max_attempts=max_attempts,
        payload=msgspec.to_builtins(making),
        now=now,
    )
    _record_remaking(db, segment, now=now)
    return task


def retry_remake(db: Tables, segment_id: str, *, max_attempts: int, now: int) -> Task:
    """The last making of a segment that was given up is queued again, with the recipe it had.

    Raises:
        NotFound: there is no such segment.
        Conflict: as `remake_segment`, or nothing of it was given up.
    """
    segment = db.segments.get(segment_id)
    task = db.tasks.last_of_segment(segment_id)
    poster_only = task is not None and msgspec.convert(task.payload, Making).poster_only
    remakable(db, segment, poster_only=poster_only)
    if task is None or task.state != "discarded":
        raise Conflict(f"no making of the segment {segment_id} was given up: there is nothing to try again")
    task = db.tasks.requeue(task.id, max_attempts=max_attempts, now=now)
    _record_remaking(db, segment, now=now)
    return task


def remakable(db: Tables, segment: Segment, *, poster_only: bool = False) -> Job:
    """The job of a segment that can be made again.

    Args:
        poster_only: its video stays: that needs no take, and nothing is encoded.
    Raises:
        Conflict: it cannot, and why.
    """
    job = db.jobs.get(segment.job_id)
    if job.state != "completed":
        raise Conflict(
            f"the job {job.id} is {job.state}: a segment is made again only when all are finished",
            hint="Wait for it, or try the job again.",
        )
    if not poster_only and db.videos.get(job.video_id).state == "deleted":
        raise Conflict(
            f"the take of the job {job.id} is gone: nothing can be made of it any more",
            code="source_gone",
            hint="Upload it again.",
        )
    if segment.state != "ready" or segment.deleted_at is not None:
        raise Conflict(f"the segment {segment.id} is past its keeping time and was deleted", code="media_gone")
    if not poster_only and job.recipe.video == "copy":
        raise Conflict(
            f"the job {job.id} copies the picture as it is: nothing in it is turned or cut anew",
            hint="Upload the take again with video=encode.",
        )
    if db.tasks.live_of_segment(segment.id) is not None:
        raise Conflict(f"the segment {segment.id} is being made again already", hint="Wait for it.")
    if any(publication.state in ACTIVE for publication in db.publications.of_segment(segment.id)):
        raise Conflict(
            f"the segment {segment.id} is being published as it is",
            code="being_published",
            hint="Wait for it, or cancel the publication.",
        )
    return job


def _record_remaking(db: Tables, segment: Segment, *, now: int) -> None:
    data = {"segment_id": segment.id, "index": segment.index}
    db.events.record("segment.remaking", job_id=segment.job_id, data=data, now=now)


def _requeue_steps(db: Tables, job: Job, *, max_attempts: int, now: int) -> None:
    last = {task.kind: task for task in db.tasks.of_job(job.id)}
    for kind in STEPS:
        task = last.get(kind)
        if task is not None and task.state in ("discarded", "cancelled"):
            db.tasks.requeue(task.id, max_attempts=max_attempts, now=now)
            return  # the steps after it were never enqueued: its completion does that
        if task is None and kind not in OPTIONAL:
            db.tasks.enqueue(kind, job_id=job.id, priority=job.priority, run_at=now, max_attempts=max_attempts, now=now)
            return
    raise Conflict(f"every step of the job {job.id} is done: there is nothing to try again")
