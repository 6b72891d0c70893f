"""How long segments are, where they are cut, and that a crash may come between any two of them."""

import hashlib
import itertools
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import zip_longest
from math import inf
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.media import readers, synth
from tests.media.conftest import MakeSegments, probe
from tests.media.synth import Sound, noise, with_pauses
from vidprod.domain.plan import Plan
from vidprod.domain.recipe import Recipe
from vidprod.domain.step import Limits, PlanRequest
from vidprod.pipeline import plan

TINY = (36, 64)


@pytest.fixture(scope="module")
def long_take(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """130 s with pauses at 56.2 (short), 57.5 (the quietest) and 100 s."""
    path = tmp_path_factory.mktemp("long") / "take.mkv"
    speech = noise(130.0, channels=1)
    speech = with_pauses(speech, [(57.4, 57.8), (100.0, 101.0)])
    speech[:, round(56.1 * 48_000) : round(56.4 * 48_000)] *= 0.1
    sound = Sound(speech, layout="mono", codec="pcm_s16le")
    return synth.numbered(path, 130 * 24, 24, size=TINY, sound=sound)


PlanLong = Callable[..., Plan]


@pytest.fixture(scope="module")
def plan_long(long_take: Path) -> PlanLong:
    """`plan_long(segment_s=4, …)` plans the long take, which is probed once."""
    info = probe(long_take, long_take.parent)

    def planned(**options: Any) -> Plan:
        asked = PlanRequest(
            source=str(long_take),
            work_dir=str(long_take.parent),
            limits=Limits(),
            info=info,
            recipe=Recipe(**options),
        )
        return plan.run(asked, lambda said: None)

    return planned


def lengths(planned: Plan) -> list[float]:
    return [(segment.out_us - segment.in_us) / 1e6 for segment in planned.segments]


def test_without_snapping_the_cuts_are_exact(plan_long: PlanLong) -> None:
    assert lengths(plan_long(snap="none")) == pytest.approx([60, 60, 10])


def test_a_cut_moves_back_to_the_quietest_pause_of_the_last_5_s(plan_long: PlanLong) -> None:
    planned = plan_long()
    first, second = planned.segments[:2]
    assert 57.4 <= first.out_us / 1e6 <= 57.8
    assert second.in_us == first.out_us
    assert second.out_us - second.in_us > 55_000_000, "the pause at 100 s is not within the last 5 s"
    assert all(3 <= length <= 60 for length in lengths(planned))


@pytest.mark.parametrize("segment_s", [3.0, 4.0, 5.0, 7.3, 13.0, 29.97, 45.0, 59.9, 60.0])
@pytest.mark.parametrize("snap", ["pause", "none"])
def test_no_segment_is_too_long_or_too_short(plan_long: PlanLong, segment_s: float, snap: str) -> None:
    planned = plan_long(segment_s=segment_s, snap=snap)
    assert planned.segments[0].in_us == 0
    assert planned.segments[-1].out_us == pytest.approx(130_000_000, abs=42_000)
    assert all(before.out_us == after.in_us for before, after in itertools.pairwise(planned.segments))
    assert max(lengths(planned)) <= segment_s + 1e-6
    shortest_possible = 3.0 if segment_s > 3.2 else 1.0  # 130 s do not divide into segments of 3 s
    assert min(lengths(planned)) >= shortest_possible


@pytest.mark.parametrize(
    ("seconds", "segment_s"),
    [(9.0, 4.0), (6.2, 6.0), (7.9, 5.0), (8.0, 3.5), (12.5, 6.0), (5.9, 5.0)],
)
def test_what_would_be_too_short_shares_so_that_nothing_is(
    tmp_path: Path, make_segments: MakeSegments, seconds: float, segment_s: float
) -> None:
    """Where any division into segments of 3 s to `segment_s` exists, the plan is one."""
    exists = any(3 * count <= seconds <= segment_s * count for count in range(1, 10))
    source = synth.numbered(tmp_path / "take.mp4", round(seconds * 30), size=TINY)
    done = make_segments(source, segment_s=segment_s, snap="none", todo=[])
    assert max(lengths(done.plan)) <= segment_s + 1e-6
    if exists:
        assert min(lengths(done.plan)) >= 3.0 - 0.04
    else:
        assert done.plan.warnings


def test_a_pause_never_leaves_a_rest_that_cannot_be_divided(tmp_path: Path, make_segments: MakeSegments) -> None:
    speech = with_pauses(noise(13.0), [(4.1, 4.3), (8.0, 8.2)])  # cut there, 4.9 s are left for segments of 4.5
    done = make_segments(
        synth.numbered(tmp_path / "take.mp4", 390, size=TINY, sound=Sound(speech)), segment_s=4.5, todo=[]
    )
    assert all(3.0 - 0.04 <= length <= 4.5 for length in lengths(done.plan))


def test_the_last_two_share(tmp_path: Path, make_segments: MakeSegments) -> None:
    source = synth.numbered(tmp_path / "take.mkv", 62 * 24, 24, size=TINY, sound=None)
    assert lengths(make_segments(source, todo=[]).plan) == pytest.approx([31, 31], abs=0.05)


def test_a_full_minute_ends_by_60_s_in_every_header_and_in_both_streams(
    tmp_path: Path, make_segments: MakeSegments
) -> None:
    """At 25 a second the picture is 60 s to the tick, and the sound's 21 ms blocks do not fit."""
    sound = Sound(noise(65.0), codec="pcm_s16le")
    source = synth.numbered(tmp_path / "take.mkv", 64 * 25, 25, size=(160, 160), sound=sound)
    done = make_segments(source, snap="none", frame="original", todo=[0])
    assert done.renditions[0].frames == 1500
    assert done.faults_of(0) == []


def test_a_minute_at_29_97_is_the_last_whole_frame_before_60_s(tmp_path: Path, make_segments: MakeSegments) -> None:
    source = synth.numbered(tmp_path / "take.mkv", 64 * 30, Fraction(30000, 1001), size=TINY, sound=None)
    done = make_segments(source, snap="none", todo=[])
    assert done.plan.segments[0].frames == 1798


def sounds(path: Path) -> list[tuple[int | None, bytes]]:
    """The sound as coded, with its times."""
    with av.open(str(path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux(audio=0)]


def pictures(path: Path) -> Iterator[tuple[int | None, NDArray[np.float32]]]:
    """The pictures as decoded, with their times."""
    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            yield picture.pts, picture.to_ndarray().astype(np.float32)


def unlike(path: Path, other: Path) -> float:
    """The mean square of how far the least alike of their pictures differ, of 255²; infinite where times do."""
    pairs = list(zip_longest(pictures(path), pictures(other), fillvalue=(None, np.zeros(1, np.float32))))
    return max(float(((a - b) ** 2).mean()) if at == then else inf for (at, a), (then, b) in pairs)


def test_a_segment_made_alone_after_a_crash_shows_and_sounds_the_same(
    tmp_path: Path, make_segments: MakeSegments
) -> None:
    """Not to the bit: x264 with a bounded rate and two threads asks how large the other thread's frame has become, and
    quantises a little otherwise in one run of fifty. 30 dB is far less than from one picture to the next here."""
    speech = with_pauses(noise(10.4), [(3.3, 3.5), (6.8, 7.0)])
    source = synth.numbered(tmp_path / "take.mp4", 312, size=(180, 320), sound=Sound(speech))
    whole = make_segments(source, segment_s=4.0, frame="original")
    assert len(whole.segments) == 3
    assert whole.faults() == []
    last = len(whole.segments) - 1
    for todo in ([1], [0, last]):
        again = make_segments(source, segment_s=4.0, frame="original", todo=todo)
        assert again.plan == whole.plan
        for path, index in zip(again.segments, todo, strict=True):
            assert sounds(path) == sounds(whole.segments[index])
            assert unlike(path, whole.segments[index]) < 255**2 / 1e3
        for made, before in zip(again.renditions, (whole.renditions[index] for index in todo), strict=True):
            assert msgspec.structs.replace(made, size=before.size, sha256=before.sha256) == before


def x264_options(path: Path) -> dict[str, str]:
    """What x264 says of itself in the stream."""
    told = re.search(rb"x264 - core .*? options: ([ -~]+)", path.read_bytes())
    assert told is not None
    return dict(pair.split("=", 1) for pair in told[1].decode().split() if "=" in pair)


def test_frames_are_coded_side_by_side_and_not_in_slices(tmp_path: Path, make_segments: MakeSegments) -> None:
    """Slice threads, which PyAV sets unless told otherwise, make larger files."""
    options = x264_options(make_segments(synth.numbered(tmp_path / "take.mp4", 60)).segments[0])
    assert options["threads"] == "1" or options.get("sliced_threads") == "0"


def test_what_is_said_of_a_segment_is_true_of_its_file(tmp_path: Path, make_segments: MakeSegments) -> None:
    done = make_segments(synth.numbered(tmp_path / "take.mp4", 192), segment_s=3.5, frame="original")
    for path, planned, rendition in zip(done.segments, done.plan.segments, done.renditions, strict=True):
        data = path.read_bytes()
        frames = len(list(readers.pictures(path)))
        picture = readers.luma(readers.frame_at(path, 0))
        assert rendition.size == len(data)
        assert rendition.sha256 == hashlib.sha256(data).hexdigest()
        assert rendition.frames == planned.frames == frames
        assert (rendition.height, rendition.width) == picture.shape
        assert rendition.fps == done.plan.fps
        assert abs(rendition.duration_us - frames * 1e6 / Fraction(rendition.fps)) < 25_000
        assert rendition.video_codec == "h264"
        assert rendition.audio_codec == "aac"


def test_progress_only_grows_and_ends_at_the_whole(tmp_path: Path, make_segments: MakeSegments) -> None:
    done = make_segments(synth.numbered(tmp_path / "take.mp4", 192), segment_s=3.5, frame="original")
    said = [message.done_us for message in done.progress]
    assert said == sorted(said)
    assert said[-1] <= done.progress[-1].total_us
    assert said[-1] >= 0.9 * done.progress[-1].total_us
