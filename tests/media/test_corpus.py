"""The quick part of the corpus, through `vidprod process`; all of it: `python -m tests.corpus`."""

from pathlib import Path

import pytest

from tests import corpus
from tests.corpus import MEDIA, Made, Outcome, Row, judge
from tests.media.finished import Recipe, finished
from tests.media.stills import write_jpeg

QUICK = ["edts.mp4", "portrait.ts", "read_passwd.avi", "result.webm", "sample_qt.mp4"]
FURTHER = [
    "sample.3gp",
    "aac.m4a",
    "broken.mp4",
    "sample_fragmented_clearkey.mp4",
    "sample_still_photo.heic",
    "nostreams.mp4",
    "testsrc2_odd_height_and_width_444.mp4",
    "video_270.mov",
    "portrait.MOV",
]


@pytest.mark.skipif(not (MEDIA / "CORPUS.tsv").exists(), reason="the corpus of real files is not beside the project")
@pytest.mark.parametrize("files", [QUICK, pytest.param(FURTHER, marks=pytest.mark.soak)], ids=["quick", "further"])
def test_files_of_the_corpus_end_as_they_should(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code = corpus.main([*files, "--jobs", "2"])
    assert code == 0, capsys.readouterr().out


ACCEPTED, REFUSED = Row("take.mp4", "", "ACCEPT"), Row("broken.mp4", "", 'REJECT "incomplete file"')


def test_a_wrong_end_is_called_wrong(tmp_path: Path) -> None:
    refusal = Outcome("refused", code="incomplete_file", sentence="The file is incomplete: it has no index.")
    assert judge(REFUSED, tmp_path, refusal) == []
    assert judge(ACCEPTED, tmp_path, refusal)
    assert judge(REFUSED, tmp_path, Outcome("refused", code="internal", sentence="Something went very wrong here."))
    assert judge(REFUSED, tmp_path, Outcome("accepted"))
    assert judge(REFUSED, tmp_path, Outcome("broken", sentence="exit -11: "))


def test_a_bad_segment_is_called_bad(tmp_path: Path) -> None:
    sprite = {"columns": 4, "rows": 2, "count": 7, "tile_width": 90, "tile_height": 160, "interval_s": 0.5}
    rendition = {"frames": 96, "width": 360, "height": 640, "duration_us": 3_200_000, "sprite": sprite, "warnings": []}
    stills = write_jpeg(tmp_path / "poster.jpg", (360, 640)), write_jpeg(tmp_path / "sprite.jpg", (360, 320))
    source = finished(tmp_path / "take.mp4", Recipe(seconds=3.2))
    good = Made(finished(tmp_path / "good.mp4", Recipe(seconds=3.2)), *stills, rendition)
    bad = Made(finished(tmp_path / "bad.mp4", Recipe(seconds=3.2, rotation=90)), *stills, rendition)
    assert judge(ACCEPTED, source, Outcome("accepted", [good])) == []
    assert any("rotation" in fault for fault in judge(ACCEPTED, source, Outcome("accepted", [bad])))
