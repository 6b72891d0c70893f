"""Synthetic eyes, sampled and edited as the pipeline does it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.vision.synthetic_eye import (
    LID_PER_DEG,
    USUAL,
    MeshErrors,
    Sight,
    picture,
    planes,
    points,
)
from vidprod.vision.eyes import eyes_of
from vidprod.vision.looks import Look, Sampler
from vidprod.vision.patch import Pixels, Upright
from vidprod.vision.redirect import Move, redirect

SIZE = (320, 160)
SPACING_US = 600_000  # between samples

Edit = Callable[[int], Move]


def pixels_of(of: Sequence[NDArray[Any]], *, depth: int = 8) -> Pixels:
    """Planes that lie as they are shown."""
    size = (of[0].shape[1], of[0].shape[0])
    return Pixels(of, depth=depth, upright=Upright(coded=size, shown=size))


def around(sight: Sight = Sight()) -> tuple[Sight, ...]:
    """A speaker who looks here and there."""
    return tuple(replace(sight, yaw=yaw, pitch=pitch) for yaw in (-12, 0, 12) for pitch in (-12, 0, 10))


@lru_cache(maxsize=64)
def looks_of(sights: tuple[Sight, ...], errors: MeshErrors = USUAL) -> NDArray[np.float32] | None:
    """What is learned of the eyes from these pictures; None: too little."""
    sampler = Sampler()
    for number, sight in enumerate(sights):
        at_us = number * SPACING_US
        pixels = pixels_of(planes(picture(sight, SIZE, grain=2.0, seed=number)))
        sampler.see(1, at_us, points(sight, errors, seed=number), pixels)
    found = sampler.looks()
    return np.asarray(found[1]["eyes"]) if 1 in found else None


def both(looks: NDArray[np.float32] | None) -> list[Look]:
    assert looks is not None
    return [Look.of_array(values) for values in looks]


def to_lens(sight: Sight, *, share: float = 1.0) -> Edit:
    """What geometry says has to move for `sight` to look into the lens; `share` of it."""

    def move(eye: int) -> Move:
        iris, unit = sight.iris_of(eye), sight.foreshortened
        return Move(
            centre=iris,
            radius=sight.iris_radius,
            shift=(sight.at_lens().iris_of(eye) - iris) * share,
            lift=LID_PER_DEG * sight.pitch * share / unit,
        )

    return move


def edit(pixels: Pixels, eyes: NDArray[np.float32], looks: Sequence[Look], move: Edit) -> None:
    """Moves both eyes, whose points these are, in the planes."""
    found = eyes_of(eyes[None])
    for eye, look in enumerate(looks):
        placed = pixels.grid(found.middle[0, eye], found.along[0, eye], float(found.width[0, eye]))
        assert placed is not None
        box, grid = placed
        before = pixels.read(box)
        pixels.write(box, before, redirect(before, grid, found.points[0, eye], move(eye), look))


def edited(
    sight: Sight, looks: Sequence[Look], move: Edit | None = None, *, errors: MeshErrors = USUAL
) -> list[NDArray[Any]]:
    """The planes of `sight`, edited: to look into the lens, where nothing else is asked for."""
    drawn = planes(picture(sight, SIZE))
    edit(pixels_of(drawn), points(sight, errors), looks, move or to_lens(sight))
    return drawn


class Lying:
    """A picture as it is coded: what a player turns by `rotation`, mirrors and stretches to show it."""

    def __init__(self, rotation: int = 0, mirrored: bool = False, wider: int = 1) -> None:
        self.rotation, self.mirrored, self.wider = rotation, mirrored, wider

    def code(self, shown: NDArray[Any]) -> NDArray[Any]:
        coded = shown[:, ::-1] if self.mirrored else shown
        coded = np.rot90(coded, self.rotation // 90)
        height, width = coded.shape[:2]
        return np.ascontiguousarray(coded.reshape(height, width // self.wider, self.wider, *coded.shape[2:]).mean(2))

    def upright(self, shown: NDArray[Any]) -> Upright:
        high, wide = self.code(shown).shape[:2]
        height, width = shown.shape[:2]
        return Upright(coded=(wide, high), shown=(width, height), rotation=self.rotation, mirrored=self.mirrored)


LYING = {
    **{f"turned by {angle}": Lying(angle) for angle in (90, 180, 270)},
    **{f"mirrored, turned by {angle}": Lying(angle, mirrored=True) for angle in (0, 90, 180, 270)},
    "twice as wide pixels": Lying(wider=2),
    "twice as wide pixels, on its side": Lying(90, wider=2),
}
