"""How a picture sits in a vertical frame."""

from itertools import product

import pytest

from vidprod.domain.canvas import layout
from vidprod.domain.plan import Canvas

SIZES = [
    (640, 360), (1080, 1920), (1920, 1080), (320, 568), (720, 1600), (480, 640), (176, 144), (161, 121), (3026, 1386),
    (100, 400), (16, 16), (4096, 2160), (640, 640),
]  # fmt: skip


def size(canvas: Canvas) -> tuple[int, int]:
    return canvas.width, canvas.height


def test_a_full_hd_phone_take_fills_the_canvas_pixel_for_pixel() -> None:
    canvas = layout(1080, 1920, frame="auto")
    assert (size(canvas), canvas.picture_width, canvas.picture_height) == ((1080, 1920), 1080, 1920)
    assert canvas.background == "none"


def test_landscape_sits_in_the_middle_over_blur() -> None:
    canvas = layout(1920, 1080, frame="auto")
    assert size(canvas) == (1080, 1920)
    assert (canvas.picture_width, canvas.picture_height, canvas.x, canvas.y) == (1080, 608, 0, 656)
    assert canvas.background == "blur"


def test_a_small_picture_gets_a_smaller_canvas_instead_of_being_blown_up() -> None:
    assert size(layout(640, 360, frame="auto")) == (720, 1280)
    assert size(layout(320, 568, frame="auto")) == (360, 640)


def test_a_tall_phone_screen_loses_nothing_at_its_ends() -> None:
    canvas = layout(720, 1600, frame="auto")
    assert (canvas.picture_height, canvas.background) == (1920, "blur")


@pytest.mark.parametrize("frame", ["face", "blur"])
def test_without_a_face_the_frame_is_the_usual_one(frame: str) -> None:
    assert [layout(*size, frame=frame) for size in SIZES] == [layout(*size, frame="auto") for size in SIZES]


def test_fill_crops_the_sides_of_a_landscape_take() -> None:
    canvas = layout(1920, 1080, frame="fill")
    assert canvas.background == "none"
    assert canvas.picture_height == canvas.height
    assert canvas.x < 0


def test_original_keeps_the_shape_and_only_shrinks() -> None:
    assert size(layout(1280, 720, frame="original")) == (1280, 720)
    assert size(layout(3840, 2160, frame="original")) == (1920, 1080)


@pytest.mark.parametrize("frame", ["auto", "fill"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_vertical_canvas_is_one_the_platforms_take(width: int, height: int, frame: str) -> None:
    canvas = layout(width, height, frame=frame)
    assert canvas.width * 16 == canvas.height * 9
    assert canvas.width >= 360  # TikTok's least side
    assert canvas.height <= 1920
    numbers = (canvas.width, canvas.height, canvas.picture_width, canvas.picture_height, canvas.x, canvas.y)
    assert all(number % 2 == 0 for number in numbers)
    if frame == "auto":
        assert canvas.picture_width <= 1.5 * width + 2
        assert canvas.picture_height <= 1.5 * height + 2


def test_a_picture_that_all_but_covers_the_canvas_does() -> None:
    """240 × 425 half as large again is 638 rows of 640: no row was left above it, and of none no strip can be made."""
    canvas = layout(240, 425, frame="auto")
    assert (size(canvas), canvas.picture_width, canvas.picture_height) == ((360, 640), 360, 640)
    assert canvas.background == "none"


def test_what_lies_behind_a_picture_can_be_seen_on_both_sides() -> None:
    """Of every size to 720 pixels a side, and of tall ones to the last pixel."""
    sizes = [*product(range(16, 721, 11), repeat=2), *product((240, 360, 719, 720, 1080), range(300, 2600))]
    for width, height in sizes:
        canvas = layout(width, height, frame="auto")
        across, down = canvas.width - canvas.picture_width, canvas.height - canvas.picture_height
        assert (canvas.background == "none") == (across <= 0 and down <= 0), (width, height)
        for left, first in ((across, canvas.x), (down, canvas.y)):
            assert left <= 0 or (first >= 2 and left - first >= 2), (width, height)
