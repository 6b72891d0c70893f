"""A segment cut by hand and a cover chosen by hand, with real pictures that carry their numbers."""

from pathlib import Path

import msgspec
import pytest

from tests.media import readers, synth
from tests.media.conftest import MakeSegments
from vidprod.domain.step import COVER_FILE, CoverRequest, Limits, RenderRequest, SegmentDone
from vidprod.pipeline import cover, render

TINY = (90, 160)


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """15 s at 24 frames a second."""
    return synth.numbered(tmp_path_factory.mktemp("take") / "take.mkv", 15 * 24, 24, size=TINY)


def number_of(jpeg: Path) -> int:
    """Of the picture that a poster shows."""
    [(_, picture)] = list(readers.pictures(jpeg))
    return readers.read_number(picture, TINY)


def test_one_segment_is_cut_anew_to_the_frame(take: Path, make_segments: MakeSegments, tmp_path: Path) -> None:
    done = make_segments(take, segment_s=5, snap="none", frame="original", todo=[])
    said: list[object] = []
    request = RenderRequest(
        source=str(take),
        work_dir=str(tmp_path),
        limits=Limits(),
        info=done.info,
        recipe=done.recipe,
        plan=done.plan.recut(1, 6_000_000, 9_500_000),
        todo=[1],
        cover_frame=30,
    )
    render.run(request, said.append)
    [made] = [one for one in said if isinstance(one, SegmentDone)]
    file = tmp_path / f"{made.stem}.mp4"
    shown = [number for _, number in readers.numbers(file, TINY)]
    assert shown == list(range(144, 228))
    assert (made.rendition.frames, made.rendition.duration_us) == (84, 3_500_000)
    assert number_of(file.with_suffix(".jpg")) == 144 + 30
    sound, rate, _ = readers.sound(file)
    assert sound.shape[-1] / rate == pytest.approx(3.5, abs=0.05)


@pytest.mark.parametrize(("video", "within"), [("encode", 0), ("copy", 0.5)])  # Matroska rounds to milliseconds
def test_a_cover_shows_the_picture_that_was_chosen(
    take: Path, make_segments: MakeSegments, tmp_path: Path, video: str, within: float
) -> None:
    done = make_segments(take, segment_s=15, snap="none", frame="original", video=video, todo=[0])
    first = readers.numbers(done.segments[0], TINY)[0][1]
    for frame in (0, 37, 48, done.renditions[0].frames - 1):
        request = CoverRequest(
            source=str(done.segments[0]),
            work_dir=str(tmp_path),
            limits=Limits(),
            at_us=round((frame + within) * 1_000_000 / 24),
            copied=done.info.video if video == "copy" else None,
        )
        cover.run(request, lambda message: None)
        assert number_of(tmp_path / COVER_FILE) == first + frame
    assert msgspec.json.decode(msgspec.json.encode(request), type=CoverRequest) == request
