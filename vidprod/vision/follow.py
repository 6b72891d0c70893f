"""Follows faces through a take: which of them is which, from picture to picture, across gaps and cuts.

Where a face was it is looked for again. The detector looks for others now and then, and at every picture for a while
after one was lost. A face that is found is one that was lost where place, size and colours agree.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidprod.vision.landmarks import FACE_POINTS, SURE, Landmarks, Mesh, Picture, Region, region_of

MOST_FACES = 4  # followed at a time, the largest
SIDE_TO_SEARCH = 640  # the longer side of the small pictures where no face is known

# Between two pictures in which faces are traced: all of 30 a second, though a phone's clock jitters by a tenth; of 240
# the eighth.
_LEAST_US = 29_250
_LOOK_US = 500_000  # between two looks for more faces
_SEARCH_US = 1_000_000  # after a loss every picture is searched for so long
_IDLE_US = 200_000  # between two looks where there is no face
_PROVE_US = 100_000  # between the first looks at a face: what the detector does not see again is none
_PROVEN_BY = 3  # looks, of which it must see the face in more than half: real faces it saw in all, on eight clips
_SURE_AT_FIRST = 0.75  # a face that begins has to be a little surer than one that goes on

# A region that jumps with each picture's landmarks makes the next ones jump: they move by up to a hundredth of the
# eye's width with it. Followed with this time constant, noise of the eye's points falls by a third where heads are
# calm, by a sixth on the average of six clips; where the face moves by a tenth of the region it is followed at once.
_CALM_S = 0.13
_CALM_MOVE, _QUICK_MOVE = 0.02, 0.10

# The width of a face in the picture it is traced in. From 140 on the iris differs by 0.5 % of the eye's width from what
# it is in larger pictures, which is noise; at 110 by 0.6 %, at 90 by 0.8 %, at 60 by 1.4 % (three clips).
_FACE_WIDTH = 200
_SIDES = (320, 400, 500, 624, 780, 960)  # of the small pictures

# Colours of a face: of one person they differed by less than 0.13 of their brightness within a clip (98 of 100
# pictures), between persons in ten clips by 0.16 and more but for one pair.
_SAME_COLOURS, _ALIKE_COLOURS = 0.12, 0.20
_STRANGE_COLOURS = 0.25  # then it may be a hand before the face, in which the model still sees one: the detector says
_COLOUR_CELLS, _COLOUR_SAMPLES = 8, 3
_SHORT_GAP_S = 2.0
_ONE_FACE = 0.4  # overlap over union, at which two are one


class Seen(NamedTuple):
    """A face in one picture. Points are pixels of the whole picture as displayed."""

    id: int
    points: Landmarks
    confidence: float


class Follower:
    """Follows all faces of a take. Deterministic: times are those of the pictures."""

    def __init__(self, mesh: Mesh, *, width: int, height: int) -> None:
        """
        Args:
            width, height: of the pictures as displayed, before they were made small.
        """
        self._mesh = mesh
        self._width, self._height = width, height
        self._live: list[_Face] = []
        self._lost: list[_Face] = []
        self._ids = 0
        self._cuts = 0
        self._looked_us: int | None = None
        self._traced_us: int | None = None
        self._lost_us = 0  # when one was lost last
        self.side = SIDE_TO_SEARCH  # the longer side that the next small picture should have

    def see(self, picture: Picture, at_us: int, *, cut: bool = False) -> list[Seen] | None:
        """The faces in this picture; None where it was not looked at, so soon after the last.

        Args:
            picture: the small one, RGB.
            cut: the take may have cut right before this picture.
        """
        if cut:
            self._part(at_us)
        elif self._traced_us is not None and at_us - self._traced_us < _LEAST_US:
            return None
        self._traced_us = at_us
        small = _Small(picture, self._width, self._height)
        self._trace_live(small, at_us)
        if self._is_time_to_look(at_us):
            self._look(small, at_us)
            self._choose_side()
        return [Seen(face.id, face.points, face.confidence) for face in self._live]

    def doubtful(self) -> set[int]:
        """The ids of what the detector saw but once, or not in most of its looks: a shirt, a roof in which the model
        still sees a face when it is told to look there."""
        return {face.id for face in [*self._live, *self._lost] if face.is_doubtful}

    def _part(self, at_us: int) -> None:
        """After a cut nobody is sure to be where he was."""
        for face in self._live:
            self._lose(face, at_us)
        self._live.clear()
        self._cuts += 1
        self._looked_us = None

    def _trace_live(self, small: "_Small", at_us: int) -> None:
        followed = []
        for face in self._live:
            points, confidence = self._trace(small, face.region)
            if confidence < SURE or not self._is_inside(points):
                self._lose(face, at_us)
                continue
            colours = small.colours_at(region_of(points))
            if _differ(face.colours, colours) > _STRANGE_COLOURS:
                if not self._is_found(small, points):
                    self._lose(face, at_us)
                    continue
                face.colours = face.colours + (colours - face.colours) * 0.1  # or the light is another one
            face.update(points, confidence, colours, at_us)
            followed.append(face)
        for face in _doubles(followed):
            followed.remove(face)
            self._lose(face, at_us)
        self._live = followed

    def _trace(self, small: "_Small", region: Region) -> tuple[Landmarks, float]:
        points, confidence = self._mesh.trace(small.picture, small.shrunk(region))
        return small.enlarged(points), confidence

    def _is_found(self, small: "_Small", points: Landmarks) -> bool:
        """Whether the detector sees a face there too."""
        found = [_square(small.enlarged_region(region)) for region in self._mesh.find(small.picture)]
        return any(_overlap(square, _box(points)) > _ONE_FACE / 2 for square in found)

    def _is_inside(self, points: Landmarks) -> bool:
        """Whether the middle of the face is in the picture: what is outside the model only imagines."""
        x, y = points[:FACE_POINTS, :2].mean(axis=0).tolist()
        return bool(0 <= x < self._width and 0 <= y < self._height)

    def _lose(self, face: "_Face", at_us: int) -> None:
        face.cuts = self._cuts
        self._lost.append(face)
        self._lost_us = at_us

    def _is_time_to_look(self, at_us: int) -> bool:
        if self._looked_us is None:
            return True
        if (self._lost or not self._live) and at_us - self._lost_us < _SEARCH_US:
            return True
        if any(face.looked < _PROVEN_BY for face in self._live):
            return at_us - self._looked_us >= _PROVE_US
        return at_us - self._looked_us >= (_LOOK_US if self._live else _IDLE_US)

    def _look(self, small: "_Small", at_us: int) -> None:
        self._looked_us = at_us
        new: list[_Face] = []
        regions = [small.enlarged_region(found) for found in self._mesh.find(small.picture)]
        for face in self._live:
            face.looked += 1
            face.found += any(_overlap(_square(region), face.box) > _ONE_FACE / 2 for region in regions)
        for face in [face for face in self._live if face.is_doubtful and face.looked >= _PROVEN_BY]:
            self._live.remove(face)
            self._lost.append(face)  # without a search for it
        for region in regions:
            if any(_overlap(_square(region), face.box) > _ONE_FACE / 2 for face in self._live):
                continue
            points, _ = self._trace(small, region)  # the detector's region is a rough one
            points, confidence = self._trace(small, region_of(points))
            if confidence < _SURE_AT_FIRST or not self._is_inside(points):
                continue
            if all(_overlap(_box(points), face.box) <= _ONE_FACE for face in [*self._live, *new]):
                new.append(_Face(points, confidence, small.colours_at(region_of(points)), at_us))
        self._recognize(new)
        for face in sorted(new, key=lambda face: -face.size):
            self._admit(face)
        self._live.sort(key=lambda face: face.id)

    def _recognize(self, new: list["_Face"]) -> None:
        """Says who they are: who was lost, those who agree best first, or nobody we know."""
        pairs = [
            (unlike, number, face)
            for number, each in enumerate(new)
            for face in self._lost
            if (unlike := face.unlike(each, cuts=self._cuts)) is not None
        ]
        for _, number, face in sorted(pairs, key=lambda pair: pair[:2]):
            if new[number].id < 0 and face in self._lost:
                self._lost.remove(face)
                new[number].id, new[number].colours = face.id, face.colours
                new[number].looked += face.looked
                new[number].found += face.found
        for face in new:
            if face.id < 0:
                face.id = self._ids
                self._ids += 1

    def _admit(self, face: "_Face") -> None:
        """Follows it, instead of a much smaller one where there are many."""
        if len(self._live) == MOST_FACES:
            smallest = min(self._live, key=lambda face: face.size)
            left_out = smallest if face.size > smallest.size * 1.3 else face
            left_out.cuts = self._cuts
            self._lost.append(left_out)
            if left_out is face:
                return
            self._live.remove(left_out)
        self._live.append(face)

    def _choose_side(self) -> None:
        """So that the faces that matter are as wide in the small picture as the model can use, and hardly more."""
        if not self._live:
            self.side = SIDE_TO_SEARCH
            return
        widths = [face.box[2] - face.box[0] for face in self._live]
        least = min(width for width in widths if width >= max(widths) / 2)
        wanted = _FACE_WIDTH / max(1.0, least) * max(self._width, self._height)
        if not self.side / 1.3 <= wanted <= self.side * 1.3:  # a change of size is a small jump of its own
            self.side = next((side for side in _SIDES if side >= wanted), _SIDES[-1])


Colours = NDArray[np.float32]
Box = tuple[float, float, float, float]


class _Face:
    """One that is followed, or was. Lengths are pixels of the whole picture."""

    def __init__(self, points: Landmarks, confidence: float, colours: Colours, at_us: int) -> None:
        self.id = -1
        self.points = points
        self.confidence = confidence
        self.colours = colours
        self.place = region_of(points)
        self.region = self.place  # where it is looked for next
        self.at_us = at_us
        self.cuts = 0  # of the take, when it was lost
        self.surprise = 0.0  # how far from where it was expected, in its own sizes, at the last picture
        self.unfamiliar = 0.0  # how much its colours differed then from what it looks like
        self.looked = self.found = 1  # how often the detector was asked while it was followed, and saw it too
        self._velocity = 0.0, 0.0  # pixels a second

    @property
    def box(self) -> Box:
        return _box(self.points)

    @property
    def size(self) -> float:
        return self.place.side

    @property
    def is_doubtful(self) -> bool:
        return self.found < 2 or self.found * 2 <= self.looked

    def update(self, points: Landmarks, confidence: float, colours: Colours, at_us: int) -> None:
        """It was found where it was looked for."""
        seconds = max(1e-3, (at_us - self.at_us) / 1e6)
        new, old = region_of(points), self.region
        x, y = self.expected(at_us)
        self.surprise = math.hypot(new.x - x, new.y - y) / new.side
        was, self.place = self.place, new
        share = min(1.0, seconds / _CALM_S)
        vx, vy = self._velocity
        self._velocity = (
            vx + ((new.x - was.x) / seconds - vx) * share,
            vy + ((new.y - was.y) / seconds - vy) * share,
        )
        self.region = _calmed(old, new, seconds)
        unlike = _differ(self.colours, colours)
        if unlike < _ALIKE_COLOURS:  # a hand before it is not what it looks like
            self.colours = self.colours + (colours - self.colours) * share / 4
        self.unfamiliar = unlike
        self.points, self.confidence, self.at_us = points, confidence, at_us

    def expected(self, at_us: int) -> tuple[float, float]:
        """Where its middle should be: on its way for a moment, then it may be anywhere around."""
        seconds = min(1.0, (at_us - self.at_us) / 1e6)
        return self.place.x + self._velocity[0] * seconds, self.place.y + self._velocity[1] * seconds

    def unlike(self, new: "_Face", *, cuts: int) -> float | None:
        """How little `new`, which was found now, is like this one, which was lost; None where it is another."""
        colours = _differ(self.colours, new.colours)
        ratio = max(self.size, new.size) / max(1.0, min(self.size, new.size))
        x, y = self.expected(new.at_us) if cuts == self.cuts else (self.place.x, self.place.y)
        away = math.hypot(new.place.x - x, new.place.y - y) / max(1.0, min(self.size, new.size))
        gap_s = (new.at_us - self.at_us) / 1e6
        if cuts != self.cuts:
            near = away <= 0.33 and ratio <= 1.25
        else:
            near = gap_s <= _SHORT_GAP_S and away <= 0.7 * (1 + gap_s) and ratio <= 1.6
        if (near and colours <= _ALIKE_COLOURS) or (colours <= _SAME_COLOURS and ratio <= 2.0):
            return colours / _SAME_COLOURS + min(away, 3.0)
        return None


def _calmed(old: Region, new: Region, seconds: float) -> Region:
    moved = math.hypot(new.x - old.x, new.y - old.y) / old.side
    calm = 1 - math.exp(-seconds / _CALM_S)
    quick = min(1.0, max(0.0, (moved - _CALM_MOVE) / (_QUICK_MOVE - _CALM_MOVE)))
    share = calm + (1 - calm) * quick
    return Region(*(a + (b - a) * share for a, b in zip(old, new, strict=True)))


def _doubles(faces: list[_Face]) -> Iterator[_Face]:
    """Of two that have become one face, the one that is less itself: it was hidden by the other."""
    gone: set[int] = set()
    for index, one in enumerate(faces):
        for other in faces[index + 1 :]:
            if not gone & {one.id, other.id} and _overlap(one.box, other.box) > _ONE_FACE:
                hidden = max(one, other, key=lambda face: (face.unfamiliar / _SAME_COLOURS + face.surprise, face.id))
                gone.add(hidden.id)
                yield hidden


def _box(points: Landmarks) -> Box:
    x0, y0 = points[:FACE_POINTS, :2].min(axis=0).tolist()
    x1, y1 = points[:FACE_POINTS, :2].max(axis=0).tolist()
    return x0, y0, x1, y1


def _square(region: Region) -> Box:
    """The face in a region, roughly."""
    half = region.side / 3
    return region.x - half, region.y - half, region.x + half, region.y + half


def _overlap(a: Box, b: Box) -> float:
    """Over the union, 0 … 1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def _differ(a: Colours, b: Colours) -> float:
    return float(np.abs(a - b).mean())


class _Small:
    """A small picture, and the way from it to the whole one and back."""

    def __init__(self, picture: Picture, width: int, height: int) -> None:
        self.picture = picture
        self._x = width / picture.shape[1]
        self._y = height / picture.shape[0]
        self._scale = math.sqrt(self._x * self._y)

    def shrunk(self, region: Region) -> Region:
        return Region(region.x / self._x, region.y / self._y, region.side / self._scale, region.turn)

    def enlarged_region(self, region: Region) -> Region:
        return Region(region.x * self._x, region.y * self._y, region.side * self._scale, region.turn)

    def enlarged(self, points: Landmarks) -> Landmarks:
        return np.asarray(points * np.array([self._x, self._y, self._scale]), np.float32)

    def colours_at(self, region: Region) -> Colours:
        """What the face in `region` looks like: the colours of 8 × 8 cells, of their mean brightness."""
        x0, y0, side, turn = self.shrunk(region)
        count = _COLOUR_CELLS * _COLOUR_SAMPLES
        along = ((np.arange(count) + 0.5) / count - 0.5) * side / 1.5
        x, y = np.meshgrid(along, along)
        cos, sin = math.cos(turn), math.sin(turn)
        height, width = self.picture.shape[:2]
        columns = np.clip(x0 + x * cos - y * sin, 0, width - 1).astype(np.intp)
        rows = np.clip(y0 + x * sin + y * cos, 0, height - 1).astype(np.intp)
        samples = self.picture[rows, columns].astype(np.float32)
        cells = samples.reshape(_COLOUR_CELLS, _COLOUR_SAMPLES, _COLOUR_CELLS, _COLOUR_SAMPLES, 3).mean(axis=(1, 3))
        return np.asarray(cells / (cells.mean() + 1), np.float32)
