"""Which face is which, from picture to picture."""

from collections.abc import Iterable

import numpy as np
import pytest

from tests.vision.people import Place, Rgb, needs_models, picture
from vidprod.vision.follow import MOST_FACES, Follower, Seen
from vidprod.vision.landmarks import FACE_POINTS, Landmarks, Mesh, Region

pytestmark = needs_models

SIZE = 640, 360
FRAME_US = 33_333

Where = dict[int, tuple[int, int]]  # the middle of each face, by its id


def where(seen: list[Seen]) -> Where:
    return {each.id: (round(x), round(y)) for each in seen for x, y in [each.points[:FACE_POINTS, :2].mean(axis=0)]}


def follow(
    mesh: Mesh, pictures: Iterable[Rgb], *, frame_us: int = FRAME_US, cut: int | None = None
) -> list[Where | None]:
    """What is seen in each picture; None: it was not looked at.

    Args:
        cut: the number of the picture that begins a scene.
    """
    follower = Follower(mesh, width=SIZE[0], height=SIZE[1])
    looked = []
    for number, rgb in enumerate(pictures):
        seen = follower.see(rgb, number * frame_us, cut=number == cut)
        looked.append(None if seen is None else where(seen))
    return looked


def room(*places: Place) -> Rgb:
    return picture(SIZE, *places)


def ids(looked: list[Where | None]) -> list[list[int]]:
    return [sorted(each) for each in looked if each is not None]


def test_a_face_that_moves_is_followed(mesh: Mesh) -> None:
    path = [Place(150 + 8 * n, 180 + 20 * np.sin(n / 5), 120, 2.0 * n) for n in range(40)]
    looked = follow(mesh, [room(place) for place in path])
    assert ids(looked) == [[0]] * 40
    for place, each in zip(path, looked, strict=True):
        assert each is not None
        assert np.hypot(each[0][0] - place.x, each[0][1] - place.y) < 15


def test_a_face_that_leaves_and_returns_is_the_same(mesh: Mesh) -> None:
    out = [Place(320 + 15 * n, 180, 120) for n in range(32)]
    pictures = [room(place) for place in out] + [room()] * 20 + [room(place) for place in out[::-1]]
    looked = ids(follow(mesh, pictures))
    assert looked[:18] == [[0]] * 18
    assert looked[40] == []
    assert looked[-15:] == [[0]] * 15


def test_a_face_that_a_hand_covers_is_the_same_afterwards(mesh: Mesh) -> None:
    open_, covered = room(Place(320, 180, 120)), room(Place(320, 180, 120))
    covered[80:300, 240:400] = (190, 140, 120)
    looked = ids(follow(mesh, [open_] * 10 + [covered] * 10 + [open_] * 10))
    assert (looked[9], looked[15]) == ([0], [])
    assert looked[-5:] == [[0]] * 5


def test_two_faces_keep_their_ids(mesh: Mesh) -> None:
    """One rises while the other sinks, one comes nearer."""
    pictures = [room(Place(170, 130 + 3 * n, 90), Place(460, 220 - 3 * n, 90 + 2 * n)) for n in range(20)]
    looked = follow(mesh, pictures)
    assert ids(looked) == [[0, 1]] * 20
    first, last = looked[0], looked[-1]
    assert first is not None
    assert last is not None
    assert {number: x < 320 for number, (x, _) in first.items()} == {number: x < 320 for number, (x, _) in last.items()}


def test_faces_that_swap_places_keep_their_ids(mesh: Mesh) -> None:
    """They pass each other, the one in front hides the other; both look the same, so only their ways tell."""
    pictures = [room(Place(520 - 10 * n, 190, 100), Place(120 + 10 * n, 180, 120)) for n in range(41)]
    looked = follow(mesh, pictures)
    first, last = looked[0], looked[-1]
    assert first is not None
    assert last is not None
    assert set(last) == set(first) == {0, 1}
    assert {number for number, (x, _) in first.items() if x < 320} == {n for n, (x, _) in last.items() if x > 320}


def in_red_light(rgb: Rgb) -> Rgb:
    """As somebody else."""
    return np.asarray(rgb * np.array([1.0, 0.5, 0.5]), np.uint8)


def test_after_a_cut_a_face_elsewhere_is_another(mesh: Mesh) -> None:
    pictures = [room(Place(150, 150, 90))] * 8 + [in_red_light(room(Place(450, 200, 160)))] * 8
    assert ids(follow(mesh, pictures, cut=8)) == [[0]] * 8 + [[1]] * 8


def test_after_a_cut_a_face_in_the_same_place_is_the_same(mesh: Mesh) -> None:
    pictures = [room(Place(320, 180, 120))] * 8 + [room(Place(330, 185, 125))] * 8
    assert ids(follow(mesh, pictures, cut=8)) == [[0]] * 16


def test_after_a_cut_another_face_in_the_same_place_is_another(mesh: Mesh) -> None:
    pictures = [room(Place(320, 180, 120))] * 8 + [in_red_light(room(Place(320, 180, 120)))] * 8
    assert ids(follow(mesh, pictures, cut=8)) == [[0]] * 8 + [[1]] * 8


@pytest.mark.parametrize(("cut", "last"), [(None, 0), (6, 1)])
def test_somebody_alike_nearby_is_the_same_unless_there_was_a_cut(mesh: Mesh, cut: int | None, last: int) -> None:
    lit = (room(Place(420, 180, 120)) * np.array([1.0, 0.75, 0.75])).astype(np.uint8)
    pictures = [room(Place(300, 180, 120))] * 6 + [lit] * 6
    assert ids(follow(mesh, pictures, cut=cut))[-1] == [last]


def test_who_returns_after_two_cuts_is_known(mesh: Mesh) -> None:
    one, other = room(Place(200, 180, 120)), in_red_light(room(Place(450, 180, 120)))
    seen = []
    follower = Follower(mesh, width=SIZE[0], height=SIZE[1])
    for number, rgb in enumerate([one] * 4 + [other] * 4 + [one] * 4):
        seen.append(sorted(where(follower.see(rgb, number * FRAME_US, cut=number in (4, 8)) or [])))
    assert seen == [[0]] * 4 + [[1]] * 4 + [[0]] * 4


def test_nobody_is_seen_where_nobody_is(mesh: Mesh) -> None:
    assert ids(follow(mesh, [room()] * 12)) == [[]] * 12


class Fickle(Mesh):
    """Sees faces in its first looks only, as a detector that took a shirt for one."""

    def __init__(self, mesh: Mesh, looks: int) -> None:
        self._mesh, self._left = mesh, looks

    def find(self, picture: Rgb) -> list[Region]:
        self._left -= 1
        return self._mesh.find(picture) if self._left >= 0 else []

    def trace(self, picture: Rgb, region: Region) -> tuple[Landmarks, float]:
        return self._mesh.trace(picture, region)


@pytest.mark.parametrize(("looks", "followed"), [(1, False), (5, True)])
def test_what_the_detector_sees_but_once_is_no_face(mesh: Mesh, looks: int, followed: bool) -> None:
    rgb = room(Place(320, 180, 120))
    follower = Follower(Fickle(mesh, looks), width=SIZE[0], height=SIZE[1])
    seen = [follower.see(rgb, n * FRAME_US) for n in range(45)]
    assert seen[0]
    assert bool(seen[-1]) == followed
    assert follower.doubtful() == (set() if followed else {0})


def test_of_many_faces_the_largest_are_followed(mesh: Mesh) -> None:
    places = [Place(80 + 120 * n, 100 if n % 2 else 240, 60 + 6 * n) for n in range(5)]
    looked = follow(mesh, [room(*places)] * 20)
    assert [len(each) for each in ids(looked)] == [MOST_FACES] * 20
    assert len({tuple(each) for each in ids(looked)}) == 1  # and they do not take turns
    assert looked[0] is not None
    assert min(x for x, _ in looked[0].values()) > 150


@pytest.mark.parametrize(("rate", "every"), [(24, 1), (30, 1), (50, 2), (60, 2), (120, 4), (240, 8), (1, 1)])
def test_faces_are_traced_at_most_thirty_times_a_second(mesh: Mesh, rate: int, every: int) -> None:
    rgb = room(Place(320, 180, 120))
    looked = follow(mesh, [rgb] * (10 * every), frame_us=round(1_000_000 / rate))
    assert [each is not None for each in looked] == ([True] + [False] * (every - 1)) * 10


def test_a_clock_that_jitters_leaves_no_picture_out(mesh: Mesh) -> None:
    """As phones record; pictures of a burst, or of a second camera's rate, are left out."""
    rgb, random = room(Place(320, 180, 120)), np.random.default_rng(1)
    follower = Follower(mesh, width=SIZE[0], height=SIZE[1])
    steps = 33_333 * (1 + random.uniform(-0.12, 0.12, 60))
    times = np.cumsum(steps).astype(int).tolist()
    assert None not in [follower.see(rgb, at_us) for at_us in times]
    assert [follower.see(rgb, times[-1] + n * 2_000) for n in range(1, 10)] == [None] * 9


def test_twice_the_pictures_do_not_change_what_is_seen(mesh: Mesh) -> None:
    path = [room(Place(200 + 3 * n, 180, 120)) for n in range(41)]
    at_60 = [each for each in follow(mesh, path, frame_us=16_667) if each is not None]
    at_30 = follow(mesh, path[::2], frame_us=33_334)
    assert at_60 == at_30


def test_the_small_picture_is_as_large_as_the_face_needs(mesh: Mesh) -> None:
    def side(width: int) -> int:
        follower = Follower(mesh, width=1920, height=1080)
        for n in range(3):
            follower.see(room(Place(320, 180, width)), n * FRAME_US)
        return follower.side

    assert side(200) == 640  # 600 of 1920 wide: as it was, for a change is a jump
    assert side(70) == 960
    assert side(280) == 500
    assert Follower(mesh, width=1920, height=1080).side == 640
