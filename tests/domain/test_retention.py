"""Which backups are kept."""

from datetime import UTC, datetime, timedelta

from vidprod.domain.retention import made_at, name_of, newest, to_remove


def nightly(days: int) -> list[str]:
    last = datetime(2026, 11, 22, 3, 30, tzinfo=UTC)  # a Sunday
    return [name_of(int((last - timedelta(days=n)).timestamp() * 1000)) for n in range(days)]


def test_a_name_says_when_it_was_made() -> None:
    assert name_of(1_795_318_200_000) == "vidprod-20261122T033000Z.tar"
    assert made_at("vidprod-20261122T033000Z.tar") == datetime(2026, 11, 22, 3, 30, tzinfo=UTC)
    assert made_at("vidprod-20261399T033000Z.tar") is None


def test_the_newest_of_seven_days_and_of_four_weeks_stay() -> None:
    names = nightly(60)
    kept = sorted(set(names) - set(to_remove(names, daily=7, weekly=4)))
    assert [name[8:16] for name in kept] == [
        "20261101", "20261108", "20261115",
        "20261116", "20261117", "20261118", "20261119", "20261120", "20261121", "20261122",
    ]  # fmt: skip


def test_of_a_day_the_newest_stays_and_days_without_one_do_not_count() -> None:
    names = ["vidprod-20260101T000000Z.tar", "vidprod-20260101T120000Z.tar", "vidprod-20260301T000000Z.tar"]
    assert to_remove(names, daily=2, weekly=0) == ["vidprod-20260101T000000Z.tar"]


def test_what_is_not_ours_is_never_taken_away() -> None:
    names = ["vidprod.tar", "vidprod-20200101.tar", "holiday.jpg", "vidprod-20200101T000000Z.tar.sig", *nightly(1)]
    assert to_remove(names, daily=1, weekly=0) == []
    assert newest(names) == nightly(1)[0]
