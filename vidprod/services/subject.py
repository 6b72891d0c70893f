"""What an attempt is about, as rows and files say, and what the media child is asked to do with it."""

import os
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from vidprod.blobs.disk import DiskBlobs
from vidprod.config import Config
from vidprod.domain.job import Job
from vidprod.domain.plan import Plan
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Making, Segment, as_made
from vidprod.domain.step import (
    CoverRequest,
    Limits,
    PlanRequest,
    ProbeRequest,
    RenderRequest,
    StepRequest,
    Tracked,
    TrackRequest,
)
from vidprod.domain.task import Task
from vidprod.domain.video import MediaInfo, Video
from vidprod.errors import Refused
from vidprod.services import faces
from vidprod.store.sqlite import Tables

LEAST_BYTES_PER_SECOND = 25_000  # of any take worth cutting: bounds the time limit of the probe
ENCODED_BYTES_PER_SECOND = 1_050_000  # of media, at most: the encoder's greatest rate, and sound


class Rows(NamedTuple):
    """What the database says of a task."""

    job: Job
    video: Video
    segments: list[Segment]
    planned: Task  # which has the plan in its payload, once there is one


def rows_of(db: Tables, task: Task) -> Rows:
    """Raises ClaimLost."""
    db.tasks.hold(task)
    job = db.jobs.get(task.job_id)
    planned = task
    if task.kind == "remake":
        planned = next(one for one in reversed(db.tasks.of_job(job.id)) if one.kind == "render")
    return Rows(job, db.videos.get(job.video_id), db.segments.of_job(job.id), planned)


class Subject:
    """Of one attempt. What is made is taken out of `todo`, and `no_track` becomes known, while it works."""

    plan: Plan  # once there is one

    def __init__(self, task: Task, rows: Rows, *, blobs: DiskBlobs, config: Config) -> None:
        self.task = task
        self.job = rows.job
        self.video = rows.video
        self.segments = rows.segments
        self.recipe: Recipe = rows.job.recipe
        self.making: Making | None = None  # of a remake
        self.todo = [segment for segment in rows.segments if segment.state != "ready"]  # those to encode
        self.no_track: str | None = None  # why a remake could not follow the faces
        self.work_dir = blobs.work_dir(task.id)
        self._blobs = blobs
        self._config = config
        if "plan" in rows.planned.payload:
            self.plan = msgspec.convert(rows.planned.payload["plan"], Plan)
        if task.kind == "remake":
            self.making = making = msgspec.convert(task.payload, Making)
            self.recipe = making.recipe
            segment = as_made(self.remade, making)
            self.plan = self.plan.recut(segment.index, segment.in_us, segment.out_us)
            self.todo = [] if making.poster_only else [segment]

    @property
    def remade(self) -> Segment:
        """The segment of a remake, as it was before."""
        return next(segment for segment in self.segments if segment.id == self.task.segment_id)

    def request(self) -> StepRequest:
        """What the child is asked for the step. Raises Refused."""
        match self.task.kind:
            case "probe":
                return ProbeRequest(**self._given())
            case "plan":
                return PlanRequest(**self._given(), info=self.info, recipe=self.recipe)
            case "track":
                return self.track_request()
            case _:
                return self._render_request()

    def _given(self) -> dict[str, Any]:
        source = self._blobs.source_path(self.video.id, self.video.extension)
        if self.video.state == "deleted" or not source.exists():
            raise Refused("the source is not on the volume any more", code="source_gone", hint="Upload it again.")
        return {
            "source": str(source.resolve()),
            "work_dir": str(self.work_dir.resolve()),
            "limits": limits_of(self._config),
        }

    def track_request(self) -> TrackRequest:
        """For the step that follows the faces, or for a remake that has to do so first. Raises Refused."""
        return TrackRequest(
            **self._given(),
            info=self.info,
            recipe=self.recipe,
            plan=self.plan,
            time_factor=self._config.gaze_time_factor,
        )

    def _render_request(self) -> RenderRequest:
        return RenderRequest(
            **self._given(),
            info=self.info,
            recipe=self.recipe,
            plan=self.plan,
            todo=[segment.index for segment in self.todo],
            time_factor=self._config.gaze_time_factor,
            cover_frame=self._cover_frame,
            **faces.given(
                self.recipe, self.info, track=self.track, reason=self._why_no_track, without=self.task.without
            ),
        )

    def cover_request(self, segment: Segment) -> CoverRequest:
        """For a poster of the segment's own file."""
        assert self.making is not None
        file = self._blobs.segment_path(segment.job_id, segment.id, ".mp4", making=segment.making)
        return CoverRequest(
            source=str(file.resolve()),
            work_dir=str(self.work_dir.resolve()),
            limits=limits_of(self._config),
            at_us=self.making.cover_us or 0,
            copied=self.info.video if self.job.recipe.video == "copy" else None,
        )

    @property
    def _cover_frame(self) -> int | None:
        """What the poster of the segment to make shows; None: it is chosen by itself."""
        if self.task.kind != "remake" or self.todo[0].cover_us is None:
            return None
        rate = Fraction(self.plan.fps)
        return int(self.todo[0].cover_us * rate / 1_000_000 + Fraction(1, 50))  # a frame's time is rounded

    @property
    def track(self) -> Path:
        """Where the track of the faces lies, if there is one."""
        return self._blobs.track_path(self.video.id)

    @property
    def tracked(self) -> Tracked | None:
        """What following the faces came to; None where that was never a step of the job."""
        found = self.task.payload.get("tracked")
        return None if found is None else msgspec.convert(found, Tracked)

    @property
    def _why_no_track(self) -> str | None:
        if self.task.kind == "remake":
            return self.no_track
        if self.tracked is None:
            return "the take was planned by a version that followed no faces"
        return self.tracked.reason

    @property
    def info(self) -> MediaInfo:
        assert self.video.info is not None  # the probe's completion set it
        return self.video.info

    @property
    def media_s(self) -> float:
        """How long the take is; before the probe, at most."""
        if self.video.info is not None:
            return self.video.info.duration_us / 1e6
        return media_s_before_probe(self.video.size, self._config)

    @property
    def tracks(self) -> bool:
        """Whether following the faces is a step of the job."""
        if self.task.kind == "render":
            return self.tracked is not None
        return self.recipe.tracks(self.video.info)

    @property
    def warnings(self) -> list[str]:
        """What a job that is done says about itself."""
        of_faces = faces.warnings(self.recipe, self.info, self.tracked, without=self.task.without)
        return [*self.info.warnings, *self.plan.warnings, *of_faces]

    def bytes_for(self, segment: Segment) -> int:
        """What the segment's file takes at its largest."""
        segment_us = segment.out_us - segment.in_us
        if self.job.recipe.video == "copy":
            return self.video.size * segment_us // max(self.info.duration_us, segment_us)
        return ENCODED_BYTES_PER_SECOND * segment_us // 1_000_000


def media_s_before_probe(size: int, config: Config) -> float:
    """How many seconds a take of `size` bytes has at most, for the time limit of its probe."""
    return min(size / LEAST_BYTES_PER_SECOND, float(config.max_duration_s))


def limits_of(config: Config) -> Limits:
    """What a child may take, of what the daemon may."""
    return Limits(
        max_duration_s=float(config.max_duration_s),
        max_pixels=config.max_pixels,
        threads=config.child_threads or min(2, os.cpu_count() or 1),
        memory_bytes=config.child_memory_bytes,
    )
