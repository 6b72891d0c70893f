"""The pixels around an eye, in the planes a decoder gave: read as colours, written back where they changed.

A take's pixels may lie on their side, be mirrored or be wider than high. All that is asked here is asked in pixels of
the display; nothing is turned, and what is not written keeps every bit.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

cv2.setNumThreads(1)  # a patch is small, and the cores have other work

# What of an eye is looked at, eye widths from its middle: to its corners and a little more, up to the brow.
BESIDE, ABOVE, BELOW = 0.53, 0.60, 0.30

# The grid that samples of eyes of any size are laid on.
_STEP = 1 / 88  # eye widths
GRID_ALONG = np.arange(-BESIDE, BESIDE, _STEP, dtype=np.float32)
GRID_DOWN = np.arange(-ABOVE, BELOW, _STEP, dtype=np.float32)


class Upright:
    """How the coded pixels of a take lie on the display."""

    def __init__(
        self, *, coded: tuple[int, int], shown: tuple[int, int], rotation: int = 0, mirrored: bool = False
    ) -> None:
        """
        Args:
            coded: width and height of the coded picture; shown: of the display.
            rotation: degrees clockwise to turn the coded picture upright; mirrored: left and right are swapped then.
        """
        width, height = coded
        turned: dict[int, list[list[float]]] = {  # to shares of the display's width and height
            0: [[1 / width, 0, 0], [0, 1 / height, 0]],
            90: [[0, -1 / height, 1], [1 / width, 0, 0]],
            180: [[-1 / width, 0, 1], [0, -1 / height, 1]],
            270: [[0, 1 / height, 0], [-1 / width, 0, 1]],
        }
        matrix = np.array(turned[rotation])
        if mirrored:
            matrix[0] = np.array([0, 0, 1]) - matrix[0]
        matrix = matrix * np.array(shown)[:, None]
        self.linear = matrix[:, :2]
        self.offset = matrix[:, 2]
        self.inverse = np.linalg.inv(self.linear)
        self.scale = float(np.sqrt(abs(np.linalg.det(self.inverse))))  # coded pixels for one of the display

    def to_coded(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """(…, 2) pixels of the display as coded ones."""
        return np.asarray((points - self.offset) @ self.inverse.T)


class Box(NamedTuple):
    """Coded pixels, half-open; where chroma is coarser, whole chroma pixels."""

    left: int
    top: int
    right: int
    bottom: int


class Grid:
    """Where each coded pixel of a box lies in the coordinates of an eye."""

    def __init__(self, box: Box, middle: NDArray[Any], along: NDArray[Any], width: float, upright: Upright) -> None:
        axes = np.stack([along, [-along[1], along[0]]]).astype(np.float64)  # along and down, on the display
        local = axes @ upright.linear / width
        first = axes @ (upright.linear @ (box.left + 0.5, box.top + 0.5) + upright.offset - middle) / width
        columns = np.arange(box.right - box.left, dtype=np.float32)
        rows = np.arange(box.bottom - box.top, dtype=np.float32)[:, None]
        self.along: Array = (first[0] + local[0, 0] * columns + local[0, 1] * rows).astype(np.float32)
        self.down: Array = (first[1] + local[1, 0] * columns + local[1, 1] * rows).astype(np.float32)
        self.width_px = width * upright.scale  # of the eye, coded
        self._to_pixels = (upright.inverse @ axes.T * width).astype(np.float32)
        self._columns, self._rows = columns, rows

    def moved(self, along: Array, down: Array) -> tuple[Array, Array]:
        """For `cv2.remap`: each pixel comes from so far along and down, eye widths."""
        to = self._to_pixels
        return self._columns + to[0, 0] * along + to[0, 1] * down, self._rows + to[1, 0] * along + to[1, 1] * down


class Pixels:
    """The planes of one picture."""

    def __init__(self, planes: Sequence[NDArray[Any]], *, depth: int, upright: Upright) -> None:
        """
        Args:
            planes: luma, and two of chroma or none, to be written to; `depth`: their bits.
        """
        self.upright = upright
        self._luma, self._chroma = planes[0], list(planes[1:])
        self._scale = float(1 << (depth - 8))
        self._most = (1 << depth) - 1
        height, width = self._luma.shape
        self._coarser = (1, 1)
        if self._chroma:
            rows, columns = self._chroma[0].shape
            self._coarser = (round(width / columns), round(height / rows))

    def grid(self, middle: NDArray[Any], along: NDArray[Any], width: float) -> tuple[Box, Grid] | None:
        """The box around an eye and where its pixels are; None where it is not all in the picture."""
        box = self._box(middle, along, width)
        height, wide = self._luma.shape
        if box.left < 0 or box.top < 0 or box.right > wide or box.bottom > height:
            return None
        return box, Grid(box, middle, along, width, self.upright)

    def _box(self, middle: NDArray[Any], along: NDArray[Any], width: float) -> Box:
        down = np.array([-along[1], along[0]])
        corners = [middle + width * (x * along + y * down) for x in (-BESIDE, BESIDE) for y in (-ABOVE, BELOW)]
        coded = self.upright.to_coded(np.stack(corners))
        step = np.array(self._coarser)
        low = np.floor(coded.min(axis=0) / step).astype(int) * step
        high = np.ceil(coded.max(axis=0) / step).astype(int) * step
        return Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))

    def read(self, box: Box) -> Array:
        """(height, width, 3) Y, U, V as of 8 bits, with fractions where there are more."""
        part = self._luma[box.top : box.bottom, box.left : box.right]
        colours = np.full((*part.shape, 3), 128.0, np.float32)
        colours[..., 0] = part
        for channel, plane in enumerate(self._chroma, 1):
            coarse = np.ascontiguousarray(plane[self._of_chroma(box)]).astype(np.float32)
            colours[..., channel] = cv2.resize(coarse, part.shape[::-1], interpolation=cv2.INTER_LINEAR)
        if self._scale != 1:
            colours[..., : 1 + len(self._chroma)] /= self._scale
        return colours

    def write(self, box: Box, before: Array, after: Array) -> None:
        """What changed since `before` was read."""
        part = self._luma[box.top : box.bottom, box.left : box.right]
        self._put(part, after[..., 0] * self._scale)
        change = (after - before) * self._scale
        for channel, plane in enumerate(self._chroma, 1):
            coarse = plane[self._of_chroma(box)]
            size = coarse.shape[::-1]
            self._put(coarse, coarse + cv2.resize(change[..., channel], size, interpolation=cv2.INTER_AREA))

    def _put(self, plane: NDArray[Any], values: NDArray[Any]) -> None:
        plane[:] = np.clip(np.rint(values), 0, self._most).astype(plane.dtype)

    def _of_chroma(self, box: Box) -> tuple[slice, slice]:
        wide, high = self._coarser
        return slice(box.top // high, box.bottom // high), slice(box.left // wide, box.right // wide)

    def luma_at(self, points: NDArray[Any]) -> Array:
        """Brightness as of 8 bits of the pixels nearest to points of the display, (…, 2); at the edge for those
        beyond it."""
        coded = np.floor(self.upright.to_coded(points)).astype(np.int64)
        height, width = self._luma.shape
        rows, columns = np.clip(coded[..., 1], 0, height - 1), np.clip(coded[..., 0], 0, width - 1)
        return np.asarray(self._luma[rows, columns] / self._scale, np.float32)

    def sample(self, middle: NDArray[Any], along: NDArray[Any], width: float) -> Array | None:
        """The eye on the standard grid, (len(GRID_DOWN), len(GRID_ALONG), 3); None where it is not all in the
        picture."""
        found = self.grid(middle, along, width)
        if found is None:
            return None
        box, _ = found
        down = np.array([-along[1], along[0]])
        places = middle + width * (GRID_ALONG[None, :, None] * along + GRID_DOWN[:, None, None] * down)
        coded = (self.upright.to_coded(places) - (box.left + 0.5, box.top + 0.5)).astype(np.float32)
        x, y = np.ascontiguousarray(coded[..., 0]), np.ascontiguousarray(coded[..., 1])
        return np.asarray(cv2.remap(self.read(box), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def on_grid(along: NDArray[Any], down: NDArray[Any]) -> tuple[Array, Array]:
    """Columns and rows of the standard grid where an eye's coordinates lie."""
    return ((along + BESIDE) / _STEP).astype(np.float32), ((down + ABOVE) / _STEP).astype(np.float32)
