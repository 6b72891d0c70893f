"""Edited eyes against drawn ones that look where they were asked to look: the truth is known, pixel by pixel."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.vision.edited_eye import LYING, SIZE, Lying, around, both, edit, edited, looks_of, pixels_of, to_lens
from tests.vision.synthetic_eye import (
    BLUE,
    EXACT,
    IRIS_RADIUS,
    USUAL,
    Sight,
    Yuv,
    iris_seen,
    lids,
    mirrored,
    opening,
    picture,
    places,
    planes,
    points,
)
from vidprod.vision.looks import Look
from vidprod.vision.patch import BELOW, Pixels
from vidprod.vision.redirect import Move

LENS = Sight()
SIGHTS = {
    f"{yaw} aside, {pitch} up": Sight(yaw=yaw, pitch=pitch)
    for yaw, pitch in ((12, 0), (-12, 0), (0, -12), (0, 10), (12, -12), (-12, -12), (12, 10), (-12, 10))
}
KINDS = {
    "large": Sight(),
    "small": Sight(width=44.0),
    "blue": Sight(iris=BLUE),
    "tilted": Sight(width=66.0, roll=14),
    "head turned": Sight(head_yaw=15),
}
each_gaze = pytest.mark.parametrize("gaze", SIGHTS.values(), ids=SIGHTS)
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
Luma = NDArray[np.float64]


def looks(kind: Sight = LENS) -> list[Look]:
    return both(looks_of(around(kind.at_lens())))


def of(kind: Sight, gaze: Sight) -> Sight:
    return replace(kind, yaw=gaze.yaw, pitch=gaze.pitch)


def luma(sight: Sight) -> Luma:
    return planes(picture(sight, SIZE))[0].astype(np.float64)


def near(found: Luma, sight: Sight) -> float:
    """How far what is between the lids is from eyes that look into the lens, against how far it was."""
    goal, before = luma(sight.at_lens()), luma(sight)
    seen = np.zeros(goal.shape, bool)
    for eye in (0, 1):
        seen |= opening(sight, eye, SIZE) | opening(sight.at_lens(), eye, SIZE)
    return float(np.abs(found - goal)[seen].mean() / np.abs(before - goal)[seen].mean())


def naive(sight: Sight) -> Luma:
    """The edit as it comes to mind first: the iris is shifted within the opening and drags along what is around it."""
    before = luma(sight)
    after = before.copy()
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]].astype(np.float64)
    for eye in (0, 1):
        goal = sight.at_lens().iris_of(eye)
        way = (goal - sight.iris_of(eye)) * sight.width
        along, down = places(sight, eye, SIZE)
        weight = np.clip(2 - np.hypot(along - goal[0], down - goal[1]) / IRIS_RADIUS, 0, 1)
        shifted = _at(before, columns - way[0] * weight, rows - way[1] * weight)
        after = np.where(opening(sight, eye, SIZE), shifted, after)
    return after


def _at(values: Luma, x: Luma, y: Luma) -> Luma:
    x, y = np.clip(x, 0, SIZE[0] - 1.001), np.clip(y, 0, SIZE[1] - 1.001)
    column, row = x.astype(int), y.astype(int)
    fx, fy = x - column, y - row
    above = values[row, column] * (1 - fx) + values[row, column + 1] * fx
    below = values[row + 1, column] * (1 - fx) + values[row + 1, column + 1] * fx
    return np.asarray(above * (1 - fy) + below * fy)


# Where it goes


@each_kind
@each_gaze
def test_edited_eyes_are_near_to_eyes_that_look_into_the_lens(kind: Sight, gaze: Sight) -> None:
    sight = of(kind, gaze)
    assert near(edited(sight, looks(kind))[0].astype(float), sight) < 0.5


def test_a_naive_shift_of_the_iris_is_not_near() -> None:
    away = {name: near(naive(sight), sight) for name, sight in SIGHTS.items() if sight.pitch < 0}
    assert len(away) == 3
    assert min(away.values()) > 0.6


@each_kind
@each_gaze
def test_the_iris_comes_to_lie_where_it_is_asked_to_and_stays_as_large(kind: Sight, gaze: Sight) -> None:
    sight = of(kind, gaze)
    found, wanted = edited(sight, looks(kind))[0], luma(sight.at_lens())
    for eye in (0, 1):
        centre, area = iris_seen(found, sight.at_lens(), eye)
        true_centre, true_area = iris_seen(wanted, sight.at_lens(), eye)
        assert centre == pytest.approx(true_centre, abs=0.03)
        assert area / true_area == pytest.approx(1.0, abs=0.15)


@each_kind
@each_gaze
def test_whites_become_no_whiter(kind: Sight, gaze: Sight) -> None:
    sight = of(kind, gaze)
    before, after = luma(sight), edited(sight, looks(kind))[0]
    for eye in (0, 1):
        was = np.percentile(before[opening(sight, eye, SIZE)], 92)
        shows = np.percentile(after[opening(sight.at_lens(), eye, SIZE)], 92)
        assert shows <= 1.08 * was


def test_a_white_that_was_learned_too_bright_is_painted_no_brighter_than_what_is_there() -> None:
    sight = Sight(yaw=16)
    brighter = np.zeros((6, 3), np.float32)
    brighter[0, 0] = 60
    after = edited(sight, [replace(look, white=look.white + brighter) for look in looks()])[0]
    for eye in (0, 1):
        was = np.percentile(luma(sight)[opening(sight, eye, SIZE)], 92)
        assert np.percentile(after[uncovered(sight, eye)], 90) <= 1.02 * was


def uncovered(sight: Sight, eye: int) -> NDArray[np.bool_]:
    """Where the iris was, and is not in eyes that look into the lens."""
    lens = sight.at_lens()
    gone = (from_iris(sight, eye) < 0.95) & (from_iris(lens, eye) > 1.2)
    return np.asarray(gone & opening(lens, eye, SIZE, within=0.03))


def from_iris(sight: Sight, eye: int) -> Luma:
    """How far each pixel is from the middle of the iris, in radii of it."""
    along, down = places(sight, eye, SIZE)
    middle = sight.iris_of(eye)
    return np.asarray(np.hypot(along - middle[0], down - middle[1]) / IRIS_RADIUS)


@pytest.mark.parametrize("yaw", [16, -16])
def test_where_the_iris_was_there_is_white(yaw: float) -> None:
    sight = Sight(yaw=yaw)
    lens, found, before = luma(sight.at_lens()), edited(sight, looks())[0].astype(float), luma(sight)
    for eye in (0, 1):
        gone = uncovered(sight, eye)
        assert gone.sum() > 20
        assert np.abs(before - lens)[gone].mean() > 60
        assert np.abs(found - lens)[gone].mean() < 9


@pytest.mark.parametrize("yaw", [0, 12])
def test_where_lids_hid_the_iris_there_is_iris(yaw: float) -> None:
    sight = Sight(yaw=yaw, pitch=-16)
    lens, found = luma(sight.at_lens()), edited(sight, looks())[0].astype(float)
    for eye in (0, 1):
        along, down = places(sight, eye, SIZE)
        came_from = down - (sight.at_lens().iris_of(eye) - sight.iris_of(eye))[1]
        upper, lower = lids(along, eye, sight)
        hidden = (from_iris(sight.at_lens(), eye) < 0.9) & ((came_from > lower) | (came_from < upper))
        hidden &= opening(sight.at_lens(), eye, SIZE, within=0.015)
        assert hidden.sum() > 20
        assert np.abs(found - lens)[hidden].mean() < 12


@pytest.mark.parametrize("light", [0.55, 0.8, 1.15])
def test_in_another_light_what_is_painted_is_as_bright_as_what_is_there(light: float) -> None:
    sight = Sight(yaw=12, pitch=-8, light=light)
    after = edited(sight, looks())[0].astype(float)
    assert near(after, sight) < 0.55
    for eye in (0, 1):
        was = np.percentile(luma(sight)[opening(sight, eye, SIZE)], 92)
        assert np.percentile(after[opening(sight.at_lens(), eye, SIZE)], 92) <= 1.08 * was


def test_colours_are_those_of_the_eye_that_looks_into_the_lens() -> None:
    sight = Sight(yaw=12, pitch=-10, iris=BLUE)
    before, after, wanted = planes(picture(sight)), edited(sight, looks(sight)), planes(picture(sight.at_lens()))
    seen = (opening(sight.at_lens(), 0) | opening(sight.at_lens(), 1))[::2, ::2]
    for plane in (1, 2):
        was, is_ = (np.abs(each[plane].astype(float) - wanted[plane])[seen].mean() for each in (before, after))
        assert is_ < 0.6 * was


# What stays


@each_kind
@each_gaze
def test_beside_the_eyes_every_bit_stays(kind: Sight, gaze: Sight) -> None:
    sight = of(kind, gaze)
    before, after = planes(picture(sight)), edited(sight, looks(kind), errors=EXACT)
    outside = np.ones(SIZE[::-1], bool)
    for eye in (0, 1):
        along, down = places(sight, eye)
        outside &= (np.abs(along) > 0.505) | (np.abs(down) > 0.66)
    assert np.array_equal(before[0][outside], after[0][outside])
    coarse = outside.reshape(SIZE[1] // 2, 2, SIZE[0] // 2, 2).all(axis=(1, 3))
    for plane in (1, 2):
        assert np.array_equal(before[plane][coarse], after[plane][coarse])
    assert not np.array_equal(before[0], after[0])


@pytest.mark.parametrize("yaw", [12, -12])
def test_where_no_lid_moves_no_skin_does(yaw: float) -> None:
    sight = Sight(yaw=yaw)
    changed = edited(sight, looks(), errors=EXACT)[0] != planes(picture(sight))[0]
    around_lids = np.zeros(changed.shape, bool)
    for eye in (0, 1):
        along, down = places(sight, eye)
        upper, lower = lids(along, eye, sight)
        around_lids |= (down > upper - 0.04) & (down < lower + 0.04) & (np.abs(along) < 0.505)
    assert not (changed & ~around_lids).any()


@pytest.mark.parametrize("pitch", [-14, 11])
def test_skin_comes_to_rest_before_the_edge_of_what_is_edited(pitch: float) -> None:
    """No seam is seen above the lid or below it."""
    sight = Sight(pitch=pitch)
    changed = np.abs(edited(sight, looks())[0].astype(float) - luma(sight))
    for eye in (0, 1):
        along, down = places(sight, eye)
        rows = [np.abs(changed[(np.abs(along) < 0.4) & (np.abs(down - at) < 0.02)]).max() for at in (-0.58, BELOW)]
        assert max(rows) <= 3


@pytest.mark.parametrize("share", [0.0, 1e-6])
@each_gaze
def test_a_way_of_nothing_changes_no_bit(gaze: Sight, share: float) -> None:
    before = planes(picture(gaze))
    after = edited(gaze, looks(), to_lens(gaze, share=share))
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@each_gaze
def test_the_way_is_gone_step_by_step(gaze: Sight) -> None:
    """More strength changes more, and nothing pops up."""
    before = luma(gaze)
    steps = [edited(gaze, looks(), to_lens(gaze, share=share))[0] for share in (0.01, 0.05, 0.2, 0.4, 0.6, 0.8, 1.0)]
    changes = [float(np.abs(step - before).mean()) for step in steps]
    assert (np.diff(changes) > 0).all()
    assert changes[0] < 0.04 * changes[-1]
    nearness = [near(step.astype(float), gaze) for step in steps]
    assert (np.diff(nearness) < 0.02).all()


def test_between_two_pictures_little_changes() -> None:
    """As a correction fades, its pixels do not jump."""
    sight = Sight(yaw=10, pitch=-8)
    whole = np.abs(edited(sight, looks())[0].astype(float) - luma(sight)).mean()
    for share in (0.02, 0.3, 0.6, 0.9):
        a, b = (edited(sight, looks(), to_lens(sight, share=each))[0].astype(float) for each in (share, share + 0.02))
        assert np.abs(a - b).mean() < 0.06 * whole


@pytest.mark.parametrize("open_", [0.0, 0.1])
@pytest.mark.parametrize("gaze", [Sight(yaw=12, pitch=-10), Sight(yaw=-12, pitch=8)], ids=["down", "up"])
def test_shut_eyes_are_not_opened(open_: float, gaze: Sight) -> None:
    """Even if their iris is to be shifted: lids that are shut hide it."""
    sight = replace(gaze, open_=open_)
    move = to_lens(sight)

    def iris_only(eye: int) -> Move:
        return move(eye)._replace(lift=0.0)

    change = np.abs(edited(sight, looks(), iris_only)[0].astype(float) - luma(sight))
    whole = np.abs(edited(gaze, looks())[0].astype(float) - luma(gaze))
    assert change.mean() < 0.12 * whole.mean()
    assert (change > 40).sum() < 0.15 * (whole > 40).sum()


# However it is seen


@each_gaze
def test_the_flipped_picture_gives_the_flipped_edit(gaze: Sight) -> None:
    plain = edited(gaze, looks(), errors=EXACT)
    flipped = [np.ascontiguousarray(plane[:, ::-1]) for plane in planes(picture(gaze))]
    other = [_flipped(look) for look in looks()[::-1]]
    straight = to_lens(gaze)

    def move(eye: int) -> Move:
        same = straight(1 - eye)
        return same._replace(centre=same.centre * (-1, 1), shift=same.shift * (-1, 1))

    edit(pixels_of(flipped), mirrored(points(gaze), SIZE[0]), other, move)
    for a, b in zip(plain, flipped, strict=True):
        off = np.abs(a.astype(float) - b[:, ::-1])
        changed = a != planes(picture(gaze))[0] if a.shape[0] == SIZE[1] else np.ones(a.shape, bool)
        assert off[changed].mean() < 2
        assert np.percentile(off[changed], 99) < 12  # grain that is painted lies elsewhere


def _flipped(look: Look) -> Look:
    """Of `white_terms`, the second is the only one that tells left from right."""
    white = look.white.copy()
    white[1] *= -1
    return replace(look, place=look.place * np.array([-1, 1], np.float32), white=white)


@pytest.mark.parametrize("lying", LYING.values(), ids=LYING)
@pytest.mark.parametrize("gaze", [Sight(yaw=12, pitch=-10, roll=6), Sight(yaw=-10, pitch=8)], ids=["down", "up"])
def test_a_picture_that_lies_otherwise_gives_the_same_edit(lying: Lying, gaze: Sight) -> None:
    shown = picture(gaze)
    wanted, found = shown.copy(), lying.code(shown)
    _edit_fully(wanted, gaze, Lying(), shown)
    _edit_fully(found, gaze, lying, shown)
    goal, unedited = lying.code(wanted), lying.code(shown)
    changed = np.abs(goal - unedited)[..., 0] > 3
    off = np.abs(found - goal)[..., 0][changed].mean()
    assert off < (0.06 if lying.wider == 1 else 0.4) * np.abs(goal - unedited)[..., 0][changed].mean()


def _edit_fully(yuv: Yuv, gaze: Sight, lying: Lying, shown: Yuv) -> None:
    """In 4:4:4 and 16 bits, so that rounding tells nothing."""
    drawn = [np.rint(yuv[..., n] * 256).astype(np.uint16) for n in range(3)]
    edit(Pixels(drawn, depth=16, upright=lying.upright(shown)), points(gaze), looks(), to_lens(gaze))
    for n in range(3):
        yuv[..., n] = drawn[n] / 256


def test_a_face_that_moves_takes_its_edit_along() -> None:
    sight = Sight(yaw=11, pitch=-7, x=156, y=78)
    moved = replace(sight, x=sight.x + 6, y=sight.y + 4)
    here, there = (edited(each, looks(), errors=EXACT)[0].astype(float) for each in (sight, moved))
    assert np.abs(here[10:-20, 10:-20] - there[14:-16, 16:-14]).max() <= 2


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("coarser", [(2, 2), (2, 1), (1, 1)])
def test_any_kind_of_planes_gives_the_same_eyes(coarser: tuple[int, int], depth: int) -> None:
    sight = Sight(yaw=12, pitch=-8)
    drawn = planes(picture(sight), coarser=coarser, depth=depth)
    edit(pixels_of(drawn, depth=depth), points(sight, USUAL), looks(), to_lens(sight))
    usual = edited(sight, looks())[0]
    off = np.abs(drawn[0] / (1 << depth - 8) - usual)
    assert off.max() < 14  # grain that is painted lies elsewhere
    assert off[usual != planes(picture(sight))[0]].mean() < 1


def test_grey_pictures_are_edited_too() -> None:
    sight = Sight(yaw=12, pitch=-8)
    grey = planes(picture(sight))[:1]
    edit(pixels_of(grey), points(sight, USUAL), looks(), to_lens(sight))
    assert near(grey[0].astype(float), sight) < 0.5


def test_a_look_of_which_no_white_was_seen_still_moves_the_iris() -> None:
    sight = Sight(yaw=12)
    poor: Sequence[Look] = [replace(look, white=np.zeros((6, 3), np.float32)) for look in looks()]
    after: Any = edited(sight, poor)[0]
    centre, _ = iris_seen(after, sight.at_lens(), 0)
    assert abs(centre[0] - sight.at_lens().iris_of(0)[0]) < 0.05
