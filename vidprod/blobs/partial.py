"""An upload's bytes over several requests: each goes on where the disk has all of the ones before.

Whoever records how far it is does so after `keep` or `sync` said it. So what is recorded is on the disk, whatever
crashes; what lies behind it in the file is cut off by the next who opens it.
"""

import asyncio
import contextlib
import errno
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

from vidprod.blobs.incoming import HEAD_BYTES, Incoming, sync_directory
from vidprod.errors import NoSpace, VidProdError

if TYPE_CHECKING:
    from vidprod.blobs.disk import DiskBlobs

_SLICE_BYTES = 64 << 20  # copied at once; in between it may be cancelled
_WINDOW_BYTES = 1 << 20  # a part is a few megabytes
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
_NO_COPY = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EINVAL})


class BytesLost(VidProdError):
    """What was stored of the upload is gone."""

    code = "bytes_lost"


class Partial(Incoming):
    """An open `incoming/<upload id>.part` that others opened before. Not for two tasks at once."""

    def __init__(
        self, *, blobs: "DiskBlobs", path: Path, executor: Executor, expected: int | None, offset: int
    ) -> None:
        """Raises BytesLost when there is less than `offset`."""
        super().__init__(blobs=blobs, path=path, executor=executor, expected=expected, flags=0)
        try:
            if (size := os.fstat(self._fd).st_size) < offset:
                raise BytesLost(f"{offset} bytes of the upload were stored, and {size} are there")
            os.ftruncate(self._fd, offset)
            os.lseek(self._fd, offset, os.SEEK_SET)
            self._head = os.pread(self._fd, min(offset, HEAD_BYTES), 0)
        except BaseException:
            os.close(self._fd)
            raise
        self._written = self._pushed = self.size = offset
        self._has_name = offset > 0  # on the disk: something was kept of it before

    @property
    def _window_bytes(self) -> int:
        """Smaller than of an upload in one go: its client waits for the sync after each of its parts."""
        return min(_WINDOW_BYTES, super()._window_bytes)

    async def sync(self) -> int:
        """What was written so far is on the disk, and so many bytes that is. More may be written meanwhile."""
        written = self._written
        await self._in_thread(self._sync)
        return written

    async def keep(self) -> int:
        """All that was taken is on the disk, as far as there was room, and so many bytes that is."""
        with contextlib.suppress(NoSpace):  # then it is as much as was written
            await self._flush()
        pushing, self._pushing = self._pushing, None
        if pushing is not None:
            with contextlib.suppress(OSError):
                await asyncio.shield(pushing)
        return await self.sync()

    async def join(self, parts: Sequence[Path]) -> None:
        """Append what other uploads brought. Where the file system can, it shares their blocks. Raises NoSpace."""
        for part in parts:
            source = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
            try:
                await self._append(source)
            finally:
                os.close(source)
        self._head = os.pread(self._fd, HEAD_BYTES, 0)

    async def _append(self, source: int) -> None:
        left = os.fstat(source).st_size
        while left:
            size = min(left, _SLICE_BYTES)
            with self._blobs.full_is_no_space(left):
                await self._in_thread(lambda: _copy(source, self._fd, size))  # noqa: B023  # to its end
            left -= size
            self._written += size
            self.size += size

    def _sync(self) -> None:
        os.fsync(self._fd)
        if not self._has_name:
            sync_directory(self._path.parent)
            self._has_name = True

    def _name(self, target: Path) -> None:
        """A second name, not another: before its row is there, what was acknowledged stays where it was. Where there
        are no links it is copied."""
        try:
            os.link(self._path, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            with open(target, "xb") as file:
                os.lseek(self._fd, 0, os.SEEK_SET)
                _copy(self._fd, file.fileno(), self._written)
                os.fsync(file.fileno())

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _copy(source: int, target: int, size: int) -> None:
    while size:
        try:
            copied = os.copy_file_range(source, target, size)
        except OSError as error:
            if error.errno not in _NO_COPY:
                raise
            copied = _write_all(target, os.read(source, min(size, 1 << 20)))
        if not copied:
            raise BytesLost("a part of the upload became shorter")
        size -= copied


def _write_all(target: int, data: bytes) -> int:
    """How many bytes that were. A volume that has just room for some of them takes those, and raises only then."""
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
    return len(data)
