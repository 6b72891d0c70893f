"""What the media child says it made, looked at before it is moved.

The child decodes what strangers sent: what it names must be a file of its own, and may lead nowhere else.
"""

import contextlib
import stat
from pathlib import Path

from vidprod.blobs.disk import SEGMENT_SUFFIXES, SegmentSuffix
from vidprod.domain.step import COVER_FILE, TRACK_FILE
from vidprod.errors import ChildDied


def files_made(work_dir: Path, stem: str) -> dict[SegmentSuffix, Path]:
    """The files of a finished segment, of which pictures may be missing.

    Raises ChildDied (`child_garbled`) where one leads elsewhere, or the video is missing.
    """
    made: dict[SegmentSuffix, Path] = {}
    for suffix in SEGMENT_SUFFIXES:
        if (path := file_made(work_dir, f"{stem}{suffix}")) is not None:
            made[suffix] = path
    if ".mp4" not in made:
        raise ChildDied(f"the media child named a segment {stem!r} and made no file of it", code="child_garbled")
    return made


def track_made(work_dir: Path) -> Path:
    """The track of the faces. Raises ChildDied (`child_garbled`) where there is none, or it leads elsewhere."""
    path = file_made(work_dir, TRACK_FILE)
    if path is None:
        raise ChildDied("the media child followed the faces and made no track of them", code="child_garbled")
    return path


def cover_made(work_dir: Path) -> Path:
    """The poster that was asked for. Raises ChildDied (`child_garbled`) where there is none, or it leads elsewhere."""
    path = file_made(work_dir, COVER_FILE)
    if path is None:
        raise ChildDied("the media child chose a cover and made no file of it", code="child_garbled")
    return path


def file_made(work_dir: Path, name: str) -> Path | None:
    """A file, if it is there. Raises ChildDied (`child_garbled`) where it leads elsewhere."""
    path = work_dir / name
    with contextlib.suppress(FileNotFoundError):
        if path.parent != work_dir or not stat.S_ISREG(path.lstat().st_mode):
            raise ChildDied(f"the media child named {path.name!r}, which is no file of its own", code="child_garbled")
        return path
    return None
