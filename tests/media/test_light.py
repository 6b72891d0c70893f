"""HDR takes become SDR of a sane brightness: neither washed out nor clipped nor of another hue."""

from pathlib import Path
from typing import Literal

import pytest

from tests.media import hdr
from tests.media.conftest import MakeSegments, run_pipeline
from vidprod.domain.recipe import Recipe
from vidprod.domain.step import Limits


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_an_hdr_take_keeps_its_look(
    tmp_path: Path, make_segments: MakeSegments, transfer: Literal["pq", "hlg"]
) -> None:
    done = make_segments(hdr.hdr(tmp_path / "take.mp4", transfer, seconds=1.2))
    assert done.info.video.hdr == transfer
    assert hdr.faults_of_brightness(hdr.patches(done.segments[0])) == []
    assert done.faults() == []


@pytest.mark.parametrize("name", ["a:b", "it's", "back\\slash", "a, b; [c] = d", "all 'of': \\'them\\ "])
def test_a_data_directory_of_any_name_takes_an_hdr_take(tmp_path: Path, name: str) -> None:
    """FFmpeg reads the lookup table, and its name is an option of a filter: ':' used to end it."""
    source = hdr.hdr(tmp_path / "take.mp4", "hlg", seconds=0.2, size=(32, 64))
    work_dir = tmp_path / name
    work_dir.mkdir()
    done = run_pipeline(source, work_dir, recipe=Recipe(), limits=Limits(), todo=None)
    assert done.renditions[0].frames == 6
