"""The crop is around whoever matters, and shows the whole picture where nobody can be told to."""

from itertools import pairwise

import numpy as np
import pytest

from tests.vision.takes import CROP, WIDE, Motion, Values, face, times, track
from vidprod.domain.canvas import layout
from vidprod.vision.framing import CropPath, follow
from vidprod.vision.track import Face, Track

HOP_S = 0.02
Shown = list[tuple[float, float, str]]


def path_of(
    taken: Track, *, heard: Values | None = None, blurs: bool = True, asked_for: bool = False
) -> CropPath | None:
    levels = None if heard is None else heard.astype(np.float32)
    canvas = layout(taken.width, taken.height, frame="fill")
    return follow(taken, canvas=canvas, listen=lambda: levels, hop_s=HOP_S, blurs=blurs, asked_for=asked_for)


def pieces(taken: Track, *, heard: Values | None = None) -> Shown:
    """Begin and end in seconds of what is shown; the crop by the place of its middle, in pixels, while it holds."""
    path = path_of(taken, heard=heard)
    assert path is not None
    named = []
    for piece in path.pieces:
        still = f"{piece.start * (WIDE[0] - CROP) + CROP / 2:.0f}" if piece.start == piece.stop else "moves"
        named.append((piece.begin_us / 1e6, piece.end_us / 1e6, still if piece.close else "whole"))
    return named


def names(shown: Shown) -> list[str]:
    return [name for _, _, name in shown]


def syllables(t: Values) -> Values:
    return np.asarray(0.12 + 0.12 * np.sin(2 * np.pi * 4.3 * t))


def speech(seconds: float) -> Values:
    t = (np.arange(round(seconds / HOP_S)) + 0.5) * HOP_S
    return np.asarray(np.where(syllables(t) > 0.1, -25.0, -50.0) + np.random.default_rng(5).normal(0, 2, len(t)))


def speaks(begin: float, end: float) -> Motion:
    return lambda t: np.where((t >= begin) & (t < end), syllables(t), 0.01)


T = times(20)


def test_a_still_speaker_has_a_still_crop() -> None:
    ((begin, end, name),) = pieces(track(T, face(1, T, 500.0)))
    assert (begin, name) == (0, "500")
    assert end == pytest.approx(20)


def test_at_the_edge_the_crop_ends_with_the_picture() -> None:
    assert names(pieces(track(T, face(1, T, 90.0)))) == [f"{CROP / 2:.0f}"]


@pytest.mark.parametrize(("seconds", "moved"), [(0.5, 60), (0.9, -60), (2.0, 0)])
def test_a_face_lost_for_a_moment_moves_nothing(seconds: float, moved: float) -> None:
    there = face(1, T, lambda t: 600 + moved * (t > 10), seen=lambda t: (t < 10) | (t >= 10 + seconds))
    assert len(pieces(track(T, there))) == 1


def test_a_face_that_is_found_again_under_another_number_is_the_same() -> None:
    before, after = face(1, T, 600.0, seen=lambda t: t < 9), face(2, T, 610.0, seen=lambda t: t >= 9.4)
    path = path_of(track(T, before, after))
    assert path is not None
    assert len(path.pieces) == 1
    assert path.report([(int(at), path.window(int(at))) for at in T]).speakers == 1


def test_a_face_that_is_long_away_leaves_the_whole_picture() -> None:
    there = face(1, T, 600.0, seen=lambda t: (t < 8) | (t >= 13))
    shown = pieces(track(T, there))
    assert names(shown) == ["600", "whole", "600"]
    begin, end, _ = shown[1]
    assert begin == pytest.approx(8, abs=0.25)
    assert end == pytest.approx(13, abs=0.25)


def test_nothing_flickers_between_the_crop_and_the_whole() -> None:
    random = np.random.default_rng(8)
    bounds = np.cumsum(random.uniform(0.3, 6, 40))
    long = times(float(bounds[-1]))
    there = face(1, long, 600.0, seen=lambda t: np.searchsorted(bounds, t) % 2 == 0)
    path = path_of(track(long, there))
    assert path is not None
    for before, after in pairwise(path.pieces):
        if before.close != after.close and before.begin_us > 0:
            assert before.end_us - before.begin_us >= 1_500_000


def test_without_a_face_there_is_no_path() -> None:
    assert path_of(track(T)) is None
    assert path_of(track(T[:0])) is None


def test_a_face_that_only_passed_makes_no_take_of_it_unless_asked() -> None:
    long = times(60)
    passed = track(long, face(1, long, 600.0, seen=lambda t: (t > 20) & (t < 24)))
    assert path_of(passed) is None
    asked = path_of(passed, asked_for=True)
    assert asked is not None
    assert asked.close_share == pytest.approx(4 / 60, abs=0.01)


def test_two_that_fit_are_kept_together() -> None:
    both = track(T, face(1, T, 560.0, size=120), face(2, T, 720.0, size=120))
    assert names(pieces(both)) == ["640"]


def test_somebody_in_the_background_does_not_count() -> None:
    assert names(pieces(track(T, face(1, T, 300.0), face(2, T, 1000.0, size=60)))) == ["300"]


def test_of_two_that_are_far_apart_the_one_who_speaks_is_shown() -> None:
    left = face(1, T, 300.0, open_=lambda t: speaks(0, 6)(t) + speaks(13, 20)(t))
    right = face(2, T, 980.0, open_=speaks(6, 13))
    shown = pieces(track(T, left, right), heard=speech(20))
    assert names(shown) == ["300", "980", "300"]
    assert [begin for begin, _, _ in shown[1:]] == [pytest.approx(6, abs=0.5), pytest.approx(13, abs=0.5)]


def test_the_sound_is_listened_to_only_where_it_matters_who_speaks() -> None:
    def listen() -> None:
        raise AssertionError("it was listened to")

    for taken in (track(T, face(1, T, 300.0)), track(T, face(1, T, 560.0, size=120), face(2, T, 720.0, size=120))):
        canvas = layout(*WIDE, frame="fill")
        assert follow(taken, canvas=canvas, listen=listen, hop_s=HOP_S, blurs=True, asked_for=False) is not None
    far = track(T, face(1, T, 300.0), face(2, T, 980.0))
    with pytest.raises(AssertionError):
        follow(far, canvas=canvas, listen=listen, hop_s=HOP_S, blurs=True, asked_for=False)


def test_a_short_word_between_turns_nobodys_head() -> None:
    left = face(1, T, 300.0, open_=lambda t: speaks(0, 20)(t) * ~((t > 9) & (t < 9.8)))
    right = face(2, T, 980.0, open_=speaks(9, 9.8))
    assert names(pieces(track(T, left, right), heard=speech(20))) == ["300"]


@pytest.mark.parametrize("sound", [False, True])
def test_where_nobody_can_be_told_to_speak_the_whole_picture_is_shown(sound: bool) -> None:
    far = track(T, face(1, T, 300.0), face(2, T, 980.0))
    assert path_of(far, heard=speech(20) if sound else None) is None


def test_who_comes_together_is_framed_together_without_a_cut() -> None:
    left = face(1, T, 400.0, size=120)
    comes = face(2, T, lambda t: 1150 - 600 * np.clip((t - 8) / 3, 0, 1), size=120, seen=lambda t: t > 8)
    path = path_of(track(T, left, comes))
    assert path is not None
    assert path.window(19_000_000).place * (WIDE[0] - CROP) + CROP / 2 == pytest.approx(475, abs=25)
    assert path.report([(int(at), path.window(int(at))) for at in T]).cuts == 0


def test_the_crop_jumps_with_the_picture() -> None:
    jumps = track(T, face(1, T, lambda t: np.where(t < 7, 300.0, 800.0)), cuts_s=(7.0,))
    path = path_of(jumps)
    assert path is not None
    assert names(pieces(jumps)) == ["300", "800"]
    assert path.pieces[1].begin_us == T[210], "not with the picture that begins the scene"
    assert path.window(int(T[210]) - 1).place < path.window(int(T[210])).place


def test_a_cut_found_where_none_is_changes_nothing() -> None:
    assert names(pieces(track(T, face(1, T, 600.0), cuts_s=(3.0, 3.1, 9.0)))) == ["600"]


@pytest.mark.parametrize(("seconds", "expected"), [(1.0, 2), (6.0, 3)])
def test_a_scene_without_a_face_is_shown_whole_unless_it_is_short(seconds: float, expected: int) -> None:
    end = 7 + seconds
    there = face(1, T, lambda t: np.where(t < 7, 300.0, 800.0), seen=lambda t: (t < 7) | (t >= end))
    shown = pieces(track(T, there, cuts_s=(7.0, end)))
    assert len(shown) == expected
    assert ("whole" in names(shown)) == (expected == 3)


def test_what_need_not_blur_stays_a_crop() -> None:
    """A portrait, wider than 9:16, has always been cropped in its middle."""
    there = face(1, T, 360.0, seen=lambda t: t < 8)
    path = path_of(track(T, there, size=(720, 960)), blurs=False)
    assert path is not None
    assert all(piece.close for piece in path.pieces)


def test_in_a_tall_picture_the_eyes_are_at_a_third() -> None:
    there = track(T, face(1, T, 180.0, y=lambda t: 700.0 + 0 * t, size=160), size=(360, 1280))
    path = path_of(there)
    assert path is not None
    top = path.window(0).place * (1280 - 640)
    assert 0.3 < (700 - 0.15 * 160 - top) / 640 < 0.42


WALKS: dict[str, Motion] = {
    "walks": lambda t: 450 + 500 * np.clip((t - 6) / 7, 0, 1),
    "sways": lambda t: 640 + 80 * np.sin(2 * np.pi * t / 3),
    "drifts": lambda t: 500 + 12 * t,
}


@pytest.mark.parametrize("name", WALKS)
@pytest.mark.parametrize("rate", [24.0, 25.0, 60.0, 7.0])
def test_the_rate_of_the_pictures_does_not_change_the_path(name: str, rate: float) -> None:
    usual, other = times(20), times(20, rate=rate)
    first = path_of(track(usual, face(1, usual, WALKS[name])))
    second = path_of(track(other, face(1, other, WALKS[name])))
    assert first is not None
    assert second is not None
    at = range(0, 20_000_000, 100_000)
    apart = [abs(first.window(t).place - second.window(t).place) * (WIDE[0] - CROP) / CROP for t in at]
    assert np.median(apart) < 0.01
    assert max(apart) < 0.08
    assert len(first.pieces) == len(second.pieces)


@pytest.mark.parametrize("name", WALKS)
def test_a_mirrored_take_has_the_mirrored_path(name: str) -> None:
    plain = path_of(track(T, face(1, T, WALKS[name])))
    mirrored = path_of(track(T, face(1, T, lambda t: WIDE[0] - WALKS[name](t))))
    assert plain is not None
    assert mirrored is not None
    for at in range(0, 20_000_000, 200_000):
        assert plain.window(at).place + mirrored.window(at).place == pytest.approx(1, abs=0.02)


def test_a_walk_is_one_move_and_keeps_the_face_inside() -> None:
    path = path_of(track(T, face(1, T, WALKS["walks"])))
    assert path is not None
    for at in T:
        left = path.window(int(at)).place * (WIDE[0] - CROP)
        x = float(WALKS["walks"](np.array([at / 1e6]))[0])
        assert left <= x - 80
        assert x + 80 <= left + CROP
    report = path.report([(int(at), path.window(int(at))) for at in T])
    assert (report.followed, report.blurred, report.moves, report.cuts, report.speakers) == (1.0, 0.0, 1, 0, 1)


def test_the_report_is_of_the_segment_alone() -> None:
    left = face(1, T, 300.0, open_=speaks(0, 10))
    right = face(2, T, 980.0, open_=speaks(10, 20))
    path = path_of(track(T, left, right), heard=speech(20))
    assert path is not None
    halves = [
        path.report([(int(at), path.window(int(at))) for at in T if begin <= at < end])
        for begin, end in ((0, 9_000_000), (9_000_000, 20_000_000))
    ]
    assert [(half.cuts, half.speakers) for half in halves] == [(0, 1), (1, 2)]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_was_found_there_is_a_window_for_every_moment(seed: int) -> None:
    """Few pictures or many, faces that come and go, of any size and beyond the edges, cuts anywhere."""
    random = np.random.default_rng(seed)
    size = [(1280, 720), (500, 480), (3000, 400), (360, 1280)][seed % 4]
    seconds = float(random.choice([0.04, 0.5, 3, 25]))
    rate = float(random.choice([1, 12, 30, 120]))
    at = times(max(seconds, 1 / rate), rate=rate)

    def somebody(number: int) -> Face | None:
        bounds = np.cumsum(random.uniform(0.05, 4, 60))
        middle, speed = random.uniform(-50, size[0] + 50), random.normal(0, 80)
        shown = face(
            number,
            at,
            lambda t: middle + speed * t,
            size=float(random.uniform(4, 700)),
            y=float(random.uniform(0, size[1])),
            seen=lambda t: np.searchsorted(bounds, t) % 2 == number % 2,
        )
        return shown if len(shown.at) else None

    faces = [each for number in range(int(random.integers(0, 6))) if (each := somebody(number)) is not None]
    cuts = tuple(np.sort(random.uniform(0, seconds, int(random.integers(0, 5)))).tolist())
    levels = random.uniform(-90, -5, round(seconds / HOP_S))
    path = path_of(track(at, *faces, cuts_s=cuts, size=size), heard=levels, blurs=bool(seed % 2), asked_for=True)
    if path is None:
        return
    assert path.pieces[0].begin_us == 0
    for before, after in pairwise(path.pieces):
        assert before.end_us == after.begin_us > before.begin_us
    for moment in np.linspace(-1e6, seconds * 1.1e6, 300):
        assert 0 <= path.window(int(moment)).place <= 1
    report = path.report([(int(moment), path.window(int(moment))) for moment in at])
    assert report.followed + report.blurred == pytest.approx(1)
