"""What the files of a take's segments are called."""

from typing import Any

import pytest

from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Making, Segment, as_made, segment_name


def test_names_count_from_one_and_sort_in_the_order_of_the_take() -> None:
    assert segment_name("take", 0, of=1) == "take-01"
    for of in (2, 99, 100, 101, 1000):
        names = [segment_name("take", index, of=of) for index in range(of)]
        assert names == sorted(names)


def a_segment(**more: Any) -> Segment:
    begin, end = 60_000_000, 100_000_000
    return Segment(id="seg", job_id="job", index=1, state="ready", in_us=begin, out_us=end, created_at=0, **more)


def test_what_somebody_thinks_of_a_segment() -> None:
    assert [a_segment(**said).review for said in ({}, {"waits": True}, {"waits": True, "dropped_at": 1})] == [
        "kept",
        "waiting",
        "dropped",
    ]


@pytest.mark.parametrize(
    ("making", "cover_us"),
    [
        ({}, 5_000_000),
        ({"in_us": 61_000_000}, 4_000_000),  # the same picture
        ({"in_us": 58_000_000}, 7_000_000),
        ({"in_us": 66_000_000}, None),  # it was cut away
        ({"out_us": 64_000_000}, None),
        ({"in_us": 61_000_000, "cover_us": 0}, 0),
        ({"cover_us": 39_999_999}, 39_999_999),
    ],
)
def test_a_cover_stays_at_its_picture_when_cuts_move(making: dict[str, Any], cover_us: int | None) -> None:
    made = as_made(a_segment(cover_us=5_000_000), Making(recipe=Recipe(), **making))
    assert made.cover_us == cover_us
    assert (made.in_us, made.out_us) == (making.get("in_us", 60_000_000), making.get("out_us", 100_000_000))
