"""Which backups are kept: the newest of each of some days, and of each of some weeks."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

_NAME = re.compile(r"vidprod-(\d{8}T\d{6}Z)\.tar")
_FORM = "%Y%m%dT%H%M%SZ"


def name_of(at: int) -> str:
    """What a backup of that moment is called, unix ms: names sort by time."""
    return f"vidprod-{datetime.fromtimestamp(at / 1000, UTC).strftime(_FORM)}.tar"


def made_at(name: str) -> datetime | None:
    """When a backup of this name was made; None: the name is not one of ours."""
    found = _NAME.fullmatch(name)
    try:
        return None if found is None else datetime.strptime(found[1], _FORM).replace(tzinfo=UTC)
    except ValueError:
        return None


def newest(names: Iterable[str]) -> str | None:
    """Of the backups among these."""
    return max((name for name in names if made_at(name) is not None), default=None)


def to_remove(names: Iterable[str], *, daily: int, weekly: int) -> list[str]:
    """Of these, the backups that need not be kept, the oldest first. What has another name is never among them.

    Args:
        daily: days of which the newest is kept, counted back over days that have one.
        weekly: weeks, from Monday, of which the newest is kept.
    """
    found = sorted(((at, name) for name in names if (at := made_at(name)) is not None), reverse=True)
    keep, days, weeks = set[str](), set[object](), set[object]()
    for at, name in found:
        day, week = at.date(), at.isocalendar()[:2]
        if day not in days and len(days) < daily:
            days.add(day)
            keep.add(name)
        if week not in weeks and len(weeks) < weekly:
            weeks.add(week)
            keep.add(name)
    return sorted(name for _, name in found if name not in keep)
