"""Measures of a finished file: every frame decoded, loudness and true peak by FFmpeg's ebur128."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

SILENCE_LUFS = -70.0  # ITU-R BS.1770: blocks under this do not count


@dataclass
class Decoded:
    """What came out of the decoders. Times in seconds as the container's presentation times say."""

    frame_times: list[Fraction] = field(default_factory=list)  # in the order the decoder gives the pictures out
    frame_duration: Fraction = Fraction(0)
    sizes: set[tuple[int, int]] = field(default_factory=set)
    formats: set[str] = field(default_factory=set)
    interlaced: int = 0
    corrupt: int = 0
    rotations: set[int] = field(default_factory=set)
    audio_start: Fraction | None = None
    audio_end: Fraction | None = None
    audio_samples: int = 0
    errors: list[str] = field(default_factory=list)
    integrated_lufs: float | None = None  # None: under 400 ms, or all of it under the gate
    true_peak_dbtp: float | None = None

    @property
    def video_end(self) -> Fraction | None:
        return max(self.frame_times) + self.frame_duration if self.frame_times else None


def decode_all(path: Path) -> Decoded:
    """Decode every frame of every stream, with the decoders told to complain."""
    found = Decoded()
    _decode_pictures(path, found)
    _decode_sound(path, found)
    return found


def _decode_pictures(path: Path, found: Decoded) -> None:
    with av.open(str(path)) as container:
        for stream in container.streams.video[:1]:
            stream.codec_context.options = {"err_detect": "explode"}
            stream.thread_type = "AUTO"
            rate = stream.average_rate or stream.guessed_rate
            found.frame_duration = 1 / rate if rate else Fraction(0)
            for frame in _frames(container, stream, found.errors):
                assert isinstance(frame, VideoFrame)
                if frame.pts is None or frame.time_base is None:
                    found.errors.append(f"picture {len(found.frame_times)} has no time")
                    continue
                found.frame_times.append(frame.pts * frame.time_base)
                found.sizes.add((frame.width, frame.height))
                found.formats.add(frame.format.name)
                found.interlaced += frame.interlaced_frame
                found.corrupt += frame.is_corrupt
                found.rotations.add(frame.rotation)


def _decode_sound(path: Path, found: Decoded) -> None:
    with av.open(str(path)) as container:
        for stream in container.streams.audio[:1]:
            stream.codec_context.options = {"err_detect": "explode"}
            meter = LoudnessMeter()
            for frame in _frames(container, stream, found.errors):
                assert isinstance(frame, AudioFrame)
                if frame.pts is None or frame.time_base is None:
                    found.errors.append("sound without a time")
                    continue
                at = frame.pts * frame.time_base
                found.audio_start = at if found.audio_start is None else min(found.audio_start, at)
                found.audio_end = at + Fraction(frame.samples, frame.sample_rate)
                found.audio_samples += frame.samples
                meter.push(frame)
            found.integrated_lufs, found.true_peak_dbtp = meter.finish()


def _frames(
    container: av.container.InputContainer, stream: VideoStream | AudioStream, errors: list[str]
) -> Iterator[VideoFrame | AudioFrame]:
    for packet in container.demux(stream):
        try:
            for frame in packet.decode():
                assert isinstance(frame, VideoFrame | AudioFrame)
                yield frame
        except av.FFmpegError as error:
            errors.append(f"{stream.type} at {float((packet.pts or 0) * packet.time_base):.3f} s: {error}")


class LoudnessMeter:
    """FFmpeg's ebur128 over frames of one format, padded with silence to its 100 ms grid."""

    def __init__(self) -> None:
        self._graph: av.filter.Graph | None = None
        self._last: dict[str, str] = {}
        self._peak = 0.0
        self._pushed = 0
        self._like: AudioFrame | None = None

    def push(self, frame: AudioFrame) -> None:
        if self._graph is None:
            self._graph = self._build(frame)
            self._like = frame
        frame.pts, frame.time_base = self._pushed, Fraction(1, frame.sample_rate)
        self._pushed += frame.samples
        self._graph.push(frame)
        self._drain()

    def finish(self) -> tuple[float | None, float | None]:
        """Integrated loudness in LUFS and true peak in dBTP; None where there is none."""
        if self._graph is None or self._like is None:
            return None, None
        rate = self._like.sample_rate
        if missing := -self._pushed % (rate // 10):
            shape = (self._like.layout.nb_channels, missing)
            pad = AudioFrame.from_ndarray(np.zeros(shape, np.float32), format="fltp", layout=self._like.layout.name)
            pad.sample_rate = rate
            self.push(pad)
        loudness = float(self._last.get("lavfi.r128.I", SILENCE_LUFS))
        return (
            loudness if loudness > SILENCE_LUFS and math.isfinite(loudness) else None,
            20 * math.log10(self._peak) if self._peak > 0 else None,
        )

    def _build(self, frame: AudioFrame) -> av.filter.Graph:
        if frame.format.name != "fltp":
            raise ValueError(f"loudness is measured on fltp, not {frame.format.name}")
        graph = av.filter.Graph()
        source = graph.add_abuffer(
            format="fltp",
            sample_rate=frame.sample_rate,
            layout=frame.layout.name,
            time_base=Fraction(1, frame.sample_rate),
        )
        meter = graph.add("ebur128", "peak=true:metadata=1:framelog=quiet")
        sink = graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(sink)
        graph.configure()
        return graph

    def _drain(self) -> None:
        assert self._graph is not None
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            self._last = dict(frame.metadata)
            self._peak = max(self._peak, float(self._last.get("lavfi.r128.true_peak", 0.0)))


def loudness(sound: NDArray[np.float32], *, rate: int = 48_000) -> tuple[float | None, float | None]:
    """Integrated loudness and true peak of samples shaped (channels, samples)."""
    meter = LoudnessMeter()
    layout = "mono" if len(sound) == 1 else "stereo"
    for at in range(0, sound.shape[1], rate):
        part = np.ascontiguousarray(sound[:, at : at + rate], np.float32)
        frame = AudioFrame.from_ndarray(part, format="fltp", layout=layout)
        frame.sample_rate = rate
        meter.push(frame)
    return meter.finish()


def source_duration_s(path: Path) -> float:
    """How long a source is, by its packets: from the first presentation time to the last end."""
    first, last = math.inf, -math.inf
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.pts is None or packet.stream.type not in ("video", "audio"):
                continue
            at = float(packet.pts * packet.time_base)
            first, last = min(first, at), max(last, at + float((packet.duration or 0) * packet.time_base))
    return max(0.0, last - first)


def source_tags(path: Path) -> dict[str, str]:
    """Every tag of a source's container and streams."""
    with av.open(str(path)) as container:
        tags = dict(container.metadata)
        for stream in container.streams:
            tags |= {f"stream {stream.index} {name}": value for name, value in stream.metadata.items()}
    return tags
