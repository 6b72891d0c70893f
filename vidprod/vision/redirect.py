"""One eye in one picture, moved: iris, upper lid, and the white and the iris that come into sight.

One smooth field carries what is there: the iris moves rigidly, the upper lid and the skin above it follow as far as
lids do, and what is between lies between. Painted is only what was hidden: the part of the iris's disc that lids
covered, from the colours it has elsewhere, and the white where the iris was. Source of the idea that moved pixels
alone do not do: measured, a third of the change in gaze that people see is the white that comes into sight.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from vidprod.vision.eyes import LOWER, UPPER, Curve
from vidprod.vision.looks import Look, white_terms
from vidprod.vision.patch import ABOVE, Grid

Array = NDArray[np.float32]

# All in eye widths but where it says otherwise.
_SKIN = 0.17  # how far the skin above follows the lid: to 60 %
_SEAM = 0.15  # within which skin at the box's edge comes to rest
_RIGID, _FALL = 1.08, (0.10, 0.25)  # radii to which the iris is rigid; from there the field falls, the longer the way
_HIDDEN_ABOVE, _HIDDEN_BELOW = 0.05, 0.075  # so near to a lid an iris is in its shadow, or behind lashes
_SHADOW, _SHADOW_DEPTH = 0.16, 0.45  # of the upper lid on the iris: its reach (part of the opening), and darkness
_ALL_PAINT = 0.03  # a smaller way paints less: nothing pops up
_GRAIN = 2.0  # grey levels of noise, as cameras have, on what is painted
_EXPOSURE, _IRIS_EXPOSURE = 15.0, 25.0  # grey levels by which a picture may differ from the take
_ENOUGH, _INVISIBLE = 20, 0.004  # pixels to measure in; weight that changes none
_BRIGHTEST = 92  # percentile of the opening: painted white is no brighter
_SHARPEN, _SHARPEN_MOST = 0.28, 18.0  # what resampling took; grey levels

_raw = cv2.GaussianBlur(np.random.default_rng(7).normal(0, 1, (1024, 1024)).astype(np.float32), (0, 0), 0.7)
_grain = np.asarray(_raw / _raw.std(), np.float32)


class Move(NamedTuple):
    """What happens to an eye. Eye widths: along to the right of the picture, and down."""

    centre: NDArray[Any]  # (2,) of the iris, where it is
    radius: float
    shift: NDArray[Any]  # (2,) of the iris
    lift: float  # of the upper lid's middle, down; the lower one stays


def redirect(colours: Array, grid: Grid, lids: NDArray[Any], move: Move, look: Look) -> Array:
    """The pixels of a box around an eye with the eye moved, (height, width, 3) Y, U, V as of 8 bits.

    Args:
        lids: (21, 2) the eye's points, in the order of the track.
    """
    return _Redirection(colours, grid, lids, move, look).result()


class _Redirection:
    def __init__(self, colours: Array, grid: Grid, lids: NDArray[Any], move: Move, look: Look) -> None:
        self._colours, self._grid, self._look = colours, grid, look
        self._centre, self._radius = np.asarray(move.centre, np.float32), np.float32(move.radius)
        self._shift = np.asarray(move.shift, np.float32)
        self._way = float(np.hypot(*self._shift))
        self._much = np.float32(min(1.0, self._way / _ALL_PAINT))
        self._upper, self._lower = Curve(lids[UPPER]), Curve(lids[LOWER])
        self._measure(np.float32(move.lift))

    def _measure(self, lift: np.float32) -> None:
        """Where each pixel is: against the lids before and after, and against the iris."""
        along, down = self._grid.along, self._grid.down
        self._top_before, self._bottom_before = self._upper(along), self._lower(along)
        bell = np.maximum(np.float32(0), 1 - 4 * along * along)
        top, bottom = self._top_before + lift * bell, self._bottom_before
        between = (down - top) / np.maximum(bottom - top, np.float32(0.02))
        self._held = np.clip(between, 0, 1)
        skin = np.exp(-(np.maximum(0, top - down) ** 2) / np.float32(2 * _SKIN**2))
        skin *= _ramp((down + np.float32(ABOVE)) / np.float32(_SEAM))
        self._lid_field = lift * (1 - self._held) * skin * bell
        soft = np.float32(self._grid.width_px / 2.5)
        self._inside = (
            _ramp((down - top) * soft + np.float32(0.2))
            * _ramp((bottom - down) * soft + np.float32(0.2))
            * _ramp((np.float32(0.5) - np.abs(along)) / np.float32(0.08))
        )
        goal = self._centre + self._shift
        self._from_goal = np.hypot(along - goal[0], down - goal[1]) / self._radius
        self._from_iris = np.hypot(along - self._centre[0], down - self._centre[1]) / self._radius

    def result(self) -> Array:
        moved, from_along, from_down = self._carry()
        self._paint_iris(moved, from_along, from_down)
        self._paint_white(moved, from_along, from_down)
        self._sharpen(moved)
        return moved

    def _carry(self) -> tuple[Array, Array, Array]:
        """The pixels moved, and where each comes from."""
        along, down = self._grid.along, self._grid.down
        fall = np.float32((_FALL[0] + _FALL[1] * self._way) / float(self._radius))
        rigid = (1 - _ramp((self._from_goal - np.float32(_RIGID)) / fall)) * self._inside
        by_along = self._shift[0] * rigid
        by_down = self._lid_field * (1 - rigid) + self._shift[1] * rigid
        from_along, from_down = along - by_along, down - by_down
        # what would come from behind a lid comes from its edge
        low = self._upper(from_along) + np.float32(0.02) * self._much
        high = np.maximum(self._lower(from_along) - np.float32(0.01) * self._much, low + np.float32(0.01))
        seen = np.where(self._inside > 0.5, np.clip(from_down, low, high), from_down)
        x, y = self._grid.moved(-by_along, seen - down)
        self._seen_down = seen
        moved = np.empty_like(self._colours)
        moved[..., 0] = cv2.remap(self._colours[..., 0], x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        moved[..., 1:] = cv2.remap(self._colours[..., 1:], x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return moved, from_along, from_down

    def _paint_iris(self, moved: Array, from_along: Array, from_down: Array) -> None:
        """The part of the disc that was behind lids."""
        behind = np.maximum(
            _ramp((from_down - (self._lower(from_along) - np.float32(_HIDDEN_BELOW))) / np.float32(0.05)),
            _ramp((self._upper(from_along) + np.float32(_HIDDEN_ABOVE) - from_down) / np.float32(0.04)),
        )
        disc = 1 - _ramp((self._from_goal - np.float32(0.93)) / np.float32(0.16))
        weight = disc * behind * self._inside * self._much
        here = weight > _INVISIBLE
        if not here.any():
            return
        colours = self._look.ring_at(self._from_goal[here])
        shadow = 1 - np.float32(_SHADOW_DEPTH) * np.exp(-self._held[here] / np.float32(_SHADOW))
        colours[:, 0] = 16 + (colours[:, 0] + self._iris_exposure() + self._noise()[here] - 16) * shadow
        _blend(moved, colours, weight, here)

    def _paint_white(self, moved: Array, from_along: Array, from_down: Array) -> None:
        """Where the iris was and is not any more."""
        if not self._look.white.any():
            return
        from_iris = np.hypot(from_along - self._centre[0], self._seen_down - self._centre[1]) / self._radius
        weight = (
            _ramp((self._from_goal - np.float32(1.04)) / np.float32(0.14))
            * (1 - _ramp((from_iris - np.float32(1.08)) / np.float32(0.25)))
            * self._inside
            * self._much
        )
        here = weight > _INVISIBLE
        if not here.any():
            return
        white = self._white_at(here)
        white[:, 0] = np.minimum(white[:, 0] + self._white_exposure(), self._brightest()) + self._noise()[here]
        _blend(moved, white, weight, here)

    def _white_at(self, here: NDArray[np.bool_]) -> Array:
        return np.asarray(white_terms(self._grid.along[here], self._held[here]) @ self._look.white)

    def _white_exposure(self) -> float:
        """How much brighter the white is here than in the take. Lashes are dark: the brighter half tells."""
        in_sight = (self._held > 0.1) & (self._held < 0.92) & (np.abs(self._grid.along) < 0.42)
        in_sight &= (self._from_iris > 1.25) & (self._from_goal > 1.2)
        if in_sight.sum() < _ENOUGH:
            return 0.0
        rest = self._colours[..., 0][in_sight] - self._white_at(in_sight)[:, 0]
        return float(np.clip(np.percentile(rest, 70), -_EXPOSURE, _EXPOSURE))

    def _brightest(self) -> float:
        """No white that is painted is brighter than what the opening showed."""
        down, along = self._grid.down, self._grid.along
        opening = (down > self._top_before) & (down < self._bottom_before) & (np.abs(along) < 0.5)
        if opening.sum() < _ENOUGH:
            return 255.0
        return float(np.percentile(cv2.GaussianBlur(self._colours[..., 0], (0, 0), 1.0)[opening], _BRIGHTEST))

    def _sharpen(self, moved: Array) -> None:
        luma = moved[..., 0]
        detail = luma - cv2.GaussianBlur(luma, (0, 0), max(0.7, 0.012 * self._grid.width_px))
        luma += _SHARPEN * self._much * np.clip(detail, -_SHARPEN_MOST, _SHARPEN_MOST) * self._inside

    def _iris_exposure(self) -> float:
        """How much brighter the iris is here than in the take."""
        height = np.maximum(self._bottom_before - self._top_before, np.float32(0.02))
        between = (self._grid.down - self._top_before) / height
        seen = (self._from_iris < 0.95) & (between > 0.15) & (between < 0.9)
        if seen.sum() < _ENOUGH:
            return 0.0
        rest = self._colours[..., 0][seen] - self._look.ring_at(self._from_iris[seen])[:, 0]
        return float(np.clip(np.median(rest), -_IRIS_EXPOSURE, _IRIS_EXPOSURE))

    def _noise(self) -> Array:
        """(height, width) grey levels, another in every picture, as a camera's is."""
        height, width = self._grid.along.shape
        top = int((self._centre[1] + 1) * 997) % max(1, _grain.shape[0] - height)
        left = int((self._centre[0] + 1) * 997) % max(1, _grain.shape[1] - width)
        noise = _grain[top : top + height, left : left + width]
        return np.asarray(_GRAIN * np.resize(noise, (height, width)), np.float32)


def _ramp(part: Array) -> Array:
    part = np.clip(part, 0, 1)
    return np.asarray(part * part * (3 - 2 * part), np.float32)


def _blend(onto: Array, colours: Array, weight: Array, here: NDArray[np.bool_]) -> None:
    """`colours`: (n, 3) of the pixels that are `here`."""
    part = weight[here][:, None]
    onto[here] = onto[here] * (1 - part) + colours * part
