"""The judge of posters and sprites."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vidprod.domain.segment import Sprite


def write_jpeg(path: Path, size: tuple[int, int]) -> Path:
    """A JPEG of this size, to try the judge on."""
    width, height = size
    picture = np.tile(np.linspace(20, 220, width).astype(np.uint8)[None, :, None], (height, 1, 3))
    with av.open(str(path), "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=1)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
        frame.pts, frame.time_base = 0, Fraction(1)
        container.mux(stream.encode(frame) + stream.encode(None))
    return path


def judge_poster(path: Path, *, width: int, height: int) -> list[str]:
    """The faults of a poster of a segment of this size."""
    faults, size = _judge_jpeg(path, "poster")
    if size and abs(size[0] / size[1] - width / height) > 0.02 * width / height:
        faults.append(f"poster: {size[0]}x{size[1]} has not the shape of {width}x{height}")
    if size and min(size) < 160:
        faults.append(f"poster: {size[0]}x{size[1]} is too small to see")
    return faults


def judge_sprite(path: Path, sprite: Sprite, *, duration_s: float, width: int, height: int) -> list[str]:
    """The faults of a sprite sheet of a segment of this size and length."""
    faults, size = _judge_jpeg(path, "sprite")
    meant = (sprite.columns * sprite.tile_width, sprite.rows * sprite.tile_height)
    if size and size != meant:
        faults.append(f"sprite: {size[0]}x{size[1]} is not {sprite.columns}x{sprite.rows} tiles: {meant[0]}x{meant[1]}")
    if not (sprite.rows - 1) * sprite.columns < sprite.count <= sprite.rows * sprite.columns:
        faults.append(f"sprite: {sprite.count} tiles do not end in the last of {sprite.rows} rows of {sprite.columns}")
    if abs(sprite.count - duration_s / sprite.interval_s) > 1.01:
        faults.append(f"sprite: {sprite.count} tiles every {sprite.interval_s} s do not cover {duration_s:.3f} s")
    tile, shown = sprite.tile_width / sprite.tile_height, width / height
    if abs(tile - shown) > 0.05 * shown:
        faults.append(f"sprite: tiles of {sprite.tile_width}x{sprite.tile_height} distort {width}x{height}")
    return faults


def _judge_jpeg(path: Path, name: str) -> tuple[list[str], tuple[int, int] | None]:
    if not path.exists():
        return [f"{name}: there is none"], None
    data = path.read_bytes()
    faults = []
    if b"Exif" in data[:4096] or b"http://ns.adobe.com" in data[:4096]:
        faults.append(f"{name}: carries metadata")
    if not (data.startswith(b"\xff\xd8") and data.rstrip(b"\0").endswith(b"\xff\xd9")):
        return [*faults, f"{name}: is no whole JPEG"], None
    try:
        with av.open(str(path), format="jpeg_pipe") as container:
            frame = next(container.decode(video=0))
    except (av.FFmpegError, StopIteration) as error:
        return [*faults, f"{name}: does not decode: {error}"], None
    return faults, (frame.width, frame.height)
