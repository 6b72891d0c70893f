"""Tracks whose truth is known: faces as plain shapes that go where the test says."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidprod.vision.track import Face, Track

Values = NDArray[np.float64]
Motion = Callable[[Values], Any]
When = Callable[[Values], NDArray[np.bool_]]

WIDE = (1280, 720)
CROP = 405.0  # pixels wide, of 9:16 in it


def times(seconds: float, *, rate: float = 30.0) -> NDArray[np.int64]:
    return np.asarray(np.round(np.arange(round(seconds * rate)) * 1e6 / rate), np.int64)


def face(
    number: int,
    times_us: NDArray[np.int64],
    x: Motion | Values | float,
    *,
    size: float = 160.0,
    y: Motion | float = 300.0,
    seen: When | None = None,
    open_: Motion | None = None,
) -> Face:
    """A face with its middle at `x` (also: in each picture), `y` pixels, `size` wide; `open_` of its mouth's width."""
    seconds = times_us / 1e6
    at = np.flatnonzero(np.ones(len(seconds), np.bool_) if seen is None else seen(seconds)).astype(np.int32)
    seconds = seconds[at]
    if isinstance(x, np.ndarray):
        x = x[at]
    middle, height = (value(seconds) if callable(value) else np.full(len(at), value) for value in (x, y))
    box = np.stack([middle - size / 2, height - size * 0.65, middle + size / 2, height + size * 0.65], axis=1)
    eyes = np.zeros((len(at), 2, 21, 2))
    eyes[..., 0] = middle[:, None, None] + np.array([-0.2, 0.2])[None, :, None] * size
    eyes[..., 1] = height[:, None, None] - 0.15 * size
    mouth = np.zeros((len(at), 4, 2))
    mouth[..., 0] = middle[:, None] + np.array([-0.18, 0.18, 0, 0]) * size
    gap = (open_(seconds) if open_ else np.zeros(len(at))) * 0.36 * size
    mouth[..., 1] = height[:, None] + 0.3 * size + np.array([0, 0, -0.5, 0.5]) * gap[:, None]
    return Face(
        id=number,
        at=at,
        eyes=eyes.astype(np.float32),
        mouth=mouth.astype(np.float32),
        box=box.astype(np.float32),
        pose=np.zeros((len(at), 3), np.float32),
        confidence=np.ones(len(at), np.float32),
        looks={},
    )


def track(
    times_us: NDArray[np.int64], *faces: Face, cuts_s: tuple[float, ...] = (), size: tuple[int, int] = WIDE
) -> Track:
    scenes = np.searchsorted(np.array(cuts_s, np.float64) * 1e6, times_us, side="right").astype(np.int32)
    width, height = size
    main = 0 if faces else None
    return Track(width=width, height=height, times_us=times_us, scenes=scenes, faces=list(faces), main=main)
