"""What a child says it made is looked at: it decodes what strangers sent."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vidprod.errors import ChildDied
from vidprod.services.made import files_made


def test_the_files_of_a_segment_are_found_and_pictures_may_be_missing(tmp_path: Path) -> None:
    for suffix in (".mp4", ".sprite.jpg"):
        (tmp_path / f"segment-0000{suffix}").touch()
    assert files_made(tmp_path, "segment-0000") == {
        ".mp4": tmp_path / "segment-0000.mp4",
        ".sprite.jpg": tmp_path / "segment-0000.sprite.jpg",
    }


@pytest.mark.parametrize("stem", ["a", "a[b]", "*", "../a", "/a", "missing"])
@pytest.mark.parametrize(
    "make",
    [lambda path: path.symlink_to("/etc/passwd"), os.mkfifo, os.mkdir],
    ids=["symlink", "pipe", "directory"],
)
def test_a_name_that_leads_elsewhere_is_not_believed(tmp_path: Path, stem: str, make: Callable[[Path], object]) -> None:
    work_dir = tmp_path / "work"
    work_dir.mkdir()
    for name in ("a", "a[b]", "*"):
        make(work_dir / f"{name}.mp4")
    (tmp_path / "a.mp4").touch()
    with pytest.raises(ChildDied, match="the media child named"):
        files_made(work_dir, stem)
