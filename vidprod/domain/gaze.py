"""What was done to a segment for the faces in it: eyes turned to the lens, and a crop that followed."""

from typing import Literal

import msgspec

LeftAlone = Literal["blink", "away", "head_turned", "no_face", "too_small", "glare", "too_slow"]


class GazeReport(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a segment shows eyes that were turned to the lens. Shares are of its frames: `corrected`, `faded` and
    those of `left_alone` add up to 1."""

    strength: float
    corrected: float
    faded: float  # corrected in part
    left_alone: dict[LeftAlone, float]
    mean_deg: float | None  # of the angle between gaze and lens before, over the frames corrected or faded
    largest_deg: float | None
    reason: str | None = None  # why none was corrected, where that has one reason for all


class FramingReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the crop of a segment followed the faces. Shares are of its frames."""

    followed: float  # cropped around a face
    blurred: float  # over the blurred copy
    moves: int  # eased moves of the crop
    cuts: int  # hard cuts between speakers or scenes
    speakers: int  # faces that were followed; of more than one it is a guess who speaks: mouth motion against sound


class Compare(msgspec.Struct, frozen=True, kw_only=True):
    """A sheet of pictures, one a row: the left half before, the right half after. It is twice `tile_width` wide."""

    rows: int
    tile_width: int
    tile_height: int
    at_s: list[float]  # of each row, from the start of the segment
