"""What a stream is: by the times of its packets, and by the first of them decoded."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import atan2, ceil, degrees, floor
from pathlib import Path
from struct import unpack_from
from typing import Any, Literal

import av.error

from vidprod.domain.step import Limits
from vidprod.domain.video import AudioStreamInfo, VideoStreamInfo
from vidprod.errors import Refused
from vidprod.media.container import INCOMPLETE_HINT, open_source, packets_of
from vidprod.media.timebase import fraction, to_us
from vidprod.media.tracks import Track

SMALLEST_SIDE = 16  # pixels; below, nothing can be seen and filters have no size left
_HDR = {16: "pq", 18: "hlg"}  # ITU-T H.273: SMPTE ST 2084, ARIB STD-B67
_FIRST_PICTURES = 3


def describe_video(
    path: Path, index: int, track: Track, *, limits: Limits, tell: Callable[[int], None]
) -> VideoStreamInfo:
    """Decodes the first pictures: where bitstream and container disagree about colour, the bitstream is right."""
    with open_source(path, limits=limits) as container:
        stream: Any = container.streams[index]
        context = stream.codec_context
        _check_size(context.width, context.height, limits=limits)
        context.options = {**context.options, "max_pixels": str(limits.max_pixels)}
        picture, decoded_pts = _first_pictures(container, stream, tell=tell)
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
        rotation, mirrored = orientation(picture)
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
            rotation=rotation,
            mirrored=mirrored,
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
            longest_gop_us=max(b - a for a, b in pairwise([*(keys or [start_us]), end_us])),
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


def orientation(picture: Any) -> tuple[Literal[0, 90, 180, 270], bool]:
    """How far the coded picture is turned clockwise to be upright, and whether left and right are swapped then.

    Source: FFmpeg's libavutil/display.h; its tools turn and flip alike.
    """
    try:
        matrix = picture.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV 18 gives nothing out beside a type it does not know, but for the angle
        return _quarter(-picture.rotation), False
    if matrix is None:
        return 0, False
    a, b, _, c, d = unpack_from("=5i", matrix)  # (x, y) is shown at (ax + cy, bx + dy), y downwards
    mirrored = a * d < b * c
    return _quarter(degrees(atan2(b, -a if mirrored else a))), mirrored


def _quarter(angle: float) -> Literal[0, 90, 180, 270]:
    quarters: tuple[Literal[0, 90, 180, 270], ...] = (0, 90, 180, 270)
    return quarters[round(angle / 90) % 4]


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


def describe_audio(
    path: Path, index: int, track: Track, *, limits: Limits, tell: Callable[[int], None]
) -> AudioStreamInfo | None:
    """None when not one block of sound can be decoded."""
    with open_source(path, limits=limits) as container:
        stream = container.streams[index]
        time_base = fraction(stream.time_base) or Fraction(1, 48000)
        for packet in packets_of(container, {index}, tell=tell):
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
