"""What the media child says it made, looked at before it is moved."""

import contextlib
import stat
from pathlib import Path

from vidprod.blobs.disk import SEGMENT_SUFFIXES, SegmentSuffix
from vidprod.errors import ChildDied


def files_made(work_dir: Path, stem: str) -> dict[SegmentSuffix, Path]:
    """The files of a finished segment, of which pictures may be missing.

    The child decodes what strangers sent: what it names must be a file of its own, and may lead nowhere else.
    Raises ChildDied (`child_garbled`) where it does.
    """
    made: dict[SegmentSuffix, Path] = {}
    for suffix in SEGMENT_SUFFIXES:
        path = work_dir / f"{stem}{suffix}"
        with contextlib.suppress(FileNotFoundError):
            if path.parent != work_dir or not stat.S_ISREG(path.lstat().st_mode):
                raise ChildDied(
                    f"the media child named {path.name!r}, which is no file of its own", code="child_garbled"
                )
            made[suffix] = path
    if ".mp4" not in made:
        raise ChildDied(f"the media child named a segment {stem!r} and made no file of it", code="child_garbled")
    return made
