"""What the API shows of a job: one shape, derived from its rows when it is asked for."""

from collections.abc import Sequence

import msgspec

from vidprod.domain.job import Fault, Job, JobState, Priority
from vidprod.domain.recipe import Recipe
from vidprod.domain.target import Target
from vidprod.domain.task import step_weights
from vidprod.domain.video import MediaInfo, Video
from vidprod.store.sqlite import Tables
from vidprod.web.moments import moment
from vidprod.web.segment_view import SegmentView, segment_of
from vidprod.web.step_view import StepView, view_steps


class SourceView(msgspec.Struct, frozen=True, kw_only=True):
    """The video the job works on."""

    video_id: str
    filename: str
    size: int
    sha256: str | None
    deleted: bool
    info: MediaInfo | None


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it is now. Times are RFC 3339 in UTC."""

    job_id: str
    state: JobState
    priority: Priority
    progress: float
    created_at: str
    started_at: str | None
    finished_at: str | None
    status_url: str
    events_url: str
    source: SourceView
    recipe: Recipe
    steps: list[StepView]
    segments: list[SegmentView]
    archive_url: str
    error: Fault | None
    warnings: list[str]
    targets: list[Target]
    review: bool
    media_deleted: bool


def view_job(db: Tables, job: Job, *, with_errors: bool = True) -> JobView:
    """Of one job, inside a reading transaction.

    Args:
        with_errors: of each attempt; a list of jobs does without.
    """
    video = db.videos.get(job.video_id)
    tasks = db.tasks.of_job(job.id)
    steps = view_steps(tasks, job=job, info=video.info, with_errors=with_errors)
    remakes = {task.segment_id: task for task in tasks if task.segment_id is not None}  # the last of each
    return JobView(
        job_id=job.id,
        state=job.state,
        priority=job.priority,
        progress=_progress(job, steps),
        created_at=moment(job.created_at),
        started_at=moment(job.started_at),
        finished_at=moment(job.finished_at),
        status_url=f"/status/{job.id}",
        events_url=f"/v1/events/stream?job_id={job.id}",
        source=_source(video),
        recipe=job.recipe,
        steps=steps,
        segments=[
            segment_of(segment, job=job, remake=remakes.get(segment.id)) for segment in db.segments.of_job(job.id)
        ],
        archive_url=f"/v1/jobs/{job.id}/segments.zip",
        error=job.error,
        warnings=job.warnings,
        targets=job.targets,
        review=job.review,
        media_deleted=job.media_deleted_at is not None,
    )


def _progress(job: Job, steps: Sequence[StepView]) -> float:
    if job.state == "completed":
        return 100.0
    weights = step_weights(tracks=any(step.name == "track" for step in steps))
    done = sum(weights[step.name] * step.progress / 100 for step in steps)
    return round(min(done, 99.9), 1)


def _source(video: Video) -> SourceView:
    return SourceView(
        video_id=video.id,
        filename=video.filename,
        size=video.size,
        sha256=video.info.sha256 if video.info else None,
        deleted=video.state == "deleted",
        info=video.info,
    )
