"""Sound and picture stay together in every segment, and each event is where the take had it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.media import readers, synth
from tests.media.conftest import Finished, MakeSegments
from tests.media.synth import PLAIN

STEP_S = 0.020
AT = [0.4, 1.4, 2.4, 3.0, 4.6, 5.4, 6.0]  # whole frames at 25, 30 and 60 a second


def offsets(done: Finished) -> list[str]:
    """Flashes and beeps that are more than 20 ms apart in their segment, or that miss their partner."""
    faults = []
    for path in done.segments:
        flashes, beeps = readers.flash_times(path), readers.beep_times(path)
        if len(flashes) != len(beeps):
            faults.append(f"{path.name}: {len(flashes)} flashes, {len(beeps)} beeps")
        faults += [
            f"{path.name}: beep {(beep - flash) * 1000:+.1f} ms after its flash"
            for flash, beep in zip(flashes, beeps, strict=False)
            if abs(beep - flash) > STEP_S
        ]
    return faults


def seen_and_heard(done: Finished) -> tuple[list[float], list[float]]:
    """Flashes and beeps of all segments, on the take's clock."""
    starts = [planned.in_us / 1e6 for planned in done.plan.segments]
    flashes = [
        at + start for start, path in zip(starts, done.segments, strict=True) for at in readers.flash_times(path)
    ]
    beeps = [at + start for start, path in zip(starts, done.segments, strict=True) for at in readers.beep_times(path)]
    return flashes, beeps


@pytest.mark.parametrize(
    ("name", "rate", "style"),
    [
        ("take.mp4", 30, PLAIN),
        ("take.mp4", 25, replace(PLAIN, options={"preset": "veryfast"})),
        ("take.mkv", 60, PLAIN),
        ("take.ts", 30, replace(PLAIN, format="mpegts", container_options={"output_ts_offset": "25994"})),
    ],
    ids=["mp4", "b-frames", "matroska", "transport stream from 25994 s"],
)
def test_a_flash_and_its_beep_stay_within_20_ms_in_each_segment(
    tmp_path: Path, make_segments: MakeSegments, name: str, rate: int, style: synth.Style
) -> None:
    source = synth.flash_and_beep(tmp_path / name, AT, seconds=6.6, rate=rate, style=style)
    done = make_segments(source, segment_s=3.5, snap="none", frame="original")
    assert len(done.segments) == 2
    assert offsets(done) == []
    flashes, beeps = seen_and_heard(done)
    assert flashes == pytest.approx(AT, abs=STEP_S)
    assert beeps == pytest.approx(AT, abs=STEP_S)
    assert done.faults() == []


@pytest.mark.parametrize("name", ["take.mp4", "take.mkv"])
@pytest.mark.parametrize(
    ("late", "missing_flashes", "missing_beeps"),
    [({"audio_start_s": 0.73}, 0, 1), ({"video_start_s": 0.8}, 1, 0)],
    ids=["sound", "picture"],
)
def test_what_starts_late_stays_late(
    tmp_path: Path,
    make_segments: MakeSegments,
    name: str,
    late: dict[str, float],
    missing_flashes: int,
    missing_beeps: int,
) -> None:
    starts = {"video_start_s": 0.0, "audio_start_s": 0.0} | late
    source = synth.flash_and_beep(
        tmp_path / name,
        AT,
        seconds=6.6,
        video_start_s=starts["video_start_s"],
        audio_start_s=starts["audio_start_s"],
    )
    done = make_segments(source, segment_s=3.5, snap="none", frame="original")
    flashes, beeps = seen_and_heard(done)
    assert flashes == pytest.approx(AT[missing_flashes:], abs=STEP_S)
    assert beeps == pytest.approx(AT[missing_beeps:], abs=STEP_S)
    assert done.faults() == []


def test_a_take_whose_clock_does_not_start_at_zero_is_moved_to_zero(
    tmp_path: Path, make_segments: MakeSegments
) -> None:
    """Both streams begin at 8 s: that is the start of the take, not 8 s of nothing."""
    source = synth.flash_and_beep(
        tmp_path / "take.mkv", [at + 8 for at in AT], seconds=14.6, video_start_s=8, audio_start_s=8
    )
    done = make_segments(source, segment_s=3.5, snap="none", frame="original")
    assert done.info.start_us == pytest.approx(8_000_000, abs=30_000)
    flashes, beeps = seen_and_heard(done)
    assert flashes == pytest.approx(AT, abs=STEP_S)
    assert beeps == pytest.approx(AT, abs=STEP_S)
    assert done.faults() == []


def test_events_just_beside_a_cut_are_on_their_side_of_it(tmp_path: Path, make_segments: MakeSegments) -> None:
    at = [1.0, 3.0, 3.2, 5.0]  # the cut is at 3.2: one beep ends 0.1 s before it, one begins on it
    source = synth.flash_and_beep(tmp_path / "take.mp4", at, seconds=6.4)
    done = make_segments(source, segment_s=3.5, snap="none", frame="original")
    assert [planned.in_us for planned in done.plan.segments] == [0, 3_200_000]
    assert [len(readers.flash_times(path)) for path in done.segments] == [2, 2]
    assert [len(readers.beep_times(path, spacing_s=0.05)) for path in done.segments] == [2, 2]
    assert seen_and_heard(done)[0] == pytest.approx(at, abs=STEP_S)


def test_a_shorter_sound_does_not_shorten_the_picture(tmp_path: Path, make_segments: MakeSegments) -> None:
    source = synth.numbered(tmp_path / "take.mp4", 192, sound=synth.Sound(synth.noise(2.0)))
    done = make_segments(source, segment_s=3.5, snap="none", frame="original")
    assert sum(rendition.frames for rendition in done.renditions) == 192
    assert done.faults() == []


def test_a_longer_sound_is_heard_to_its_end(tmp_path: Path, make_segments: MakeSegments) -> None:
    sound = synth.tone(5.0, hz=1000) * 0
    sound[:, 220_000:224_800] = synth.tone(0.1, hz=1000, peak=0.5)
    source = synth.numbered(tmp_path / "take.mp4", 96, sound=synth.Sound(sound))
    done = make_segments(source, frame="original")
    assert readers.beep_times(done.segments[0]) == pytest.approx([220_000 / 48_000], abs=STEP_S)
    assert done.faults() == []
