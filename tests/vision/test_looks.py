"""What eyes look like in a take: found in the pixels, though the mesh is wrong about them."""

from dataclasses import replace

import numpy as np
import pytest

from tests.vision.edited_eye import SIZE, SPACING_US, around, both, looks_of, pixels_of
from tests.vision.synthetic_eye import (
    BLUE,
    BROWN,
    EXACT,
    IRIS_RADIUS,
    USUAL,
    MeshErrors,
    Sight,
    iris_seen,
    opening,
    picture,
    planes,
    points,
)
from vidprod.vision.looks import MOST, RIM, RINGS, Look, Sampler, white_terms

LENS = Sight()


def told(sights: tuple[Sight, ...], errors: MeshErrors) -> list[Look]:
    return both(looks_of(sights, errors))


@pytest.mark.parametrize("iris", [BROWN, BLUE], ids=["brown", "blue"])
@pytest.mark.parametrize("width", [48.0, 80.0])
@pytest.mark.parametrize("off", [(0.0, 0.03), (0.0, 0.05), (0.04, 0.04), (-0.04, 0.04)])
def test_the_iris_is_found_where_it_is_though_the_mesh_has_it_elsewhere(
    iris: tuple[float, float, float], width: float, off: tuple[float, float]
) -> None:
    """The mesh also compresses how far it moves: what is found is right for eyes at the lens. How high an iris is that
    lids cover above and below is told less well."""
    aside, too_low = off
    for look in told(around(replace(LENS, iris=iris, width=width)), replace(USUAL, aside=aside, too_low=too_low)):
        assert look.place[0] == pytest.approx(-aside, abs=0.021)
        assert look.place[1] == pytest.approx(-too_low, abs=0.026)


@pytest.mark.parametrize("size", [0.93, 1.0, 1.08])
def test_the_iris_is_as_large_as_it_is_though_the_mesh_has_another_size(size: float) -> None:
    for look in told(around(), replace(USUAL, size=size)):
        assert look.size * size == pytest.approx(1.0, abs=0.07)


def test_a_head_that_is_tilted_shows_the_same_eyes() -> None:
    small = replace(LENS, width=60.0)
    plain, tilted = told(around(small), USUAL), told(around(replace(small, roll=20)), USUAL)
    for a, b in zip(plain, tilted, strict=True):
        assert b.place == pytest.approx(a.place, abs=0.011)
        assert b.size == pytest.approx(a.size, abs=0.051)
        assert np.abs(b.rings - a.rings)[6:11].max() < 15


@pytest.mark.parametrize("iris", [BROWN, BLUE], ids=["brown", "blue"])
def test_rings_have_the_colours_of_the_iris_from_the_pupil_to_the_white(iris: tuple[float, float, float]) -> None:
    for look in told(around(replace(LENS, iris=iris)), USUAL):
        away = (np.arange(RINGS) + 0.5) * RIM / RINGS
        pupil, middle = look.rings[away < 0.2], look.rings[(away > 0.55) & (away < 0.8)]
        assert pupil[:, 0].max() < 40
        assert np.abs(middle.mean(axis=0) - iris).max() < 10
        assert look.rings[-1, 0] > middle[:, 0].max() + 15


@pytest.mark.parametrize("light", [1.0, 0.6])
def test_the_white_is_as_bright_as_it_is_seen(light: float) -> None:
    sight = replace(LENS, light=light)
    looks = told(around(sight), USUAL)
    shown = picture(sight)
    for eye, look in enumerate(looks):
        seen = opening(sight, eye, SIZE, within=0.06)
        bright = shown[seen & (shown[..., 0] > 115 * light)]
        found = white_terms(np.array([-0.3, 0.3]), np.array([0.5, 0.5])) @ look.white
        assert found[:, 0] == pytest.approx([np.median(bright[:, 0])] * 2, abs=12)
        assert np.abs(found[:, 1:] - np.median(bright[:, 1:], axis=0)).max() < 5


def test_a_light_in_the_eye_makes_the_white_no_brighter() -> None:
    for look in told(around(), EXACT):
        along, between = np.meshgrid(np.linspace(-0.4, 0.4, 9), np.linspace(0.15, 0.9, 6))
        assert (white_terms(along, between) @ look.white)[..., 0].max() < 200


def test_one_sample_is_enough() -> None:
    for look in told((LENS,), USUAL):
        assert look.place == pytest.approx([0, -0.04], abs=0.03)
        assert look.white.any()


def test_eyes_that_shut_in_some_samples_are_told_by_the_others() -> None:
    sights = tuple(replace(each, open_=0.1 if number in (2, 5) else 1.0) for number, each in enumerate(around()))
    for look, wanted in zip(told(sights, USUAL), told(around(), USUAL), strict=True):
        assert look.place == pytest.approx(wanted.place, abs=0.021)
        assert np.abs(look.rings - wanted.rings)[6:11].max() < 15


def test_eyes_that_never_open_tell_nothing_that_is_no_number() -> None:
    looks = looks_of((replace(LENS, open_=0.0),) * 3)
    assert looks is None or np.isfinite(looks).all()


def test_eyes_at_the_edge_of_the_picture_are_no_sample() -> None:
    assert looks_of((replace(LENS, x=60.0),)) is None


def test_faces_are_kept_apart() -> None:
    sampler = Sampler()
    for number, iris in ((1, BROWN), (2, BLUE)):
        sight = replace(LENS, iris=iris)
        sampler.see(number, 0, points(sight), pixels_of(planes(picture(sight))))
    found = sampler.looks()
    brown, blue = (both(found[number]["eyes"])[0].rings[8] for number in (1, 2))
    assert blue[0] > brown[0] + 15


def test_an_hours_take_keeps_few_samples_evenly_over_it() -> None:
    sampler = Sampler()
    small = pixels_of(planes(picture(replace(LENS, width=20, x=40, y=20), (80, 40))))
    where = points(replace(LENS, width=20, x=40, y=20))
    for at_us in range(0, 3_600_000_000, 1_000_000):
        sampler.see(1, at_us, where, small)
    assert len(sampler._faces[1]._taken) <= 2 * MOST
    kept = [at_us / 1e6 for at_us, _, _ in sampler._faces[1]._taken]
    assert max(np.diff([0, *kept, 3600])) < 3600 / MOST * 2.5


def test_samples_come_some_time_apart() -> None:
    sampler, eyes = Sampler(), points(LENS)
    pixels = pixels_of(planes(picture(LENS)))
    for number in range(60):
        sampler.see(1, number * 1_000_000 // 30, eyes, pixels)
    assert 2 <= len(sampler._faces[1]._taken) <= 2_000_000 // SPACING_US + 2


def test_of_every_picture_it_is_known_how_much_the_eyes_stand_out() -> None:
    sampler, eyes = Sampler(), points(LENS)
    drawn = planes(picture(LENS))
    covered = [np.full_like(plane, 140) for plane in drawn]
    for number, seen in enumerate((drawn, covered, drawn)):
        sampler.see(1, number * 40_000, eyes, pixels_of(seen))
    looks = sampler.looks()[1]
    assert looks["seen_us"].tolist() == [0, 40_000, 80_000]
    assert (looks["contrast"][[0, 2]] > 30).all()
    assert np.abs(looks["contrast"][1]).max() == 0


def test_looks_are_kept_as_numbers() -> None:
    look = told((LENS,), USUAL)[0]
    again = Look.of_array(look.as_array())
    assert np.array_equal(again.as_array(), look.as_array())
    assert again.rings.shape == look.rings.shape


def test_the_ruler_finds_the_iris_of_a_drawn_eye() -> None:
    """By dark pixels; what the lids hide is hidden to it too."""
    for yaw in (-12, 0, 12):
        sight = Sight(yaw=yaw)
        centre, area = iris_seen(planes(picture(sight))[0], sight, 0)
        assert centre[0] == pytest.approx(sight.iris_of(0)[0], abs=0.012)
        assert 0.5 < area / (np.pi * IRIS_RADIUS**2) < 0.95
