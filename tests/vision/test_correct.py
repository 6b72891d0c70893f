"""What is done over a whole take, and what is told of it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.vision.edited_eye import SIZE, around, looks_of, pixels_of
from tests.vision.synthetic_eye import USUAL, Sight, Told, iris_seen, picture, planes, track_of
from vidprod.domain.gaze import GazeReport, LeftAlone, disclosure
from vidprod.vision.correct import Correction
from vidprod.vision.gaze import Wish
from vidprod.vision.track import Track

LENS, ASIDE = Sight(), Sight(yaw=12, pitch=-6)
FRAME_US = 1e6 / 30


def seen_well() -> dict[str, Any]:
    looks = looks_of(around())
    assert looks is not None
    return {"eyes": looks}


def track(sights: Sequence[Sight], told: Told | None = None, *, rate: float = 30.0) -> Track:
    told = told or Told()
    return track_of(sights, rate=rate, errors=USUAL, told=replace(told, looks=seen_well()))


def correction(track: Track, *, strength: float = 1.0, everybody: bool = False) -> Correction:
    wish = Wish(strength=strength, look_away_deg=0.0, gaze_fade_deg=(25.0, 30.0), head_fade_deg=(22.0, 32.0))
    return Correction(track, wish, everybody=everybody)


def report(track: Track, *, first: int = 0, end: int | None = None, given_up_us: int | None = None) -> GazeReport:
    """Of the frames `first` … `end − 1` of an output of 30 a second."""
    made = correction(track)
    end = len(track.times_us) if end is None else end
    for at_us in track.times_us[first:end].tolist():
        made.moves(made.picture_at(at_us))
    return made.report([(number + 0.5) * FRAME_US for number in range(first, end)], given_up_us=given_up_us)


def whole(report: GazeReport) -> float:
    return report.corrected + report.faded + sum(report.left_alone.values())


REASONS: dict[LeftAlone, tuple[Sight, Told]] = {
    "at_lens": (LENS, Told()),
    "away": (Sight(yaw=65), Told()),
    "head_turned": (Sight(yaw=12, head_yaw=40), Told()),
    "no_face": (ASIDE, Told(confidence=0.2)),
    "too_small": (Sight(yaw=12, width=14), Told()),
}


@pytest.mark.parametrize("why", REASONS)
def test_what_is_left_alone_says_why(why: LeftAlone) -> None:
    sight, told = REASONS[why]
    found = report(track([sight] * 60, told))
    assert found.left_alone == {why: 1.0}
    assert (found.corrected, found.faded, found.mean_deg, found.largest_deg) == (0, 0, None, None)
    assert disclosure(found) is None


def test_what_is_corrected_says_how_far_it_was_off() -> None:
    found = report(track([ASIDE] * 60))
    assert (found.corrected, found.faded, found.left_alone) == (1.0, 0.0, {})
    assert found.mean_deg is not None
    assert found.largest_deg is not None
    assert 4 < found.mean_deg <= found.largest_deg < 30
    assert disclosure(found) == "the speaker's eyes were turned to the lens in 100 % of the frames"


def test_shares_of_all_that_happens_add_up() -> None:
    shut = replace(ASIDE, open_=0.0)
    sights = [ASIDE] * 90 + [shut] * 6 + [ASIDE] * 60 + [LENS] * 90 + [Sight(yaw=65)] * 60 + [ASIDE] * 60
    seen = [number for number in range(len(sights)) if not 330 <= number < 350]
    found = report(track(sights, Told(seen=seen)))
    assert whole(found) == pytest.approx(1.0, abs=1e-3)
    assert set(found.left_alone) == {"blink", "at_lens", "away", "no_face"}
    assert 0.3 < found.corrected < 0.7
    assert found.left_alone["no_face"] == pytest.approx(20 / 366, abs=0.03)
    assert 0 < found.left_alone["blink"] < 12 / 366


def test_a_segment_is_told_of_alone() -> None:
    seen = track([ASIDE] * 90 + [LENS] * 90)
    assert report(seen, first=0, end=60).corrected == 1.0
    late = report(seen, first=130, end=180)
    assert late.left_alone == {"at_lens": 1.0}


def test_a_take_of_fewer_or_more_pictures_than_the_output_has_frames_is_told_of_by_time() -> None:
    for rate in (12, 60):
        sights = [ASIDE] * round(3 * rate) + [LENS] * round(3 * rate)
        seen = track(sights, rate=rate)
        made = correction(seen)
        for index in range(len(sights)):
            made.moves(index)
        found = made.report([(number + 0.5) * FRAME_US for number in range(180)], given_up_us=None)
        assert found.corrected + found.faded == pytest.approx(0.5, abs=0.06)


def test_where_it_was_given_up_the_rest_was_too_slow() -> None:
    found = report(track([ASIDE] * 90), given_up_us=1_000_000)
    assert found.left_alone == {"too_slow": pytest.approx(2 / 3, abs=0.02)}
    assert whole(found) == pytest.approx(1.0, abs=1e-3)


def test_what_is_let_go_of_slowly_is_altered_until_it_is_gone() -> None:
    made = correction(track([ASIDE] * 90))
    until_us = [(number + 0.5) * FRAME_US for number in range(90)]
    assert all(made.moves(number) for number in range(90))
    found = made.report(until_us, given_up_us=1_000_000, let_go_us=1_000_000)
    assert found.corrected == pytest.approx(33 / 90, abs=0.03)
    assert found.faded == pytest.approx(24 / 90, abs=0.05)
    assert whole(found) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (track_of([ASIDE] * 30), "the eyes were never seen well enough"),
        (Track(320, 160, np.arange(9), np.zeros(9, np.int32), [], None), "no face was found"),
    ],
)
def test_without_eyes_to_turn_it_says_so(seen: Track, reason: str) -> None:
    made = correction(seen)
    assert made.why_nothing == reason
    assert not made.moves(3)
    assert made.report([0.0], given_up_us=None).reason == reason


def test_the_nearest_picture_is_the_one_that_is_turned() -> None:
    made = correction(track([ASIDE] * 30))
    for number, at_us in enumerate(made._track.times_us.tolist()):
        assert [made.picture_at(at_us + off) for off in (-9_000, -1, 0, 1, 9_000)] == [number] * 5
    assert made.picture_at(99_000_000) == 29


def turned(made: Correction, sight: Sight, number: int, *, share: float = 1.0) -> list[NDArray[Any]]:
    drawn = planes(picture(sight, SIZE))
    made.turn_eyes(pixels_of(drawn), number, share=share)
    return drawn


@pytest.mark.parametrize("sight", [ASIDE, Sight(yaw=-10, pitch=-4), Sight(yaw=10, pitch=4)])
def test_the_eyes_of_a_take_are_turned_towards_the_lens(sight: Sight) -> None:
    made = correction(track([sight] * 60))
    after = turned(made, sight, 30)[0]
    before, lens = planes(picture(sight))[0], planes(picture(sight.at_lens()))[0]
    for eye in (0, 1):
        was, is_, goal = (iris_seen(each, sight.at_lens(), eye)[0][0] for each in (before, after, lens))
        assert abs(is_ - goal) < 0.6 * abs(was - goal)


def test_strength_of_nothing_moves_nothing() -> None:
    made = correction(track([ASIDE] * 60), strength=0.0)
    assert not any(made.moves(number) for number in range(60))
    before = planes(picture(ASIDE))
    assert all(np.array_equal(a, b) for a, b in zip(turned(made, ASIDE, 30), before, strict=True))


def test_more_strength_turns_further() -> None:
    seen = track([ASIDE] * 60)
    before = planes(picture(ASIDE))[0].astype(float)
    changes = [
        np.abs(turned(correction(seen, strength=strength), ASIDE, 30)[0] - before).mean()
        for strength in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    ]
    assert changes[0] == 0
    assert (np.diff(changes) > 0).all()


def test_pictures_without_the_face_are_left_alone() -> None:
    made = correction(track([ASIDE] * 90, Told(seen=range(30, 60))))
    assert not made.moves(10)
    assert made.moves(45)
    assert not made.moves(80)


def test_eyes_that_are_partly_outside_of_the_picture_stay() -> None:
    sight = replace(ASIDE, x=75.0)  # the left one
    made = correction(track([sight] * 60))
    before, after = planes(picture(sight))[0], turned(made, sight, 30)[0]
    assert np.array_equal(before[:, :75], after[:, :75])
    assert not np.array_equal(before[:, 75:], after[:, 75:])


def test_only_the_main_speaker_is_turned_unless_all_are_asked_for() -> None:
    wide = (640, 160)
    left, right = replace(ASIDE, x=160.0), replace(ASIDE, x=480.0)
    both = track([left] * 60)
    both.width = wide[0]
    both.faces += [another(track([right] * 60))]
    drawn = np.concatenate([picture(left), picture(replace(right, x=160.0))], axis=1)
    for everybody in (False, True):
        pixels = planes(drawn)
        correction(both, everybody=everybody).turn_eyes(pixels_of(pixels), 30, share=1.0)
        changed = pixels[0] != planes(drawn)[0]
        assert changed[:, :320].any()
        assert changed[:, 320:].any() == everybody


def another(of: Track) -> Any:
    face = of.faces[0]
    face.id = 2
    return face


def test_a_take_of_minutes_is_planned_in_parts_that_fit() -> None:
    """Nothing jumps where one part ends and the next begins."""
    seen = track([ASIDE] * 4000)
    made = correction(seen)
    for number in (1795, 1799, 1800, 1805, 3600, 3601):
        assert made.moves(number)
    a, b = (turned(made, ASIDE, number)[0].astype(float) for number in (1799, 1800))
    assert np.abs(a - b).mean() < 0.1 * np.abs(a - planes(picture(ASIDE))[0]).mean()
