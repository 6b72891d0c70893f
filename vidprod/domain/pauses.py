"""Where a speaker pauses: the quietest moment in a stretch of levels."""

from collections.abc import Sequence
from itertools import accumulate
from math import log10

_WINDOW_S = 0.24  # a pause shorter than this is a gap between words
_DEPTH_DB = 6.0  # below the stretch's usual level; less is no pause
_SAME_DB = 1.0
_STRETCH_S = 10.0  # in which what is loud is one voice at one distance


def quietest(levels: Sequence[float], *, hop_s: float, from_s: float, to_s: float) -> float | None:
    """The middle of the quietest pause between `from_s` and `to_s`, in seconds; of equals the latest.

    None when the stretch is about as loud everywhere (or silent everywhere): then there is nothing to snap to.

    Args:
        levels: dB, one each `hop_s` seconds from the start of the take on.
    """
    first, last = int(from_s / hop_s), min(int(to_s / hop_s), len(levels))
    window = max(1, round(_WINDOW_S / hop_s))
    if last - first < window:
        return None
    stretch = [float(level) for level in levels[first:last]]
    usual = sorted(stretch)[len(stretch) // 2]
    loud = sorted(stretch)[len(stretch) * 9 // 10]
    powers = [10 ** (level / 10) for level in stretch]
    sums = [0.0, *accumulate(powers)]
    means = [10 * log10((b - a) / window + 1e-12) for a, b in zip(sums, sums[window:], strict=False)]
    quiet = min(means)
    if quiet > min(usual + _SAME_DB, loud - _DEPTH_DB):
        return None
    end = max(index for index, mean in enumerate(means) if mean <= quiet + _SAME_DB)
    if end == len(means) - 1:
        return to_s  # the pause goes on past the limit: cut there, the later the better
    begin = end
    while begin > 0 and means[begin - 1] <= quiet + _SAME_DB:
        begin -= 1
    return (first + (begin + end + window) / 2) * hop_s


def pauses(levels: Sequence[float], *, hop_s: float) -> list[float]:
    """The middles of all pauses, in seconds, in order: where somebody may want to cut.

    Args:
        levels: dB, one each `hop_s` seconds from the start of the take on.
    """
    window, stretch = max(1, round(_WINDOW_S / hop_s)), max(1, round(_STRETCH_S / hop_s))
    found: list[float] = []
    begin: int | None = None
    for first in range(0, len(levels), stretch):
        part = levels[first : first + stretch]
        quiet = sorted(part)[len(part) * 9 // 10] - 2 * _DEPTH_DB
        for place, level in enumerate(part, first):
            if level <= quiet:
                begin = place if begin is None else begin
            elif begin is not None:
                if place - begin >= window:
                    found.append((begin + place) / 2 * hop_s)
                begin = None
    return found
