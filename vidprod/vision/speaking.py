"""Who is speaking, as far as mouths and sound tell: a guess.

A mouth that speaks opens and closes a few times a second while there is voice; one that only smiles, chews or is hidden
does not, or not in time with it. Nothing listens to words here, and who speaks off screen is not known.
"""

import numpy as np
from numpy.typing import NDArray

SAMPLES_A_S = 25  # of mouths and sound: twice the fastest syllables, eight a second, and to spare

_MOTION_S = 0.6  # two or three syllables: over these a mouth's opening spreads
_TOGETHER_S = 2.0  # over these it is compared with the sound
_STEADY_S = 1.2  # a turn of speech is seldom shorter than this
_STILL = 0.02  # spread of the opening, of the mouth's width: what landmarks of a closed mouth do. Speech: 0.05 … 0.15
_VOICE = (0.4, 0.7)  # of the way from the take's quiet moments to its loud ones: surely none, surely voice
_QUIET, _LOUD = 10, 95  # percentiles
_LEAST_RANGE_DB = 6.0  # a take whose sound changes less has no pauses that tell anything

Values = NDArray[np.float32]


def opening(mouth: Values) -> Values:
    """How far mouths are open: the distance of the inner lips over the mouth's width.

    Args:
        mouth: (m, 4, 2), as in a track.
    """
    corners = np.linalg.norm(mouth[:, 0] - mouth[:, 1], axis=1)
    lips = np.linalg.norm(mouth[:, 2] - mouth[:, 3], axis=1)
    return np.asarray(lips / np.maximum(corners, 1e-3), np.float32)


def voice(levels_db: Values) -> Values:
    """How surely there is voice at each moment, 0 … 1, by how loud it is for this take."""
    if levels_db.size == 0:
        return np.zeros(0, np.float32)
    quiet, loud = np.percentile(levels_db, [_QUIET, _LOUD])
    if loud - quiet < _LEAST_RANGE_DB:
        return np.ones(len(levels_db), np.float32)
    low, high = (quiet + part * (loud - quiet) for part in _VOICE)
    return np.asarray(np.clip((levels_db - low) / (high - low), 0, 1), np.float32)


def shares(open_: Values, seen: NDArray[np.bool_], heard: Values) -> Values:
    """Of each face, how much of the speaking is its own: (faces, n), 0 … 1, together at most 1.

    Args:
        open_: (faces, n) opening of the mouths; `seen` says where it is known.
        heard: (n,) voice.
    """
    spread = np.stack([_spread(row, _MOTION_S) for row in np.where(seen, open_, 0)])
    spread[~seen] = 0
    quick = np.stack([_spread(row, _MOTION_S / 3) for row in np.where(seen, open_, 0)])
    together = np.stack([np.maximum(0, _correlation(row, heard)) for row in quick])
    activity = np.stack([_mean(row, _STEADY_S) for row in spread**2 * (0.5 + 0.5 * together) * heard])
    during = _mean(heard, _STEADY_S) + 1e-3
    return np.asarray(activity / (activity.sum(axis=0) + _STILL**2 * during), np.float32)


def talk(heard: Values) -> Values:
    """How surely somebody talks around each moment, 0 … 1: about half of steady speech is voice."""
    return np.asarray(np.minimum(1, 2 * _mean(heard, _STEADY_S)), np.float32)


def _mean(values: Values, seconds: float) -> Values:
    """Over so many seconds around each moment."""
    half = max(1, round(seconds * SAMPLES_A_S / 2))
    summed = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    at = np.arange(len(values))
    first, end = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    return np.asarray((summed[end] - summed[first]) / (end - first), np.float32)


def _spread(values: Values, seconds: float) -> Values:
    centred = values - values.mean()
    variance = _mean(centred**2, seconds) - _mean(centred, seconds) ** 2
    return np.asarray(np.sqrt(np.maximum(variance, 0)), np.float32)


def _correlation(values: Values, others: Values) -> Values:
    spread = _spread(values, _TOGETHER_S) * _spread(others, _TOGETHER_S)
    product = _mean(values * others, _TOGETHER_S) - _mean(values, _TOGETHER_S) * _mean(others, _TOGETHER_S)
    return np.asarray(np.where(spread > 1e-6, product / np.maximum(spread, 1e-6), 0), np.float32)
