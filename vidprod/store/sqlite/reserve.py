"""The reserve: a file that holds space on the volume, given up so that deletions can be recorded on a full disk.

On a full volume SQLite cannot even delete a row: the write-ahead log has to grow first.
"""

import os
import shutil
from pathlib import Path

RESERVE_BYTES = 16 << 20  # four times what the log grows to before a checkpoint


class Reserve:
    """`reserve.bin` beside the database. All of it runs on the writing thread."""

    def __init__(self, path: Path, *, size: int = RESERVE_BYTES) -> None:
        self.path = path
        self.size = size
        self.held = False

    def hold(self, *, spare: int = 0) -> bool:
        """Take the space, if it is not held yet and `spare` bytes more stay free. Whether it is held now."""
        if self.held or self._on_disk() >= self.size:
            self.held = True
            return True
        if shutil.disk_usage(self.path.parent).free < self.size + spare:
            return False
        try:
            self._allocate()
        except OSError:  # the space went meanwhile: better no reserve than half of one
            self.path.unlink(missing_ok=True)
            return False
        self.held = True
        return True

    def free(self) -> bool:
        """Give the space up. Whether there was any to give."""
        had = self._on_disk() > 0
        self.path.unlink(missing_ok=True)
        self.held = False
        return had

    def _on_disk(self) -> int:
        try:
            return self.path.stat().st_blocks * 512
        except FileNotFoundError:
            return 0

    def _allocate(self) -> None:
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(file, 0, self.size)
            os.ftruncate(file, self.size)
        finally:
            os.close(file)
