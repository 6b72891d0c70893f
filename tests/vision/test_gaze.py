"""Where eyes look and what has to move: told by faces that geometry draws, so that the truth is known.

Constants of the gaze are fits over people; the drawn person is another one. Angles are therefore asked for roughly,
directions and what happens over time exactly.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.vision.synthetic_eye import EXACT, USUAL, MeshErrors, Sight, Told, mirrored, track_of
from vidprod.vision.eyes import UPPER, eyes_of
from vidprod.vision.gaze import NONE, WHOLE, WHYS, Turn, Wish, turn_of, usual_of
from vidprod.vision.track import Track

LENS = Sight()
ASIDE = Sight(yaw=12)
USUAL_WISH = Wish(strength=1.0, look_away_deg=0.0, gaze_fade_deg=(25.0, 30.0), head_fade_deg=(22.0, 32.0))

Looks = Callable[[float], Sight]
both_meshes = pytest.mark.parametrize("errors", [EXACT, USUAL], ids=["exact mesh", "usual mesh"])


def turn(track: Track, **wish: Any) -> Turn:
    face = track.faces[0]
    asked = Wish(**{name: wish.get(name, getattr(USUAL_WISH, name)) for name in USUAL_WISH.__struct_fields__})
    return turn_of(track, face, usual_of(face), asked)


def still(sight: Sight, *, seconds: float = 2.0, errors: MeshErrors = EXACT, **wish: Any) -> Turn:
    return turn(track_of([sight] * round(seconds * 30), errors=errors), **wish)


def film(looks: Looks, *, seconds: float = 4.0, rate: float = 30.0) -> list[Sight]:
    return [looks(number / rate) for number in range(round(seconds * rate))]


def whys(found: Turn, rows: slice = slice(None)) -> set[str]:
    return {WHYS[code] for code in found.why[rows]}


def blink(t: float, *, at: float = 2.0) -> float:
    """How open the lids are: shut within 0.1 s, shut for 0.07, open after 0.15 more."""
    since = t - at
    return float(np.interp(since, [0.0, 0.1, 0.17, 0.32], [1.0, 0.0, 0.0, 1.0]))


# What is seen


@both_meshes
@pytest.mark.parametrize("head_yaw", [0, 10, -10])
@pytest.mark.parametrize(("yaw", "pitch"), [(12, 0), (-12, 0), (0, 10), (0, -12), (12, -10), (-10, 8)])
def test_eyes_go_back_to_where_they_would_look_into_the_lens(
    errors: MeshErrors, head_yaw: float, yaw: float, pitch: float
) -> None:
    found = still(Sight(yaw=yaw, pitch=pitch, head_yaw=head_yaw), errors=errors)
    along, down = found.shift[30].mean(axis=0)
    assert 0.4 < found.angle_deg[30] / np.hypot(yaw, pitch) < 2.2
    if yaw:
        assert 0.3 < along / (-0.0062 * yaw) < 2.5  # of anatomy
    if pitch:
        assert 0.4 < down / (0.0062 * pitch) < 3.0
        assert (found.lift[30] * pitch > 0).all(), "the lid goes with the eye"
    assert found.share[30] > WHOLE


@both_meshes
@pytest.mark.parametrize("sight", [LENS, replace(LENS, width=33, roll=20), replace(LENS, yaw=1.5, pitch=-1)])
def test_eyes_at_the_lens_stay_as_they_are(errors: MeshErrors, sight: Sight) -> None:
    found = still(sight, errors=errors)
    assert found.angle_deg.max() < 5
    assert np.abs(found.shift).max() < 0.02
    assert np.abs(found.lift).max() < 0.02
    assert whys(found) == {"at_lens"}


@pytest.mark.parametrize("head_yaw", [20, -20])
def test_a_head_that_turns_while_its_eyes_stay_at_the_lens_is_not_a_gaze(head_yaw: float) -> None:
    seen = track_of([replace(LENS, head_yaw=head_yaw)] * 60)
    assert turn(seen).angle_deg.max() < 8
    seen.faces[0].pose[:] = 0
    assert turn(seen).angle_deg.min() > 10, "the eyes alone would tell it"


def test_a_greater_angle_is_a_greater_angle() -> None:
    sideways = [still(Sight(yaw=yaw)).angle_deg[30] for yaw in (4, 8, 12, 16, 20)]
    down = [still(Sight(pitch=-pitch)).angle_deg[30] for pitch in (6, 10, 14, 18, 22)]
    assert (np.diff(sideways) > 1).all()
    assert (np.diff(down) > 1).all()


@both_meshes
def test_in_a_flipped_picture_the_eyes_are_turned_the_other_way(errors: MeshErrors) -> None:
    def looks(t: float) -> Sight:
        return Sight(yaw=10 + 4 * np.sin(3 * t), pitch=-6 * t / 4, head_yaw=8, open_=blink(t))

    plain = track_of(film(looks), errors=errors)
    flipped = track_of(film(looks), errors=errors)
    face = flipped.faces[0]
    face.eyes = mirrored(face.eyes, flipped.width)
    face.pose = face.pose * np.array([-1, 1, -1], np.float32)
    a, b = turn(plain), turn(flipped)
    assert np.abs(b.shift - a.shift[:, ::-1] * (-1, 1)).max() < 1e-3
    assert np.abs(b.lift - a.lift[:, ::-1]).max() < 1e-3
    assert np.abs(b.share - a.share).max() < 1e-2


# Over time


@both_meshes
@pytest.mark.parametrize("sight", [LENS, ASIDE, Sight(yaw=-8, pitch=-8)])
def test_a_blink_is_no_gaze(errors: MeshErrors, sight: Sight) -> None:
    seen = film(lambda t: replace(sight, open_=blink(t)))
    track = track_of(seen, errors=errors)
    raw = eyes_of(track.faces[0].eyes).points[:, :, UPPER, 1].min(axis=2)
    assert np.ptp(raw) > 0.15, "lids that tell of nothing would be no test"
    found = turn(track)
    assert np.abs(found.angle_deg - found.angle_deg[20]).max() < 2.5


@both_meshes
@pytest.mark.parametrize("sight", [ASIDE, Sight(yaw=-8, pitch=-8), Sight(pitch=9)])
def test_in_a_blink_the_eyes_are_let_go_of(errors: MeshErrors, sight: Sight) -> None:
    seen = film(lambda t: replace(sight, open_=blink(t)))
    found = turn(track_of(seen, errors=errors))
    shut = [number for number, each in enumerate(seen) if each.open_ < 0.2]
    assert shut
    assert found.share[shut].max() < 0.15
    assert {WHYS[code] for code in found.why[shut]} == {"blink"}
    assert found.share[:50].min() > WHOLE
    assert found.share[-45:].min() > WHOLE
    assert np.abs(found.lift[shut]).max() < 0.02, "shut eyes are opened"


def test_many_blinks_lose_nothing_between_them() -> None:
    seen = film(lambda t: replace(ASIDE, open_=blink(t % 1.5, at=0.5)), seconds=9)
    found = turn(track_of(seen, errors=USUAL))
    wide = np.array([blink(t % 1.5, at=0.5) == 1 and t % 1.5 < 0.4 for t in np.arange(270) / 30])
    assert found.share[wide].min() > WHOLE
    assert np.ptp(found.angle_deg) < 4


@pytest.mark.parametrize("rate", [24, 30, 60])
def test_a_saccade_stays_sharp(rate: int) -> None:
    seen = film(lambda t: Sight(yaw=11 if t < 2 else -11), rate=rate)
    shift = turn(track_of(seen, rate=rate, errors=USUAL)).shift[:, 0, 0]
    before, after = shift[rate], shift[3 * rate]
    step = (shift - before) / (after - before)
    assert before * after < 0
    assert step[2 * rate - 2] < 0.15
    assert step[2 * rate + 2] > 0.85
    assert step.min() > -0.15
    assert step.max() < 1.15


def test_the_noise_of_the_mesh_becomes_calm() -> None:
    def jitter(values: NDArray[Any]) -> float:
        return float(np.diff(values).std())

    noisy = replace(USUAL, noise=0.006)
    found = still(ASIDE, seconds=6, errors=noisy)
    exact = still(ASIDE, seconds=6, errors=replace(USUAL, noise=0.0))
    raw = eyes_of(track_of([ASIDE] * 180, errors=noisy).faces[0].eyes).points[:, :, 16, 0].mean(axis=1)
    shift = found.shift[..., 0].mean(axis=1)
    assert abs(shift.mean() / exact.shift[..., 0].mean() - 1) < 0.05
    assert jitter(shift) < 0.25 * jitter(raw)
    assert np.ptp(found.share) < 0.05


@pytest.mark.parametrize(
    "sight",
    [Sight(yaw=4.7), Sight(yaw=-27.0), Sight(yaw=8, head_yaw=27), Sight(yaw=9, open_=0.62), Sight(yaw=9, width=24)],
    ids=["nearly at the lens", "nearly away", "head nearly turned", "half open", "nearly too small"],
)
def test_nothing_flickers_where_a_correction_fades(sight: Sight) -> None:
    seen = film(lambda t: Sight() if t < 3 else sight, seconds=9)  # open eyes are what is usual
    seen = [replace(each, width=sight.width) for each in seen]
    found = turn(track_of(seen, errors=replace(USUAL, noise=0.006)))
    assert np.abs(np.diff(found.share[120:])).max() < 0.2
    assert np.abs(np.diff(found.shift[120:], axis=0)).max() < 0.02


@both_meshes
def test_the_frame_rate_is_no_matter(errors: MeshErrors) -> None:
    def looks(t: float) -> Sight:
        return Sight(yaw=9 + 5 * np.sin(2 * t), pitch=-7 + 3 * np.cos(1.5 * t), head_yaw=6 * np.sin(t))

    quiet = replace(errors, noise=0.0)
    found = {rate: turn(track_of(film(looks, seconds=6, rate=rate), rate=rate, errors=quiet)) for rate in (24, 30, 60)}
    wanted = found[30].shift
    inner = slice(10, -10)
    for rate in (24, 60):
        times = np.arange(180) / 30
        own = np.arange(len(found[rate].at)) / rate
        for eye in (0, 1):
            for axis in (0, 1):
                same = np.interp(times, own, found[rate].shift[:, eye, axis])
                assert np.abs(same - wanted[:, eye, axis])[inner].max() < 0.05 * np.abs(wanted).max()


@pytest.mark.parametrize("rate", [24, 60])
def test_a_blink_is_let_go_of_alike_at_any_rate(rate: int) -> None:
    def share(rate: int) -> NDArray[Any]:
        seen = film(lambda t: replace(ASIDE, open_=blink(t)), rate=rate)
        return np.interp(np.arange(120) / 30, np.arange(len(seen)) / rate, turn(track_of(seen, rate=rate)).share)

    assert abs((1 - share(rate)).sum() - (1 - share(30)).sum()) < 1.5  # pictures, of 30 a second


def test_a_part_of_the_take_is_turned_as_in_the_whole() -> None:
    seen = film(lambda t: Sight(yaw=10 * np.sin(1.3 * t), pitch=-6, open_=blink(t % 2.3, at=1)), seconds=14)
    track = track_of(seen, errors=USUAL)
    face, whole = track.faces[0], turn(track)
    for first, end in ((0, 150), (150, 300), (300, 420), (217, 218)):
        part = turn_of(track, face, usual_of(face), USUAL_WISH, first=first, end=end)
        assert part.at.tolist() == list(range(first, end))
        for name in ("shift", "lift", "share", "angle_deg", "iris"):
            values = getattr(whole, name)[first:end]
            assert np.abs(getattr(part, name) - values).max() < 0.02 * np.abs(getattr(whole, name)).max(), name


def test_a_part_of_the_take_without_the_face_has_nothing_to_turn() -> None:
    track = track_of([ASIDE] * 300, told=Told(seen=range(60)))
    face = track.faces[0]
    part = turn_of(track, face, usual_of(face), USUAL_WISH, first=200, end=300)
    assert len(part.at) == len(part.share) == 0


# Fades


@pytest.mark.parametrize("direction", [1, -1])
def test_a_gaze_beyond_the_fade_angles_is_left_alone(direction: int) -> None:
    shares = [still(Sight(yaw=yaw * direction)).share[30] for yaw in (8, 14, 20, 25, 28, 31, 36, 42)]
    assert shares[0] > WHOLE
    assert shares[1] > WHOLE
    assert (np.diff(shares) <= 1e-6).all()
    assert shares[-1] == 0
    assert whys(still(Sight(yaw=42 * direction))) == {"away"}


@pytest.mark.parametrize("direction", [1, -1])
def test_a_head_beyond_the_fade_angles_is_left_alone(direction: int) -> None:
    shares = [still(Sight(yaw=10 * direction, head_yaw=head * direction)).share[30] for head in (0, 10, 24, 27, 30, 36)]
    assert shares[0] > WHOLE
    assert (np.diff(shares) <= 1e-6).all()
    assert shares[-1] == 0
    assert whys(still(Sight(yaw=10 * direction, head_yaw=36 * direction))) == {"head_turned"}


@pytest.mark.parametrize("fade", [{"gaze_fade_deg": (5.0, 7.0)}, {"gaze_fade_deg": (6.0, 6.0)}])
def test_fade_angles_are_a_matter_of_the_recipe(fade: dict[str, Any]) -> None:
    assert still(ASIDE).share.min() > WHOLE
    assert still(ASIDE, **fade).share.max() == 0


def test_the_heads_fade_angles_too() -> None:
    turned = Sight(yaw=12, head_yaw=15)
    assert still(turned).share[30] > WHOLE
    assert still(turned, head_fade_deg=(5.0, 8.0)).share.max() == 0


def test_eyes_that_sweep_past_are_not_dropped_and_held_again() -> None:
    seen = film(lambda t: Sight(yaw=34 * np.sin(4 * t)), seconds=5)
    share = turn(track_of(seen, errors=USUAL)).share
    assert np.abs(np.diff(share)).max() < 0.3


# Edges


def test_a_face_that_comes_and_goes_within_a_scene_is_taken_hold_of_gently() -> None:
    found = turn(track_of([ASIDE] * 120, told=Told(seen=range(30, 90))))
    assert found.share[[0, -1]].max() < NONE
    assert found.share[15:45].min() > WHOLE
    assert np.abs(np.diff(found.share)).max() < 0.5
    assert WHYS[found.why[0]] == WHYS[found.why[-1]] == "no_face"


def test_where_the_take_or_a_scene_begins_and_ends_there_is_nothing_to_fade() -> None:
    assert turn(track_of([ASIDE] * 60)).share.min() > WHOLE
    cut = turn(track_of([ASIDE] * 40 + [Sight(yaw=-12)] * 40, scenes=[0] * 40 + [1] * 40))
    assert cut.share.min() > WHOLE
    assert cut.shift[39, 0, 0] < -0.03 < 0.03 < cut.shift[40, 0, 0], "scenes mix"


def test_a_face_that_is_lost_for_a_picture_or_two_is_not_let_go_of() -> None:
    seen = [number for number in range(90) if number not in (40, 41)]
    assert turn(track_of([ASIDE] * 90, told=Told(seen=seen))).share.min() > WHOLE


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_few_pictures_are_enough(count: int) -> None:
    found = turn(track_of([ASIDE] * count))
    assert len(found.share) == count
    assert np.isfinite(found.shift).all()


def test_at_one_picture_a_second_eyes_are_turned_without_a_crash() -> None:
    found = turn(track_of([ASIDE, LENS, Sight(yaw=-12), replace(ASIDE, open_=0.0), ASIDE], rate=1))
    assert np.isfinite(found.shift).all()
    assert np.isfinite(found.share).all()


@pytest.mark.parametrize(
    ("sight", "told", "why"),
    [
        (Sight(yaw=12, width=14), Told(), "too_small"),
        (ASIDE, Told(confidence=0.3), "no_face"),
        (LENS, Told(), "at_lens"),
        (ASIDE, Told(), "corrected"),
    ],
)
def test_it_is_told_why_eyes_are_left_alone(sight: Sight, told: Told, why: str) -> None:
    found = turn(track_of([sight] * 60, told=told))
    assert whys(found) == {why}
    assert (found.share.max() < NONE) == (why != "corrected")


def test_who_seems_to_look_up_all_the_time_is_believed_by_half() -> None:
    up = Sight(pitch=12)
    now_and_then = turn(track_of(film(lambda t: up if t > 3 else LENS, seconds=5))).shift[-20:, 0, 1].mean()
    always = turn(track_of(film(lambda t: up, seconds=5))).shift[-20:, 0, 1].mean()
    assert 0.2 < always / now_and_then < 0.7


def covered(track: Track, first_s: float, end_s: float, *, usual: float = 60.0) -> Track:
    """Something lies before the eyes for a while: they do not stand out there. The mesh sees open eyes all the same."""
    seen_us = track.times_us
    hidden = (seen_us >= first_s * 1e6) & (seen_us < end_s * 1e6)
    contrast = np.where(hidden, 0.0, usual).astype(np.float32)
    track.faces[0].looks |= {"seen_us": seen_us, "contrast": np.stack([contrast, contrast], axis=1)}
    return track


def test_eyes_behind_a_hand_or_a_light_are_let_go_of_gently() -> None:
    found = turn(covered(track_of([ASIDE] * 120), 1.5, 2.5))
    assert whys(found, slice(50, 70)) == {"glare"}
    assert found.share[50:70].max() < NONE
    assert found.share[:20].min() > WHOLE
    assert found.share[-20:].min() > WHOLE
    assert np.abs(np.diff(found.share)).max() < 0.35


def test_eyes_that_hardly_stand_out_anywhere_are_turned_all_the_same() -> None:
    found = turn(covered(track_of([ASIDE] * 120), 1.5, 2.5, usual=8.0))
    assert whys(found) == {"corrected"}


# Strength and glances


def test_strength_scales_all_that_moves() -> None:
    seen = track_of(film(lambda t: Sight(yaw=10, pitch=-6 + 2 * t, open_=blink(t))), errors=USUAL)
    whole = turn(seen)
    for strength in (0.0, 0.3, 0.5, 0.9):
        part = turn(seen, strength=strength)
        assert part.shift == pytest.approx(whole.shift * strength, abs=1e-9)
        assert part.lift == pytest.approx(whole.lift * strength, abs=1e-9)
        assert part.share == pytest.approx(whole.share)


@cache
def glances(*, rate: float, away: float, yaw: float = 12.0, seconds: float = 60.0) -> NDArray[Any]:
    """How far the eyes are turned away from the lens again, degrees, in each picture."""
    sights = [Sight(yaw=yaw)] * round(seconds * rate)
    track = track_of(sights[:1] * len(sights), rate=rate)
    held, free = turn(track, look_away_deg=0.0), turn(track, look_away_deg=away)
    part = free.shift[:, 0, 0] / held.shift[:, 0, 0]
    assert part.min() >= 0, "a glance goes beyond where the speaker really looks"
    return np.asarray((1 - part) * held.angle_deg)


def test_now_and_then_a_glance_goes_towards_the_real_gaze() -> None:
    away = glances(rate=30, away=4.0)
    assert away.min() > -0.01
    assert 3.0 < away.max() <= 4.01
    begins = np.flatnonzero(np.diff((away > 1).astype(int)) == 1)
    assert 4 <= len(begins) <= 20, "in a minute"
    assert (away > 1).mean() < 0.3


def test_without_look_away_there_are_none() -> None:
    assert glances(rate=30, away=0.0).max() == pytest.approx(0, abs=1e-9)


def test_a_glance_ends_where_the_speaker_really_looks() -> None:
    assert 4 < glances(rate=30, away=10.0, yaw=7.0).max() < 9.9


@pytest.mark.parametrize("rate", [25, 60])
def test_glances_come_at_the_same_times_at_any_frame_rate(rate: int) -> None:
    usual, other = glances(rate=30, away=4.0), glances(rate=rate, away=4.0)
    same = np.interp(np.arange(len(usual)) / 30, np.arange(len(other)) / rate, other)
    steep = np.abs(np.gradient(usual)) > 0.01
    near = np.convolve(steep, np.ones(5), mode="same") > 0
    assert np.abs(same - usual)[~near].max() < 0.05
    assert near.mean() < 0.15


def test_eyes_that_are_left_alone_do_not_glance() -> None:
    sights: Sequence[Sight] = [LENS] * 900
    assert np.abs(turn(track_of(sights), look_away_deg=10.0).shift).max() < 1e-3
