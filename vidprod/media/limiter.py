"""Gain, and a limiter that looks ahead: peaks are brought under a ceiling without a click and without pumping."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vidprod.media.sound import RATE, Samples, audio_frame, blocks, drain

_BLOCK = 32  # samples that share a peak, 0.67 ms
_AT_ONCE = 1_500  # blocks, 1 s: a minute of sound is 23 MB already, and pictures are made at the same time
_OVERSAMPLING = 4  # peaks between the samples (ITU-R BS.1770, annex 2)
_ATTACK_DB = 6.0  # a block: the gain is down within 2 ms, before the peak
_RELEASE_DB = 0.6  # a block: 12 dB come back in 13 ms, so that a pop does not swallow the word after it
_HOLD = 8  # blocks: a wave of 100 Hz peaks every 5 ms, and the gain must not follow it


class Limiter:
    """One stretch of sound, its true peaks measured once; shaped as often as it takes."""

    def __init__(self, body: Samples) -> None:
        """`body`: (2, n) float32, n a multiple of 32."""
        self._body = body
        self._peaks_db = 20 * np.log10(_true_peaks(body) + 1e-9)

    @property
    def peak_db(self) -> float:
        """The true peak of the whole, dBTP."""
        return float(self._peaks_db.max(initial=-180.0))

    def shape(self, gain_db: float, ceiling_db: float) -> Iterator[Samples]:
        """The sound with `gain_db` and its true peaks at or under `ceiling_db`, in pieces of 1 s.

        The reduction falls and rises by so many dB a block: a running minimum forwards and one backwards.
        """
        over = np.minimum(0.0, ceiling_db - (self._peaks_db + gain_db))
        if not over.any():
            for piece in blocks(self._body, _AT_ONCE * _BLOCK):
                yield piece * np.float32(10 ** (gain_db / 20))
            return
        over = _lowest_around(over)
        index = np.arange(len(over))
        released = np.minimum.accumulate(over - _RELEASE_DB * index) + _RELEASE_DB * index
        needed = np.minimum.accumulate((released + _ATTACK_DB * index)[::-1])[::-1] - _ATTACK_DB * index
        # At the border of two blocks the lower of their gains: between borders the line is then low enough for both.
        edges = np.minimum(np.append(needed, needed[-1]), np.append(needed[0], needed))
        steps = (10 ** ((edges + gain_db) / 20)).astype(np.float32)
        ramp = np.arange(_BLOCK, dtype=np.float32) / _BLOCK
        for first in range(0, len(needed), _AT_ONCE):
            low, high = steps[first : first + _AT_ONCE + 1][:-1], steps[first : first + _AT_ONCE + 1][1:]
            line = low[:, None] * (1 - ramp) + high[:, None] * ramp
            yield self._body[:, first * _BLOCK : (first + len(low)) * _BLOCK] * line.reshape(-1)


def _lowest_around(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each value and the `_HOLD` before and after it, the least."""
    padded = np.pad(values, _HOLD, mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * _HOLD + 1).min(axis=1), np.float64)


def _true_peaks(body: Samples) -> NDArray[np.float64]:
    """The largest absolute value in each block of 32 samples, between the samples too."""
    graph: Any = av.filter.Graph()
    node = graph.add_abuffer(sample_rate=RATE, format="fltp", layout="stereo", time_base=Fraction(1, RATE))
    for name, arguments in (("aresample", str(RATE * _OVERSAMPLING)), ("aformat", "sample_fmts=fltp")):
        following = graph.add(name, arguments)
        node.link_to(following)
        node = following
    node.link_to(graph.add("abuffersink"))
    graph.configure()
    size = _BLOCK * _OVERSAMPLING
    between = np.zeros(body.shape[1] // _BLOCK)
    rest = np.zeros(0, np.float32)
    at = pushed = 0
    for block in [*blocks(body, RATE // _OVERSAMPLING), None]:
        graph.push(None if block is None else audio_frame(block, pushed))
        pushed += 0 if block is None else block.shape[1]
        for frame in drain(graph):
            rest = np.concatenate([rest, np.abs(frame.to_ndarray()).max(axis=0)])
            whole = min(len(rest) // size, len(between) - at)
            between[at : at + whole] = rest[: whole * size].reshape(whole, size).max(axis=1)
            rest, at = rest[whole * size :], at + whole
    for first in range(0, len(between), _AT_ONCE):
        part = body[:, first * _BLOCK : (first + _AT_ONCE) * _BLOCK]
        exact = np.abs(part[:, : part.shape[1] // _BLOCK * _BLOCK]).max(axis=0).reshape(-1, _BLOCK).max(axis=1)
        np.maximum(between[first : first + len(exact)], exact, out=between[first : first + len(exact)])
    return between
