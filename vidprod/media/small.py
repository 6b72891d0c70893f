"""Small pictures to look for things in: upright, square pixels, RGB."""

from pathlib import Path
from typing import Any

import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from vidprod.domain.plan import Canvas
from vidprod.domain.video import VideoStreamInfo
from vidprod.media.filters import Painter


class Shrinker:
    """Makes decoded pictures small, one for one."""

    def __init__(self, info: VideoStreamInfo, *, work_dir: Path) -> None:
        """`work_dir` takes the lookup table that an HDR source needs."""
        self._info = info
        self._work_dir = work_dir
        self._side = 0
        self._painter: Painter
        self._reformatter = VideoReformatter()

    def shrink(self, picture: Any, side: int) -> NDArray[np.uint8]:
        """`picture` as (height, width, 3) uint8 RGB whose longer side is `side`, or its own where it is smaller.

        What a pixel is in the whole picture is a matter of both sizes: they are even, so the scales differ a little.
        """
        if side != self._side:
            self._painter = Painter(_canvas(self._info, side), self._info, work_dir=self._work_dir, scaler="area")
            self._side = side
        small = self._reformatter.reformat(self._painter.paint(picture), format="rgb24")
        return np.asarray(small.to_ndarray(), np.uint8)


def _canvas(info: VideoStreamInfo, side: int) -> Canvas:
    scale = min(1.0, side / max(info.width, info.height))
    width, height = (max(2, round(size * scale / 2) * 2) for size in (info.width, info.height))
    return Canvas(width=width, height=height, picture_width=width, picture_height=height, x=0, y=0, background="none")
