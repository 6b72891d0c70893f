"""HDR takes become SDR of a sane brightness: neither washed out nor clipped nor of another hue."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pytest

from tests.media import hdr
from tests.media.conftest import MakeSegments, run_pipeline
from vidprod.domain.recipe import Recipe
from vidprod.domain.step import Limits
from vidprod.media.tonemap import cube


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


def test_hdr_segments_are_copied_side_by_side(tmp_path: Path, make_segments: MakeSegments) -> None:
    """Each had the lookup table written anew for its stills, while those of another read it: "3D LUT is empty"."""
    source = hdr.hdr(tmp_path / "take.mp4", "hlg", seconds=20, size=(32, 64), gop=30)
    done = make_segments(source, segment_s=3, video="copy")
    assert len(done.segments) >= 6
    assert sum(rendition.frames for rendition in done.renditions) == 600


def test_the_lookup_table_is_written_once_for_a_work_directory(tmp_path: Path) -> None:
    first = cube(tmp_path, "hlg")
    written = first.stat()
    again = cube(tmp_path, "hlg")
    assert (again, again.stat().st_ino, again.stat().st_mtime_ns) == (first, written.st_ino, written.st_mtime_ns)


def test_a_lookup_table_is_whole_whenever_it_is_there(tmp_path: Path) -> None:
    def lines(_: int) -> int:
        return len(cube(tmp_path, "pq").read_text().splitlines())

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(lines, range(12))) == {1 + 33**3}
    assert [path.name for path in tmp_path.iterdir()] == ["pq.cube"]
