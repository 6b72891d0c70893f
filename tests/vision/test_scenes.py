"""Cuts are found; what only looks like one is not."""

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray

from vidprod.vision.scenes import Scenes, numbered

Rgb = NDArray[np.uint8]
FRAME_US = 33_333


def view(seed: int, *, shift: float = 0.0) -> Rgb:
    """A view of large soft shapes; `shift` is how far it is moved to the left, in parts of the width."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:180, :320] / 320.0
    picture = np.full((180, 320), 110.0)
    for _ in range(60):
        u, v, size, light = random.uniform(-1, 2), random.uniform(0, 0.56), random.uniform(0.03, 0.12), random.normal()
        picture += 70 * light * np.exp(-((x + shift - u) ** 2 + (y - v) ** 2) / size**2)
    return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def cuts(pictures: Iterable[Rgb], *, frame_us: int = FRAME_US) -> list[int]:
    scenes = Scenes()
    for number, picture in enumerate(pictures):
        scenes.see(picture, number * frame_us)
    return scenes.cuts()


A, B = view(1), view(2)


def test_a_cut_is_found_where_it_is() -> None:
    assert cuts([A] * 10 + [B] * 10 + [A] * 12) == [10, 20]


def test_a_cut_is_suspected_at_once() -> None:
    scenes = Scenes()
    assert [scenes.see(picture, n * FRAME_US) for n, picture in enumerate([A, A, A, B, B])].index(True) == 3


@pytest.mark.parametrize("frame_us", [4_167, 8_333, 16_667, 41_667, 1_000_000])
def test_the_rate_of_the_pictures_does_not_matter(frame_us: int) -> None:
    assert cuts([A] * 100 + [B] * 100, frame_us=frame_us) == [100]


def test_a_cut_at_the_very_end_is_found() -> None:
    assert cuts([A] * 10 + [B]) == [10]


@pytest.mark.parametrize("pictures", [1, 2, 5])
def test_a_flash_is_no_cut(pictures: int) -> None:
    white = np.full_like(A, 250)
    assert cuts([A] * 10 + [white] * pictures + [A] * 20) == []


def test_a_light_that_is_dimmed_or_lit_is_no_cut() -> None:
    dim = (A * 0.5).astype(np.uint8)
    assert cuts([A] * 10 + [dim] * 10 + [A] * 10) == []


def test_a_lamp_at_one_side_is_no_cut() -> None:
    lit = np.clip(A + np.linspace(0, 60, 320)[None, :, None], 0, 255).astype(np.uint8)
    assert cuts([A] * 10 + [lit] * 20) == []


@pytest.mark.parametrize("widths_a_second", [0.3, 1.0, 3.0])
def test_a_pan_is_no_cut(widths_a_second: float) -> None:
    pan = [view(3, shift=min(1.0, widths_a_second * n / 30)) for n in range(20)]
    assert cuts([view(3)] * 5 + pan + [pan[-1]] * 5) == []


def test_a_fade_is_no_cut() -> None:
    fade = [(A * (1 - n / 20)).astype(np.uint8) for n in range(21)]
    assert cuts([A] * 5 + fade + [fade[-1]] * 10 + fade[::-1] + [A] * 5) == []


def test_black_with_grain_has_no_cuts() -> None:
    random = np.random.default_rng(5)
    assert cuts(random.integers(14, 19, (180, 320, 3)).astype(np.uint8) for _ in range(30)) == []


def test_from_black_to_a_view_is_a_cut() -> None:
    assert cuts([np.zeros_like(A)] * 10 + [A] * 20) == [10]


def test_pictures_may_change_their_size() -> None:
    assert cuts([A] * 10 + [A[::2, ::2]] * 10 + [B] * 10) == [20]


def test_each_picture_has_the_number_of_its_scene() -> None:
    assert numbered([2, 5], 6).tolist() == [0, 0, 1, 1, 1, 2]
    assert numbered([], 3).tolist() == [0, 0, 0]
    assert numbered([], 0).tolist() == []
