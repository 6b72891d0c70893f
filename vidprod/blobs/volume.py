"""A file system: what it has left. The database may lie on another than the media (`database_dir`), and both can run
out."""

import os
from pathlib import Path

import msgspec


class Volume(msgspec.Struct, frozen=True, kw_only=True):
    """What the system says of a file system now."""

    total_bytes: int
    free_bytes: int  # for us
    names: int | None  # inodes that are free; None: it has no such limit


def apart(path: Path, *, root: Path) -> Volume | None:
    """That of `path`, where it is another than that of `root`; None: it is the same, or the system tells nothing."""
    if path.stat().st_dev == root.stat().st_dev:
        return None
    found = os.statvfs(path)
    if not found.f_blocks:  # what is no disk: some network file systems, and those of the kernel
        return None
    return Volume(
        total_bytes=found.f_blocks * found.f_frsize,
        free_bytes=found.f_bavail * found.f_frsize,
        names=found.f_favail if found.f_files else None,
    )
