"""Cuts without decoding: the picture's own packets, from keyframe to keyframe, in new containers."""

from array import array
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av

from vidprod.domain.canvas import layout
from vidprod.domain.cuts import SHORTEST_S
from vidprod.domain.plan import PlannedSegment
from vidprod.domain.segment import Rendition, Sprite
from vidprod.domain.step import Limits
from vidprod.domain.video import MediaInfo, VideoStreamInfo
from vidprod.errors import Refused
from vidprod.media.container import open_source, packets_of
from vidprod.media.encode import MUXER, sha256, sync
from vidprod.media.filters import Painter
from vidprod.media.master import FRAME, Mastered, master
from vidprod.media.sound import RATE, Sound
from vidprod.media.stills import Stills
from vidprod.media.timebase import fraction, to_us

COPIED = ("h264", "hevc")  # what Instagram and TikTok take in MP4
_COPY_TILES = 4  # keyframes decoded for a segment's stills
_TILE = 160  # pixels high
_SAME_TIME_MS = 5  # a block of sound that is less off the end of the one before it follows without a gap
_WITHOUT_DECODE_TIMES = ("matroska", "webm")
_MOST_REORDERED = 16  # pictures that may be decoded before one that is shown earlier (H.264 A.4.2, H.265 A.4.2)


def keyframe_cuts(
    path: Path, info: MediaInfo, *, segment_s: float, limits: Limits, progress: Callable[[int], None]
) -> list[PlannedSegment]:
    """Segments that begin with keyframes nothing before them leans on, each at most `segment_s` long.

    Args:
        progress: told now and then how many microseconds of the take were looked through.
    Raises:
        Refused: the codec cannot be copied, or two keyframes lie further apart than a segment may be long.
    """
    if info.video.codec not in COPIED:
        raise Refused(
            f"the picture is coded as {info.video.codec}; video=copy takes {' and '.join(COPIED)}",
            code="copy_codec",
            hint="Leave video=copy away: the take is then encoded as the platforms want it.",
        )
    longest = int(segment_s * 1_000_000)
    with suppress(Refused):  # it may be told of a keyframe that does not count
        if (segments := _cuts_by_index(path, info, longest=longest, limits=limits)) is not None:
            return segments
    times, clean = _times(path, info, limits=limits, progress=progress)
    if not clean:
        raise Refused(
            "no picture says that the take can be cut before it; video=copy cannot be done",
            code="copy_no_keyframe",
            hint="Leave video=copy away: the take is then encoded as the platforms want it.",
        )
    shown = sorted(times)
    before = [0, *(bisect_left(shown, time) for time in clean[1:]), len(shown)]
    return _cuts([*clean, _end_us(info)], before, origin=info.start_us, longest=longest)


def _end_us(info: MediaInfo) -> int:
    return info.video.start_us + info.video.duration_us


def _cuts(places: list[int], before: list[int], *, origin: int, longest: int) -> list[PlannedSegment]:
    """Segments between some of `places` (microseconds, the last is the end), of which `before` pictures are shown."""
    segments: list[PlannedSegment] = []
    at = 0
    while at < len(places) - 1:
        until = _furthest(places, at, longest)
        if places[until] - places[at] > longest:
            raise Refused(
                f"between the keyframes at {(places[at] - origin) / 1e6:.1f} s and "
                f"{(places[until] - origin) / 1e6:.1f} s lie more than {longest / 1e6:g} s; "
                "video=copy cannot cut there",
                code="copy_gop_too_long",
                hint="Leave video=copy away, or film with a keyframe at least every few seconds.",
            )
        segments.append(
            PlannedSegment(
                index=len(segments),
                in_us=places[at] - origin,
                out_us=places[until] - origin,
                first_frame=before[at],
                frames=before[until] - before[at],
            )
        )
        at = until
    return segments


def _cuts_by_index(path: Path, info: MediaInfo, *, longest: int, limits: Limits) -> list[PlannedSegment] | None:
    """The same from an index that knows every picture, as that of an MP4: only what is at the cuts is read.

    None where there is no such index, or it does not bear out what was cut by it.
    """
    with open_source(path, limits=limits) as container:
        stream: Any = container.streams[info.video.index]
        base = fraction(stream.time_base) or Fraction(1, 90000)
        entries = stream.index_entries
        first = next(container.demux(stream), None)
        if len(entries) != info.video.frames or first is None or first.pts is None or first.dts is None:
            return None
        delay = first.pts - first.dts  # the index has times of decoding
        keys = [(at, entry.timestamp + delay) for at, entry in enumerate(entries) if entry.is_keyframe]
        if not keys or keys[0] != (0, first.pts):
            return None
        ticks = {to_us(pts, base): pts for _, pts in keys}
        places, before = [*ticks, _end_us(info)], [*(at for at, _ in keys), len(entries)]
        segments = _cuts(places, before, origin=info.start_us, longest=longest)
        cuts = [ticks[segment.in_us + info.start_us] for segment in segments]
        return segments if all(_is_clean(container, stream, pts) for pts in cuts[1:]) else None


def _is_clean(container: Any, stream: Any, pts: int) -> bool:
    """Whether a keyframe is shown at `pts`, and no picture that comes after it in the file before it."""
    container.seek(pts, stream=stream)
    packets = list(islice(container.demux(stream), 1 + _MOST_REORDERED))
    times = [packet.pts for packet in packets if packet.size]
    return packets[0].is_keyframe and times[0] == pts and all(time is not None and time >= pts for time in times)


def _furthest(places: list[int], at: int, longest: int) -> int:
    """The last place within `longest` of `at`, or the next one; earlier where less than 3 s would be left over."""
    until = at + 1
    while until + 1 < len(places) and places[until + 1] - places[at] <= longest:
        until += 1
    left = places[-1] - places[until]
    if 0 < left < SHORTEST_S * 1_000_000:
        middle = (places[at] + places[-1]) // 2
        sharing = [i for i in range(at + 1, until + 1) if places[-1] - places[i] <= longest]
        until = min(sharing, key=lambda i: abs(places[i] - middle), default=until)
    return until


def _times(path: Path, info: MediaInfo, *, limits: Limits, progress: Callable[[int], None]) -> tuple[array, list[int]]:  # type: ignore[type-arg]
    """All pictures' times and those of keyframes that no picture after them precedes; microseconds, source's clock."""
    times = array("q")
    clean: list[int] = []
    with open_source(path, limits=limits) as container:
        stream = container.streams[info.video.index]
        base = fraction(stream.time_base) or Fraction(1, 90000)

        def tell(_: int) -> None:
            progress(max(times, default=info.start_us) - info.start_us)

        for packet in packets_of(container, {stream.index}, tell=tell):
            if packet.size == 0 or packet.is_discard or packet.pts is None:
                continue
            time = to_us(packet.pts, base)
            while clean and time < clean[-1] and len(clean) > 1:
                clean.pop()  # an open GOP: this picture is shown before the keyframe it comes after
            if packet.is_keyframe:
                clean.append(time)
            times.append(time)
    return times, clean


class _Output:
    """One segment on its way: its container, and the sound that still has to go in."""

    def __init__(self, cutter: "Cutter", segment: PlannedSegment) -> None:
        self.segment = segment
        self.path = cutter.work_dir / f"{stem(segment.index)}.mp4"
        self.sound: Mastered | None = None
        seconds = Fraction(segment.out_us - segment.in_us, 1_000_000)
        # Room for the index in front of the media, so that the file is written once: 32 bytes a picture, 24 a block.
        room = 16_384 + 32 * segment.frames + 24 * int(seconds * RATE / 512)
        options = {**MUXER, "movflags": "+negative_cts_offsets", "moov_size": str(room)}
        self._container = av.open(str(self.path), "w", format="mp4", options=options)
        self.streams = {s.index: self._container.add_stream_from_template(s, opaque=True) for s in cutter.inputs}
        for stream in self.streams.values():
            stream.metadata.clear()
        self.mux = self._container.mux_one
        self._waiting: list[Any] = []
        if not cutter.copies_sound:
            samples = cutter.track.read(segment.in_us * RATE // 1_000_000, int(seconds * RATE))
            self.sound = master(samples, duration=seconds, normalize=cutter.normalize)
            self._waiting = list(reversed(self.sound.packets))
            self._spoken: Any = self._container.add_stream("aac", rate=RATE, layout="stereo")

    def write(self, lane: "_Lane", packets: Iterable[Any], index: int) -> None:
        """Packets of the source's stream `index`, timed for this segment."""
        stream = self.streams[index]
        for packet in packets:
            packet.stream = stream
            if self.sound is not None:
                self.put_sound(float(packet.dts * lane.base))
            self.mux(packet)

    def put_sound(self, until: float) -> None:
        """Recoded sound that belongs before `until` seconds."""
        while self._waiting and self._waiting[-1].pts <= until * RATE:
            packet = self._waiting.pop()
            packet.stream = self._spoken
            self.mux(packet)

    def finish(self) -> None:
        self.put_sound(float("inf"))
        self._container.close()

    def abandon(self) -> None:
        self._container.close()


class _Lane:
    """Where the packets of one source stream go: from cut to cut, in ticks of that stream.

    Segments begin with keyframes that nothing shown earlier follows, so in the order of the file, too, all packets of
    one segment come before all of the next.
    """

    def __init__(self, stream: Any, info: MediaInfo, todo: list[PlannedSegment], *, early: Fraction) -> None:
        """`early`: how many seconds before a cut the packets after it begin."""
        self.base = fraction(stream.time_base) or Fraction(1, 90000)

        def ticks(time_us: int) -> int:
            return round((Fraction(info.start_us + time_us, 1_000_000) - early) / self.base)

        self._bounds = [(ticks(segment.in_us), ticks(segment.out_us)) for segment in todo]
        self.at = -1  # the segment packets go to, of `todo`
        self.is_over = False
        self.reached = 0  # the time of the last packet
        self.low, self.high = 0, self._bounds[0][0]

    @property
    def reached_us(self) -> int:
        """The time of the last packet, on the source's clock."""
        return to_us(self.reached, self.base)

    def advance(self, pts: int) -> bool:
        """To the segment that holds `pts`; False past the last."""
        while pts >= self.high:
            if self.at + 1 == len(self._bounds):
                return False
            self.at += 1
            self.low, self.high = self._bounds[self.at]
        self._begin()
        return True

    def _begin(self) -> None:
        """A new segment."""

    def put(self, packet: Any) -> Iterable[Any]:
        """The packets that can be written after `packet`, with times of their segment."""
        raise NotImplementedError

    def rest(self) -> Iterable[Any]:
        """What still has to be written of the segment, whose last packet was put."""
        return ()


class _SoundLane(_Lane):
    """Blocks of sound. A block goes where most of it is heard: the one nearest to a cut begins the segment, at 0 (at
    most half a block, 11 ms, off its time)."""

    def __init__(self, stream: Any, info: MediaInfo, todo: list[PlannedSegment], *, longest_us: int) -> None:
        self._rate = stream.codec_context.sample_rate
        self._longest = longest_us * self._rate // 1_000_000
        self._block = stream.codec_context.frame_size or FRAME
        self._step = Fraction(1, self._rate)
        super().__init__(stream, info, todo, early=Fraction(self._block, 2 * self._rate))
        self._samples = self.base * self._rate  # a tick
        self._same = _SAME_TIME_MS * self._rate // 1000

    def _begin(self) -> None:
        self._first: int | None = None
        self._next = 0  # the sample that the next block begins with if none is missing

    def put(self, packet: Any) -> Iterable[Any]:
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


class _PictureLane(_Lane):
    """Pictures. The keyframe at the cut is shown at 0, the last picture until the segment ends."""

    def __init__(self, stream: Any, info: MediaInfo, todo: list[PlannedSegment]) -> None:
        super().__init__(stream, info, todo, early=Fraction(0))
        step = max(1, round(1 / Fraction(info.video.usual_rate) / self.base))
        self._clock = _DecodeClock(step, timed=info.container not in _WITHOUT_DECODE_TIMES)

    def _begin(self) -> None:
        self._clock.begin()
        self._first_dts = 0
        self._last: Any = None

    def put(self, packet: Any) -> Iterable[Any]:
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
        self._lag = _MOST_REORDERED * step
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
        return self._next() if len(self._held) > _MOST_REORDERED else None

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
                hint="Leave video=copy away: the take is then encoded as the platforms want it.",
            )
        self._last = packet.dts = dts
        return packet


class Cutter:
    """Copies planned segments out of one source in a single pass."""

    def __init__(
        self, source: Path, work_dir: Path, info: MediaInfo, *, limits: Limits, normalize: bool, longest_us: int
    ) -> None:
        """`longest_us`: how long a segment may be, picture and sound."""
        self.source, self.work_dir, self.info = source, work_dir, info
        self.limits, self.normalize, self._longest_us = limits, normalize, longest_us
        audio = info.audio
        self.copies_sound = (
            audio is not None
            and audio.codec == "aac"
            and not normalize
            and abs(audio.start_us - info.video.start_us) < 50_000  # else silence must be put in front
        )
        self.track = Sound(source, info, limits=limits)
        self.inputs: list[Any] = []

    def cut(
        self, todo: list[PlannedSegment], *, progress: Callable[[int], None]
    ) -> Iterator[tuple[PlannedSegment, Rendition]]:
        """Yields each segment when its files are whole and synced.

        Args:
            progress: told now and then how far into the take it is, in microseconds.
        """
        if not todo:
            return
        outputs: dict[int, _Output] = {}
        closed: deque[_Closed] = deque()  # measured beside the copying

        def close(index: int) -> None:
            output = outputs.pop(index)
            output.finish()
            closed.append(_Closed(self, output, beside))

        with ThreadPoolExecutor(3, "measuring") as beside, open_source(self.source, limits=self.limits) as container:
            self._choose(container, todo)
            lanes = {stream.index: self._lane(stream, todo) for stream in self.inputs}
            try:

                def tell(_: int) -> None:
                    progress(max(0, max(lane.reached_us for lane in lanes.values()) - self.info.start_us))

                for packet in packets_of(container, lanes, tell=tell):
                    pts = packet.pts
                    if pts is None or packet.is_discard:
                        continue
                    index = packet.stream_index
                    lane = lanes[index]
                    if pts > lane.reached:
                        lane.reached = pts
                    if pts >= lane.high:
                        if lane.at in outputs:
                            outputs[lane.at].write(lane, lane.rest(), index)
                        if not lane.advance(pts):
                            lane.is_over = True
                            if all(lane.is_over for lane in lanes.values()):
                                break
                            continue
                        first = min(lane.at for lane in lanes.values())
                        for index_done in [i for i in outputs if i < first]:
                            close(index_done)
                        while closed and closed[0].done():
                            yield closed.popleft().result()
                        if lane.at not in outputs:
                            outputs[lane.at] = _Output(self, todo[lane.at])
                    if lane.at < 0 or pts < lane.low:
                        continue
                    outputs[lane.at].write(lane, lane.put(packet), index)
                for index, lane in lanes.items():
                    if lane.at in outputs:
                        outputs[lane.at].write(lane, lane.rest(), index)
                for index_done in sorted(outputs):
                    close(index_done)
                while closed:
                    yield closed.popleft().result()
            finally:
                for output in outputs.values():
                    output.abandon()

    def _lane(self, stream: Any, todo: list[PlannedSegment]) -> _Lane:
        if stream.index == self.info.video.index:
            return _PictureLane(stream, self.info, todo)
        return _SoundLane(stream, self.info, todo, longest_us=self._longest_us)

    def _choose(self, container: Any, todo: list[PlannedSegment]) -> None:
        picture = container.streams[self.info.video.index]
        self.inputs = [picture]
        if self.copies_sound and self.info.audio is not None:
            self.inputs.append(container.streams[self.info.audio.index])
        self._seek(container, picture, self.info.start_us + todo[0].in_us)

    def _seek(self, container: Any, picture: Any, first_us: int) -> None:
        """To a keyframe well before the one at `first_us`, whose sound may lie before it in the file."""
        before_us = first_us - 1_000_000
        if before_us <= self.info.video.start_us:
            return
        base = fraction(picture.time_base) or Fraction(1, 90000)
        before = int(Fraction(before_us, 1_000_000) / base)
        container.seek(before, stream=picture, backward=True)
        found = next((packet.pts for packet in container.demux(picture) if packet.pts is not None), None)
        if found is not None and to_us(found, base) <= first_us:
            container.seek(before, stream=picture, backward=True)
        else:  # the source's index is off
            container.seek(0, backward=True)


class _Closed:
    """A closed output, which is hashed, synced and looked at side by side."""

    def __init__(self, cutter: Cutter, output: _Output, beside: ThreadPoolExecutor) -> None:
        self._info, self._output = cutter.info, output
        self._synced = beside.submit(sync, output.path)
        self._looked_at = beside.submit(look_at, output.path, video=cutter.info.video, work_dir=cutter.work_dir)
        self._sha256 = beside.submit(sha256, output.path)

    def done(self) -> bool:
        """Whether `result` need not wait."""
        return self._synced.done() and self._looked_at.done() and self._sha256.done()

    def result(self) -> tuple[PlannedSegment, Rendition]:
        """The segment and what became of it, when its files are whole and synced."""
        video, output, sound = self._info.video, self._output, self._output.sound
        duration_us, frames, sprite = self._looked_at.result()
        self._synced.result()
        return output.segment, Rendition(
            duration_us=duration_us,
            frames=frames,
            width=video.width,
            height=video.height,
            fps=video.average_rate,
            size=output.path.stat().st_size,
            sha256=self._sha256.result(),
            video_codec=video.codec,
            audio_codec="aac",
            loudness_lufs=None if sound is None else sound.loudness_lufs,
            true_peak_dbtp=None if sound is None else sound.true_peak_dbtp,
            sprite=sprite,
            warnings=[] if sound is None else sound.warnings,
        )


def look_at(path: Path, *, video: VideoStreamInfo, work_dir: Path) -> tuple[int, int, Sprite]:
    """Duration in microseconds and frames as a finished file says, and its stills, written and synced beside it."""
    poster, sheet = (path.with_suffix(suffix) for suffix in (".jpg", ".sprite.jpg"))
    with av.open(str(path), options={"analyzeduration": "0"}) as container:  # our own: its index says it all
        sprite = stills_of(container, poster, sheet, video=video, work_dir=work_dir)
        duration_us, frames = int(container.duration or 0), int(container.streams.video[0].frames)
    for still in (poster, sheet):
        sync(still)
    return duration_us, frames, sprite


def stills_of(container: Any, poster: Path, sheet: Path, *, video: VideoStreamInfo, work_dir: Path) -> Sprite:
    """Poster and sheet of a finished file, from a few of its keyframes: nothing else is read or decoded."""
    full = layout(video.width, video.height, frame="original")
    small = layout(max(16, full.width * _TILE // full.height), _TILE, frame="original")
    painter = Painter(small, video, work_dir=work_dir, threads=1)
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    decoded = [entry.timestamp for entry in stream.index_entries if entry.is_keyframe]
    keys = [timestamp - decoded[0] for timestamp in decoded]  # shown: the first at 0
    wanted = keys[:: max(1, -(-len(keys) // _COPY_TILES))]
    seconds = float((container.duration or 0) / 1_000_000) or 1.0
    stills = Stills(width=full.width, height=full.height, frames=len(wanted), rate=len(wanted) / seconds, every=1)
    for index, pts in enumerate(wanted):
        container.seek(pts, stream=stream)
        keyframe = next(container.demux(stream))
        for picture in [*keyframe.decode(), *stream.codec_context.decode(None)][:1]:
            stills.see(painter.paint(picture), index, poster=picture)
    whole = Painter(full, video, work_dir=work_dir, threads=1).paint(stills.best)
    return stills.write(poster, sheet, picture=whole)


def stem(index: int) -> str:
    """What a segment's files are called in the work directory."""
    return f"segment-{index:04d}"
