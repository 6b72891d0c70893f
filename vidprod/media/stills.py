"""Pictures of a segment: a poster, and a sheet of small ones for scrubbing."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vidprod.domain.canvas import layout
from vidprod.domain.segment import Sprite
from vidprod.domain.video import VideoStreamInfo
from vidprod.errors import Refused
from vidprod.media.filters import Painter

_TILE_HEIGHT = 160  # pixels
_COLUMNS = 10
_MOST_TILES = 60
_KEYFRAMES = 4  # decoded where nothing else is
_BT709, _BT601 = "ITU709", "ITU601"  # JPEG is BT.601, full range (JFIF)


class Stills:
    """Looks at a segment's canvases as they pass, one about every second."""

    def __init__(
        self, *, width: int, height: int, frames: int, rate: float, every: int = 0, cover: int | None = None
    ) -> None:
        """
        Args:
            width, height: of the canvas, pixels.
            frames: of the whole segment; rate: frames a second.
            every: keep each so-manieth; 0: one about every second, at most 60.
            cover: the frame that the poster shows; None: the one with most to see.
        """
        self._cover = cover
        self._every = every or max(1, round(rate), -(-frames // _MOST_TILES))
        self._interval_s = self._every / rate
        self._frames = frames
        self._tile = (max(2, round(_TILE_HEIGHT * width / height / 2) * 2), _TILE_HEIGHT)
        self._tiles: list[NDArray[np.uint8]] = []
        self._poster: Any = None
        self._score = -1.0

    def see(self, canvas: Any, index: int, *, poster: Any = None) -> None:
        """Frame `index` of the segment. Where `canvas` is only a small copy, `poster` is what it is a copy of."""
        if index == self._cover:
            self._poster = poster or canvas
        if index % self._every:
            return
        width, height = self._tile
        tile = canvas.reformat(width=width, height=height, format="rgb24", src_colorspace=_BT709).to_ndarray()
        self._tiles.append(tile)
        score = _interest(tile) * (1.0 if index * 2 < self._frames else 0.8)  # early on, if it is as good
        if self._cover is None and score > self._score * 1.1:
            self._score, self._poster = score, poster or canvas

    @property
    def best(self) -> Any:
        """What the poster shows."""
        return self._poster

    def write(self, poster: Path, sheet: Path, *, picture: Any = None) -> Sprite:
        """Writes both files and says how the sheet is laid out. `picture`: instead of `best`."""
        _write_jpeg(picture or self._poster, poster)
        width, height = self._tile
        columns = min(_COLUMNS, len(self._tiles))
        rows = -(-len(self._tiles) // columns)
        whole = np.zeros((rows * height, columns * width, 3), np.uint8)
        for index, tile in enumerate(self._tiles):
            row, column = divmod(index, columns)
            whole[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
        _write_jpeg(av.VideoFrame.from_ndarray(whole, format="rgb24"), sheet)
        return Sprite(
            columns=columns,
            rows=rows,
            count=len(self._tiles),
            tile_width=width,
            tile_height=height,
            interval_s=round(self._interval_s, 6),
        )


def stills_of(container: Any, poster: Path, sheet: Path, *, video: VideoStreamInfo, work_dir: Path) -> Sprite:
    """Poster and sheet of a finished file, from a few of its keyframes: nothing else is read or decoded."""
    full = layout(video.width, video.height, frame="original")
    small = layout(max(16, full.width * _TILE_HEIGHT // full.height), _TILE_HEIGHT, frame="original")
    painter = Painter(small, video, work_dir=work_dir)
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    decoded = [entry.timestamp for entry in stream.index_entries if entry.is_keyframe]
    keys = [timestamp - decoded[0] for timestamp in decoded]  # shown: the first at 0
    wanted = keys[:: max(1, -(-len(keys) // _KEYFRAMES))]
    seconds = float((container.duration or 0) / 1_000_000) or 1.0
    stills = Stills(width=full.width, height=full.height, frames=len(wanted), rate=len(wanted) / seconds, every=1)
    for index, pts in enumerate(wanted):
        container.seek(pts, stream=stream)
        keyframe = next(container.demux(stream))
        for picture in [*keyframe.decode(), *stream.codec_context.decode(None)][:1]:
            stills.see(painter.paint(picture), index, poster=picture)
    whole = Painter(full, video, work_dir=work_dir).paint(stills.best)
    return stills.write(poster, sheet, picture=whole)


def cover_of(container: Any, path: Path, *, at_us: int, copied: VideoStreamInfo | None, work_dir: Path) -> None:
    """The picture that a finished file shows at `at_us` from its start, as a poster.

    Args:
        copied: of the take, whose pixels the file has.
    Raises:
        Refused: nothing can be decoded there.
    """
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    start = stream.start_time or 0
    wanted = start + round(at_us / 1_000_000 / stream.time_base)
    container.seek(wanted, stream=stream)
    shown: Any = None
    for picture in container.decode(stream):
        if shown is not None and picture.pts > wanted:
            break
        shown = picture
    if shown is None:
        raise Refused("no picture could be decoded there", code="undecodable")
    if copied is not None:
        shown = Painter(layout(copied.width, copied.height, frame="original"), copied, work_dir=work_dir).paint(shown)
    _write_jpeg(shown, path)


def _interest(tile: NDArray[np.uint8]) -> float:
    """How much there is to see: the spread of brightness. Black, white and fades score low."""
    return float(tile.mean(axis=2).std()) + 1e-3


def _write_jpeg(picture: Any, path: Path) -> None:
    colours = {} if picture.format.name == "rgb24" else {"src_colorspace": _BT709}
    full = picture.reformat(format="yuvj420p", dst_colorspace=_BT601, dst_color_range="JPEG", **colours)
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = full.width, full.height, "yuvj420p"
    encoder.time_base = Fraction(1)
    encoder.qmin = encoder.qmax = 4
    full.pts = 0
    packets = [*encoder.encode(full), *encoder.encode(None)]
    path.write_bytes(b"".join(bytes(packet) for packet in packets))
