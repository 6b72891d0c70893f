"""Coordinates of eyes: the same whatever the size, the place and the tilt of a face."""

from dataclasses import replace

import numpy as np
import pytest

from tests.vision.synthetic_eye import EXACT, MeshErrors, Sight, lids, mirrored, points
from vidprod.vision.eyes import INNER, IRIS, LOWER, OUTER, UPPER, Curve, eyes_of

ASIDE = Sight(yaw=8, pitch=-6)


@pytest.mark.parametrize(
    "other", [replace(ASIDE, width=31.0), replace(ASIDE, x=900.5, y=-20), replace(ASIDE, roll=35), Sight(8, -6)]
)
def test_size_place_and_tilt_of_the_face_change_nothing(other: Sight) -> None:
    found, wanted = (eyes_of(points(each)[None]).points for each in (other, ASIDE))
    assert np.abs(found - wanted).max() < 1e-3


def test_corners_are_half_a_width_from_the_middle_and_the_iris_is_where_it_is() -> None:
    eyes = eyes_of(points(ASIDE)[None])
    assert eyes.points[0, 0, [OUTER, INNER]] == pytest.approx(np.array([[-0.5, 0], [0.5, 0]]), abs=1e-4)
    assert eyes.points[0, 1, [OUTER, INNER]] == pytest.approx(np.array([[0.5, 0], [-0.5, 0]]), abs=1e-4)
    for eye in (0, 1):
        assert eyes.points[0, eye, IRIS] == pytest.approx(ASIDE.iris_of(eye), abs=1e-4)
    assert eyes.width[0] == pytest.approx([ASIDE.width] * 2)
    assert eyes.radius[0] == pytest.approx([ASIDE.iris_radius] * 2, rel=1e-3)


def test_a_lid_that_falls_opens_the_eye_less_until_it_is_shut() -> None:
    seen = np.stack([points(replace(ASIDE, open_=share)) for share in (1.0, 0.6, 0.3, 0.0)])
    opening = eyes_of(seen).openness
    assert (np.diff(opening, axis=0) < 0).all()
    assert opening[0].min() > 0.15
    assert opening[-1] == pytest.approx([0, 0], abs=1e-3)


def test_in_a_flipped_picture_left_and_right_are_swapped() -> None:
    eyes, flipped = eyes_of(points(ASIDE)[None]), eyes_of(mirrored(points(ASIDE), 320)[None])
    swapped = eyes.points[:, ::-1] * np.array([-1, 1], np.float32)
    assert np.abs(flipped.points - swapped).max() < 1e-4


def test_eyes_whose_corners_fall_together_are_no_division_by_zero() -> None:
    eyes = eyes_of(np.full((1, 2, 21, 2), 7.0, np.float32))
    assert np.isfinite(eyes.points).all()


@pytest.mark.parametrize("eye", [0, 1])
@pytest.mark.parametrize("errors", [EXACT, MeshErrors(noise=0.003)])
def test_a_lid_is_a_curve_through_its_points_and_both_corners(eye: int, errors: MeshErrors) -> None:
    found = eyes_of(points(ASIDE, errors)[None]).points[0, eye]
    along = np.linspace(-0.5, 0.5, 101).astype(np.float32)
    for curve, wanted in zip((Curve(found[UPPER]), Curve(found[LOWER])), lids(along, eye, ASIDE), strict=True):
        assert np.abs(curve(along) - wanted).max() < 0.015
        assert np.abs(np.diff(curve(along), n=2)).max() < 0.006, "it has corners"


def test_beyond_the_corners_a_lid_goes_on_level() -> None:
    curve = Curve(eyes_of(points(ASIDE)[None]).points[0, 0, UPPER])
    assert curve(np.array([-3.0, -0.64, 0.64, 3.0], np.float32)) == pytest.approx(np.zeros(4), abs=1e-3)
