"""The blurred copy behind a picture is made anew where one would notice, and only there."""

import itertools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.media import synth
from vidprod.domain.canvas import layout
from vidprod.domain.step import Limits
from vidprod.domain.video import VideoStreamInfo
from vidprod.media.filters import Painter
from vidprod.media.probe import measure

SIZE = (320, 180)
STRIP = 200  # rows of the canvas that are backdrop for sure

Luma = NDArray[np.int16]


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> VideoStreamInfo:
    """Of a take of 30 pictures a second."""
    path = synth.numbered(tmp_path_factory.mktemp("backdrop") / "take.mp4", 30, size=SIZE)
    return measure(path, limits=Limits(), progress=lambda done, total: None).video


def picture(shift: float, *, light: float = 0.0) -> Any:
    """A soft pattern, moved by `shift` pixels."""
    x = np.arange(SIZE[0]) - shift
    row = 120 + light + 60 * np.sin(2 * np.pi * x / 160)
    frame = np.full((SIZE[1] * 3 // 2, SIZE[0]), 128, np.uint8)
    frame[: SIZE[1]] = np.clip(row, 16, 235)
    return av.VideoFrame.from_ndarray(frame, format="yuv420p")


def ramp(down: bool) -> Any:
    """Brighter evenly from top to bottom, or from left to right as far as a vertical canvas shows of it."""
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    shown = SIZE[1] * 9 / 16
    part = (rows + 0.5) / SIZE[1] if down else (columns + 0.5 - SIZE[0] / 2) / shown + 0.5
    frame = np.full((SIZE[1] * 3 // 2, SIZE[0]), 128, np.uint8)
    frame[: SIZE[1]] = np.clip(np.round(40 + 160 * part), 16, 235)
    return av.VideoFrame.from_ndarray(frame, format="yuv420p")


def strips(painter: Painter, pictures: Iterator[Any], *, afresh: bool) -> list[Luma]:
    return [painter.paint(one, afresh=afresh).to_ndarray()[:STRIP].astype(np.int16) for one in pictures]


def both(info: VideoStreamInfo, folder: Path, moves: list[tuple[float, float]]) -> tuple[list[Luma], list[Luma]]:
    """The backdrop as painted, and as it would be with nothing held."""
    canvas = layout(*SIZE, frame="auto")
    painted, exact = (
        strips(
            Painter(canvas, info, work_dir=folder),
            (picture(shift, light=light) for shift, light in moves),
            afresh=afresh,
        )
        for afresh in (False, True)
    )
    return painted, exact


def changes(strip: list[Luma]) -> int:
    return sum(not np.array_equal(a, b) for a, b in itertools.pairwise(strip))


def test_of_a_still_picture_with_noise_it_stays_the_same_to_the_bit(info: VideoStreamInfo, tmp_path: Path) -> None:
    light = np.random.default_rng(1).uniform(-1, 1, 60)
    painted, exact = both(info, tmp_path, [(0.0, float(value)) for value in light])
    assert changes(exact) > 20, "nothing to hold"
    assert changes(painted) == 0


@pytest.mark.parametrize("pixels", [0.1, 0.5, 1.0, 3.0, 10.0])
def test_of_a_moving_picture_it_is_never_far_behind(info: VideoStreamInfo, tmp_path: Path, pixels: float) -> None:
    painted, exact = both(info, tmp_path, [(index * pixels, 0.0) for index in range(90)])
    assert max(int(np.abs(a - b).max()) for a, b in zip(painted, exact, strict=True)) <= 9  # and one for rounding
    longest = int(30 * Fraction(1, 8)) + 1
    for index in range(longest, 90):
        shown_lately = exact[index - longest : index + 1]
        assert min(int(np.abs(painted[index] - one).max()) for one in shown_lately) <= 3


def test_it_lies_where_a_copy_of_the_whole_would(info: VideoStreamInfo, tmp_path: Path) -> None:
    """It was up to six rows off, stretched to its strip, and two columns, cut beside the middle."""
    info = msgspec.structs.replace(info, color_space="bt709")
    canvas = layout(*SIZE, frame="auto")
    down, across = (
        Painter(canvas, info, work_dir=tmp_path).paint(ramp(way)).to_ndarray()[: canvas.height].astype(float)
        for way in (True, False)
    )
    above, below = slice(80, canvas.y), slice(canvas.y + canvas.picture_height, canvas.height - 80)
    for strip in (above, below):
        meant = 40 + 160 * (np.arange(canvas.height)[strip] + 0.5) / canvas.height
        assert np.abs(down[strip].mean(axis=1) - meant).max() < 1
        middle = across[strip, 80:-80].mean(axis=0)
        assert middle.mean() == pytest.approx(120, abs=1)
        assert middle[-1] - middle[0] == pytest.approx(160 * (canvas.width - 160) / canvas.width, rel=0.05)


def test_a_cut_is_followed_at_once(info: VideoStreamInfo, tmp_path: Path) -> None:
    painted, exact = both(info, tmp_path, [(0.0, 0.0)] * 5 + [(80.0, 0.0)] * 5)
    assert np.array_equal(painted[5], exact[5])
    assert not np.array_equal(painted[4], exact[5])


def test_asked_for_afresh_nothing_is_held(info: VideoStreamInfo, tmp_path: Path) -> None:
    painter = Painter(layout(*SIZE, frame="auto"), info, work_dir=tmp_path)
    moves = [picture(index * 0.3) for index in range(8)]
    held = strips(painter, iter(moves), afresh=False)
    (fresh,) = strips(painter, iter([picture(7 * 0.3)]), afresh=True)
    assert not np.array_equal(held[-1], fresh)
