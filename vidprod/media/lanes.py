"""Coded packets of one stream on their way from a take to its segments, with times that count from each cut."""

from abc import ABC, abstractmethod
from bisect import insort
from collections import deque
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from vidprod.domain.plan import PlannedSegment
from vidprod.domain.video import MediaInfo
from vidprod.errors import Refused
from vidprod.media.keyframes import ENCODE_INSTEAD, SAME_TIME_US
from vidprod.media.master import FRAME
from vidprod.media.timebase import MOST_REORDERED, fraction, to_us

_WITHOUT_DECODE_TIMES = ("matroska", "webm")


class Lane(ABC):
    """Where the packets of one source stream go: from cut to cut, in ticks of that stream.

    Segments begin with keyframes that nothing shown earlier follows, so in the order of the file, too, all packets of
    one segment come before all of the next.
    """

    def __init__(self, stream: Any, info: MediaInfo, todo: list[PlannedSegment], *, early: Fraction) -> None:
        """`early`: how many seconds before a cut the packets after it begin."""
        self.index = stream.index
        self.base = fraction(stream.time_base) or Fraction(1, 90000)

        def ticks(time_us: int) -> int:
            return round((Fraction(info.start_us + time_us, 1_000_000) - early) / self.base)

        self._bounds = [(ticks(segment.in_us), ticks(segment.out_us)) for segment in todo]
        self.at = -1  # the segment packets go to, of `todo`
        self.is_over = False
        self._reached = 0  # the latest time of a packet
        self.low, self.high = 0, self._bounds[0][0]

    @property
    def reached_us(self) -> int:
        """The latest time of a packet, on the source's clock."""
        return to_us(self._reached, self.base)

    def advance(self, pts: int) -> bool:
        """To the segment that holds `pts`; False past the last."""
        while pts >= self.high:
            if self.at + 1 == len(self._bounds):
                self.is_over = True
                return False
            self.at += 1
            self.low, self.high = self._bounds[self.at]
        self._begin()
        return True

    @abstractmethod
    def _begin(self) -> None:
        """A new segment."""

    def put(self, packet: Any) -> Iterable[Any]:
        """The packets that can be written after `packet`, with times of their segment."""
        self._reached = max(self._reached, packet.pts)
        if self.at < 0 or packet.pts < self.low:
            return ()
        return self._put(packet)

    @abstractmethod
    def _put(self, packet: Any) -> Iterable[Any]:
        """`put`, of a packet that belongs to the segment."""

    def rest(self) -> Iterable[Any]:
        """What still has to be written of the segment, whose last packet was put."""
        return ()


class SoundLane(Lane):
    """Blocks of sound, which follow each other from before the first cut on: the plan has seen to it.

    A block goes where most of it is heard: the one nearest to a cut begins the segment, at 0 (at most half a block,
    11 ms, off its time).
    """

    def __init__(self, stream: Any, info: MediaInfo, todo: list[PlannedSegment], *, longest_us: int) -> None:
        self._rate = stream.codec_context.sample_rate
        self._longest = longest_us * self._rate // 1_000_000
        self._block = stream.codec_context.frame_size or FRAME
        self._step = Fraction(1, self._rate)
        super().__init__(stream, info, todo, early=Fraction(self._block, 2 * self._rate))
        self._samples = self.base * self._rate  # a tick
        self._same = SAME_TIME_US * self._rate // 1_000_000
        self._begin()

    def _begin(self) -> None:
        self._first: int | None = None
        self._next = 0  # the sample that the next block begins with if none is missing

    def _put(self, packet: Any) -> Iterable[Any]:
        if self._first is None:
            self._first = packet.pts
        at = packet.pts - self._first
        if self._samples != 1:
            at = round(at * self._samples)
            packet.time_base = self._step
        # Matroska rounds times to 1 ms: blocks that follow each other do so to the sample.
        if abs(at - self._next) < self._same:
            at = self._next
        elif at < self._next:
            return ()  # it would sound over the one before it
        if at + self._block > self._longest:
            return ()  # a limit is a limit for both streams: a cut loses at most this one
        self._next = at + self._block
        packet.pts = packet.dts = at
        packet.duration = self._block
        return (packet,)


class PictureLane(Lane):
    """Pictures. The keyframe at the cut is shown at 0, the last picture until the segment ends."""

    def __init__(self, stream: Any, info: MediaInfo, todo: list[PlannedSegment]) -> None:
        super().__init__(stream, info, todo, early=Fraction(0))
        step = max(1, round(1 / Fraction(info.video.usual_rate) / self.base))
        self._clock = _DecodeClock(step, timed=info.container not in _WITHOUT_DECODE_TIMES)
        self._begin()

    def _begin(self) -> None:
        self._clock.begin()
        self._first_dts = 0
        self._last: Any = None

    def _put(self, packet: Any) -> Iterable[Any]:
        pts, dts = packet.pts - self.low, packet.dts
        packet.pts = pts
        ready = self._clock.put(packet, pts, None if dts is None else dts - self.low)
        return () if ready is None else self._but_the_last(ready)

    def rest(self) -> Iterable[Any]:
        for packet in self._clock.rest():
            yield from self._but_the_last(packet)
        if self._last is not None:
            self._last.duration = max(1, self.high - self.low - (self._last.dts - self._first_dts))
            yield self._last
            self._last = None

    def _but_the_last(self, packet: Any) -> Iterable[Any]:
        """`packet` is held until it is known whether another follows: what was held before it."""
        before, self._last = self._last, packet
        if before is None:
            self._first_dts = packet.dts
            return ()
        return (before,)


class _DecodeClock:
    """Sees to it that pictures are decoded at times that rise and never lie after the time they are shown at.

    Matroska knows no decode times, and FFmpeg does not guess those of the first pictures where there are B-frames.
    The nth picture in the file then gets the time of the nth one shown, less a constant, which an MP4 without an edit
    list does not keep: it counts from the first. So the times add up to how long the segment is shown.
    """

    def __init__(self, step: int, *, timed: bool) -> None:
        """`step`: ticks from picture to picture; `timed`: the source has decode times, which are kept if they rise."""
        self._lag = MOST_REORDERED * step
        self._timed = timed
        self.begin()

    def begin(self) -> None:
        """A new segment, which is the same whatever came before it."""
        self._rebuild = not self._timed
        self._last = -(1 << 62)
        self._held: deque[Any] = deque()
        self._held_pts: deque[int] = deque()
        self._shown: list[int] = []  # in order: the times of pictures put whose turn as a decode time has not come

    def put(self, packet: Any, pts: int, dts: int | None) -> Any | None:
        """The packet that can be written after this one."""
        if not self._rebuild and dts is not None and self._last < dts <= pts:
            self._last = packet.dts = dts
            return packet
        self._rebuild = True
        self._held.append(packet)
        self._held_pts.append(pts)
        insort(self._shown, pts)
        return self._next() if len(self._held) > MOST_REORDERED else None

    def rest(self) -> Iterable[Any]:
        """The packets that are still held."""
        while self._held:
            yield self._next()

    def _next(self) -> Any:
        # Where pictures of a varying rate are reordered across a gap, the constant is too small: no later than that
        # every picture behind this one can still be decoded in time.
        latest = min(pts - place for place, pts in enumerate(self._held_pts))
        packet, pts = self._held.popleft(), self._held_pts.popleft()
        dts = max(min(self._shown.pop(0) - self._lag, latest), self._last + 1)
        if dts > pts:
            raise Refused(
                "the times of the pictures run backwards; video=copy cannot put them in order",
                code="copy_times",
                hint=ENCODE_INSTEAD,
            )
        self._last = packet.dts = dts
        return packet
