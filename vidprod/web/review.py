"""Looking at segments before they go out, over HTTP: kept, dropped, taken back, other words, other cuts, a cover."""

from fractions import Fraction
from typing import Annotated

import msgspec
from litestar import patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import UNSET, UnsetType

from vidprod.domain.cuts import LONGEST_S, SHORTEST_S
from vidprod.store.sqlite import Tables, reviewing
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.given import BadBody, given
from vidprod.web.job_view import JobView, view_job
from vidprod.web.moments import moment
from vidprod.web.publication_view import PublicationView, view_publications
from vidprod.web.reading import read
from vidprod.web.segment_view import SegmentView, view_segment

_LATEST_US = 86_400_000_000  # no take is that long


class SegmentEdit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed. `title` and `caption` are said with this segment alone, and may be templates; null: as its
    targets say. `in_us` and `out_us`, on the take's clock, cut it anew, from 3 to 60 s long; its neighbours stay.
    `cover_us`, from its own start, is what its poster and its posts show."""

    title: Annotated[str, msgspec.Meta(max_length=5000)] | UnsetType | None = UNSET
    caption: Annotated[str, msgspec.Meta(max_length=10000)] | UnsetType | None = UNSET
    in_us: Annotated[int, msgspec.Meta(ge=0, le=_LATEST_US)] | None = None
    out_us: Annotated[int, msgspec.Meta(ge=0, le=_LATEST_US)] | None = None
    cover_us: Annotated[int, msgspec.Meta(ge=0, le=_LATEST_US)] | None = None


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """The segment goes nowhere any more; `too_late` is what of it is on its way or public and stays so."""

    segment: SegmentView
    too_late: list[PublicationView]


class CutView(msgspec.Struct, frozen=True, kw_only=True):
    """Where a segment may be cut. Times are on the take's clock; `pauses_us` are those near it."""

    in_us: int
    out_us: int
    take_us: int
    frame_us: float
    shortest_us: int
    longest_us: int
    pauses_us: list[int]


class TakeToReview(msgspec.Struct, frozen=True, kw_only=True):
    """A take with finished segments that wait to be kept."""

    job_id: str
    filename: str
    segments: int
    since: str


class ToReview(msgspec.Struct, frozen=True, kw_only=True):
    """All that waits to be kept, the newest take first."""

    segments: int
    takes: list[TakeToReview]


@read("/v1/review")
async def list_review(desk: NamedDependency[Desk]) -> ToReview:
    """What waits for somebody to keep or drop it."""

    def look(db: Tables) -> ToReview:
        takes = [
            TakeToReview(
                job_id=row["job_id"], filename=row["filename"], segments=row["segments"], since=moment(row["since"])
            )
            for row in db.segments.to_review()
        ]
        return ToReview(segments=sum(take.segments for take in takes), takes=takes)

    return await desk.store.read(look)


@post("/v1/segments/{segment_id:str}/keep", status_code=200)
async def keep(desk: NamedDependency[Desk], segment_id: FromPath[str]) -> SegmentView:
    """Let it go where its job's targets say. A dropped one is taken back."""
    checked(segment_id, "seg")

    def work(db: Tables) -> SegmentView:
        return view_segment(db, reviewing.keep(db, segment_id, now=desk.now(), clock=desk.clock()))

    return await desk.store.write(work)


@post("/v1/jobs/{job_id:str}/keep", status_code=200)
async def keep_all(desk: NamedDependency[Desk], job_id: FromPath[str]) -> JobView:
    """Keep all finished segments of a job that wait. Dropped ones stay dropped."""
    checked(job_id, "job")

    def work(db: Tables) -> JobView:
        reviewing.keep_all(db, job_id, now=desk.now(), clock=desk.clock())
        return view_job(db, db.jobs.get(job_id))

    return await desk.store.write(work)


@post("/v1/segments/{segment_id:str}/drop", status_code=200)
async def drop(desk: NamedDependency[Desk], segment_id: FromPath[str]) -> Dropped:
    """Let it go nowhere: what is planned of it is cancelled, where nothing of it can be public. The file stays as long
    as the others do, and the segment can be taken back."""
    checked(segment_id, "seg")

    def work(db: Tables) -> Dropped:
        segment, too_late = reviewing.drop(db, segment_id, now=desk.now(), clock=desk.clock())
        return Dropped(segment=view_segment(db, segment), too_late=view_publications(db, too_late))

    return await desk.store.write(work, urgent=True)


@post("/v1/segments/{segment_id:str}/restore", status_code=200)
async def restore(desk: NamedDependency[Desk], segment_id: FromPath[str]) -> SegmentView:
    """Take a dropped one back: it is what it was before, and what was planned of it is planned again."""
    checked(segment_id, "seg")

    def work(db: Tables) -> SegmentView:
        return view_segment(db, reviewing.restore(db, segment_id, now=desk.now(), clock=desk.clock()))

    return await desk.store.write(work)


@patch("/v1/segments/{segment_id:str}")
async def edit(request: HttpRequest, desk: NamedDependency[Desk], segment_id: FromPath[str]) -> SegmentView:
    """Other words, at once; other cuts or another cover, as soon as they are made: until then it keeps its file.
    Refused while it is made again or published; cuts also once it was published."""
    checked(segment_id, "seg")
    asked = await given(request, SegmentEdit)
    if asked == SegmentEdit():
        raise BadBody("Nothing is to be changed.", hint="Name `title`, `caption`, `in_us`, `out_us` or `cover_us`.")
    edit = msgspec.convert(msgspec.to_builtins(asked), reviewing.Edit)

    def work(db: Tables) -> SegmentView:
        edited = reviewing.edit(
            db, segment_id, edit, max_attempts=desk.config.max_attempts, now=desk.now(), clock=desk.clock()
        )
        return view_segment(db, edited)

    return await desk.store.write(work)


@read("/v1/segments/{segment_id:str}/cut")
async def get_cut(desk: NamedDependency[Desk], segment_id: FromPath[str]) -> CutView:
    """Where a segment is cut, and where it may be."""
    checked(segment_id, "seg")

    def look(db: Tables) -> CutView:
        segment = db.segments.get(segment_id)
        plan = reviewing.plan_of(db, segment)
        near_us = LONGEST_S * 1_000_000
        return CutView(
            in_us=segment.in_us,
            out_us=segment.out_us,
            take_us=plan.segments[-1].out_us,
            frame_us=float(1_000_000 / Fraction(plan.fps)),
            shortest_us=SHORTEST_S * 1_000_000,
            longest_us=LONGEST_S * 1_000_000,
            pauses_us=[
                1000 * at_ms
                for at_ms in plan.pauses_ms
                if segment.in_us - near_us <= 1000 * at_ms <= segment.out_us + near_us
            ],
        )

    return await desk.store.read(look)


HANDLERS = [list_review, keep, keep_all, drop, restore, edit, get_cut]
