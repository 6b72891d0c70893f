"""Where a take can be cut without decoding, at keyframes that nothing shown earlier follows; and if its sound can."""

from array import array
from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from vidprod.domain.cuts import SHORTEST_S
from vidprod.domain.plan import PlannedSegment
from vidprod.domain.step import Limits
from vidprod.domain.video import MediaInfo
from vidprod.errors import Refused
from vidprod.media.container import open_source, orders_by_file, packets_of
from vidprod.media.master import FRAME
from vidprod.media.timebase import MOST_REORDERED, fraction, to_us

ENCODE_INSTEAD = "Leave video=copy away: the take is then encoded as the platforms want it."
COPIED = ("h264", "hevc")  # what Instagram and TikTok take in MP4
SAME_TIME_US = 5_000  # a block of sound that is less off the end of the one before it follows without a gap
INTERLEAVED_US = 3_000_000  # how far from the pictures of its time a block of sound may lie in the file
_MOST_OFF_US = 20_000  # sound and picture
_ENDS_EARLY_US = 100_000


class CopyCuts(NamedTuple):
    """How a take can be copied."""

    segments: list[PlannedSegment]
    sound_follows: bool  # the picture, so closely that it can be copied too


def keyframe_cuts(
    path: Path, info: MediaInfo, *, segment_s: float, limits: Limits, progress: Callable[[int], None]
) -> CopyCuts:
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
            hint=ENCODE_INSTEAD,
        )
    longest = int(segment_s * 1_000_000)
    with suppress(Refused):  # it may be told of a keyframe that does not count
        if (cuts := _cuts_by_index(path, info, longest=longest, limits=limits)) is not None:
            return cuts
    times, clean, sound_follows = _times(path, info, limits=limits, progress=progress)
    if not clean:
        raise Refused(
            "no picture says that the take can be cut before it; video=copy cannot be done",
            code="copy_no_keyframe",
            hint=ENCODE_INSTEAD,
        )
    shown = sorted(times)
    before = [0, *(bisect_left(shown, time) for time in clean[1:]), len(shown)]
    return CopyCuts(_cuts([*clean, _end_us(info)], before, origin=info.start_us, longest=longest), sound_follows)


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


def _cuts_by_index(path: Path, info: MediaInfo, *, longest: int, limits: Limits) -> CopyCuts | None:
    """The same from an index that knows every picture, as that of an MP4: only what is at the cuts is read.

    None where there is no such index, or it does not bear out what was cut by it.
    """
    with open_source(path, limits=limits) as container:
        stream: Any = container.streams[info.video.index]
        if orders_by_file(stream, info):
            return None
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
        if not all(_is_clean(container, stream, pts) for pts in cuts[1:]):
            return None
        return CopyCuts(segments, _sound_follows_by_index(container, info))


def _sound_follows_by_index(container: Any, info: MediaInfo) -> bool:
    if info.audio is None:
        return False
    stream = container.streams[info.audio.index]
    sound = _SoundTimes(stream, info)
    for entry in stream.index_entries:
        if not entry.is_discard:
            sound.add(entry.timestamp)
    return sound.follow


def _is_clean(container: Any, stream: Any, pts: int) -> bool:
    """Whether a keyframe is shown at `pts`, and no picture that comes after it in the file before it."""
    container.seek(pts, stream=stream)
    packets = list(islice(container.demux(stream), 1 + MOST_REORDERED))
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


def _times(
    path: Path, info: MediaInfo, *, limits: Limits, progress: Callable[[int], None]
) -> tuple[array, list[int], bool]:  # type: ignore[type-arg]
    """All pictures' times and those of keyframes that no picture after them precedes; microseconds, source's clock.
    And whether the sound follows."""
    times = array("q")
    clean: list[int] = []
    latest = info.start_us
    with open_source(path, limits=limits) as container:
        stream = container.streams[info.video.index]
        if orders_by_file(stream, info):
            raise Refused(
                "the AVI does not say when its pictures are shown, and they lie in another order; "
                "video=copy cannot keep it",
                code="copy_times",
                hint=ENCODE_INSTEAD,
            )
        base = fraction(stream.time_base) or Fraction(1, 90000)
        sound = None if info.audio is None else _SoundTimes(container.streams[info.audio.index], info)
        wanted = {stream.index} if info.audio is None else {stream.index, info.audio.index}

        def tell(_: int) -> None:
            progress(latest - info.start_us)

        for packet in packets_of(container, wanted, tell=tell):
            if packet.size == 0 or packet.is_discard or packet.pts is None:
                continue
            if packet.stream_index != stream.index:
                assert sound is not None
                sound.add(packet.pts, beside_us=latest if times else None)
                continue
            time = to_us(packet.pts, base)
            while clean and time < clean[-1] and len(clean) > 1:
                clean.pop()  # an open GOP: this picture is shown before the keyframe it comes after
            if packet.is_keyframe:
                clean.append(time)
            times.append(time)
            latest = max(latest, time)
    return times, clean, sound is not None and sound.follow


class _SoundTimes:
    """The times of a take's blocks of sound: whether they can be copied and are then heard when they should be.

    An MP4 without an edit list cannot say that its sound begins late, and players differ about holes in it.
    """

    def __init__(self, stream: Any, info: MediaInfo) -> None:
        context = stream.codec_context
        self._base = fraction(stream.time_base) or Fraction(1, 48000)
        self._block_us = (context.frame_size or FRAME) * 1_000_000 // (context.sample_rate or 1)
        self._video = info.video
        self._end_us: int | None = None  # of the block before
        # The block nearest to a cut begins a segment, up to half of it off its time.
        self._fit = context.name == "aac" and self._block_us // 2 + SAME_TIME_US <= _MOST_OFF_US

    def add(self, pts: int, *, beside_us: int | None = None) -> None:
        """The next block, and the time of the pictures that it lies beside in the file."""
        time_us = to_us(pts, self._base)
        if self._end_us is None:
            self._fit &= time_us - self._video.start_us <= self._block_us // 2
        else:
            self._fit &= abs(time_us - self._end_us) < SAME_TIME_US
        if beside_us is not None:
            self._fit &= abs(time_us - beside_us) <= INTERLEAVED_US
        self._end_us = time_us + self._block_us

    @property
    def follow(self) -> bool:
        """From the first picture to the last, without a gap, and in the file too."""
        end_us = self._video.start_us + self._video.duration_us
        return self._fit and self._end_us is not None and self._end_us >= end_us - _ENDS_EARLY_US
