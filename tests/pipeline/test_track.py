"""Faces are followed through real files, whatever their geometry, and what cannot be followed says why."""

import struct
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.media.conftest import probe
from tests.media.damage import cut_to, damaged_middle
from tests.media.synth import PLAIN, Style, numbered, write
from tests.vision.people import Place, Rgb, needs_models, picture
from vidprod.domain.recipe import Recipe
from vidprod.domain.step import Limits, PlanRequest, Progress, Tracked, TrackRequest
from vidprod.pipeline import plan as plan_step
from vidprod.pipeline import track as track_step
from vidprod.services.process import Child
from vidprod.services.watch import Allowance
from vidprod.telemetry import metrics
from vidprod.vision.track import Track

pytestmark = needs_models

SIZE = 640, 360
PATH = [Place(250 + 5 * n, 170 + 2 * n, 150) for n in range(12)]
FINE = replace(PLAIN, options={"preset": "ultrafast", "crf": "8"})


def film(path: Path, pictures: Iterable[Rgb], *, rate: int = 30, style: Style = FINE) -> Path:
    timed = ((Fraction(n, rate), each) for n, each in enumerate(pictures))
    return write(path, timed, rate=Fraction(rate), sound=None, style=style)


@pytest.fixture(scope="module")
def pictures() -> list[Rgb]:
    return [picture(SIZE, place) for place in PATH]


@pytest.fixture(scope="module")
def plain(pictures: list[Rgb], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("takes") / "plain.mp4", pictures)


def request(source: Path, work_dir: Path, *, time_factor: float = 100.0, limits: Limits | None = None) -> TrackRequest:
    work_dir.mkdir(exist_ok=True)
    limits = limits or Limits()
    info = probe(source, work_dir, limits=limits)
    common: dict[str, Any] = {"source": str(source), "work_dir": str(work_dir), "limits": limits, "info": info}
    recipe = Recipe()
    plan = plan_step.run(PlanRequest(**common, recipe=recipe), lambda _said: None)
    return TrackRequest(**common, recipe=recipe, plan=plan, time_factor=time_factor)


def follow(source: Path, work_dir: Path, **options: Any) -> tuple[Tracked, Track]:
    tracked = track_step.run(request(source, work_dir, **options), lambda _said: None)
    assert tracked.reason is None
    return tracked, Track.open(work_dir / "faces.track")


def eyes_off(track: Track, places: Sequence[Place], *, of: Track) -> float:
    """The largest distance of a point of the eyes from where it is in the track `of`, in widths of the eye."""
    assert [len(face.at) for face in track.faces] == [len(places)]
    found, wanted = track.faces[0].eyes, of.faces[0].eyes
    width = np.linalg.norm(wanted[:, :, 0] - wanted[:, :, 1], axis=-1).mean()
    return float(np.linalg.norm(found - wanted, axis=-1).max() / width)


@pytest.fixture(scope="module")
def straight(plain: Path) -> Track:
    """What is followed in it."""
    return follow(plain, plain.parent)[1]


def test_a_face_is_where_it_is_in_every_picture(plain: Path, tmp_path: Path) -> None:
    tracked, track = follow(plain, tmp_path)
    assert (tracked.faces, tracked.pictures, tracked.with_face) == (1, len(PATH), len(PATH))
    assert (track.width, track.height) == SIZE
    assert track.times_us.tolist() == [round(n * 1_000_000 / 30) for n in range(len(PATH))]
    assert track.main == 0
    face = track.faces[0]
    middles = (face.box[:, :2] + face.box[:, 2:]) / 2
    wanted = np.array([place[:2] for place in PATH])
    assert np.abs(middles - wanted).max() < 0.04 * 150
    assert face.box[:, 2] - face.box[:, 0] == pytest.approx(np.full(len(PATH), 150.0), rel=0.05)
    assert face.eyes[0, 0, 16, 0] < face.eyes[0, 1, 16, 0]  # the subject's right eye is left in the picture
    assert face.confidence.min() > 0.9


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_phone_changes_nothing(straight: Track, pictures: list[Rgb], tmp_path: Path, degrees: int) -> None:
    turned = [np.ascontiguousarray(np.rot90(each, degrees // 90)) for each in pictures]
    source = film(tmp_path / "a.mp4", turned, style=replace(FINE, rotation=degrees))
    _, track = follow(source, tmp_path / "turned")
    assert (track.width, track.height) == SIZE
    assert eyes_off(track, PATH, of=straight) < 0.05


def with_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """The file, shown by this matrix (ISO/IEC 14496-12, 8.3.2)."""
    data = path.read_bytes()
    at = data.index(b"tkhd") + 4 + 40
    written = struct.pack(">5i", a << 16, b << 16, 0, c << 16, d << 16)
    path.write_bytes(data[:at] + written + data[at + len(written) :])
    return path


def test_a_mirrored_selfie_is_followed_as_it_is_shown(straight: Track, pictures: list[Rgb], tmp_path: Path) -> None:
    flipped = [np.ascontiguousarray(each[:, ::-1]) for each in pictures]
    source = with_matrix(film(tmp_path / "a.mp4", flipped), -1, 0, 0, 1)
    _, track = follow(source, tmp_path / "mirrored")
    assert eyes_off(track, PATH, of=straight) < 0.05


def test_points_are_in_square_pixels(straight: Track, pictures: list[Rgb], tmp_path: Path) -> None:
    squeezed = [each[:, ::2] for each in pictures]
    source = film(tmp_path / "a.mp4", squeezed, style=replace(FINE, sample_aspect=Fraction(2)))
    _, track = follow(source, tmp_path / "anamorphic")
    assert (track.width, track.height) == SIZE
    assert eyes_off(track, PATH, of=straight) < 0.10


@pytest.mark.parametrize(
    "style",
    [
        replace(FINE, pix_fmt="yuv420p10le", colour=(9, 16, 9)),
        replace(FINE, pix_fmt="yuv420p10le", colour=(9, 18, 9)),
        replace(FINE, full_range=True),
        replace(FINE, pix_fmt="yuv444p", colour=(5, 6, 5)),
    ],
    ids=["PQ", "HLG", "full range", "4:4:4, BT.601"],
)
def test_the_kind_of_pixels_does_not_matter(straight: Track, pictures: list[Rgb], tmp_path: Path, style: Style) -> None:
    source = film(tmp_path / "a.mp4", pictures, style=style)
    _, track = follow(source, tmp_path / "other")
    assert eyes_off(track, PATH, of=straight) < 0.12  # tone-mapped skin looks a little different


def test_the_same_take_gives_the_same_file(plain: Path, tmp_path: Path) -> None:
    for name, threads in (("a", 1), ("b", 2)):
        follow(plain, tmp_path / name, limits=Limits(threads=threads))
    assert (tmp_path / "a" / "faces.track").read_bytes() == (tmp_path / "b" / "faces.track").read_bytes()


def test_twice_the_rate_gives_the_same_places(tmp_path: Path) -> None:
    places = [Place(250 + 3 * n, 170, 150) for n in range(25)]
    rooms = [picture(SIZE, place) for place in places]
    slow = film(tmp_path / "30.mp4", rooms[::2], rate=30)
    fast = film(tmp_path / "60.mp4", rooms, rate=60)
    _, at_30 = follow(slow, tmp_path / "a")
    _, at_60 = follow(fast, tmp_path / "b")
    assert len(at_60.times_us) == 25
    assert at_60.times_us[::2] == pytest.approx(at_30.times_us, abs=1)
    eye = float(np.linalg.norm(at_30.faces[0].eyes[0, 0, 0] - at_30.faces[0].eyes[0, 0, 1]))
    assert np.abs(at_60.faces[0].eyes[::2] - at_30.faces[0].eyes).max() < 0.05 * eye
    between = at_60.faces[0].box[1::2, 0] - at_60.faces[0].box[:-1:2, 0]
    assert between == pytest.approx(np.full(12, 3.0), abs=1.5)


def test_scenes_and_faces_of_a_take_with_a_cut(tmp_path: Path) -> None:
    first = picture(SIZE, Place(200, 180, 110))
    second = 255 - picture(SIZE)
    second[40:330, 400:640] = picture((240, 290), Place(120, 140, 150))
    second = (second * np.array([1.0, 0.6, 0.6])).astype(np.uint8)
    source = film(tmp_path / "a.mp4", [first] * 12 + [second] * 12)
    tracked, track = follow(source, tmp_path / "work")
    assert track.scenes.tolist() == [0] * 12 + [1] * 12
    assert tracked.faces == 2
    assert [face.at.tolist() for face in track.faces] == [list(range(12)), list(range(12, 24))]
    assert track.main == 1  # the larger one


@pytest.mark.parametrize("rate", [1, 30])
@pytest.mark.parametrize("shade", [0, 110])
def test_without_a_face_there_is_a_track_of_nobody(tmp_path: Path, rate: int, shade: int) -> None:
    source = film(tmp_path / "a.mp4", [np.full((360, 640, 3), shade, np.uint8)] * 6, rate=rate)
    tracked, track = follow(source, tmp_path / "work")
    assert tracked == Tracked(faces=0, pictures=6, with_face=0)
    assert (track.faces, track.main, track.scenes.tolist()) == ([], None, [0] * 6)


def test_at_one_picture_a_second_a_face_is_followed(pictures: list[Rgb], tmp_path: Path) -> None:
    _, track = follow(film(tmp_path / "a.mp4", pictures[::2], rate=1), tmp_path / "work")
    assert [face.at.tolist() for face in track.faces] == [[0, 1, 2, 3, 4, 5]]


def test_a_damaged_take_is_followed_as_far_as_it_can_be_decoded(tmp_path: Path) -> None:
    tracked, track = follow(damaged_middle(tmp_path / "a.mp4", seconds=3.0), tmp_path / "work")
    assert tracked.pictures == len(track.times_us) > 60


def test_a_take_that_ends_early_is_followed_to_its_end(pictures: list[Rgb], tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", pictures, style=replace(FINE, container_options={"movflags": "faststart"}))
    tracked, _ = follow(cut_to(source, keep=0.97), tmp_path / "work")
    assert len(PATH) > tracked.pictures == tracked.with_face > len(PATH) / 2


class NotInstalled:
    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name.partition(".")[0] == "mediapipe":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


@pytest.fixture
def without_mediapipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [NotInstalled(), *sys.meta_path])


@pytest.mark.usefixtures("without_mediapipe")
def test_without_mediapipe_the_step_says_so_and_does_not_fail(plain: Path, tmp_path: Path) -> None:
    tracked = track_step.run(request(plain, tmp_path / "work"), lambda _said: None)
    assert tracked == Tracked(faces=0, pictures=0, with_face=0, reason="mediapipe is not installed")
    assert list((tmp_path / "work").iterdir()) == []


def test_where_it_would_take_too_long_it_stops_and_says_so(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track_step, "_JUDGED_AFTER_S", 0.0)
    tracked = track_step.run(request(plain, tmp_path / "work", time_factor=0.01), lambda _said: None)
    assert tracked.reason == "following the faces would take longer than 0.01 times the encode"
    assert tracked.pictures < len(PATH)
    assert list((tmp_path / "work").iterdir()) == []


def test_progress_rises_to_the_end(plain: Path, tmp_path: Path) -> None:
    said: list[Any] = []
    track_step.run(request(plain, tmp_path / "work"), said.append)
    assert all(isinstance(each, Progress) for each in said)
    done = [each.done_us for each in said]
    assert done == sorted(done)
    assert said[-1].fraction > 0.9


async def test_it_works_behind_the_walls_of_the_child(plain: Path, tmp_path: Path) -> None:
    """No network, no processes, and nothing is read but the source and the libraries."""
    asked = request(plain, tmp_path / "work")
    child = await Child.start(steps=None)
    try:
        assert (await child.hello()).sandbox["seccomp"] == 1

        async def hear(_message: object) -> None:
            return

        answer = await child.perform(asked, hear, limits=Allowance(wall_s=60, stall_s=30))
        output = child._last_output()
    finally:
        await child.close()
    assert (answer["faces"], answer["with_face"], answer["reason"]) == (1, len(PATH), None)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["faces.track"]
    assert output == ""
    assert same_places(Track.open(tmp_path / "work" / "faces.track"), follow(plain, tmp_path / "here")[1])


async def test_at_1080_lines_the_child_holds_little(pictures: list[Rgb], tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", [each.repeat(3, axis=0).repeat(3, axis=1) for each in pictures])
    asked = request(source, tmp_path / "work")
    child = await Child.start(steps=None)
    try:
        await child.hello()

        async def hear(_message: object) -> None:
            return

        answer = await child.perform(asked, hear, limits=Allowance(wall_s=60, stall_s=30))
    finally:
        await child.close()
    assert answer["faces"] == 1
    peak = next(
        sample.value
        for metric in metrics.child_rss_peak_bytes.collect()
        for sample in metric.samples
        if sample.labels["kind"] == "track"
    )
    assert 50 << 20 < peak < 300 << 20


def same_places(a: Track, b: Track) -> bool:
    pairs: list[tuple[NDArray[Any], NDArray[Any]]] = [
        (a.times_us, b.times_us),
        *((x.eyes, y.eyes) for x, y in zip(a.faces, b.faces, strict=True)),
    ]
    return all(np.array_equal(x, y) for x, y in pairs)


def test_a_take_of_numbers_has_no_faces(tmp_path: Path) -> None:
    assert follow(numbered(tmp_path / "a.mp4", 40), tmp_path / "work")[0].faces == 0
