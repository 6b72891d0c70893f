"""What earlier takes say of the next one."""

import pytest

from vidprod.domain.quote import (
    MADE_RATIO,
    MOST_RATIO,
    PACE,
    START_S,
    Ahead,
    Past,
    WorkKind,
    guessed_s,
    kind_of,
    made_ratio,
    needs_of,
    pace_of,
    queue_s,
    room_at,
    share_until_first,
    work_s,
)
from vidprod.domain.recipe import Recipe

HD, UHD = 1920 * 1080, 3840 * 2160


def a_past(
    *, kind: WorkKind = "encode", rate: float = 1.0, media_s: float = 100.0, pixels: int = HD, made: int = 50_000_000
) -> Past:
    work = START_S + rate * media_s
    return Past(kind=kind, media_s=media_s, work_s=work, pixels=pixels, source_bytes=200_000_000, made_bytes=made)


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [
        (Recipe(), "gaze"),
        (Recipe(gaze="off"), "encode"),
        (Recipe(gaze_strength=0), "encode"),
        (Recipe(video="copy"), "copy"),
    ],
)
def test_what_is_done_to_the_picture_decides(recipe: Recipe, kind: WorkKind) -> None:
    assert kind_of(recipe) == kind


def test_without_a_take_the_benchmark_stands_in_and_says_so() -> None:
    pace = pace_of([a_past(kind="copy")], "encode")
    assert (pace.likely, pace.jobs) == (PACE["encode"], 0)
    assert pace.low < pace.likely < pace.high


def test_one_take_says_less_than_ten() -> None:
    one, ten = pace_of([a_past()], "encode"), pace_of([a_past()] * 10, "encode")
    assert one.likely == ten.likely == pytest.approx(1.0)
    assert (one.jobs, ten.jobs) == (1, 10)
    assert one.low < ten.low < 1 < ten.high < one.high


def test_a_single_slow_take_moves_the_range_and_not_the_guess() -> None:
    pace = pace_of([a_past(rate=0.5)] * 9 + [a_past(rate=5)], "encode")
    assert pace.likely == pytest.approx(0.5)
    assert pace.high > 0.9


def test_takes_of_like_size_count_where_there_are_enough() -> None:
    past = [a_past(rate=0.3)] * 5 + [a_past(rate=2.0, pixels=UHD)] * 3
    assert pace_of(past, "encode", pixels=UHD).likely == pytest.approx(2.0)
    assert pace_of(past, "encode", pixels=UHD).jobs == 3
    assert pace_of(past[:-1], "encode", pixels=UHD).jobs == 7


def test_the_queue_counts_what_is_left_of_each_take_before() -> None:
    past = [a_past(rate=1.0)]
    ahead = [
        Ahead(kind="encode", media_s=100.0, source_bytes=1, done=0.5),
        Ahead(kind="encode", media_s=None, source_bytes=400_000_000),  # 200 s, by what takes here have a second
    ]
    assert guessed_s(past, 400_000_000) == pytest.approx(200)
    assert queue_s(ahead, past, children=1) == pytest.approx(0.5 * work_s(100, 1) + work_s(200, 1))
    assert queue_s(ahead, past, children=2) == pytest.approx(queue_s(ahead, past, children=1) / 2)


def test_the_first_segment_is_ready_long_before_the_last() -> None:
    assert share_until_first(600, 60, tracks=False) == pytest.approx(0.02 + 0.08 + 0.09)
    assert share_until_first(30, 60, tracks=True) == pytest.approx(1.0)


def test_room_is_for_the_source_its_segments_and_the_one_in_the_making() -> None:
    needs = needs_of([a_past(made=50_000_000)], "encode", size=1_000_000, duration_s=120, segment_s=60)
    assert (needs.source, needs.segments) == (1_000_000, 60_000_000)
    assert needs.total == needs.source + needs.segments + needs.working
    copied = needs_of([], "copy", size=1000, duration_s=100, segment_s=25)
    assert (copied.segments, copied.working) == (1000, 250)


def test_what_is_made_of_a_byte_is_measured_and_bounded() -> None:
    assert made_ratio([]) == MADE_RATIO
    assert made_ratio([a_past(made=100_000_000)]) == pytest.approx(0.5)
    assert made_ratio([a_past(made=10**12)]) == MOST_RATIO


def test_there_is_room_when_enough_has_gone() -> None:
    going = [(300, 50), (100, 20), (200, 30)]
    assert room_at(100, 60, going) == 200
    assert room_at(100, 50, going) == 200
    assert room_at(161, 60, going) is None
