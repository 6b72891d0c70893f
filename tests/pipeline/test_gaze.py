"""A render with a track turns the eyes in the pictures that are painted. Whatever goes wrong, the segment is made."""

import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.media import synth
from tests.media.damage import cut_to
from tests.media.synth import PLAIN, Style
from tests.vision import people, synthetic_eye
from tests.vision.people import needs_models
from tests.vision.synthetic_eye import USUAL, Sight, Told, iris_seen, opening, places, track_of
from vidprod.domain.gaze import GazeReport
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Rendition
from vidprod.domain.step import (
    Limits,
    PlanRequest,
    ProbeRequest,
    RenderRequest,
    SegmentDone,
    TrackRequest,
)
from vidprod.pipeline import plan, probe, render
from vidprod.pipeline import track as track_step
from vidprod.vision.track import Track

pytestmark = needs_models

SIZE = (216, 384)
ASIDE = Sight(yaw=12, pitch=-6, width=44.0, x=108.0, y=150.0)
LENS = ASIDE.at_lens()
FRAMES = 30
FINE = replace(PLAIN, options={"preset": "ultrafast", "crf": "6"})

Planes = NDArray[Any]  # as PyAV gives 4:2:0: luma above, chroma below


def film(path: Path, sights: Sequence[Sight], *, style: Style = FINE, rate: int = 30) -> Path:
    """A take of drawn eyes; `style.rotation`: coded so that a player turns it upright."""
    pictures = []
    for number, sight in enumerate(sights):
        rgb = synthetic_eye.rgb(synthetic_eye.picture(sight, SIZE))
        pictures.append((Fraction(number, rate), np.ascontiguousarray(np.rot90(rgb, style.rotation // 90))))
    sound = synth.Sound(synth.noise(len(sights) / rate))
    return synth.write(path, pictures, rate=Fraction(rate), sound=sound, style=style)


def looks() -> dict[str, Any]:
    from tests.vision.edited_eye import around, looks_of

    found = looks_of(around(Sight()))
    assert found is not None
    return {"eyes": found}


def follow(path: Path, sights: Sequence[Sight], told: Told | None = None, *, rate: int = 30) -> Path:
    """Writes what following that face would find."""
    told = replace(told or Told(), looks=looks())
    track_of(sights, rate=rate, size=SIZE, errors=USUAL, told=told).save(path)
    return path


@dataclass
class Made:
    files: list[Path]
    renditions: list[Rendition]
    painted: list[Planes]  # the pictures, as they were handed to the painter

    @property
    def gaze(self) -> GazeReport:
        assert self.renditions[0].gaze is not None
        return self.renditions[0].gaze


Make = Callable[..., Made]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Renders a take with a track."""
    numbers = itertools.count()
    painted: list[Planes] = []
    paint = render._Easel.paint

    def watched(easel: Any, picture: Any, *args: Any, **options: Any) -> Any:
        painted.append(picture.to_ndarray())
        return paint(easel, picture, *args, **options)

    monkeypatch.setattr(render._Easel, "paint", watched)

    def run(source: Path, track_file: Path | None, **options: Any) -> Made:
        work_dir = tmp_path / f"work{next(numbers)}"
        work_dir.mkdir()
        painted.clear()
        told = {name: options.pop(name) for name in ("no_track", "time_factor", "explain") if name in options}
        todo = options.pop("todo", None)
        usual: dict[str, Any] = {"look_away_deg": 0.0, "gaze_strength": 1.0, "frame": "original"}
        recipe = Recipe(**(usual | options))
        common: dict[str, Any] = {"source": str(source), "work_dir": str(work_dir), "limits": Limits()}
        info = probe.run(ProbeRequest(**common), lambda said: None)
        planned = plan.run(PlanRequest(**common, info=info, recipe=recipe), lambda said: None)
        said: list[Any] = []
        asked = RenderRequest(
            **common,
            **told,
            info=info,
            recipe=recipe,
            plan=planned,
            todo=[each.index for each in planned.segments] if todo is None else todo,
            track=None if track_file is None else str(track_file),
        )
        render.run(asked, said.append)
        done = [each for each in said if isinstance(each, SegmentDone)]
        files = [work_dir / f"{each.stem}.mp4" for each in done]
        return Made(files, [each.rendition for each in done], list(painted))

    return run


def decoded(path: Path) -> list[Planes]:
    with av.open(str(path)) as container:
        return [picture.to_ndarray() for picture in container.decode(video=0)]


def same(a: list[Planes], b: list[Planes]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def whole(path: Path) -> int:
    """Pictures that can be decoded."""
    return len(decoded(path))


def off_lens(picture: Planes, sight: Sight = ASIDE) -> float:
    """How far the irises are aside from where they would be at the lens, in eye widths."""
    luma, lens = picture[: SIZE[1]], synthetic_eye.picture(sight.at_lens(), SIZE)[..., 0]
    goal = sight.at_lens()
    return float(np.mean([abs(iris_seen(luma, goal, e)[0][0] - iris_seen(lens, goal, e)[0][0]) for e in (0, 1)]))


@pytest.fixture(scope="module")
def aside(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A second of a speaker who looks aside, and the track of it."""
    folder = tmp_path_factory.mktemp("aside")
    sights = [ASIDE] * FRAMES
    return film(folder / "take.mp4", sights), follow(folder / "faces.track", sights)


def test_eyes_are_turned_and_nothing_else_changes_by_a_bit(aside: tuple[Path, Path], make: Make) -> None:
    made = make(*aside)
    before = decoded(aside[0])
    outside = np.ones(SIZE[::-1], bool)
    for eye in (0, 1):
        along, down = places(ASIDE, eye, SIZE)
        outside &= (np.abs(along) > 0.56) | (np.abs(down) > 0.66)
    height = SIZE[1]
    coarse = np.vstack([outside[::2, ::2] & outside[1::2, ::2] & outside[::2, 1::2] & outside[1::2, 1::2]] * 2)
    assert len(made.painted) == len(before) == FRAMES
    for was, is_ in zip(before, made.painted, strict=True):
        assert np.array_equal(was[:height][outside], is_[:height][outside])
        assert np.array_equal(was[height:].reshape(coarse.shape)[coarse], is_[height:].reshape(coarse.shape)[coarse])
        assert off_lens(is_) < 0.5 * off_lens(was)
    assert (made.gaze.corrected, made.gaze.faded, made.gaze.left_alone) == (1.0, 0.0, {})
    assert made.renditions[0].synthetic
    assert made.renditions[0].synthetic_reason == ("the speaker's eyes were turned to the lens in 100 % of the frames")
    assert whole(made.files[0]) == FRAMES


@pytest.mark.parametrize("options", [{"gaze": "off"}, {"gaze_strength": 0.0}])
def test_off_and_a_strength_of_nothing_change_no_bit(
    aside: tuple[Path, Path], make: Make, options: dict[str, Any]
) -> None:
    made = make(*aside, **options)
    assert same(made.painted, decoded(aside[0]))
    assert made.renditions[0].gaze is None
    assert not made.renditions[0].synthetic


def test_the_same_take_gives_the_same_pictures(aside: tuple[Path, Path], make: Make) -> None:
    assert same(make(*aside).painted, make(*aside).painted)


@pytest.mark.parametrize(
    ("sight", "told", "why"),
    [
        (LENS, Told(), "at_lens"),
        (replace(LENS, yaw=65.0), Told(), "away"),
        (replace(ASIDE, head_yaw=40.0), Told(), "head_turned"),
        (ASIDE, Told(confidence=0.1), "no_face"),
        (replace(ASIDE, width=14.0), Told(), "too_small"),
    ],
)
def test_what_is_left_alone_is_not_synthetic(tmp_path: Path, make: Make, sight: Sight, told: Told, why: str) -> None:
    sights = [sight] * 6
    source = film(tmp_path / "take.mp4", sights)
    made = make(source, follow(tmp_path / "faces.track", sights, told))
    assert same(made.painted, decoded(source))
    assert made.gaze.left_alone == {why: 1.0}
    assert (made.renditions[0].synthetic, made.renditions[0].synthetic_reason) == (False, None)


def test_each_segment_tells_of_itself_and_one_made_alone_is_the_same(tmp_path: Path, make: Make) -> None:
    sights = [ASIDE] * 45 + [LENS] * 45
    source = film(tmp_path / "take.mp4", sights, rate=15)
    track = follow(tmp_path / "faces.track", sights, rate=15)
    made = make(source, track, segment_s=3)
    assert len(made.renditions) == 2
    first, second = (rendition.gaze for rendition in made.renditions)
    assert first is not None
    assert second is not None
    assert first.corrected > 0.85
    assert second.corrected == 0
    assert [each.synthetic for each in made.renditions] == [True, False]
    for report in (first, second):
        shares = report.corrected + report.faded + sum(report.left_alone.values())
        assert shares == pytest.approx(1.0, abs=1e-3)
    alone = make(source, track, segment_s=3, todo=[0])
    assert alone.renditions[0].gaze == first
    assert same(alone.painted[:40], made.painted[:40])


def test_a_rotated_phone_has_the_same_eyes_turned(tmp_path: Path, make: Make) -> None:
    sights = [ASIDE] * 6
    track = follow(tmp_path / "faces.track", sights)
    for degrees in (90, 180, 270):
        source = film(tmp_path / f"{degrees}.mp4", sights, style=replace(FINE, rotation=degrees))
        made = make(source, track)
        assert made.gaze.corrected == 1.0
        for was, is_ in zip(decoded(source), made.painted, strict=True):
            upright = [np.rot90(each[: each.shape[0] * 2 // 3], -(degrees // 90)) for each in (was, is_)]
            assert off_lens(upright[1]) < 0.5 * off_lens(upright[0])


@pytest.mark.parametrize(
    "style",
    [
        replace(FINE, pix_fmt="yuv422p"),
        replace(FINE, pix_fmt="yuv444p", colour=(5, 6, 5)),
        replace(FINE, pix_fmt="yuv420p10le", colour=(9, 18, 9)),
        replace(FINE, full_range=True),
    ],
    ids=["4:2:2", "4:4:4", "10 bits, HLG", "full range"],
)
def test_eyes_are_turned_in_any_kind_of_pixels(tmp_path: Path, make: Make, style: Style) -> None:
    sights = [ASIDE] * 4
    source = film(tmp_path / "take.mp4", sights, style=style)
    made = make(source, follow(tmp_path / "faces.track", sights))
    assert made.gaze.corrected == 1.0
    depth = 4 if "10" in style.pix_fmt else 1
    for was, is_ in zip(decoded(source), made.painted, strict=True):
        lumas = [(each[0] if each.ndim == 3 else each[: SIZE[1]]) / depth for each in (was, is_)]
        seen = opening(LENS, 0, SIZE)
        goal = synthetic_eye.picture(LENS, SIZE)[..., 0]
        away = [float(np.abs(each[: SIZE[1]] - goal)[seen].mean()) for each in lumas]
        assert away[1] < 0.7 * away[0]


def test_pictures_at_their_own_times_are_turned_by_those(tmp_path: Path, make: Make) -> None:
    """A take of 12 pictures a second in an output of 30: each is turned once, and shown as often as before."""
    sights = [ASIDE] * 12 + [LENS] * 12
    source = film(tmp_path / "take.mp4", sights, rate=12)
    made = make(source, follow(tmp_path / "faces.track", sights, rate=12))
    assert off_lens(made.painted[3]) < 0.5 * off_lens(decoded(source)[3])
    assert np.array_equal(made.painted[-1], decoded(source)[-1])


# Whatever goes wrong


class NotInstalled:
    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name.partition(".")[0] == "cv2":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


@pytest.fixture
def without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = ("redirect", "looks", "patch", "correct", "compare")
    edits = {"vidprod.pipeline.gaze", *(f"vidprod.vision.{room}" for room in rooms)}
    for name in list(sys.modules):
        if name.partition(".")[0] == "cv2" or name in edits:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [NotInstalled(), *sys.meta_path])


def test_without_opencv_the_segment_is_made_and_says_so(
    aside: tuple[Path, Path], make: Make, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("without_opencv")
    made = make(*aside)
    assert same(made.painted, decoded(aside[0]))
    assert made.gaze.reason is not None
    assert "OpenCV is not installed" in made.gaze.reason
    assert not made.renditions[0].synthetic
    assert whole(made.files[0]) == FRAMES


@pytest.mark.parametrize("where", ["redirect", "turn_of"])
def test_an_edit_that_fails_costs_the_eyes_and_not_the_segment(
    aside: tuple[Path, Path], make: Make, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    from vidprod.vision import correct

    def broken(*_: object, **__: object) -> None:
        raise FloatingPointError("an eye of no width")

    monkeypatch.setattr(correct, where, broken)
    made = make(*aside)
    assert same(made.painted, decoded(aside[0]))
    assert made.gaze.reason == "the eyes could not be edited: FloatingPointError: an eye of no width"
    assert not made.renditions[0].synthetic
    assert whole(made.files[0]) == FRAMES


def test_what_was_altered_before_the_edit_failed_is_told(
    aside: tuple[Path, Path], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidprod.vision import correct
    from vidprod.vision.redirect import redirect

    calls = itertools.count()

    def breaks(*args: Any) -> Any:
        if next(calls) >= FRAMES:  # of both eyes: in the middle of the take
            raise FloatingPointError("an eye of no width")
        return redirect(*args)

    monkeypatch.setattr(correct, "redirect", breaks)
    made = make(*aside)
    assert same(made.painted[FRAMES // 2 :], decoded(aside[0])[FRAMES // 2 :])
    assert made.gaze.corrected == pytest.approx(0.5, abs=0.04)
    assert made.gaze.left_alone == {}
    assert made.gaze.reason == "the eyes could not be edited: FloatingPointError: an eye of no width"
    assert made.renditions[0].synthetic


def test_an_edit_that_takes_too_long_is_let_go_of_gently(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidprod.pipeline import gaze

    monkeypatch.setattr(gaze, "_JUDGED_AFTER_S", 0.0)
    sights = [ASIDE] * 45
    source = film(tmp_path / "take.mp4", sights)
    made = make(source, follow(tmp_path / "faces.track", sights), time_factor=0.0)
    away = [off_lens(picture) for picture in made.painted]
    assert away[0] < 0.5 * away[-1]
    assert max(np.diff(away)) < 0.3 * away[-1]
    assert same(made.painted[-20:], decoded(source)[-20:])
    assert made.gaze.left_alone["too_slow"] > 0.5
    assert made.gaze.faded > 0.2
    assert made.renditions[0].synthetic


def test_enough_time_is_not_let_go_of(aside: tuple[Path, Path], make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidprod.pipeline import gaze

    monkeypatch.setattr(gaze, "_JUDGED_AFTER_S", 0.0)
    assert make(*aside, time_factor=1000.0).gaze.corrected == 1.0


@pytest.mark.parametrize("keep", [0.0, 0.02, 0.7])
def test_a_damaged_track_costs_the_eyes_and_not_the_segment(
    aside: tuple[Path, Path], tmp_path: Path, make: Make, keep: float
) -> None:
    damaged = tmp_path / "faces.track"
    damaged.write_bytes(aside[1].read_bytes())
    made = make(aside[0], cut_to(damaged, keep=keep))
    assert same(made.painted, decoded(aside[0]))
    assert made.gaze.reason
    assert not made.renditions[0].synthetic


def test_a_track_of_numbers_that_are_none_costs_the_eyes_and_not_the_segment(
    aside: tuple[Path, Path], tmp_path: Path, make: Make
) -> None:
    track = Track.open(aside[1])
    face = track.faces[0]
    face.eyes = np.full_like(face.eyes, np.nan)
    track.save(tmp_path / "faces.track")
    made = make(aside[0], tmp_path / "faces.track")
    assert same(made.painted, decoded(aside[0]))
    assert not made.renditions[0].synthetic
    assert whole(made.files[0]) == FRAMES


def test_looks_of_another_shape_cost_the_eyes_and_not_the_segment(
    aside: tuple[Path, Path], tmp_path: Path, make: Make
) -> None:
    track = Track.open(aside[1])
    track.faces[0].looks = {"eyes": np.zeros((2, 5), np.float32)}
    track.save(tmp_path / "faces.track")
    made = make(aside[0], tmp_path / "faces.track")
    assert same(made.painted, decoded(aside[0]))
    assert made.gaze.reason is not None
    assert not made.renditions[0].synthetic


def test_no_track_is_told_and_changes_no_bit(aside: tuple[Path, Path], make: Make) -> None:
    made = make(aside[0], None, no_track="mediapipe is not installed")
    assert same(made.painted, decoded(aside[0]))
    assert made.gaze.reason == "mediapipe is not installed"


def test_after_an_attempt_that_died_the_eyes_are_left_alone_though_there_is_a_track(
    aside: tuple[Path, Path], make: Make
) -> None:
    made = make(*aside, no_track="the media child died while correcting")
    assert same(made.painted, decoded(aside[0]))
    assert made.gaze.reason == "the media child died while correcting"


# Before and after


def test_eyes_are_shown_before_and_after(aside: tuple[Path, Path], make: Make) -> None:
    made = make(*aside, explain=True)
    compare = made.renditions[0].compare
    assert compare is not None
    sheet = picture_of(made.files[0].with_suffix(".gaze.jpg"))
    assert sheet.shape == (compare.rows * compare.tile_height, 2 * compare.tile_width, 3)
    assert len(compare.at_s) == compare.rows > 2
    assert compare.at_s == sorted(compare.at_s)
    assert 0 <= compare.at_s[0] <= compare.at_s[-1] < FRAMES / 30
    for row in range(compare.rows):
        tiles = sheet[row * compare.tile_height : (row + 1) * compare.tile_height]
        before, after = tiles[:, : compare.tile_width], tiles[:, compare.tile_width :]
        assert np.abs(before.astype(float) - after).max() > 50
        assert np.median(np.abs(before.astype(float) - after)) < 3
    strips = picture_of(made.files[0].with_suffix(".explain.png"))
    assert strips.shape[0] % compare.rows == 0


def picture_of(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24").astype(np.uint8)


@pytest.mark.parametrize("options", [{"gaze": "off"}, {"no_track": "mediapipe is not installed"}])
def test_where_nothing_was_turned_there_is_nothing_to_compare(
    aside: tuple[Path, Path], make: Make, options: dict[str, Any]
) -> None:
    made = make(*aside, explain=True, **options)
    assert made.renditions[0].compare is None
    assert not list(made.files[0].parent.glob("*.gaze.jpg"))
    assert not list(made.files[0].parent.glob("*.explain.png"))


def test_a_comparison_that_fails_costs_itself_and_not_the_segment(
    aside: tuple[Path, Path], make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidprod.pipeline import gaze

    def broken(_pairs: object) -> bytes:
        raise ZeroDivisionError("a face of no width")

    monkeypatch.setattr(gaze, "sheet", broken)
    made = make(*aside)
    assert made.renditions[0].compare is None
    assert made.renditions[0].synthetic
    assert whole(made.files[0]) == FRAMES


# From the take to the segment


def test_a_person_at_the_lens_is_followed_her_eyes_sampled_and_left_as_they_are(tmp_path: Path, make: Make) -> None:
    place = people.Place(180, 200, 190)
    pictures = [(Fraction(n, 30), people.picture((360, 420), place)) for n in range(12)]
    source = synth.write(tmp_path / "take.mp4", pictures, rate=Fraction(30), sound=None, style=FINE)
    common: dict[str, Any] = {"source": str(source), "work_dir": str(tmp_path), "limits": Limits()}
    info = probe.run(ProbeRequest(**common), lambda said: None)
    planned = plan.run(PlanRequest(**common, info=info, recipe=Recipe()), lambda said: None)
    asked = TrackRequest(**common, info=info, recipe=Recipe(), plan=planned, time_factor=100.0)
    assert track_step.run(asked, lambda said: None).faces == 1
    eyes = Track.open(tmp_path / "faces.track").faces[0].looks["eyes"]
    assert eyes.shape[0] == 2
    assert np.isfinite(eyes).all()
    made = make(source, tmp_path / "faces.track", gaze_strength=0.9)
    assert made.gaze.reason is None
    assert made.gaze.corrected + made.gaze.faded + sum(made.gaze.left_alone.values()) == pytest.approx(1, abs=1e-3)
    assert made.gaze.largest_deg is None or made.gaze.largest_deg < 15
