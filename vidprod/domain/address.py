"""The signed address of a segment's file.

For a platform that fetches it: /public/seg_….MAKING.UNTIL.SIGNATURE.mp4. A link for a person says also when it was
made: /public/seg_….MAKING.UNTIL.MADE.SIGNATURE.mp4, so that all that were given out until some moment can be ended.
"""

from collections.abc import Callable
from typing import NamedTuple

from vidprod.domain.ids import is_id

LASTS_MS = 6 * 3600 * 1000  # a container is fetched within minutes; a slow one, and a second try, within hours
SHORTEST_S, LONGEST_S = 60, 30 * 86_400  # of a link


class Address(NamedTuple):
    """What is behind one."""

    segment_id: str
    making: int
    until: int  # unix ms
    made: int | None  # unix ms; None: for a platform


def path_of(segment_id: str, *, making: int, now: int, sign: Callable[[str], str]) -> str:
    """The path at which a platform finds the file from `now` on, for some hours."""
    return _signed(f"{segment_id}.{making}.{now + LASTS_MS}", sign)


def link_of(segment_id: str, *, making: int, now: int, lasts_s: int, sign: Callable[[str], str]) -> str:
    """The path at which a person finds it."""
    return _signed(f"{segment_id}.{making}.{now + lasts_s * 1000}.{now}", sign)


def read_address(name: str, *, signed: Callable[[str, str], bool]) -> Address | None:
    """What the last part of a path says; None when nobody here has signed it."""
    told, _, signature = name.removesuffix(".mp4").rpartition(".")
    segment_id, *numbers = told.split(".")
    if not (signed(told, signature) and is_id(segment_id, "seg") and all(number.isdigit() for number in numbers)):
        return None
    if len(numbers) == 2:
        return Address(segment_id, int(numbers[0]), int(numbers[1]), None)
    return Address(segment_id, *map(int, numbers)) if len(numbers) == 3 else None


def _signed(told: str, sign: Callable[[str], str]) -> str:
    return f"/public/{told}.{sign(told)}.mp4"
