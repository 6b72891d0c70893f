"""Sound as the platforms want it: AAC-LC at −14 LUFS and under −1 dBTP, measured after the codec, not before."""

import itertools
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import av
import msgspec
import numpy as np

from vidprod.media.limiter import Limiter
from vidprod.media.sound import RATE, Meter, Samples, Sound, audio_frame, blocks

TARGET_LUFS = -14.0
TOLERANCE_LU = 0.5  # the promise is 1; the rest is for other people's meters
CEILING_DBTP = -1.0
SILENCE_LUFS = -60.0  # quieter is no speech: it is left as it is rather than a room's noise made loud
FRAME = 1024  # samples of one AAC frame
FADE = round(0.010 * RATE)  # against clicks at cuts
_BIT_RATE = 128_000
_MOST_DRIVE_DB = 60.0  # what the limiter may be driven with, to reach the target on sound with high peaks
_OVERSHOOT_DB = 1.2  # what the codec adds to a peak, most often; where it is more, all is coded a second time
_TRIES = 8
_LOST_S = 0.1  # of damage in a segment; what is shorter may as well be how the recording begins


class Mastered(msgspec.Struct):
    """A segment's sound, coded."""

    packets: list[Any]  # AAC, pts in samples from 0
    loudness_lufs: float | None
    true_peak_dbtp: float | None
    warnings: list[str]


def master_segment(sound: Sound, *, begins: Fraction, duration: Fraction, normalize: bool) -> Mastered:
    """Codes the sound of a segment, in seconds of the take. What was damaged is among the warnings.

    Calls go forward in `sound`, as those of its `read`.
    """
    first, count = int(begins * RATE), int(duration * RATE)
    done = master(sound.read(first, count), duration=duration, normalize=normalize)
    if (lost_s := sound.lost(first, count) / RATE) >= _LOST_S:
        done.warnings.insert(0, f"the take is damaged here: {lost_s:.2f} s of the sound are silent")
    return done


def master(samples: Samples, *, duration: Fraction, normalize: bool) -> Mastered:
    """Codes a segment's sound: `samples` (2, n) from the segment's start on.

    Without an edit list a player plays the codec's priming too, so it must be part of the segment: the first 1024
    samples (21 ms) are given up for it, and everything after stands at its true time. The last frame ends at or
    before `duration` (seconds).
    """
    count = max(2, int(duration * RATE) // FRAME)
    body = _body(samples, count)
    if not normalize:
        packets, meter = _encode([body], count)
        return Mastered(packets, meter.loudness(), meter.peak_db(), [])
    raw = Meter(peaks=False)
    raw.push(body)
    loudness = raw.loudness()
    silent = loudness is None or loudness < SILENCE_LUFS
    limiter = Limiter(body)
    ceiling, target = CEILING_DBTP - _OVERSHOOT_DB, TARGET_LUFS
    best: Mastered | None = None
    for _ in range(_TRIES):
        gain = 0.0 if silent else _gain(limiter, loudness or 0.0, target, ceiling)
        packets, meter = _encode(limiter.shape(gain, ceiling), count)
        done = Mastered(packets, meter.loudness(), meter.peak_db(), [])
        if best is None or _misses(done) < _misses(best):
            best = done
        if silent or _misses(done) == 0:
            break
        if done.true_peak_dbtp is not None and done.true_peak_dbtp > CEILING_DBTP:
            ceiling -= done.true_peak_dbtp - CEILING_DBTP + 0.3
        target += 0.0 if done.loudness_lufs is None else TARGET_LUFS - done.loudness_lufs
    assert best is not None
    if loudness is not None and silent:
        best.warnings.append(f"the sound is almost silent ({loudness:.0f} LUFS) and is left as it is")
    elif best.loudness_lufs is not None and abs(best.loudness_lufs - TARGET_LUFS) > TOLERANCE_LU:
        best.warnings.append(f"loudness is {best.loudness_lufs:.1f} LUFS; {TARGET_LUFS:.0f} was out of reach")
    return best


def _gain(limiter: Limiter, loudness: float, target: float, ceiling: float) -> float:
    """The gain in dB that brings the sound to `target` LUFS while its true peak stays under `ceiling` (dBTP).

    `loudness`: what it has by itself.
    """
    gain = target - loudness
    heard: list[tuple[float, float]] = []  # gain given, loudness measured
    for _ in range(_TRIES):
        if limiter.peak_db + gain <= ceiling:
            break
        meter = Meter(peaks=False)
        for piece in limiter.shape(gain, ceiling):
            meter.push(piece)
        now = meter.loudness()
        if now is None or abs(now - target) < TOLERANCE_LU / 2:
            break
        heard.append((gain, now))
        gain = _better_gain(heard, target)
    return gain


def _better_gain(heard: list[tuple[float, float]], target: float) -> float:
    """The gain to try next. Between one that was too quiet and one too loud, the line between them says where."""
    quiet = max(((gain, loud) for gain, loud in heard if loud < target), default=None)
    loud = min(((gain, loud) for gain, loud in heard if loud >= target), default=None)
    if quiet is not None and loud is not None and loud[1] > quiet[1]:
        share = (target - quiet[1]) / (loud[1] - quiet[1])
        return quiet[0] + (loud[0] - quiet[0]) * min(0.9, max(0.1, share))
    gain, level = heard[-1]
    return min(_MOST_DRIVE_DB, gain + 1.5 * (target - level))  # a limiter at work answers 1 dB with less than 1


def _misses(done: Mastered) -> float:
    """By how much a result misses the target; 0 when it meets it."""
    off = 0.0 if done.loudness_lufs is None else max(0.0, abs(done.loudness_lufs - TARGET_LUFS) - TOLERANCE_LU)
    over = max(0.0, (-99.0 if done.true_peak_dbtp is None else done.true_peak_dbtp) - CEILING_DBTP)
    return off + 10 * over


def _body(samples: Samples, count: int) -> Samples:
    """What the encoder is given: all but the first frame, faded at both ends, `count − 1` frames long.

    A view of `samples`, which are the caller's no more.
    """
    length = (count - 1) * FRAME
    if samples.shape[1] < FRAME + length:
        samples = np.pad(samples, ((0, 0), (0, FRAME + length - samples.shape[1])))
    body = samples[:, FRAME : FRAME + length]  # in place: a minute is 23 MB, and pictures are made at the same time
    fade = min(FADE, length // 2)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    body[:, :fade] *= ramp
    body[:, length - fade :] *= ramp[::-1]
    return body


def _encode(pieces: Iterable[Samples], count: int) -> tuple[list[Any], Meter]:
    """`count` AAC packets and a meter that has heard them decoded."""
    encoder = aac_encoder()
    packets: list[Any] = []
    at = 0
    for block in itertools.chain.from_iterable(blocks(piece, RATE) for piece in pieces):
        packets += encoder.encode(audio_frame(block, at))
        at += block.shape[1]
    packets += encoder.encode(None)
    decoder = av.CodecContext.create("aac", "r")
    decoder.extradata = encoder.extradata
    meter = Meter(peaks=True)
    for index, packet in enumerate(packets[:count]):
        for frame in decoder.decode(packet):
            meter.push_frame(frame)
        packet.pts = packet.dts = index * FRAME
        packet.duration = FRAME
        packet.time_base = Fraction(1, RATE)
    return packets[:count], meter


def aac_encoder() -> Any:
    """An AAC-LC encoder, 48 kHz stereo, open."""
    encoder: Any = av.CodecContext.create("aac", "w")
    encoder.sample_rate = RATE
    encoder.layout = "stereo"
    encoder.format = "fltp"
    encoder.bit_rate = _BIT_RATE
    encoder.time_base = Fraction(1, RATE)
    encoder.open()
    return encoder
