"""Weekly slots of a time zone, and the moments they come to.

A slot is written as people write it: "Mon-Fri 12:00, 18:00", "Sat,Sun 10:30", "daily 9:00", "weekdays 8:15 and 17:45".
Its time is the clock on the wall of an IANA zone, so both changes of the clocks come out right: a slot in the hour that
is left out goes to the moment after it, one in the hour that comes twice happens once, the first time. Everything here
is pure; moments are unix milliseconds.
"""

import difflib
import re
import zoneinfo
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import takewhile
from zoneinfo import ZoneInfo

from vidprod.errors import BadSlot

Week = tuple[tuple[int, int], ...]  # sorted: day of the week (Monday is 0), minute of the day

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_EXAMPLES = '"Mon-Fri 12:00, 18:00", "Sat,Sun 10:30", "daily 9:00"'
_GROUPS = {
    "daily": range(7),
    "everyday": range(7),
    "weekdays": range(5),
    "weekends": (5, 6),
    "weekend": (5, 6),
}
_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DASHES = str.maketrans({"–": "-", "—": "-", "‐": "-", "‑": "-", "−": "-"})  # noqa: RUF001
_TIME = re.compile(r"(\d{1,2}):(\d{2})")
_DAY_MS = 86_400_000
_MINUTE_MS = 60_000


def parse_slots(slots: Iterable[str]) -> Week:
    """The moments of a week that `slots` name, each once.

    Raises:
        BadSlot: naming every fault at once: the slot, what is wrong with it, what would be right.
    """
    moments: set[tuple[int, int]] = set()
    faults: list[str] = []
    for slot in slots:
        try:
            moments |= _parse(slot)
        except BadSlot as error:
            faults.append(str(error))
    if faults:
        raise BadSlot("; ".join(faults), hint=f"Like {_EXAMPLES}.")
    return tuple(sorted(moments))


def zone_of(name: str) -> ZoneInfo:
    """Raises BadSlot, with the nearest names that there are."""
    try:
        return ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: "Europe" is a directory
        near = difflib.get_close_matches(name, sorted(zoneinfo.available_timezones()), n=3)
        meant = f" Did you mean {' or '.join(near)}?" if near else ""
        raise BadSlot(
            f"zone={name!r}: there is no such time zone.{meant}",
            hint='The IANA name of a place: "Europe/Paris", "America/New_York", or "UTC".',
        ) from None


def next_slots(week: Week, zone: ZoneInfo, after_ms: int) -> Iterator[int]:
    """The moments after `after_ms`, in order, without an end while there are slots at all."""
    if not week:
        return
    minutes = [[minute for day, minute in week if day == weekday] for weekday in range(7)]
    last = after_ms
    day = local_day(after_ms, zone) - timedelta(days=1)  # what a gap swallowed may have been a slot of the day before
    while day < date.max:
        for minute in minutes[day.weekday()]:
            moment = at_local(day, minute, zone)
            if moment > last:
                last = moment
                yield moment
        day += timedelta(days=1)


def slots_between(week: Week, zone: ZoneInfo, from_ms: int, to_ms: int) -> list[int]:
    """The moments from `from_ms` on and before `to_ms`."""
    return list(takewhile(lambda moment: moment < to_ms, next_slots(week, zone, from_ms - 1)))


def at_local(day: date, minute: int, zone: ZoneInfo) -> int:
    """When the clocks of `zone` show `minute` of `day`: the first time if twice, the moment after the gap if never."""
    starts, evenly = _day(day, zone)
    if evenly:
        return starts + minute * _MINUTE_MS
    return _to_ms(datetime.combine(day, time(minute // 60, minute % 60)), zone)


def local_day(at_ms: int, zone: ZoneInfo) -> date:
    """The day it is in `zone`."""
    return datetime.fromtimestamp(at_ms / 1000, zone).date()


def day_bounds(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """When the day begins in `zone`, and when the next one does: 23, 24 or 25 hours later."""
    return at_local(day, 0, zone), at_local(day + timedelta(days=1), 0, zone)


def free_slots(
    moments: Iterable[int], taken: Sequence[int], *, zone: ZoneInfo, gap_ms: int = 0, daily_cap: int | None = None
) -> Iterator[int]:
    """Those of `moments` that nothing has taken, with the gap to all around them, on days that are not full. What is
    handed out is taken from then on.

    Args:
        moments: in order.
        taken: when something else goes out, in order.
    """
    held = _Held(taken, zone=zone, gap_ms=gap_ms, daily_cap=daily_cap)
    for moment in moments:
        if held.is_free(moment):
            held.take(moment)
            yield moment


def free_moment(
    after_ms: int, taken: Sequence[int], *, zone: ZoneInfo, gap_ms: int = 0, daily_cap: int | None = None
) -> int:
    """The first moment from `after_ms` on with the gap to all of `taken`, in order, on a day that is not full."""
    held = _Held(taken, zone=zone, gap_ms=gap_ms, daily_cap=daily_cap)
    moment = after_ms
    while True:
        later = held.next_gap(moment)
        if held.is_full(later):
            later = day_bounds(local_day(later, zone), zone)[1]
        if later == moment:
            return moment
        moment = later


class _Held:
    """What is taken, looked at from ever later moments on."""

    def __init__(self, taken: Sequence[int], *, zone: ZoneInfo, gap_ms: int, daily_cap: int | None) -> None:
        self._taken, self._zone, self._gap_ms, self._daily_cap = taken, zone, gap_ms, daily_cap
        self._set = frozenset(taken)
        self._from = 0  # all before are too early to matter
        self._handed: list[int] = []

    def is_free(self, moment: int) -> bool:
        if moment in self._set or (self._handed and moment < self._handed[-1] + self._gap_ms):
            return False
        return self.next_gap(moment) == moment and not self.is_full(moment)

    def take(self, moment: int) -> None:
        self._handed.append(moment)

    def next_gap(self, moment: int) -> int:
        """The first moment from `moment` on that has the gap to all around it."""
        if self._gap_ms == 0:
            return moment
        self._from = bisect_right(self._taken, moment - self._gap_ms, lo=self._from)
        place = self._from
        while place < len(self._taken) and self._taken[place] < moment + self._gap_ms:
            moment = max(moment, self._taken[place] + self._gap_ms)
            place += 1
        return moment

    def is_full(self, moment: int) -> bool:
        if self._daily_cap is None:
            return False
        starts, ends = day_bounds(local_day(moment, self._zone), self._zone)
        return sum(bisect_left(some, ends) - bisect_left(some, starts) for some in (self._taken, self._handed)) >= (
            self._daily_cap
        )


def _parse(slot: str) -> set[tuple[int, int]]:
    text = re.sub(r"\s*-\s*", "-", slot.translate(_DASHES).strip())
    text = re.sub(r"\s*(?:,|;|&|\band\b)\s*|\s+", " ", re.sub(r"(?i)\bevery day\b", "daily", text))
    words = text.split()
    if not words:
        raise BadSlot('a slot is empty: it names days and times, like "daily 9:00"')
    first_time = next((place for place, word in enumerate(words) if word[0].isdigit()), len(words))
    days, times = words[:first_time], words[first_time:]
    if not days:
        raise BadSlot(f'"{slot}" names no day: write "daily {slot.strip()}", or on which days')
    weekdays = {weekday for word in days for weekday in _weekdays(word, slot)}
    if not times:
        raise BadSlot(f'"{slot}" names no time: write it after the days, like "{slot.strip()} 18:00"')
    minutes = {_minute(word, slot) for word in times}
    return {(weekday, minute) for weekday in weekdays for minute in minutes}


def _weekdays(word: str, slot: str) -> Iterable[int]:
    if (group := _GROUPS.get(word.lower())) is not None:
        return group
    first, dash, last = word.partition("-")
    start = _weekday(first, slot)
    end = _weekday(last, slot) if dash else start
    return [(start + step) % 7 for step in range((end - start) % 7 + 1)]  # Sat-Mon goes over the week's end


def _weekday(word: str, slot: str) -> int:
    name = word.lower().rstrip(".")
    found = [place for place, whole in enumerate(_NAMES) if len(name) >= 3 and f"{whole}s".startswith(name)]
    if name == "weds":
        found = [2]
    if not found:
        raise BadSlot(f'"{slot}": "{word}" is no day: days are {", ".join(DAYS)}, daily, weekdays, weekends')
    return found[0]


def _minute(word: str, slot: str) -> int:
    found = _TIME.fullmatch(word)
    if found is None and "/" in word:
        raise BadSlot(f'"{slot}": "{word}" is no time: the time zone of all slots is the setting `zone`')
    if found is None and word[0].isalpha():
        raise BadSlot(f'"{slot}": "{word}" comes after a time: days come first, and other days are a slot of their own')
    if found is None:
        raise BadSlot(f'"{slot}": "{word}" is no time: write hours and minutes of a day, like 9:00 or 18:30')
    hour, minute = int(found[1]), int(found[2])
    if hour > 23 or minute > 59:
        raise BadSlot(f'"{slot}": there is no {word}: times go from 0:00 to 23:59')
    return 60 * hour + minute


@lru_cache(maxsize=20_000)
def _day(day: date, zone: ZoneInfo) -> tuple[int, bool]:
    """When it begins, and whether the clocks stay as they are all through it."""
    starts = datetime.combine(day, time())
    ends = starts + timedelta(days=1)
    evenly = len({moment.replace(tzinfo=zone, fold=fold).utcoffset() for moment in (starts, ends) for fold in (0, 1)})
    return _to_ms(starts, zone), evenly == 1


def _to_ms(wall: datetime, zone: ZoneInfo) -> int:
    """When `zone` shows `wall`; see `at_local`."""
    first = wall.replace(tzinfo=zone)
    moment = first.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != wall:  # never: the clocks go from before it to after it
        moment = _after_gap(wall.replace(tzinfo=zone, fold=1).astimezone(UTC), moment, zone)
    return round(moment.timestamp() * 1000)


def _after_gap(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The moment between these two at which the offset of `zone` changes."""
    offset = before.astimezone(zone).utcoffset()
    seconds, until = 0, int((after - before).total_seconds())
    while until - seconds > 1:
        middle = (seconds + until) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset:
            seconds = middle
        else:
            until = middle
    return before + timedelta(seconds=until)
