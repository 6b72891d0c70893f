"""Eyes of real people, where the clips are there: turned nearer to the lens, and nothing else touched."""

from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest

if find_spec("cv2") is None or find_spec("mediapipe") is None:
    pytest.skip("there are no face models", allow_module_level=True)

from tests.benchmarks.gaze import SHARED, Prepared, edited, prepare
from vidprod.vision.gaze import Wish, turn_of, usual_of
from vidprod.vision.track import Track

CLIPS = SHARED / "clips"

pytestmark = pytest.mark.skipif(not CLIPS.exists(), reason="the clips are not there")

WISH = Wish(strength=1.0, look_away_deg=0.0, gaze_fade_deg=(25.0, 35.0), head_fade_deg=(22.0, 32.0))


def beginning(clip: str, path: Path) -> Path:
    """The first one and a half seconds of a clip, its packets as they are: what is said here can be seen in them."""
    with av.open(str(CLIPS / f"{clip}.mp4")) as whole, av.open(str(path), "w") as part:
        video = whole.streams.video[0]
        stream = part.add_stream_from_template(video)
        for packet in whole.demux(video):
            if packet.pts is not None and packet.pts * packet.time_base < 1.5:
                packet.stream = stream
                part.mux(packet)
    return path


def angle_deg(taken: Prepared) -> float:
    """Between gaze and lens, of the pictures in which the eyes are open."""
    track = Track.open(Path(str(taken.request.track)))
    face = track.faces[track.main or 0]
    turn = turn_of(track, face, usual_of(face), WISH)
    return float(np.median(turn.angle_deg))


@pytest.mark.parametrize(("clip", "most"), [("lp_d0", 0.8), ("nv_eyecontact", 0.75)])
def test_eyes_of_a_real_take_come_nearer_to_the_lens(tmp_path: Path, clip: str, most: float) -> None:
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
    taken = prepare(beginning(clip, tmp_path / "clip.mp4"), tmp_path / "before")
    assert edited(taken, tmp_path / "edited.mp4") == 0  # outside the eyes not a bit changed
    again = prepare(tmp_path / "edited.mp4", tmp_path / "after")
    assert angle_deg(again) < most * angle_deg(taken)


def test_who_looks_into_the_lens_is_left_alone(tmp_path: Path) -> None:
    taken = prepare(beginning("lp_d18", tmp_path / "clip.mp4"), tmp_path)
    track = Track.open(Path(str(taken.request.track)))
    face = track.faces[track.main or 0]
    turn = turn_of(track, face, usual_of(face), WISH)
    assert float(np.median(np.abs(turn.shift).max(axis=(1, 2)))) < 0.005
