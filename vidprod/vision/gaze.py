"""Where a face looks, picture by picture, and how far its eyes have to be moved to look into the lens.

Nothing is moved here: a `Turn` says what `redirect` does to the pixels. All constants that are degrees per eye width
are least-squares fits over takes of nine people, each take with the same weight, whose gaze another network told
(gaze-estimation-adas-0002); left out one by one, the others foretell a person's gaze to 3.6° sideways and 3.8° up.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from vidprod.domain.gaze import LeftAlone
from vidprod.vision.eyes import IRIS, LOWER, UPPER, Eyes, eyes_of
from vidprod.vision.smoothing import Clock, ramp, runs_of
from vidprod.vision.track import Face, Track

Array = NDArray[np.float64]

# Sideways: where the iris lies between the corners, and how the head is turned. To the right of the picture is > 0.
_YAW_OF_IRIS = 160.0  # degrees an eye width
_YAW_OF_HEAD = 50.0  # degrees times the sine of the head's yaw
# Up and down: how high the lids lie over the corners. The iris of the mesh hardly moves; lids follow the eye, and are
# found well. Both together, so that a wide eye is not one that looks up. Up is > 0.
_PITCH, _PITCH_OF_UPPER, _PITCH_OF_LOWER = -29.7, -232.0, -149.0  # degrees, degrees an eye width

# Who reads looks beside or below the lens. Who seems to look above it for most of a take may just have wide eyes (a
# portrait of someone who looks into the lens read 7° up): half of that is not believed.
_HALF = 0.5
_FAR_DOWN, _FAR_DOWN_SLOWS = -20.0, 0.6  # degrees; from there lids fall faster than the eye turns

# How far what is seen has to move for a degree, in eye widths.
_IRIS_SIDEWAYS = 0.0082  # 0.0062 by anatomy (12 mm from the eye's centre, 30 mm wide); both networks see 0.8 of it
_IRIS_UP = 0.0074
# Lids of five people move by 0.0035 to 0.0076; folds of the skin above tell a third of what people see, and stay here.
_LID_UP = 0.0095

_STEADY_DEG = 3.0  # what differs by more is another place that is looked at
_LEAST_OPEN = 0.75  # of the opening around: else the lids tell of a blink, not of gaze
_LONGER_THAN_A_BLINK_S, _BLINK_RAMP_S = 0.6, 0.1  # to either side; a blink takes 0.1 to 0.4 s
_SHUT, _OPEN = 0.40, 0.64  # of the usual opening: between them a blink lets go of the eyes
_NEAR_DEG = (3.0, 6.0)  # people take a gaze this near for one at themselves; what is nearer stays as it is
_DOWN_IS_FURTHER, _BOTH_WAYS = 1.2, 0.8  # looked at: from 20° down the crescent below the iris is grey
_IRIS_PX = (8.0, 11.0)  # across; smaller ones are a smear whatever is done
_SURE = (0.5, 0.7)  # of the face's confidence
_AROUND_S = 2.5  # what happens this far away may matter: the windows below, one after the other
_ENOUGH = 2000  # pictures that tell what is usual
_COVERED, _LEAST_CONTRAST = (0.25, 0.45), 15.0  # of the usual contrast; grey levels below which it is noise
_GAP_S = 0.2  # without a face, and the eyes are another run
_EDGE_S = 0.15  # to let go before a face is lost, and to take hold after

# A glance away from the lens now and then, towards where the speaker really looks.
_GLANCE_EVERY_S = (3.5, 11.0)  # NVIDIA Maxine: every 100 to 350 pictures of 30 a second
_GLANCE_S = (0.35, 0.8)
_GLANCE_RAMP_S = 0.05  # a saccade of a few degrees
_GLANCE_SEED = 1

WHYS: tuple[str, ...] = ("corrected", *get_args(LeftAlone))


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the correction. Angles in degrees."""

    strength: float  # 0 … 1
    look_away_deg: float
    gaze_fade_deg: tuple[float, float]
    head_fade_deg: tuple[float, float]


class Usual(NamedTuple):
    """What is usual of a face's eyes in a take, against which a picture is measured. Eye widths."""

    opening: Array  # (2,)
    radius: Array  # (2,) of the iris
    apart: float  # by how much the left eye's iris lies further along than the right one's
    contrast: float  # of white against iris, grey levels; 0 where it says nothing
    above_deg: float  # by how much the gaze seems to lie above the lens for no more than the eyes' shape


@dataclass
class Turn:
    """How the eyes of one face are turned, in some of the pictures in which it is seen. Lengths are eye widths."""

    at: NDArray[np.int32]  # (m,) which picture of the take, rising
    eyes: Eyes  # as they are: lids calm, corners not
    iris: Array  # (m, 2, 2) the mesh's centre of the iris, calm: along, down
    shift: Array  # (m, 2, 2) of the iris: along, down
    lift: Array  # (m, 2) of the upper lid, down
    share: Array  # (m,) of the whole correction that is made, 0 … 1
    angle_deg: Array  # (m,) between gaze and lens, before
    why: NDArray[np.int8]  # (m,) index into WHYS: what keeps `share` from 1 most

    def cut(self, first: int, end: int) -> "Turn":
        """The rows `first` … `end − 1`."""
        eyes = {each.name: getattr(self.eyes, each.name)[first:end] for each in fields(self.eyes)}
        rest = {each.name: getattr(self, each.name)[first:end] for each in fields(self) if each.name != "eyes"}
        return Turn(eyes=Eyes(**eyes), **rest)


def usual_of(face: Face) -> Usual:
    """Of the whole take, told by some thousand pictures of it."""
    eyes = eyes_of(np.asarray(face.eyes[:: max(1, len(face.at) // _ENOUGH)]))
    opening = np.median(eyes.openness, axis=0)
    is_open = (eyes.openness > _LEAST_OPEN * opening).all(axis=1)
    apart = eyes.points[:, 0, IRIS, 0] - eyes.points[:, 1, IRIS, 0]
    return Usual(
        opening=np.maximum(opening, 1e-3).astype(np.float64),
        radius=np.median(eyes.radius, axis=0).astype(np.float64),
        apart=float(np.median(apart[is_open] if is_open.any() else apart)),
        contrast=_usual_contrast(face),
        above_deg=_HALF * max(0.0, float(np.median(_pitch_of_lids(eyes)[is_open])) if is_open.any() else 0.0),
    )


def _usual_contrast(face: Face) -> float:
    contrast = face.looks.get("contrast")
    usual = 0.0 if contrast is None or not len(contrast) else float(np.median(contrast))
    return usual if usual >= _LEAST_CONTRAST else 0.0


def turn_of(track: Track, face: Face, usual: Usual, wish: Wish, *, first: int = 0, end: int | None = None) -> Turn:
    """What has to move for `face` to look into the lens in the pictures `first` … `end − 1` of the take.

    What lies around them is looked at too: the same picture is turned the same way, whichever others are asked for.
    """
    end = len(track.times_us) if end is None else end
    row, last = (int(np.searchsorted(face.at, picture)) for picture in (first, end))
    around = _rows_around(track, face, row, last)
    return _turn(track, face, usual, wish, around).cut(row - around.start, last - around.start)


def _rows_around(track: Track, face: Face, first: int, end: int) -> slice:
    """The rows `first` … `end − 1`, and those near enough to matter."""
    if first >= end:
        return slice(first, first)
    times_us = track.times_us[face.at]
    begins_us, ends_us = times_us[[first, end - 1]] + np.array([-1, 1]) * int(_AROUND_S * 1e6)
    return slice(int(np.searchsorted(times_us, begins_us)), int(np.searchsorted(times_us, ends_us, side="right")))


def _turn(track: Track, face: Face, usual: Usual, wish: Wish, rows: slice) -> Turn:
    at = np.asarray(face.at[rows])
    times_s = track.times_us[at] / 1e6
    clock = Clock(times_s, runs_of(times_s, track.scenes[at], gap_s=_GAP_S))
    eyes = eyes_of(np.asarray(face.eyes[rows]))
    opening = (eyes.openness / usual.opening).mean(axis=1)
    good = _gaze_is_told(clock, opening)
    head_deg = clock.mean(face.pose[rows, 0], 0.2)
    yaw, pitch = _gaze(clock, eyes, usual, head_deg, good).T
    angle = np.hypot(yaw, pitch)

    parts = {
        "at_lens": ramp(clock.calm(angle, 0.5, spread=8.0), *_NEAR_DEG),
        "away": _let_go(clock, _fade(_beside(yaw, pitch), wish.gaze_fade_deg)),
        "head_turned": _let_go(clock, _fade(np.abs(head_deg), wish.head_fade_deg)),
        "too_small": ramp(clock.mean(2 * (eyes.radius * eyes.width).mean(axis=1), 0.3), *_IRIS_PX),
        "no_face": np.minimum(ramp(clock.mean(face.confidence[rows], 0.15), *_SURE), _edges(clock, track)),
        "glare": _uncovered(clock, face, usual, track.times_us[at], good),
        "blink": _while_open(clock, opening, pitch),
    }
    glance = 1.0 - np.minimum(1.0, wish.look_away_deg * _glances(times_s) / np.maximum(angle, 1e-6))
    share = np.prod(list(parts.values()), axis=0)
    driven = wish.strength * share * glance
    apart = _converging(clock, eyes, usual, good)
    shift = np.stack(
        [
            np.stack([-_IRIS_SIDEWAYS * yaw - apart, -_IRIS_SIDEWAYS * yaw + apart], axis=1),
            np.repeat(_IRIS_UP * pitch[:, None], 2, axis=1),
        ],
        axis=-1,
    )
    lift = _LID_UP * pitch * np.clip(opening, 0.0, 1.0)  # what opens less is lifted less: a blink stays one
    return Turn(
        at=at,
        eyes=_calm_lids(clock, eyes, opening),
        iris=_calm_iris(clock, eyes),
        shift=shift * driven[:, None, None],
        lift=np.repeat((lift * driven)[:, None], 2, axis=1),
        share=share,
        angle_deg=angle,
        why=_why(parts),
    )


def _gaze_is_told(clock: Clock, opening: Array) -> NDArray[np.bool_]:
    """Where lids tell of gaze: not in a blink, and not while one begins or ends. Eyes that look down open less for
    longer than a blink takes."""
    dip = opening / np.maximum(clock.median(opening, _LONGER_THAN_A_BLINK_S), 1e-3)
    return (clock.lowest(dip, _BLINK_RAMP_S) > _LEAST_OPEN) & (opening > _SHUT)


def _gaze(clock: Clock, eyes: Eyes, usual: Usual, head_deg: Array, good: NDArray[np.bool_]) -> Array:
    """(m, 2) yaw and pitch of the gaze against the lens, degrees. In a blink it is what it is around it."""
    iris = eyes.points[:, :, IRIS, 0].mean(axis=1)
    measured = np.stack([iris, _pitch_of_lids(eyes)], axis=1)
    iris, pitch = clock.median(clock.filled(measured, good), 0.075).T
    yaw = _YAW_OF_IRIS * iris + _YAW_OF_HEAD * np.sin(np.deg2rad(head_deg))
    pitch = pitch - usual.above_deg
    pitch = np.where(pitch < _FAR_DOWN, _FAR_DOWN + _FAR_DOWN_SLOWS * (pitch - _FAR_DOWN), pitch)
    gaze = clock.calm(np.stack([yaw, pitch], axis=1), 0.25, spread=_STEADY_DEG)
    return clock.calm(gaze, 0.15, spread=_STEADY_DEG)


def _pitch_of_lids(eyes: Eyes) -> Array:
    """(m,) how far up the eyes look, degrees, as far as lids tell."""
    upper = eyes.points[:, :, UPPER, 1].min(axis=2).mean(axis=1)
    lower = eyes.points[:, :, LOWER, 1].max(axis=2).mean(axis=1)
    return np.asarray(_PITCH + _PITCH_OF_UPPER * upper + _PITCH_OF_LOWER * lower, np.float64)


def _converging(clock: Clock, eyes: Eyes, usual: Usual, good: NDArray[np.bool_]) -> Array:
    """(m,) by how much the eyes differ from how they usually stand to each other, half of it, eye widths. A corrected
    pair looks at one point, as far away as this face's usually is."""
    apart = clock.filled(eyes.points[:, 0, IRIS, 0] - eyes.points[:, 1, IRIS, 0], good)
    apart = clock.calm(clock.median(apart, 0.1), 0.2, spread=0.02)
    return (apart - usual.apart) / 2


def _beside(yaw: Array, pitch: Array) -> Array:
    """How far a gaze is beside the lens for what can be drawn: the larger of both ways, and hardly less where it is
    both at once. An eye that looks down shows little of itself: it is given up sooner."""
    down = np.where(pitch < 0, _DOWN_IS_FURTHER, 1.0) * np.abs(pitch)
    return np.asarray(np.maximum(_BOTH_WAYS * np.hypot(yaw, pitch), np.maximum(np.abs(yaw), down)))


def _fade(angle: Array, fade_deg: tuple[float, float]) -> Array:
    return 1.0 - ramp(angle, *fade_deg)


def _let_go(clock: Clock, share: Array) -> Array:
    """Falls before it must, and slowly: eyes that sweep past the lens are not held and dropped."""
    return clock.mean(clock.lowest(share, 0.15), 0.2)


def _while_open(clock: Clock, opening: Array, pitch: Array) -> Array:
    share = ramp(opening, _SHUT, _OPEN)
    early = np.minimum(share, clock.mean(share, 0.1))
    lowered = np.maximum(early, ramp(opening, 0.2, 0.5))  # a lid that is lowered cannot open in a blink
    return np.where(pitch < 0, early, lowered)


def _uncovered(clock: Clock, face: Face, usual: Usual, at_us: NDArray[np.int64], good: NDArray[np.bool_]) -> Array:
    """1 where the eyes stand out as they do in the take; 0 where a hand or a light in glasses lies before them."""
    if not usual.contrast:
        return np.ones(len(clock))
    told = face.looks["contrast"].mean(axis=1) / usual.contrast
    part = clock.filled(np.interp(at_us, face.looks["seen_us"], told), good)
    return _let_go(clock, ramp(clock.median(part, 0.1), *_COVERED))


def _edges(clock: Clock, track: Track) -> Array:
    """1, but towards a gap within a scene 0: what appears or is lost there must not jump."""
    first = np.flatnonzero(np.diff(clock.runs, prepend=-1))
    last = np.flatnonzero(np.diff(clock.runs, append=-1))
    since = clock.times_s - clock.times_s[first][clock.runs]
    until = clock.times_s[last][clock.runs] - clock.times_s
    share = np.ones(len(clock))
    cuts_s = track.times_us[1:][np.diff(track.scenes) != 0] / 1e6
    ends_s = np.concatenate([[track.times_us[0] / 1e6], cuts_s])
    for run, (begin, end) in enumerate(zip(first, last, strict=True)):
        here = clock.runs == run
        if np.abs(ends_s - clock.times_s[begin]).min() > _GAP_S:
            share[here] = np.minimum(share[here], ramp(since[here], 0.0, _EDGE_S))
        over_s = np.concatenate([[track.times_us[-1] / 1e6], cuts_s])
        if np.abs(over_s - clock.times_s[end]).min() > _GAP_S:
            share[here] = np.minimum(share[here], ramp(until[here], 0.0, _EDGE_S))
    return share


def _glances(times_s: Array) -> Array:
    """(m,) how far a glance has gone, 0 … 1. The same at the same time of every take."""
    share = np.zeros(len(times_s))
    draws = np.random.default_rng(_GLANCE_SEED)
    at = draws.uniform(*_GLANCE_EVERY_S)
    while len(times_s) and at < times_s[-1]:
        length = draws.uniform(*_GLANCE_S)
        first, last = np.searchsorted(times_s, [at, at + length + 2 * _GLANCE_RAMP_S])
        since = times_s[first:last] - at
        up = ramp(since, 0.0, _GLANCE_RAMP_S) * (1 - ramp(since, length + _GLANCE_RAMP_S, length + 2 * _GLANCE_RAMP_S))
        share[first:last] = up
        at += length + draws.uniform(*_GLANCE_EVERY_S)
    return share


def _calm_lids(clock: Clock, eyes: Eyes, opening: Array) -> Eyes:
    """Lids without the mesh's noise, but while they move."""
    lids = slice(0, LOWER.stop)
    calm = clock.mean(clock.median(eyes.points[:, :, lids], 0.06), 0.08)
    points = eyes.points.copy()
    still = opening > _OPEN
    points[still, :, lids] = calm[still]
    return Eyes(points=points, middle=eyes.middle, along=eyes.along, width=eyes.width)


def _calm_iris(clock: Clock, eyes: Eyes) -> Array:
    iris = eyes.points[:, :, IRIS]
    sideways = clock.calm(clock.median(iris[..., 0], 0.04), 0.1, spread=0.02)
    upright = clock.calm(clock.median(iris[..., 1], 0.075), 0.15, spread=0.02)
    return np.stack([sideways, upright], axis=-1)


def _why(parts: dict[str, Array]) -> NDArray[np.int8]:
    names = list(parts)
    shares = np.stack([parts[name] for name in names])
    codes = np.array([WHYS.index(name) for name in names], np.int8)
    return np.where(shares.min(axis=0) > WHOLE, 0, codes[shares.argmin(axis=0)]).astype(np.int8)


WHOLE, NONE = 0.9, 0.1  # of `share`: above it counts as corrected, below as left alone
