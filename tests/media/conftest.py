"""The real steps, called directly: a source goes through probe, plan and render into a work directory."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.media.readers import Rect
from tests.media.stills import judge_poster, judge_sprite
from tests.media.validator import Expect, validate
from vidprod.domain.plan import Plan
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Rendition
from vidprod.domain.step import Limits, PlanRequest, ProbeRequest, Progress, RenderRequest, SegmentDone
from vidprod.domain.video import MediaInfo


@dataclass
class Finished:
    """What came out, in the order of the take."""

    source: Path
    recipe: Recipe
    info: MediaInfo
    plan: Plan
    segments: list[Path]
    renditions: list[Rendition]
    progress: list[Progress]

    @property
    def rect(self) -> Rect:
        """Where the whole source picture lies on the canvas."""
        canvas = self.plan.canvas
        return Rect(canvas.x, canvas.y, canvas.picture_width, canvas.picture_height)

    def faults(self) -> list[str]:
        """What the validator says about every segment, its poster and its sprite."""
        return [line for number in range(len(self.segments)) for line in self.faults_of(number)]

    def faults_of(self, number: int) -> list[str]:
        """What it says about the nth that was made."""
        path, rendition = self.segments[number], self.renditions[number]
        expect = Expect(
            frame=self.recipe.frame,
            copied=self.recipe.video == "copy",
            normalized=self.recipe.normalize,
            longest_s=self.recipe.segment_s,
            source_s=self.info.duration_us / 1e6,
            frames=rendition.frames,
        )
        lines = validate(path, source=self.source, expect=expect) + self._faults_of_stills(path, rendition)
        return [f"{path.name}: {line}" for line in lines]

    def _faults_of_stills(self, path: Path, rendition: Rendition) -> list[str]:
        size = {"width": rendition.width, "height": rendition.height}
        faults = judge_poster(path.with_suffix(".jpg"), **size)
        if rendition.sprite is None:
            return [*faults, "sprite: there is none"]
        seconds = rendition.duration_us / 1e6
        return faults + judge_sprite(path.with_suffix(".sprite.jpg"), rendition.sprite, duration_s=seconds, **size)


MakeSegments = Callable[..., Finished]


@pytest.fixture
def make_segments(tmp_path: Path) -> MakeSegments:
    """`make_segments(source, segment_s=4, …)` runs the pipeline; `todo` renders only these."""
    numbers = iter(range(100))

    def make(source: Path, *, todo: list[int] | None = None, limits: Limits | None = None, **options: Any) -> Finished:
        recipe = Recipe(**options)
        work_dir = tmp_path / f"work{next(numbers)}"
        work_dir.mkdir()
        return run_pipeline(source, work_dir, recipe=recipe, limits=limits or Limits(), todo=todo)

    return make


def run_pipeline(source: Path, work_dir: Path, *, recipe: Recipe, limits: Limits, todo: list[int] | None) -> Finished:
    """Probe, plan and render, as the child does for the daemon."""
    from vidprod.pipeline import plan as plan_step
    from vidprod.pipeline import probe as probe_step
    from vidprod.pipeline import render as render_step

    said: list[Any] = []
    common: dict[str, Any] = {"source": str(source), "work_dir": str(work_dir), "limits": limits}
    info = probe_step.run(ProbeRequest(**common), said.append)
    plan = plan_step.run(PlanRequest(**common, info=info, recipe=recipe), said.append)
    wanted = [segment.index for segment in plan.segments] if todo is None else todo
    said.clear()
    render_step.run(RenderRequest(**common, info=info, recipe=recipe, plan=plan, todo=wanted), said.append)
    done = sorted((message for message in said if isinstance(message, SegmentDone)), key=lambda each: each.index)
    assert [message.index for message in done] == wanted
    return Finished(
        source=source,
        recipe=recipe,
        info=info,
        plan=plan,
        segments=[work_dir / f"{message.stem}.mp4" for message in done],
        renditions=[message.rendition for message in done],
        progress=[message for message in said if isinstance(message, Progress)],
    )


def probe(source: Path, work_dir: Path, *, limits: Limits | None = None) -> MediaInfo:
    """The first step alone."""
    from vidprod.pipeline import probe as probe_step

    request = ProbeRequest(source=str(source), work_dir=str(work_dir), limits=limits or Limits())
    return probe_step.run(request, lambda message: None)
