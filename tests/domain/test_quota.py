"""Quotas: counted before a platform is asked, and when there is room again."""

from datetime import UTC, datetime

import pytest

from vidprod.domain.quota import (
    DAY_MS,
    Quota,
    buckets_of,
    free_at,
    is_of_project,
    next_midnight,
    parked_until,
    quotas_of,
    units_of,
    window_start,
)
from vidprod.errors import PlatformError

HOUR_MS = 3_600_000
NOW = 1_795_000_000_000
ROLLING = Quota(bucket="b", most=3, window=DAY_MS, words="three a day")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1000


@pytest.mark.parametrize(
    ("now", "midnight"),
    [
        ("2026-11-18T11:06:40+00:00", "2026-11-19T08:00:00+00:00"),
        ("2026-11-19T07:59:59+00:00", "2026-11-19T08:00:00+00:00"),
        ("2026-11-19T08:00:00+00:00", "2026-11-20T08:00:00+00:00"),
        ("2026-07-01T12:00:00+00:00", "2026-07-02T07:00:00+00:00"),  # in summer it comes an hour earlier
        ("2026-11-01T07:30:00+00:00", "2026-11-02T08:00:00+00:00"),  # a day of 25 hours
        ("2026-03-08T09:00:00+00:00", "2026-03-09T07:00:00+00:00"),  # a day of 23 hours
        ("2028-02-29T12:00:00+00:00", "2028-03-01T08:00:00+00:00"),
    ],
)
def test_youtubes_day_ends_at_midnight_in_los_angeles(now: str, midnight: str) -> None:
    assert next_midnight(ms(now)) == ms(midnight)


def test_what_rolls_is_free_when_the_oldest_that_counts_leaves_the_window() -> None:
    used = [NOW - 30 * HOUR_MS, NOW - 20 * HOUR_MS, NOW - 10 * HOUR_MS]
    assert free_at(ROLLING, used, NOW) is None
    used.append(NOW - HOUR_MS)
    assert free_at(ROLLING, used, NOW) == NOW + 4 * HOUR_MS
    assert free_at(ROLLING, used, NOW + 4 * HOUR_MS) is None
    used.append(NOW)  # one more than there may be: two have to leave
    assert free_at(ROLLING, used, NOW) == NOW + 14 * HOUR_MS


def test_what_was_used_after_the_clock_was_set_back_does_not_count() -> None:
    assert free_at(ROLLING, [NOW + HOUR_MS] * 5, NOW) is None


def test_a_days_quota_is_free_at_midnight() -> None:
    uploads, _ = quotas_of("youtube", "acc_1")
    assert free_at(uploads, [NOW - HOUR_MS] * 99, NOW) is None
    assert free_at(uploads, [NOW - HOUR_MS] * 100, NOW) == next_midnight(NOW)
    yesterday = window_start(uploads, NOW) - 1
    assert free_at(uploads, [yesterday] * 100, NOW) is None


def test_the_last_units_of_youtubes_day_are_for_what_is_under_way() -> None:
    _, units = quotas_of("youtube", "acc_1")
    assert free_at(units, [NOW - HOUR_MS] * 8_999, NOW) is None
    assert free_at(units, [NOW - HOUR_MS] * 9_000, NOW) == next_midnight(NOW)
    assert [units_of("youtube", step) for step in ("begin", "send", "state", "publish", "move")] == [0, 0, 1, 0, 51]
    assert units_of("tiktok", "state") == 0


def test_tiktok_takes_six_a_minute_and_ten_a_day() -> None:
    minute, day = quotas_of("tiktok", "acc_1")
    assert free_at(minute, [NOW - 1000 * n for n in range(6, 0, -1)], NOW) == NOW - 6000 + 60_000
    assert free_at(day, [NOW - HOUR_MS * n for n in range(10, 0, -1)], NOW) == NOW + 14 * HOUR_MS


def test_a_publication_counts_in_each_bucket_once() -> None:
    assert buckets_of("youtube", "acc_1") == ["youtube:acc_1:posts", "youtube:uploads"]
    assert buckets_of("tiktok", "acc_1") == ["tiktok:acc_1:begun", "tiktok:acc_1:posts"]
    assert buckets_of("instagram", "acc_1") == ["instagram:acc_1:posts"]


def test_an_account_is_parked_as_long_as_its_platform_says() -> None:
    def parked(platform: str, **said: object) -> int:
        error = PlatformError("no", kind="QUOTA", **said)  # type: ignore[arg-type]
        return parked_until(platform, error, NOW) - NOW  # type: ignore[arg-type]

    assert parked("instagram", until=NOW + 5 * HOUR_MS) == 5 * HOUR_MS
    assert parked("instagram", until=NOW - HOUR_MS) == 60_000  # their clock is another
    assert parked("tiktok", retry_after_s=86_400.0) == DAY_MS
    assert parked("youtube", code="quotaExceeded") == next_midnight(NOW) - NOW
    assert parked("youtube", code="rateLimitExceeded") == next_midnight(NOW) - NOW
    assert parked("youtube", code="uploadLimitExceeded") == DAY_MS
    assert parked("instagram", code="9/2207042") == HOUR_MS
    assert parked("tiktok", code="spam_risk_too_many_posts") == DAY_MS


def test_only_a_projects_quota_is_everybodys() -> None:
    def of_project(platform: str, code: str) -> bool:
        return is_of_project(platform, PlatformError("no", kind="QUOTA", code=code))  # type: ignore[arg-type]

    assert of_project("youtube", "quotaExceeded")
    assert not of_project("youtube", "uploadLimitExceeded")
    assert not of_project("tiktok", "quotaExceeded")


def test_moments_are_of_utc() -> None:
    assert datetime.fromtimestamp(NOW / 1000, UTC).isoformat() == "2026-11-18T11:06:40+00:00"
