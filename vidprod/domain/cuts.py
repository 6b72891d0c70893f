"""Where a take is cut: segments as long as allowed, ends moved back to a pause, none too short."""

from collections.abc import Callable
from fractions import Fraction

from vidprod.errors import BadCut

SNAP_BACK_S = 5  # how far a cut may move back to find a pause
SHORTEST_S = 3  # Instagram takes nothing shorter
LONGEST_S = 60

Cut = tuple[int, int]  # first frame, frames


def cut(
    total: int,
    *,
    rate: Fraction,
    segment_s: float,
    pause: Callable[[int, int], int | None] | None = None,
) -> list[Cut]:
    """The segments of a take of `total` frames: consecutive, without a gap, together the whole take.

    No segment is longer than `segment_s`. None is shorter than 3 s, unless the take is, or `segment_s` leaves no
    other way: what would be shorter at the end shares with the segment before it, half and half.

    Args:
        rate: frames a second.
        pause: given the first and last frame where a cut may lie, the best frame to cut before; None for no pause.
    """
    longest = int(Fraction(segment_s).limit_denominator(1000) * rate)
    shortest = -(-SHORTEST_S * rate.numerator // rate.denominator)
    cuts: list[Cut] = []
    first = 0
    while (left := total - first) > longest:
        length = _length(left, shortest=shortest, longest=longest)
        earliest = max(length - int(SNAP_BACK_S * rate), shortest, left - _reach(left - length, shortest, longest))
        found = pause(first + min(earliest, length), first + length) if pause is not None else None
        cuts.append((first, length if found is None else found - first))
        first += cuts[-1][1]
    cuts.append((first, total - first))
    return cuts


def recut(in_us: int, out_us: int, *, rate: Fraction, total: int) -> Cut:
    """Where one segment is cut by hand: the frames nearest to both points, within a take of `total` frames.

    Raises:
        BadCut: it would be shorter or longer than segments are, or lies outside the take.
    """
    first, end = (round(at_us * rate / 1_000_000) for at_us in (in_us, out_us))
    take_s = float(total / rate)
    if first < 0 or end > total:
        raise BadCut(f"in_us={in_us}, out_us={out_us}: outside the take, which takes {take_s:.3f} s")
    shortest, longest = -(-SHORTEST_S * rate.numerator // rate.denominator), int(LONGEST_S * rate)
    if not shortest <= end - first <= longest:
        asked_s = float((end - first) / rate)
        raise BadCut(f"it would take {asked_s:.3f} s; a segment takes from {SHORTEST_S} to {LONGEST_S} s")
    return first, end - first


def _length(left: int, *, shortest: int, longest: int) -> int:
    """Frames of the next segment, before snapping: as many as may be, such that what is left can be cut as well."""
    if _divides(left - longest, shortest, longest):
        return longest
    if left <= 2 * longest:  # the last two share
        return -(-left // 2)
    return max((n for n in range(shortest, longest) if _divides(left - n, shortest, longest)), default=longest)


def _divides(frames: int, shortest: int, longest: int) -> bool:
    """Whether `frames` can be cut into segments that are neither too short nor too long."""
    count = -(-frames // longest)
    return count * shortest <= frames


def _reach(frames: int, shortest: int, longest: int) -> int:
    """The most frames, counting up from `frames`, up to which every number can be cut so."""
    count = max(1, -(-frames // longest))
    while (count + 1) * shortest > count * longest + 1:  # a gap: too many for `count` segments, too few for one more
        if frames <= count * longest:
            return count * longest
        count += 1
    return 1 << 62
