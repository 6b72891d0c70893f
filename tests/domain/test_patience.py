"""Patience: quick tries as each platform likes them, slow ones afterwards, and an end."""

import pytest

from vidprod.domain.account import Platform
from vidprod.domain.patience import (
    Step,
    poll_ms,
    processing_deadline,
    quick_tries,
    retry_ms,
    unknown_ms,
    upload_deadline,
)

NOW = 1_795_000_000_000


def pauses(platform: Platform, step: Step, n: int) -> list[float]:
    return [retry_ms(platform, step, count, retry_after_s=None, jitter=0.5) / 1000 for count in range(1, n + 1)]


@pytest.mark.parametrize(
    ("platform", "step", "seconds"),
    [
        ("youtube", "begin", [2, 4, 8, 300, 300]),
        ("youtube", "send", [1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 300]),
        ("tiktok", "begin", [60, 300]),
        ("tiktok", "send", [2, 4, 8, 300]),
        ("instagram", "begin", [5, 15, 45, 300]),
        ("instagram", "send", [15, 30, 45, 300]),
        ("instagram", "publish", [30, 30, 300]),
    ],
)
def test_each_step_has_its_pauses(platform: Platform, step: Step, seconds: list[float]) -> None:
    assert pauses(platform, step, len(seconds)) == seconds
    assert quick_tries(platform, step) == seconds.index(300)


def test_pauses_differ_by_a_tenth() -> None:
    least, most = (retry_ms("instagram", "begin", 1, retry_after_s=None, jitter=jitter) for jitter in (0.0, 1.0))
    assert (least, most) == (4500, 5500)


def test_what_a_platform_asks_for_is_waited_at_least() -> None:
    assert retry_ms("youtube", "begin", 1, retry_after_s=120.0, jitter=0.5) == 120_000
    assert retry_ms("youtube", "begin", 9, retry_after_s=1.0, jitter=0.5) == 300_000


def test_looks_grow_apart() -> None:
    assert [poll_ms(s * 1000, jitter=0.5) // 1000 for s in (0, 20, 40, 120, 240, 3600)] == [5, 5, 10, 30, 60, 60]
    looks = [unknown_ms(n, jitter=0.5) for n in range(12)]
    assert looks == sorted(looks)
    assert (looks[0], looks[-1]) == (5000, 6 * 3_600_000)


def test_an_upload_has_an_hour_and_more_where_its_pace_is_set() -> None:
    assert upload_deadline(61_000_000, bytes_per_s=0, now=NOW) == NOW + 3_600_000
    assert upload_deadline(61_000_000, bytes_per_s=50_000, now=NOW) == NOW + 4_880_000
    assert upload_deadline(2_000_000_000, bytes_per_s=0, now=NOW) > NOW + 8 * 3_600_000


def test_what_was_handed_its_time_is_not_overdue_before() -> None:
    assert processing_deadline("tiktok", due_at=NOW - 5, now=NOW) == NOW + 1_800_000
    assert processing_deadline("youtube", due_at=NOW + 86_400_000, now=NOW) == NOW + 86_400_000 + 3_600_000
