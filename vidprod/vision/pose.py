"""How a head is turned, from the landmarks of its face."""

import math

import numpy as np
from numpy.typing import NDArray

from vidprod.vision.landmarks import Landmarks

# The face that MediaPipe calls canonical, in centimetres: x to the right of the picture, y up, z to the lens, and the
# weights with which it lays it over landmarks: points that hardly move with the face's expression count most. Those of
# the jaw are left out. Source: MediaPipe, face_geometry/data/geometry_pipeline_metadata_landmarks.pbtxt (Apache-2.0).
_MIDDLE = {
    4: (0.000000, -0.463170, 7.586580, 0.070909939706326),
    6: (0.000000, 2.473255, 5.788627, 0.032100144773722),
    10: (0.000000, 8.261778, 4.481535, 0.008446550928056),
}
_SIDES = {  # of the subject's right half, and the point opposite
    (33, 263): (-4.445859, 2.663991, 3.173422, 0.058724168688059),
    (54, 284): (-6.279331, 6.615427, 1.425850, 0.007667080033571),
    (67, 297): (-3.523964, 8.005976, 3.729163, 0.009078059345484),
    (117, 346): (-5.258659, 0.945811, 2.974312, 0.009791937656701),
    (119, 348): (-3.300681, 0.861641, 3.872784, 0.014565368182957),
    (121, 350): (-1.820731, 1.467954, 4.224124, 0.018591361120343),
    (127, 356): (-7.743095, 2.364999, -2.005167, 0.005197994410992),
    (129, 358): (-1.785794, -0.978284, 4.850470, 0.120625205338001),
    (132, 361): (-7.270895, -2.890917, -2.252455, 0.005560018587857),
    (133, 362): (-1.856432, 2.585245, 3.757904, 0.05328618362546),
    (143, 372): (-6.407571, 2.236021, 1.560843, 0.014816547743976),
    (147, 376): (-6.234883, -1.944430, 1.663542, 0.014262833632529),
    (198, 420): (-1.246815, 0.230297, 5.681036, 0.025462191551924),
    (205, 425): (-3.832928, -1.537326, 4.137731, 0.047252278774977),
}
_POINTS = np.array([*_MIDDLE, *(right for right, _ in _SIDES), *(left for _, left in _SIDES)])
_MODEL = np.array(
    [*_MIDDLE.values(), *_SIDES.values(), *((-x, y, z, weight) for x, y, z, weight in _SIDES.values())], np.float64
)
_WEIGHTS = _MODEL[:, 3] / _MODEL[:, 3].sum()
_SHAPE = (_MODEL[:, :3] - _WEIGHTS @ _MODEL[:, :3]) * _WEIGHTS[:, None]


def pose_of(landmarks: Landmarks) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees, as seen from the lens: to the right of the picture, up, clockwise.

    The rotation that lays the canonical face over the landmarks best (Kabsch). Another network
    (head-pose-estimation-adas-0001) sees yaw rise 0.8 to 1.2 times as fast in four clips in which heads turn, and on
    the average of six clips a pitch that is 3° higher.
    """
    points = landmarks[_POINTS] * np.array([1.0, -1.0, -1.0])
    u, _, vt = np.linalg.svd(_SHAPE.T @ points)
    turned = vt.T @ np.diag([1.0, 1.0, _sign(vt.T @ u.T)]) @ u.T
    yaw = math.atan2(turned[0, 2], turned[2, 2])
    pitch = math.asin(max(-1.0, min(1.0, turned[1, 2])))
    roll = -math.atan2(turned[1, 0], turned[1, 1])
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)


def _sign(matrix: NDArray[np.float64]) -> float:
    return -1.0 if np.linalg.det(matrix) < 0 else 1.0
