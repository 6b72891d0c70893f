"""Upright, in proportion, where it belongs on the canvas, and no two fields in one frame."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.media import damage, readers, synth
from tests.media.conftest import MakeSegments
from tests.media.synth import PLAIN, PORTRAIT

LANDSCAPE = (448, 252)
SHORT_S = 0.8  # a source under 3 s may stay so, and nothing here needs more
UPRIGHT = ["red", "green", "blue", "white"]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("size", [PORTRAIT, LANDSCAPE], ids=["portrait", "landscape"])
def test_a_turned_take_comes_out_upright(
    tmp_path: Path, make_segments: MakeSegments, degrees: int, size: tuple[int, int]
) -> None:
    source = synth.rotated(tmp_path / "take.mp4", degrees, size=size, seconds=SHORT_S)
    done = make_segments(source)
    assert (done.info.video.width, done.info.video.height, done.info.video.rotation) == (*size, degrees)
    assert readers.upright(done.segments[0], rect=done.rect) == UPRIGHT
    assert done.faults() == []


@pytest.mark.parametrize(
    ("matrix", "rotation", "mirrored"),
    [
        ((1, 0, 0, 1), 0, False),
        ((0, 1, -1, 0), 90, False),
        ((-1, 0, 0, -1), 180, False),
        ((0, -1, 1, 0), 270, False),
        ((-1, 0, 0, 1), 0, True),
        ((0, 1, 1, 0), 90, True),
        ((1, 0, 0, -1), 180, True),
        ((0, -1, -1, 0), 270, True),
    ],
)
def test_a_take_is_shown_as_its_matrix_says(
    tmp_path: Path, make_segments: MakeSegments, matrix: synth.Matrix, rotation: int, mirrored: bool
) -> None:
    """Recorders of selfies mirror: that was taken for a turn."""
    source = synth.with_matrix(tmp_path / "take.mp4", matrix, size=LANDSCAPE, seconds=0.4)
    done = make_segments(source)
    video = done.info.video
    assert (video.width, video.height, video.rotation, video.mirrored) == (*LANDSCAPE, rotation, mirrored)
    assert readers.upright(done.segments[0], rect=done.rect) == UPRIGHT


def test_photographs_that_say_how_the_camera_was_held_come_out_upright(
    tmp_path: Path, make_segments: MakeSegments
) -> None:
    """PyAV 18 does not know the kind of side data they have, and gives out none at all."""
    done = make_segments(synth.photographs(tmp_path / "take.mov", 6, size=(128, 64), frames=15), frame="original")
    assert (done.info.video.width, done.info.video.height, done.info.video.rotation) == (64, 128, 90)
    assert readers.upright(done.segments[0]) == ["blue", "red", "white", "green"]


@pytest.mark.parametrize(
    ("sar", "size", "frame"),
    [
        (Fraction(2), (320, 360), "auto"),
        (Fraction(1, 2), (640, 568), "auto"),
        (Fraction(4, 3), (480, 360), "fill"),
        (Fraction(64, 45), (400, 320), "original"),
        (Fraction(2, 3), (640, 360), "original"),
    ],
    ids=["wide pixels", "tall pixels", "cropped", "kept", "kept, tall pixels"],
)
def test_an_anamorphic_take_comes_out_in_proportion(
    tmp_path: Path, make_segments: MakeSegments, sar: Fraction, size: tuple[int, int], frame: str
) -> None:
    source = synth.anamorphic(tmp_path / "take.mp4", sar, size=size, seconds=SHORT_S)
    done = make_segments(source, frame=frame)
    shown = (round(size[0] * sar), size[1])
    assert (done.info.video.width, done.info.video.height) == pytest.approx(shown, abs=1)
    width, height = readers.disc(readers.luma(readers.frame_at(done.segments[0], 10)), done.rect)
    assert width / height == pytest.approx(1.0, abs=0.02)
    assert done.faults() == []


def test_a_landscape_take_lies_whole_over_its_own_blur(tmp_path: Path, make_segments: MakeSegments) -> None:
    done = make_segments(synth.striped(tmp_path / "take.mp4", seconds=SHORT_S))
    picture = readers.luma(readers.frame_at(done.segments[0], 10))
    found, meant = readers.picture_rect(picture), done.rect
    assert (found.y, found.height) == pytest.approx((meant.y, meant.height), abs=3)
    assert meant.width / meant.height == pytest.approx(640 / 360, rel=0.01)
    assert meant.x == pytest.approx(0, abs=1)
    above, below = picture[: int(meant.y) - 8], picture[int(meant.y + meant.height) + 8 :]
    for part in (above, below):
        assert part.size > 0
        assert part.mean() > 40, "black bars, not a blurred copy"
        assert np.abs(np.diff(part.astype(int), axis=1)).max() < 12, "sharp"
        assert part[:, -40:].mean() > part[:, :40].mean() + 10, "not a copy of this picture"
    assert abs(len(above) - len(below)) <= 4
    assert done.faults() == []


def test_fill_crops_the_centre(tmp_path: Path, make_segments: MakeSegments) -> None:
    done = make_segments(synth.rotated(tmp_path / "take.mp4", 0, size=LANDSCAPE, seconds=SHORT_S), frame="fill")
    canvas = done.plan.canvas
    assert canvas.x < 0
    assert -2 * canvas.x + canvas.width == pytest.approx(canvas.picture_width, abs=4)
    assert readers.upright(done.segments[0]) == UPRIGHT
    assert done.faults() == []


def test_original_keeps_the_shape(tmp_path: Path, make_segments: MakeSegments) -> None:
    done = make_segments(synth.rotated(tmp_path / "take.mp4", 0, size=LANDSCAPE, seconds=SHORT_S), frame="original")
    assert (done.renditions[0].width, done.renditions[0].height) == LANDSCAPE
    assert done.faults() == []


def test_an_odd_444_take_becomes_even_420(tmp_path: Path, make_segments: MakeSegments) -> None:
    for frame in ("auto", "original"):
        done = make_segments(damage.odd_size(tmp_path / "take.mp4", seconds=SHORT_S), frame=frame)
        assert done.faults() == []


@pytest.mark.parametrize("size", [(240, 425), (240, 424), (240, 422)], ids=["2 rows", "4 rows", "6 rows"])
def test_a_picture_that_leaves_few_rows_of_its_canvas_is_painted(
    tmp_path: Path, make_segments: MakeSegments, size: tuple[int, int]
) -> None:
    style = replace(PLAIN, pix_fmt="yuv444p")
    pictures = [(Fraction(n, 30), synth.quadrants(size)) for n in range(12)]
    done = make_segments(synth.write(tmp_path / "take.mp4", pictures, rate=Fraction(30), sound=None, style=style))
    assert (done.renditions[0].width, done.renditions[0].height) == (360, 640)
    assert readers.upright(done.segments[0], rect=done.rect) == UPRIGHT


@pytest.mark.parametrize(
    ("size", "most"),
    [((320, 568), 1.5), ((176, 144), 1.5), ((720, 1600), 1.5), ((1152, 2048), 1.0), ((500, 500), 1.5)],
    ids=["small", "tiny", "taller than 9:16", "larger than the canvas", "square"],
)
def test_a_picture_is_never_enlarged_beyond_one_and_a_half(
    tmp_path: Path, make_segments: MakeSegments, size: tuple[int, int], most: float
) -> None:
    source = synth.numbered(tmp_path / "take.mp4", 15, size=size)
    done = make_segments(source)
    canvas = done.plan.canvas
    assert canvas.picture_width / size[0] <= most + 0.02
    assert canvas.picture_height / size[1] <= most + 0.02
    assert canvas.picture_width / canvas.picture_height == pytest.approx(size[0] / size[1], rel=0.03)
    assert done.faults() == []
    read = readers.numbers(done.segments[0], size, done.rect)
    assert [number for _, number in read] == list(range(15))


def test_a_portrait_take_fills_1080_by_1920_when_it_is_large_enough(
    tmp_path: Path, make_segments: MakeSegments
) -> None:
    done = make_segments(synth.numbered(tmp_path / "take.mp4", 15, size=(720, 1280)))
    canvas = done.plan.canvas
    assert (canvas.width, canvas.height) == (1080, 1920)
    assert canvas.picture_width >= 1080
    assert canvas.picture_height >= 1920
    assert done.faults() == []


def test_an_interlaced_take_has_no_combs(tmp_path: Path, make_segments: MakeSegments) -> None:
    done = make_segments(synth.interlaced(tmp_path / "take.mp4", seconds=SHORT_S), frame="original")
    assert done.info.video.interlaced
    assert Fraction(done.plan.fps) in (25, 50)
    worst = max(readers.combing(picture) for _, picture in readers.pictures(done.segments[0]))
    assert worst < 0.002
    assert done.faults() == []


def test_an_interlaced_take_may_change_its_size_midway(tmp_path: Path, make_segments: MakeSegments) -> None:
    """As a recording of a broadcast does at the end of a programme: "Failed to reallocate frame"."""
    sizes = [(640, 480), (320, 240), (640, 480)]
    parts = [
        synth.interlaced(
            tmp_path / f"{n}.ts", seconds=0.4, size=size, first_s=0.4 * n, codec="mpeg2video", sound=False
        ).read_bytes()
        for n, size in enumerate(sizes)
    ]
    source = tmp_path / "take.ts"
    source.write_bytes(b"".join(parts))
    done = make_segments(source, frame="original")
    assert done.info.video.interlaced
    assert done.renditions[0].frames == pytest.approx(30, abs=1)
    pictures = [picture for _, picture in readers.pictures(done.segments[0])]
    assert max(readers.combing(picture) for picture in pictures) < 0.01
    assert all(picture.max() > 200 for picture in pictures), "without its bar"


def test_full_range_becomes_limited(tmp_path: Path, make_segments: MakeSegments) -> None:
    style = replace(PLAIN, pix_fmt="yuvj420p", full_range=True)
    picture = np.zeros((568, 320, 3), np.uint8)
    picture[284:] = 255
    source = synth.write(
        tmp_path / "take.mp4",
        [(Fraction(n, 30), picture) for n in range(30)],
        rate=Fraction(30),
        sound=None,
        style=style,
    )
    done = make_segments(source)
    frame = readers.frame_at(done.segments[0], 20)
    black, white = (readers.mean_colour(frame, 0.5, y) for y in (0.25, 0.75))
    assert max(black) == pytest.approx(0.0, abs=0.015)
    assert min(white) == pytest.approx(1.0, abs=0.015)
    assert done.faults() == []


@pytest.mark.parametrize("colour", [(6, 6, 6), (5, 6, 5), (1, 1, 1)], ids=["NTSC 601", "PAL 601", "709"])
def test_colours_keep_their_look_when_the_matrix_changes(
    tmp_path: Path, make_segments: MakeSegments, colour: tuple[int, int, int]
) -> None:
    style = replace(PLAIN, colour=colour)
    pictures = [(Fraction(n, 30), synth.quadrants(PORTRAIT)) for n in range(30)]
    done = make_segments(synth.write(tmp_path / "take.mp4", pictures, rate=Fraction(30), sound=None, style=style))
    frame = readers.frame_at(done.segments[0], 20)
    for (x, y), name in zip(((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)), UPRIGHT, strict=True):
        meant = np.array(synth.QUADRANTS[name]) / 255
        assert readers.mean_colour(frame, x, y) == pytest.approx(tuple(meant), abs=0.05)
    assert done.faults() == []
