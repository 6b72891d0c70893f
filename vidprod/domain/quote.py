"""A quote: how long a take will need and how much room, told before its first byte. Everything here is pure.

It is a guess from what earlier takes needed on this machine: their wall time for each second of media, by what is done
to the picture, and the bytes that were made of them. Where there are none yet, figures of our own benchmark stand in,
measured on two cores, and the quote says so (`jobs` is 0).
"""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Literal

import msgspec

from vidprod.domain.recipe import Recipe
from vidprod.domain.task import job_percent

WorkKind = Literal["copy", "encode", "gaze"]

PACE: dict[WorkKind, float] = {  # seconds of work for a second of media: `tests.benchmarks.media` and `.gaze`, 1080p
    "copy": 0.003,
    "encode": 0.45,
    "gaze": 0.55,
}
SLOWER, FASTER = 4.0, 2.0  # what is not measured may take so many times longer, or shorter
MADE_BYTES_PER_S = 700_000  # of an encoded segment; the encoder's greatest rate is half as much again
MOST_BYTES_PER_S = 1_050_000
SOURCE_BYTES_PER_S = 2_100_000  # 1080p from a phone, where only the size is known
START_S = 1.0  # a child that starts, stills, digests: what a take of no length costs
MADE_RATIO = 0.35  # bytes made for each byte sent, before anything was made here
MOST_RATIO = 1.5  # a talk of low rate grows when it is encoded; more than this is held for nobody

_ENOUGH = 3  # of takes of like size, to leave the others out
_LIKE = 2.0  # times the pixels, or half of them


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A take that was made here."""

    kind: WorkKind
    media_s: float
    work_s: float  # wall time of its steps
    pixels: int  # of one picture
    source_bytes: int
    made_bytes: int


class Ahead(msgspec.Struct, frozen=True, kw_only=True):
    """A take that waits or is worked on."""

    kind: WorkKind
    media_s: float | None  # None until it is probed
    source_bytes: int
    done: float = 0.0  # 0 … 1


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of work for each second of media. `jobs`: of so many takes; 0: of none here."""

    low: float
    likely: float
    high: float
    jobs: int


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that a take needs on the volume until its source goes."""

    source: int
    segments: int
    working: int  # the segment that is being made

    @property
    def total(self) -> int:
        return self.source + self.segments + self.working


def kind_of(recipe: Recipe) -> WorkKind:
    """What is done to the picture: that is what takes the time."""
    if recipe.video == "copy":
        return "copy"
    return "gaze" if recipe.corrects else "encode"


def pace_of(past: Iterable[Past], kind: WorkKind, *, pixels: int | None = None) -> Pace:
    """From takes of the same kind, and of like size where there are enough of them."""
    same = [one for one in past if one.kind == kind and one.media_s > 0]
    if pixels is not None:
        like = [one for one in same if pixels / _LIKE <= one.pixels <= pixels * _LIKE]
        same = like if len(like) >= _ENOUGH else same
    if not same:
        likely = PACE[kind]
        return Pace(low=likely / FASTER, likely=likely, high=likely * SLOWER, jobs=0)
    rates = sorted(max(0.0, one.work_s - START_S) / one.media_s for one in same)
    likely = median(rates)
    doubt = 1 + 1 / len(rates)  # one take says less than ten
    return Pace(
        low=min(_quantile(rates, 0.1), likely / doubt),
        likely=likely,
        high=max(_quantile(rates, 0.9), likely * doubt),
        jobs=len(rates),
    )


def work_s(media_s: float, rate: float) -> float:
    """How long it is worked on a take."""
    return START_S + media_s * rate


def guessed_s(past: Sequence[Past], size: int) -> float:
    """How long a take of `size` bytes is, when nobody says."""
    rates = [one.source_bytes / one.media_s for one in past if one.media_s > 0]
    return size / (median(rates) if rates else SOURCE_BYTES_PER_S)


def queue_s(ahead: Iterable[Ahead], past: Sequence[Past], *, children: int) -> float:
    """Until the last of those before it is done, with so many media children at work."""
    total = 0.0
    for one in ahead:
        media_s = one.media_s if one.media_s is not None else guessed_s(past, one.source_bytes)
        total += (1 - one.done) * work_s(media_s, pace_of(past, one.kind).likely)
    return total / children


def share_until_first(duration_s: float, segment_s: float, *, tracks: bool) -> float:
    """The part of the work after which the first segment is ready, 0 … 1."""
    first = min(1.0, segment_s / duration_s) if duration_s > 0 else 1.0
    return job_percent("render", first, tracks=tracks) / 100


def needs_of(past: Sequence[Past], kind: WorkKind, *, size: int, duration_s: float, segment_s: float) -> Needs:
    """Rather too much than too little: three takes of four needed no more."""
    same = [one for one in past if one.kind == kind and one.media_s > 0]
    part = min(1.0, segment_s / duration_s) if duration_s > 0 else 1.0
    if kind == "copy":
        made = round(size * _upper([one.made_bytes / one.source_bytes for one in same], otherwise=1.0))
        return Needs(source=size, segments=made, working=round(size * part))
    rate = _upper([one.made_bytes / one.media_s for one in same], otherwise=MADE_BYTES_PER_S)
    return Needs(
        source=size,
        segments=round(rate * duration_s),
        working=round(MOST_BYTES_PER_S * min(segment_s, duration_s)),
    )


def made_ratio(past: Sequence[Past]) -> float:
    """Bytes that are made for each byte that is sent, where nothing but the size is known."""
    return min(MOST_RATIO, _upper([one.made_bytes / one.source_bytes for one in past], otherwise=MADE_RATIO))


def room_at(needed: int, free: int, going: Iterable[tuple[int, int]]) -> int | None:
    """When so much will be free, unix ms; None: never by itself.

    Args:
        going: when the pruner lets go of how many bytes.
    """
    for at, size in sorted(going):
        free += size
        if free >= needed:
            return at
    return None


def _upper(values: list[float], *, otherwise: float) -> float:
    return _quantile(sorted(values), 0.75) if values else otherwise


def _quantile(ordered: Sequence[float], part: float) -> float:
    place = part * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
