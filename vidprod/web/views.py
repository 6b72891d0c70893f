"""What the API shows of a job: one shape, derived from its rows when it is asked for."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from vidprod.domain.gaze import Compare, FramingReport, GazeReport
from vidprod.domain.job import FINAL, Fault, Job, JobState, Priority
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Making, Review, Segment, SegmentState, Sprite, as_made
from vidprod.domain.target import Target
from vidprod.domain.task import AttemptError, Task, TaskKind, TaskState, step_weights
from vidprod.domain.video import MediaInfo, Video
from vidprod.store.sqlite import Tables
from vidprod.web.moments import moment


class SourceView(msgspec.Struct, frozen=True, kw_only=True):
    """The video the job works on."""

    video_id: str
    filename: str
    size: int
    sha256: str | None
    deleted: bool
    info: MediaInfo | None


class ErrorView(msgspec.Struct, frozen=True, kw_only=True):
    """Why one attempt ended."""

    attempt: int
    at: str
    code: str
    message: str
    output: str
    crash: bool


class PauseView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a step waits, and for how long; `next_attempt_at`: null where it waits until the machine has room. `no_space`
    waits for room on the volume, `low_memory` for memory; neither uses an attempt up."""

    code: str
    message: str
    since: str
    next_attempt_at: str | None


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the job; `waiting` until the step before it is done."""

    name: TaskKind
    state: str
    progress: float
    attempt: int
    max_attempts: int
    started_at: str | None
    finished_at: str | None
    pause: PauseView | None = None
    errors: list[ErrorView] | UnsetType = UNSET


class SpriteView(msgspec.Struct, frozen=True, kw_only=True):
    """A sheet of small pictures, row by row; picture n shows second n × `interval_s`."""

    url: str
    columns: int
    rows: int
    count: int
    tile_width: int
    tile_height: int
    interval_s: float


class RemakeView(msgspec.Struct, frozen=True, kw_only=True):
    """A segment's next making, while it waits, runs or was given up (`discarded`); the file is the one before."""

    state: TaskState
    progress: float
    recipe: Recipe
    in_us: int
    out_us: int
    cover_us: int | None = None
    poster_only: bool = False
    pause: PauseView | None = None
    error: Fault | None = None


class SegmentView(msgspec.Struct, frozen=True, kw_only=True):
    """A segment and, once it is ready, its file. `in_us` and `out_us` are half-open on the take's clock. `recipe` is
    what the file was made with; `synthetic`: what it shows did not happen so, as platforms want to be told. `title` and
    `caption` are said with this one alone; `cover_us`, from its own start, is the picture somebody chose for its
    poster."""

    segment_id: str
    index: int
    state: SegmentState
    in_us: int
    out_us: int
    in_s: float
    out_s: float
    duration_s: float
    review: Review
    title: str | None = None
    caption: str | None = None
    cover_us: int | None = None
    width: int | None = None
    height: int | None = None
    fps: str | None = None
    frames: int | None = None
    size: int | None = None
    sha256: str | None = None
    loudness_lufs: float | None = None
    true_peak_dbtp: float | None = None
    warnings: list[str] = []
    recipe: Recipe
    gaze: GazeReport | None = None
    framing: FramingReport | None = None
    synthetic: bool = False
    synthetic_reason: str | None = None
    video_url: str | None = None
    download_url: str | None = None
    poster_url: str | None = None
    sprite: SpriteView | None = None
    compare: Compare | None = None
    compare_url: str | None = None
    remake: RemakeView | None = None


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
    steps = _steps(tasks, job=job, info=video.info, with_errors=with_errors)
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
        segments=[_segment(segment, job=job, remake=remakes.get(segment.id)) for segment in db.segments.of_job(job.id)],
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


def _steps(tasks: Sequence[Task], *, job: Job, info: MediaInfo | None, with_errors: bool) -> list[StepView]:
    last = {task.kind: task for task in tasks}  # enqueued in order: a later one of a kind replaces the earlier
    tracks = "track" in last or ("render" not in last and job.recipe.tracks(info))
    return [
        _step(last[kind], job=job, with_errors=with_errors)
        if kind in last
        else _step_to_come(kind, job=job, with_errors=with_errors)
        for kind in step_weights(tracks=tracks)
    ]


def _step(task: Task, *, job: Job, with_errors: bool) -> StepView:
    return StepView(
        name=task.kind,
        state=task.state,
        progress=100.0 if task.state == "completed" else round(100 * task.progress, 1),
        attempt=task.attempt,
        max_attempts=task.max_attempts,
        started_at=moment(task.started_at),
        finished_at=moment(task.finalized_at),
        pause=_pause(task) if job.state == "processing" else None,
        errors=[_error(error) for error in task.errors] if with_errors else UNSET,
    )


def _pause(task: Task) -> PauseView | None:
    if task.state != "available" or not task.errors or task.run_at <= task.errors[-1].at:  # given back: it is due
        return None
    last = task.errors[-1]
    return PauseView(code=last.code, message=last.message, since=moment(last.at), next_attempt_at=moment(task.run_at))


def _step_to_come(kind: TaskKind, *, job: Job, with_errors: bool) -> StepView:
    return StepView(
        name=kind,
        state="cancelled" if job.state in FINAL else "waiting",
        progress=0.0,
        attempt=0,
        max_attempts=0,
        started_at=None,
        finished_at=None,
        errors=[] if with_errors else UNSET,
    )


def _error(error: AttemptError) -> ErrorView:
    return ErrorView(
        attempt=error.attempt,
        at=moment(error.at),
        code=error.code,
        message=error.message,
        output=error.output,
        crash=error.crash,
    )


def _source(video: Video) -> SourceView:
    return SourceView(
        video_id=video.id,
        filename=video.filename,
        size=video.size,
        sha256=video.info.sha256 if video.info else None,
        deleted=video.state == "deleted",
        info=video.info,
    )


def view_segment(db: Tables, segment: Segment) -> SegmentView:
    """Of one segment, inside a reading transaction."""
    return _segment(segment, job=db.jobs.get(segment.job_id), remake=db.tasks.last_of_segment(segment.id))


def _segment(segment: Segment, *, job: Job, remake: Task | None) -> SegmentView:
    planned = SegmentView(
        segment_id=segment.id,
        index=segment.index,
        state=segment.state,
        in_us=segment.in_us,
        out_us=segment.out_us,
        in_s=segment.in_us / 1e6,
        out_s=segment.out_us / 1e6,
        duration_s=(segment.out_us - segment.in_us) / 1e6,
        review=segment.review,
        title=segment.title,
        caption=segment.caption,
        cover_us=segment.cover_us,
        recipe=segment.recipe or job.recipe,
    )
    rendition = segment.rendition
    if rendition is None:
        return planned
    measured = msgspec.structs.replace(
        planned,
        duration_s=rendition.duration_us / 1e6,
        width=rendition.width,
        height=rendition.height,
        fps=rendition.fps,
        frames=rendition.frames,
        size=rendition.size,
        sha256=rendition.sha256,
        loudness_lufs=rendition.loudness_lufs,
        true_peak_dbtp=rendition.true_peak_dbtp,
        warnings=rendition.warnings,
        gaze=rendition.gaze,
        framing=rendition.framing,
        synthetic=rendition.synthetic,
        synthetic_reason=rendition.synthetic_reason,
        remake=_remake(segment, remake),
    )
    if segment.deleted_at is not None:
        return measured
    files, making = f"/v1/segments/{segment.id}", f"making={segment.making}"  # a later file has another address
    return msgspec.structs.replace(
        measured,
        video_url=f"{files}/video?{making}",
        download_url=f"{files}/video?{making}&download=1",
        poster_url=f"{files}/poster?{making}",
        sprite=_sprite(rendition.sprite, f"{files}/sprite?{making}"),
        compare=rendition.compare,
        compare_url=f"{files}/gaze?{making}" if rendition.compare is not None else None,
    )


def _remake(segment: Segment, task: Task | None) -> RemakeView | None:
    if task is None or task.state in ("completed", "cancelled"):
        return None
    making = msgspec.convert(task.payload, Making)
    made = as_made(segment, making)
    last = task.errors[-1] if task.state == "discarded" and task.errors else None
    return RemakeView(
        state=task.state,
        progress=round(100 * task.progress, 1),
        recipe=making.recipe,
        in_us=made.in_us,
        out_us=made.out_us,
        cover_us=made.cover_us,
        poster_only=making.poster_only,
        pause=_pause(task),
        error=None if last is None else Fault(code=last.code, message=last.message),
    )


def _sprite(sprite: Sprite | None, url: str) -> SpriteView | None:
    return None if sprite is None else SpriteView(url=url, **msgspec.structs.asdict(sprite))
