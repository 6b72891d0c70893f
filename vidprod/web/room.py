"""Room: whether an upload will fit together with the segments that are made of it, and when it will if it does not.

What was admitted before keeps what it was promised: the rest of its bytes, and room for its segments until they are
made. How much that is is told by what earlier takes came to.
"""

from collections.abc import Sequence

import msgspec

from vidprod.blobs.disk import amount
from vidprod.domain.quote import Ahead, Past, made_ratio, room_at
from vidprod.errors import NoSpace
from vidprod.store.sqlite import Tables
from vidprod.web.desk import Desk
from vidprod.web.uploads import daily

_LATER_S = 3600  # when nothing will go by itself: somebody may have deleted something by then


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What there is on the volume for one more take."""

    free: int  # bytes, without the floor, and without what was promised
    held: int  # of them, for the segments of takes before it
    ratio: float  # bytes made for each byte sent

    @property
    def left(self) -> int:
        return max(0, self.free - self.held)

    def with_segments(self, size: int) -> int:
        """What a take of `size` bytes needs, as far as its size tells."""
        return size + round(self.ratio * size)

    def refusal(self, needed: int) -> NoSpace:
        """The error, with the figures as they are now."""
        return NoSpace(
            f"The volume is too full: {amount(needed)} are needed, for the take and its segments, and "
            f"{amount(self.left)} are free and promised to nobody."
        )


def room_now(desk: Desk, past: Sequence[Past], ahead: Sequence[Ahead], *, waiting: int) -> Room:
    """
    Args:
        ahead: takes that are not done; waiting: how many there are of them.
    """
    ratio = made_ratio(past)
    owed = sum((1 - one.done) * one.source_bytes for one in ahead) * (waiting / len(ahead) if ahead else 0)
    held = ratio * (owed + desk.blobs.announced_bytes())
    return Room(free=desk.blobs.room_bytes(), held=round(held), ratio=ratio)


async def admit_new(desk: Desk, expected: int | None) -> None:
    """To be asked before a new upload begins: `admit`, and not under pressure. Raises Unavailable, too."""
    try:
        desk.admit_upload()
    except NoSpace as error:
        room = await _room(desk)
        # half the floor: so much has to be free beside it before uploads are taken again, `domain/pressure.py`
        needed = max(room.with_segments(expected or 0), desk.config.disk_floor_bytes // 2)
        error.retry_after_s = await _until_it_fits(desk, room, needed)
        raise
    await admit(desk, expected)


async def admit(desk: Desk, expected: int | None) -> None:
    """To be asked before an upload begins. Who does not fit is told when to come again.

    Args:
        expected: the announced size in bytes; of what was not announced nothing can be said.
    Raises:
        NoSpace: with figures.
        TooMany: the day's bytes are used up.
    """
    await daily.admit(desk, expected)
    if expected is None:
        return
    room = await _room(desk)
    needed = room.with_segments(expected)
    if needed > room.left:
        error = desk.blobs.no_space(expected) if expected > room.free else room.refusal(needed)
        error.retry_after_s = await _until_it_fits(desk, room, needed)
        raise error


async def _room(desk: Desk) -> Room:
    past, (ahead, waiting) = await desk.store.read(lambda db: (db.history.past(), db.history.ahead()))
    return room_now(desk, past, ahead, waiting=waiting)


async def _until_it_fits(desk: Desk, room: Room, needed: int) -> int:
    """Seconds, as `Retry-After` says them."""
    at = await fits_at(desk, room, needed)
    return _LATER_S if at is None else -(-(at - desk.now()) // 1000)


async def fits_at(desk: Desk, room: Room, needed: int) -> int | None:
    """When the pruner will have made room for so many bytes, unix ms; None: never by itself."""
    at = room_at(needed, room.left, await desk.store.read(lambda db: _going(desk, db)))
    return None if at is None else max(at, desk.now()) + round(1000 * desk.config.prune_every_s)


def _going(desk: Desk, db: Tables) -> list[tuple[int, int]]:
    return db.history.going(
        source_keep_ms=1000 * desk.config.source_keep_s, segment_keep_ms=1000 * desk.config.segment_keep_s
    )
