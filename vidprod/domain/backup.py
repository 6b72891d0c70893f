"""How nightly backups stand, and when the next is due."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

Trouble = Literal["failed", "overdue"]

AGAIN_MS = 3_600_000  # after one that failed
STALE_MS = 36 * 3_600_000  # the last good one is older: something keeps them from being made


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The fact `backup`. Times are unix milliseconds of the wall clock."""

    since: int  # since when they are made each night
    at: int | None = None  # when the last good one was made
    where: str = ""
    size: int = 0
    failed_at: int | None = None  # of the last attempt, where that was not good
    fault: str = ""

    def is_stale(self, *, now: int) -> bool:
        """Whether somebody should look why there is none of last night."""
        return now - (self.since if self.at is None else self.at) > STALE_MS

    def trouble(self, *, now: int) -> Trouble | None:
        """What somebody should know of; None: all is well."""
        if self.failed_at is not None:
            return "failed"
        return "overdue" if self.is_stale(now=now) else None


def is_due(standing: Standing, *, at: str, now: int) -> bool:
    """Whether a backup is to be made now: the time of day has come since the last one, and none failed just now.

    Args:
        at: "03:30", UTC.
    """
    if standing.failed_at is not None and now - standing.failed_at < AGAIN_MS:
        return False
    return _last_time(at, now) > (standing.since if standing.at is None else standing.at)


def _last_time(at: str, now: int) -> int:
    """When it was that time of day last."""
    moment = datetime.fromtimestamp(now / 1000, UTC)
    hour, minute = at.split(":")
    last = moment.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
    if last > moment:
        last -= timedelta(days=1)
    return int(last.timestamp() * 1000)


def in_words(standing: Standing, *, now: int) -> str:
    """For `/ready` and people."""
    good = "none was made yet"
    if standing.at is not None:
        good = f"the last one is {max(0, now - standing.at) / 3_600_000:.0f} h old"
    if standing.failed_at is not None:
        return f"{good}; the last attempt failed: {standing.fault}"
    return good
