"""A crop that moves is where it was told to be, to a fraction of a pixel, and looks as one that stands."""

from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from vidprod.domain.canvas import layout, over_blur
from vidprod.domain.plan import Canvas
from vidprod.domain.video import VideoStreamInfo
from vidprod.media.filters import Painter

Turn = Literal[0, 90, 180, 270]
Plane = NDArray[np.float64]

WIDE, TALL = (1280, 720), (360, 1280)
PLACES = [0.0, 0.13, 0.37, 0.5, 0.501, 0.502, 0.77, 1.0]


def info(coded: tuple[int, int], *, shown: tuple[int, int], **facts: Any) -> VideoStreamInfo:
    """Of a take at 30 frames a second; `facts` are what is special about it."""
    plain: dict[str, Any] = {
        "index": 0,
        "codec": "h264",
        "pix_fmt": "yuv420p",
        "coded_width": coded[0],
        "coded_height": coded[1],
        "width": shown[0],
        "height": shown[1],
        "rotation": 0,
        "sample_aspect": "1:1",
        "average_rate": "30",
        "usual_rate": "30",
        "declared_rate": "30",
        "variable_rate": False,
        "hdr": None,
        "interlaced": False,
        "full_range": False,
        "color_space": "bt709",
        "frames": 30,
        "start_us": 0,
        "duration_us": 1_000_000,
        "keyframes": 1,
        "longest_gop_us": 1_000_000,
    }
    return msgspec.convert(plain | facts, VideoStreamInfo)


def picture(coded: tuple[int, int], *, at: float, down: bool = False, turn: Turn = 0, mirrored: bool = False) -> Any:
    """A soft bright and blue bar at the part `at` of the way from the left, or from the top, as seen upright."""
    width, height = coded if turn in (0, 180) else coded[::-1]
    length = height if down else width
    along = 60 + 120 * np.exp(-(((np.arange(length) + 0.5 - at * length) / 24) ** 2))
    blue = 128 + 60 * np.exp(-(((np.arange((length + 1) // 2) * 2 + 1 - at * length) / 24) ** 2))
    luma = np.tile(along[:, None] if down else along, (1, width) if down else (height, 1))
    half = ((height + 1) // 2, (width + 1) // 2)
    chroma = np.tile(blue[:, None] if down else blue, (1, half[1]) if down else (half[0], 1))
    planes = [as_coded(plane, turn, mirrored=mirrored) for plane in (luma, chroma, np.full(half, 128.0))]
    frame = av.VideoFrame(*coded, "yuv420p")
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : plane.width] = np.round(values)
        plane.update(rows.tobytes())
    return frame


def as_coded(plane: Plane, turn: Turn, *, mirrored: bool) -> Plane:
    return np.rot90(plane[:, ::-1] if mirrored else plane, turn // 90)


def bar(canvas: Any, *, down: bool) -> tuple[float, float]:
    """Where the bar is on a canvas, in pixels, by its light and by its colour."""
    values = canvas.to_ndarray().astype(float)
    rows = canvas.height
    light = values[:rows].mean(axis=1 if down else 0)
    colour = values[rows : rows * 5 // 4].reshape(rows // 2, canvas.width // 2).mean(axis=1 if down else 0)
    return centre(light - 60), 2 * centre(colour - 128)


def centre(values: Plane) -> float:
    bright = np.where(values > values.max() / 8, values, 0)
    return float((bright * (np.arange(len(values)) + 0.5)).sum() / bright.sum())


def expected(canvas: Canvas, *, at: float, place: float, down: bool) -> float:
    if down:
        return at * canvas.picture_height - place * (canvas.picture_height - canvas.height)
    return at * canvas.picture_width - place * (canvas.picture_width - canvas.width)


def middle_of(canvas: Canvas, place: float, *, down: bool) -> float:
    """What of the picture's length is in the middle of the crop."""
    shown = canvas.height / canvas.picture_height if down else canvas.width / canvas.picture_width
    return place * (1 - shown) + shown / 2


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080), (3840, 2160), (1278, 718), (640, 360), (1706, 1280)])
def test_a_crop_is_where_it_is_told_to_be(tmp_path: Path, size: tuple[int, int], place: float) -> None:
    """A third of a pixel at a scale of 4/3 or 1/2, a tenth at others."""
    canvas = layout(*size, frame="fill")
    at = middle_of(canvas, place, down=False)
    painter = Painter(canvas, info(size, shown=size), work_dir=tmp_path, moves=True)
    painted = painter.paint(picture(size, at=at), place=place)
    assert (painted.width, painted.height, painted.format.name) == (canvas.width, canvas.height, "yuv420p")
    light, colour = bar(painted, down=False)
    assert light == pytest.approx(expected(canvas, at=at, place=place, down=False), abs=0.6)
    assert colour == pytest.approx(light, abs=0.6)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("size", [WIDE, TALL], ids=["across", "down"])
def test_a_crop_of_a_turned_take_moves_as_it_is_seen(
    tmp_path: Path, size: tuple[int, int], turn: Turn, mirrored: bool
) -> None:
    down = size == TALL
    canvas = layout(*size, frame="fill")
    coded = size if turn in (0, 180) else size[::-1]
    facts = info(coded, shown=size, rotation=turn, mirrored=mirrored)
    painter = Painter(canvas, facts, work_dir=tmp_path, moves=True)
    for place in (0.0, 0.3, 0.8, 1.0):
        at = middle_of(canvas, place, down=down)
        painted = painter.paint(picture(coded, at=at, down=down, turn=turn, mirrored=mirrored), place=place)
        light, colour = bar(painted, down=down)
        assert light == pytest.approx(expected(canvas, at=at, place=place, down=down), abs=0.6)
        assert colour == pytest.approx(light, abs=0.6)


@pytest.mark.parametrize(("coded", "shown"), [((960, 720), (1280, 720)), ((1277, 719), (1277, 719))])
def test_a_crop_knows_pixels_that_are_not_square_and_sizes_that_are_odd(
    tmp_path: Path, coded: tuple[int, int], shown: tuple[int, int]
) -> None:
    canvas = layout(*shown, frame="fill")
    painter = Painter(canvas, info(coded, shown=shown), work_dir=tmp_path, moves=True)
    for place in (0.0, 0.4, 1.0):
        at = middle_of(canvas, place, down=False)
        light, _ = bar(painter.paint(picture(coded, at=at), place=place), down=False)
        off = 1.5 if coded[0] % 2 else 0.6  # the last column of an odd picture is never shown
        assert light == pytest.approx(expected(canvas, at=at, place=place, down=False), abs=off)


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)])
def test_a_slow_move_is_smooth(tmp_path: Path, size: tuple[int, int]) -> None:
    """By whole pixels it would step: 0 1 0 0 1 …"""
    canvas = layout(*size, frame="fill")
    painter = Painter(canvas, info(size, shown=size), work_dir=tmp_path, moves=True)
    free = canvas.picture_width - canvas.width
    seen = [bar(painter.paint(picture(size, at=0.5), place=0.5 + n * 0.3 / free), down=False)[0] for n in range(20)]
    steps = -np.diff(seen)
    assert steps.mean() == pytest.approx(0.3, abs=0.05)
    assert np.abs(np.array(seen) - seen[0] + 0.3 * np.arange(20)).max() < 0.75
    assert np.abs(np.rint(0.3 * np.arange(20)) - 0.3 * np.arange(20)).max() > 0.3, "nothing to see"


def test_standing_still_is_the_same_to_the_bit(tmp_path: Path) -> None:
    canvas = layout(*WIDE, frame="fill")
    painter = Painter(canvas, info(WIDE, shown=WIDE), work_dir=tmp_path, moves=True)
    first, again, elsewhere, back = (
        painter.paint(picture(WIDE, at=0.5), place=place).to_ndarray() for place in (0.4, 0.4, 0.7, 0.4)
    )
    assert np.array_equal(first, again)
    assert np.array_equal(first, back)
    assert not np.array_equal(first, elsewhere)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_in_the_middle_it_looks_as_a_crop_that_stands(tmp_path: Path, pixels: str) -> None:
    for size in ((1280, 720), (1920, 1080)):
        facts = info(size, shown=size, pix_fmt=pixels, color_space="smpte170m", full_range=True)
        standing, moving = (
            Painter(layout(*size, frame="fill"), facts, work_dir=tmp_path, moves=moves)
            .paint(picture(size, at=0.45).reformat(format=pixels))
            .to_ndarray()
            .astype(int)
            for moves in (False, True)
        )
        assert np.abs(standing - moving).max() <= 4  # of a bar with slopes of 4 a pixel
        assert np.abs(standing - moving).mean() < 0.2


def test_hdr_looks_as_in_a_crop_that_stands(tmp_path: Path) -> None:
    facts = info(WIDE, shown=WIDE, pix_fmt="yuv420p10le", hdr="hlg", color_space="bt2020")
    standing, moving = (
        Painter(layout(*WIDE, frame="fill"), facts, work_dir=tmp_path, moves=moves)
        .paint(picture(WIDE, at=0.45).reformat(format="yuv420p10le"))
        .to_ndarray()
        .astype(int)
        for moves in (False, True)
    )
    assert abs((standing - moving).mean()) < 0.05
    assert np.abs(standing - moving).max() <= 4


def test_a_stream_that_changes_its_size_midway_is_followed(tmp_path: Path) -> None:
    canvas = layout(*WIDE, frame="fill")
    painter = Painter(canvas, info(WIDE, shown=WIDE), work_dir=tmp_path, moves=True)
    for size in (WIDE, (640, 360), WIDE):
        at = middle_of(canvas, 0.3, down=False)
        light, _ = bar(painter.paint(picture(size, at=at), place=0.3), down=False)
        assert light == pytest.approx(expected(canvas, at=at, place=0.3, down=False), abs=1.0)


@pytest.mark.parametrize("size", [(1280, 720), (640, 480), (1920, 800), (4096, 1000)])
def test_the_whole_picture_lies_over_its_blur_on_a_canvas_of_the_same_size(size: tuple[int, int]) -> None:
    close = layout(*size, frame="fill")
    whole = over_blur(*size, inside=close)
    assert (whole.width, whole.height, whole.background) == (close.width, close.height, "blur")
    assert whole.picture_width == whole.width
    assert Fraction(whole.picture_height, whole.picture_width) == pytest.approx(Fraction(size[1], size[0]), rel=0.02)
