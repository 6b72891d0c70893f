"""Pictures of a person whose place is known: an astronaut, moved, turned and enlarged.

She is Eileen Collins, photographed by NASA: in the public domain, and in the wheel of scikit-image, which brings her
as a file. Only that is read: importing it would need SciPy and more.
"""

import importlib.util
import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from numpy.typing import NDArray

needs_models = pytest.mark.skipif(
    importlib.util.find_spec("mediapipe") is None, reason="there is no mediapipe for this machine"
)

Rgb = NDArray[np.uint8]
Points = NDArray[np.float64]

FACE = 225.0, 123.0  # the middle of her face in the photograph
FACE_WIDTH = 92.0  # of its 468 points


class Place(NamedTuple):
    """Where her face is in a picture: its middle, its width, and how far it is turned clockwise, in degrees."""

    x: float
    y: float
    width: float
    turn: float = 0.0


@cache
def astronaut() -> Rgb:
    """(512, 512, 3), RGB."""
    spec = importlib.util.find_spec("skimage")
    assert spec is not None
    assert spec.submodule_search_locations
    with av.open(str(Path(spec.submodule_search_locations[0], "data", "astronaut.png"))) as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24").astype(np.uint8)


@cache
def _photograph() -> NDArray[np.float64]:
    return astronaut().astype(np.float64)


def picture(size: tuple[int, int], *places: Place, shade: float = 1.0) -> Rgb:
    """A grey room of `size` (width, height) with her in it, once at each place, the last in front.

    Args:
        shade: what all brightness is multiplied with.
    """
    made = _room(size, shade).copy()
    if places:
        spans = [_span(place, size) for place in places]
        x0, y0 = (min(span[n] for span in spans) for n in (0, 1))
        x1, y1 = (max(span[n] for span in spans) for n in (2, 3))
        canvas = _wall(size)[y0:y1, x0:x1].copy()  # only this part changes: the rest is most of the work
        for place in places:
            _paste(canvas, place, left=x0, top=y0)
        made[y0:y1, x0:x1] = np.clip(canvas * shade, 0, 255)
    return made


@cache
def _room(size: tuple[int, int], shade: float) -> Rgb:
    return np.clip(_wall(size) * shade, 0, 255).astype(np.uint8)


@cache
def _wall(size: tuple[int, int]) -> NDArray[np.float64]:
    width, height = size
    grey = np.linspace(90, 150, width)[None, :, None] + np.linspace(-20, 20, height)[:, None, None]
    return np.repeat(grey, 3, axis=2)


def moved(points: NDArray[np.float32], place: Place) -> Points:
    """Where points of the photograph, (n, 2) or more columns, are in a picture with her at `place`."""
    scale, turn = place.width / FACE_WIDTH, math.radians(place.turn)
    x, y = points[:, 0] - FACE[0], points[:, 1] - FACE[1]
    cos, sin = math.cos(turn) * scale, math.sin(turn) * scale
    return np.stack([place.x + x * cos - y * sin, place.y + x * sin + y * cos], axis=-1).astype(np.float64)


def _span(place: Place, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what of her is in a picture of this size; nothing: right and bottom are no more
    than left and top."""
    reach = place.width * 1.2
    left, top = max(0, int(place.x - reach)), max(0, int(place.y - reach))
    right, bottom = min(size[0], int(place.x + reach) + 1), min(size[1], int(place.y + reach) + 1)
    return left, top, max(left, right), max(top, bottom)


def _paste(canvas: NDArray[np.float64], place: Place, *, left: int, top: int) -> None:
    """Her head, softly cut out, into the part of a picture whose corner is at `left` and `top`."""
    photograph = _photograph()
    x0, y0, x1, y1 = _span(place, (left + canvas.shape[1], top + canvas.shape[0]))
    if x0 >= x1 or y0 >= y1:
        return
    y, x = np.mgrid[y0:y1, x0:x1]
    scale, turn = FACE_WIDTH / place.width, math.radians(place.turn)
    dx, dy = (x - place.x) * scale, (y - place.y) * scale
    u = FACE[0] + dx * math.cos(turn) + dy * math.sin(turn)
    v = FACE[1] - dx * math.sin(turn) + dy * math.cos(turn)
    far = np.hypot((u - FACE[0]) / (FACE_WIDTH * 0.85), (v - FACE[1]) / (FACE_WIDTH * 1.05))
    cover = np.clip((1.0 - far) / 0.1, 0, 1)[..., None]
    part = canvas[y0 - top : y1 - top, x0 - left : x1 - left]
    part += (_bilinear(photograph, u, v) - part) * cover


def _bilinear(image: NDArray[np.float64], u: Points, v: Points) -> Points:
    height, width = image.shape[:2]
    u, v = np.clip(u, 0, width - 1.001), np.clip(v, 0, height - 1.001)
    column, row = u.astype(np.intp), v.astype(np.intp)
    fx, fy = (u - column)[..., None], (v - row)[..., None]
    flat, at = image.reshape(-1, 3), row * width + column
    above = flat.take(at, axis=0) * (1 - fx) + flat.take(at + 1, axis=0) * fx
    below = flat.take(at + width, axis=0) * (1 - fx) + flat.take(at + width + 1, axis=0) * fx
    return np.asarray(above * (1 - fy) + below * fy)
