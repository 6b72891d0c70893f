"""A render with a track follows the face: the crop is where its path says, frame by frame."""

import importlib.util
import itertools
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.media import readers, synth
from tests.vision import people
from tests.vision.takes import Motion, When, face, times, track
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Rendition
from vidprod.domain.step import (
    TRACK_FILE,
    Limits,
    PlanRequest,
    ProbeRequest,
    RenderRequest,
    SegmentDone,
    TrackRequest,
)
from vidprod.pipeline import framing, plan, probe, render
from vidprod.pipeline import track as track_step
from vidprod.vision.landmarks import Mesh

SIZE = (640, 360)
CROP = 360 * 9 / 16
SECONDS = 4.0
FACE, BAR = 90.0, 12  # pixels wide


def walk(t: Any) -> Any:
    return 200 + 240 * np.clip((t - 1.2) / 1.6, 0, 1)


def take(path: Path, motion: Motion, *, rate: int = 30, seconds: float = SECONDS) -> Path:
    """A soft bright bar in the middle of what will be tracked as a face."""

    def picture(at: Fraction) -> Any:
        x = np.arange(SIZE[0]) + 0.5 - float(motion(np.array([float(at)]))[0])
        return np.tile((60 + 150 * np.exp(-((x / BAR) ** 2))).astype(np.uint8), (SIZE[1], 1))

    pictures = ((at, picture(at)) for at in (Fraction(n, rate) for n in range(round(seconds * rate))))
    return synth.write(path, pictures, rate=Fraction(rate), sound=synth.Sound(synth.noise(seconds)))


def tracked(path: Path, motion: Motion, *, rate: int = 30, seen: When | None = None, seconds: float = SECONDS) -> Path:
    """Writes what following that face would find."""
    at = times(seconds, rate=rate)
    track(at, face(1, at, motion, size=FACE, y=150.0, seen=seen), size=SIZE).save(path)
    return path


Rendered = tuple[list[tuple[Path, Rendition]], Any]
Make = Callable[..., Rendered]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Renders the segments, and the path they should have taken."""
    numbers = itertools.count()

    def run(source: Path, track_file: Path | None, *, todo: list[int] | None = None, **options: Any) -> Rendered:
        work_dir = tmp_path / f"work{next(numbers)}"
        work_dir.mkdir()
        no_track = options.pop("no_track", None)
        recipe = Recipe(**({"gaze": "off", "frame": "face"} | options))
        common: dict[str, Any] = {"source": str(source), "work_dir": str(work_dir), "limits": Limits()}
        info = probe.run(ProbeRequest(**common), lambda said: None)
        planned = plan.run(PlanRequest(**common, info=info, recipe=recipe), lambda said: None)
        request = RenderRequest(
            **common,
            info=info,
            recipe=recipe,
            plan=planned,
            todo=[each.index for each in planned.segments] if todo is None else todo,
            track=None if track_file is None else str(track_file),
            no_track=no_track,
        )
        said: list[Any] = []
        render.run(request, said.append)
        done = [each for each in said if isinstance(each, SegmentDone)]
        path, _ = framing.plan_path(request, lambda said: None)
        return [(work_dir / f"{each.stem}.mp4", each.rendition) for each in done], path

    return run


def bars(path: Path) -> list[float]:
    """Where the bar is in each frame, pixels; −1: in none of its middle row."""
    found = []
    for _, picture in readers.pictures(path):
        row = picture[picture.shape[0] // 2].astype(float) - 90
        bright = np.where(row > 20, row, 0)
        found.append(float((bright * (np.arange(len(row)) + 0.5)).sum() / bright.sum()) if bright.any() else -1.0)
    return found


@pytest.mark.parametrize("rate", [30, 10])
def test_the_crop_follows_its_path_in_every_frame(tmp_path: Path, make: Make, rate: int) -> None:
    """Also where a picture is shown for three frames: the crop moves on in each."""
    source = take(tmp_path / "take.mp4", walk, rate=rate)
    (((file, rendition),), path) = make(source, tracked(tmp_path / "faces.track", walk, rate=rate))
    scale = rendition.height / SIZE[1]
    seen = bars(file)
    assert len(seen) == rendition.frames == 120
    for number, at in enumerate(seen):
        shown = number * rate // 30 / rate  # when the picture is due that this frame shows
        left = path.window(number * 1_000_000 // 30).place * (SIZE[0] - CROP)
        assert at == pytest.approx((float(walk(shown)) - left) * scale, abs=1.2), number
    assert rendition.framing is not None
    assert (rendition.framing.followed, rendition.framing.moves, rendition.framing.cuts) == (1.0, 1, 0)
    assert min(seen) > 0


def test_in_auto_too(tmp_path: Path, make: Make) -> None:
    source = take(tmp_path / "take.mp4", walk, seconds=1)
    (((_, rendition),), path) = make(source, tracked(tmp_path / "faces.track", walk, seconds=1), frame="auto")
    assert path is not None
    assert rendition.framing is not None
    assert rendition.warnings == []


def test_a_face_that_leaves_for_long_leaves_the_whole_picture_on_a_canvas_of_the_same_size(
    tmp_path: Path, make: Make
) -> None:
    source = take(tmp_path / "take.mp4", lambda t: 160 + 0 * t, seconds=8)
    there = tracked(tmp_path / "faces.track", lambda t: 160 + 0 * t, seen=lambda t: t < 3, seconds=8)
    (((file, rendition),), _) = make(source, there)
    pictures = [picture for _, picture in readers.pictures(file)]
    close, whole = pictures[60], pictures[200]
    assert close.shape == whole.shape == (rendition.height, rendition.width)
    assert bars(file)[60] == pytest.approx(rendition.width / 2, abs=1.5)
    assert bars(file)[200] == pytest.approx(rendition.width / 4, abs=1.5)
    assert whole[:40].max() < whole[rendition.height // 2].max() - 20, "no blurred copy above it"
    assert rendition.framing is not None
    assert rendition.framing.blurred == pytest.approx(5 / 8, abs=0.05)
    assert rendition.framing.cuts == 1


def test_in_a_tall_take_the_crop_moves_up_and_down(tmp_path: Path, make: Make) -> None:
    size, seconds = (240, 800), 4.0
    free = size[1] - size[0] * 16 / 9

    def rises(t: Any) -> Any:
        return 600 - 400 * np.clip((t - 1) / 2, 0, 1)

    def picture(at: Fraction) -> Any:
        y = np.arange(size[1]) + 0.5 - float(rises(np.array([float(at)]))[0])
        return np.tile((60 + 150 * np.exp(-((y / BAR) ** 2))).astype(np.uint8)[:, None], (1, size[0]))

    pictures = ((at, picture(at)) for at in (Fraction(n, 30) for n in range(120)))
    source = synth.write(tmp_path / "take.mp4", pictures, rate=Fraction(30), sound=None)
    at = times(seconds)
    track(at, face(1, at, 120.0, y=rises, size=FACE), size=size).save(tmp_path / "faces.track")
    (((file, rendition),), path) = make(source, tmp_path / "faces.track")
    scale = rendition.width / size[0]
    for number, (_, shown) in enumerate(readers.pictures(file)):
        column = shown[:, shown.shape[1] // 2].astype(float) - 90
        bright = np.where(column > 20, column, 0)
        seen = float((bright * (np.arange(len(column)) + 0.5)).sum() / bright.sum())
        top = path.window(number * 1_000_000 // 30).place * free
        assert seen == pytest.approx((float(rises(number / 30)) - top) * scale, abs=1.5), number
    assert rendition.framing is not None
    assert (rendition.framing.followed, rendition.framing.moves) == (1.0, 1)


def test_of_two_who_talk_in_turn_the_one_who_speaks_is_shown(tmp_path: Path, make: Make) -> None:
    def speaks(begin: float, end: float) -> Motion:
        return lambda t: 0.15 * (1 + np.sin(2 * np.pi * 4.1 * t)) * ((t >= begin) & (t < end))

    source = take(tmp_path / "take.mp4", lambda t: 110 + 0 * t, seconds=8)
    at = times(8)
    two = [face(1, at, 110.0, size=FACE, open_=speaks(0, 4)), face(2, at, 530.0, size=FACE, open_=speaks(4, 8))]
    track(at, *two, size=SIZE).save(tmp_path / "faces.track")
    (((file, rendition),), _) = make(source, tmp_path / "faces.track")
    assert rendition.framing is not None
    assert (rendition.framing.cuts, rendition.framing.moves, rendition.framing.speakers) == (1, 0, 2)
    seen = bars(file)
    assert seen[60] == pytest.approx(rendition.width / 2, abs=10 * rendition.height / SIZE[1])
    assert seen[200] == -1.0, "of the other nothing is seen"


def test_a_segment_made_alone_is_the_same(tmp_path: Path, make: Make) -> None:
    def motion(t: Any) -> Any:
        return 200 + 240 * np.clip((t - 2) / 3, 0, 1)

    source = take(tmp_path / "take.mp4", motion, seconds=7)
    faces = tracked(tmp_path / "faces.track", motion, seen=lambda t: t < 4, seconds=7)
    together, _ = make(source, faces, segment_s=3, snap="none")
    alone, _ = make(source, faces, segment_s=3, snap="none", todo=[1])
    assert len(together) > 1
    assert alone[0][1].sha256 == together[1][1].sha256
    assert alone[0][1].framing == together[1][1].framing


@pytest.mark.parametrize(
    ("frame", "no_track", "told"),
    [
        ("face", None, ["the frame follows no face: no face was found"]),
        ("face", "mediapipe is not installed", ["the frame follows no face: mediapipe is not installed"]),
        ("auto", "mediapipe is not installed", []),
    ],
)
def test_without_a_track_it_is_as_without_faces(
    tmp_path: Path, make: Make, frame: str, no_track: str | None, told: list[str]
) -> None:
    source = take(tmp_path / "take.mp4", walk, seconds=0.5)
    (((_, rendition),), path) = make(source, None, frame=frame, no_track=no_track)
    (((_, blurred),), _) = make(source, None, frame="blur")
    assert path is None
    assert rendition.framing is None
    assert rendition.warnings == [*blurred.warnings, *told]
    assert rendition.sha256 == blurred.sha256


def test_after_a_failure_over_the_eyes_the_crop_still_follows(tmp_path: Path, make: Make) -> None:
    """What an attempt is told after another that died while it turned eyes."""
    source = take(tmp_path / "take.mp4", walk, seconds=0.5)
    faces = tracked(tmp_path / "faces.track", walk, seconds=0.5)
    (((_, rendition),), path) = make(source, faces, gaze="on", no_track="the media child died while correcting: …")
    (((_, plain),), _) = make(source, faces)
    assert path is not None
    assert rendition.sha256 == plain.sha256
    assert rendition.gaze is not None
    assert (rendition.gaze.corrected, rendition.gaze.reason) == (0, "the media child died while correcting: …")
    assert not rendition.synthetic


def test_a_damaged_track_is_told_and_done_without(tmp_path: Path, make: Make) -> None:
    source = take(tmp_path / "take.mp4", walk, seconds=0.5)
    damaged = tmp_path / "faces.track"
    damaged.write_bytes(b"nothing of the kind")
    (((_, rendition),), path) = make(source, damaged)
    assert path is None
    assert any(warning.startswith("the frame follows no face: ") for warning in rendition.warnings)


@pytest.mark.parametrize("frame", ["fill", "original", "blur"])
def test_other_frames_follow_nothing(tmp_path: Path, make: Make, frame: str) -> None:
    source = take(tmp_path / "take.mp4", walk, seconds=0.5)
    (((_, rendition),), path) = make(source, tracked(tmp_path / "faces.track", walk, seconds=0.5), frame=frame)
    assert path is None
    assert rendition.framing is None


@pytest.mark.skipif(importlib.util.find_spec("mediapipe") is None, reason="nothing finds faces here")
@pytest.mark.parametrize("turn", [0, 270])
def test_a_person_who_walks_is_found_and_stays_inside(tmp_path: Path, make: Make, turn: int) -> None:
    """From the pixels of the take to those of the segment, however the phone was held."""
    size, rate, seconds = (960, 540), 10, 5

    def person(number: int) -> Any:
        x = 300 + 360 * min(1.0, max(0.0, (number / rate - 2) / 2.5))
        upright = people.picture(size, people.Place(x, 250, 130))
        return np.rot90(upright, turn // 90)  # anticlockwise, what the player's turn undoes

    pictures = ((Fraction(number, rate), person(number)) for number in range(rate * seconds))
    style = replace(synth.PLAIN, rotation=turn)
    source = synth.write(tmp_path / "take.mp4", pictures, rate=Fraction(rate), sound=None, style=style)
    found = tmp_path / "found"
    found.mkdir()
    common: dict[str, Any] = {"source": str(source), "work_dir": str(found), "limits": Limits()}
    info = probe.run(ProbeRequest(**common), lambda said: None)
    recipe = Recipe(gaze="off")
    planned = plan.run(PlanRequest(**common, info=info, recipe=recipe), lambda said: None)
    request = TrackRequest(**common, info=info, recipe=recipe, plan=planned, time_factor=1000.0)
    assert track_step.run(request, lambda said: None).reason is None
    (((file, rendition),), _) = make(source, found / TRACK_FILE, frame="auto")
    assert rendition.framing is not None
    assert (rendition.framing.followed, rendition.framing.cuts, rendition.framing.speakers) == (1.0, 0, 1)
    assert 1 <= rendition.framing.moves <= 2
    with Mesh() as mesh, av.open(str(file)) as container:
        for number, picture in enumerate(container.decode(video=0)):
            if number % 10 == 0:
                (region,) = mesh.find(picture.to_ndarray(format="rgb24").astype(np.uint8))
                half = region.side / 3
                assert half - 3 <= region.x <= rendition.width - half + 3, number
