"""Pictures of a face before and after its eyes were turned, for people to judge."""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

TILE = 320  # pixels a side
_AROUND = 1.3  # a tile is so many times as wide as the face
_STRIP = (480, 192)  # pixels, of both eyes
_EYES_WIDE, _EYES_HIGH = 1.5, 0.6  # of the way between the outer corners
_QUALITY = 85  # of the JPEG


class View(NamedTuple):
    """A picture as it is compared: the face, `TILE` × `TILE`, and both eyes, enlarged. RGB."""

    face: Picture
    eyes: Picture


class Pair(NamedTuple):
    """A picture before and after."""

    at_s: float  # from the start of the segment
    angle_deg: float  # between gaze and lens, before
    before: View
    after: View


def view_of(picture: Picture, *, box: NDArray[Any], corners: NDArray[Any]) -> View:
    """What of a picture is kept: little, for pictures are large.

    Args:
        picture: (height, width, 3) RGB.
        box: (4,) left, top, right, bottom of the face, pixels.
        corners: (2, 2) the outer corners of the eyes, left and right in the picture.
    """
    return View(face=_face(picture, box), eyes=_eyes(picture, corners))


def sheet(pairs: list[Pair]) -> bytes:
    """A JPEG with a row for each: the face before on the left, after on the right."""
    rows = [np.hstack([each.before.face, each.after.face]) for each in pairs]
    return _coded(".jpg", np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])


def strips(pairs: list[Pair]) -> bytes:
    """A PNG with a row for each: the eyes before and after, and in words when it was and how far they looked beside
    the lens."""
    return _coded(".png", np.vstack([_strip(each) for each in pairs]), [])


def _strip(pair: Pair) -> Picture:
    row = np.hstack([pair.before.eyes, pair.after.eyes])
    words = f"{pair.at_s:.2f} s   {pair.angle_deg:.0f} deg"
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(row, words, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, width, cv2.LINE_AA)
    return row


def _face(picture: Picture, box: NDArray[Any]) -> Picture:
    middle = (box[:2] + box[2:]) / 2
    side = _AROUND * float((box[2:] - box[:2]).max())
    return _cut(picture, middle, side, side, (TILE, TILE))


def _eyes(picture: Picture, corners: NDArray[Any]) -> Picture:
    apart = float(np.linalg.norm(corners[1] - corners[0]))
    return _cut(picture, corners.mean(axis=0), _EYES_WIDE * apart, _EYES_HIGH * apart, _STRIP)


def _cut(picture: Picture, middle: NDArray[Any], width: float, height: float, size: tuple[int, int]) -> Picture:
    """A part of the picture as `size`; beyond its edges they go on."""
    scale = size[0] / width
    matrix = np.array([[scale, 0, size[0] / 2 - scale * middle[0]], [0, scale, size[1] / 2 - scale * middle[1]]])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.warpAffine(picture, matrix, size, flags=how, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _coded(kind: str, picture: Picture, options: list[int]) -> bytes:
    _, data = cv2.imencode(kind, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return data.tobytes()
