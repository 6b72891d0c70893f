"""How a head is turned: the canonical face itself, turned by known angles."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vidprod.vision import pose
from vidprod.vision.pose import pose_of

Angles = tuple[float, float, float]


def turned(yaw: float, pitch: float, roll: float) -> NDArray[np.float32]:
    """Landmarks, in pixels, of the canonical face: to the right of the picture, up, clockwise."""
    a, b, c = np.radians([yaw, -pitch, -roll])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    points = np.zeros((478, 3), np.float32)
    points[pose._POINTS] = pose._MODEL[:, :3] @ (about_y @ about_x @ about_z).T * 17.0 + np.array([600, -400, 3])
    return points * np.array([1, -1, -1], np.float32)  # down, and away from the lens


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, 0, 0), (0, 20, 0), (0, 0, 25), (-25, -15, 10), (60, 30, -170)])
def test_a_turned_head_has_its_angles(angles: Angles) -> None:
    assert pose_of(turned(*angles)) == pytest.approx(angles, abs=0.01)


def test_to_the_right_is_to_the_right_of_the_picture() -> None:
    straight, right = turned(0, 0, 0), turned(30, 0, 0)
    assert right[4, 0] > straight[4, 0] + 20  # the tip of the nose
    assert turned(0, 20, 0)[4, 1] < straight[4, 1] - 20
    assert turned(0, 0, 20)[10, 0] > straight[10, 0] + 20  # the top of the forehead


def test_a_mirrored_head_has_mirrored_angles() -> None:
    points = turned(20, 10, 5)
    mirrored = points.copy()
    mirrored[:, 0] = 2000 - points[:, 0]
    for right, left in pose._SIDES:
        mirrored[[right, left]] = mirrored[[left, right]]
    assert pose_of(mirrored) == pytest.approx((-20, 10, -5), abs=0.01)
