"""Every frame of the source is in the segments once and in order, at the right time."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tests.media import damage, readers, synth
from tests.media.conftest import Finished, MakeSegments
from tests.media.synth import PLAIN, PORTRAIT

WIDE = (448, 252)
SMALL = (180, 320)  # as it is; what scales is the same for each rate and container, and has its own tests


def read_numbers(done: Finished, size: tuple[int, int]) -> list[int]:
    """The numbers of all frames of all segments, one after the other."""
    return [number for path in done.segments for _, number in readers.numbers(path, size, done.rect)]


@pytest.mark.parametrize("rate", ["24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60"])
def test_the_segments_hold_every_source_frame_once_and_in_order(
    tmp_path: Path, make_segments: MakeSegments, rate: str
) -> None:
    frames = round(Fraction(rate) * Fraction("6.4"))
    source = synth.numbered(tmp_path / "take.mp4", frames, Fraction(rate), size=SMALL)
    done = make_segments(source, segment_s=3.5, snap="none", frame="original")
    assert len(done.segments) == 2
    assert read_numbers(done, SMALL) == list(range(frames))
    assert Fraction(done.plan.fps) == Fraction(rate)
    assert done.faults() == []


@pytest.mark.parametrize(
    ("name", "style"),
    [
        ("take.mp4", replace(PLAIN, options={"preset": "veryfast"})),
        ("take.mkv", PLAIN),
        ("take.ts", PLAIN),
        ("take.mov", replace(PLAIN, options={"preset": "veryfast", "x264-params": "open-gop=1:bframes=3"}, gop=24)),
        ("take.avi", replace(PLAIN, codec="mjpeg", pix_fmt="yuvj420p", options={}, full_range=True)),
        ("take.avi", replace(PLAIN, options={"preset": "veryfast", "x264-params": "bframes=3:b-adapt=0"})),
        ("take.avi", replace(PLAIN, codec="mpeg4", options={"bf": "2", "b": "4M"})),
        ("take.mp4", replace(PLAIN, codec="libx265", options={"preset": "ultrafast", "x265-params": "log-level=none"})),
        (
            "take.webm",
            replace(
                PLAIN, codec="libvpx", options={"deadline": "realtime", "cpu-used": "8", "b": "2M", "threads": "1"}
            ),
        ),
    ],
    ids=[
        "b-frames",
        "matroska",
        "transport stream",
        "open GOP",
        "motion JPEG",
        "AVI with b-frames",
        "MPEG-4 with b-frames",
        "HEVC",
        "VP8",
    ],
)
def test_no_frame_is_lost_or_doubled_at_the_cuts_whatever_the_source_is_made_of(
    tmp_path: Path, make_segments: MakeSegments, name: str, style: synth.Style
) -> None:
    codec = {"take.webm": "libopus", "take.avi": "pcm_s16le"}.get(name, "aac")
    sound = synth.Sound(synth.noise(6.4), codec=codec)
    source = synth.numbered(tmp_path / name, 192, 30, size=SMALL, style=style, sound=sound)
    done = make_segments(source, segment_s=3.5, snap="none", frame="original")
    assert len(done.segments) == 2
    assert read_numbers(done, SMALL) == list(range(192))
    assert done.faults() == []
    alone = make_segments(source, segment_s=3.5, snap="none", frame="original", todo=[1])
    assert read_numbers(alone, SMALL) == read_numbers(done, SMALL)[-done.plan.segments[1].frames :]


def test_three_segments_hold_every_frame_once(tmp_path: Path, make_segments: MakeSegments) -> None:
    source = synth.numbered(tmp_path / "take.mp4", 288, 30)
    done = make_segments(source, segment_s=3.5, snap="none")
    assert len(done.segments) == 3
    assert read_numbers(done, PORTRAIT) == list(range(288))
    assert done.faults() == []


@pytest.mark.parametrize("frame", ["auto", "fill", "original"])
def test_no_frame_of_a_landscape_take_is_lost_in_any_framing(
    tmp_path: Path, make_segments: MakeSegments, frame: str
) -> None:
    source = synth.numbered(tmp_path / "take.mp4", 192, 30, size=WIDE)
    done = make_segments(source, segment_s=3.5, snap="none", frame=frame)
    assert read_numbers(done, WIDE) == list(range(192))
    assert done.faults() == []


def test_a_take_without_sound_loses_no_frame_and_gets_a_silent_track(
    tmp_path: Path, make_segments: MakeSegments
) -> None:
    source = synth.numbered(tmp_path / "take.mp4", 192, 30, size=SMALL, sound=None)
    done = make_segments(source, segment_s=3.5, frame="original")
    assert read_numbers(done, SMALL) == list(range(192))
    assert done.info.audio is None
    assert done.faults() == []


def first_shown(read: list[tuple[float, int]]) -> dict[int, float]:
    """When each number, or a later one, was first on screen."""
    shown: dict[int, float] = {}
    highest = -1
    for at, number in read:
        assert number >= highest, "time runs backwards"
        for passed in range(highest + 1, number + 1):
            shown[passed] = at
        highest = number
    return shown


def late_events(done: Finished, times: list[float], *, size: tuple[int, int] = SMALL) -> list[str]:
    """The events that are shown more than 20 ms off their true time."""
    read = [
        (planned.in_us / 1e6 + at, number)
        for planned, path in zip(done.plan.segments, done.segments, strict=True)
        for at, number in readers.numbers(path, size, done.rect)
    ]
    shown = first_shown(read)
    missing = [f"{n} is never shown" for n in range(len(times)) if n not in shown]
    off = [(n, shown[n] - times[n]) for n in range(len(times)) if n in shown]
    return missing + [f"{n} is {by * 1000:+.1f} ms off" for n, by in off if abs(by) > 0.020]


def bursts(seconds: float) -> list[float]:
    """A screen recording: nothing for long, then a burst at 60 a second."""
    times, at = [], 0.0
    while at < seconds:
        times += [at + n / 60 for n in range(12)]
        at += 2.1
    return times


@pytest.mark.parametrize(
    ("times", "segments"),
    [
        (synth.phone_times(6.5), 2),
        (synth.phone_times(6.5, rate=24, seed=3), 2),
        ([n / 15 for n in range(98)], 2),
        (bursts(6.5), 2),
        ([0.0, 1.0, 1.5, 2.9, 4.2, 4.21, 6.4], 2),
    ],
    ids=["a phone at 30", "a phone at 24", "15 a second", "bursts at 60", "a slide show"],
)
def test_every_event_of_an_irregular_take_is_shown_within_20_ms_of_its_time(
    tmp_path: Path, make_segments: MakeSegments, times: list[float], segments: int
) -> None:
    source = synth.vfr(tmp_path / "take.mp4", times, size=SMALL)
    done = make_segments(source, segment_s=3.5, snap="none", frame="original")
    assert len(done.segments) == segments
    assert late_events(done, times) == []
    assert done.faults() == []


def test_the_judge_of_events_catches_a_constant_rate_that_ignores_the_times(tmp_path: Path) -> None:
    times = synth.phone_times(6.5)
    flat = [(n / 30, n) for n in range(len(times))]
    assert max(abs(first_shown(flat)[n] - times[n]) for n in range(len(times))) > 0.1


def test_a_take_of_one_keyframe_is_cut_where_it_should_be(tmp_path: Path, make_segments: MakeSegments) -> None:
    source = damage.long_gop(tmp_path / "take.mp4", seconds=6.4)
    done = make_segments(source, segment_s=3.5, snap="none", frame="original")
    assert read_numbers(done, PORTRAIT) == list(range(192))
    assert done.faults() == []


def test_a_fragmented_take_loses_nothing(tmp_path: Path, make_segments: MakeSegments) -> None:
    source = damage.fragmented(tmp_path / "take.mp4", seconds=6.4)
    done = make_segments(source, segment_s=3.5, snap="none", frame="original")
    assert read_numbers(done, PORTRAIT) == list(range(192))
    assert done.faults() == []


def test_a_header_that_lies_about_the_duration_changes_nothing(tmp_path: Path, make_segments: MakeSegments) -> None:
    source = damage.declared_duration(tmp_path / "take.mkv", declared_s=36_000, seconds=4)
    done = make_segments(source, segment_s=60, frame="original")
    assert read_numbers(done, PORTRAIT) == list(range(120))
    assert done.info.duration_us == pytest.approx(4_000_000, abs=50_000)
    assert done.faults() == []
