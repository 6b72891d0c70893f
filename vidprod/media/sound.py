"""The sound of a take as one steady track: 48 kHz stereo, gaps filled, on the output's clock."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from vidprod.domain.step import Limits
from vidprod.domain.video import MediaInfo
from vidprod.media.container import open_source
from vidprod.media.timebase import fraction

RATE = 48_000  # Hz
_SLIP = round(0.012 * RATE)  # samples a block may lie off its time before silence is put in or sound left out
# A segment made alone is the same to the byte as in one pass: AAC fills in noise from a generator that runs on from
# packet to packet, so up to here the sound is decoded from the beginning (a few seconds' work); beyond, it is sought.
_DECODE_THROUGH_S = 1200

_MOST_ERRORS = 100_000

Samples = NDArray[np.float32]


class Sound:
    """Reads the sound of a source forwards. Sound that is missing, late or damaged is silence."""

    def __init__(self, path: Path, info: MediaInfo, *, limits: Limits) -> None:
        self._path = path
        self._info = info
        self._limits = limits
        self._blocks: Iterator[tuple[int, Samples]] = iter(())
        self._at = -1  # the sample that the next block from the source is expected at; -1: not begun
        self._held: list[tuple[int, Samples]] = []
        self._errors = 0
        self._lost: list[tuple[int, int]] = []  # samples, half-open, of which no packet could be decoded

    def read(self, first: int, count: int) -> Samples:
        """Samples `first` … `first + count − 1` of the take, (2, count) float32 in −1 … 1.

        Calls go forward: `first` is never less than in the call before.
        """
        out = np.zeros((2, count), np.float32)
        if self._info.audio is None:
            return out
        if self._at < 0:
            self._blocks, self._at = self._timed(first), 0
        kept: list[tuple[int, Samples]] = []
        for start, block in self._until(first + count):
            end = start + block.shape[1]
            low, high = max(start, first), min(end, first + count)
            if low < high:
                out[:, low - first : high - first] = block[:, low - start : high - start]
            if end > first + count:
                kept.append((start, block))
        self._held = kept
        if not np.isfinite(out.sum(dtype=np.float64)):  # float sound may hold anything
            np.nan_to_num(out, copy=False)
        return np.clip(out, -8.0, 8.0, out=out)

    def lost(self, first: int, count: int) -> int:
        """How many of the samples `first` … `first + count − 1`, which were read, are silent for damage."""
        self._lost = [piece for piece in self._lost if piece[1] > first]
        return sum(max(0, min(end, first + count) - max(start, first)) for start, end in self._lost)

    def _until(self, end: int) -> Iterator[tuple[int, Samples]]:
        for start, block in self._held:
            yield start, block
        if self._held and self._held[-1][0] >= end:
            return
        for start, block in self._blocks:
            yield start, block
            if start + block.shape[1] >= end:
                return

    def _timed(self, first: int) -> Iterator[tuple[int, Samples]]:
        """Blocks with the sample of the take they begin at, from about `first` on."""
        audio = self._info.audio
        assert audio is not None
        with open_source(self._path, limits=self._limits) as container:
            stream = container.streams[audio.index]
            time_base = fraction(stream.time_base) or Fraction(1, RATE)
            origin = Fraction(self._info.start_us, 1_000_000)
            if first > _DECODE_THROUGH_S * RATE:
                before = origin + Fraction(first, RATE) - 1
                container.seek(int(before / time_base), stream=stream, backward=True)
            resampler, at = _resampler(), 0
            expected: Fraction | None = None  # exact: at 44.1 kHz a block of AAC is 1114.56 samples long

            def sample(pts: int | None) -> int | None:
                return None if pts is None else round((pts * time_base - origin) * RATE)

            def damaged(packet: Any) -> None:
                self._lose(sample(packet.pts), (packet.duration or 0) * time_base * RATE)

            for block in self._decode(container, stream, damaged=damaged):
                due = sample(block.pts)
                if expected is None or (due is not None and abs(due - expected) > _SLIP):
                    at, resampler = (due if due is not None else 0), _resampler()
                    expected = Fraction(at)
                expected += Fraction(block.samples * RATE, block.sample_rate)
                try:
                    pieces = resampler.resample(block)
                except (av.error.FFmpegError, ValueError):
                    self._lose(due, Fraction(block.samples * RATE, block.sample_rate))
                    continue
                for piece in pieces:
                    yield at, piece.to_ndarray()
                    at += piece.samples

    def _decode(self, container: Any, stream: Any, *, damaged: Callable[[Any], None]) -> Iterator[Any]:
        packets = container.demux(stream)
        while self._errors < _MOST_ERRORS:
            packet = None
            try:
                packet = next(packets, None)
                blocks = [] if packet is None else packet.decode()
            except av.error.FFmpegError:
                self._errors += 1
                if packet is not None:
                    damaged(packet)
                continue
            if packet is None:
                return
            yield from blocks

    def _lose(self, at: int | None, samples: Fraction) -> None:
        if at is not None:
            self._lost.append((at, at + round(samples)))


def _resampler() -> Any:
    return av.AudioResampler(format="fltp", layout="stereo", rate=RATE)


class Levels:
    """Takes in a track piece by piece; knows how loud each moment was."""

    HOP_MS = 20

    def __init__(self) -> None:
        self._levels: list[NDArray[np.float32]] = []

    def hear(self, samples: Samples) -> None:
        """`samples`: (2, n) with n a multiple of the hop (20 ms), but for the last."""
        hop = RATE * self.HOP_MS // 1000
        whole = samples.shape[1] // hop * hop
        power = (samples[:, :whole] ** 2).reshape(2, -1, hop).mean(axis=(0, 2))
        self._levels.append((10 * np.log10(power + 1e-10)).astype(np.float32))

    @property
    def values(self) -> NDArray[np.float32]:
        """The level of each 20 ms in dB below full scale; −100 is digital silence."""
        return np.concatenate(self._levels) if self._levels else np.zeros(0, np.float32)


class Listener(Levels):
    """Knows, besides, how loud the whole is, as ITU-R BS.1770 has it."""

    def __init__(self) -> None:
        super().__init__()
        self._meter = Meter(peaks=False)

    def hear(self, samples: Samples) -> None:
        self._meter.push(samples)
        super().hear(samples)

    def loudness(self) -> float | None:
        """Integrated loudness in LUFS; None when there was nothing to measure."""
        return self._meter.loudness()


class Meter:
    """FFmpeg's ebur128: integrated loudness and true peak of what is pushed."""

    def __init__(self, *, peaks: bool) -> None:
        graph = av.filter.Graph()
        source = graph.add_abuffer(sample_rate=RATE, format="fltp", layout="stereo", time_base=Fraction(1, RATE))
        meter = graph.add("ebur128", "metadata=1:framelog=quiet" + (":peak=true" if peaks else ""))
        source.link_to(meter)
        meter.link_to(graph.add("abuffersink"))
        graph.configure()
        self._graph: Any = graph
        self._pushed = 0
        self._said: dict[str, str] = {}

    def push(self, samples: Samples) -> None:
        """(2, n) float32."""
        for block in blocks(samples, RATE):
            self.push_frame(audio_frame(block, 0))

    def push_frame(self, frame: Any) -> None:
        """A decoded block, 48 kHz stereo float."""
        frame.pts = self._pushed
        frame.time_base = Fraction(1, RATE)
        self._pushed += frame.samples
        self._graph.push(frame)
        for measured in drain(self._graph):
            self._said = dict(measured.metadata)

    def _end(self) -> None:
        """The filter speaks every 0.1 s: silence fills the last of them, for a plosive may end a segment."""
        self.push(np.zeros((2, -self._pushed % (RATE // 10)), np.float32))

    def loudness(self) -> float | None:
        """LUFS; None under 0.4 s or when all is quieter than −70. Ends the measurement."""
        self._end()
        value = float(self._said.get("lavfi.r128.I", "-70"))
        return value if value > -69.9 else None

    def peak_db(self) -> float | None:
        """dBTP; None for digital silence. Ends the measurement."""
        self._end()
        value = float(self._said.get("lavfi.r128.true_peak", "0"))
        return 20 * float(np.log10(value)) if value > 0 else None


def blocks(samples: Samples, size: int) -> Iterator[Samples]:
    """`samples` in pieces of `size`, the last as long as it is."""
    for start in range(0, samples.shape[1], size):
        yield samples[:, start : start + size]


def audio_frame(samples: Samples, pts: int) -> Any:
    """A PyAV frame of (2, n) float32 at sample `pts`."""
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="stereo")
    frame.sample_rate = RATE
    frame.pts = pts
    frame.time_base = Fraction(1, RATE)
    return frame


def drain(graph: Any) -> Iterator[Any]:
    """What a graph has ready now."""
    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
