"""Where a take cuts: the pictures after are of something else than those before, and stay so.

Pictures are compared as grids of 32 × 18 brightnesses of which mean and contrast are taken out, so that a light that
is dimmed is no change. The change from one picture to the next is 0 for the same, 0.5 from or to black, about 1 for
pictures that have nothing in common. Over some 13,000 pictures (talks, a cartoon, an action film, phones held in the
hand) cuts changed 0.5 and more, the fastest pans and shakes 0.25 at most, and these came in rows. What changes so much
is compared with its neighbours, as PySceneDetect's AdaptiveDetector does, and withdrawn when what was before returns.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_COLUMNS, _ROWS = 32, 18
_SAMPLES = 4  # a side of each cell
_NOISE = 16.0  # of 255², variance: black and fog have no contrast that means anything
_STILL = 0.005  # change of a picture in which nothing moves: grain, coding

# A change is a cut where it is so large, and so many times that of the pictures around it. The second is for a jump
# within one view: a talk from which a stretch was cut.
_CUTS = ((0.35, 1.5), (0.15, 15.0))
_NEIGHBOURS = 2  # on either side
_FLASH_US = 250_000  # what returns so soon has not gone; a photographer's flash is over in less than 0.1 s

Grid = NDArray[np.float32]


class Scenes:
    """Finds the cuts while the pictures come."""

    def __init__(self) -> None:
        self._grid: Grid | None = None
        self._changes: list[float] = [_STILL] * _NEIGHBOURS  # the latest, the last at the end
        self._pictures = 0
        self._suspects: list[_Suspect] = []
        self._cuts: list[int] = []

    def see(self, picture: NDArray[np.uint8], at_us: int) -> bool:
        """Whether the take may have cut right before this picture; `cuts` knows better later.

        Args:
            picture: (height, width, 3) uint8, RGB; its size may differ from that of the one before.
        """
        grid = _grid(picture)
        before, self._grid = self._grid, grid
        change = 0.0 if before is None else _change(before, grid)
        returns = self._watch(grid, change, at_us)
        around = self._changes[-_NEIGHBOURS:]
        suspected = False
        if before is not None and not returns and _is_cut(change, around):
            suspected = True
            self._suspects.append(_Suspect(self._pictures, at_us, change, before, around))
        self._changes = [*around, change]
        self._pictures += 1
        return suspected

    def cuts(self) -> list[int]:
        """The numbers of the pictures that begin a scene, but for the first. After the last picture."""
        for suspect in self._suspects:
            self._judge(suspect)
        self._suspects.clear()
        return self._cuts

    def _watch(self, grid: Grid, change: float, at_us: int) -> bool:
        """Whether what was before a suspected cut returns with this picture."""
        returns = False
        waiting = []
        for suspect in self._suspects:
            returns = suspect.watch(grid, change) or returns
            if suspect.seen >= _NEIGHBOURS and at_us - suspect.at_us > _FLASH_US:
                self._judge(suspect)
            else:
                waiting.append(suspect)
        self._suspects = waiting
        return returns

    def _judge(self, suspect: "_Suspect") -> None:
        if not suspect.returned and _is_cut(suspect.change, suspect.before, suspect.after):
            self._cuts.append(suspect.picture)


class _Suspect:
    """A picture before which the take may have cut."""

    def __init__(self, picture: int, at_us: int, change: float, grid: Grid, before: list[float]) -> None:
        self.picture = picture
        self.at_us = at_us
        self.change = change
        self.before = before
        self.after: list[float] = []
        self.seen = 0  # pictures after it
        self.returned = False  # what was before the change
        self._grid = grid

    def watch(self, grid: Grid, change: float) -> bool:
        """Whether what was before it is here again."""
        if self.seen < _NEIGHBOURS:
            self.after.append(change)
        self.seen += 1
        returns = _change(self._grid, grid) < self.change / 2
        self.returned = self.returned or returns
        return returns


def _is_cut(change: float, *around: list[float]) -> bool:
    """Whether so large a change is one among those before, and those after it: a pan begins or ends with one."""
    usual = max((sum(side) / len(side) for side in around if side), default=0.0) + _STILL
    return any(change >= least and change >= times * usual for least, times in _CUTS)


def numbered(cuts: list[int], pictures: int) -> NDArray[np.int32]:
    """The number of the scene each picture belongs to, (pictures,), from 0 on."""
    bounds = [0, *cuts, pictures]
    return np.repeat(np.arange(len(bounds) - 1, dtype=np.int32), [end - first for first, end in pairwise(bounds)])


def _grid(picture: NDArray[np.uint8]) -> Grid:
    """Brightness in cells, mean 0 and variance 1. Green stands for brightness: it is most of it."""
    height, width = picture.shape[:2]
    rows = _places(height, _ROWS * _SAMPLES)
    columns = _places(width, _COLUMNS * _SAMPLES)
    samples = picture[rows[:, None], columns[None, :], 1].astype(np.float32)
    cells = samples.reshape(_ROWS, _SAMPLES, _COLUMNS, _SAMPLES).mean(axis=(1, 3))
    cells -= cells.mean()
    return np.asarray(cells / np.sqrt((cells**2).mean() + _NOISE), np.float32)


def _places(size: int, count: int) -> NDArray[np.intp]:
    return np.asarray((np.arange(count) + 0.5) * size / count, np.intp)


def _change(before: Grid, after: Grid) -> float:
    return float(((after - before) ** 2).mean() / 2)
