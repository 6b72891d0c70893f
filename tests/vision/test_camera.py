"""A camera that holds while it can, moves softly when it must, and does not go to and fro."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from vidprod.vision.camera import SAMPLES, STEP_S, Followed, Leg, ease, operate

Values = NDArray[np.float64]
Motion = Callable[[Values], Values]

FREE = 2.16  # of a 16:9 picture's 9:16 crop, in widths of the crop
WIDTH = 0.4  # of a face

REVERSALS_A_S, TRAVEL_A_S, INSIDE = 0.13, 60 / 1080, 0.99  # what is asked for


@dataclass
class Shot:
    """What a camera did, at each sample."""

    legs: list[Leg]
    edge: Values
    seconds: float
    inside: float

    @property
    def moves(self) -> int:
        return sum(leg.start != leg.stop for leg in self.legs)

    @property
    def reversals_a_s(self) -> float:
        directions = np.sign([leg.stop - leg.start for leg in self.legs if leg.start != leg.stop])
        return float((np.diff(directions) != 0).sum()) / self.seconds

    @property
    def travel_a_s(self) -> float:
        return float(np.abs(np.diff(self.edge)).sum()) / self.seconds


def samples(seconds: float) -> Values:
    return (np.arange(round(seconds / STEP_S) * SAMPLES) + 0.5) * STEP_S / SAMPLES


def shoot(
    motion: Motion, seconds: float, *, noise: float = 0.0, jumps: list[int] | None = None, width: float = WIDTH
) -> Shot:
    """Follow a face whose middle is at `motion`, in widths of the crop; NaN: it is not there."""
    at = motion(samples(seconds)) + noise * np.random.default_rng(4).standard_normal(len(samples(seconds)))
    legs = operate(as_followed(at, width), free=FREE, jumps=jumps)
    return judged(legs, edges(legs), at, width, seconds)


def as_followed(at: Values, width: float) -> Followed:
    seen = ~np.isnan(at)
    rows = np.where(seen, at, 0).astype(np.float32).reshape(-1, SAMPLES)
    return Followed(low=rows - width / 2, high=rows + width / 2, at=rows, seen=seen.reshape(-1, SAMPLES))


def edges(legs: list[Leg]) -> Values:
    parts = []
    for leg in legs:
        count = (leg.end - leg.begin) * SAMPLES
        parts.append(leg.start + (leg.stop - leg.start) * ease((np.arange(count) + 0.5) / count))
    return np.concatenate(parts)


def judged(legs: list[Leg], edge: Values, at: Values, width: float, seconds: float) -> Shot:
    there = ~np.isnan(at)
    inside = (at - width / 2 >= edge - 0.01) & (at + width / 2 <= edge + 1.01)
    return Shot(legs, edge, seconds, float(inside[there].mean()) if there.any() else 1.0)


def still(t: Values) -> Values:
    return np.full(len(t), 1.4)


MOTIONS: dict[str, Motion] = {
    "sits still": still,
    "nods and sways": lambda t: 1.3 + 0.1 * np.sin(2 * np.pi * t / 2.3) + 0.05 * np.sin(2 * np.pi * t / 0.7),
    "sways far": lambda t: 1.3 + 0.22 * np.sin(2 * np.pi * t / 6),
    "drifts": lambda t: 1.0 + 0.03 * t,
    "changes the chair": lambda t: 1.0 + 0.6 * np.clip((t - 12) / 0.7, 0, 1),
    "walks across": lambda t: 0.7 + 1.2 * np.clip((t - 6) / 10, 0, 1) + 0.04 * np.sin(2 * np.pi * t),
    "walks and returns": lambda t: 1.0 + 0.45 * (np.clip((t - 5) / 3, 0, 1) - np.clip((t - 20) / 3, 0, 1)),
    "wanders": lambda t: 1.3 + 0.3 * np.sin(2 * np.pi * t / 31) + 0.1 * np.sin(2 * np.pi * t / 5),
}


@pytest.mark.parametrize("name", MOTIONS)
def test_a_moving_face_is_kept_inside_calmly(name: str) -> None:
    shot = shoot(MOTIONS[name], 30.0, noise=0.005)
    assert shot.inside >= INSIDE
    assert shot.reversals_a_s <= REVERSALS_A_S
    assert shot.travel_a_s <= TRAVEL_A_S


def test_a_camera_that_only_follows_is_found_restless() -> None:
    """The known bad: a low-pass filter on where the face is."""
    seconds = 30.0
    at = MOTIONS["nods and sways"](samples(seconds)) + 0.005 * np.random.default_rng(4).standard_normal(750)
    edge = np.convolve(np.pad(at, 12, mode="edge"), np.ones(25) / 25, "valid") - 0.5
    turned = np.abs(np.diff(np.sign(np.diff(edge)))) > 0
    assert turned.sum() / seconds > REVERSALS_A_S
    assert np.abs(np.diff(edge)).sum() / seconds > 0.3 * TRAVEL_A_S


@pytest.mark.parametrize("name", ["sits still", "nods and sways", "sways far"])
def test_what_stays_about_the_middle_moves_no_camera(name: str) -> None:
    shot = shoot(MOTIONS[name], 30.0, noise=0.005)
    assert len(shot.legs) == 1
    assert shot.legs[0].start + 0.5 == pytest.approx(np.mean(MOTIONS[name](samples(30.0))), abs=0.02)


@pytest.mark.parametrize("name", ["drifts", "changes the chair", "walks across"])
def test_one_change_is_one_move(name: str) -> None:
    assert shoot(MOTIONS[name], 30.0).moves == 1


def test_a_move_is_soft_and_no_whip_pan() -> None:
    shot = shoot(lambda t: 0.8 + 1.2 * (t > 10), 20.0)
    speed = np.abs(np.diff(shot.edge)) / (STEP_S / SAMPLES)
    assert shot.moves == 1
    assert speed.max() < 2 * 0.9  # an eased move is 1.875 times as fast at most as on average
    assert np.abs(np.diff(speed)).max() / (STEP_S / SAMPLES) < 8


def test_a_move_begins_before_what_it_follows_has_left() -> None:
    shot = shoot(lambda t: 1.0 + 0.8 * (t > 10), 20.0)
    move = next(leg for leg in shot.legs if leg.start != leg.stop)
    assert move.begin * STEP_S < 10 < move.end * STEP_S


def test_two_moves_have_a_hold_between_them() -> None:
    shot = shoot(lambda t: 1.0 + 0.7 * (t > 10) - 0.7 * (t > 12.5), 25.0)
    for before, after in pairwise(shot.legs):
        if before.start != before.stop:
            assert after.start == after.stop, "a move right after a move"
            assert after.end - after.begin >= 4


def test_a_face_that_is_away_moves_nothing_meanwhile() -> None:
    shot = shoot(lambda t: np.where((t > 8) & (t < 11), np.nan, 1.4), 20.0)
    assert len(shot.legs) == 1


def test_nothing_to_follow_is_the_middle() -> None:
    shot = shoot(lambda t: np.full(len(t), np.nan), 4.0)
    assert len(shot.legs) == 1
    assert shot.legs[0].start == shot.legs[0].stop == pytest.approx(FREE / 2)


@pytest.mark.parametrize("middle", [0.1, FREE + 0.9])
def test_the_crop_never_leaves_the_picture(middle: float) -> None:
    shot = shoot(lambda t: middle + 0.2 * np.sin(t), 12.0)
    assert shot.edge.min() >= 0
    assert shot.edge.max() <= FREE


def test_where_the_picture_jumps_so_may_the_crop() -> None:
    shot = shoot(lambda t: 0.8 + 1.0 * (t >= 10), 20.0, jumps=[50])
    assert shot.moves == 0
    assert [(leg.begin, leg.end) for leg in shot.legs] == [(0, 50), (50, 100)]
    assert shot.inside == 1.0


def test_a_cut_that_is_none_changes_nothing() -> None:
    assert len(shoot(still, 20.0, jumps=[20, 21, 60]).legs) == 1


def test_a_face_wider_than_the_crop_is_centred() -> None:
    shot = shoot(still, 5.0, width=1.3)
    assert shot.legs[0].start + 0.5 == pytest.approx(1.4, abs=0.02)


@pytest.mark.parametrize("name", MOTIONS)
def test_a_mirrored_face_has_the_mirrored_path(name: str) -> None:
    plain = shoot(MOTIONS[name], 20.0)
    mirrored = shoot(lambda t: FREE + 1 - MOTIONS[name](t), 20.0)
    assert plain.moves == mirrored.moves
    assert np.abs(FREE - plain.edge - mirrored.edge).max() < 0.02


def test_the_legs_follow_each_other_to_the_end() -> None:
    for name, motion in MOTIONS.items():
        legs = shoot(motion, 30.0).legs
        assert legs[0].begin == 0, name
        assert legs[-1].end == 150, name
        for before, after in pairwise(legs):
            assert (before.end, before.stop) == (after.begin, after.start), name
