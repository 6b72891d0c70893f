"""Which constant rate a source is brought to."""

from fractions import Fraction

import pytest

from vidprod.media.timebase import output_rate

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("average", "expected"),
    [
        (Fraction(24), Fraction(24)),
        (Fraction(24000, 1001), Fraction(24000, 1001)),
        (Fraction(286300, 11929), Fraction(24)),
        (NTSC, NTSC),
        (Fraction(2996, 100), NTSC),
        (Fraction(30), Fraction(30)),
        (Fraction(50), Fraction(50)),
        (Fraction(60000, 1001), Fraction(60000, 1001)),
        (Fraction(120), Fraction(60)),
        (Fraction(240), Fraction(60)),
        (Fraction(100), Fraction(50)),
        (Fraction(15), Fraction(30)),
        (Fraction(25, 2), Fraction(25)),
        (Fraction(10), Fraction(30)),
        (Fraction(12), Fraction(24)),
        (Fraction(8797, 1000), Fraction(30)),
    ],
)
def test_a_steady_source_gets_the_nearest_standard_rate(average: Fraction, expected: Fraction) -> None:
    assert output_rate(average, usual=average, variable=False) == expected


def test_a_varying_source_gets_a_grid_fine_enough_for_20_ms() -> None:
    assert output_rate(Fraction(20), usual=Fraction(25), variable=True) == 30
    assert output_rate(Fraction(20), usual=Fraction(52), variable=True) == 60
