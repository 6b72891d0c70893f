"""What the eyes of a face look like in one take: where the iris really is and how large, its colours, the white.

Sampled from pictures of open eyes while the faces are followed, fitted when all were seen. It is what the edit paints
where pixels are missing: an iris that lids hid, and white that the iris hid.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from vidprod.vision.eyes import IRIS, LIMBUS, LOWER, UPPER, Curve, eyes_of
from vidprod.vision.patch import GRID_ALONG, GRID_DOWN, Pixels, on_grid

Array = NDArray[np.float32]

MOST = 60  # samples of a face, evenly over the take
RINGS = 16  # of the iris's colours, from its centre out
RIM = 1.2  # radii where the outermost ring ends

_EVERY_S = 0.5  # a sample at first; the more there are, the rarer

# Where the iris may lie from where the mesh has it, eye widths, and how large it may be against the mesh's.
_ALONG, _DOWN = np.arange(-0.07, 0.0701, 0.01), np.arange(-0.10, 0.0401, 0.01)
_SIZES = np.arange(0.80, 1.151, 0.05)
# What is usual, in nine takes; and how far from it counts as one grey level of contrast.
_USUAL_DOWN, _SPREAD, _SPREAD_OF_SIZE = -0.035, 0.03, 0.12
_RAYS = np.deg2rad(np.arange(0, 360, 12))
_LEAST_RAYS = 5
_LEAST_WHITE, _LEAST_RING = 30, 15  # pixels, of all samples
_RIDGE = (1e-4, 0.02, 0.004, 0.002, 0.002, 0.002)  # of each of `white_terms`, a pixel

# Where an eye is watched, radii from the mesh's centre of the iris: nine places each in the iris, left of it and right.
_NEAR = np.stack(np.meshgrid([-0.3, 0.0, 0.3], [-0.35, -0.1, 0.15]), axis=-1).reshape(-1, 2)
_WATCHED = np.concatenate([_NEAR, _NEAR * (0.5, 1) - (1.5, 0), _NEAR * (0.5, 1) + (1.5, 0)])

_White = tuple[Array, Array]  # terms (n, 6), colours (n, 3)
_Iris = tuple[Array, Array]  # distance from the centre (n,) in radii, colours (n, 3)


@dataclass
class Look:
    """One eye of a face in one take. Colours are Y, U, V as of 8 bits."""

    place: Array  # (2,) of the iris from the mesh's, along and down, eye widths
    size: float  # of its radius against the mesh's
    white: Array  # (6, 3) of `white_terms`
    rings: Array  # (RINGS, 3)

    def as_array(self) -> Array:
        return np.concatenate([self.place, [self.size], self.white.ravel(), self.rings.ravel()]).astype(np.float32)

    def ring_at(self, away: NDArray[Any]) -> Array:
        """(n, 3) the iris's colours at distances from its centre, (n,) in radii."""
        place = np.clip(away * (RINGS / RIM) - 0.5, 0, RINGS - 1.001)
        ring = place.astype(np.int32)
        part = (place - ring)[:, None].astype(np.float32)
        return np.asarray(self.rings[ring] * (1 - part) + self.rings[ring + 1] * part)

    @classmethod
    def of_array(cls, values: Array) -> "Look":
        return cls(
            place=np.asarray(values[:2]),
            size=float(values[2]),
            white=np.asarray(values[3:21]).reshape(6, 3),
            rings=np.asarray(values[21:]).reshape(RINGS, 3),
        )


def white_terms(along: Array, between: Array) -> Array:
    """(…, 6) of what the white of an eye is a sum.

    Args:
        along: eye widths; between: 0 at the upper lid, whose shadow fades, 1 at the lower.
    """
    curved, shadow = 4 * along * along, np.exp(-between / 0.18)
    terms = [np.ones_like(along), along, curved, between, between * between, shadow]
    return np.asarray(np.stack(terms, axis=-1))


class Sampler:
    """Takes samples of faces while a take is seen once."""

    def __init__(self) -> None:
        self._faces: dict[int, _Samples] = {}

    def see(self, face: int, at_us: int, points: NDArray[Any], pixels: Pixels) -> None:
        """A picture of a face.

        Args:
            points: (2, 21, 2) of its eyes, pixels of the display, in the order of the track.
        """
        samples = self._faces.setdefault(face, _Samples())
        samples.watch(at_us, points, pixels)
        if samples.is_due(at_us):
            samples.take(at_us, points, pixels)

    def looks(self) -> Mapping[int, dict[str, NDArray[Any]]]:
        """By face, as the track keeps them: "eyes", (2, 69), see `Look`; and of every picture looked at "seen_us",
        (k,) when it was, and "contrast", (k, 2) by how much the white of each eye is brighter than its iris, grey
        levels of 8 bits. Faces too little was seen of are not there."""
        found = {number: (samples, samples.fit()) for number, samples in self._faces.items()}
        return {
            number: {"eyes": eyes, "seen_us": samples.seen_us, "contrast": samples.contrast}
            for number, (samples, eyes) in found.items()
            if eyes is not None
        }


class _Samples:
    def __init__(self) -> None:
        self._every_us = int(_EVERY_S * 1e6)
        self._due_us = 0
        self._taken: list[tuple[int, NDArray[Any], list[Array]]] = []
        self._seen_us, self._contrast = array("q"), array("f")

    @property
    def seen_us(self) -> NDArray[np.int64]:
        return np.array(self._seen_us, np.int64)

    @property
    def contrast(self) -> Array:
        return np.array(self._contrast, np.float32).reshape(-1, 2)

    def watch(self, at_us: int, points: NDArray[Any], pixels: Pixels) -> None:
        """A hand before the eyes or a light in glasses is not seen by the mesh: it draws open eyes there."""
        centre = points[:, IRIS]
        radius = np.linalg.norm(points[:, LIMBUS] - centre[:, None], axis=-1).mean(axis=1)
        luma = pixels.luma_at(centre[:, None] + radius[:, None, None] * _WATCHED)  # (2, places, 2) to (2, places)
        iris, left, right = (np.median(part, axis=1) for part in np.split(luma, 3, axis=1))
        self._seen_us.append(at_us)
        self._contrast.extend((np.maximum(left, right) - iris).tolist())

    def is_due(self, at_us: int) -> bool:
        return at_us >= self._due_us

    def take(self, at_us: int, points: NDArray[Any], pixels: Pixels) -> None:
        eyes = eyes_of(points[None])
        patches = []
        for eye in (0, 1):
            patch = pixels.sample(eyes.middle[0, eye], eyes.along[0, eye], float(eyes.width[0, eye]))
            if patch is None:
                return
            patches.append(patch)
        self._taken.append((at_us, eyes.points[0], patches))
        if len(self._taken) >= 2 * MOST:
            self._taken = self._taken[::2]
            self._every_us *= 2
        self._due_us = at_us + self._every_us

    def fit(self) -> Array | None:
        if not self._taken:
            return None
        points = np.stack([each[1] for each in self._taken])
        opening = (points[:, :, LOWER, 1] - points[:, :, UPPER, 1])[:, :, 1:6].mean(axis=2)
        usual = np.median(opening, axis=0)
        is_open = (opening > 0.85 * usual).all(axis=1)
        kept = np.flatnonzero(is_open)
        if len(kept) < 1:
            return None
        across = points[:, :, LIMBUS] - points[:, :, IRIS : IRIS + 1]
        radius = np.median(np.linalg.norm(across, axis=-1).mean(axis=2), axis=0)
        looks = [
            _fit([(self._taken[n][2][eye], points[n, eye]) for n in kept], float(radius[eye])).as_array()
            for eye in (0, 1)
        ]
        return np.asarray(np.stack(looks))


def _fit(samples: list[tuple[Array, NDArray[Any]]], radius: float) -> Look:
    along, down, size = _place(samples, radius)
    whites, irises = [], []
    for colours, points in samples:
        white, iris = _colours(colours, points, points[IRIS] + (along, down), radius * size)
        whites.append(white)
        irises.append(iris)
    return Look(
        place=np.array([along, down], np.float32),
        size=size,
        white=_fit_white(whites),
        rings=_fit_rings(irises),
    )


def _place(samples: list[tuple[Array, NDArray[Any]]], radius: float) -> tuple[float, float, float]:
    """Where the iris is from where the mesh has it, along and down, and its size against the mesh's: what most
    pictures agree on, by the step in brightness at its rim (Daugman 1993)."""
    score = np.mean([_rim(colours[..., 0], points, radius) for colours, points in samples], axis=0)
    size, down, along = np.meshgrid(_SIZES, _DOWN, _ALONG, indexing="ij")
    unusual = (along / _SPREAD) ** 2 + ((down - _USUAL_DOWN) / _SPREAD) ** 2 + ((size - 1) / _SPREAD_OF_SIZE) ** 2
    best = np.unravel_index(int((score - unusual / 2).argmax()), score.shape)
    return float(along[best]), float(down[best]), float(size[best])


def _rim(luma: Array, points: NDArray[Any], radius: float) -> NDArray[np.float64]:
    """(sizes, downs, alongs) how much brighter it is outside the rim than inside, where both lie between the lids."""
    upper, lower = Curve(points[UPPER]), Curve(points[LOWER])
    soft = cv2.GaussianBlur(luma, (0, 0), 1.2)
    shape = (len(_DOWN), len(_ALONG), len(_RAYS))
    centre_along = points[IRIS, 0] + _ALONG[None, :, None]
    centre_down = points[IRIS, 1] + _DOWN[:, None, None]
    scores = []
    for size in _SIZES:
        between, levels = np.ones(shape, bool), []
        for part in (0.86, 1.16):
            along = np.broadcast_to(centre_along + radius * size * part * np.cos(_RAYS), shape).astype(np.float32)
            down = np.broadcast_to(centre_down + radius * size * part * np.sin(_RAYS), shape).astype(np.float32)
            columns, rows = (each.reshape(len(_DOWN), -1) for each in on_grid(along, down))
            levels.append(cv2.remap(soft, columns, rows, cv2.INTER_LINEAR).reshape(shape))
            between &= (down > upper(along) + 0.035) & (down < lower(along) - 0.015) & (np.abs(along) < 0.46)
        step = np.clip(levels[1] - levels[0], -20, 35) * between
        rays = between.sum(axis=-1)
        scores.append(np.where(rays >= _LEAST_RAYS, step.sum(axis=-1) / np.maximum(rays, 8), -5.0))
    return np.stack(scores)


def _colours(colours: Array, points: NDArray[Any], centre: NDArray[Any], radius: float) -> tuple[_White, _Iris]:
    """What of one picture is white of the eye, and what is iris."""
    along, down = np.meshgrid(GRID_ALONG, GRID_DOWN)
    upper, lower = Curve(points[UPPER])(along), Curve(points[LOWER])(along)
    between = (down - upper) / np.maximum(lower - upper, 0.02)
    away = np.hypot(along - centre[0], down - centre[1]) / radius
    white = (away > 1.25) & (between > 0.1) & (between < 0.92) & (np.abs(along) < 0.42)
    iris = (away < RIM) & (down > upper + 0.05) & (down < lower - 0.03) & (np.abs(along) < 0.5)
    some, part = _thinned(white, 150), _thinned(iris, 300)
    return (white_terms(along[some], between[some]), colours[some]), (away[part], colours[part])


def _thinned(mask: NDArray[np.bool_], most: int) -> tuple[NDArray[np.intp], ...]:
    """The places in `mask`, about `most` of them, evenly."""
    rows, columns = np.nonzero(mask)
    step = max(1, len(rows) // most)
    return rows[::step], columns[::step]


def _fit_white(samples: list[_White]) -> Array:
    """(6, 3) weights of `white_terms`, ridge regression; lashes and veins are dark, lights are bright: they count
    little."""
    terms = np.concatenate([each[0] for each in samples]).astype(np.float64)
    colours = np.concatenate([each[1] for each in samples]).astype(np.float64)
    if len(terms) < _LEAST_WHITE:
        return np.zeros((6, 3), np.float32)
    counts = np.ones(len(terms))
    for _ in range(5):
        normal = (terms * counts[:, None]).T @ terms + np.diag(_RIDGE) * len(terms)
        white = np.linalg.solve(normal, (terms * counts[:, None]).T @ colours)
        rest = (colours - terms @ white)[:, 0]
        counts = np.select([rest < -22, rest < -11, rest > 30], [0.05, 0.3, 0.2], 1.0)
    return np.asarray(white, np.float32)


def _fit_rings(samples: list[_Iris]) -> Array:
    """(RINGS, 3) the median colour of each ring; one that was not seen is as the one inside it, or as
    the innermost that was."""
    away = np.concatenate([each[0] for each in samples])
    colours = np.concatenate([each[1] for each in samples])
    ring = np.minimum((away * RINGS / RIM).astype(int), RINGS - 1)
    seen = [number for number in range(RINGS) if (ring == number).sum() >= _LEAST_RING]
    if not seen:
        return np.full((RINGS, 3), (40.0, 128.0, 128.0), np.float32)
    inside = [max((each for each in seen if each <= number), default=seen[0]) for number in range(RINGS)]
    return np.asarray(np.stack([np.median(colours[ring == number], axis=0) for number in inside]), np.float32)
