"""Blobs on one volume. Every name is made here from ids of ours; a client's file name never becomes a path.

incoming/<upload id>.part        media/<video id>/source.<ext> faces.track
work/<task id>/…                 media/<job id>/<segment id>.mp4 .jpg .sprite.jpg .gaze.jpg

A segment that is made again gets names of its own, <segment id>-2.mp4 and so on: who reads the old file reads it to its
end, and what a crash leaves between the files and their row is no mix of two.
"""

import errno
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Literal

from vidprod.blobs.incoming import Incoming, sync_directory
from vidprod.blobs.partial import Partial
from vidprod.domain.ids import is_id
from vidprod.errors import NoSpace, NotFound, Unavailable

SegmentSuffix = Literal[".mp4", ".jpg", ".sprite.jpg", ".gaze.jpg"]
SEGMENT_SUFFIXES: tuple[SegmentSuffix, ...] = (".mp4", ".jpg", ".sprite.jpg", ".gaze.jpg")

_THREADS = 4  # they wait for the disk: more would only cost memory
_WINDOWS_BYTES = 8 << 20  # of all uploads together; thrice that may be dirty, well below what a small machine allows
_WINDOW_MIN = 512 << 10
_BLOCKS_S = 5.0
_BLOCKED_S = 0.1  # within _BLOCKS_S: a pause or two of 20 ms are other programs' turns on the core, not the disk
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # the volume, our share of it, a file on it


class DiskBlobs:
    """The volume. Blocking methods are for a thread; the paths they give may be opened by anyone."""

    def __init__(self, root: Path, *, floor_bytes: int) -> None:
        """
        Args:
            root: the data directory.
            floor_bytes: kept free for the database: media never takes the last of the volume.
        """
        self.root = root
        self.floor_bytes = floor_bytes
        self._incoming = root / "incoming"
        self._media = root / "media"
        self._work = root / "work"
        self._open: dict[str, Incoming] = {}
        self._promised: dict[str, int] = {}  # to unfinished uploads that nobody may be sending now
        self._blocked: deque[tuple[float, float]] = deque()  # when, and for how long; of the last _BLOCKS_S
        self._blocks_until = 0.0
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs")

    def open(self) -> None:
        """Make the directories, durably, and start the writing threads. Raises Unavailable when they cannot start."""
        self._start_threads()
        for path in (self._incoming, self._media, self._work):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_directory(self.root)

    def close(self) -> None:
        """End the writing threads."""
        self._executor.shutdown()

    def _start_threads(self) -> None:
        """All of them: one that cannot be started later would fail an upload, and leave its work in the queue."""
        met = threading.Barrier(_THREADS)
        try:
            starting = [self._executor.submit(met.wait) for _ in range(_THREADS)]
        except RuntimeError as error:
            met.abort()
            raise Unavailable(f"The threads that write cannot be started: {error}.") from error
        wait(starting)

    # room

    def free_bytes(self) -> int:
        """What the volume has left for us."""
        volume = os.statvfs(self.root)
        return volume.f_bavail * volume.f_frsize

    def total_bytes(self) -> int:
        """The size of the volume."""
        volume = os.statvfs(self.root)
        return volume.f_blocks * volume.f_frsize

    def promised_bytes(self) -> int:
        """What uploads under way, and those that may be resumed, have announced and not yet written."""
        writing = dict(self._open)
        waiting = sum(size for name, size in list(self._promised.items()) if name not in writing)
        return waiting + sum(incoming.still_expected for incoming in writing.values())

    def promise(self, upload_id: str, size: int) -> None:
        """Set so many bytes aside for an upload that may be resumed; in place of what it was promised before."""
        self._promised[upload_id] = size

    def release(self, upload_id: str) -> None:
        """What it was promised is free again, if it was promised anything."""
        self._promised.pop(upload_id, None)

    def announced_bytes(self) -> int:
        """The sizes of unfinished uploads, as far as they are known: what is made of them has yet to find room."""
        writing = dict(self._open)
        waiting = sum(size for name, size in list(self._promised.items()) if name not in writing)
        return waiting + sum(incoming.announced for incoming in writing.values())

    def room_bytes(self) -> int:
        """What is free beside the floor and what is promised; less than nothing when others have filled the volume."""
        return self.free_bytes() - self.floor_bytes - self.promised_bytes()

    def admit(self, expected: int) -> None:
        """Whether `expected` more bytes fit beside what is promised. Raises NoSpace, with figures."""
        if self.room_bytes() < expected:
            raise self.no_space(expected)

    def check_room(self, size: int, *, announced: bool) -> None:
        """Before each buffer: the floor holds for all; who announced nothing takes nothing promised to others."""
        promised = 0 if announced else self.promised_bytes()
        if self.free_bytes() - self.floor_bytes - promised < size:
            raise self.no_space(size)

    def no_space(self, needed: int) -> NoSpace:
        """The error, with the figures as they are now."""
        promised = self.promised_bytes()
        wanted = f"{amount(needed)} are needed, " if needed else ""  # of who announced nothing it is not known
        reserved = f", {amount(promised)} are promised to other uploads" if promised else ""
        return NoSpace(
            f"The volume is too full: {wanted}{amount(self.free_bytes())} are free"
            f"{reserved} and {amount(self.floor_bytes)} are kept for the database."
        )

    @contextmanager
    def full_is_no_space(self, needed: int = 0) -> Iterator[None]:
        """What the system says of a full volume is NoSpace, with figures, as if it had been seen before.

        Any call that makes a name or a byte may meet it: others write to the volume too, and it may count names,
        blocks or quotas that the free bytes do not tell.
        """
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise self.no_space(needed) from error
            raise

    # pace

    @property
    def window_bytes(self) -> int:
        """An upload's share of what may lie in the page cache before write-back is started."""
        return max(_WINDOW_MIN, _WINDOWS_BYTES // max(1, len(self._open)))

    @property
    def blocks(self) -> bool:
        """Whether a write blocked lately: then they are for threads."""
        return time.monotonic() < self._blocks_until

    def noticed_blocking(self, took_s: float) -> None:
        """A write on the event loop took long."""
        now = time.monotonic()
        self._blocked.append((now, took_s))
        while self._blocked[0][0] < now - _BLOCKS_S:
            self._blocked.popleft()
        if sum(took for _, took in self._blocked) >= _BLOCKED_S:
            self._blocks_until = now + _BLOCKS_S

    # sources on their way in

    @asynccontextmanager
    async def receive(self, upload_id: str, *, expected: int | None = None) -> AsyncIterator[Incoming]:
        """An upload's file. Who leaves without `commit` leaves nothing; who commits records it before it leaves, or
        deletes it: what no row knows then is an orphan.

        Args:
            expected: the announced size in bytes; it is set aside until it is written.
        Raises:
            NoSpace: `expected` bytes do not fit; nothing was made.
        """
        self.admit(expected or 0)
        path = self.partial_path(upload_id)
        with self.full_is_no_space(expected or 0):
            incoming = Incoming(blobs=self, path=path, executor=self._executor, expected=expected)
        self._open[upload_id] = incoming
        try:
            yield incoming
        finally:
            try:
                await incoming.discard()
            finally:
                del self._open[upload_id]

    @asynccontextmanager
    async def resume(self, upload_id: str, *, offset: int, expected: int | None) -> AsyncIterator[Partial]:
        """An upload's file, from `offset` on. It stays when it is left; `delete_partial` removes it.

        Args:
            offset: as it was recorded: what lies behind it was not, and is cut off.
            expected: the announced size of the whole upload.
        Raises:
            BytesLost: the file is shorter than `offset`, or gone.
            NoSpace: there is no room for its name.
        """
        path = self.partial_path(upload_id)
        with self.full_is_no_space():
            partial = Partial(blobs=self, path=path, executor=self._executor, expected=expected, offset=offset)
        self._open[upload_id] = partial
        try:
            yield partial
        finally:
            try:
                await partial.discard()
            finally:
                del self._open[upload_id]

    def arriving_videos(self) -> set[str]:
        """Ids of videos whose receivers are not left yet: they may have a directory before they have a row."""
        return {incoming.video_id for incoming in self._open.values() if incoming.video_id is not None}

    def sweep_incoming(self, *, keep: Collection[str] = ()) -> int:
        """Remove what a crash left half received, but for the uploads in `keep`. Returns how many."""
        swept = 0
        for path in self._incoming.glob("upl_*.part"):
            if path.stem not in self._open and path.stem not in keep and is_id(path.stem, "upl"):
                path.unlink(missing_ok=True)
                swept += 1
        return swept

    # where things are

    def source_path(self, video_id: str, extension: str) -> Path:
        if not (extension.isascii() and extension.isalnum()):
            raise NotFound(f"There is no source with the extension {extension!r}.")
        return self._media / _checked(video_id, "vid") / f"source.{extension}"

    def partial_path(self, upload_id: str) -> Path:
        """Of an upload on its way in."""
        return self._incoming / f"{_checked(upload_id, 'upl')}.part"

    def track_path(self, video_id: str) -> Path:
        """Of the faces in a source. It lies beside it, and goes with it."""
        return self._media / _checked(video_id, "vid") / "faces.track"

    def segment_path(self, job_id: str, segment_id: str, suffix: SegmentSuffix, *, making: int = 1) -> Path:
        name = _checked(segment_id, "seg") + (f"-{making}" if making > 1 else "")
        return self._media / _checked(job_id, "job") / f"{name}{suffix}"

    def work_dir(self, task_id: str) -> Path:
        """The media child's directory for one task. Not made here."""
        return self._work / _checked(task_id, "tsk")

    def make_work_dir(self, task_id: str) -> None:
        """Anew: what an attempt left that a crash cut short is removed. Blocking. Raises NoSpace."""
        self.delete_work(task_id)
        with self.full_is_no_space():
            self.work_dir(task_id).mkdir(mode=0o700)

    # finished segments

    def adopt(self, files: Mapping[SegmentSuffix, Path], job_id: str, segment_id: str, *, making: int = 1) -> None:
        """Move a finished segment's synced files out of a work directory to their place, durably. Blocking.

        What a crash made of an earlier call is overwritten.
        Raises NoSpace when a full volume has no room for the names.
        """
        directory = self.segment_path(job_id, segment_id, ".mp4").parent
        with self.full_is_no_space():
            directory.mkdir(mode=0o700, exist_ok=True)
            for suffix in reversed(SEGMENT_SUFFIXES):  # the video last: where it is, the rest is
                if suffix in files:
                    files[suffix].rename(self.segment_path(job_id, segment_id, suffix, making=making))
            sync_directory(directory)
            sync_directory(self._media)

    def renew_poster(self, poster: Path, job_id: str, segment_id: str, *, making: int) -> None:
        """A segment's next making: a synced poster out of a work directory, and the other files of the making before,
        which are not written again. Blocking. Raises NoSpace as `adopt`."""
        files: dict[SegmentSuffix, Path] = {".jpg": poster}
        with self.full_is_no_space():
            for suffix in SEGMENT_SUFFIXES:
                before = self.segment_path(job_id, segment_id, suffix, making=making - 1)
                if suffix != ".jpg" and before.exists():
                    files[suffix] = poster.with_name(f"same{suffix}")
                    files[suffix].unlink(missing_ok=True)
                    files[suffix].hardlink_to(before)
        self.adopt(files, job_id, segment_id, making=making)

    def adopt_track(self, file: Path, video_id: str) -> None:
        """Move the track of a source's faces out of a work directory to its place, durably. Blocking.

        Raises NoSpace when a full volume has no room for the name.
        """
        path = self.track_path(video_id)
        with self.full_is_no_space():
            file.rename(path)
            sync_directory(path.parent)

    # going

    def delete_partial(self, upload_id: str) -> None:
        """What there is of an upload, and what it was promised. Blocking; that it is gone already is no error."""
        self.partial_path(upload_id).unlink(missing_ok=True)
        self.release(upload_id)

    def delete_source(self, video_id: str) -> None:
        """Blocking; that it is gone already is no error."""
        _remove(self._media / _checked(video_id, "vid"))

    def delete_media(self, job_id: str) -> None:
        """Every segment of a job. Blocking; that they are gone already is no error."""
        _remove(self._media / _checked(job_id, "job"))

    def delete_makings_before(self, making: int, *, job_id: str, segment_id: str) -> None:
        """The files of a segment that later ones took the place of. Blocking; that they are gone is no error."""
        for earlier in range(1, making):
            for suffix in SEGMENT_SUFFIXES:
                self.segment_path(job_id, segment_id, suffix, making=earlier).unlink(missing_ok=True)

    def delete_work(self, task_id: str) -> None:
        """Blocking; that it is gone already is no error."""
        _remove(self.work_dir(task_id))

    # what is there

    def stored_videos(self) -> set[str]:
        """Ids of videos that have a directory."""
        return _ids_in(self._media, "vid")

    def stored_jobs(self) -> set[str]:
        """Ids of jobs that have a directory."""
        return _ids_in(self._media, "job")

    def work_dirs(self) -> set[str]:
        """Ids of tasks that have a work directory."""
        return _ids_in(self._work, "tsk")

    def used_bytes(self) -> int:
        """What media, uploads and work take. Blocking: it looks at every file."""
        total = 0
        for root in (self._incoming, self._media, self._work):
            for directory, _, names in os.walk(root):
                for name in names:
                    try:
                        total += os.lstat(os.path.join(directory, name)).st_size
                    except FileNotFoundError:  # gone while we looked
                        continue
        return total


def amount(size: int) -> str:
    """Bytes for people: 1.5 GB. Decimal, as disks are sold and file managers show them."""
    if size < 1000:
        return f"{size} bytes"
    value, unit = size / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}"


def _checked(name: str, prefix: str) -> str:
    if not is_id(name, prefix):
        raise NotFound(f"{name!r} is not the id of anything.")
    return name


def _ids_in(directory: Path, prefix: str) -> set[str]:
    with os.scandir(directory) as entries:
        return {entry.name for entry in entries if is_id(entry.name, prefix) and entry.is_dir(follow_symlinks=False)}


def _remove(directory: Path) -> None:
    while directory.exists():
        try:
            shutil.rmtree(directory)
        except FileNotFoundError:  # another is removing it too: what is left?
            continue
