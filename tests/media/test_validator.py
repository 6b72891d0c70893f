"""The validator passes a good segment and catches each fault by its rule, so that its silence means something."""

import functools
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.media.damage import patch_durations
from tests.media.finished import MOOV_FIRST, Recipe, at_loudness, finished
from tests.media.stills import judge_poster, judge_sprite, write_jpeg
from tests.media.synth import Samples, tone, with_metadata
from tests.media.validator import Expect, examine, main, validate
from vidprod.domain.segment import Sprite

GOOD = Recipe(seconds=3.2)
NEGATIVE_OFFSETS = {"movflags": "+faststart+negative_cts_offsets", "use_editlist": "0"}
B_FRAMES = Recipe(x264="bframes=2:scenecut=0:open-gop=0", container=NEGATIVE_OFFSETS)


def segment(path: Path, recipe: Recipe) -> Path:
    """As `finished`, but the good one, which many begin with, is encoded once."""
    if recipe is not GOOD:
        return finished(path, recipe)
    path.write_bytes(_good())
    return path


@functools.cache
def _good() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        return finished(Path(directory) / "good.mp4", GOOD).read_bytes()


@pytest.mark.parametrize(
    "recipe",
    [
        GOOD,
        B_FRAMES,
        Recipe(rate=Fraction(30000, 1001), gop=59),
        Recipe(rate=Fraction(24000, 1001), gop=48, seconds=3.2),
        Recipe(size=(608, 1080), seconds=3.2),
        Recipe(samples=np.zeros((2, 4 * 48_000), np.float32)),
        Recipe(sample_aspect=Fraction(1)),
    ],
    ids=["plain", "b-frames", "29.97", "23.976", "608x1080", "silent", "square said"],
)
def test_a_good_segment_has_no_violations(tmp_path: Path, recipe: Recipe) -> None:
    assert validate(finished(tmp_path / "good.mp4", recipe)) == []


def with_spikes() -> Samples:
    """Bursts too short and rare to count for the loudness."""
    samples = at_loudness(tone(GOOD.seconds), replace(GOOD, target_lufs=-14.8))
    burst = tone(0.01, peak=1.0)
    for at in range(40_000, samples.shape[1] - burst.shape[1], 60_000):
        samples[:, at : at + burst.shape[1]] = burst
    return samples


SPOILED: list[tuple[str, str, Recipe]] = [
    ("moov-first", "header last", replace(GOOD, container={"use_editlist": "0"})),
    ("moov-first", "fragmented", replace(GOOD, container={"movflags": "frag_keyframe+empty_moov"})),
    ("edit-list", "as ffmpeg does it", replace(GOOD, container={"movflags": "faststart"}, audio_shift=0)),
    ("creation-time", "of the camera", replace(GOOD, tags={"creation_time": "2026-01-02T03:04:05Z"})),
    ("metadata", "a place", replace(GOOD, tags={"location": "+48.8577+002.2950/"})),
    ("metadata", "a title", replace(GOOD, tags={"title": "Holiday"})),
    (
        "metadata",
        "QuickTime keys",
        replace(GOOD, tags={"com.apple.quicktime.model": "Examplephone"}, container={"movflags": "use_metadata_tags"}),
    ),
    ("tracks", "two sounds", replace(GOOD, sounds=2)),
    ("tracks", "no sound", replace(GOOD, sounds=0)),
    ("video-codec", "HEVC", replace(GOOD, codec="libx265", options={"x265-params": "log-level=none"})),
    ("video-codec", "MPEG-4 part 2", replace(GOOD, codec="mpeg4", options={})),
    ("video-profile", "Main", replace(GOOD, profile="main")),
    ("video-profile", "Baseline", replace(GOOD, profile="baseline")),
    ("pixel-format", "4:4:4", replace(GOOD, pix_fmt="yuv444p", profile=None)),
    ("pixel-format", "10 bit", replace(GOOD, pix_fmt="yuv420p10le", profile=None)),
    ("progressive", "fields", replace(GOOD, options={"flags": "+ildct+ilme"}, x264="interlaced=1:bframes=0")),
    ("square-pixels", "4:3", replace(GOOD, sample_aspect=Fraction(4, 3))),
    ("colour", "BT.601", replace(GOOD, colour=(6, 6, 6))),
    ("colour", "not said", replace(GOOD, colour=(2, 2, 2))),
    ("colour", "PQ", replace(GOOD, colour=(9, 16, 9))),
    ("colour", "full range", replace(GOOD, colour_range=2)),
    ("rotation", "90", replace(GOOD, rotation=90)),
    ("rotation", "180", replace(GOOD, rotation=180)),
    ("constant-rate", "a gap", replace(GOOD, ticks=lambda n: n + 2 * (n > 50))),
    ("constant-rate", "every fifth late", replace(GOOD, ticks=lambda n: n + n // 5)),
    ("standard-rate", "22 a second", replace(GOOD, rate=Fraction(22))),
    ("standard-rate", "120 a second", replace(GOOD, rate=Fraction(120), seconds=1)),
    ("standard-rate", "31 a second", replace(GOOD, rate=Fraction(31))),
    ("starts-at-zero", "B-frame delay", replace(GOOD, x264="bframes=2:scenecut=0")),
    ("same-end", "sound 0.2 s short", replace(GOOD, audio_seconds=GOOD.seconds - 0.2)),
    ("same-end", "sound 0.2 s long", replace(GOOD, audio_seconds=GOOD.seconds + 0.2)),
    ("at-least-3s", "2.9 s", replace(GOOD, seconds=2.9)),
    (
        "closed-gop",
        "open",
        replace(GOOD, seconds=4, x264="bframes=2:open-gop=1:scenecut=0", container=NEGATIVE_OFFSETS),
    ),
    ("keyframe-distance", "one keyframe", replace(GOOD, gop=1000)),
    ("keyframe-distance", "every 2.1 s", replace(GOOD, gop=63)),
    ("bitrate", "noise", replace(GOOD, noisy=True, seconds=1, options={"crf": "12"})),
    ("dimensions", "too small", replace(GOOD, size=(270, 480))),
    ("dimensions", "too tall", replace(GOOD, size=(1088, 1936), seconds=0.5, options={"crf": "40"})),
    ("dimensions", "odd", replace(GOOD, size=(361, 641), pix_fmt="yuv444p", profile=None)),
    ("shape", "square", replace(GOOD, size=(640, 640))),
    ("shape", "two pixels off", replace(GOOD, size=(362, 640))),
    ("audio-codec", "MP3", replace(GOOD, audio_codec="libmp3lame")),
    ("audio-codec", "Opus", replace(GOOD, audio_codec="libopus")),
    ("audio-rate", "44.1 kHz", replace(GOOD, audio_rate=44_100)),
    ("audio-layout", "mono", replace(GOOD, audio_layout="mono")),
    ("audio-gaps", "a hole", replace(GOOD, audio_hole=3000)),
    ("audio-gaps", "a late start", replace(GOOD, audio_shift=9000)),
    ("loudness", "too quiet", replace(GOOD, target_lufs=-15.3)),
    ("loudness", "too loud", replace(GOOD, target_lufs=-12.7)),
    ("true-peak", "spikes", replace(GOOD, samples=with_spikes())),
    ("handler-name", "of the device", GOOD),
    ("metadata", "XMP", GOOD),
    ("decodes", "damaged", GOOD),
    ("at-most-60s", "declared", GOOD),
    ("file-size", "64 MB", GOOD),
    ("boxes", "cut off", GOOD),
    ("boxes", "no movie at all", GOOD),
    ("audio-codec", "AAC Main", GOOD),
    ("rotation", "upside down in tkhd alone", GOOD),
    ("picture-order", "B-frames without offsets", B_FRAMES),
]


def rename_handler(data: bytes) -> bytes:
    return data.replace(b"VideoHandler", b"ExamplePhone")


def append_xmp(data: bytes) -> bytes:
    return data + (32).to_bytes(4, "big") + b"uuid" + bytes(24)


def damage_samples(data: bytes) -> bytes:
    at = data.index(b"mdat") + 2000
    return data[:at] + bytes(byte ^ 0x5A for byte in data[at : at + 3000]) + data[at + 3000 :]


def declare_60_1_s(data: bytes) -> bytes:
    scratch = Path(f"/proc/self/fd/{_memory_file(data)}")
    patch_durations(scratch, declared_s=60.1)
    return scratch.read_bytes()


def _memory_file(data: bytes) -> int:
    handle = os.memfd_create("segment")
    os.write(handle, data)
    return handle


def grow_to_64_mb(data: bytes) -> bytes:
    filler = 64_000_000 - len(data)
    return data + filler.to_bytes(4, "big") + b"free" + bytes(filler - 8)


def say_aac_main(data: bytes) -> bytes:
    at = data.index(b"\x11\x90\x56\xe5")
    return data[:at] + b"\x09" + data[at + 1 :]


def turn_upside_down(data: bytes) -> bytes:
    one, minus = (1 << 16).to_bytes(4, "big"), (0xFFFF0000).to_bytes(4, "big")
    at = data.index(b"tkhd") + 4 + 40
    return data[:at] + data[at : at + 36].replace(one, minus) + data[at + 36 :]


PATCHES: dict[tuple[str, str], Callable[[bytes], bytes]] = {
    ("handler-name", "of the device"): rename_handler,
    ("metadata", "XMP"): append_xmp,
    ("decodes", "damaged"): damage_samples,
    ("at-most-60s", "declared"): declare_60_1_s,
    ("file-size", "64 MB"): grow_to_64_mb,
    ("boxes", "cut off"): lambda data: data[: len(data) // 2],
    ("boxes", "no movie at all"): lambda _: b"The quick brown fox",
    ("audio-codec", "AAC Main"): say_aac_main,
    ("rotation", "upside down in tkhd alone"): turn_upside_down,
    ("picture-order", "B-frames without offsets"): lambda data: data.replace(b"ctts", b"free"),
}


@pytest.mark.parametrize(("rule", "how", "recipe"), SPOILED, ids=[f"{rule}: {how}" for rule, how, _ in SPOILED])
def test_a_spoiled_segment_is_caught_by_its_rule(tmp_path: Path, rule: str, how: str, recipe: Recipe) -> None:
    path = segment(tmp_path / "spoiled.mp4", recipe)
    if patch := PATCHES.get((rule, how)):
        path.write_bytes(patch(path.read_bytes()))
    rules = {violation.partition(":")[0] for violation in validate(path)}
    assert rule in rules


def test_a_segment_may_be_short_only_when_its_source_is(tmp_path: Path) -> None:
    path = finished(tmp_path / "short.mp4", replace(GOOD, seconds=2.0))
    assert validate(path, expect=Expect(source_s=2.0)) == []
    assert [fault.partition(":")[0] for fault in validate(path, expect=Expect(source_s=30.0))] == ["at-least-3s"]


def test_a_segment_over_the_length_that_was_asked_for_is_caught(tmp_path: Path) -> None:
    path = segment(tmp_path / "long.mp4", GOOD)
    assert validate(path, expect=Expect(longest_s=3.2)) == []
    assert any(fault.startswith("at-most-60s") for fault in validate(path, expect=Expect(longest_s=3.1)))


def test_a_wrong_number_of_frames_is_caught(tmp_path: Path) -> None:
    path = segment(tmp_path / "frames.mp4", GOOD)
    assert validate(path, expect=Expect(frames=96)) == []
    assert [fault.partition(":")[0] for fault in validate(path, expect=Expect(frames=97))] == ["frame-count"]


def test_words_of_the_source_are_caught_wherever_they_hide(tmp_path: Path) -> None:
    source = with_metadata(tmp_path / "source.mov")
    path = segment(tmp_path / "segment.mp4", GOOD)
    assert validate(path, source=source) == []
    hidden = b"Examplephone Inc"
    path.write_bytes(path.read_bytes() + (8 + len(hidden)).to_bytes(4, "big") + b"free" + hidden)
    assert any(hidden.decode() in fault for fault in validate(path, source=source))


def test_a_generic_name_that_the_source_has_too_is_no_fault(tmp_path: Path) -> None:
    source, path = segment(tmp_path / "source.mp4", GOOD), segment(tmp_path / "segment.mp4", GOOD)
    source.write_bytes(source.read_bytes().replace(b"VideoHandler", b"VideoHandle\0"))
    assert validate(path, source=source) == []


def test_the_loudness_of_a_very_short_clip_is_noted_not_judged(tmp_path: Path) -> None:
    path = finished(tmp_path / "tiny.mp4", replace(GOOD, seconds=1.0, target_lufs=-30.0))
    verdict = examine(path, expect=Expect(source_s=1.0))
    assert verdict.violations == []
    assert any("no measure" in note for note in verdict.notes)


def test_the_command_prints_a_table_and_exits_by_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = segment(tmp_path / "good.mp4", GOOD)
    bad = finished(tmp_path / "bad.mp4", replace(GOOD, rotation=90, container=MOOV_FIRST))
    assert main([str(good)]) == 0
    assert main([str(good), str(bad)]) == 1
    table = capsys.readouterr().out
    assert "good.mp4" in table
    assert "rotation: the display matrix is" in table


SPRITE = Sprite(columns=4, rows=2, count=7, tile_width=90, tile_height=160, interval_s=0.5)


def test_a_poster_and_a_sprite_of_the_right_size_pass(tmp_path: Path) -> None:
    poster = write_jpeg(tmp_path / "poster.jpg", (360, 640))
    sprite = write_jpeg(tmp_path / "sprite.jpg", (360, 320))
    assert judge_poster(poster, width=720, height=1280) == []
    assert judge_sprite(sprite, SPRITE, duration_s=3.2, width=720, height=1280) == []


def test_a_poster_that_is_no_picture_or_of_another_shape_is_caught(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not a picture")
    wide = write_jpeg(tmp_path / "wide.jpg", (640, 360))
    tagged = write_jpeg(tmp_path / "tagged.jpg", (360, 640))
    data = tagged.read_bytes()
    tagged.write_bytes(data[:2] + b"\xff\xe1\x00\x08Exif\x00\x00" + data[2:])
    assert judge_poster(tmp_path / "text.jpg", width=720, height=1280)
    assert judge_poster(wide, width=720, height=1280)
    assert judge_poster(tagged, width=720, height=1280)
    assert judge_poster(tmp_path / "missing.jpg", width=720, height=1280)


def test_a_sprite_that_lacks_tiles_or_time_is_caught(tmp_path: Path) -> None:
    sprite = write_jpeg(tmp_path / "sprite.jpg", (360, 160))
    assert judge_sprite(sprite, SPRITE, duration_s=3.2, width=720, height=1280)
    whole = write_jpeg(tmp_path / "whole.jpg", (360, 320))
    assert judge_sprite(whole, SPRITE, duration_s=30.0, width=720, height=1280)
    assert judge_sprite(whole, SPRITE, duration_s=3.2, width=1280, height=720)
