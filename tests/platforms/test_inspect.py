"""A received file, as a platform sees it."""

import hashlib
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.media.boxes import read_movie
from tests.media.synth import Style, write
from tests.platforms.clips import clip, clip_of
from vidprod.domain.account import PLATFORMS, Platform
from vidprod.platforms.simulators.inspect import Inspection, inspect


def test_what_it_says_does_not_depend_on_how_the_bytes_come() -> None:
    data = clip(size=30_000)
    whole = inspect(data)
    dice = random.Random(1)
    for longest in (1, 7, 4000):
        inspection, at = Inspection(), 0
        while at < len(data):
            step = dice.randint(1, longest)
            inspection.feed(data[at : at + step])
            at += step
        assert inspection.facts() == whole
    assert whole.sha256 == hashlib.sha256(data).hexdigest()


def test_pictures_and_sound_are_not_kept() -> None:
    inspection = Inspection()
    inspection.feed(clip(size=0)[:-8] + (3_000_008).to_bytes(4, "big") + b"mdat")
    for _ in range(300):
        inspection.feed(bytes(10_000))
    kept = sum(len(value) for value in vars(inspection).values() if isinstance(value, bytes | bytearray))
    assert inspection.facts().whole
    assert kept < 2000


def test_every_platform_takes_a_good_clip() -> None:
    facts = inspect(clip())
    assert (facts.container, facts.video, facts.audio, facts.chroma, facts.depth) == ("mp4", "avc1", "mp4a", "4:2:0", 8)
    assert (facts.width, facts.height, facts.fps, facts.duration_us) == (1080, 1920, 30.0, 12_000_000)
    assert [facts.faults(platform) for platform in PLATFORMS] == [[], [], []]


@pytest.mark.parametrize(
    ("data", "refused"),
    [
        (b"", {"tiktok": "file_format_check_failed", "youtube": "emptyFile", "instagram": "2207026"}),
        (b"<html>", {"tiktok": "file_format_check_failed", "youtube": "invalidFile", "instagram": "2207026"}),
        (clip()[:-1], {"tiktok": "file_format_check_failed", "youtube": "invalidFile", "instagram": "2207026"}),
        (clip()[:60], {"tiktok": "file_format_check_failed", "youtube": "invalidFile", "instagram": "2207026"}),
        (clip(video=b"zzzz"), {"tiktok": "file_format_check_failed", "youtube": "codec", "instagram": "2207026"}),
        (clip(video=b"av01"), {"tiktok": "file_format_check_failed", "instagram": "2207026"}),
        (clip(seconds=601), {"tiktok": "duration_check_failed"}),
        (clip(seconds=901), {"tiktok": "duration_check_failed", "youtube": "length", "instagram": "2207026"}),
        (clip(seconds=2), {"instagram": "2207026"}),
        (clip(fps=15), {"tiktok": "frame_rate_check_failed", "instagram": "2207026"}),
        (clip(fps=120), {"tiktok": "frame_rate_check_failed", "instagram": "2207026"}),
        (clip(width=358), {"tiktok": "picture_size_check_failed"}),
        (clip(width=2160, height=3840), {"instagram": "2207026"}),
        (clip(width=2160, height=4098), {"tiktok": "picture_size_check_failed", "instagram": "2207026"}),
        (clip(edit_list=True), {"instagram": "2207026"}),
        (clip(moov_first=False), {"instagram": "2207026"}),
        (clip(brand=b"qt  "), {}),
        (clip(audio=b""), {}),
        (b"\x1a\x45\xdf\xa3" + bytes(100), {"instagram": "2207026"}),
    ],
)
def test_each_platform_refuses_by_its_own_codes(data: bytes, refused: dict[Platform, str]) -> None:
    facts = inspect(data)
    told = {platform: facts.faults(platform) for platform in PLATFORMS}
    assert {platform: faults[0].code for platform, faults in told.items() if faults} == refused


def test_an_account_may_be_allowed_less() -> None:
    facts = inspect(clip(seconds=200))
    assert [fault.code for fault in facts.faults("tiktok", longest_s=180)] == ["duration_check_failed"]
    assert not facts.faults("tiktok")


def test_a_turned_picture_has_the_shape_it_is_shown_in() -> None:
    facts = inspect(clip(width=1920, height=1080, turned=True))
    assert (facts.width, facts.height, facts.rotation) == (1080, 1920, 90)


def test_a_changing_frame_rate_is_seen_and_a_last_frame_is_not_a_change() -> None:
    assert inspect(clip(deltas=[(300, 512), (60, 640)])).constant_fps is False
    assert inspect(clip(deltas=[(359, 512), (1, 700)])).constant_fps is True


def test_a_clip_has_the_size_that_was_asked_for() -> None:
    assert len(clip_of(70_000)) == 70_000


def test_a_copy_goes_back_to_before_a_chunk_that_broke_off() -> None:
    data = clip(size=10_000)
    inspection = Inspection()
    inspection.feed(data[:5000])
    broken = inspection.copy()
    broken.feed(b"other bytes")
    inspection.feed(data[5000:])
    assert inspection.facts() == inspect(data)


def test_boxes_that_contradict_themselves_are_a_broken_file() -> None:
    data = bytearray(clip())
    dice = random.Random(7)
    for _ in range(300):
        twisted = bytearray(data)
        for _ in range(4):
            twisted[dice.randrange(900)] = dice.randrange(256)
        inspect(bytes(twisted)).faults("tiktok")  # whatever it says, it says it


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_it_says_of_a_real_file_what_another_reader_says(tmp_path: Path, codec: str) -> None:
    pictures = ((Fraction(n, 25), np.full((640, 360), 90, np.uint8)) for n in range(50))
    style = Style(codec=codec, options={"preset": "ultrafast", "x265-params": "log-level=none"})
    path = write(tmp_path / "take.mp4", pictures, rate=Fraction(25), sound=None, style=style)
    movie = read_movie(path)
    facts = inspect(path.read_bytes())
    assert facts.video == movie.tracks[0].entry[4:8].decode()
    assert (facts.width, facts.height, facts.fps, facts.frames) == (360, 640, 25.0, 50)
    assert facts.edit_list == movie.tracks[0].edits
    assert facts.chroma == "4:2:0"
    assert facts.whole
    assert not facts.moov_first
