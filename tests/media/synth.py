"""Synthetic takes whose truth is known: every maker writes one small file and says nothing else.

Pictures carry machine-readable codes, flashes, circles or patches; sounds are tones at known times. What reads
them back is in `readers`.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

LANDSCAPE, PORTRAIT = (640, 360), (240, 428)  # what fills 360 × 640 at one and a half times its size
RATE = 48_000
BLACK, WHITE = 16, 235  # luma, limited range
CODE_COLUMNS, CODE_ROWS = 4, 6  # 24 cells: a 16-bit number and an 8-bit check
TICKS = Fraction(1, 90_000)

QUICK = {"aac": {"aac_coder": "fast"}}  # options of encoders; the coder of AAC that searches takes four times as long

Luma = NDArray[np.uint8]
Samples = NDArray[np.float32]
Timed = tuple[Fraction, NDArray[Any]]


@dataclass(frozen=True)
class Sound:
    """One sound track: samples shaped (channels, samples), from `start_s` on."""

    samples: Samples
    rate: int = RATE
    start_s: float = 0.0
    layout: str = "stereo"
    codec: str = "aac"


@dataclass(frozen=True)
class Style:
    """How a take is encoded and wrapped."""

    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    options: Mapping[str, str] = field(default_factory=lambda: {"preset": "ultrafast", "crf": "20"})
    format: str | None = None
    container_options: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    rotation: int = 0  # degrees clockwise that a player turns the coded picture
    sample_aspect: Fraction | None = None
    colour: tuple[int, int, int] = (1, 1, 1)  # primaries, transfer, matrix
    full_range: bool = False
    time_base: Fraction | None = None
    gop: int | None = None
    drop_packets: int = 0  # of the picture, from the start of the stream
    drop_keyframes: bool = False
    more_sounds: int = 0  # further copies of the sound


PLAIN = Style()


def write(path: Path, pictures: Iterable[Timed], *, rate: Fraction, sound: Sound | None, style: Style = PLAIN) -> Path:
    """Encode pictures at their times, and a sound, into one file.

    Args:
        pictures: (seconds, picture); a picture is luma (h, w) uint8, RGB (h, w, 3) uint8, or planes of the style's
            own pixel format (3h/2, w).
    """
    timed = iter(pictures)
    first = next(timed)
    with av.open(str(path), "w", format=style.format, container_options=dict(style.container_options)) as container:
        container.metadata.update(style.tags)
        video = _video_stream(container, first[1], rate, style)
        sounds = [_audio_stream(container, sound) for _ in range(1 + style.more_sounds)] if sound else []
        packets = list(_encode_pictures(video, first, timed, style))
        for stream in sounds:
            assert sound is not None
            packets += _encode_sound(stream, sound)
        for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base):
            container.mux(packet)
    return path


def write_sound(path: Path, sound: Sound) -> Path:
    """A file with a sound and no picture."""
    with av.open(str(path), "w") as container:
        for packet in _encode_sound(_audio_stream(container, sound), sound):
            container.mux(packet)
    return path


def _video_stream(
    container: av.container.OutputContainer, picture: NDArray[Any], rate: Fraction, style: Style
) -> VideoStream:
    stream = cast(VideoStream, container.add_stream(style.codec, rate=rate, options=dict(style.options)))
    planar = picture.dtype == np.uint16
    stream.height, stream.width = (picture.shape[0] * 2 // 3 if planar else picture.shape[0]), picture.shape[1]
    stream.pix_fmt = style.pix_fmt
    context = stream.codec_context
    context.color_primaries, context.color_trc, context.colorspace = style.colour
    context.color_range = 2 if style.full_range else 1
    if style.sample_aspect:
        context.sample_aspect_ratio = style.sample_aspect
    if style.gop:
        context.gop_size = style.gop
    context.time_base = style.time_base or 1 / rate
    if style.rotation:
        stream.set_display_rotation(-style.rotation)  # FFmpeg counts anticlockwise
    return stream


def _audio_stream(container: av.container.OutputContainer, sound: Sound) -> AudioStream:
    return cast(
        AudioStream,
        container.add_stream(sound.codec, rate=sound.rate, layout=sound.layout, options=QUICK.get(sound.codec)),
    )


def _encode_pictures(video: VideoStream, first: Timed, rest: Iterator[Timed], style: Style) -> Iterator["Packet[Any]"]:
    base = video.codec_context.time_base
    assert base is not None
    number = 0
    for at, picture in _chain(first, rest):
        frame = _frame(picture, style)
        frame.pts, frame.time_base = round(at / base), base
        for packet in video.encode(frame):
            number += 1
            if number > style.drop_packets and not (style.drop_keyframes and packet.is_keyframe):
                yield packet
    yield from video.encode(None)


def _chain(first: Timed, rest: Iterator[Timed]) -> Iterator[Timed]:
    yield first
    yield from rest


def _frame(picture: NDArray[Any], style: Style) -> VideoFrame:
    if picture.dtype == np.uint16:
        return VideoFrame.from_ndarray(picture, format=style.pix_fmt)
    if picture.ndim == 3:
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        matrix = {1: "ITU709", 5: "ITU601", 6: "ITU601", 9: "BT2020"}[style.colour[2]]
        return frame.reformat(
            format=style.pix_fmt, dst_colorspace=matrix, dst_color_range="JPEG" if style.full_range else "MPEG"
        )
    height, width = picture.shape
    if height % 2 or width % 2 or style.pix_fmt != "yuv420p":
        return _frame(np.repeat(picture[:, :, None], 3, axis=2), style)
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    planes[:height] = picture
    return VideoFrame.from_ndarray(planes, format="yuv420p")


def _encode_sound(stream: AudioStream, sound: Sound) -> list["Packet[Any]"]:
    packets: list[Any] = []
    position = round(sound.start_s * sound.rate)
    convert = av.AudioResampler(format=stream.codec_context.format, layout=sound.layout, rate=sound.rate)
    block = stream.codec_context.frame_size or 1024
    for at in range(0, sound.samples.shape[1], block):
        part = np.ascontiguousarray(sound.samples[:, at : at + block], np.float32)
        frame = AudioFrame.from_ndarray(part, format="fltp", layout=sound.layout)
        frame.sample_rate = sound.rate
        for same in convert.resample(frame):
            same.pts, same.time_base = position, Fraction(1, sound.rate)
            packets += stream.encode(same)
        position += block
    return packets + stream.encode(None)


# Sounds


def tone(seconds: float, *, hz: float = 440.0, peak: float = 0.25, channels: int = 2, rate: int = RATE) -> Samples:
    at = np.arange(round(seconds * rate)) / rate
    return np.tile((peak * np.sin(2 * np.pi * hz * at)).astype(np.float32), (channels, 1))


def noise(seconds: float, *, peak: float = 0.2, channels: int = 2, rate: int = RATE, seed: int = 1) -> Samples:
    """Speech-shaped: pink-ish noise in syllables of about 4 Hz."""
    count = round(seconds * rate)
    white = np.random.default_rng(seed).standard_normal(count)
    smooth = np.convolve(white, np.ones(12) / 12, "same")
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4.1 * np.arange(count) / rate)
    voice = smooth * syllables
    return np.tile((peak * voice / np.abs(voice).max()).astype(np.float32), (channels, 1))


def with_pauses(sound: Samples, pauses: Sequence[tuple[float, float]], *, rate: int = RATE) -> Samples:
    """The same, near silent in each pause (a, b) in seconds."""
    out = sound.copy()
    for begin, end in pauses:
        out[:, round(begin * rate) : round(end * rate)] *= 0.001
    return out


# Pictures


def code_cells(size: tuple[int, int]) -> tuple[int, int, int]:
    """Where the code lies in a picture of this size: left, top, and the side of a cell. It survives a 9:16 crop."""
    width, height = size
    side = min(width, height) // 9
    return (width - CODE_COLUMNS * side) // 2, (height - CODE_ROWS * side) // 2, side


def code_bits(number: int) -> list[int]:
    """16 bits of the number, 8 of its check, highest first."""
    return [(number << 8 | code_check(number)) >> shift & 1 for shift in range(23, -1, -1)]


def code_check(number: int) -> int:
    return (number * 167 + (number >> 8) * 59 + 91) & 255


def numbered_picture(number: int, size: tuple[int, int]) -> Luma:
    """A grey gradient with the code of `number` in its middle, framed in mid grey."""
    width, height = size
    picture = np.tile(np.linspace(60, 180, width).astype(np.uint8), (height, 1))
    left, top, side = code_cells(size)
    margin = side // 2
    framed = (
        slice(top - margin, top + CODE_ROWS * side + margin),
        slice(left - margin, left + CODE_COLUMNS * side + margin),
    )
    picture[framed] = 126
    for index, bit in enumerate(code_bits(number)):
        row, column = divmod(index, CODE_COLUMNS)
        y, x = top + row * side, left + column * side
        picture[y : y + side, x : x + side] = WHITE if bit else BLACK
    return picture


def numbered(
    path: Path,
    frames: int,
    rate: Fraction | int = 30,
    *,
    size: tuple[int, int] = PORTRAIT,
    sound: Sound | str | None = "noise",
    first_s: float = 0.0,
    style: Style = PLAIN,
) -> Path:
    """Constant rate; every frame carries its number, from 0 on."""
    step = 1 / Fraction(rate)
    start = Fraction(round(first_s / step)) * step if first_s else Fraction(0)
    heard = Sound(noise(float(frames * step))) if sound == "noise" else cast("Sound | None", sound)
    pictures = ((start + n * step, numbered_picture(n, size)) for n in range(frames))
    return write(path, pictures, rate=Fraction(rate), sound=heard, style=style)


def vfr(path: Path, times: Sequence[float], *, size: tuple[int, int] = PORTRAIT, rate: int = 30) -> Path:
    """Frame n is shown at times[n] seconds: gaps and bursts as phones record them."""
    pictures = ((Fraction(at).limit_denominator(90_000), numbered_picture(n, size)) for n, at in enumerate(times))
    style = replace(PLAIN, time_base=TICKS)
    return write(path, pictures, rate=Fraction(rate), sound=Sound(noise(times[-1] + 1 / rate)), style=style)


def phone_times(seconds: float, *, rate: float = 30.0, seed: int = 7) -> list[float]:
    """Times as a phone's camera gives them: jitter, now and then a dropped frame, a long gap, a burst."""
    random = np.random.default_rng(seed)
    times, at = [0.0], 0.0
    while at < seconds:
        kind = random.random()
        step = 1 / rate * (1 + random.uniform(-0.12, 0.12))
        if kind > 0.99:
            step = random.uniform(0.3, 0.6)
        elif kind > 0.94:
            step *= 2
        elif kind < 0.03:
            step *= 0.55
        at += step
        times.append(at)
    return times


def flash_and_beep(
    path: Path,
    at: Sequence[float],
    *,
    seconds: float,
    rate: Fraction | int = 30,
    size: tuple[int, int] = PORTRAIT,
    video_start_s: float = 0.0,
    audio_start_s: float = 0.0,
    style: Style = PLAIN,
) -> Path:
    """A white flash and a 1 kHz beep begin together at each of these times, both last 0.1 s.

    Args:
        at: seconds on the take's clock; frame times, so that the flash can be exact.
        video_start_s, audio_start_s: when each stream begins on that clock.
    """
    step = 1 / Fraction(rate)
    begin = Fraction(round(video_start_s / step)) * step
    count = int((Fraction(seconds) - begin) / step)

    def pictures() -> Iterator[Timed]:
        for n in range(count):
            now = begin + n * step
            lit = any(float(now) >= time - 1e-4 and float(now) < time + 0.1 - 1e-4 for time in at)
            yield now, np.full(size[::-1], WHITE if lit else 40, np.uint8)

    samples = np.zeros((2, round((seconds - audio_start_s) * RATE)), np.float32)
    beep = tone(0.1, hz=1000.0, peak=0.5)
    for time in at:
        first = round((time - audio_start_s) * RATE)
        if 0 <= first <= samples.shape[1] - beep.shape[1]:
            samples[:, first : first + beep.shape[1]] = beep
    sound = Sound(samples, start_s=audio_start_s)
    return write(path, pictures(), rate=Fraction(rate), sound=sound, style=style)


QUADRANTS = {"red": (200, 30, 30), "green": (30, 180, 30), "blue": (30, 30, 200), "white": (230, 230, 230)}


def quadrants(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Upright: red, green above; blue, white below."""
    width, height = size
    picture = np.empty((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = QUADRANTS["red"], QUADRANTS["green"]
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = QUADRANTS["blue"], QUADRANTS["white"]
    return picture


def rotated(path: Path, degrees: int, *, seconds: float = 3.2, size: tuple[int, int] = PORTRAIT) -> Path:
    """Four coloured quadrants of upright `size`, coded turned so that a player must turn it `degrees` clockwise."""
    coded = np.rot90(quadrants(size), degrees // 90)  # anticlockwise, what the player's turn undoes
    pictures = ((Fraction(n, 30), coded) for n in range(round(seconds * 30)))
    return write(path, pictures, rate=Fraction(30), sound=Sound(noise(seconds)), style=replace(PLAIN, rotation=degrees))


Matrix = tuple[int, int, int, int]  # a, b, c, d: the coded picture's (x, y) is shown at (ax + cy, bx + dy)


def with_matrix(path: Path, matrix: Matrix, *, seconds: float = 3.2, size: tuple[int, int] = PORTRAIT) -> Path:
    """Four coloured quadrants of upright `size`, coded so that the track's matrix (an MP4's) brings them there.

    Source: ISO/IEC 14496-12, 8.3.2.
    """
    a, b, c, d = matrix
    width, height = size
    y, x = np.mgrid[: width if b else height, : height if b else width]
    x, y = 2 * x - x.max(), 2 * y - y.max()  # from the centre, twice
    coded = quadrants(size)[(b * x + d * y + height - 1) // 2, (a * x + c * y + width - 1) // 2]
    pictures = ((Fraction(n, 30), coded) for n in range(round(seconds * 30)))
    write(path, pictures, rate=Fraction(30), sound=Sound(noise(seconds)))
    data = path.read_bytes()
    at = data.index(b"tkhd") + 4 + 40  # the picture's track is the first
    written = struct.pack(">5i", a << 16, b << 16, 0, c << 16, d << 16)
    path.write_bytes(data[:at] + written + data[at + len(written) :])
    return path


def photographs(path: Path, orientation: int, *, size: tuple[int, int], frames: int) -> Path:
    """Motion JPEG of four coloured quadrants, each picture with an Exif tag of how the camera was held."""
    picture = VideoFrame.from_ndarray(quadrants(size), format="rgb24").reformat(format="yuvj420p")
    encoder = cast(Any, av.CodecContext.create("mjpeg", "w"))
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = *size, "yuvj420p", Fraction(1, 30)
    jpeg = b"".join(bytes(packet) for packet in [*encoder.encode(picture), *encoder.encode(None)])
    tag = struct.pack(">HHIHHI", 0x112, 3, 1, orientation, 0, 0)  # one SHORT; then no further directory
    exif = b"Exif\0\0" + b"MM\0*" + struct.pack(">IH", 8, 1) + tag
    jpeg = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = *size, "yuvj420p"
        for number in range(frames):
            packet = cast(Any, Packet(jpeg))
            packet.stream, packet.pts, packet.dts = stream, number, number
            packet.time_base, packet.is_keyframe = Fraction(1, 30), True
            container.mux(packet)
    return path


def circle(size: tuple[int, int], sample_aspect: Fraction) -> Luma:
    """A white disc, round when shown: its radius is a quarter of the shorter displayed side."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    radius = min(width * float(sample_aspect), height) / 4
    inside = ((x + 0.5 - width / 2) * float(sample_aspect)) ** 2 + (y + 0.5 - height / 2) ** 2 < radius**2
    return np.where(inside, WHITE, 30).astype(np.uint8)


def anamorphic(path: Path, sar: Fraction, *, size: tuple[int, int], seconds: float = 3.2) -> Path:
    picture = circle(size, sar)
    pictures = ((Fraction(n, 30), picture) for n in range(round(seconds * 30)))
    style = replace(PLAIN, sample_aspect=sar)
    return write(path, pictures, rate=Fraction(30), sound=Sound(noise(seconds)), style=style)


def striped(path: Path, *, size: tuple[int, int] = LANDSCAPE, seconds: float = 3.2) -> Path:
    """Sharp upright stripes from edge to edge, brighter to the right."""
    width, height = size
    across = np.where(np.arange(width) // 8 % 2, 90, 60) + np.linspace(0, 140, width)
    picture = np.tile(across.astype(np.uint8), (height, 1))
    pictures = ((Fraction(n, 30), picture) for n in range(round(seconds * 30)))
    return write(path, pictures, rate=Fraction(30), sound=Sound(noise(seconds)))


def interlaced(
    path: Path,
    *,
    seconds: float = 3.2,
    size: tuple[int, int] = (640, 480),
    first_s: float = 0.0,
    codec: str = "libx264",
    sound: bool = True,
) -> Path:
    """25 interlaced frames a second, top field first: a white bar moves 6 pixels a field."""
    width, height = size
    first = round(first_s * 25)

    def field_picture(n: int) -> Luma:
        picture = np.full((height, width), 40, np.uint8)
        left = 60 + (6 * n) % (width - 200)
        picture[:, left : left + 60] = WHITE
        return picture

    def pictures() -> Iterator[Timed]:
        for n in range(round(seconds * 25)):
            woven = field_picture(2 * n)
            woven[1::2] = field_picture(2 * n + 1)[1::2]
            yield Fraction(first + n, 25), woven

    options = {"flags": "+ildct+ilme"}
    if codec == "libx264":
        options |= {**PLAIN.options, "x264-params": "tff=1:interlaced=1"}
    style = replace(PLAIN, codec=codec, options=options)
    heard = Sound(noise(seconds)) if sound else None
    return write(path, pictures(), rate=Fraction(25), sound=heard, style=style)


def with_sound(path: Path, sound: Sound | None, *, seconds: float, size: tuple[int, int] = PORTRAIT) -> Path:
    """A dull picture with this sound."""
    pictures = ((Fraction(n, 30), numbered_picture(n, size)) for n in range(round(seconds * 30)))
    return write(path, pictures, rate=Fraction(30), sound=sound)


def speech_like(path: Path, pauses: Sequence[tuple[float, float]], *, seconds: float) -> Path:
    """Syllables of noise with near silence in each pause (a, b)."""
    return with_sound(path, Sound(with_pauses(noise(seconds), pauses)), seconds=seconds)


PRIVATE_TAGS = {
    "location": "+48.8577+002.2950/",
    "location-eng": "+48.8577+002.2950/",
    "com.apple.quicktime.location.ISO6709": "+48.8577+002.2950+035.000/",
    "make": "Examplephone Inc",
    "model": "Examplephone 15 Pro",
    "com.apple.quicktime.make": "Examplephone Inc",
    "creation_time": "2026-05-04T03:02:01.000000Z",
    "comment": "private remark of the creator",
    "title": "Holiday with the neighbours",
}


def with_metadata(path: Path, *, seconds: float = 3.2, keys: bool = False) -> Path:
    """GPS, device, creation time and words, as user data atoms, or with `keys` as QuickTime metadata keys."""
    options = {"movflags": "use_metadata_tags"} if keys else {}
    style = replace(PLAIN, tags=PRIVATE_TAGS, container_options=options)
    return numbered(path, round(seconds * 30), style=style)
