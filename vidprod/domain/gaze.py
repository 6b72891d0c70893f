"""What was done to a segment for the faces in it: eyes turned to the lens, and a crop that followed."""

from typing import Literal

import msgspec

LeftAlone = Literal["at_lens", "blink", "away", "head_turned", "no_face", "too_small", "glare", "too_slow"]


class GazeReport(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a segment shows eyes that were turned to the lens. Shares are of its frames: `corrected`, `faded` and
    those of `left_alone` add up to 1."""

    strength: float
    corrected: float
    faded: float  # corrected in part
    left_alone: dict[LeftAlone, float]
    mean_deg: float | None  # of the angle between gaze and lens before, over the frames corrected or faded
    largest_deg: float | None
    reason: str | None = None  # why none was corrected, or from some frame on none, where that has one reason for all


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


_WORDS: dict[LeftAlone, str] = {
    "at_lens": "at the lens already",
    "blink": "blink",
    "away": "looking away",
    "head_turned": "head turned",
    "no_face": "no face",
    "too_small": "too small",
    "glare": "covered or in glare",
    "too_slow": "too slow",
}


def gaze_in_words(report: GazeReport) -> str:
    """One line for people: "eyes turned to the lens in 84 % of the frames (mean 11°, at most 19°); left alone: …"."""
    altered = report.corrected or report.faded
    if report.reason is not None and not altered:
        return f"eyes left as they are: {report.reason}"
    alone = [f"{_WORDS[why]} {percent(share)}" for why, share in _largest_first(report.left_alone) if share > 0]
    if not altered:
        return "eyes left as they are" + (f": {', '.join(alone)}" if alone else "")
    turned = f"eyes turned to the lens in {percent(report.corrected)} of the frames"
    if report.mean_deg is not None and report.largest_deg is not None:
        turned += f" (mean {report.mean_deg:.0f}°, at most {report.largest_deg:.0f}°)"
    in_part = [f"in part in {percent(report.faded)}"] if report.faded else []
    then = [f"then no more: {report.reason}"] if report.reason is not None else []
    return "; ".join([turned, *in_part, *([f"left alone: {', '.join(alone)}"] if alone else []), *then])


def framing_in_words(report: FramingReport) -> str:
    """One line for people: "the crop follows the face in 92 % of the frames (3 moves, 1 cut); blurred sides in 8 %"."""
    if not report.followed:
        return "no face to follow"
    how = [f"{report.moves} move{'s' * (report.moves != 1)}", f"{report.cuts} cut{'s' * (report.cuts != 1)}"]
    words = f"the crop follows the face in {percent(report.followed)} of the frames ({', '.join(how)})"
    if report.speakers > 1:
        words += f"; of {report.speakers} faces the one that seems to speak, which is a guess"
    return words + (f"; over the blurred copy in {percent(report.blurred)}" if report.blurred else "")


def untouched(strength: float, *, reason: str) -> GazeReport:
    """The report of a segment that was made without, for one reason."""
    return GazeReport(
        strength=strength, corrected=0.0, faded=0.0, left_alone={}, mean_deg=None, largest_deg=None, reason=reason
    )


def disclosure(report: GazeReport | None) -> str | None:
    """Why a segment is synthetic, as platforms want to be told; None where no eye was turned."""
    if report is None or not (report.corrected or report.faded):
        return None
    share = percent(report.corrected + report.faded)
    return f"the speaker's eyes were turned to the lens in {share} of the frames"


def percent(share: float) -> str:
    """A share for people: "84 %"; what is there is never "0 %", what is not whole never "100 %"."""
    if 0 < share < 0.005:
        return "less than 1 %"
    if 0.995 <= share < 0.9999:
        return "more than 99 %"
    return f"{100 * share:.0f} %"


def _largest_first(shares: dict[LeftAlone, float]) -> list[tuple[LeftAlone, float]]:
    return sorted(shares.items(), key=lambda item: -item[1])
