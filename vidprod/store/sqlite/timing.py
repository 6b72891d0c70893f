"""When a segment goes out: a time that somebody named, "at once", or the next slot that its account has left.

Each function runs inside one transaction, whoever asks for it. Times are unix milliseconds of publishing's clock.

In a job the order of the segments is kept: a later one goes out after those before it. A time that somebody named is
kept to the minute; slots and "at once" leave the account's gap around every other publication and stop at its daily
cap, counted in days of its zone.
"""

from collections.abc import Iterator
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from vidprod.domain.account import Account, AccountSettings
from vidprod.domain.publication import Publication, Wait, When
from vidprod.domain.schedule import (
    Week,
    day_bounds,
    free_moment,
    free_slots,
    local_day,
    next_slots,
    parse_slots,
    zone_of,
)
from vidprod.domain.segment import Segment
from vidprod.domain.target import Moment, parse_when
from vidprod.errors import BadTarget
from vidprod.store.sqlite.plans import Taken
from vidprod.store.sqlite.tables import Tables

HAND_OVER_MS = 24 * 3_600_000  # before its time a video is handed to a platform that publishes it by itself
LEAST_AHEAD_MS = 3_600_000  # a time nearer than this is not handed over: platforms refuse what is almost now
_SLIP_MS = 15 * 60_000  # what goes out so long after its time was uploaded and processed meanwhile: it keeps its time
_LATE_MS = 60_000  # what somebody names as a time may be so long ago, and means now


class Rhythm(msgspec.Struct, frozen=True, kw_only=True):
    """How an account wants its publications spaced, read from its settings."""

    zone: ZoneInfo
    week: Week
    gap_ms: int
    daily_cap: int | None


def rhythm_of(settings: AccountSettings) -> Rhythm:
    """Raises BadSlot."""
    return Rhythm(
        zone=zone_of(settings.zone),
        week=_week(tuple(settings.slots)),
        gap_ms=1000 * settings.gap_s,
        daily_cap=settings.daily_cap,
    )


@lru_cache(maxsize=256)
def _week(slots: tuple[str, ...]) -> Week:
    return parse_slots(slots)


def refuse_past(asked: Moment, *, now: int) -> None:
    """Raises BadTarget for a time that is over."""
    if asked.at is not None and asked.at < now - _LATE_MS:
        raise BadTarget("when: that time is over", hint='Name a time to come, or "now".')


def runs_at(account: Account, due_at: int, *, now: int) -> int:
    """When the publisher begins with what is due at `due_at`; earlier where the platform is handed the time."""
    if account.platform == "youtube" and account.settings.hands_over_time and due_at - now >= LEAST_AHEAD_MS:
        return max(now, due_at - HAND_OVER_MS)
    return due_at


def moment_of(
    db: Tables, segment: Segment, account: Account, rhythm: Rhythm, asked: Moment, *, alone: bool = False, now: int
) -> tuple[When, int]:
    """When the segment goes out, and how that came to be.

    Args:
        alone: the time was named for this segment; else for its job, whose later segments follow.
    """
    by_hand = alone and asked.when == "now"  # whoever sends the second part now does not mean "after the first one"
    before = None if by_hand else db.plans.before(account.id, segment.job_id, segment.index)
    if asked.at is not None and (alone or before is None):
        return "at", max(now, asked.at)
    return _slot_or_gap(db, account.id, rhythm, asked, earliest=max(now, before or 0, asked.at or 0))


def first_moment(db: Tables, account: Account, when: str, *, ready_at: int) -> int:
    """When the first segment of a take that is not there yet would go out, if it were planned now.

    Args:
        when: "slot", "now" or a time with its offset; ready_at: when the segment will be made.
    Raises:
        BadSlot: the account's slots cannot be read.
    """
    asked, rhythm = parse_when(when), rhythm_of(account.settings)
    if asked.at is not None:
        return max(ready_at, asked.at)
    return _slot_or_gap(db, account.id, rhythm, asked, earliest=ready_at)[1]


def next_free_slot(db: Tables, publication: Publication, *, now: int) -> int | None:
    """The slot its account has for it next; None: the account has no slots. Raises BadSlot."""
    account = db.accounts.get(publication.account_id)
    rhythm = rhythm_of(account.settings)
    index = db.segments.get(publication.segment_id).index
    before = db.plans.before(account.id, publication.job_id, index)
    return next(_free(db, account.id, rhythm, after=max(now, before or 0)), None)


def _slot_or_gap(db: Tables, account_id: str, rhythm: Rhythm, asked: Moment, *, earliest: int) -> tuple[When, int]:
    """The next slot, where slots are asked for and the account has some; else when its gap and its cap are kept."""
    if rhythm.week and asked.when != "now":
        moments = _free(db, account_id, rhythm, after=earliest)
        if (slot := next(moments, None)) is not None:
            return "slot", slot
    taken = db.plans.taken(account_id, since=counts_since(earliest, rhythm)).at
    due_at = free_moment(earliest, taken, zone=rhythm.zone, gap_ms=rhythm.gap_ms, daily_cap=rhythm.daily_cap)
    return asked.when, due_at


def _free(db: Tables, account_id: str, rhythm: Rhythm, *, after: int) -> Iterator[int]:
    """The slots that the account has left after `after`."""
    return slots_left(rhythm, db.plans.taken(account_id, since=counts_since(after, rhythm)), after=after)


def slots_left(rhythm: Rhythm, taken: Taken, *, after: int) -> Iterator[int]:
    return free_slots(
        (moment for moment in next_slots(rhythm.week, rhythm.zone, after) if moment not in taken.slots),
        taken.at,
        zone=rhythm.zone,
        gap_ms=rhythm.gap_ms,
        daily_cap=rhythm.daily_cap,
    )


def counts_since(moment: int, rhythm: Rhythm) -> int:
    """From when on publications count for what goes out from `moment` on."""
    return min(moment - rhythm.gap_ms, day_bounds(local_day(moment, rhythm.zone), rhythm.zone)[0])


def crowded(db: Tables, publication: Publication, *, now: int) -> Wait | None:
    """Why what is due in a slot does not go out yet: another one went out late, and the account's gap or its daily cap
    would not be kept. None: it may. A time that somebody named is not put off. Raises BadSlot."""
    if publication.when != "slot" or publication.due_at > now:
        return None
    rhythm = rhythm_of(db.accounts.get(publication.account_id).settings)
    if not rhythm.gap_ms and rhythm.daily_cap is None:
        return None
    starts, ends = day_bounds(local_day(now, rhythm.zone), rhythm.zone)
    went = db.plans.went(publication, since=min(starts, now - rhythm.gap_ms), slip_ms=_SLIP_MS, now=now)
    if rhythm.daily_cap is not None and sum(starts <= at for at in went) >= rhythm.daily_cap:
        until = next(next_slots(rhythm.week, rhythm.zone, ends - 1), ends)
        return Wait(code="cap", message=f"{rhythm.daily_cap} went out today, as many as a day may have.", until=until)
    if went and (until := max(went) + rhythm.gap_ms) > now:
        return Wait(code="gap", message="Another one went out a short while ago.", until=until)
    return None
