"""What the API shows of a segment: its cuts and words, its file, and its next making."""

import msgspec

from vidprod.domain.gaze import Compare, FramingReport, GazeReport
from vidprod.domain.job import Fault, Job
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Making, Review, Segment, SegmentState, Sprite, as_made
from vidprod.domain.task import Task, TaskState
from vidprod.store.sqlite import Tables
from vidprod.web.step_view import PauseView, pause_of


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


def view_segment(db: Tables, segment: Segment) -> SegmentView:
    """Of one segment, inside a reading transaction."""
    return segment_of(segment, job=db.jobs.get(segment.job_id), remake=db.tasks.last_of_segment(segment.id))


def segment_of(segment: Segment, *, job: Job, remake: Task | None) -> SegmentView:
    """With its job, and the task that makes it again, at hand."""
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
        pause=pause_of(task),
        error=None if last is None else Fault(code=last.code, message=last.message),
    )


def _sprite(sprite: Sprite | None, url: str) -> SpriteView | None:
    return None if sprite is None else SpriteView(url=url, **msgspec.structs.asdict(sprite))
