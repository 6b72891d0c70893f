"""A face of which nothing is drawn but its eyes, whose gaze is known: eyeballs, lids and skin as geometry has them.

The unit is the width of an eye, 30 mm, from corner to corner of a head that is not turned. Colours are Y, U, V in the
limited range of 8 bits. All is drawn at three times the size and shrunk.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidprod.vision.track import Face, Looks, Track

Array = NDArray[np.float32]
Yuv = NDArray[np.float32]  # (height, width, 3)

# Anatomy, by an eye of 30 mm: an eyeball of 12 mm, the iris 10.6 mm in front of its centre, 11.8 mm across.
IRIS_AHEAD, IRIS_RADIUS, PUPIL = 0.355, 0.197, 0.38  # the pupil in radii of the iris
BALL_BEHIND = 0.24  # the eyeball's centre is so far behind the corners
IRIS_AT_LENS = -0.095  # the iris of who looks into the lens is above the corners
UPPER_AT_LENS, LOWER_AT_LENS = -0.20, 0.112  # the lids' middle, down from the corners
LID_PER_DEG, LOWER_FOLLOWS = 0.0055, 0.25  # up; the lower lid only where the eye goes up, and less
BETWEEN_EYES = 2.1  # from middle to middle
_CONVERGED = 0.01  # either iris towards the nose

SKIN = (150.0, 112.0, 149.0)
WHITE = (186.0, 125.0, 131.0)
BROWN, BLUE = (64.0, 119.0, 135.0), (92.0, 138.0, 119.0)
ROOM = (96.0, 126.0, 130.0)

_FINER = 3
_POINTS = np.linspace(-0.4, 0.4, 7)  # where the mesh's points lie on a lid, from the outer corner to the inner


@dataclass(frozen=True)
class Sight:
    """How a person looks in one picture. Angles in degrees, lengths in pixels of the picture."""

    yaw: float = 0.0  # of the gaze, against the lens, > 0: to the right of the picture
    pitch: float = 0.0  # > 0: up
    head_yaw: float = 0.0  # > 0: turned to the right of the picture
    roll: float = 0.0  # of the head, clockwise
    open_: float = 1.0  # 0: the lids are shut
    width: float = 80.0  # of an eye whose head is not turned
    x: float = 160.0  # the middle between both eyes
    y: float = 80.0
    iris: tuple[float, float, float] = BROWN
    light: float = 1.0  # brightness is multiplied with

    def at_lens(self) -> "Sight":
        return replace(self, yaw=0.0, pitch=0.0)

    @property
    def foreshortened(self) -> float:
        return float(np.cos(np.deg2rad(self.head_yaw)))

    @property
    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Along and down, unit vectors of the picture."""
        turn = np.deg2rad(self.roll)
        along = np.array([np.cos(turn), np.sin(turn)])
        return along, np.array([-along[1], along[0]])

    def middle(self, eye: int) -> NDArray[np.float64]:
        """Of an eye, pixels; eye 0 is on the left of the picture."""
        side = (-0.5, 0.5)[eye] * BETWEEN_EYES * self.width * self.foreshortened
        return np.asarray(np.array([self.x, self.y]) + side * self.axes[0])

    def iris_of(self, eye: int) -> NDArray[np.float64]:
        """(2,) the centre of the iris, along and down, in units of the eye as it is seen, corner to corner."""
        yaw, pitch, head = np.deg2rad([self.yaw, self.pitch, self.head_yaw])
        along = IRIS_AHEAD * np.sin(yaw) * np.cos(pitch) - BALL_BEHIND * np.sin(head) + (_CONVERGED, -_CONVERGED)[eye]
        return np.array([along, IRIS_AT_LENS - IRIS_AHEAD * np.sin(pitch)]) / self.foreshortened

    @property
    def iris_radius(self) -> float:
        """In units of the eye as it is seen."""
        return IRIS_RADIUS / self.foreshortened


@dataclass(frozen=True)
class MeshErrors:
    """What a face mesh is known to get wrong. Lengths in widths of the eye as it is seen."""

    too_low: float = 0.0  # the centre of the iris is reported so far down from where it is
    aside: float = 0.0  # and so far to the right of the picture
    sideways: float = 1.0  # of the way of the iris from where it is at the lens, what is reported
    upright: float = 1.0
    size: float = 1.0  # of the iris
    noise: float = 0.0  # standard deviation of each coordinate


EXACT = MeshErrors()
USUAL = MeshErrors(too_low=0.04, sideways=0.79, upright=0.5, noise=0.003)  # MediaPipe's, on photographs


def points(sight: Sight, errors: MeshErrors = EXACT, *, seed: int = 0) -> NDArray[np.float32]:
    """(2, 21, 2) of both eyes, pixels, in the order of the track."""
    random = np.random.default_rng(seed)
    eyes = []
    for eye in (0, 1):
        inward = _POINTS if eye == 0 else -_POINTS
        upper, lower = (lid / sight.foreshortened for lid in lids(inward, eye, sight))
        corners = np.array([[-0.5, 0.0], [0.5, 0.0]])[:: 1 if eye == 0 else -1]
        iris = sight.iris_of(eye)
        usual = sight.at_lens().iris_of(eye)
        iris = usual + (iris - usual) * (errors.sideways, errors.upright) + (errors.aside, errors.too_low)
        rim = sight.iris_radius * errors.size * np.array([[1, 0], [0, -1], [-1, 0], [0, 1]])
        local = np.concatenate(
            [corners, np.stack([inward, upper], axis=1), np.stack([inward, lower], axis=1), [iris], iris + rim]
        )
        local = local + random.normal(0, 1, local.shape) * errors.noise
        width = sight.width * sight.foreshortened
        eyes.append(sight.middle(eye) + width * (local @ np.stack(sight.axes)))
    return np.asarray(np.stack(eyes), np.float32)


def lids(along: NDArray[Any], eye: int, sight: Sight) -> tuple[NDArray[Any], NDArray[Any]]:
    """How far down the upper and the lower lid lie over `along` (−0.5 … 0.5 from corner to corner)."""
    inner = along if eye == 0 else -along
    arc = np.maximum(0.0, 1 - 4 * inner * inner)
    lower = (LOWER_AT_LENS - LOWER_FOLLOWS * LID_PER_DEG * max(sight.pitch, 0.0)) * arc * (1 - 0.1 * inner)
    wide = (UPPER_AT_LENS - LID_PER_DEG * sight.pitch) * arc * (1 + 0.15 * inner)
    return lower + (wide - lower) * sight.open_, lower


def picture(sight: Sight, size: tuple[int, int] = (320, 160), *, grain: float = 0.0, seed: int = 0) -> Yuv:
    """(height, width, 3) Y, U, V; `size`: width and height.

    Args:
        grain: standard deviation of the camera's noise, which `seed` tells apart.
    """
    canvas = _drawn(sight, size).copy()
    if grain:
        noise = np.random.default_rng(seed).normal(0, grain, canvas.shape)
        canvas += noise.astype(np.float32) * np.array([1.0, 0.4, 0.4], np.float32)
    return np.clip(canvas, 16, 240)


@lru_cache(maxsize=256)
def _drawn(sight: Sight, size: tuple[int, int]) -> Yuv:
    canvas = np.empty((size[1], size[0], 3), np.float32)
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    far = np.hypot((x - sight.x) / 2.4, (y - sight.y) / 3.2) / sight.width
    face = _ramp((far - 0.95) / 0.1)[..., None]
    canvas[:] = np.array(SKIN) * (1 - face) + np.array(ROOM) * face
    for eye in (0, 1):
        _draw_eye(canvas, sight, eye)
    canvas[..., 0] = 16 + (canvas[..., 0] - 16) * sight.light
    canvas.setflags(write=False)
    return canvas


def _draw_eye(canvas: Yuv, sight: Sight, eye: int) -> None:
    middle, reach = sight.middle(eye), 0.81 * sight.width
    height, width = canvas.shape[:2]
    left, top = (max(0, int(np.floor(at - reach))) for at in middle)
    right, bottom = (min(end, int(np.ceil(at + reach))) for at, end in zip(middle, (width, height), strict=True))
    if left >= right or top >= bottom:
        return
    x = (left + (np.arange((right - left) * _FINER, dtype=np.float32) + 0.5) / _FINER - middle[0]) / sight.width
    y = (top + (np.arange((bottom - top) * _FINER, dtype=np.float32) + 0.5) / _FINER - middle[1]) / sight.width
    along, down = (
        (axis[0] * x[None, :] + axis[1] * y[:, None]).astype(np.float32) for axis in sight.axes
    )  # widths of an eye that is not turned
    drawn = _eye(along, down, eye, sight)
    small = sum(drawn[i::_FINER, j::_FINER] for i in range(_FINER) for j in range(_FINER)) / _FINER**2
    cover = _ramp((0.8 - np.hypot(along, down)) / 0.1)[_FINER // 2 :: _FINER, _FINER // 2 :: _FINER]
    part = canvas[top:bottom, left:right]
    part += (small - part) * cover[..., None]


def _eye(along: Array, down: Array, eye: int, sight: Sight) -> Yuv:
    between_corners = (along / np.float32(sight.foreshortened)).astype(np.float32)
    upper, lower = (lid.astype(np.float32) for lid in lids(between_corners, eye, sight))
    drawn = _skin(between_corners, down, eye, upper, sight)
    inside = (down > upper) & (down < lower) & (np.abs(between_corners) < 0.5)
    drawn[inside] = _ball(along[inside], down[inside], upper[inside], eye, sight)
    lashes = np.exp(-(((down - upper + 0.008) / 0.014) ** 2)) * (np.abs(between_corners) < 0.47)
    rim = np.exp(-(((down - lower - 0.006) / 0.012) ** 2)) * (np.abs(between_corners) < 0.45)
    drawn[..., 0] *= (1 - 0.62 * lashes) * (1 - 0.15 * rim)
    return drawn


def _skin(along: Array, down: Array, eye: int, upper: Array, sight: Sight) -> Yuv:
    """Skin with pores and a crease, which goes with the lid, the less the farther away it is."""
    usual, _ = lids(along, eye, replace(sight, pitch=0.0, open_=1.0))
    above = np.maximum(0.0, upper - down)
    from_down = down - (upper - usual) * np.exp(-above / 0.2) * (down < upper)
    arc = np.maximum(0.0, 1 - 3.2 * along * along)
    crease = np.exp(-(((from_down + 0.08 + 0.26 * arc) / 0.018) ** 2)) * _ramp((0.55 - np.abs(along)) / 0.15)
    rows = np.clip((from_down + 1.2) * 140, 0, _PORES.shape[0] - 1).astype(np.int32)
    columns = np.clip((along + 1.2) * 140, 0, _PORES.shape[1] - 1).astype(np.int32)
    drawn = np.empty((*along.shape, 3), np.float32)
    drawn[:] = SKIN
    drawn[..., 0] += (
        5 * _PORES[rows, columns] - 26 * crease - 10 * np.exp(-above / 0.07) * (down < upper) * np.minimum(1, 3 * arc)
    )
    return drawn


def _ball(along: Array, down: Array, upper: Array, eye: int, sight: Sight) -> Array:
    """(n, 3) what is seen between the lids: white, iris and pupil, shaded by the lid, and a catch light."""
    centre = (sight.iris_of(eye) * sight.foreshortened).astype(np.float32)
    ball = np.array([-BALL_BEHIND * np.sin(np.deg2rad(sight.head_yaw)), IRIS_AT_LENS], np.float32)
    drawn = np.empty((len(along), 3), np.float32)
    drawn[:] = WHITE
    off = np.hypot(along - ball[0], down - ball[1]) / 0.5
    drawn[:, 0] -= 45 * off * off
    drawn[:, 2] += 8 * off * off
    yaw, pitch = np.deg2rad([sight.yaw, sight.pitch])
    x = (along - centre[0]) / np.float32(np.cos(yaw))
    y = (down - centre[1]) / np.float32(np.cos(pitch))
    away = np.hypot(x, y) / IRIS_RADIUS
    disc = (1 - _ramp((away - 0.94) / 0.12))[:, None]
    round_ = np.arctan2(y, x)
    fibres = np.cos(23 * round_ + 5 * away) + np.cos(37 * round_ - 3 * away) + np.cos(11 * round_ + 9 * away)
    iris = np.array(sight.iris, np.float32) + np.zeros((len(along), 1), np.float32)
    iris[:, 0] += 4 * fibres * (away > PUPIL) + 10 * (1 - away) - 14 * _ramp((away - 0.78) / 0.2)
    iris += (np.array([24, 128, 128]) - iris) * (1 - _ramp((away - PUPIL + 0.03) / 0.06))[:, None]
    drawn += (iris - drawn) * disc
    shadow = 1 - 0.4 * np.exp(-np.maximum(0, down - upper) / 0.05)
    drawn[:, 0] = 16 + (drawn[:, 0] - 16) * shadow
    lamp = (
        ball + np.float32(0.45) * (centre - ball) + np.array([-0.045, -0.03], np.float32)
    )  # what the cornea mirrors goes half its way
    light = 1 - _ramp((np.hypot(along - lamp[0], down - lamp[1]) - 0.02) / 0.014)
    drawn += (np.array([228, 128, 128], np.float32) - drawn) * light[:, None]
    return drawn


def _pores() -> Array:
    """(336, 336) noise that is even over a hundredth of an eye."""
    noise = np.random.default_rng(3).normal(0, 1, (336, 336))
    for axis in (0, 1):
        noise = noise + np.roll(noise, 1, axis) + np.roll(noise, -1, axis)
    return np.asarray(noise / noise.std(), np.float32)


_PORES = _pores()


def _ramp(part: Any) -> Any:
    part = np.clip(part, 0, 1)
    return part * part * (3 - 2 * part)


# As a take has it


def planes(yuv: Yuv, *, coarser: tuple[int, int] = (2, 2), depth: int = 8) -> list[NDArray[Any]]:
    """Luma and chroma, chroma so many times `coarser` across and down; the size must be a multiple of that."""
    across, down = coarser
    height, width = yuv.shape[:2]
    kind = np.uint8 if depth == 8 else np.uint16
    scaled = yuv * float(1 << (depth - 8))
    chroma = scaled[..., 1:].reshape(height // down, down, width // across, across, 2).mean(axis=(1, 3))
    return [np.rint(plane).astype(kind) for plane in (scaled[..., 0], chroma[..., 0], chroma[..., 1])]


def rgb(yuv: Yuv) -> NDArray[np.uint8]:
    """(height, width, 3) BT.709."""
    y, u, v = (1.164 * (yuv[..., 0] - 16), yuv[..., 1] - 128, yuv[..., 2] - 128)
    colours = np.stack([y + 1.793 * v, y - 0.213 * u - 0.533 * v, y + 2.112 * u], axis=-1)
    return np.asarray(np.clip(np.rint(colours), 0, 255), np.uint8)


@dataclass(frozen=True)
class Told:
    """What a track tells of a face besides its eyes."""

    seen: Sequence[int] | None = None  # the pictures; all
    looks: Looks = field(default_factory=dict)
    confidence: float = 1.0


def track_of(
    sights: Sequence[Sight],
    *,
    rate: float = 30.0,
    size: tuple[int, int] = (320, 160),
    errors: MeshErrors = EXACT,
    scenes: Sequence[int] | None = None,
    told: Told | None = None,
) -> Track:
    """The track of a take of one face, which looks so in each picture."""
    told = told or Told()
    at = np.arange(len(sights)) if told.seen is None else np.asarray(told.seen)
    seen = [sights[index] for index in at]
    eyes = [points(sight, errors, seed=int(index)) for index, sight in zip(at, seen, strict=True)]
    boxes = [(s.x - 2.3 * s.width, s.y - 2 * s.width, s.x + 2.3 * s.width, s.y + 3.5 * s.width) for s in seen]
    face = Face(
        id=1,
        at=at.astype(np.int32),
        eyes=np.stack(eyes),
        mouth=np.zeros((len(seen), 4, 2), np.float32),
        box=np.array(boxes, np.float32),
        pose=np.array([(s.head_yaw, 0.0, s.roll) for s in seen], np.float32),
        confidence=np.full(len(seen), told.confidence, np.float32),
        looks=dict(told.looks),
    )
    return Track(
        width=size[0],
        height=size[1],
        times_us=np.round(np.arange(len(sights)) * 1e6 / rate).astype(np.int64),
        scenes=np.asarray(np.zeros(len(sights)) if scenes is None else scenes, np.int32),
        faces=[face],
        main=0,
    )


# What is true of a picture


def opening(sight: Sight, eye: int, size: tuple[int, int] = (320, 160), *, within: float = 0.0) -> NDArray[np.bool_]:
    """(height, width) the pixels between the lids, so far `within` them (eye widths)."""
    along, down = places(sight, eye, size)
    upper, lower = lids(along, eye, sight)
    return np.asarray((down > upper + within) & (down < lower - within) & (np.abs(along) < 0.47 - within))


def places(
    sight: Sight, eye: int, size: tuple[int, int] = (320, 160)
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where each pixel of a picture is: along, in units of the eye as it is seen, and down, in widths of the eye."""
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    x, y = x - sight.middle(eye)[0], y - sight.middle(eye)[1]
    along, down = ((x * axis[0] + y * axis[1]) / sight.width for axis in sight.axes)
    return np.asarray(along / sight.foreshortened), np.asarray(down)


def iris_seen(luma: NDArray[Any], sight: Sight, eye: int) -> tuple[NDArray[np.float64], float]:
    """The centroid, along and down in eye widths, and the area in square eye widths, of what is dark between the lids
    as `sight` has them. No code under test is asked; lids hide parts of an iris here as there."""
    size = (luma.shape[1], luma.shape[0])
    halfway = (WHITE[0] - 25 + sight.iris[0]) / 2
    dark = opening(sight, eye, size, within=0.045) & (luma < halfway)
    along, down = places(sight, eye, size)
    return np.array([along[dark].mean(), down[dark].mean()]), float(dark.sum()) / sight.width**2


def mirrored(eyes: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Points (…, 2, 21, 2) in the picture flipped left to right."""
    flipped = np.array(eyes[..., ::-1, :, :])
    flipped[..., 0] = width - flipped[..., 0]
    return flipped
