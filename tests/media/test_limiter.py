"""Peaks are brought under a ceiling, and what lies under it is left alone."""

import numpy as np
import pytest

from vidprod.media.limiter import Limiter
from vidprod.media.sound import RATE, Meter, Samples


def tone(seconds: float, *, peak: float) -> Samples:
    time = np.arange(round(seconds * RATE / 1024) * 1024) / RATE
    return np.asarray(np.stack([peak * np.sin(2 * np.pi * 440 * time)] * 2), np.float32)


def true_peak(samples: Samples) -> float:
    meter = Meter(peaks=True)
    meter.push(samples)
    return meter.peak_db() or -180.0


def shaped_by(body: Samples, gain_db: float) -> Samples:
    return np.concatenate(list(Limiter(body).shape(gain_db, -1.5)), axis=1)


@pytest.mark.parametrize("gain_db", [0.0, 6.0, 20.0])
def test_no_peak_passes_the_ceiling_between_the_samples_either(gain_db: float) -> None:
    chance = np.random.default_rng(3)
    body = tone(3, peak=0.2)
    for at in chance.integers(0, body.shape[1] - 40, 60):  # clicks a tenth of a millisecond long
        body[:, at : at + 5] += chance.normal(0, 0.8, (2, 5)).astype(np.float32)
    assert true_peak(body * np.float32(10 ** (gain_db / 20))) > -1.5
    assert true_peak(shaped_by(body, gain_db)) < -1.4


def test_what_stays_under_the_ceiling_is_only_made_louder() -> None:
    body = tone(1, peak=0.1)
    assert np.allclose(shaped_by(body, 6.0), body * 10 ** (6 / 20), atol=1e-6)


def test_the_gain_is_back_a_tenth_of_a_second_after_a_peak() -> None:
    body = tone(2, peak=0.1)
    body[:, RATE : RATE + 5] = 1.0
    shaped = shaped_by(body, 6.0)
    late = slice(RATE + RATE // 10, None)
    assert np.allclose(shaped[:, late], body[:, late] * 10 ** (6 / 20), atol=1e-4)


def test_a_steady_tone_keeps_its_shape() -> None:
    """The gain must not follow the wave: a distorted tone has overtones."""
    shaped = shaped_by(tone(2, peak=0.9), 6.0)[0, RATE // 2 : RATE // 2 + RATE]
    spectrum = np.abs(np.fft.rfft(shaped * np.hanning(len(shaped))))
    assert spectrum[440 * 2 - 20 :].max() < spectrum[440] * 0.01


def test_the_joints_of_its_pieces_cannot_be_heard() -> None:
    """A low tone driven into the limiter for longer than a piece of 1 s: no step between any two samples is larger."""
    time = np.arange(3 * RATE // 1024 * 1024) / RATE
    body = np.asarray(np.stack([0.9 * np.sin(2 * np.pi * 110.25 * time)] * 2), np.float32)  # at its height after 1 s
    steps = np.abs(np.diff(shaped_by(body, 6.0)[0]))
    assert steps[RATE - 32 : RATE + 32].max() <= steps[RATE + 64 : 2 * RATE - 64].max() * 1.01
