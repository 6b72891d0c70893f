"""Every step says how far it is while it works: one that says nothing for a minute is ended as stalled."""

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.media import damage, synth
from vidprod.domain.plan import Plan
from vidprod.domain.recipe import Recipe
from vidprod.domain.step import Limits, PlanRequest, ProbeRequest, Progress, RenderRequest
from vidprod.domain.video import MediaInfo
from vidprod.media import container
from vidprod.media import probe as media_probe
from vidprod.pipeline import ahead, plan, probe, render

SIZE = (36, 64)
STYLE = replace(synth.PLAIN, options={"preset": "ultrafast", "x264-params": "scenecut=0"}, gop=30)
COPY = Recipe(video="copy", segment_s=4.0)


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that may be said is said, where a take of some seconds is otherwise read before the first word."""
    monkeypatch.setattr(container, "TELL_EVERY_S", 0.0)
    monkeypatch.setattr(media_probe, "TELL_EVERY_S", 0.001)
    monkeypatch.setattr(ahead, "_SAY_EVERY_S", 0.001)


class Steps:
    """The steps on one source; `said` is what the last of them said."""

    def __init__(self, source: Path) -> None:
        self._common: dict[str, Any] = {"source": str(source), "work_dir": str(source.parent), "limits": Limits()}
        self.said: list[Progress] = []

    def _say(self, message: object) -> None:
        if isinstance(message, Progress):
            self.said.append(message)

    @property
    def growth(self) -> list[int]:
        """Only what grows counts: each new height."""
        grown: list[int] = []
        for message in self.said:
            if message.done_us > max(grown, default=-1):
                grown.append(message.done_us)
        return grown

    def probe(self) -> MediaInfo:
        self.said.clear()
        return probe.run(ProbeRequest(**self._common), self._say)

    def plan(self, info: MediaInfo, recipe: Recipe) -> Plan:
        self.said.clear()
        return plan.run(PlanRequest(**self._common, info=info, recipe=recipe), self._say)

    def render(self, info: MediaInfo, recipe: Recipe, planned: Plan, todo: list[int]) -> None:
        self.said.clear()
        render.run(RenderRequest(**self._common, info=info, recipe=recipe, plan=planned, todo=todo), self._say)


def test_the_probe_tells_of_every_pass_over_a_file(tmp_path: Path) -> None:
    """Of takes whose first picture or first sound is far behind their beginning, and of one long in hashing."""
    plain = synth.numbered(tmp_path / "plain.mp4", 300, size=SIZE, style=STYLE)
    late = synth.Sound(synth.noise(2.0), start_s=8.0)
    takes = {
        "plain": plain,
        "spoilt": damage.spoil_pictures(
            synth.numbered(tmp_path / "spoilt.mp4", 300, size=SIZE, style=STYLE), from_s=0, to_s=8
        ),
        "late sound": synth.numbered(tmp_path / "late.mkv", 300, size=SIZE, style=STYLE, sound=late),
    }
    grown = {}
    for name, source in takes.items():
        steps = Steps(source)
        steps.probe()
        grown[name] = len(steps.growth)
        assert [message.done_us for message in steps.said] == sorted(message.done_us for message in steps.said)
        assert steps.said[-1].done_us == steps.said[-1].total_us
    assert grown["plain"] > 700, "of its packets"
    assert grown["spoilt"] > grown["plain"] + 200, "of its pictures"
    assert grown["late sound"] > 300 + 200, "of its pictures, twice"


def test_the_probe_tells_while_it_waits_for_the_digest(tmp_path: Path) -> None:
    source = synth.numbered(tmp_path / "take.mp4", 90, size=SIZE, style=STYLE)
    steps = Steps(source)
    steps.probe()
    before = len(steps.growth)
    os.truncate(source, 300_000_000)  # nothing follows the last box, but it is hashed
    steps.probe()
    assert len(steps.growth) > before + 5


def test_planning_tells_how_far_it_has_listened(tmp_path: Path) -> None:
    steps = Steps(synth.numbered(tmp_path / "take.mkv", 150, size=SIZE, style=STYLE))
    info = steps.probe()
    steps.plan(info, Recipe())
    assert steps.growth == [2_000_000, 4_000_000, pytest.approx(info.duration_us, abs=100)]


def test_planning_a_copy_tells_how_far_it_has_looked(tmp_path: Path) -> None:
    """Where there is no index of every picture, the whole take is looked through."""
    steps = Steps(synth.numbered(tmp_path / "take.mkv", 300, size=SIZE, style=STYLE))
    info = steps.probe()
    steps.plan(info, COPY)
    assert len(steps.growth) >= 300
    assert steps.growth[-1] == pytest.approx(info.duration_us, abs=100_000)


def test_a_copy_tells_how_far_it_is_within_a_segment(tmp_path: Path) -> None:
    steps = Steps(synth.numbered(tmp_path / "take.mp4", 300, size=SIZE, style=STYLE))
    info = steps.probe()
    planned = steps.plan(info, COPY)
    steps.render(info, COPY, planned, [segment.index for segment in planned.segments])
    assert len(steps.growth) >= 300
    assert steps.said[-1].done_us == planned.segments[-1].out_us


@pytest.mark.parametrize("misled", [False, True], ids=["one keyframe", "an index that is off"])
def test_decoding_up_to_a_segment_is_progress(tmp_path: Path, misled: bool) -> None:
    """A segment made alone after a crash may lie hours behind the keyframe that decoding has to begin with."""
    if misled:
        source = synth.numbered(tmp_path / "take.mkv", 600, size=SIZE, style=STYLE)
        damage.misleading_cues(source)
    else:
        source = damage.long_gop(tmp_path / "take.mp4", seconds=12)
    steps, recipe = Steps(source), Recipe(segment_s=4.0, snap="none", frame="original", loudness="off")
    info = steps.probe()
    planned = steps.plan(info, recipe)
    last = planned.segments[-1 if not misled else len(planned.segments) // 2]
    steps.render(info, recipe, planned, [last.index])
    frame_us = int(1_000_000 / Fraction(planned.fps))
    waited = [done for done in steps.growth if last.in_us <= done < last.in_us + frame_us]
    assert len(waited) > 5
    said = [message.done_us for message in steps.said]
    assert said == sorted(said)
