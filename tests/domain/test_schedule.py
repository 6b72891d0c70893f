"""Weekly slots, and the moments they come to."""

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from vidprod.domain.schedule import (
    day_bounds,
    free_moment,
    free_slots,
    local_day,
    next_slots,
    parse_slots,
    slots_between,
    zone_of,
)
from vidprod.errors import BadSlot

PARIS = ZoneInfo("Europe/Paris")
NEW_YORK = ZoneInfo("America/New_York")
HOUR_MS = 3_600_000


def free_slot(
    moments: list[int], taken: list[int], *, zone: ZoneInfo, gap_ms: int = 0, daily_cap: int | None = None
) -> int | None:
    return next(free_slots(moments, taken, zone=zone, gap_ms=gap_ms, daily_cap=daily_cap), None)


def ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def shown(moments: list[int], zone: ZoneInfo) -> list[str]:
    return [datetime.fromtimestamp(at / 1000, zone).strftime("%a %d %b %H:%M %z") for at in moments]


def first(count: int, slots: list[str], zone: ZoneInfo, after: str) -> list[str]:
    return shown(list(islice(next_slots(parse_slots(slots), zone, ms(after)), count)), zone)


@pytest.mark.parametrize(
    ("slot", "meant"),
    [
        ("Mon-Fri 12:00, 18:00", [(day, minute) for day in range(5) for minute in (720, 1080)]),
        ("Mon–Fri 12:00 and 18:00", [(day, minute) for day in range(5) for minute in (720, 1080)]),
        ("weekdays 12:00 18:00", [(day, minute) for day in range(5) for minute in (720, 1080)]),
        ("Sat,Sun 10:30", [(5, 630), (6, 630)]),
        ("weekends 10:30", [(5, 630), (6, 630)]),
        ("daily 9:00", [(day, 540) for day in range(7)]),
        ("every day 09:00", [(day, 540) for day in range(7)]),
        ("Sat - Mon 0:00", [(0, 0), (5, 0), (6, 0)]),
        ("tues, thurs & Sundays 23:59", [(1, 1439), (3, 1439), (6, 1439)]),
        ("Mon-Wed, Fri 8:05", [(0, 485), (1, 485), (2, 485), (4, 485)]),
        ("Weds. 8:05, 8:05", [(2, 485)]),
    ],
)
def test_a_slot_is_read_as_people_write_it(slot: str, meant: list[tuple[int, int]]) -> None:
    assert list(parse_slots([slot])) == meant


@pytest.mark.parametrize(
    ("slot", "told"),
    [
        ("", "a slot is empty"),
        ("12:00", 'names no day: write "daily 12:00"'),
        ("Mon-Fri", 'names no time: write it after the days, like "Mon-Fri 18:00"'),
        ("Mon-Fry 12:00", '"Fry" is no day: days are Mon, Tue'),
        ("Mo 12:00", '"Mo" is no day'),
        ("Mon 24:00", "there is no 24:00: times go from 0:00 to 23:59"),
        ("Mon 9:60", "there is no 9:60"),
        ("Mon 9", '"9" is no time: write hours and minutes'),
        ("Mon 6pm", '"6pm" is no time'),
        ("Mon 9:00 Europe/Paris", "the setting `zone`"),
        ("Mon 9:00, Sat 10:00", '"Sat" comes after a time'),
        ("Mon 9:00-17:00", '"9:00-17:00" is no time'),
    ],
)
def test_a_slot_that_cannot_be_read_says_what_is_wrong_and_what_would_be_right(slot: str, told: str) -> None:
    with pytest.raises(BadSlot) as caught:
        parse_slots([slot])
    assert told in str(caught.value)


def test_all_faults_of_all_slots_are_told_at_once() -> None:
    with pytest.raises(BadSlot) as caught:
        parse_slots(["Mon 25:00", "daily 9:00", "Blursday 9:00"])
    assert "25:00" in str(caught.value)
    assert "Blursday" in str(caught.value)


@pytest.mark.parametrize("name", ["Europe/Pariss", "Europe", "../etc/passwd", "", "Mars/Olympus"])
def test_a_zone_that_is_none_says_so(name: str) -> None:
    with pytest.raises(BadSlot, match="no such time zone"):
        zone_of(name)


def test_a_mistyped_zone_is_told_the_near_ones() -> None:
    with pytest.raises(BadSlot, match="Did you mean Europe/Paris"):
        zone_of("Europe/Pari")


def test_slots_come_in_order_over_the_weekend() -> None:
    assert first(4, ["Mon-Fri 12:00, 18:00"], PARIS, "2026-11-20T13:00+01:00") == [
        "Fri 20 Nov 18:00 +0100",
        "Mon 23 Nov 12:00 +0100",
        "Mon 23 Nov 18:00 +0100",
        "Tue 24 Nov 12:00 +0100",
    ]


def test_a_slot_that_is_now_is_over() -> None:
    assert first(1, ["daily 9:00"], PARIS, "2026-11-20T09:00+01:00") == ["Sat 21 Nov 09:00 +0100"]


def test_slots_keep_their_time_of_day_over_both_changes_of_the_clocks() -> None:
    assert first(3, ["daily 12:00"], PARIS, "2026-03-28T00:00Z") == [
        "Sat 28 Mar 12:00 +0100",
        "Sun 29 Mar 12:00 +0200",
        "Mon 30 Mar 12:00 +0200",
    ]
    assert first(3, ["daily 12:00"], PARIS, "2026-10-24T00:00Z") == [
        "Sat 24 Oct 12:00 +0200",
        "Sun 25 Oct 12:00 +0100",
        "Mon 26 Oct 12:00 +0100",
    ]


def test_a_slot_in_the_hour_that_is_left_out_goes_to_the_moment_after_it() -> None:
    assert first(3, ["daily 2:30"], PARIS, "2026-03-27T12:00Z") == [
        "Sat 28 Mar 02:30 +0100",
        "Sun 29 Mar 03:00 +0200",
        "Mon 30 Mar 02:30 +0200",
    ]


def test_two_slots_in_the_hour_that_is_left_out_are_one_moment() -> None:
    assert first(3, ["Sun 2:15, 2:45, 3:00, 3:30"], PARIS, "2026-03-28T12:00Z") == [
        "Sun 29 Mar 03:00 +0200",
        "Sun 29 Mar 03:30 +0200",
        "Sun 05 Apr 02:15 +0200",
    ]


def test_a_slot_in_the_hour_that_comes_twice_happens_once() -> None:
    assert first(3, ["daily 2:30"], PARIS, "2026-10-24T12:00Z") == [
        "Sun 25 Oct 02:30 +0200",
        "Mon 26 Oct 02:30 +0100",
        "Tue 27 Oct 02:30 +0100",
    ]
    assert first(2, ["daily 1:30"], NEW_YORK, "2026-10-31T12:00Z") == [
        "Sun 01 Nov 01:30 -0400",
        "Mon 02 Nov 01:30 -0500",
    ]


def test_asked_within_the_hour_that_comes_twice_no_slot_happens_again() -> None:
    second_time = datetime(2026, 10, 25, 2, 10, tzinfo=PARIS, fold=1).isoformat()
    assert first(1, ["daily 2:30"], PARIS, second_time) == ["Mon 26 Oct 02:30 +0100"]


def test_leap_day_has_its_slots() -> None:
    assert first(3, ["daily 9:00"], PARIS, "2028-02-28T00:00Z") == [
        "Mon 28 Feb 09:00 +0100",
        "Tue 29 Feb 09:00 +0100",
        "Wed 01 Mar 09:00 +0100",
    ]
    assert first(1, ["daily 9:00"], PARIS, "2027-02-28T12:00Z") == ["Mon 01 Mar 09:00 +0100"]


def test_a_gap_of_half_an_hour_and_one_at_midnight() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    assert first(1, ["Sun 2:10"], lord_howe, "2026-10-03T00:00Z") == ["Sun 04 Oct 02:30 +1100"]
    beirut = ZoneInfo("Asia/Beirut")
    assert first(2, ["daily 0:00"], beirut, "2026-03-28T12:00Z") == ["Sun 29 Mar 01:00 +0300", "Mon 30 Mar 00:00 +0300"]


def test_a_day_that_was_left_out_gives_its_slots_to_the_next() -> None:
    apia = ZoneInfo("Pacific/Apia")  # went over the date line: 2011 had no 30th of December there
    assert first(3, ["daily 0:00, 9:00"], apia, "2011-12-30T09:00Z") == [
        "Sat 31 Dec 00:00 +1400",
        "Sat 31 Dec 09:00 +1400",
        "Sun 01 Jan 00:00 +1400",
    ]


def test_every_zone_has_its_slots_in_order_and_each_once_a_day() -> None:
    week = parse_slots(["daily 0:00, 1:30, 2:30, 12:00, 23:45"])
    for name in ("Europe/Paris", "America/New_York", "Asia/Beirut", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"):
        zone = ZoneInfo(name)
        moments = slots_between(week, zone, *(ms("2027-01-01T00:00Z"), ms("2028-01-01T00:00Z")))
        assert moments == sorted(set(moments))
        assert 5 * 365 - 1 <= len(moments) <= 5 * 365  # the clocks may swallow one


def test_no_slots_have_no_moments() -> None:
    assert list(next_slots(parse_slots([]), PARIS, 0)) == []


def test_a_day_is_23_24_or_25_hours_long() -> None:
    def hours(day: str) -> float:
        starts, ends = day_bounds(local_day(ms(f"{day}T12:00Z"), PARIS), PARIS)
        return (ends - starts) / HOUR_MS

    assert [hours("2026-03-29"), hours("2026-06-01"), hours("2026-10-25")] == [23, 24, 25]


def test_a_slot_takes_one() -> None:
    slots = [ms(f"2026-11-2{day}T12:00Z") for day in (3, 4, 5)]
    assert free_slot(slots, [], zone=PARIS) == slots[0]
    assert free_slot(slots, slots[:2], zone=PARIS) == slots[2]
    assert free_slot(slots, slots, zone=PARIS) is None


def test_a_slot_too_near_to_another_publication_is_left_out() -> None:
    slots = [ms(f"2026-11-23T{hour}:00Z") for hour in (10, 11, 12, 13)]
    taken = [ms("2026-11-23T10:30Z")]
    assert free_slot(slots, taken, zone=PARIS, gap_ms=HOUR_MS) == slots[2]
    assert free_slot(slots, [slots[1]], zone=PARIS, gap_ms=HOUR_MS) == slots[0]  # as far as it shall be


def test_what_is_handed_out_is_taken() -> None:
    slots = [ms(f"2026-11-2{day}T{hour}:00Z") for day in (3, 4) for hour in (10, 11, 12)]
    assert list(free_slots(slots, [], zone=PARIS)) == slots
    assert list(free_slots(slots, [], zone=PARIS, gap_ms=2 * HOUR_MS)) == [slots[0], slots[2], slots[3], slots[5]]
    assert list(free_slots(slots, [slots[3]], zone=PARIS, daily_cap=1)) == [slots[0]]


def test_a_full_day_sends_the_next_one_to_the_day_after() -> None:
    slots = [ms(f"2026-11-2{day}T{hour}:00Z") for day in (3, 4) for hour in (10, 12, 14)]
    assert free_slot(slots, slots[:2], zone=PARIS, daily_cap=2) == slots[3]


def test_a_day_is_full_by_the_zones_midnight() -> None:
    taken = [ms("2026-11-23T23:30+01:00")]
    assert free_slot([ms("2026-11-24T00:30+01:00")], taken, zone=PARIS, daily_cap=1) is not None  # the 23rd in UTC too
    assert free_slot([ms("2026-11-24T00:30+01:00")], taken, zone=ZoneInfo("UTC"), daily_cap=1) is None


def test_at_once_waits_for_the_gap_and_for_the_next_day_of_the_zone() -> None:
    now = ms("2026-11-23T22:00+01:00")
    assert free_moment(now, [], zone=PARIS) == now
    assert free_moment(now, [now - 60_000], zone=PARIS, gap_ms=HOUR_MS) == now + HOUR_MS - 60_000
    assert free_moment(now, [now, now + HOUR_MS], zone=PARIS, gap_ms=HOUR_MS) == now + 2 * HOUR_MS
    assert free_moment(now, [now], zone=PARIS, daily_cap=1) == ms("2026-11-24T00:00+01:00")
    late = ms("2026-11-24T00:10+01:00")
    assert free_moment(now, [now, late], zone=PARIS, daily_cap=1) == ms("2026-11-25T00:00+01:00")
    assert free_moment(now, [now, late], zone=PARIS, gap_ms=2 * HOUR_MS, daily_cap=2) == late + 2 * HOUR_MS
