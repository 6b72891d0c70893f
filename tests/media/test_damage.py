"""A take that is damaged somewhere: what cannot be decoded is bridged, and the segments it is missed in say so."""

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.media import damage, readers, synth
from tests.media.conftest import Finished, MakeSegments, probe, run_pipeline
from tests.media.synth import PLAIN, PORTRAIT
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Rendition
from vidprod.domain.step import Limits
from vidprod.errors import Refused

EXACT: dict[str, Any] = {"segment_s": 4.0, "snap": "none", "frame": "original"}


def take(path: Path, *, seconds: int = 16) -> Path:
    """A keyframe a second; segments of 4 s begin with one."""
    style = replace(PLAIN, options={"preset": "ultrafast", "x264-params": "scenecut=0"}, gop=30)
    return synth.numbered(path, seconds * 30, style=style)


def seconds(done: Finished, pattern: str) -> list[float]:
    """What each segment's first warning of this pattern says; 0 without one."""
    found = [re.search(pattern, "\n".join(rendition.warnings)) for rendition in done.renditions]
    return [float(match[1]) if match else 0.0 for match in found]


def still_s(done: Finished) -> list[float]:
    """How long the picture of each segment stands still."""
    return seconds(done, r"stands still for ([\d.]+) s\b")


def told(done: Finished) -> list[Rendition]:
    """But for the bytes, which x264 may choose otherwise for the same pictures."""
    return [msgspec.structs.replace(rendition, size=0, sha256="") for rendition in done.renditions]


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """All segments of a take that is damaged from 7 to 14 s."""
    directory = tmp_path_factory.mktemp("spoilt")
    source = damage.spoil_pictures(take(directory / "take.mp4"), from_s=7.0, to_s=14.0)
    return run_pipeline(source, directory, recipe=Recipe(**EXACT), limits=Limits(), todo=None)


def test_every_segment_of_a_picture_that_stands_still_says_so(spoilt: Finished) -> None:
    assert len(spoilt.segments) == 4
    assert still_s(spoilt) == pytest.approx([0.0, 1.0, 4.0, 2.0], abs=0.1)
    assert spoilt.faults() == []


def test_damage_is_told_alike_whether_a_segment_is_made_alone_or_with_the_others(
    spoilt: Finished, make_segments: MakeSegments
) -> None:
    for todo in ([2], [1, 3]):
        alone = make_segments(spoilt.source, **EXACT, todo=todo)
        assert told(alone) == [told(spoilt)[index] for index in todo]


def test_a_damaged_end_that_passes_in_the_whole_passes_after_a_crash(
    tmp_path: Path, make_segments: MakeSegments
) -> None:
    """What was read since the seek was judged, not the take: of the last segments nothing but damage was."""
    source = damage.spoil_pictures(take(tmp_path / "take.mp4"), from_s=10.5, to_s=16.0)
    whole = make_segments(source, **EXACT)
    assert still_s(whole) == pytest.approx([0.0, 0.0, 1.5, 4.0], abs=0.1)
    alone = make_segments(source, **EXACT, todo=[3])
    assert told(alone) == told(whole)[3:]
    last = [number for _, number in readers.numbers(alone.segments[-1], PORTRAIT)]
    assert set(last) == {10 * 30 + 14}


def test_a_take_that_is_mostly_damage_is_refused(tmp_path: Path, make_segments: MakeSegments) -> None:
    source = damage.spoil_pictures(take(tmp_path / "take.mp4"), from_s=4.0, to_s=16.0)
    with pytest.raises(Refused, match="of 480 pieces are damaged") as refusal:
        make_segments(source, **EXACT)
    assert refusal.value.code == "undecodable"


def silent_s(done: Finished) -> list[float]:
    """How much of each segment's sound is silent for damage."""
    return seconds(done, r"([\d.]+) s of the sound are silent\b")


@pytest.mark.parametrize("recipe", [{}, {"video": "copy", "loudness": "on"}], ids=["encoded", "copied"])
def test_every_segment_whose_sound_is_damaged_says_so(
    tmp_path: Path, make_segments: MakeSegments, recipe: dict[str, Any]
) -> None:
    style = replace(PLAIN, options={"preset": "ultrafast", "x264-params": "scenecut=0"}, gop=30)
    source = synth.numbered(tmp_path / "take.mp4", 16 * 30, style=style, sound=synth.Sound(synth.noise(16.0)))
    damage.spoil_sound(source, from_s=7.0, to_s=13.0)
    recipe = EXACT | recipe
    done = make_segments(source, **recipe)
    assert silent_s(done) == pytest.approx([0.0, 1.0, 4.0, 1.0], abs=0.1)
    alone = make_segments(source, todo=[1], **recipe)
    assert silent_s(alone) == silent_s(done)[1:2]


def test_a_slide_show_does_not_stand_still(tmp_path: Path, make_segments: MakeSegments) -> None:
    source = synth.vfr(tmp_path / "take.mp4", [0.0, 1.0, 1.5, 2.9, 4.2, 4.21, 6.4])
    assert still_s(make_segments(source, **EXACT)) == [0.0, 0.0]


def test_one_picture_that_is_missing_is_told_too(tmp_path: Path, make_segments: MakeSegments) -> None:
    """The decoder reports it some pictures before it gives out the one that is shown longer instead."""
    reordered = replace(PLAIN, options={"preset": "veryfast", "x264-params": "scenecut=0:b-adapt=0:bframes=3"}, gop=30)
    whole = synth.numbered(tmp_path / "take.mp4", 360, style=reordered)
    source = damage.spoil_pictures(whole, from_s=6.125, to_s=6.14)  # the fourth after a keyframe: three come before it
    done = make_segments(source, **EXACT)
    assert [length > 0 for length in still_s(done)] == [False, True, False]


def goes_so_far(path: Path) -> bool:
    with path.open("rb", buffering=0) as file:
        try:
            return file.seek(damage.FAR) == damage.FAR
        except OSError:
            return False


def test_a_place_the_file_system_does_not_have_is_no_fault_of_this_machine() -> None:
    """Once what the file system said of it was raised, and the look at the take was tried again and again."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:  # that in memory may go so far
        source = damage.far_fragment(Path(directory, "take.mp4"))
        if goes_so_far(source):
            pytest.skip("this file system has such a place")
        info = probe(source, Path(directory))
    assert (info.video.frames, info.audio) == (15, None)
