"""Every segment is -14 LUFS and under -1 dBTP, has a sound, and does not click where the take was cut."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.media import readers, synth
from tests.media.conftest import MakeSegments
from tests.media.measure import loudness
from tests.media.synth import RATE, Samples, Sound, noise, tone
from vidprod.domain.step import Limits
from vidprod.media import sound as media_sound
from vidprod.media.probe import measure

SMALL = (160, 160)  # the picture does not matter here, and is left as it is


def plosives(seconds: float) -> Samples:
    """Quiet speech with pops 30 dB above it: bringing the loudness up alone would clip."""
    samples = noise(seconds, peak=0.02)
    pop = tone(0.005, hz=180, peak=0.9)
    for at in range(RATE // 2, samples.shape[1] - pop.shape[1], RATE):
        samples[:, at : at + pop.shape[1]] += pop
    return samples


def clipped(seconds: float) -> Samples:
    return np.clip(noise(seconds, peak=1.0) * 8, -1, 1)


def one_word(seconds: float) -> Samples:
    """A second of speech in silence: the gate must not count the silence."""
    return synth.with_pauses(noise(seconds, peak=0.3), [(0, 1.0), (2.0, seconds)])


def growing(seconds: float) -> Samples:
    """The second half 20 dB louder than the first: each segment is judged alone."""
    samples = noise(seconds, peak=0.9)
    samples[:, : samples.shape[1] // 2] *= 0.1
    return samples


@pytest.mark.parametrize(
    "make",
    [
        lambda seconds: tone(seconds, peak=0.9),
        lambda seconds: noise(seconds, peak=0.3),
        lambda seconds: noise(seconds, peak=0.01),
        clipped,
        plosives,
        one_word,
        growing,
    ],
    ids=["loud tone", "speech", "quiet speech", "clipped", "plosives", "one word", "growing"],
)
def test_loudness_and_true_peak_of_every_segment(
    tmp_path: Path, make_segments: MakeSegments, make: Callable[[float], Samples]
) -> None:
    source = synth.with_sound(tmp_path / "take.mp4", Sound(make(6.6)), seconds=6.6, size=SMALL)
    done = make_segments(source, segment_s=3.5, snap="none", frame="original")
    assert done.faults() == []
    for path, rendition in zip(done.segments, done.renditions, strict=True):
        samples, _, _ = readers.sound(path)
        lufs, peak = loudness(samples)
        assert rendition.loudness_lufs == pytest.approx(lufs, abs=0.15)
        assert rendition.true_peak_dbtp == pytest.approx(peak, abs=0.15)


@pytest.mark.parametrize(
    ("layout", "channels", "rate", "codec"),
    [
        ("mono", 1, 48_000, "aac"),
        ("mono", 1, 16_000, "aac"),
        ("stereo", 2, 44_100, "aac"),
        ("5.1", 6, 48_000, "ac3"),
        ("stereo", 2, 96_000, "flac"),
    ],
)
def test_any_layout_and_rate_becomes_stereo_at_48_khz(
    tmp_path: Path, make_segments: MakeSegments, layout: str, channels: int, rate: int, codec: str
) -> None:
    sound = Sound(noise(3.4, channels=channels, rate=rate), layout=layout, rate=rate, codec=codec)
    source = synth.with_sound(tmp_path / "take.mkv", sound, seconds=3.4, size=SMALL)
    done = make_segments(source, frame="original")
    assert done.info.audio is not None
    assert (done.info.audio.channels, done.info.audio.sample_rate) == (channels, rate)
    assert done.faults() == []
    samples, _, _ = readers.sound(done.segments[0])
    left, right = (float(np.sqrt((channel**2).mean())) for channel in samples)
    assert left == pytest.approx(right, rel=0.2)


def test_a_long_tone_at_44_1_khz_is_heard_without_a_click(tmp_path: Path) -> None:
    """A block of AAC is then 1114.56 samples at 48 kHz: counted as 1115, it was 12 ms off its time after 30 s,
    and the resampler began anew."""
    hz, recorded = 441.0, Sound(tone(36, hz=441.0, rate=44_100), rate=44_100)
    source = synth.with_sound(tmp_path / "take.mkv", recorded, seconds=36.0, size=SMALL)
    info = measure(source, limits=Limits(), progress=lambda done, total: None)
    track = media_sound.Sound(source, info, limits=Limits())
    heard = np.concatenate([track.read(first * RATE, RATE)[0] for first in range(35)])[RATE:]
    bend = heard[2:] + heard[:-2] - 2 * np.cos(2 * np.pi * hz / RATE) * heard[1:-1]  # 0 for a sine of this pitch
    assert np.abs(bend).max() < 0.01


@pytest.mark.parametrize("sound", [None, Sound(np.zeros((2, 3 * RATE + RATE // 2), np.float32))], ids=["no", "silent"])
def test_a_take_without_a_sound_has_a_silent_track(
    tmp_path: Path, make_segments: MakeSegments, sound: Sound | None
) -> None:
    done = make_segments(synth.with_sound(tmp_path / "take.mp4", sound, seconds=3.5, size=SMALL), frame="original")
    samples, rate, start = readers.sound(done.segments[0])
    assert (samples.shape[0], rate, start) == (2, 48_000, 0)
    assert np.abs(samples).max() < 1e-3
    assert done.renditions[0].loudness_lufs is None
    assert done.faults() == []


@pytest.mark.parametrize("video", ["encode", "copy"])
def test_loudness_and_peak_are_told_to_a_hundredth(tmp_path: Path, make_segments: MakeSegments, video: str) -> None:
    source = synth.with_sound(tmp_path / "take.mp4", Sound(noise(3.5)), seconds=3.5, size=SMALL)
    [rendition] = make_segments(source, video=video, loudness="on", frame="original").renditions
    for level in (rendition.loudness_lufs, rendition.true_peak_dbtp):
        assert level is not None
        assert level == round(level, 2)


def test_silence_is_not_amplified_into_noise(tmp_path: Path, make_segments: MakeSegments) -> None:
    hiss = noise(3.5, peak=0.00005)  # about -100 LUFS: the floor of a microphone
    source = synth.with_sound(tmp_path / "take.mkv", Sound(hiss, codec="flac"), seconds=3.5, size=SMALL)
    done = make_segments(source, frame="original")
    samples, _, _ = readers.sound(done.segments[0])
    assert np.abs(samples).max() < 0.01


def test_loudness_off_leaves_the_level_alone(tmp_path: Path, make_segments: MakeSegments) -> None:
    source = synth.with_sound(tmp_path / "take.mp4", Sound(tone(3.5, peak=0.05)), seconds=3.5, size=SMALL)
    done = make_segments(source, loudness="off", frame="original")
    samples, _, _ = readers.sound(done.segments[0])
    middle = samples[:, RATE : 2 * RATE]
    assert np.abs(middle).max() == pytest.approx(0.05, rel=0.1)
    assert done.faults() == []


def envelope_at(samples: Samples, at_s: float, *, window_s: float = 0.003) -> float:
    first = max(0, round(at_s * RATE))
    return float(np.abs(samples[:, first : first + round(window_s * RATE)]).max())


def test_a_tone_that_is_cut_fades_within_10_ms_instead_of_clicking(tmp_path: Path, make_segments: MakeSegments) -> None:
    """At the start the fade follows the encoder's first 1024 samples: without an edit list nothing sounds there."""
    sound = tone(6.4, hz=441.0, peak=0.2)
    source = synth.with_sound(tmp_path / "take.mp4", Sound(sound), seconds=6.4, size=SMALL)
    done = make_segments(source, segment_s=3.5, snap="none", frame="original")
    (first, _, _), (second, _, _) = (readers.sound(path) for path in done.segments)
    end_s = done.renditions[0].frames / 30
    steady = envelope_at(second, 1.0, window_s=0.5)
    assert envelope_at(second, 0.0, window_s=0.0015) < 0.45 * steady
    assert envelope_at(second, 1024 / RATE + 0.012) > 0.85 * steady
    assert envelope_at(first, end_s - 0.0015, window_s=0.0015) < 0.45 * steady
    assert envelope_at(first, end_s - 0.016) > 0.85 * steady


def test_a_tone_that_is_not_faded_would_be_caught() -> None:
    sound = tone(1.0, hz=441.0, peak=0.2)
    assert envelope_at(sound, 0.0, window_s=0.0015) > 0.45 * 0.2


def test_nothing_is_heard_twice_or_never_across_a_cut(tmp_path: Path, make_segments: MakeSegments) -> None:
    """The phase of a steady tone goes on where the segment before ended, on the take's clock."""
    hz = 441.0
    sound = tone(6.4, hz=hz, peak=0.2)
    source = synth.with_sound(tmp_path / "take.mp4", Sound(sound), seconds=6.4, size=SMALL)
    done = make_segments(source, segment_s=3.5, snap="none", frame="original")
    for planned, path in zip(done.plan.segments, done.segments, strict=True):
        samples, _, start = readers.sound(path)
        for at_s in (0.1, 1.5, 3.0):
            first = round(at_s * RATE)
            part = samples[0, first : first + 4800]
            clock = planned.in_us / 1e6 + start + (first + np.arange(4800)) / RATE
            turn = np.angle(np.sum(part * np.exp(-2j * np.pi * hz * clock)))  # of a sine: -90 degrees
            off_ms = (turn + np.pi / 2) / (2 * np.pi * hz) * 1000
            assert abs(off_ms) < 0.2, f"{path.name} at {at_s} s is {off_ms:.2f} ms off"
