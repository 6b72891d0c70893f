"""What is said of eyes and crops, in words."""

import msgspec
import pytest

from vidprod.domain.gaze import FramingReport, GazeReport, disclosure, framing_in_words, gaze_in_words, percent

TURNED = GazeReport(
    strength=0.9,
    corrected=0.84,
    faded=0.03,
    left_alone={"blink": 0.04, "head_turned": 0.09, "away": 0.0},
    mean_deg=11.2,
    largest_deg=18.9,
)
ALONE = GazeReport(
    strength=0.9, corrected=0.0, faded=0.0, left_alone={"no_face": 1.0}, mean_deg=None, largest_deg=None
)  # fmt: skip
UNABLE = GazeReport(
    strength=0.9, corrected=0.0, faded=0.0, left_alone={"no_face": 1.0}, mean_deg=None, largest_deg=None,
    reason="mediapipe is not installed",
)  # fmt: skip


def test_a_segment_says_how_much_of_it_was_turned_and_why_the_rest_was_not() -> None:
    assert gaze_in_words(TURNED) == (
        "eyes turned to the lens in 84 % of the frames (mean 11°, at most 19°); in part in 3 %; "
        "left alone: head turned 9 %, blink 4 %"
    )
    assert gaze_in_words(ALONE) == "eyes left as they are: no face 100 %"
    assert gaze_in_words(UNABLE) == "eyes left as they are: mediapipe is not installed"


def test_a_segment_whose_edit_failed_half_way_says_both() -> None:
    failed = msgspec.structs.replace(TURNED, left_alone={}, faded=0.0, reason="the eyes could not be edited")
    assert gaze_in_words(failed) == (
        "eyes turned to the lens in 84 % of the frames (mean 11°, at most 19°); "
        "then no more: the eyes could not be edited"
    )
    assert disclosure(failed) is not None


def test_a_crop_says_how_it_moved_and_what_is_a_guess() -> None:
    assert (
        framing_in_words(FramingReport(followed=0.92, blurred=0.08, moves=3, cuts=1, speakers=1))
        == "the crop follows the face in 92 % of the frames (3 moves, 1 cut); over the blurred copy in 8 %"
    )
    assert "of 2 faces the one that seems to speak, which is a guess" in framing_in_words(
        FramingReport(followed=1.0, blurred=0.0, moves=0, cuts=4, speakers=2)
    )
    assert framing_in_words(FramingReport(followed=0, blurred=1, moves=0, cuts=0, speakers=0)) == "no face to follow"


def test_only_what_was_turned_has_to_be_disclosed() -> None:
    assert disclosure(TURNED) == "the speaker's eyes were turned to the lens in 87 % of the frames"
    assert [disclosure(report) for report in (ALONE, UNABLE, None)] == [None] * 3


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0 %"), (0.001, "less than 1 %"), (0.5, "50 %"), (0.999, "more than 99 %"), (0.999999, "100 %"), (1, "100 %")],
)
def test_a_share_is_not_rounded_to_nothing_or_to_all(share: float, words: str) -> None:
    assert percent(share) == words
