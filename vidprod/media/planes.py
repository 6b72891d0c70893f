"""The planes of a decoded picture as arrays, to be read and written where they are."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def planes_of(picture: Any) -> tuple[list[NDArray[Any]], int] | None:
    """Luma and the planes of chroma, writable, and how many bits a value has.

    None where the pixels are no planes of YUV or grey. A picture that is written to must be its own first:
    `own(picture)`.
    """
    pixels = picture.format
    parts = pixels.components
    depth = parts[0].bits
    if pixels.is_rgb or pixels.has_palette or pixels.is_big_endian or not 8 <= depth <= 16:
        return None
    if len(parts) not in (1, 3, 4) or [part.plane for part in parts] != list(range(len(parts))):
        return None
    return [_plane(picture, part) for part in parts[:3]], depth


def own(picture: Any) -> None:
    """What is written to it is not seen by the decoder, which refers to pictures it gave."""
    picture.make_writable()


def _plane(picture: Any, part: Any) -> NDArray[Any]:
    values = np.dtype("u1" if part.bits == 8 else "<u2")
    plane = picture.planes[part.plane]
    rows = np.frombuffer(plane, values).reshape(plane.height, plane.line_size // values.itemsize)
    return rows[:, : part.width]
