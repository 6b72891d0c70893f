"""The track in memory, and its file."""

import contextlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidprod.errors import BadTrack
from vidprod.vision import track as module
from vidprod.vision.follow import Seen
from vidprod.vision.track import MAGIC, ROW, Face, Looks, Track, TrackWriter

SIZE = 1280, 720
FRAME_US = 33_333


def seen(number: int, x: float = 640, y: float = 360, *, width: float = 100, confidence: float = 0.9) -> Seen:
    """A face of this width around (x, y)."""
    around = np.random.default_rng(1).uniform(-0.5, 0.5, (478, 3))
    around[:2, :2] = [[-0.5, -0.5], [0.5, 0.5]]
    return Seen(number, (around * width + [x, y, 0]).astype(np.float32), confidence)


def write(
    path: Path, pictures: Sequence[Sequence[Seen] | None], *, scenes: Sequence[int] | None = None, **options: Any
) -> Path:
    numbers = np.array(scenes if scenes is not None else [0] * len(pictures), np.int32)
    with TrackWriter(path, width=SIZE[0], height=SIZE[1]) as writer:
        for number, each in enumerate(pictures):
            writer.add(number * FRAME_US, each)
        writer.finish(numbers, **options)
    return path


def equal(a: Track, b: Track) -> bool:
    def arrays(track: Track) -> list[NDArray[Any]]:
        kept: list[NDArray[Any]] = [track.times_us, track.scenes]
        for face in track.faces:
            kept += [getattr(face, name) for name in ROW.names or ()]
            kept += [face.looks[name] for name in sorted(face.looks)]
        return kept

    def facts(track: Track) -> object:
        looks = [sorted(face.looks) for face in track.faces]
        return track.width, track.height, track.main, [face.id for face in track.faces], looks

    same = all(
        x.dtype == y.dtype and x.shape == y.shape and np.array_equal(x, y)
        for x, y in zip(arrays(a), arrays(b), strict=True)
    )
    return facts(a) == facts(b) and same


def test_what_is_written_is_read(tmp_path: Path) -> None:
    pictures = [[seen(3, 100 + n), seen(7, 900, width=50)] if n < 20 else [seen(3, 100 + n)] for n in range(30)]
    looks: dict[int, Looks] = {
        3: {"sclera": np.array([0.7, 0.5], np.float32), "glare": np.arange(30, dtype=np.int16).reshape(5, 6)}
    }
    track = Track.open(write(tmp_path / "a.track", pictures, scenes=[0] * 10 + [1] * 20, looks=looks))
    assert (track.width, track.height) == SIZE
    assert track.times_us.tolist() == [n * FRAME_US for n in range(30)]
    assert track.scenes.tolist() == [0] * 10 + [1] * 20
    assert [(face.id, len(face.at)) for face in track.faces] == [(3, 30), (7, 20)]
    one = track.faces[0]
    assert one.eyes.shape == (30, 2, 21, 2)
    assert np.array_equal(one.eyes[5, 0, 0], seen(3, 105).points[33, :2])
    assert np.array_equal(one.eyes[5, 1, 16], seen(3, 105).points[473, :2])
    assert np.array_equal(one.mouth[5, 1], seen(3, 105).points[291, :2])
    assert one.box[5] == pytest.approx([55, 310, 155, 410])
    assert one.confidence[5] == np.float32(0.9)
    assert {name: look.tolist() for name, look in one.looks.items()} == {
        name: look.tolist() for name, look in looks[3].items()
    }
    assert track.faces[1].looks == {}


def test_a_track_that_is_saved_is_the_same_again(tmp_path: Path) -> None:
    pictures = [[seen(0, 100 + n)] if n % 7 else [] for n in range(50)]
    path = write(tmp_path / "a.track", pictures, looks={0: {"colour": np.ones((2, 3), np.float32)}})
    track = Track.open(path)
    track.save(tmp_path / "b.track")
    assert equal(track, Track.open(tmp_path / "b.track"))
    assert (tmp_path / "b.track").read_bytes() == path.read_bytes()


def test_a_track_is_read_through_a_memory_map(tmp_path: Path) -> None:
    track = Track.open(write(tmp_path / "a.track", [[seen(0)]] * 10))
    base: Any = track.faces[0].eyes
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


def test_arrays_begin_at_multiples_of_64_bytes_and_are_little_endian(tmp_path: Path) -> None:
    data = write(tmp_path / "a.track", [[seen(0), seen(1, 100)]] * 10).read_bytes()
    length = int.from_bytes(data[12:16], "little")
    header = json.loads(data[16 : 16 + length])
    places = [header["times_us"], header["scenes"], *(face["rows"] for face in header["faces"])]
    assert [place["offset"] % 64 for place in places] == [0] * 4
    assert header["times_us"]["dtype"] == "<i8"
    assert {name: kind for name, kind, *_ in header["faces"][0]["rows"]["dtype"]}["eyes"] == "<f4"
    first = header["times_us"]["offset"]
    assert np.frombuffer(data[first : first + 80], "<i8").tolist() == [n * FRAME_US for n in range(10)]


def test_pictures_that_were_not_looked_at_are_between_their_neighbours(tmp_path: Path) -> None:
    track = Track.open(write(tmp_path / "a.track", [[seen(0, 100)], None, None, [seen(0, 130)]] * 3))
    face = track.faces[0]
    assert face.at.tolist() == list(range(12))
    middles = (face.box[:4, 0] + face.box[:4, 2]) / 2
    assert middles.tolist() == pytest.approx([100, 110, 120, 130], abs=0.01)


def test_a_face_that_comes_or_goes_meanwhile_is_not_between(tmp_path: Path) -> None:
    pictures = [[seen(0)], None, [seen(0), seen(1)], None, [seen(1)], None, [seen(1)], [seen(0)]]
    track = Track.open(write(tmp_path / "a.track", pictures))
    assert [face.at.tolist() for face in track.faces] == [[0, 1, 2, 7], [2, 3, 4, 5, 6]]


def test_pictures_with_a_face_are_counted(tmp_path: Path) -> None:
    with TrackWriter(tmp_path / "a.track", width=8, height=8) as writer:
        for each in ([seen(0)], None, [seen(0), seen(1)], None, [], None, [seen(0), seen(1)]):
            writer.add(writer.pictures * FRAME_US, each)
        writer.finish(np.zeros(7, np.int32))
        assert (writer.pictures, writer.with_face) == (7, 4)


def test_nothing_is_between_two_scenes(tmp_path: Path) -> None:
    with TrackWriter(tmp_path / "a.track", width=8, height=8) as writer:
        for n, each in enumerate([[seen(0)], None, [seen(0)], None, [seen(0)]]):
            writer.add(n * FRAME_US, each, cut=n == 2)
        writer.finish(np.array([0, 0, 1, 1, 1], np.int32))
    assert Track.open(tmp_path / "a.track").faces[0].at.tolist() == [0, 2, 3, 4]


def test_what_turned_out_to_be_no_face_is_left_out(tmp_path: Path) -> None:
    pictures = [[seen(0), seen(1, 100)], [seen(1, 100)], [seen(0)], [seen(0), seen(1, 100)]] * 2
    track = Track.open(write(tmp_path / "a.track", pictures, doubtful={1}))
    assert [face.id for face in track.faces] == [0]


def test_a_face_in_two_pictures_is_a_mistake(tmp_path: Path) -> None:
    pictures = [[seen(0), seen(1, 100)]] * 2 + [[seen(0)]] * 8
    assert [face.id for face in Track.open(write(tmp_path / "a.track", pictures)).faces] == [0]
    assert [face.id for face in Track.open(write(tmp_path / "a.track", pictures[:2])).faces] == [0, 1]


def test_times_rise_whatever_the_source_says(tmp_path: Path) -> None:
    with TrackWriter(tmp_path / "a.track", width=8, height=8) as writer:
        for at_us in (0, 0, 0, 40_000, 30_000):
            writer.add(at_us, [])
        writer.finish(np.zeros(5, np.int32))
    assert Track.open(tmp_path / "a.track").times_us.tolist() == [0, 1, 2, 40_000, 40_001]


@pytest.mark.parametrize(
    ("main", "other"),
    [
        ([seen(0, width=200)], [seen(1, width=100)]),
        ([seen(0, 640)], [seen(1, 100)]),
        ([seen(0, 640)], [seen(1, 640, 60)]),
    ],
    ids=["the largest", "in the middle", "not at the edge"],
)
def test_the_main_speaker_is_large_and_in_the_middle(tmp_path: Path, main: list[Seen], other: list[Seen]) -> None:
    for order in (main + other, other + main):
        track = Track.open(write(tmp_path / "a.track", [order] * 10))
        assert track.main is not None
        assert track.faces[track.main].id == 0


def test_the_main_speaker_is_often_there(tmp_path: Path) -> None:
    pictures = [[seen(0, width=150)] if n < 10 else [seen(1, width=100)] for n in range(40)]
    assert Track.open(write(tmp_path / "a.track", pictures)).main == 1


def test_without_a_face_there_is_no_main_speaker(tmp_path: Path) -> None:
    track = Track.open(write(tmp_path / "a.track", [[], None, []]))
    assert (track.faces, track.main, len(track.times_us)) == ([], None, 3)


def test_little_of_a_long_take_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pose_of", lambda _points: (0.0, 0.0, 0.0))
    face = seen(0)
    with TrackWriter(tmp_path / "a.track", width=SIZE[0], height=SIZE[1]) as writer:
        for n in range(3000):
            writer.add(n * FRAME_US, [face])
            assert sum(each._held for each in writer._faces.values()) < 300
        assert (tmp_path / "a.rows").stat().st_size > 2500 * ROW.itemsize
        writer.finish(np.zeros(3000, np.int32))
    assert len(Track.open(tmp_path / "a.track").faces[0].at) == 3000


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    write(tmp_path / "a.track", [[seen(0)]] * 5)
    assert [path.name for path in tmp_path.iterdir()] == ["a.track"]


def test_nothing_is_left_of_a_track_that_is_given_up(tmp_path: Path) -> None:
    with TrackWriter(tmp_path / "a.track", width=8, height=8) as writer:
        writer.add(0, [seen(0)])
    assert list(tmp_path.iterdir()) == []


Spoil = Callable[[bytearray], object]


def changed(old: bytes, new: bytes) -> Spoil:
    def spoil(data: bytearray) -> None:
        assert old in data
        data[:] = bytes(data).replace(old, new, 1)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda data: data.clear(), "not a track"),
        (lambda data: data.__setitem__(slice(0, 8), b"\x00\x00\x00\x18ftyp"), "not a track"),
        (lambda data: data.__setitem__(8, 2), "version 2"),
        (lambda data: data.__setitem__(slice(12, 16), b"\xff\xff\xff\x7f"), "header"),
        (lambda data: data.__setitem__(20, 0), "header"),
        (lambda data: data.__delitem__(slice(len(data) // 2, None)), "outside"),
        (changed(b'"shape":[20]', b'"shape":[21]'), "do not fit"),
        (changed(b'"main":0', b'"main":5'), "do not fit"),
        (changed(b'"<i8"', b'"<i4"'), "header"),
        (changed(b'"eyes","<f4",[2,21,2]', b'"eyes","<f4",[2,20,2]'), "header"),
        (changed(b'"<i8"', b'"<O8"'), "header"),
        (changed(b'"<i8"', b'"|O "'), "header"),
    ],
)
def test_a_file_that_is_damaged_or_foreign_is_an_error_that_says_so(tmp_path: Path, spoil: Spoil, says: str) -> None:
    path = write(tmp_path / "a.track", [[seen(0)]] * 20)
    data = bytearray(path.read_bytes())
    spoil(data)
    path.write_bytes(data)
    with pytest.raises(BadTrack, match=says):
        Track.open(path)


def test_numbers_that_would_be_read_out_of_bounds_are_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.track", [[seen(0)]] * 20)
    data = bytearray(path.read_bytes())
    header = json.loads(data[16 : 16 + int.from_bytes(data[12:16], "little")])
    last = header["faces"][0]["rows"]["offset"] + 19 * ROW.itemsize
    data[last : last + 4] = (1_000_000).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(BadTrack, match="do not fit"):
        Track.open(path)


def test_whatever_byte_of_the_header_is_wrong_it_is_read_or_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.track", [[seen(0)]] * 20)
    good = path.read_bytes()
    random = np.random.default_rng(2)
    for at in random.integers(0, 16 + int.from_bytes(good[12:16], "little"), 300).tolist():
        data = bytearray(good)
        data[at] ^= 1 << int(random.integers(8))
        path.write_bytes(data)
        with contextlib.suppress(BadTrack):
            Track.open(path)


def test_a_face_may_be_made_by_hand(tmp_path: Path) -> None:
    count = 4
    face = Face(
        id=5,
        at=np.arange(count, dtype=np.int32),
        eyes=np.zeros((count, 2, 21, 2), np.float32),
        mouth=np.zeros((count, 4, 2), np.float32),
        box=np.zeros((count, 4), np.float32),
        pose=np.full((count, 3), math.pi, np.float32),
        confidence=np.ones(count, np.float32),
    )
    times = np.arange(count, dtype=np.int64)
    made = Track(width=8, height=6, times_us=times, scenes=np.zeros(count, np.int32), faces=[face], main=0)
    made.save(tmp_path / "a.track")
    assert equal(made, Track.open(tmp_path / "a.track"))
    assert (tmp_path / "a.track").read_bytes().startswith(MAGIC)
