"""Tasks: how long a failed attempt waits, and what a step is worth."""

from itertools import pairwise

import pytest

from vidprod.domain.task import KINDS, OPTIONAL, PRIORITY_RANK, STEPS, backoff_ms, job_percent, step_weights


def test_the_wait_doubles_and_stays_within_a_tenth() -> None:
    for attempt in range(1, 9):
        middle = 2**attempt * 1000
        assert backoff_ms(attempt, first_s=2, jitter=0.0) == pytest.approx(0.9 * middle, abs=1)
        assert backoff_ms(attempt, first_s=2, jitter=0.5) == pytest.approx(middle, abs=1)
        assert backoff_ms(attempt, first_s=2, jitter=0.999999) < 1.1 * middle


def test_the_wait_never_exceeds_ten_minutes_and_a_tenth_however_often_it_failed() -> None:
    assert backoff_ms(10, first_s=2, jitter=0.5) == 600_000
    assert backoff_ms(1000, first_s=2, jitter=0.999) <= 660_000


def test_every_kind_but_a_remake_is_a_step_and_faces_are_not_always_followed() -> None:
    assert set(KINDS) - set(STEPS) == {"remake"}
    assert tuple(step_weights(tracks=True)) == STEPS
    assert set(STEPS) - set(step_weights(tracks=False)) == {"track"} == OPTIONAL


@pytest.mark.parametrize("tracks", [True, False])
def test_a_job_goes_on_where_the_step_before_ended(tracks: bool) -> None:
    weights = step_weights(tracks=tracks)
    assert sum(weights.values()) == 100
    assert job_percent("probe", 0.0, tracks=tracks) == 0
    for before, step in pairwise(weights):
        assert job_percent(before, 1.0, tracks=tracks) == job_percent(step, 0.0, tracks=tracks)
    assert job_percent("render", 0.5, tracks=tracks) == 100 - weights["render"] / 2
    assert job_percent("render", 1.0, tracks=tracks) == 100


def test_high_goes_before_normal_before_low() -> None:
    assert PRIORITY_RANK["high"] < PRIORITY_RANK["normal"] < PRIORITY_RANK["low"]
