"""What a plan says of its source."""

import msgspec
import pytest

from vidprod.domain.plan import Canvas, Plan
from vidprod.domain.video import AudioStreamInfo, MediaInfo, VideoStreamInfo

VIDEO = VideoStreamInfo(
    index=0, codec="h264", pix_fmt="yuv420p", coded_width=640, coded_height=360, width=640, height=360, rotation=0,
    sample_aspect="1:1", average_rate="30", usual_rate="30", declared_rate="30", variable_rate=False, hdr=None,
    interlaced=False, full_range=False, color_space="bt709", frames=30, start_us=0, duration_us=1_000_000, keyframes=1,
    longest_gop_us=1_000_000,
)  # fmt: skip
AUDIO = AudioStreamInfo(
    index=1, codec="aac", sample_rate=48_000, channels=2, layout="stereo", start_us=0, duration_us=1_000_000
)
CANVAS = Canvas(width=2, height=2, picture_width=2, picture_height=2, x=0, y=0, background="none")


def source(audio: AudioStreamInfo | None) -> MediaInfo:
    return MediaInfo(
        container="mp4", size=1, sha256="", duration_us=1_000_000, declared_duration_us=None, start_us=0, video=VIDEO,
        audio=audio,
    )  # fmt: skip


@pytest.mark.parametrize("loudness", [-21.5, None])
def test_planning_tells_how_loud_the_take_is(loudness: float | None) -> None:
    plan = Plan(fps="30", canvas=CANVAS, segments=[], source_loudness_lufs=loudness)
    heard = plan.heard(source(AUDIO)).audio
    assert heard is not None
    assert heard.loudness_lufs == loudness


def test_a_plan_stored_with_words_that_plans_no_longer_hold_is_read() -> None:
    segment = {"index": 0, "in_us": 0, "out_us": 1, "first_frame": 0, "frames": 1, "snapped": True}
    stored = {"fps": "30", "canvas": msgspec.to_builtins(CANVAS), "segments": [segment | {"loudness_lufs": -20.0}]}
    assert msgspec.convert(stored, Plan).segments[0].frames == 1


def test_a_take_without_sound_stays_without() -> None:
    plan = Plan(fps="30", canvas=CANVAS, segments=[])
    assert plan.heard(source(None)) == source(None)
