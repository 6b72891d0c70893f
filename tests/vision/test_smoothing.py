"""What is measured is made calm: edges stay, runs do not mix, and the frame rate is no matter."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidprod.vision.smoothing import Clock, ramp, runs_of

Values = NDArray[np.float64]
Smooth = Callable[[Clock, Values], Values]

SMOOTHERS: dict[str, Smooth] = {
    "median": lambda clock, values: clock.median(values, 0.1),
    "mean": lambda clock, values: clock.mean(values, 0.2),
    "calm": lambda clock, values: clock.calm(values, 0.2, spread=1.0),
    "lowest": lambda clock, values: clock.lowest(values, 0.15),
}
each_smoother = pytest.mark.parametrize("smooth", SMOOTHERS.values(), ids=SMOOTHERS)


def times(seconds: float, rate: float = 30.0) -> Values:
    return np.arange(round(seconds * rate)) / rate


def clock_of(at: Values, *, cut_s: float | None = None) -> Clock:
    return Clock(at, np.zeros(len(at), int) if cut_s is None else (at >= cut_s - 1e-9).astype(int))


@each_smoother
@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_what_stands_still_stays_as_it_is(smooth: Smooth, shape: tuple[int, ...]) -> None:
    still = np.broadcast_to(np.arange(np.prod(shape, dtype=int)).reshape(shape) + 0.7, (40, *shape))
    assert smooth(clock_of(times(40 / 30)), still) == pytest.approx(still)


@each_smoother
def test_another_scene_does_not_count(smooth: Smooth) -> None:
    at = times(2)
    values = np.where(at < 1, 0.0, 0.8)
    assert smooth(clock_of(at, cut_s=1.0), values) == pytest.approx(values)
    if smooth is not SMOOTHERS["median"]:
        assert smooth(clock_of(at), values) != pytest.approx(values, abs=0.1), "the cut would be no test"


@each_smoother
@pytest.mark.parametrize("rate", [24, 25, 60, 120])
def test_the_frame_rate_is_no_matter(smooth: Smooth, rate: int) -> None:
    def of(at: Values) -> Values:
        return np.asarray(np.sin(3 * at))

    usual, other = times(4, 30), times(4, rate)
    found = np.interp(usual, other, smooth(clock_of(other), of(other)))
    inner = (usual > 0.3) & (usual < 3.7)
    assert np.abs(found - smooth(clock_of(usual), of(usual)))[inner].max() < 0.1


@each_smoother
def test_few_pictures_are_enough(smooth: Smooth) -> None:
    for count in (0, 1, 2):
        assert smooth(clock_of(times(count, 1)), np.ones(count)) == pytest.approx(np.ones(count))


@each_smoother
def test_at_one_picture_a_second_nothing_mixes(smooth: Smooth) -> None:
    values = np.array([1.0, 5.0, 2.0, 2.0, 9.0])
    assert smooth(clock_of(times(5, 1)), values) == pytest.approx(values)


def test_the_median_takes_a_mistake_away_and_leaves_an_edge_where_it_is() -> None:
    at = times(2)
    edge = np.where(at < 1, 0.0, 8.0)
    wrong = edge.copy()
    wrong[[10, 45]] += 30
    assert clock_of(at).median(wrong, 0.1) == pytest.approx(edge)
    assert clock_of(at).mean(wrong, 0.1) != pytest.approx(edge, abs=1.0)


def test_nothing_lags() -> None:
    at = times(3)
    inner = slice(12, -12)
    for name in ("median", "mean", "calm"):
        assert SMOOTHERS[name](clock_of(at), at)[inner] == pytest.approx(at[inner], abs=1e-3), name


def test_a_saccade_stays_sharp_and_noise_becomes_calm() -> None:
    at = times(4)
    saccade = np.where(at < 2, -8.0, 8.0)
    noise = np.random.default_rng(5).normal(0, 0.5, len(at))
    clock = clock_of(at)
    calm = clock.calm(saccade + noise, 0.25, spread=3.0)
    assert np.abs(calm - saccade).max() < 1.2
    assert (calm - saccade).std() < 0.6 * noise.std()
    assert np.abs(clock.mean(saccade + noise, 0.25) - saccade).max() > 4, "a plain mean would do"


def test_the_lowest_is_kept_to_both_sides() -> None:
    at = times(2)
    values = np.ones(60)
    values[30] = 0.2
    low = clock_of(at).lowest(values, 0.15)
    assert low[27:34] == pytest.approx(np.full(7, 0.2))
    assert low[[20, 40]] == pytest.approx([1, 1])


def test_what_is_no_good_lies_between_what_is() -> None:
    at = times(1, 10)
    values = np.stack([at * 10, -at * 10], axis=1)
    good = np.ones(10, bool)
    good[4:7] = False
    spoiled = np.where(good[:, None], values, 99.0)
    assert clock_of(at).filled(spoiled, good) == pytest.approx(values)


def test_where_nothing_is_good_it_stays_as_it_is() -> None:
    values = np.arange(20.0)
    assert clock_of(times(2, 10)).filled(values, np.zeros(20, bool)) == pytest.approx(values)
    assert clock_of(times(2, 10), cut_s=1.0).filled(values, times(2, 10) < 1) == pytest.approx(values)


def test_a_scene_that_begins_with_no_good_takes_nothing_from_the_one_before() -> None:
    at = times(2, 10)
    values = np.where(at < 1, 0.0, 8.0)
    good = (at < 1) | (at > 1.35)
    spoiled = np.where(good, values, 99.0)
    assert clock_of(at, cut_s=1.0).filled(spoiled, good) == pytest.approx(values)


def test_a_new_scene_and_a_gap_begin_a_new_run() -> None:
    at = np.array([0.0, 0.1, 0.2, 0.7, 0.8, 0.9])
    assert runs_of(at, np.zeros(6, int), gap_s=0.2).tolist() == [0, 0, 0, 1, 1, 1]
    assert runs_of(at, np.array([0, 0, 0, 0, 3, 3]), gap_s=1.0).tolist() == [0, 0, 0, 0, 1, 1]
    assert runs_of(np.zeros(0), np.zeros(0, int), gap_s=0.2).tolist() == []


@pytest.mark.parametrize(("low", "high"), [(2.0, 4.0), (3.0, 3.0)])
def test_a_ramp_rises_from_nothing_to_all(low: float, high: float) -> None:
    values: Any = np.linspace(0, 6, 61)
    share = ramp(values, low, high)
    assert (np.diff(share) >= 0).all()
    assert share[values < low - 1e-9].max() == 0
    assert share[values > high + 1e-9].min() == 1
