"""Where a speaker pauses."""

import pytest

from vidprod.domain.pauses import pauses, quietest

HOP_S = 0.02


def talk(seconds: float, *pauses: tuple[float, float, float]) -> list[float]:
    """Levels of a talk at −20 dB with pauses (from, to, level)."""
    levels = [-20.0 + (index % 7) for index in range(round(seconds / HOP_S))]
    for begin, end, level in pauses:
        for index in range(round(begin / HOP_S), round(end / HOP_S)):
            levels[index] = level
    return levels


def test_a_cut_goes_to_the_middle_of_a_pause() -> None:
    assert quietest(talk(60, (57.0, 57.6, -60.0)), hop_s=HOP_S, from_s=55, to_s=60) == pytest.approx(57.3, abs=0.03)


def test_the_quietest_of_two_pauses_is_taken() -> None:
    levels = talk(60, (56.0, 56.5, -60.0), (58.0, 58.5, -40.0))
    assert quietest(levels, hop_s=HOP_S, from_s=55, to_s=60) == pytest.approx(56.25, abs=0.03)


def test_of_equally_quiet_pauses_the_later_makes_the_longer_segment() -> None:
    levels = talk(60, (56.0, 56.5, -60.0), (58.0, 58.5, -60.0))
    assert quietest(levels, hop_s=HOP_S, from_s=55, to_s=60) == pytest.approx(58.25, abs=0.03)


def test_a_pause_that_goes_on_past_the_limit_is_cut_at_the_limit() -> None:
    assert quietest(talk(70, (56.0, 66.0, -100.0)), hop_s=HOP_S, from_s=55, to_s=60) == 60


def test_a_gap_between_two_words_is_no_pause() -> None:
    assert quietest(talk(60, (57.0, 57.06, -60.0)), hop_s=HOP_S, from_s=55, to_s=60) is None


def test_where_all_is_silent_there_is_nothing_to_snap_to() -> None:
    assert quietest([-100.0] * 3000, hop_s=HOP_S, from_s=55, to_s=60) is None


def test_a_pause_outside_the_stretch_does_not_count() -> None:
    assert quietest(talk(60, (50.0, 51.0, -60.0)), hop_s=HOP_S, from_s=55, to_s=60) is None


def test_all_pauses_are_found_for_who_cuts_by_hand() -> None:
    levels = talk(40, (3.0, 3.5, -60.0), (9.8, 10.4, -50.0), (20.0, 20.06, -60.0), (31.0, 33.0, -60.0))
    assert pauses(levels, hop_s=HOP_S) == pytest.approx([3.25, 10.1, 32.0], abs=0.03)


def test_neither_silence_nor_a_hum_has_pauses() -> None:
    assert pauses([-100.0] * 1000, hop_s=HOP_S) == []
    assert pauses(talk(20), hop_s=HOP_S) == []
    assert pauses([], hop_s=HOP_S) == []
