"""The landmarks of a face: where they are, how sure they are, and what it takes to have them."""

import importlib
import subprocess
import sys
from contextlib import nullcontext
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest

from tests.vision.people import FACE, FACE_WIDTH, Place, Points, Rgb, astronaut, moved, needs_models, picture
from vidprod.errors import ModelMissing
from vidprod.vision import landmarks
from vidprod.vision.landmarks import SURE, Landmarks, Mesh, Region, region_of

pytestmark = needs_models

SIZE = 640, 360
MIDDLE = Place(320, 180, 150)
EYES = [33, 133, 246, 161, 160, 159, 158, 157, 173, 7, 163, 144, 145, 153, 154, 155, 468, 263, 362, 386, 374, 473]


def traced(mesh: Mesh, rgb: Rgb) -> Landmarks:
    """The largest face, as it settles when the picture stands."""
    region = mesh.find(rgb)[0]
    for _ in range(5):
        points, confidence = mesh.trace(rgb, region)
        assert confidence > SURE
        region = region_of(points)
    return points


def in_the_photograph(points: Landmarks, place: Place) -> Points:
    return np.asarray((points[:, :2] - np.array(place[:2])) / place.width * FACE_WIDTH + np.array(FACE), np.float64)


@pytest.mark.parametrize(
    "place",
    [
        Place(200, 150, 150),
        Place(323.4, 181.7, 150),
        Place(320, 180, 200),
        Place(320, 180, 90),
        Place(320, 180, 150, 15),
        Place(320, 180, 150, -35),
        Place(420, 190, 120, 10),
    ],
)
def test_the_eyes_points_move_with_the_face_to_two_hundredths_of_an_eye(mesh: Mesh, place: Place) -> None:
    reference = in_the_photograph(traced(mesh, picture(SIZE, MIDDLE)), MIDDLE)
    wanted = moved(reference.astype(np.float32), place)
    found = traced(mesh, picture(SIZE, place))[:, :2]
    off = np.linalg.norm(found - wanted, axis=1)[EYES].max()
    assert off < 0.02 * np.linalg.norm(wanted[33] - wanted[133])


def test_a_mirrored_face_has_mirrored_landmarks(mesh: Mesh) -> None:
    rgb = picture(SIZE, MIDDLE)
    straight, mirrored = traced(mesh, rgb), traced(mesh, rgb[:, ::-1])
    width = np.linalg.norm(straight[33, :2] - straight[133, :2])
    for right, left in [(33, 263), (133, 362), (159, 386), (468, 473)]:
        back = np.array([SIZE[0] - 1 - mirrored[left, 0], mirrored[left, 1]])
        assert np.linalg.norm(straight[right, :2] - back) < 0.08 * width  # the model itself is not quite symmetric


def test_depth_is_in_pixels_too(mesh: Mesh) -> None:
    points = traced(mesh, picture(SIZE, MIDDLE))
    nose, ears = points[4, 2], points[[234, 454], 2].mean()
    assert nose < 0 < ears
    assert 0.3 < (ears - nose) / MIDDLE.width < 1.0


def test_what_is_said_of_a_picture_does_not_depend_on_those_before(mesh: Mesh) -> None:
    rgb, region = picture(SIZE, MIDDLE), Region(320, 180, 280, 0.0)
    first, _ = mesh.trace(rgb, region)
    mesh.trace(picture(SIZE, Place(100, 100, 60)), Region(100, 100, 100, 0.3))
    again, _ = mesh.trace(rgb, region)
    assert np.array_equal(first, again)


def test_a_room_without_a_face_has_none(mesh: Mesh) -> None:
    empty = picture(SIZE)
    grain = np.random.default_rng(1).integers(0, 255, (*SIZE[::-1], 3)).astype(np.uint8)
    assert mesh.find(empty) == mesh.find(grain) == mesh.find(np.zeros_like(empty)) == []
    for rgb in (empty, grain):
        assert mesh.trace(rgb, Region(320, 180, 280, 0.0))[1] < SURE


def test_faces_are_found_large_and_small_the_largest_first(mesh: Mesh) -> None:
    far = mesh.find(picture(SIZE, Place(100, 150, 60), Place(450, 180, 120)))
    assert [round(region.x / 50) for region in far] == [9, 2]
    near = mesh.find(np.ascontiguousarray(astronaut()[60:190, 165:285]))
    assert len(near) == 1


def test_a_picture_may_be_of_any_size(mesh: Mesh) -> None:
    for size in [(1, 1), (2, 300), (301, 7), (64, 63)]:
        rgb = np.zeros((*size[::-1], 3), np.uint8)
        assert mesh.find(rgb) == []
        assert mesh.trace(rgb, Region(0, 0, 10, 0.0))[0].shape == (478, 3)


def test_a_region_is_upright_to_the_face_and_half_as_large_again(mesh: Mesh) -> None:
    straight = region_of(traced(mesh, picture(SIZE, MIDDLE)))
    turned = region_of(traced(mesh, picture(SIZE, MIDDLE._replace(turn=40))))
    assert turned.turn - straight.turn == pytest.approx(np.radians(40), abs=0.02)
    assert turned.side == pytest.approx(straight.side, rel=0.02)


def test_nothing_reaches_the_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with Mesh() as mesh:
        mesh.trace(picture(SIZE, MIDDLE), Region(320, 180, 280, 0.0))
    assert capfd.readouterr().err == ""


def test_unasked_the_library_would_talk(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landmarks, "_quiet", nullcontext)
    with Mesh() as mesh:
        mesh.trace(picture(SIZE, MIDDLE), Region(320, 180, 280, 0.0))
    assert capfd.readouterr().err != ""


def test_it_loads_the_models_and_little_else() -> None:
    code = (
        "from vidprod.vision.landmarks import Mesh\nMesh().close()\nimport sys\n"
        "print(*[m for m in ('cv2', 'matplotlib', 'mediapipe', 'mediapipe.tasks', 'scipy') if m in sys.modules])"
    )
    root = Path(landmarks.__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


class NotInstalled:
    """Makes imports of mediapipe fail, as where there is no wheel for the machine."""

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name.partition(".")[0] == "mediapipe":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def test_without_mediapipe_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [NotInstalled(), *sys.meta_path])
    with pytest.raises(ModelMissing, match=r"^mediapipe is not installed$"):
        Mesh()


def test_with_a_mediapipe_that_has_no_models_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those from 0.10.30 on, whose graphs are elsewhere."""
    (tmp_path / "mediapipe").mkdir()
    (tmp_path / "mediapipe" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "mediapipe"]:
        monkeypatch.delitem(sys.modules, name)
    importlib.invalidate_caches()
    with pytest.raises(ModelMissing, match="cannot be used"):
        Mesh()
