"""How many bytes may be uploaded in a day, by all doors together: the setting `daily_upload_bytes`."""

from vidprod.blobs.disk import amount
from vidprod.errors import TooMany
from vidprod.store.sqlite import Tables
from vidprod.web.desk import Desk

_BUCKET = "uploads:bytes"
_DAY_MS = 86_400_000


def count(db: Tables, size: int, *, now: int) -> None:
    """So many bytes were taken, in the transaction that takes them. What is deleted later counts all the same."""
    db.usage.add(_BUCKET, max(1, size), now=now)


async def admit(desk: Desk, expected: int | None) -> None:
    """To be asked before an upload begins. What others announced counts; what is not announced counts when it is here.

    Raises:
        TooMany: the day's bytes are used up; with the time at which so many are left again.
    """
    limit = desk.config.daily_upload_bytes
    if not limit:
        return
    now = desk.now()
    taken = await desk.store.read(lambda db: db.usage.units(_BUCKET, since=now - _DAY_MS))
    over = sum(units for _, units in taken) + desk.blobs.announced_bytes() + max(1, expected or 0) - limit
    if over <= 0:
        return
    at = now
    for at, units in taken:  # noqa: B007  # the last one that has to leave the day is what is asked for
        over -= units
        if over <= 0:
            break
    raise TooMany(
        f"At most {amount(limit)} are taken in 24 hours, and this would be more.",
        code="too_many_bytes",
        hint="Come back when Retry-After says, or raise daily_upload_bytes.",
        retry_after_s=(at + _DAY_MS - now) / 1000,
    )
