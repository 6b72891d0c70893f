"""Where the vertical crop of a take is at each moment: around whom, holding or moving, or the whole picture instead.

Three decisions, each over the whole take at once. Per scene: which faces matter. Then at each moment: one of them, all
of them together, or the whole picture over its blurred copy (`_choose`). Last, along each stretch that is cropped:
holds and eased moves (`camera`). All lengths are in seconds and in widths of the crop, so neither the rate of the
pictures nor their size changes the result.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidprod.domain.gaze import FramingReport
from vidprod.domain.plan import Canvas
from vidprod.vision import speaking
from vidprod.vision.camera import SAMPLES, STEP_S, Followed, Leg, ease, operate
from vidprod.vision.track import Face, Track

_BRIDGED_US = (
    1_000_000  # a face that is lost no longer than this was there: a hand, a turn of the head, a blink of the finder
)
_SAME_PLACE = 1.0  # widths of a face: a face this near to where another was lost is the same
_EYES_AT = 0.38  # of the height, from the top, where a crop moves up and down: the eyes at about a third, room above
_LEAST_SIZE = 0.06  # widths of the crop: a smaller face is somebody in the distance
_MATTERS = 0.6  # of the size of the scene's largest: who is further back does not speak to us
_OFTEN, _LONG_S = 0.2, 1.0  # of the scene, or so long: else it only passed

# What a choice costs a second, against a picture that is right: 1 is one that plainly is not.
_NOT_THERE = 1.0  # a crop of where nobody is
_WHOLE = 1.0  # the whole picture, small, though a face could be shown large
_WHOLE_OF_MANY = 0.6  # the same, where faces do not fit into one crop
_ONE_OF_MANY = 1.5  # times how unsure it is that this one speaks: surer than 3 : 2 beats the whole picture
_ONE_OF_FEW = 0.3  # one, though all would fit
_ALL = 0.1  # all, though some are not there now
_CUT_OFF = 2.0  # all, though they do not fit
_EMPTY = 0.4  # the crop, in a scene without faces
_SILENT = 0.1  # of the cost while nobody is heard: there is no hurry to change then
_FITS = (0.86, 0.96)  # widths of the crop that faces together take: well, not any more
# And what changing costs: as much as that many seconds of a picture that is not right. So nothing is shown for less
# than about 2 s, and a face is away for about 3 before the whole picture takes its place.
_CHANGE = 1.5
_REGROUP = 0.75  # between one and all: no cut, yet no cheaper way round one
_CHANGE_AT_CUT = 0.75  # where the picture changes anyhow

_LEAST_SHARE = 0.1  # of the take; less of a face does not make it a take of one, unless one is asked for

Values = NDArray[np.float32]
Flags = NDArray[np.bool_]
Listen = Callable[[], Values | None]


class Window(NamedTuple):
    """What of a picture is shown: a crop, `place` (0 … 1) of its way from the left or the top, or the whole."""

    close: bool
    place: float


@dataclass(frozen=True, kw_only=True)
class Piece:
    """The crop between two times: it holds, or goes from one place to another; or the whole picture."""

    begin_us: int
    end_us: int
    close: bool
    start: float = 0.5
    stop: float = 0.5

    def at(self, at_us: int) -> float:
        """The place then."""
        if self.start == self.stop:
            return self.start
        part = min(1.0, max(0.0, (at_us - self.begin_us) / (self.end_us - self.begin_us)))
        return float(self.start + (self.stop - self.start) * ease(part))


class CropPath:
    """The windows of a take, for any time in it."""

    def __init__(self, pieces: list[Piece], followed: list[tuple[int, frozenset[int]]]) -> None:
        """
        Args:
            pieces: one after the other, of the whole take.
            followed: times from which on these faces are.
        """
        self.pieces = pieces
        self._begins = [piece.begin_us for piece in pieces]
        self._followed = followed

    def window(self, at_us: int) -> Window:
        """What is shown then; of the first and the last piece also before and after it."""
        piece = self.pieces[max(0, bisect_right(self._begins, at_us) - 1)]
        return Window(piece.close, piece.at(at_us))

    @property
    def close_share(self) -> float:
        """How much of the take is cropped."""
        whole = self.pieces[-1].end_us - self.pieces[0].begin_us
        return sum(piece.end_us - piece.begin_us for piece in self.pieces if piece.close) / max(1, whole)

    def report(self, windows: list[tuple[int, Window]]) -> FramingReport:
        """Of the frames of a segment, each with its time."""
        close = sum(window.close for _, window in windows) / max(1, len(windows))
        begin, end = (windows[0][0], windows[-1][0]) if windows else (0, 0)
        moves = [piece for piece in self.pieces if piece.start != piece.stop and begin <= piece.begin_us <= end]
        cuts = [
            after
            for before, after in pairwise(self.pieces)
            if begin < after.begin_us <= end and (before.close, before.stop) != (after.close, after.start)
        ]
        faces: set[int] = set()
        for (from_us, who), (until_us, _) in pairwise([*self._followed, (end + 1, frozenset())]):
            if from_us <= end and until_us > begin:
                faces |= who
        return FramingReport(
            followed=round(close, 4),
            blurred=round(1 - close, 4),
            moves=len(moves),
            cuts=len(cuts),
            speakers=len(faces),
        )


def follow(
    track: Track, *, canvas: Canvas, listen: Listen, hop_s: float, blurs: bool, asked_for: bool
) -> CropPath | None:
    """The path of the crop that fills `canvas`; None where there is nobody to follow.

    Args:
        canvas: the picture's own place on it does not count.
        listen: asked, where it matters who speaks, how loud each `hop_s` of the take is, dB; None: it has no sound.
        blurs: the whole picture, over its blurred copy, takes the place of a crop that would show nobody.
        asked_for: following a face was asked for: however seldom one is there.
    """
    if len(track.times_us) == 0:
        return None
    axis = _Axis(track, canvas)
    scenes = [_Scene(axis, begin, end, seen) for begin, end, seen in _scenes(track)]
    heard = listen() if any(scene.is_crowded for scene in scenes) else None
    voice = None if heard is None else speaking.voice(heard)
    for scene in scenes:
        scene.weigh(voice, hop_s, blurs=blurs)
    _choose(scenes)
    if not any(option.slots for scene in scenes for option in scene.chosen()):
        return None
    path = CropPath(_pieces(scenes, axis), _followed(scenes))
    return path if asked_for or path.close_share >= _LEAST_SHARE else None


class _Axis:
    """Along what the crop moves, in widths of the crop (heights, where it moves down)."""

    def __init__(self, track: Track, canvas: Canvas) -> None:
        across = track.width * canvas.height >= track.height * canvas.width
        size, other = (track.width, track.height) if across else (track.height, track.width)
        shown = other * canvas.width / canvas.height if across else other * canvas.height / canvas.width
        self.down = not across
        self.crop = min(shown, size)  # pixels
        self.free = (size - self.crop) / self.crop
        self.aim = _EYES_AT if self.down else 0.5

    def of(self, face: Face, rows: slice) -> tuple[Values, Values, Values, Values]:
        """Both ends of a face, what of it shall be at the aim, and its width."""
        box = face.box[rows] / np.float32(self.crop)
        if self.down:
            eyes = face.eyes[rows, :, :16, 1].mean(axis=(1, 2)) / np.float32(self.crop)
            return box[:, 1], box[:, 3], eyes, box[:, 2] - box[:, 0]
        return box[:, 0], box[:, 2], (box[:, 0] + box[:, 2]) / 2, box[:, 2] - box[:, 0]


@dataclass
class _Appearance:
    """A face in one scene."""

    face: Face
    rows: slice  # of the face's own arrays
    times_us: NDArray[np.int64]
    until_us: NDArray[np.int64]  # when the picture after each is shown


def _scenes(track: Track) -> Iterator[tuple[int, int, list[_Appearance]]]:
    """Begin and end of each scene, µs, and who is in it."""
    times = track.times_us
    usual = int(np.median(np.diff(times))) if len(times) > 1 else 40_000
    nexts = np.append(times[1:], times[-1] + max(1, usual))
    firsts = np.flatnonzero(np.append(True, track.scenes[1:] != track.scenes[:-1]))
    appearing: list[list[_Appearance]] = [[] for _ in firsts]
    for face in track.faces:
        if len(face.at) == 0:
            continue
        number = np.searchsorted(firsts, face.at, side="right") - 1
        starts = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
        for first, end in pairwise([*starts.tolist(), len(number)]):
            rows = slice(first, end)
            seen = face.at[rows]
            appearing[int(number[first])].append(_Appearance(face, rows, times[seen], nexts[seen]))
    begins = times[firsts].astype(np.int64)
    begins[0] = min(0, int(begins[0]))  # what is shown before the first picture is the first picture
    ends = np.append(begins[1:], nexts[-1])
    for begin, end, seen_here in zip(begins.tolist(), ends.tolist(), appearing, strict=True):
        yield begin, max(end, begin + 1), sorted(seen_here, key=lambda one: (int(one.times_us[0]), one.face.id))


@dataclass(frozen=True)
class _Option:
    """What may be shown: the whole picture, or a crop of these slots of the scene; of none: of where it was."""

    close: bool
    slots: tuple[int, ...] = ()


@dataclass
class _Slot:
    """One after another in a scene, what is taken for one person."""

    appearances: list[_Appearance] = field(default_factory=list)

    @property
    def label(self) -> int:
        return int(self.appearances[0].face.id)

    @property
    def until_us(self) -> int:
        return int(self.appearances[-1].until_us[-1])

    def place(self) -> tuple[float, float]:
        """Where it was last, and its width, pixels."""
        last = self.appearances[-1]
        box = last.face.box[last.rows][-1]
        return float(box[0] + box[2]) / 2, float(box[2] - box[0])


class _Scene:
    """A stretch between two cuts of the source, in steps of about `STEP_S` that begin with it."""

    def __init__(self, axis: _Axis, begin_us: int, end_us: int, appearances: list[_Appearance]) -> None:
        self._axis = axis
        self.begin_us, self.end_us = begin_us, end_us
        self.steps = max(1, round((end_us - begin_us) / 1e6 / STEP_S))
        count = self.steps * SAMPLES
        self._at_us = begin_us + (np.arange(count) + 0.5) * ((end_us - begin_us) / count)
        sampled = [self._sample(slot) for slot in _slots(appearances)]
        self._people = people = _who_matters(sampled)
        self._seen = np.array([one.seen for one in people], np.bool_).reshape(len(people), count)
        self._together = _misfit(people, count)
        self.options: list[_Option] = []
        self.costs: Values = np.zeros((0, self.steps), np.float32)
        self.choice: NDArray[np.intp] = np.zeros(self.steps, np.intp)

    @property
    def is_crowded(self) -> bool:
        """Whether there are several at some time who do not fit into one crop."""
        return bool((self._together > 0).any())

    def bounds_us(self) -> list[int]:
        """When each step begins, and when the last ends."""
        length = self.end_us - self.begin_us
        return [self.begin_us + length * step // self.steps for step in range(self.steps + 1)]

    def chosen(self) -> list[_Option]:
        """Of each step."""
        return [self.options[index] for index in self.choice]

    def labels(self, option: _Option) -> frozenset[int]:
        """Whose faces these are."""
        return frozenset(self._people[slot].label for slot in option.slots)

    def followed(self, option: _Option) -> Followed:
        """What is in the crop then, over the whole scene."""
        shape = (self.steps, SAMPLES)
        people = [self._people[slot] for slot in option.slots]
        if not people:
            nothing = np.zeros(shape, np.float32)
            return Followed(low=nothing, high=nothing, at=nothing, seen=np.zeros(shape, np.bool_))
        low, high, seen = _extent(people)
        at = (low + high) / 2
        if self._axis.down:
            count = np.maximum(1, np.sum([one.seen for one in people], axis=0))
            at = (np.sum([one.at * one.seen for one in people], axis=0) / count).astype(np.float32)
        return Followed(
            low=low.reshape(shape), high=high.reshape(shape), at=at.reshape(shape), seen=seen.reshape(shape)
        )

    def weigh(self, voice: Values | None, hop_s: float, *, blurs: bool) -> None:
        """What each option costs in each step."""
        people = self._people
        everybody = tuple(range(len(people)))
        self.options = [_Option(close=True, slots=(slot,)) for slot in everybody] or [_Option(close=True)]
        if len(people) > 1:
            self.options.append(_Option(close=True, slots=everybody))
        if blurs:
            self.options.append(_Option(close=False))
        seen = self._seen
        there = seen.sum(axis=0)
        together = self._together
        crowd, fits = there > 1, together <= 0
        talking, hurry = np.full(seen.shape, 0.5, np.float32), np.ones(len(there), np.float32)
        if voice is not None and self.is_crowded:
            heard = self._heard(voice, hop_s)
            talking = speaking.shares(np.array([one.open for one in people]), seen, heard)
            hurry = np.maximum(_SILENT, speaking.talk(heard))
        rows: list[Values] = []
        for option in self.options:
            if not option.close:
                cost = np.select([there == 0, ~crowd | fits], [0.0, _WHOLE], _WHOLE_OF_MANY * hurry)
            elif not option.slots:
                cost = np.full(len(there), _EMPTY)
            elif len(option.slots) == 1:
                slot = option.slots[0]
                alone = np.where(fits, _ONE_OF_FEW, _ONE_OF_MANY * (1 - talking[slot]) * hurry)
                cost = np.where(seen[slot], np.where(crowd, alone, 0.0), _NOT_THERE)
            else:
                some = np.where(crowd, np.clip(together, 0, 1) * _CUT_OFF, _ALL)
                cost = np.where(there > 0, some, _NOT_THERE)
            rows.append(np.asarray(cost, np.float32).reshape(self.steps, SAMPLES).mean(axis=1))
        self.costs = np.stack(rows) * np.float32((self.end_us - self.begin_us) / 1e6 / self.steps)

    def _heard(self, voice: Values, hop_s: float) -> Values:
        if voice.size == 0:
            return np.zeros(len(self._at_us), np.float32)
        middles = (np.arange(len(voice)) + 0.5) * hop_s
        return np.interp(self._at_us / 1e6, middles, voice).astype(np.float32)

    def _sample(self, slot: _Slot) -> "_Person":
        """A slot at the scene's own steps."""
        ends = [self._axis.of(one.face, one.rows) for one in slot.appearances]
        low, high, at, size = (np.concatenate([parts[index] for parts in ends]) for index in range(4))
        open_ = np.concatenate([speaking.opening(one.face.mouth[one.rows]) for one in slot.appearances])
        times = np.concatenate([one.times_us for one in slot.appearances])
        until = np.concatenate([one.until_us for one in slot.appearances])
        nexts = np.append(times[1:], times[-1])
        until = np.where((nexts - until <= _BRIDGED_US) & (nexts > times), nexts, until)
        index = np.searchsorted(times, self._at_us, side="right") - 1
        seen = (index >= 0) & (self._at_us < until[index])

        def then(values: Values) -> Values:
            return np.interp(self._at_us, times, values).astype(np.float32)

        return _Person(
            label=slot.label,
            low=then(low),
            high=then(high),
            at=then(at),
            open=then(open_),
            size=float(np.median(size)),
            seen=seen,
            seconds=float(seen.mean()) * (self.end_us - self.begin_us) / 1e6,
        )


@dataclass(frozen=True, kw_only=True)
class _Person:
    """Somebody in a scene: (samples,) each; lengths in widths of the crop."""

    label: int
    low: Values
    high: Values
    at: Values
    open: Values
    size: float
    seen: Flags
    seconds: float


def _extent(people: list[_Person]) -> tuple[Values, Values, Flags]:
    """From where to where those reach who are there, and whether anybody is; 0 to 0 where not."""
    seen = np.any([one.seen for one in people], axis=0)
    low = np.min([np.where(one.seen, one.low, np.inf) for one in people], axis=0)
    high = np.max([np.where(one.seen, one.high, -np.inf) for one in people], axis=0)
    return np.where(seen, low, 0).astype(np.float32), np.where(seen, high, 0).astype(np.float32), seen


def _misfit(people: list[_Person], count: int) -> Values:
    """How badly those that are there fit into one crop, of each of `count` samples: 0 well, 1 not at all."""
    if len(people) < 2:
        return np.zeros(count, np.float32)
    low, high, _ = _extent(people)
    several = np.sum([one.seen for one in people], axis=0) > 1
    least, most = _FITS
    return np.asarray(np.where(several, np.clip((high - low - least) / (most - least), 0, 1), 0), np.float32)


def _slots(appearances: list[_Appearance]) -> list[_Slot]:
    """Appearances that do not overlap, and follow each other at about the same place, belong together: a face that was
    lost and found again may have got another number."""
    slots: list[_Slot] = []
    for one in appearances:
        box = one.face.box[one.rows][0]
        centre, size = float(box[0] + box[2]) / 2, float(box[2] - box[0])
        free = [slot for slot in slots if slot.until_us <= int(one.times_us[0])]
        near = [
            (abs(place - centre), number)
            for number, slot in enumerate(free)
            for place, last_size in [slot.place()]
            if abs(place - centre) <= _SAME_PLACE * max(size, last_size)
        ]
        if near:
            free[min(near)[1]].appearances.append(one)
        else:
            slots.append(_Slot([one]))
    return slots


def _who_matters(people: list[_Person]) -> list[_Person]:
    """Those large enough and there long enough to be what the scene is about."""
    largest = max((one.size for one in people), default=0.0)
    often = [one for one in people if one.size >= max(_LEAST_SIZE, _MATTERS * largest)]
    whole = max((len(one.seen) * STEP_S / SAMPLES for one in often), default=0.0)
    return [one for one in often if one.seconds >= min(_LONG_S, _OFTEN * whole)]


def _choose(scenes: list[_Scene]) -> None:
    """The cheapest choices, with the cost of changing: sets `choice` of each scene."""
    total: Values = np.zeros(0, np.float32)
    before: list[_Option] = []
    came: list[NDArray[np.int8]] = []
    for scene in scenes:
        options = scene.options
        within = _changes(options, options, _CHANGE, _REGROUP)
        back = np.zeros((scene.steps, len(options)), np.int8)
        for step in range(scene.steps):
            if step or before:
                change = within if step else _changes(before, options, _CHANGE_AT_CUT, 0.0)
                reached = total[:, None] + change
                back[step] = reached.argmin(axis=0)
                total = reached.min(axis=0)
            else:
                total = np.zeros(len(options), np.float32)
            total = total + scene.costs[:, step]
        came.append(back)
        before = options
    chosen = int(total.argmin())
    for scene, back in zip(reversed(scenes), reversed(came), strict=True):
        for step in range(scene.steps - 1, -1, -1):
            scene.choice[step] = chosen
            chosen = int(back[step, chosen])


def _changes(before: list[_Option], after: list[_Option], change: float, regroup: float) -> Values:
    """What it costs to come from each to each."""

    def cost(one: _Option, other: _Option) -> float:
        if one.close != other.close:
            return change
        if one.slots == other.slots:
            return 0.0
        shared = not one.slots or not other.slots or bool(set(one.slots) & set(other.slots))
        return regroup if shared or regroup == 0.0 else change

    return np.array([[cost(one, other) for other in after] for one in before], np.float32)


def _pieces(scenes: list[_Scene], axis: _Axis) -> list[Piece]:
    """The camera's way, scene after scene: stretches of the crop are planned over the cuts in them."""
    pieces: list[Piece] = []
    run = _Run()
    for scene in scenes:
        bounds = scene.bounds_us()
        chosen = scene.chosen()
        changes = [step for step in range(1, scene.steps) if chosen[step] != chosen[step - 1]]
        for first, end in pairwise([0, *changes, scene.steps]):
            option = chosen[first]
            if not option.close:
                pieces += run.shoot(axis)
                run = _Run()
                pieces.append(Piece(begin_us=bounds[first], end_us=bounds[end], close=False))
                continue
            run.add(scene.followed(option).part(first, end), bounds[first : end + 1], option, at_cut=first == 0)
    pieces += run.shoot(axis)
    return _joined(pieces)


class _Run:
    """A stretch that is cropped throughout."""

    def __init__(self) -> None:
        self._parts: list[Followed] = []
        self._bounds: list[int] = []
        self._jumps: list[int] = []
        self._last: _Option | None = None

    def add(self, part: Followed, bounds_us: list[int], option: _Option, *, at_cut: bool) -> None:
        """What is followed next. At a cut of the source, and where another speaks, the crop may jump."""
        step = len(self._bounds) - 1
        other = self._last is not None and not set(self._last.slots) & set(option.slots)
        if step > 0 and (at_cut or (other and option.slots)):
            self._jumps.append(step)
        self._parts.append(part)
        del self._bounds[-1:]
        self._bounds += bounds_us
        self._last = option

    def shoot(self, axis: _Axis) -> list[Piece]:
        """Its pieces."""
        if not self._parts:
            return []
        parts = self._parts
        followed = Followed(
            low=np.concatenate([part.low for part in parts]),
            high=np.concatenate([part.high for part in parts]),
            at=np.concatenate([part.at for part in parts]),
            seen=np.concatenate([part.seen for part in parts]),
        )
        legs = operate(followed, free=axis.free, aim=axis.aim, jumps=self._jumps)
        return [self._piece(leg, axis) for leg in legs]

    def _piece(self, leg: Leg, axis: _Axis) -> Piece:
        start, stop = (place / axis.free if axis.free > 0 else 0.5 for place in (leg.start, leg.stop))
        begin, end = self._bounds[leg.begin], self._bounds[leg.end]
        return Piece(begin_us=begin, end_us=end, close=True, start=start, stop=stop)


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Neighbours that are one made one."""
    joined: list[Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        still = piece.start == piece.stop
        if last and still and last.start == last.stop and (last.close, last.stop) == (piece.close, piece.start):
            joined[-1] = Piece(
                begin_us=last.begin_us, end_us=piece.end_us, close=last.close, start=last.start, stop=last.stop
            )
        else:
            joined.append(piece)
    return joined


def _followed(scenes: list[_Scene]) -> list[tuple[int, frozenset[int]]]:
    """Who is followed, and from when on."""
    changes: list[tuple[int, frozenset[int]]] = []
    for scene in scenes:
        bounds = scene.bounds_us()
        for step, option in enumerate(scene.chosen()):
            who = scene.labels(option)
            if not changes or changes[-1][1] != who:
                changes.append((bounds[step], who))
    return changes
