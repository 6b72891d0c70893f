"""The signed address of a segment's file: /public/seg_….MAKING.UNTIL.SIGNATURE.mp4."""

from collections.abc import Callable
from typing import NamedTuple

from vidprod.domain.ids import is_id

LONGEST_S = 30 * 86_400  # for which a link can be made
LASTS_MS = 6 * 3600 * 1000  # a container is fetched within minutes; a slow one, and a second try, within hours


class Address(NamedTuple):
    """What is behind one."""

    segment_id: str
    making: int
    until: int  # unix ms


def path_of(segment_id: str, *, making: int, now: int, sign: Callable[[str], str]) -> str:
    """The path at which the file is from `now` on, for some hours."""
    told = f"{segment_id}.{making}.{now + LASTS_MS}"
    return f"/public/{told}.{sign(told)}.mp4"


def read_address(name: str, *, signed: Callable[[str, str], bool]) -> Address | None:
    """What the last part of a path says; None when nobody here has signed it."""
    told, _, signature = name.removesuffix(".mp4").rpartition(".")
    segment_id, _, rest = told.partition(".")
    making, _, until = rest.partition(".")
    if not (signed(told, signature) and is_id(segment_id, "seg") and making.isdigit() and until.isdigit()):
        return None
    return Address(segment_id, int(making), int(until))
