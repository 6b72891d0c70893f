"""Token buckets: a burst, then an even pace, in bounded memory."""

import random
import tracemalloc

from vidprod.domain.bucket import MOST, Buckets, Rule

MINUTELY = Rule(quota=60, window_s=60, burst=30)


def taken(buckets: Buckets, key: str, *, now_s: float, tries: int) -> int:
    return sum(buckets.take(key, now_s=now_s) == 0 for _ in range(tries))


def test_a_burst_goes_through_and_then_an_even_pace() -> None:
    buckets = Buckets(MINUTELY)
    assert taken(buckets, "a", now_s=1000, tries=50) == 30
    assert buckets.take("a", now_s=1000) == 1.0
    assert taken(buckets, "a", now_s=1000.5, tries=5) == 0
    assert taken(buckets, "a", now_s=1001, tries=5) == 1
    assert taken(buckets, "a", now_s=1011, tries=50) == 10
    assert taken(buckets, "a", now_s=5000, tries=50) == 30  # never more than the burst


def test_what_was_refused_costs_nothing() -> None:
    buckets = Buckets(MINUTELY)
    taken(buckets, "a", now_s=0, tries=10_000)
    assert buckets.wait_s("a", now_s=0) == 1.0
    assert buckets.take("a", now_s=1) == 0


def test_each_client_has_its_own() -> None:
    buckets = Buckets(MINUTELY)
    taken(buckets, "a", now_s=0, tries=100)
    assert buckets.take("b", now_s=0) == 0


def test_what_is_left_is_told() -> None:
    buckets = Buckets(MINUTELY)
    assert (buckets.left("a", now_s=7), buckets.full_in_s("a", now_s=7)) == (30, 0)
    taken(buckets, "a", now_s=7, tries=12)
    assert (buckets.left("a", now_s=7), buckets.full_in_s("a", now_s=7)) == (18, 12)
    assert (buckets.left("a", now_s=11.5), buckets.full_in_s("a", now_s=11.5)) == (22, 7.5)


def test_never_more_than_the_rule_allows_in_any_stretch_of_time() -> None:
    randomly = random.Random(5)
    buckets, now_s, times = Buckets(MINUTELY), 0.0, []
    for _ in range(5000):
        now_s += randomly.expovariate(2)
        if buckets.take("a", now_s=now_s) == 0:
            times.append(now_s)
    for first in range(len(times)):
        for last in range(first, min(first + 200, len(times))):
            assert last - first + 1 <= 30 + (times[last] - times[first]) + 1e-3
    assert len(times) > 0.9 * now_s  # and what it allows is had


def test_a_flood_of_addresses_takes_no_more_memory() -> None:
    buckets = Buckets(MINUTELY)
    for number in range(MOST):
        buckets.take(f"2001:db8:{number:x}::/64", now_s=number)
    tracemalloc.start()
    for number in range(10_000):
        buckets.take(f"2001:db9:{number:x}::/64", now_s=MOST + number)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(buckets) == MOST
    assert grown < 1 << 20  # the keys that took the place of others, which were made before


def test_who_came_last_is_remembered_longest() -> None:
    buckets = Buckets(MINUTELY, most=3)
    for key in "abca":
        taken(buckets, key, now_s=0, tries=30)
    buckets.take("d", now_s=0)  # b goes
    assert [buckets.left(key, now_s=0) for key in "abcd"] == [30 * (key == "b") for key in "abc"] + [29]
