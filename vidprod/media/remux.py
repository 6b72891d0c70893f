"""Cuts without decoding: the picture's own packets, from keyframe to keyframe, in new containers."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from vidprod.domain.plan import PlannedSegment
from vidprod.domain.segment import Rendition, Sprite
from vidprod.domain.step import Limits
from vidprod.domain.video import MediaInfo, VideoStreamInfo
from vidprod.media.container import open_source, packets_of
from vidprod.media.encode import MUXER, rendition_of, sha256, sync
from vidprod.media.keyframes import INTERLEAVED_US
from vidprod.media.lanes import Lane, PictureLane, SoundLane
from vidprod.media.master import Mastered, master_segment
from vidprod.media.sound import RATE, Sound
from vidprod.media.stills import stills_of
from vidprod.media.timebase import fraction, to_us


class Cutter:
    """Copies planned segments out of one source in a single pass."""

    def __init__(
        self,
        source: Path,
        work_dir: Path,
        info: MediaInfo,
        *,
        limits: Limits,
        normalize: bool,
        copies_sound: bool,
        longest_us: int,
    ) -> None:
        """`copies_sound`: else it is made anew; `longest_us`: how long a segment may be, picture and sound."""
        self.source, self.work_dir, self.info = source, work_dir, info
        self.limits, self.normalize, self._longest_us = limits, normalize, longest_us
        self.copies_sound = copies_sound
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
        with ThreadPoolExecutor(3, "measuring") as beside, open_source(self.source, limits=self.limits) as container:
            self._choose(container, todo)
            lanes = {stream.index: self._lane(stream, todo) for stream in self.inputs}
            with closing(_Outputs(self, todo, beside)) as outputs:
                yield from self._copy(container, lanes, outputs, progress)

    def _copy(
        self, container: Any, lanes: dict[int, Lane], outputs: "_Outputs", progress: Callable[[int], None]
    ) -> Iterator[tuple[PlannedSegment, Rendition]]:
        def tell(_: int) -> None:
            progress(max(0, max(lane.reached_us for lane in lanes.values()) - self.info.start_us))

        for packet in packets_of(container, lanes, tell=tell):
            if packet.pts is None or packet.is_discard:
                continue
            lane = lanes[packet.stream_index]
            if packet.pts >= lane.high:
                outputs.write(lane, lane.rest())
                if not lane.advance(packet.pts):
                    if all(lane.is_over for lane in lanes.values()):
                        break
                    continue
                outputs.finish(before=min(lane.at for lane in lanes.values()))
                yield from outputs.measured()
            outputs.write(lane, lane.put(packet))
        for lane in lanes.values():
            outputs.write(lane, lane.rest())
        outputs.finish()
        yield from outputs.measured(wait=True)

    def _lane(self, stream: Any, todo: list[PlannedSegment]) -> Lane:
        if stream.index == self.info.video.index:
            return PictureLane(stream, self.info, todo)
        return SoundLane(stream, self.info, todo, longest_us=self._longest_us)

    def _choose(self, container: Any, todo: list[PlannedSegment]) -> None:
        picture = container.streams[self.info.video.index]
        self.inputs = [picture]
        if self.copies_sound and self.info.audio is not None:
            self.inputs.append(container.streams[self.info.audio.index])
        self._seek(container, picture, self.info.start_us + todo[0].in_us)

    def _seek(self, container: Any, picture: Any, first_us: int) -> None:
        """To a keyframe well before the one at `first_us`, whose sound may lie before it in the file."""
        before_us = first_us - INTERLEAVED_US
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


class _Output:
    """One segment on its way: its container, and the sound that still has to go in."""

    def __init__(self, cutter: "Cutter", segment: PlannedSegment) -> None:
        self.segment = segment
        self.path = cutter.work_dir / f"{segment.stem}.mp4"
        self.sound: Mastered | None = None  # made anew; None where it is copied
        seconds = Fraction(segment.out_us - segment.in_us, 1_000_000)
        # Room for the index in front of the media, so that the file is written once: 32 bytes a picture, 24 a block.
        room = 16_384 + 32 * segment.frames + 24 * int(seconds * RATE / 512)
        options = {**MUXER, "movflags": "+negative_cts_offsets", "moov_size": str(room)}
        self._container = av.open(str(self.path), "w", format="mp4", options=options)
        self._streams = {s.index: self._container.add_stream_from_template(s, opaque=True) for s in cutter.inputs}
        for stream in self._streams.values():
            stream.metadata.clear()
        self._mux = self._container.mux_one
        self._waiting: list[Any] = []
        if not cutter.copies_sound:
            begins = Fraction(segment.in_us, 1_000_000)
            self.sound = master_segment(cutter.track, begins=begins, duration=seconds, normalize=cutter.normalize)
            self._waiting = list(reversed(self.sound.packets))
            self._spoken: Any = self._container.add_stream("aac", rate=RATE, layout="stereo")

    def write(self, packet: Any, lane: Lane) -> None:
        """A packet of the source's stream that `lane` is of, timed for this segment."""
        packet.stream = self._streams[lane.index]
        if self.sound is not None:
            self._put_sound(float(packet.dts * lane.base))
        self._mux(packet)

    def _put_sound(self, until: float) -> None:
        """Recoded sound that belongs before `until` seconds."""
        while self._waiting and self._waiting[-1].pts <= until * RATE:
            packet = self._waiting.pop()
            packet.stream = self._spoken
            self._mux(packet)

    def finish(self) -> None:
        self._put_sound(float("inf"))
        self.close()

    def close(self) -> None:
        self._container.close()


class _Outputs:
    """The segments on their way: those that packets still go to, and those that are measured beside the copying."""

    def __init__(self, cutter: Cutter, todo: list[PlannedSegment], beside: ThreadPoolExecutor) -> None:
        self._cutter, self._todo, self._beside = cutter, todo, beside
        self._open: dict[int, _Output] = {}  # by the place in `todo`
        self._finished: deque[_Finished] = deque()

    def write(self, lane: Lane, packets: Iterable[Any]) -> None:
        """Packets that `lane` gave, into the segment it is at."""
        for packet in packets:
            output = self._open.get(lane.at)
            if output is None:
                output = self._open[lane.at] = _Output(self._cutter, self._todo[lane.at])
            output.write(packet, lane)

    def finish(self, *, before: int | None = None) -> None:
        """Finish the segments that come before this one, all of them if none is named."""
        for at in sorted(at for at in self._open if before is None or at < before):
            output = self._open.pop(at)
            output.finish()
            self._finished.append(_Finished(output, self._cutter, self._beside))

    def measured(self, *, wait: bool = False) -> Iterator[tuple[PlannedSegment, Rendition]]:
        """Those of the finished ones that are known, in order; with `wait` all of them."""
        while self._finished and (wait or self._finished[0].done()):
            yield self._finished.popleft().result()

    def close(self) -> None:
        """Abandon what is not finished."""
        for output in self._open.values():
            output.close()


class _Finished:
    """A finished output, which is hashed, synced and looked at side by side."""

    def __init__(self, output: _Output, cutter: Cutter, beside: ThreadPoolExecutor) -> None:
        self._info, self._output = cutter.info, output
        self._synced = beside.submit(sync, output.path)
        self._looked_at = beside.submit(look_at, output.path, video=cutter.info.video, work_dir=cutter.work_dir)
        self._sha256 = beside.submit(sha256, output.path)

    def done(self) -> bool:
        """Whether `result` need not wait."""
        return self._synced.done() and self._looked_at.done() and self._sha256.done()

    def result(self) -> tuple[PlannedSegment, Rendition]:
        """The segment and what became of it, when its files are whole and synced."""
        video, output = self._info.video, self._output
        duration_us, frames, sprite = self._looked_at.result()
        self._synced.result()
        return output.segment, rendition_of(
            output.path,
            output.sound,
            duration_us=duration_us,
            frames=frames,
            size=(video.width, video.height),
            fps=video.average_rate,
            sha256=self._sha256.result(),
            video_codec=video.codec,
            sprite=sprite,
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
