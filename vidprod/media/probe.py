"""Measures a source: every packet's time, the first pictures, and what the header claims against what is there."""

import hashlib
import threading
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from pathlib import Path
from typing import Any

import av
import av.error
from av.stream import Disposition

from vidprod.domain.step import Limits
from vidprod.domain.video import AudioStreamInfo, MediaInfo, VideoStreamInfo
from vidprod.errors import Refused
from vidprod.media.container import (
    INCOMPLETE_HINT,
    TELL_EVERY_S,
    can_decode,
    decoder_name,
    is_cut_off,
    is_encrypted,
    open_source,
    packets_of,
)
from vidprod.media.timebase import fraction, to_us

SMALLEST_SIDE = 16  # pixels; below, nothing can be seen and filters have no size left
_HDR = {16: "pq", 18: "hlg"}  # ITU-T H.273: SMPTE ST 2084, ARIB STD-B67
_ROTATIONS = {0: 0, 90: 90, 180: 180, 270: 270}
_FIRST_PICTURES = 3
_WHOLE = 0.9  # of what is declared must be there
_IMAGE_BRANDS = ("heic", "heix", "mif1", "msf1", "avif", "avis")  # ISO/IEC 23008-12, annex B
_PRIVATE_TAGS = (
    "location",
    "gps",
    "xyz",
    "make",
    "model",
    "software",
    "creation",
    "date",
    "artist",
    "author",
    "device",
)


class _Track:
    """What the packets of one stream said. Times in ticks of the stream."""

    def __init__(self) -> None:
        self.pts = array("q")
        self.keys = array("q")
        self.packets = 0  # that are shown
        self.read = 0  # all of them
        self.untimed = 0
        self.last_duration = 0

    def add(self, packet: Any) -> None:
        self.packets += 1
        if packet.pts is None:
            self.untimed += 1
            return
        self.pts.append(packet.pts)
        if packet.duration:
            self.last_duration = packet.duration
        if packet.is_keyframe:
            self.keys.append(packet.pts)


def measure(path: Path, *, limits: Limits, progress: Callable[[int, int], None]) -> MediaInfo:
    """The facts of the source at `path`.

    Args:
        progress: told (bytes read, bytes to read at most) now and then.
    Raises:
        Refused: naming the rule: no picture, too long, too large, encrypted, incomplete, undecodable at second x.
    """
    size = path.stat().st_size
    if size == 0:
        raise Refused("the file is empty (0 bytes)", code="empty_file", hint="Send the file again.")
    told = _Told(size, progress)
    digest = _Digest(path, told)
    with open_source(path, limits=limits) as container:
        _check_streams(container, path)
        tracks = _read_packets(container, limits=limits, told=told)
        video = _choose_video(container, tracks, path)
        audio = _choose_audio(container, tracks)
        video_index, audio_index = video.index, None if audio is None else audio.index  # streams end with the container
        declared = None if container.duration is None else int(container.duration)
        others = _other_streams(container, {video_index, audio_index})
        tags = {**container.metadata, **video.metadata, **(audio.metadata if audio is not None else {})}
        chapters = len(container.chapters())
        indexed = int(video.frames)
        container_name = _container_name(container)
    warnings: list[str] = []
    video_info = _video_info(path, video_index, tracks[video_index], limits=limits, told=told)
    audio_info = None
    if audio_index is not None:
        audio_info = _audio_info(path, audio_index, tracks[audio_index], limits=limits, told=told)
    if audio_index is not None and audio_info is None:
        warnings.append("the sound cannot be decoded; the segments will be silent")
    start_us, end_us = _extent(video_info, audio_info)
    _check_duration(end_us - start_us, limits=limits)
    if indexed:  # the index says how many pictures there are: a truer word than the header's duration
        _check_whole(tracks[video_index].read / indexed, what=f"{indexed} pictures", left=tracks[video_index].read)
    elif declared:
        there_us = max(end_us - start_us, end_us) + 1_000_000
        if is_cut_off(path):
            _check_whole(there_us / declared, what=f"{declared / 1e6:.1f} s", left=f"{there_us / 1e6 - 1:.1f} s")
        elif there_us < _WHOLE * declared:
            warnings.append(f"the header declares {declared / 1e6:.1f} s; there are {(end_us - start_us) / 1e6:.1f} s")
    return MediaInfo(
        container=container_name,
        size=size,
        sha256=digest.result(),
        duration_us=end_us - start_us,
        declared_duration_us=declared,
        start_us=start_us,
        video=video_info,
        audio=audio_info,
        other_streams=others,
        dropped_metadata=sorted({key for key in tags if any(word in key.lower() for word in _PRIVATE_TAGS)}),
        chapters=chapters,
        warnings=warnings,
    )


_READERS = ("packets", "pictures", "sound", "digest")


class _Told:
    """How far each of those is who read the file, some of them all of it and some a little, told as one."""

    def __init__(self, size: int, progress: Callable[[int, int], None]) -> None:
        self._size, self._progress = size, progress
        self.read = dict.fromkeys(_READERS, 0)

    def by(self, reader: str) -> Callable[[int], None]:
        """Where `reader` tells the bytes it has read."""

        def tell(read: int) -> None:
            self.read[reader] = read
            self()

        return tell

    def done(self, reader: str) -> None:
        """`reader` needs no more."""
        self.by(reader)(self._size)

    def __call__(self) -> None:
        self._progress(sum(min(read, self._size) for read in self.read.values()), len(_READERS) * self._size)


class _Digest:
    """SHA-256 of a file, computed beside the demuxing: hashing leaves the interpreter to other threads."""

    def __init__(self, path: Path, told: _Told) -> None:
        self._path, self._told = path, told
        self._hash = hashlib.sha256()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        buffer = memoryview(bytearray(1 << 18))
        try:
            with self._path.open("rb", buffering=0) as file:
                while read := file.readinto(buffer):
                    self._hash.update(buffer[:read])
                    self._told.read["digest"] += read  # said by whoever tells next: one thread speaks
        except OSError as error:
            self._error = error

    def result(self) -> str:
        while self._thread.is_alive():
            self._thread.join(TELL_EVERY_S)
            self._told()
        if self._error is not None:
            raise self._error
        return self._hash.hexdigest()


def _check_streams(container: Any, path: Path) -> None:
    if container.metadata.get("major_brand", "").strip() in _IMAGE_BRANDS:
        raise Refused("the file is a still image (HEIF), not a video", code="image_not_video", hint="Send a video.")
    if not container.streams:
        raise Refused("the file has no streams: no picture, no sound", code="no_streams", hint=INCOMPLETE_HINT)
    pictures = [s for s in container.streams.video if not _is_cover(s)]
    if not pictures:
        kinds = ", ".join(f"{s.type} ({decoder_name(s) or 'unknown'})" for s in container.streams)
        raise Refused(
            f"there is no video stream, only {kinds}", code="no_video_stream", hint="Send a file with a picture."
        )


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _read_packets(container: Any, *, limits: Limits, told: _Told) -> dict[int, _Track]:
    """One pass over the file without decoding."""
    streams = [s for s in container.streams if s.type in ("video", "audio") and not _is_cover(s)]
    tracks = {s.index: _Track() for s in streams}
    most = int(limits.max_duration_s * limits.max_fps) + 1000
    try:
        for packet in packets_of(container, tracks, tell=told.by("packets")):
            if packet.size == 0:
                continue
            track = tracks[packet.stream_index]
            track.read += 1
            if not packet.is_discard:
                track.add(packet)
            if track.packets > most:
                raise Refused(f"a stream has more than {most} packets", code="too_long", hint="Send a shorter take.")
    except av.error.FFmpegError:
        pass  # what was read before counts; whether that is enough is decided by the measured times
    told.done("packets")
    return tracks


def _choose_video(container: Any, tracks: dict[int, _Track], path: Path) -> Any:
    """The default picture stream, or else the first, of those that have pictures we decode."""
    pictures = [s for s in container.streams.video if not _is_cover(s)]
    filled = [s for s in pictures if tracks[s.index].packets]
    if not filled:
        raise Refused("the video stream holds no pictures", code="incomplete_file", hint=INCOMPLETE_HINT)
    usable = [s for s in filled if can_decode(s)]
    if not usable:
        if is_encrypted(path):
            raise Refused("the video is encrypted (DRM)", code="encrypted", hint="Send the original recording.")
        raise Refused(
            f"the picture is coded as {decoder_name(filled[0]) or 'something unknown'}, which is not read here",
            code="unsupported_codec",
            hint="Export it as H.264 or HEVC.",
        )
    return min(usable, key=lambda s: (not s.disposition & Disposition.default, s.index))


def _choose_audio(container: Any, tracks: dict[int, _Track]) -> Any | None:
    """The default sound stream, or else the first, of those we decode: iPhones add one ('apac') that we do not."""
    usable = [s for s in container.streams.audio if can_decode(s) and tracks[s.index].packets]
    return min(usable, key=lambda s: (not s.disposition & Disposition.default, s.index), default=None)


def _other_streams(container: Any, chosen: set[int | None]) -> list[str]:
    def describe(stream: Any) -> str:
        name = decoder_name(stream) or stream.metadata.get("handler_name") or "unknown"
        return f"{stream.type}:{name}" + (" (cover)" if stream.type == "video" and _is_cover(stream) else "")

    return [describe(s) for s in container.streams if s.index not in chosen]


def _container_name(container: Any) -> str:
    name = str(container.format.name).split(",")[0]
    brand = container.metadata.get("major_brand", "").strip()
    if name == "mov":
        return "mov" if brand == "qt" else "3gp" if brand.startswith("3g") else "mp4"
    return name


def _video_info(path: Path, index: int, track: _Track, *, limits: Limits, told: _Told) -> VideoStreamInfo:
    """Decodes the first pictures: where bitstream and container disagree about colour, the bitstream is right."""
    with open_source(path, limits=limits) as container:
        stream: Any = container.streams[index]
        context = stream.codec_context
        _check_size(context.width, context.height, limits=limits)
        context.options = {**context.options, "max_pixels": str(limits.max_pixels)}
        picture, decoded_pts = _first_pictures(container, stream, tell=told.by("pictures"))
        told.done("pictures")
        if picture is None:
            raise Refused(
                "the picture cannot be decoded from second 0 on",
                code="undecodable" if track.packets > 3 else "truncated",
                hint=INCOMPLETE_HINT,
            )
        _check_size(picture.width, picture.height, limits=limits)
        time_base = fraction(stream.time_base) or Fraction(1, 90000)
        times = track.pts if track.untimed * 10 < len(track.pts) else array("q", decoded_pts)
        first, last, average, usual, variable = _pace(sorted(times), time_base, stream=stream)
        if picture.interlaced_frame:  # its packets may be single fields: two to a frame
            average = usual = fraction(stream.average_rate) or average
        if average > limits.max_fps and not variable:
            raise Refused(
                f"the picture has {float(average):.0f} frames a second; at most {limits.max_fps:.0f} are read",
                code="too_many_frames",
                hint="Export it at 60 frames a second.",
            )
        aspect = fraction(picture_aspect(stream)) or Fraction(1)
        rotation = _ROTATIONS.get(round(-picture.rotation / 90) * 90 % 360, 0)
        width, height = upright_size(picture.width, picture.height, aspect=aspect, rotation=rotation)
        _check_size(width, height, limits=limits)
        start_us = to_us(first, time_base)
        keys = sorted(to_us(k, time_base) for k in track.keys)
        end_us = to_us(last, time_base) + (to_us(track.last_duration, time_base) or round(1_000_000 / usual))
        declared = fraction(stream.guessed_rate)
        full_range = int(picture.color_range) == 2 or picture.format.name.startswith("yuvj")
        return VideoStreamInfo(
            index=index,
            codec=str(stream.codec_context.codec.canonical_name),
            pix_fmt=picture.format.name,
            coded_width=picture.width,
            coded_height=picture.height,
            width=width,
            height=height,
            rotation=rotation,  # type: ignore[arg-type]
            sample_aspect=f"{aspect.numerator}:{aspect.denominator}",
            average_rate=str(average.limit_denominator(100_000)),
            usual_rate=str(usual.limit_denominator(100_000)),
            declared_rate=None if declared is None else str(declared),
            variable_rate=variable,
            hdr=_HDR.get(int(picture.color_trc)),  # type: ignore[arg-type]
            interlaced=bool(picture.interlaced_frame),
            full_range=full_range,
            color_space=matrix_name(int(picture.colorspace), width=picture.width, height=picture.height),
            frames=track.packets,
            start_us=start_us,
            duration_us=end_us - start_us,
            keyframes=len(keys),
            longest_gop_us=max((b - a for a, b in zip(keys, [*keys[1:], end_us], strict=True)), default=0),
        )


def _check_size(width: int, height: int, *, limits: Limits) -> None:
    if width * height > limits.max_pixels:
        raise Refused(
            f"the picture is {width}×{height} = {width * height / 1e6:.1f} megapixels; "
            f"at most {limits.max_pixels / 1e6:.1f} are read",
            code="too_many_pixels",
            hint="Export it at 4K or smaller.",
        )
    if width and height and min(width, height) < SMALLEST_SIDE:
        raise Refused(
            f"the picture is {width}×{height} pixels; each side needs at least {SMALLEST_SIDE}",
            code="too_small",
            hint="Send the original recording.",
        )


def _first_pictures(container: Any, stream: Any, *, tell: Callable[[int], None]) -> tuple[Any | None, list[int]]:
    """A decoded picture and the times of a few. Errors before the first picture are passed over."""
    first = None
    times: list[int] = []
    for packet in packets_of(container, {stream.index}, tell=tell):
        try:
            for picture in packet.decode():
                first = first or picture
                if picture.pts is not None:
                    times.append(picture.pts)
        except av.error.FFmpegError:
            continue
        if len(times) >= _FIRST_PICTURES:
            break
    return first, times


def picture_aspect(stream: Any) -> Any:
    """Width over height of one sample; the container's word before the codec's, as players have it."""
    return stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio


def upright_size(width: int, height: int, *, aspect: Fraction, rotation: int) -> tuple[int, int]:
    """The size in square pixels, turned upright."""
    wide = max(1, round(width * aspect))
    return (height, wide) if rotation in (90, 270) else (wide, height)


def matrix_name(colorspace: int, *, width: int, height: int) -> str:
    """ "bt709", "smpte170m" or "bt2020": the source's YCbCr matrix; untagged video by its size, as players guess.

    Source: ITU-T H.273, MatrixCoefficients.
    """
    if colorspace == 1:
        return "bt709"
    if colorspace in (9, 10):
        return "bt2020"
    if colorspace in (4, 5, 6, 7):
        return "smpte170m"
    return "bt709" if width >= 1280 or height > 576 else "smpte170m"


def _pace(pts: list[int], time_base: Fraction, *, stream: Any) -> tuple[int, int, Fraction, Fraction, bool]:
    """First and last time, average rate, usual rate (of the median distance), and whether the rate varies."""
    declared = fraction(stream.average_rate) or fraction(stream.guessed_rate) or Fraction(30)
    pts = [p for i, p in enumerate(pts) if i == 0 or p != pts[i - 1]]
    if len(pts) < 2:
        return (*((pts[0], pts[0]) if pts else (0, 0)), declared, declared, False)
    steps = sorted(b - a for a, b in pairwise(pts))
    average = Fraction(len(pts) - 1) / ((pts[-1] - pts[0]) * time_base)
    usual = 1 / (steps[len(steps) // 2] * time_base)
    # Matroska and FLV round to 1 ms: that is not a varying rate.
    slack = max(Fraction(15, 10000) + time_base, Fraction(1, 8) / average)
    least, most = ceil((1 / average - slack) / time_base), floor((1 / average + slack) / time_base)
    uneven = bisect_left(steps, least) + len(steps) - bisect_right(steps, most)
    variable = uneven > max(1, len(steps) // 200)
    return pts[0], pts[-1], average, usual, variable


def _audio_info(path: Path, index: int, track: _Track, *, limits: Limits, told: _Told) -> AudioStreamInfo | None:
    """None when not one block of sound can be decoded."""
    with open_source(path, limits=limits) as container:
        stream = container.streams[index]
        time_base = fraction(stream.time_base) or Fraction(1, 48000)
        for packet in packets_of(container, {index}, tell=told.by("sound")):
            try:
                blocks = packet.decode()
            except av.error.FFmpegError:
                continue
            if not blocks or not track.pts:
                continue
            block: Any = blocks[0]
            length = to_us(track.last_duration, time_base) or round(1_000_000 * block.samples / block.sample_rate)
            start_us = max(to_us(min(track.pts), time_base), to_us(block.pts or 0, time_base))
            return AudioStreamInfo(
                index=index,
                codec=str(stream.codec_context.codec.canonical_name),
                sample_rate=block.sample_rate,
                channels=block.layout.nb_channels,
                layout=block.layout.name,
                start_us=start_us,
                duration_us=max(0, to_us(max(track.pts), time_base) + length - start_us),
            )
    return None


def _extent(video: VideoStreamInfo, audio: AudioStreamInfo | None) -> tuple[int, int]:
    """Where the take begins and ends. Sound that outlasts the picture by less than half a second is its last block."""
    start_us, end_us = video.start_us, video.start_us + video.duration_us
    if audio is None or audio.duration_us == 0:
        return start_us, end_us
    sound_end_us = audio.start_us + audio.duration_us
    if abs(audio.start_us - start_us) > 30_000_000 + video.duration_us:  # a broken clock, not a late start
        return start_us, end_us
    # Sound that starts a little before the picture is encoder delay; more is a picture that comes late.
    if start_us - audio.start_us > 50_000:
        start_us = audio.start_us
    return start_us, sound_end_us if sound_end_us > end_us + 500_000 else end_us


def _check_duration(duration_us: int, *, limits: Limits) -> None:
    if duration_us > limits.max_duration_s * 1_000_000:
        raise Refused(
            f"the take is {duration_us / 1e6:.0f} s long; at most {limits.max_duration_s:.0f} s are taken",
            code="too_long",
            hint="Cut it into shorter takes.",
        )
    if duration_us <= 0:
        raise Refused("the take has no length", code="incomplete_file", hint=INCOMPLETE_HINT)


def _check_whole(share: float, *, what: str, left: object) -> None:
    if share < _WHOLE:
        raise Refused(
            f"the file is truncated: it declares {what}, but the data ends after {left}",
            code="truncated",
            hint=INCOMPLETE_HINT,
        )
