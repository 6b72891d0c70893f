"""Sizes and durations as people write and read them."""

import pytest

from vidprod.units import read_bytes, read_seconds, show_bytes, show_seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("512MiB", 512 << 20), ("8 GiB", 8 << 30), ("1.5gib", 3 << 29), ("1 tib", 1 << 40), ("2MB", 2_000_000), ("7", 7)],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert read_bytes(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "8 buckets", "-1", "1e9", "1,5 GiB"])
def test_what_is_no_size_is_not_read(text: str) -> None:
    assert read_bytes(text) is None


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [("24h", 86_400), ("1h30m", 5400), ("14 days", 14 * 86_400), ("1 day 2h", 93_600), ("250ms", 0.25)],
)
def test_a_duration_is_read(text: str, duration_s: float) -> None:
    assert read_seconds(text) == duration_s


@pytest.mark.parametrize("text", ["", "90", "h", "1 week", "-1h", "1h30"])
def test_what_is_no_duration_is_not_read(text: str) -> None:
    assert read_seconds(text) is None


def test_what_is_shown_is_whole_in_its_unit() -> None:
    assert [show_bytes(size) for size in (0, 1, 1024, 1 << 20, (1 << 30) + 1024)] == [
        "0 B",
        "1 B",
        "1 KiB",
        "1 MiB",
        "1048577 KiB",
    ]
    assert [show_seconds(at) for at in (0.1, 60, 120, 5400, 86_400, 172_800)] == [
        "0.1 s",
        "60 s",
        "2 min",
        "90 min",
        "24 h",
        "2 days",
    ]
