"""One upload's bytes on their way to the volume: gathered, written, pushed to the disk as they come.

A buffer is written where it was gathered, on the event loop: copying one into the page cache takes some 50 µs, and
handing it to a thread costs more than that (measured on two cores: 0.64 s of CPU for 500 MB against 1.0 to 1.4 s). A
write that blocks nevertheless, because the kernel throttles or the journal is busy, is seen by its time; when such
writes add up, all uploads write in threads for a while.

Write-back is started every few megabytes, in a thread, and the one before is waited for. So the last fsync has little
left to do however long the upload was, and a slow disk slows the client down instead of filling the page cache.
"""

import asyncio
import contextlib
import ctypes
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from vidprod.blobs.disk import DiskBlobs

T = TypeVar("T")

HEAD_BYTES = 4096
BUFFER_BYTES = 64 << 10  # fits a core's cache beside everything else: 1 MiB took twice the time in the kernel
MAX_PIECES = 512  # of one writev, far below IOV_MAX; bounds what a client of tiny chunks makes us hold
BLOCKED_S = 0.02  # a write into the page cache that takes so long may have waited for the disk

_WAIT_BEFORE, _WRITE, _WAIT_AFTER = 1, 2, 4  # sync_file_range(2)
_LIBC = ctypes.CDLL(None, use_errno=True)


class Incoming:
    """An open `incoming/<upload id>.part`. Not for two tasks at once."""

    def __init__(
        self, *, blobs: "DiskBlobs", path: Path, executor: Executor, expected: int | None, flags: int = os.O_EXCL
    ) -> None:
        self._blobs = blobs
        self._path = path
        self._executor = executor
        self._expected = expected
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
        self._pieces: list[bytes] = []
        self._gathered = 0
        self._head = b""
        self._written = 0
        self._pushed = 0  # write-back was started up to here
        self._pushing: asyncio.Future[None] | None = None
        self.size = 0  # bytes taken
        self.committed = False
        self.video_id: str | None = None  # what it becomes, from `commit` on

    @property
    def head(self) -> bytes:
        """The first bytes, up to 4096."""
        return self._head

    @property
    def still_expected(self) -> int:
        """Announced bytes that are not on the disk yet."""
        return 0 if self._expected is None or self.committed else max(0, self._expected - self._written)

    @property
    def announced(self) -> int:
        """The announced size while it is on its way in; 0 where none was."""
        return 0 if self._expected is None or self.committed else self._expected

    @property
    def _window_bytes(self) -> int:
        """What is written before its write-back is started."""
        return self._blobs.window_bytes

    async def write(self, data: bytes) -> None:
        """Take `data`, which must not change afterwards.

        Raises:
            NoSpace: the volume is full, or has come down to its floor.
        """
        if self.size < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - self.size]
        self._pieces.append(data)
        self._gathered += len(data)
        self.size += len(data)
        if self._gathered >= BUFFER_BYTES or len(self._pieces) >= MAX_PIECES:
            await self._flush()

    async def commit(self, video_id: str, extension: str) -> Path:
        """Make it `media/<video id>/source.<extension>`, durable when this returns; nothing when it raises."""
        await self._flush()
        await self._pushed_before()
        target = self._blobs.source_path(video_id, extension)
        self.video_id = video_id
        try:
            with self._blobs.full_is_no_space(self.size):
                await self._in_thread(lambda: self._make_durable(target))
        except asyncio.CancelledError:
            self._blobs.delete_source(video_id)  # the thread came to its end, and nobody will know
            raise
        self.committed = True
        return target

    async def discard(self) -> None:
        """Close, and remove what was not committed. Safe to call at any point, also after `commit`."""
        self._pieces.clear()
        pushing, self._pushing = self._pushing, None
        try:
            if pushing is not None:
                with contextlib.suppress(Exception):  # nothing of this upload is kept
                    await to_its_end(pushing)
        finally:
            await self._in_thread(self._close)  # to free a large file's pages takes a while

    async def _flush(self) -> None:
        if not self._pieces:
            return
        pieces, self._pieces, self._gathered = self._pieces, [], 0
        if self._blobs.blocks:
            await self._in_thread(lambda: self._put(pieces))
        else:
            began, slept = time.monotonic(), _times_slept()
            self._put(pieces)
            if (took := time.monotonic() - began) > BLOCKED_S and _times_slept() > slept:
                self._blobs.noticed_blocking(took)
        if self._written - self._pushed >= self._window_bytes:
            await self._push()

    def _put(self, pieces: list[bytes]) -> None:
        size = sum(map(len, pieces))
        self._blobs.check_room(size, announced=self._expected is not None)
        with self._blobs.full_is_no_space(size):
            _write_all(self._fd, pieces, size)
        self._written += size

    async def _push(self) -> None:
        await self._pushed_before()
        start, self._pushed = self._pushed, self._written
        loop = asyncio.get_running_loop()
        self._pushing = loop.run_in_executor(self._executor, _start_write_back, self._fd, start, self._written)

    async def _pushed_before(self) -> None:
        if self._pushing is not None:
            await asyncio.shield(self._pushing)
            self._pushing = None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """`work`, to its end even when the caller is cancelled: half a rename is nobody's to clean up."""
        return await to_its_end(asyncio.get_running_loop().run_in_executor(self._executor, work))

    def _make_durable(self, target: Path) -> None:
        """fsync, then name it, then fsync the directories: never a name without its bytes."""
        try:
            os.fsync(self._fd)
            target.parent.mkdir(mode=0o700)
            self._name(target)
            sync_directory(target.parent)
            sync_directory(target.parent.parent)
        except OSError:
            target.unlink(missing_ok=True)
            if target.parent.exists():
                target.parent.rmdir()
            raise

    def _name(self, target: Path) -> None:
        self._path.rename(target)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._path.unlink(missing_ok=True)


async def to_its_end(work: "asyncio.Future[T]") -> T:
    """What `work` gives. A caller that is cancelled meanwhile, however often, is so only when `work` has ended."""
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError as error:  # a drain cancels twice
            cancelled = error
    if cancelled is None:
        return work.result()
    if not work.cancelled():
        work.exception()  # seen; nobody is left to hear it
    raise cancelled


def sync_directory(path: Path) -> None:
    """fsync a directory: the names in it are durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _times_slept() -> int:
    """How often this thread gave up its core by itself: one that only lost it to others did not wait for a disk."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


def _write_all(fd: int, pieces: list[bytes], size: int) -> None:
    written = os.writev(fd, pieces)
    if written == size:
        return
    rest = memoryview(b"".join(pieces))[written:]  # a short write: seldom, at a full disk
    while rest:
        rest = rest[os.write(fd, rest) :]


def _start_write_back(fd: int, start: int, end: int) -> None:
    """Start writing [start, end) to the disk, and wait for as much before it."""
    # Only a hint: where the call is missing or fails, fsync does all the work at the end.
    _LIBC.sync_file_range(fd, ctypes.c_int64(start), ctypes.c_int64(end - start), ctypes.c_uint(_WRITE))
    before = max(0, start - (end - start))
    if before < start:
        flags = ctypes.c_uint(_WAIT_BEFORE | _WRITE | _WAIT_AFTER)
        _LIBC.sync_file_range(fd, ctypes.c_int64(before), ctypes.c_int64(start - before), flags)
