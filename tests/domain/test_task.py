"""Tasks: how long a failed attempt waits, and what a step is worth."""

import pytest

from vidprod.domain.task import PRIORITY_RANK, STEP_WEIGHT, STEPS, backoff_ms


def test_the_wait_doubles_and_stays_within_a_tenth() -> None:
    for attempt in range(1, 9):
        middle = 2**attempt * 1000
        assert backoff_ms(attempt, jitter=0.0) == pytest.approx(0.9 * middle, abs=1)
        assert backoff_ms(attempt, jitter=0.5) == pytest.approx(middle, abs=1)
        assert backoff_ms(attempt, jitter=0.999999) < 1.1 * middle


def test_the_wait_never_exceeds_ten_minutes_and_a_tenth_however_often_it_failed() -> None:
    assert backoff_ms(10, jitter=0.5) == 600_000
    assert backoff_ms(1000, jitter=0.999) <= 660_000


def test_the_steps_of_a_job_add_up_to_the_whole() -> None:
    assert set(STEP_WEIGHT) == set(STEPS)
    assert sum(STEP_WEIGHT.values()) == 100


def test_high_goes_before_normal_before_low() -> None:
    assert PRIORITY_RANK["high"] < PRIORITY_RANK["normal"] < PRIORITY_RANK["low"]
