"""Where a take is cut."""

import random
from fractions import Fraction

import pytest

from vidprod.domain.cuts import cut, recut
from vidprod.errors import BadCut

NTSC = Fraction(30000, 1001)


def lengths(total: int, rate: Fraction, segment_s: float) -> list[int]:
    return [frames for _, frames in cut(total, rate=rate, segment_s=segment_s)]


def test_a_take_that_fits_is_one_segment() -> None:
    assert lengths(1800, Fraction(30), 60) == [1800]


def test_a_long_take_is_cut_at_the_limit() -> None:
    assert lengths(14315, Fraction(24), 60) == [1440] * 9 + [1355]


def test_at_29_97_frames_a_second_a_segment_ends_before_the_limit_not_after() -> None:
    assert lengths(3000, NTSC, 60)[0] == 1798  # 59.993 s; 1799 frames are 60.027 s


def test_an_end_under_three_seconds_shares_with_the_segment_before_it() -> None:
    assert lengths(1860, Fraction(30), 60) == [930, 930]


def test_a_cut_moves_back_to_a_pause() -> None:
    asked: list[tuple[int, int]] = []

    def pause(first: int, last: int) -> int | None:
        asked.append((first, last))
        return 1700

    assert cut(2500, rate=Fraction(30), segment_s=60, pause=pause) == [(0, 1700), (1700, 800)]
    assert asked == [(1650, 1800)]  # the last 5 s


def test_without_a_pause_the_cut_stays() -> None:
    assert cut(2500, rate=Fraction(30), segment_s=60, pause=lambda *_: None)[0] == (0, 1800)


@pytest.mark.parametrize("seed", range(20))
def test_wherever_pauses_are_nothing_is_lost_doubled_too_long_or_too_short(seed: int) -> None:
    chance = random.Random(seed)
    rates = [Fraction(24000, 1001), Fraction(24), Fraction(25), NTSC, Fraction(30), Fraction(50), Fraction(60)]
    for _ in range(300):
        rate, segment_s, total = chance.choice(rates), chance.uniform(6, 60), chance.randint(1, 20_000)
        pieces = cut(
            total,
            rate=rate,
            segment_s=segment_s,
            pause=lambda first, last: chance.choice([None, chance.randint(first, last)]),
        )
        assert [first for first, _ in pieces] == [sum(p[1] for p in pieces[:i]) for i in range(len(pieces))]
        assert sum(frames for _, frames in pieces) == total
        assert all(frames / rate <= Fraction(segment_s).limit_denominator(1000) for _, frames in pieces)
        assert len(pieces) == 1 or all(frames / rate >= 3 for _, frames in pieces)


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30), NTSC, Fraction(60)])
def test_a_cut_by_hand_is_at_the_nearest_frames(rate: Fraction) -> None:
    first, frames = recut(1_010_000, 11_020_000, rate=rate, total=round(20 * rate))
    assert abs(first / rate - Fraction("1.01")) <= 1 / rate / 2
    assert abs((first + frames) / rate - Fraction("11.02")) <= 1 / rate / 2


@pytest.mark.parametrize(
    ("cut_us", "words"),
    [
        ((0, 2_900_000), "it would take 2.900 s; a segment takes from 3 to 60 s"),
        ((0, 60_100_000), "it would take 60.100 s"),
        ((10_000_000, 5_000_000), "it would take -5.000 s"),
        ((55_000_000, 71_000_000), "outside the take, which takes 70.000 s"),
        ((-1_000_000, 20_000_000), "outside the take"),
    ],
)
def test_a_cut_that_no_segment_may_have_says_why(cut_us: tuple[int, int], words: str) -> None:
    with pytest.raises(BadCut, match=words):
        recut(*cut_us, rate=Fraction(30), total=2100)


def test_the_shortest_and_the_longest_cut_may_be() -> None:
    assert recut(0, 3_000_000, rate=Fraction(30), total=2100) == (0, 90)
    assert recut(0, 60_000_000, rate=Fraction(30), total=2100) == (0, 1800)
