"""Eyes in coordinates of their own: the middle between the corners, along to the right of the picture, down from it.

The unit is the eye's width, from corner to corner, so that nothing depends on how large a face is. Lids are curves
over `along`; the corners lie at −0.5 and 0.5.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# The points of an eye, in the order of the track.
OUTER, INNER = 0, 1
UPPER, LOWER = slice(2, 9), slice(9, 16)
IRIS, LIMBUS = 16, slice(17, 21)

_REACH = 0.64  # eye widths to either side that a curve is known
_STEPS = 1024
_ROUNDING = 61  # steps: the mesh's lids are polygons


@dataclass
class Eyes:
    """Both eyes of one face in m pictures; eye 0 is on the left of the picture."""

    points: Array  # (m, 2, 21, 2) along and down, eye widths
    middle: Array  # (m, 2, 2) between the corners, pixels of the display
    along: Array  # (m, 2, 2) unit vector, from the left corner to the right one
    width: Array  # (m, 2) from corner to corner, pixels of the display

    @property
    def openness(self) -> Array:
        """(m, 2) how far the lids are apart, eye widths; about 0, and a little below, where they are shut."""
        upper, lower = self.points[:, :, UPPER, 1], self.points[:, :, LOWER, 1]
        return np.asarray((lower - upper)[:, :, 1:6].mean(axis=2))

    @property
    def radius(self) -> Array:
        """(m, 2) of the iris, eye widths."""
        across = self.points[:, :, LIMBUS] - self.points[:, :, IRIS : IRIS + 1]
        return np.asarray(np.linalg.norm(across, axis=-1).mean(axis=2))


def eyes_of(points: NDArray[Any]) -> Eyes:
    """Eyes from their points in pixels, (m, 2, 21, 2) in the order of the track."""
    left = np.stack([points[:, 0, OUTER], points[:, 1, INNER]], axis=1)
    right = np.stack([points[:, 0, INNER], points[:, 1, OUTER]], axis=1)
    across = right - left
    width = np.maximum(np.linalg.norm(across, axis=-1), 1e-3)
    along, middle = across / width[..., None], (left + right) / 2
    down = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    offset = points - middle[:, :, None]
    local = np.stack([(offset * along[:, :, None]).sum(-1), (offset * down[:, :, None]).sum(-1)], axis=-1)
    return Eyes(
        points=(local / width[:, :, None, None]).astype(np.float32),
        middle=middle.astype(np.float32),
        along=along.astype(np.float32),
        width=width.astype(np.float32),
    )


class Curve:
    """A lid: how far down it lies, over along. Rounded, and fast to ask for many places."""

    def __init__(self, points: NDArray[Any]) -> None:
        """`points`: (7, 2) of the lid, along and down; the corners are at (±0.5, 0)."""
        order = np.argsort(points[:, 0])
        knots = np.concatenate([[-0.5], points[order, 0], [0.5]])
        values = np.concatenate([[0.0], points[order, 1], [0.0]])
        table = np.interp(np.linspace(-_REACH, _REACH, _STEPS + 1), np.maximum.accumulate(knots), values)
        window = np.hanning(_ROUNDING)
        padded = np.pad(table, _ROUNDING // 2, mode="edge")
        self._table = np.convolve(padded, window / window.sum(), mode="valid").astype(np.float32)

    def __call__(self, along: Array) -> Array:
        at = np.clip(np.rint((along + _REACH) * (_STEPS / (2 * _REACH))), 0, _STEPS).astype(np.int32)
        return np.asarray(self._table[at])
