"""A decoded picture's planes as arrays: what is written to them is in the picture, and nowhere else."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from tests.media.synth import numbered
from vidprod.media.planes import own, planes_of

EDITED = {
    "yuv420p": (8, [(90, 121), (45, 61), (45, 61)]),
    "yuvj420p": (8, [(90, 121), (45, 61), (45, 61)]),
    "yuv422p": (8, [(90, 121), (90, 61), (90, 61)]),
    "yuv444p": (8, [(90, 121)] * 3),
    "yuva420p": (8, [(90, 121), (45, 61), (45, 61)]),
    "gray": (8, [(90, 121)]),
    "yuv420p10le": (10, [(90, 121), (45, 61), (45, 61)]),
    "yuv422p12le": (12, [(90, 121), (90, 61), (90, 61)]),
    "gray10le": (10, [(90, 121)]),
}


@pytest.mark.parametrize("name", EDITED)
def test_planes_have_the_size_and_the_bits_of_the_picture(name: str) -> None:
    depth, shapes = EDITED[name]
    found = planes_of(VideoFrame(121, 90, name))
    assert found is not None
    assert found[1] == depth
    assert [plane.shape for plane in found[0]] == shapes
    assert {plane.dtype for plane in found[0]} == {np.dtype("u1" if depth == 8 else "<u2")}


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "gray", "yuv420p10le"])
def test_what_is_written_is_in_the_picture(name: str) -> None:
    picture = VideoFrame(122, 90, name)
    found = planes_of(picture)
    assert found is not None
    for number, plane in enumerate(found[0]):
        plane[:] = 40 + number
        plane[7, 9] = 99
    again = planes_of(picture)
    assert again is not None
    for number, plane in enumerate(again[0]):
        assert plane[7, 9] == 99
        assert (plane == 40 + number).sum() == plane.size - 1
    if name != "yuv420p10le":  # which PyAV gives in one array: luma first
        assert picture.to_ndarray().reshape(-1)[7 * 122 + 9] == 99


@pytest.mark.parametrize("name", ["rgb24", "gbrp", "nv12", "pal8", "yuyv422", "yuv420p10be", "p010le"])
def test_pixels_that_are_no_planes_of_yuv_or_grey_are_left_alone(name: str) -> None:
    assert planes_of(VideoFrame(120, 90, name)) is None


def scribbled(path: Path, *, owned: bool) -> list[Any]:
    """The take's pictures as decoded, while a white square is written into each after it was looked at."""
    seen = []
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for picture in container.decode(video=0):
            seen.append(picture.to_ndarray())
            if owned:
                own(picture)
            planes = planes_of(picture)
            assert planes is not None
            planes[0][0][100:200, 100:200] = 235
    return seen


def test_a_picture_of_ones_own_is_not_the_decoders(tmp_path: Path) -> None:
    path = numbered(tmp_path / "a.mp4", 12, rate=Fraction(30))
    with av.open(str(path)) as container:
        wanted = [picture.to_ndarray() for picture in container.decode(video=0)]
    assert all(np.array_equal(a, b) for a, b in zip(scribbled(path, owned=True), wanted, strict=True))
    spoiled = scribbled(path, owned=False)
    assert not all(np.array_equal(a, b) for a, b in zip(spoiled, wanted, strict=True)), "nothing to protect from"
