"""A segment as every platform wants it, and every way to spoil one thing about it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from tests.media.measure import loudness
from tests.media.synth import QUICK, RATE, Samples, tone

PRIMING = 1024  # samples the AAC encoder puts before the first
MOOV_FIRST = {"movflags": "+faststart", "use_editlist": "0"}


@dataclass(frozen=True)
class Recipe:
    """How the segment is made; the defaults make a good one."""

    seconds: float = 4.0
    size: tuple[int, int] = (360, 640)
    rate: Fraction = Fraction(30)
    codec: str = "libx264"
    profile: str | None = "high"
    pix_fmt: str = "yuv420p"
    colour: tuple[int, int, int] = (1, 1, 1)
    colour_range: int = 1
    sample_aspect: Fraction | None = None
    rotation: int = 0
    gop: int = 60
    x264: str = "bframes=0:scenecut=0:open-gop=0"
    options: Mapping[str, str] = field(default_factory=dict)
    noisy: bool = False
    ticks: Callable[[int], int] = lambda n: n  # of frame n, in frame durations
    audio_codec: str = "aac"
    audio_rate: int = RATE
    audio_layout: str = "stereo"
    audio_seconds: float | None = None
    audio_shift: int = PRIMING
    audio_hole: int = 0  # samples left out in the middle
    sounds: int = 1
    samples: Samples | None = None
    target_lufs: float = -14.0
    container: Mapping[str, str] = field(default_factory=lambda: MOOV_FIRST)
    tags: Mapping[str, str] = field(default_factory=dict)


def finished(path: Path, recipe: Recipe) -> Path:
    """Write the segment."""
    with av.open(str(path), "w", container_options=dict(recipe.container)) as container:
        container.metadata.update(recipe.tags)
        video = _video(container, recipe)
        sounds = [_audio(container, recipe) for _ in range(recipe.sounds)]
        packets = list(_pictures(video, recipe))
        for stream in sounds:
            packets += _sound(stream, recipe)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def _video(container: av.container.OutputContainer, recipe: Recipe) -> VideoStream:
    options = {"preset": "ultrafast", "crf": "24", **recipe.options}
    if recipe.codec == "libx264":
        options["x264-params"] = recipe.x264
        if recipe.profile:
            options["preset"] = "superfast"  # ultrafast uses nothing that makes it High
            options["profile"] = recipe.profile
    stream = cast(VideoStream, container.add_stream(recipe.codec, rate=recipe.rate, options=options))
    stream.width, stream.height = recipe.size
    stream.pix_fmt = recipe.pix_fmt
    context = stream.codec_context
    context.color_primaries, context.color_trc, context.colorspace = recipe.colour
    context.color_range, context.gop_size = recipe.colour_range, recipe.gop
    if recipe.sample_aspect:
        context.sample_aspect_ratio = recipe.sample_aspect
    if recipe.rotation:
        stream.set_display_rotation(recipe.rotation)
    return stream


def _audio(container: av.container.OutputContainer, recipe: Recipe) -> AudioStream:
    options = QUICK.get(recipe.audio_codec)
    stream = container.add_stream(
        recipe.audio_codec, rate=recipe.audio_rate, layout=recipe.audio_layout, options=options
    )
    return cast(AudioStream, stream)


def _pictures(stream: VideoStream, recipe: Recipe) -> Iterable[Any]:
    random = np.random.default_rng(5)
    reformat = VideoReformatter().reformat  # a frame's own makes its tables anew for each
    width, height = recipe.size
    for n in range(round(recipe.seconds * recipe.rate)):
        if recipe.noisy:
            picture = random.integers(0, 255, (height, width, 3), dtype=np.uint8)
            frame = reformat(VideoFrame.from_ndarray(picture, format="rgb24"), format=recipe.pix_fmt)
        else:
            picture = np.full((height, width), (3 * n) % 200 + 20, np.uint8)
            picture[: height // 2] = 90
            frame = reformat(VideoFrame.from_ndarray(picture, format="gray"), format=recipe.pix_fmt)
        frame.pts, frame.time_base = recipe.ticks(n), 1 / recipe.rate
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _sound(stream: AudioStream, recipe: Recipe) -> list[Any]:
    channels = 1 if recipe.audio_layout == "mono" else 2
    seconds = recipe.seconds if recipe.audio_seconds is None else recipe.audio_seconds
    samples = recipe.samples
    if samples is None:
        samples = at_loudness(tone(seconds, channels=channels, rate=recipe.audio_rate), recipe)
    packets, position = [], 0
    convert = av.AudioResampler(format=stream.codec_context.format, layout=recipe.audio_layout, rate=recipe.audio_rate)
    block = stream.codec_context.frame_size or 1024
    count = max(0, samples.shape[1] - PRIMING) // block * block  # priming and all, it ends with the picture
    for at in range(0, count, block):
        if at >= count // 2 > at - block:
            position += recipe.audio_hole
        part = np.ascontiguousarray(samples[:, at : at + block])
        frame = AudioFrame.from_ndarray(part, format="fltp", layout=recipe.audio_layout)
        frame.sample_rate = recipe.audio_rate
        for same in convert.resample(frame):
            same.pts, same.time_base = position, Fraction(1, recipe.audio_rate)
            packets += stream.encode(same)
        position += block
    packets += stream.encode(None)
    for packet in packets:
        packet.pts = (packet.pts or 0) + recipe.audio_shift
        packet.dts = packet.pts
    return packets


def at_loudness(samples: Samples, recipe: Recipe) -> Samples:
    measured, _ = loudness(samples, rate=recipe.audio_rate)
    gain = 1.0 if measured is None else 10 ** ((recipe.target_lufs - measured) / 20)
    return np.asarray(samples * gain, np.float32)
