"""Pixels around an eye: read and written where the decoder put them, whatever their kind and however they lie."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.vision.edited_eye import LYING, Lying
from tests.vision.synthetic_eye import Sight, picture, points
from vidprod.vision.eyes import eyes_of
from vidprod.vision.patch import Box, Pixels, Upright

LEVEL = np.array([1.0, 0.0])
Planes = list[NDArray[Any]]

KINDS = {"yuv420p": (2, 2), "yuv422p": (2, 1), "yuv444p": (1, 1), "yuv411p": (4, 1), "yuv440p": (1, 2), "gray": None}
each_kind = pytest.mark.parametrize("coarser", KINDS.values(), ids=KINDS)
each_depth = pytest.mark.parametrize("depth", [8, 10, 16])


def noise(size: tuple[int, int], coarser: tuple[int, int] | None, depth: int = 8) -> Planes:
    random = np.random.default_rng(1)
    kind, most = (np.uint8 if depth == 8 else np.uint16), 1 << depth
    shapes = [size] if coarser is None else [size] + [tuple(-(-a // b) for a, b in zip(size, coarser, strict=True))] * 2
    return [random.integers(0, most, (high, wide)).astype(kind) for wide, high in shapes]


def as_shown(planes: Planes, *, depth: int = 8) -> Pixels:
    height, width = planes[0].shape
    return Pixels(planes, depth=depth, upright=Upright(coded=(width, height), shown=(width, height)))


def copied(planes: Planes) -> Planes:
    return [plane.copy() for plane in planes]


def same(a: Planes, b: Planes) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@each_kind
@each_depth
@pytest.mark.parametrize("size", [(160, 120), (161, 121)])
@pytest.mark.parametrize(
    "place", [(80.0, 60.0, 60.0, 0.0), (71.3, 66.7, 40.0, 30.0), (90.2, 50.1, 21.7, -130.0), (30, 30, 7.0, 0.0)]
)
def test_what_is_not_changed_keeps_every_bit(
    coarser: tuple[int, int] | None, depth: int, size: tuple[int, int], place: tuple[float, float, float, float]
) -> None:
    planes = noise(size, coarser, depth)
    before = copied(planes)
    pixels, turn = as_shown(planes, depth=depth), np.deg2rad(place[3])
    found = pixels.grid(np.array(place[:2]), np.array([np.cos(turn), np.sin(turn)]), place[2])
    assert found is not None
    read = pixels.read(found[0])
    assert read.shape == (*found[1].along.shape, 3)
    pixels.write(found[0], read, read.copy())
    assert same(planes, before)


@each_kind
@each_depth
def test_what_changes_is_written_there_and_nowhere_else(coarser: tuple[int, int] | None, depth: int) -> None:
    planes = noise((161, 121), coarser, depth)
    before = copied(planes)
    pixels = as_shown(planes, depth=depth)
    found = pixels.grid(np.array([80.0, 60.0]), LEVEL, 50.0)
    assert found is not None
    box, _ = found
    read = pixels.read(box)
    after = read.copy()
    after[8:16, 8:24] = (100, 90, 140)
    pixels.write(box, read, after)
    scale = 1 << (depth - 8)
    changed = np.zeros(planes[0].shape, bool)
    changed[box.top + 8 : box.top + 16, box.left + 8 : box.left + 24] = True
    assert (planes[0][changed] == 100 * scale).all()
    assert np.array_equal(planes[0][~changed], before[0][~changed])
    for plane, was, wanted in zip(planes[1:], before[1:], (90, 140)[: len(planes) - 1], strict=True):
        assert coarser is not None
        inner = changed[:: coarser[1], :: coarser[0]][: plane.shape[0], : plane.shape[1]]
        assert np.array_equal(plane[~inner], was[~inner])
        assert abs(float(plane[inner].mean()) / scale - wanted) < 20


def test_brightness_beyond_what_can_be_stored_is_cut_off() -> None:
    planes = noise((64, 64), (2, 2), 10)
    pixels = as_shown(planes, depth=10)
    read = pixels.read(Box(0, 0, 64, 64))
    pixels.write(Box(0, 0, 64, 64), read, read + 400)
    assert {int(plane.min()) for plane in planes} == {1023}


@pytest.mark.parametrize("coarser", [(2, 2), (1, 1)])
@pytest.mark.parametrize("middle", [(10.0, 60.0), (150.0, 60.0), (80.0, 12.0), (80.0, 115.0), (-300.0, 60.0)])
def test_an_eye_that_is_not_all_in_the_picture_is_left_alone(
    coarser: tuple[int, int], middle: tuple[float, float]
) -> None:
    pixels = as_shown(noise((160, 120), coarser))
    assert pixels.grid(np.array(middle), LEVEL, 50.0) is None
    assert pixels.sample(np.array(middle), LEVEL, 50.0) is None
    assert pixels.grid(np.array([80.0, 60.0]), LEVEL, 50.0) is not None


def test_a_grid_says_where_its_pixels_are() -> None:
    middle, turn, width = np.array([80.3, 61.2]), np.deg2rad(25), 44.0
    along = np.array([np.cos(turn), np.sin(turn)])
    found = as_shown(noise((160, 120), (2, 2))).grid(middle, along, width)
    assert found is not None
    box, grid = found
    down = np.array([-along[1], along[0]])
    for row, column in ((0, 0), (7, 20), (30, 3)):
        place = np.array([box.left + column + 0.5, box.top + row + 0.5])
        local = np.array([grid.along[row, column], grid.down[row, column]])
        assert middle + width * (local[0] * along + local[1] * down) == pytest.approx(place, abs=1e-3)
    moved_x, moved_y = grid.moved(np.full_like(grid.along, 0.1), np.full_like(grid.along, -0.05))
    step = width * (0.1 * along - 0.05 * down)
    assert moved_x[5, 9] == pytest.approx(9 + step[0], abs=1e-3)
    assert moved_y[5, 9] == pytest.approx(5 + step[1], abs=1e-3)


def test_pixels_that_move_nowhere_stay_bit_for_bit() -> None:
    planes = noise((160, 120), (2, 2))
    pixels = as_shown(planes)
    found = pixels.grid(np.array([70.7, 60.3]), np.array([0.8, 0.6]), 40.0)
    assert found is not None
    read = pixels.read(found[0])
    nowhere = np.zeros_like(found[1].along)
    x, y = found[1].moved(nowhere, nowhere)
    assert np.array_equal(cv2.remap(read, x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT), read)


# How pixels lie


each_way = pytest.mark.parametrize("lying", LYING.values(), ids=LYING)


@each_way
def test_pixels_are_where_they_are_shown(lying: Lying) -> None:
    spots: list[Callable[[NDArray[Any], NDArray[Any]], Any]] = [
        lambda x, y: np.exp(-(((x - 40.0) ** 2 + (y - 30.0) ** 2) / 30)),
        lambda x, y: np.exp(-(((x - 130.0) ** 2 + (y - 70.0) ** 2) / 30)),
    ]
    y, x = np.mgrid[:120, :200] + 0.5
    for spot, place in zip(spots, ((40.0, 30.0), (130.0, 70.0)), strict=True):
        coded = lying.code(spot(x, y))
        rows, columns = np.mgrid[: coded.shape[0], : coded.shape[1]] + 0.5
        centroid = [(coded * each).sum() / coded.sum() for each in (columns, rows)]
        assert lying.upright(x).to_coded(np.array(place)) == pytest.approx(centroid, abs=0.02)


@each_way
def test_an_eye_looks_the_same_however_its_pixels_lie(lying: Lying) -> None:
    sight = Sight(yaw=10, pitch=-5, roll=12)
    shown = picture(sight)
    eyes = eyes_of(points(sight)[None])
    straight = as_shown([np.rint(shown[..., n]).astype(np.uint8) for n in range(3)])
    coded = np.rint(lying.code(shown)).astype(np.uint8)
    other = Pixels([np.ascontiguousarray(coded[..., n]) for n in range(3)], depth=8, upright=lying.upright(shown))
    for eye in (0, 1):
        place = eyes.middle[0, eye], eyes.along[0, eye], float(eyes.width[0, eye])
        wanted, found = straight.sample(*place), other.sample(*place)
        assert wanted is not None
        assert found is not None
        tolerance = 1.2 if lying.wider == 1 else 4.0
        assert np.abs(found - wanted)[..., 0].mean() < tolerance


def test_an_eye_that_lies_as_it_does_not_is_seen_to_differ() -> None:
    sight = Sight(yaw=10, roll=12)
    coded = np.rint(Lying(90).code(picture(sight))).astype(np.uint8)
    planes = [np.ascontiguousarray(coded[..., n]) for n in range(3)]
    wrong = Pixels(planes, depth=8, upright=Upright(coded=(160, 320), shown=(320, 160), rotation=270))
    eyes = eyes_of(points(sight)[None])
    straight = as_shown([np.rint(picture(sight)[..., n]).astype(np.uint8) for n in range(3)])
    place = eyes.middle[0, 0], eyes.along[0, 0], float(eyes.width[0, 0])
    found, wanted = wrong.sample(*place), straight.sample(*place)
    assert found is not None
    assert wanted is not None
    assert np.abs(found - wanted)[..., 0].mean() > 5
