"""Decoded pictures in the order they are shown, each with the output frame it begins at."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av.error

from vidprod.domain.video import MediaInfo, VideoStreamInfo
from vidprod.errors import Refused
from vidprod.media.container import orders_by_file
from vidprod.media.filters import Deinterlacer
from vidprod.media.timebase import fraction, to_us

_LARGE = 4_000_000  # pixels; above, each decoding thread would hold some more pictures of 12 MB and more


def decoding_threads(video: VideoStreamInfo, *, most: int) -> int:
    """How many threads decode `video`: for large pictures one, or they take too much memory."""
    return 1 if video.coded_width * video.coded_height > _LARGE else most


class Pictures:
    """The pictures of one stream from a place in the take on.

    A picture's *tick* is the output frame it is first shown at: its distance to the first picture in output frames,
    rounded. Source and output of one rate thus stay in step, frame by frame, whatever the start offset is.
    """

    def __init__(self, container: Any, info: MediaInfo, *, rate: Fraction, threads: int, max_pixels: int) -> None:
        """
        Args:
            rate: output frames a second.
        """
        self._container = container
        self._info = info
        self._rate = rate
        self._stream = container.streams[info.video.index]
        self._time_base = fraction(self._stream.time_base) or Fraction(1, 90000)
        context = self._stream.codec_context
        context.thread_type = "AUTO"
        context.thread_count = threads
        context.options = {**context.options, "max_pixels": str(max_pixels)}
        self._lead = round(Fraction(info.video.start_us - info.start_us, 1_000_000) * rate)
        self.errors = 0  # packets that could not be decoded
        self.packets = 0  # read
        self.sought = False
        self.position_us = 0  # of the last picture, on the output's clock

    def seek(self, tick: int) -> None:
        """Continues at a keyframe well before output frame `tick`; open GOPs lose what precedes their keyframe."""
        target_us = self._info.start_us + int(tick * 1_000_000 / self._rate) - 1_000_000
        if target_us > self._info.video.start_us:
            offset = int(Fraction(target_us, 1_000_000) / self._time_base)
            self._container.seek(offset, stream=self._stream, backward=True, any_frame=False)
            self.sought = True

    def rewind(self) -> None:
        """Back to the first picture, for good."""
        self._container.seek(0, backward=True)
        self._stream.codec_context.flush_buffers()
        self.sought = False
        self.errors = 0

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        """Pairs of picture and tick; ticks never fall.

        Raises:
            Refused: less than half of the take's pictures can be decoded.
        """
        last_pts: int | None = None
        step = max(1, round(1 / Fraction(self._info.video.usual_rate) / self._time_base))
        first_pts = round(Fraction(self._info.video.start_us, 1_000_000) / self._time_base)
        last_tick = 0
        for picture in self._progressive():
            pts = picture.pts if picture.pts is not None else (first_pts if last_pts is None else last_pts + step)
            if last_pts is not None and pts <= last_pts:
                pts = last_pts + 1  # a broken clock must not turn pictures around
            last_pts = pts
            tick = self._lead + round((pts - first_pts) * self._time_base * self._rate)
            last_tick = max(last_tick, tick)
            self.position_us = max(0, to_us(pts, self._time_base) - self._info.start_us)
            yield picture, last_tick

    def _progressive(self) -> Iterator[Any]:
        if not self._info.video.interlaced:
            yield from self._decode()
            return
        deinterlacer = Deinterlacer()
        for picture in self._decode():
            yield from deinterlacer.push(picture)
        yield from deinterlacer.push(None)

    def _decode(self) -> Iterator[Any]:
        packets = self._container.demux(self._stream)
        ordered = _Ordered() if orders_by_file(self._stream, self._info) else None
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:
                self.errors += 1
                break
            if packet is None:
                break
            self.packets += 1
            try:
                pictures = packet.decode()
            except av.error.FFmpegError:
                self.errors += 1
                continue
            for picture in pictures:
                if ordered is not None:
                    ordered.put_right(picture)
                yield picture
        self._check_whole()

    def _check_whole(self) -> None:
        """Judges the take, not what was read of it: its end alone may be nothing but damage."""
        pieces = self._info.video.frames
        if self.errors * 2 > pieces:
            raise Refused(
                f"the picture cannot be decoded from second {self.position_us / 1e6:.1f} on: "
                f"{self.errors} of {pieces} pieces are damaged",
                code="undecodable",
                hint="Copy the file from the device again; if it stays damaged, cut the take before that second.",
            )


class _Ordered:
    """Gives pictures that come in the order they are shown, with times in the order of the file, rising ones."""

    def __init__(self) -> None:
        self._ahead: int | None = None  # of the decoder

    def put_right(self, picture: Any) -> None:
        """The first keeps its time; the others are as far from it as the packets that brought them out."""
        if picture.pts is None or picture.dts is None:  # at the end: it follows the one before
            picture.pts = None
            return
        if self._ahead is None:
            self._ahead = picture.dts - picture.pts
        picture.pts = picture.dts - self._ahead
