"""What is measured picture by picture, made calm. Windows are in seconds: how many pictures there are changes nothing.

Each looks to both sides, so that nothing lags. What lies in another run (another scene, beyond a gap) does not count.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LEAST = 1e-3  # weight of what lies at the very end of a window


class Clock:
    """When each of m rows was, and which run it belongs to."""

    def __init__(self, times_s: NDArray[Any], runs: NDArray[Any]) -> None:
        """
        Args:
            times_s: (m,) rising.
            runs: (m,) numbers; rows of one run lie together.
        """
        self.times_s = np.asarray(times_s, np.float64)
        self.runs = np.asarray(runs)

    def __len__(self) -> int:
        return len(self.times_s)

    def median(self, values: NDArray[Any], half_s: float) -> Array:
        """Of what is within ±`half_s`: takes single mistakes away and leaves edges where they are."""
        rows = _rows(values)
        near = [np.where(inside[:, None], rows[other], rows) for other, inside, _ in self._around(half_s)]
        return _shaped(np.median(np.stack(near), axis=0), values)

    def mean(self, values: NDArray[Any], half_s: float) -> Array:
        """Of what is within ±`half_s`, the nearer the more."""
        return self.calm(values, half_s, spread=np.inf)

    def calm(self, values: NDArray[Any], half_s: float, *, spread: float) -> Array:
        """As `mean`, but what differs by much more than `spread` does not mix: a saccade stays as sharp as it was.

        Source: bilateral filter, Tomasi and Manduchi 1998.
        """
        rows = _rows(values)
        total, weights = np.zeros_like(rows), np.zeros((len(rows), 1))
        for other, inside, away_s in self._around(half_s):
            weight = np.where(inside, np.maximum(1 - away_s / half_s, _LEAST), 0.0)
            weight = weight * np.exp(-((rows[other] - rows) ** 2).sum(axis=1) / (2 * spread**2))
            total += rows[other] * weight[:, None]
            weights += weight[:, None]
        return _shaped(total / weights, values)

    def lowest(self, values: NDArray[Any], half_s: float) -> Array:
        """Of what is within ±`half_s`."""
        rows = _rows(values)
        near = [np.where(inside[:, None], rows[other], rows) for other, inside, _ in self._around(half_s)]
        return _shaped(np.min(np.stack(near), axis=0), values)

    def filled(self, values: NDArray[Any], good: NDArray[np.bool_]) -> Array:
        """`values` where they are good, and between those elsewhere. Unchanged in a run where none is."""
        rows = _rows(values).copy()
        for run in np.split(np.arange(len(self)), np.flatnonzero(np.diff(self.runs)) + 1):
            known = run[good[run]]
            if len(known):
                columns = [np.interp(self.times_s[run], self.times_s[known], column) for column in rows[known].T]
                rows[run] = np.stack(columns, axis=1)
        return _shaped(rows, values)

    def _around(self, half_s: float) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_], Array]]:
        """Of each row another one, whether that counts, and how far away it is."""
        here = np.arange(len(self))
        ends = np.searchsorted(self.times_s, self.times_s + half_s, side="right")
        begins = np.searchsorted(self.times_s, self.times_s - half_s, side="left")
        most = int(max((ends - here).max(initial=1), (here - begins).max(initial=0) + 1))
        for lag in range(1 - most, most):
            other = np.clip(here + lag, 0, len(self) - 1)
            away_s = np.abs(self.times_s[other] - self.times_s)
            inside = (other == here + lag) & (away_s < half_s) & (self.runs[other] == self.runs)
            yield other, inside, away_s


def runs_of(times_s: NDArray[Any], scenes: NDArray[Any], *, gap_s: float) -> NDArray[np.int64]:
    """The number of the run each row belongs to: a new one in a new scene, and after a gap of more than `gap_s`."""
    if not len(times_s):
        return np.zeros(0, np.int64)
    new = (np.diff(times_s) > gap_s) | (np.diff(scenes) != 0)
    return np.concatenate([[0], np.cumsum(new)])


def ramp(values: NDArray[Any], low: float, high: float) -> Array:
    """0 up to `low`, 1 from `high`, smooth between them."""
    part = np.clip((np.asarray(values, np.float64) - low) / (high - low), 0.0, 1.0) if high > low else values >= high
    return np.asarray(part * part * (3 - 2 * part), np.float64) if high > low else np.asarray(part, np.float64)


def _rows(values: NDArray[Any]) -> Array:
    return np.asarray(values, np.float64).reshape(len(values), math.prod(np.shape(values)[1:]))


def _shaped(rows: Array, values: NDArray[Any]) -> Array:
    return rows.reshape(np.shape(values))
