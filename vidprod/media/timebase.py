"""Rationals, ticks and microseconds. The one file that knows which rational type PyAV has today."""

from fractions import Fraction
from typing import Any

# What all three platforms take: 23 to 60 frames a second (platforms: "One encode that satisfies all three").
STANDARD_RATES: tuple[Fraction, ...] = (
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(48),
    Fraction(50),
    Fraction(60000, 1001),
    Fraction(60),
)

MOST_REORDERED = 16  # pictures decoded before one that is shown earlier (H.264 A.4.2, H.265 A.4.2)


def fraction(rational: Any) -> Fraction | None:
    """PyAV's rational as a Fraction; None for "unknown" (None, 0/0, 0/1).

    PyAV 18 gives Fractions, 19 a type of its own.
    """
    if rational is None or not rational.denominator or not rational.numerator:
        return None
    return Fraction(rational.numerator, rational.denominator)


def to_us(ticks: int, time_base: Any) -> int:
    """Ticks of `time_base` (seconds a tick) in microseconds, rounded to the nearest."""
    return int(round(ticks * 1_000_000 * time_base.numerator / time_base.denominator))  # noqa: RUF046 – Any to int


def output_rate(average: Fraction, *, usual: Fraction, variable: bool) -> Fraction:
    """The standard rate a source is brought to, frames a second.

    Args:
        average: frames over time.
        usual: one over the median distance of two frames.
        variable: the distances differ. Then 30 is the least: on a slower grid an event could lie more than 20 ms off.
    """
    if variable:
        return Fraction(60) if usual > 45 else Fraction(30)
    if average > Fraction(61):  # 120 and 240 divide evenly by 60, 100 by 50, 119.88 by 59.94
        return min((r for r in STANDARD_RATES if r >= 48), key=lambda r: (_off_grid(average / r), -r))
    if average < Fraction(237, 10):  # each source frame is shown a whole number of times where that is possible
        best = min((r for r in STANDARD_RATES if r <= 30), key=lambda r: (_off_grid(r / average), abs(r - 30)))
        return best if _off_grid(best / average) < Fraction(1, 200) else Fraction(30)
    return min(STANDARD_RATES, key=lambda r: abs(r - average))


def _off_grid(ratio: Fraction) -> Fraction:
    """How far `ratio` is from a whole number, relative to it; in steps of 0.1 % so that measured rates can tie."""
    return Fraction(round(abs(ratio - round(ratio)) / ratio * 1000), 1000)
