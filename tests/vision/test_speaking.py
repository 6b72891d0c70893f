"""Who speaks is guessed from mouths that move while there is voice."""

import numpy as np
import pytest

from vidprod.vision import speaking

SECONDS = 12
AT = np.arange(SECONDS * speaking.SAMPLES_A_S) / speaking.SAMPLES_A_S
SYLLABLES = 0.12 + 0.12 * np.sin(2 * np.pi * 4.3 * AT)
BOTH = np.ones((2, len(AT)), np.bool_)

Values = speaking.Values


def mouths(*opening: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Values:
    noise = np.random.default_rng(2).normal(0, 0.008, (len(opening), len(AT)))
    return (np.stack(opening) + noise).astype(np.float32)


def heard(when: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Values:
    levels = np.where(when & (SYLLABLES > 0.1), -25.0, -55.0) + np.random.default_rng(3).normal(0, 2, len(AT))
    return speaking.voice(levels.astype(np.float32))


def test_turns_are_told_apart() -> None:
    first = AT < 6
    shares = speaking.shares(mouths(SYLLABLES * first, SYLLABLES * ~first), BOTH, heard(first | ~first))
    for who, begin, end in ((0, 1, 5), (1, 7, 11)):
        part = slice(begin * speaking.SAMPLES_A_S, end * speaking.SAMPLES_A_S)
        assert shares[who, part].min() > 0.7
        assert shares[1 - who, part].max() < 0.2


def test_a_mouth_that_moves_in_silence_does_not_speak() -> None:
    chews = AT > 6
    shares = speaking.shares(mouths(SYLLABLES * ~chews, 1.5 * SYLLABLES * chews), BOTH, heard(~chews))
    assert shares[0, : 5 * speaking.SAMPLES_A_S].min() > 0.7
    assert speaking.talk(heard(~chews))[8 * speaking.SAMPLES_A_S :].max() < 0.2


def test_of_two_closed_mouths_none_speaks() -> None:
    """Somebody off screen does: the noise of landmarks is no speech."""
    still = np.zeros(len(AT))
    shares = speaking.shares(mouths(still, still), BOTH, heard(AT >= 0))
    assert shares.max() < 0.35


def test_a_face_that_is_not_there_does_not_speak() -> None:
    seen = np.stack([AT >= 0, AT < 0])
    assert speaking.shares(mouths(SYLLABLES, SYLLABLES), seen, heard(AT >= 0))[1].max() == 0


def test_a_steady_hum_has_no_pauses_and_counts_as_voice() -> None:
    assert speaking.voice(np.full(500, -30.0, np.float32)).min() == 1.0
    assert speaking.voice(np.zeros(0, np.float32)).size == 0


def test_the_opening_is_that_of_the_mouths_own_width() -> None:
    mouth = np.array([[[0, 0], [40, 0], [20, -5], [20, 5]], [[0, 0], [80, 0], [40, -10], [40, 10]]], np.float32)
    assert speaking.opening(mouth).tolist() == pytest.approx([0.25, 0.25])
