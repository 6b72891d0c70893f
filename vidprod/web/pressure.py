"""Pressure over HTTP: how near the machine is to its end, and the steps that wait for that to pass."""

from collections.abc import Sequence

import msgspec
from litestar.di import NamedDependency

from vidprod.domain.job import FINAL
from vidprod.domain.pressure import CODES, Level, Pressure, Thing
from vidprod.web.desk import Desk
from vidprod.web.job_view import JobView
from vidprod.web.moments import moment
from vidprod.web.reading import read
from vidprod.web.segment_view import SegmentView
from vidprod.web.step_view import PauseView, StepView


class CauseView(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that runs out: space, names (files, however small) or log (the database's) on the volume; database and
    database_names, space and files where the database lies on a volume of its own; memory, stall (everything waits for
    memory), files (descriptors)."""

    thing: Thing
    level: Level
    message: str
    hint: str


class PressureView(msgspec.Struct, frozen=True, kw_only=True):
    """`tight`: no new upload is taken; `strained`: nor is media work begun. Publishing and webhooks always go on."""

    level: Level
    since: str | None
    takes_uploads: bool
    begins_media: bool
    causes: Sequence[CauseView]


@read("/v1/pressure")
async def get_pressure(desk: NamedDependency[Desk]) -> PressureView:
    """Whether the machine is short of disk, memory or descriptors, and what is left out for it."""
    pressure = desk.pressure
    causes = [
        CauseView(thing=cause.thing, level=cause.level, message=cause.message, hint=cause.hint)
        for cause in pressure.causes
    ]
    return PressureView(
        level=pressure.level,
        since=moment(pressure.since) if pressure.since else None,
        takes_uploads=pressure.takes_uploads,
        begins_media=pressure.begins_media,
        causes=causes,
    )


def held(job: JobView, pressure: Pressure) -> JobView:
    """`job` with what it waits for, where media work is not begun: the queue itself knows nothing of it."""
    if pressure.begins_media:
        return job
    cause = pressure.causes[0]
    pause = PauseView(
        code=CODES[cause.thing], message=cause.message, since=moment(pressure.since), next_attempt_at=None
    )
    return msgspec.structs.replace(
        job,
        steps=job.steps if job.state in FINAL else [_held_step(step, pause) for step in job.steps],
        segments=[_held_segment(segment, pause) for segment in job.segments],
    )


def _held_step(step: StepView, pause: PauseView) -> StepView:
    waits = step.state == "available" and step.pause is None
    return msgspec.structs.replace(step, pause=pause) if waits else step


def _held_segment(segment: SegmentView, pause: PauseView) -> SegmentView:
    remake = segment.remake
    if remake is None or remake.state != "available" or remake.pause is not None:
        return segment
    return msgspec.structs.replace(segment, remake=msgspec.structs.replace(remake, pause=pause))
