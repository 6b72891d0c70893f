"""What somebody does with a segment who looks at it: keep, drop, take back, say something else, cut elsewhere, choose a
cover. Each is one move with its events, inside one transaction. What is not possible raises Conflict and says why."""

from fractions import Fraction

import msgspec

from vidprod.domain.cuts import recut
from vidprod.domain.plan import Plan
from vidprod.domain.post import Wording, check_wording
from vidprod.domain.publication import OVER, Publication
from vidprod.domain.segment import Making, Segment, as_made
from vidprod.errors import BadCut, Conflict, NotFound
from vidprod.store.sqlite import composing, planning, steering
from vidprod.store.sqlite.lifecycle import enqueue_remake, remakable
from vidprod.store.sqlite.tables import Tables


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be changed of a segment. UNSET, or None of a time: as it is."""

    title: str | msgspec.UnsetType | None = msgspec.UNSET
    caption: str | msgspec.UnsetType | None = msgspec.UNSET
    in_us: int | None = None
    out_us: int | None = None
    cover_us: int | None = None


def keep(db: Tables, segment_id: str, *, now: int, clock: int) -> Segment:
    """It is planned where its job's targets say, and where it was planned before it was dropped. Kept already, it stays
    as it is.

    Args:
        now, clock: unix ms, of the daemon and of publishing.
    """
    before = db.segments.get(segment_id)
    if before.review == "kept":
        return before
    kept = db.segments.keep(segment_id)
    _record(db, "segment.kept", kept, now=now)
    _plan(db, before, kept, clock=clock)
    return kept


def keep_all(db: Tables, job_id: str, *, now: int, clock: int) -> list[Segment]:
    """All finished segments of the job that wait, in the order of the take. Raises NotFound."""
    db.jobs.get(job_id)
    waiting = [
        segment
        for segment in db.segments.of_job(job_id)
        if segment.review == "waiting" and segment.state == "ready" and segment.deleted_at is None
    ]
    return [keep(db, segment.id, now=now, clock=clock) for segment in waiting]


def drop(db: Tables, segment_id: str, *, now: int, clock: int) -> tuple[Segment, list[Publication]]:
    """It goes nowhere: what is planned of it is cancelled. The second: what cannot be taken back any more."""
    before = db.segments.get(segment_id)
    if before.review == "dropped":
        return before, _too_late(db, segment_id)
    withdrawn = []
    for publication in db.publications.of_segment(segment_id):
        if publication.state in OVER:
            continue
        try:
            withdrawn.append(steering.cancel(db, publication.id, now=clock).id)
        except Conflict:
            continue  # something of it may be public: it is told
    dropped = db.segments.drop(segment_id, withdrawn=withdrawn, now=now)
    _record(db, "segment.dropped", dropped, now=now)
    return dropped, _too_late(db, segment_id)


def restore(db: Tables, segment_id: str, *, now: int, clock: int) -> Segment:
    """A dropped one is what it was before: it waits, or is planned again."""
    before = db.segments.get(segment_id)
    if before.review != "dropped":
        return before
    restored = db.segments.restore(segment_id)
    _record(db, "segment.restored", restored, now=now)
    if restored.review == "kept":
        _plan(db, before, restored, clock=clock)
    return restored


def edit(db: Tables, segment_id: str, asked: Edit, *, max_attempts: int, now: int, clock: int) -> Segment:
    """Other words at once; other cuts and another cover once they are made.

    Raises:
        BadWording: a template cannot be filled in.
        BadCut: it would be too short, too long, or outside the take; a cover outside the segment.
    """
    segment = db.segments.get(segment_id)
    if not (asked.title is msgspec.UNSET and asked.caption is msgspec.UNSET):
        segment = _reword(db, segment, asked, now=now, clock=clock)
    if not (asked.in_us is None and asked.out_us is None and asked.cover_us is None):
        _remake(db, segment, asked, max_attempts=max_attempts, now=now)
    return segment


def plan_of(db: Tables, segment: Segment) -> Plan:
    """The plan that the segment's job was made by. Raises NotFound where there is none yet."""
    for task in reversed(db.tasks.of_job(segment.job_id)):
        if task.kind == "render" and "plan" in task.payload:
            return msgspec.convert(task.payload["plan"], Plan)
    raise NotFound(f"the job {segment.job_id} has no plan yet", code="not_ready")


def _plan(db: Tables, before: Segment, kept: Segment, *, clock: int) -> None:
    for publication_id in before.withdrawn:
        planning.plan_again(db, kept, db.publications.get(publication_id), now=clock)
    planning.plan_segment(db, kept, now=clock)


def _too_late(db: Tables, segment_id: str) -> list[Publication]:
    return [
        one
        for one in db.publications.of_segment(segment_id)
        if one.state in ("uploading", "processing", "unknown", "published")
        and not (one.wait is not None and one.wait.code == "withdrawing")
    ]


def _reword(db: Tables, segment: Segment, asked: Edit, *, now: int, clock: int) -> Segment:
    title = segment.title if asked.title is msgspec.UNSET else " ".join((asked.title or "").split()) or None
    caption = segment.caption if asked.caption is msgspec.UNSET else (asked.caption or "").strip() or None
    check_wording(Wording(title=title, caption=caption))
    if (title, caption) == (segment.title, segment.caption):
        return segment
    reworded = db.segments.reword(segment.id, title=title, caption=caption)
    _record(db, "segment.edited", reworded, now=now)
    composing.follow_words(db, segment, reworded, now=clock)
    return reworded


def _remake(db: Tables, segment: Segment, asked: Edit, *, max_attempts: int, now: int) -> None:
    poster_only = asked.in_us is None and asked.out_us is None
    job = remakable(db, segment, poster_only=poster_only)
    recipe = segment.recipe or job.recipe
    making = Making(recipe=recipe, cover_us=asked.cover_us, poster_only=poster_only)
    length_us = segment.out_us - segment.in_us
    if poster_only and segment.rendition is not None:
        length_us = segment.rendition.duration_us
    if not poster_only:
        if any(one.state == "published" for one in db.publications.of_segment(segment.id)):
            raise Conflict(
                f"the segment {segment.id} was published as it is: cut anew it would be another video",
                code="published_already",
            )
        making = _cut(db, segment, asked, making)
        cut = as_made(segment, making)
        length_us = cut.out_us - cut.in_us
    if asked.cover_us is not None and not 0 <= asked.cover_us < length_us:
        raise BadCut(f"cover_us={asked.cover_us}: not within the segment, which takes {length_us / 1e6:.3f} s")
    enqueue_remake(db, segment, making, max_attempts=max_attempts, now=now)


def _cut(db: Tables, segment: Segment, asked: Edit, making: Making) -> Making:
    plan = plan_of(db, segment)
    rate, last = Fraction(plan.fps), plan.segments[-1]
    first, frames = recut(
        segment.in_us if asked.in_us is None else asked.in_us,
        segment.out_us if asked.out_us is None else asked.out_us,
        rate=rate,
        total=last.first_frame + last.frames,
    )
    return msgspec.structs.replace(
        making, in_us=round(first * 1_000_000 / rate), out_us=round((first + frames) * 1_000_000 / rate)
    )


def _record(db: Tables, what: str, segment: Segment, *, now: int) -> None:
    data = {"segment_id": segment.id, "index": segment.index}
    db.events.record(what, job_id=segment.job_id, data=data, now=now)
