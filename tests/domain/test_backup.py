"""When a nightly backup is due."""

from datetime import UTC, datetime

from vidprod.domain.backup import AGAIN_MS, STALE_MS, Standing, in_words, is_due

DAY_MS = 86_400_000


def at(day: int, hour: int, minute: int = 0) -> int:
    return int(datetime(2026, 11, day, hour, minute, tzinfo=UTC).timestamp() * 1000)


def test_it_is_due_once_at_its_time_of_day() -> None:
    standing = Standing(since=at(20, 12))
    assert not is_due(standing, at="03:30", now=at(21, 3, 29))
    assert is_due(standing, at="03:30", now=at(21, 3, 30))
    made = Standing(since=at(20, 12), at=at(21, 3, 31))
    assert not is_due(made, at="03:30", now=at(22, 3, 29))
    assert is_due(made, at="03:30", now=at(22, 3, 30))


def test_what_was_missed_is_made_up_for() -> None:
    assert is_due(Standing(since=at(1, 12), at=at(2, 3, 31)), at="03:30", now=at(9, 1))


def test_after_a_failure_it_is_tried_again_in_an_hour() -> None:
    failed = Standing(since=at(20, 12), failed_at=at(21, 3, 31), fault="no room")
    assert not is_due(failed, at="03:30", now=at(21, 3, 31) + AGAIN_MS - 1)
    assert is_due(failed, at="03:30", now=at(21, 3, 31) + AGAIN_MS)
    assert in_words(failed, now=at(21, 4)) == "none was made yet; the last attempt failed: no room"


def test_somebody_should_look_when_there_is_none_of_last_night() -> None:
    made = Standing(since=at(1, 0), at=at(21, 3))
    assert not made.is_stale(now=at(21, 3) + STALE_MS)
    assert made.is_stale(now=at(21, 3) + STALE_MS + 1)
    assert in_words(made, now=at(21, 15)) == "the last one is 12 h old"
