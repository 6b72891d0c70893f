"""Bytes at rest on a real directory."""

import asyncio
import errno
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vidprod.blobs.disk import SEGMENT_SUFFIXES, DiskBlobs, SegmentSuffix, amount
from vidprod.blobs.incoming import BUFFER_BYTES
from vidprod.domain.ids import new_id
from vidprod.errors import NoSpace, NotFound, Unavailable

HUGE = 1 << 60


@pytest.fixture
async def blobs(tmp_path: Path) -> AsyncIterator[DiskBlobs]:
    disk = DiskBlobs(tmp_path, floor_bytes=0)
    disk.open()
    yield disk
    disk.close()


def _id(prefix: str) -> str:
    return new_id(prefix, now=1_700_000_000_000)


def _files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


async def test_what_is_committed_is_what_was_written(blobs: DiskBlobs) -> None:
    video_id = _id("vid")
    pieces = [os.urandom(size) for size in (1, 4095, 200_000, 3_000_000, 7, BUFFER_BYTES, BUFFER_BYTES + 1, 20 << 20)]
    async with blobs.receive(_id("upl"), expected=sum(map(len, pieces))) as incoming:
        for piece in pieces:
            await incoming.write(piece)
        path = await incoming.commit(video_id, "mp4")
    assert path == blobs.source_path(video_id, "mp4")
    assert path.read_bytes() == b"".join(pieces)
    assert _files(blobs.root) == {f"media/{video_id}/source.mp4"}
    assert blobs.stored_videos() == {video_id}


async def test_no_thread_is_started_in_the_middle_of_an_upload(
    blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may refuse one, and what was asked of it stays in the queue, for a thread that nobody waits for."""
    monkeypatch.setattr(threading.Thread, "start", _no_thread)
    for buffers in (1, 100):
        assert await _write(blobs, buffers=buffers) == buffers * BUFFER_BYTES


def test_threads_that_cannot_start_are_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = DiskBlobs(tmp_path, floor_bytes=0)
    start, started = threading.Thread.start, []

    def some(thread: threading.Thread) -> None:
        started.append(thread)
        if len(started) == 3:
            _no_thread(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", some)
    with pytest.raises(Unavailable, match="can't start new thread"):
        blobs.open()
    blobs.close()  # and does not wait for ever for those that did start


def _no_thread(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


async def test_the_head_is_there_before_anything_is_on_the_disk(blobs: DiskBlobs) -> None:
    async with blobs.receive(_id("upl")) as incoming:
        await incoming.write(b"a" * 4000)
        await incoming.write(b"b" * 4000)
        assert incoming.head == b"a" * 4000 + b"b" * 96
        assert incoming.size == 8000


async def test_who_leaves_without_commit_leaves_nothing(blobs: DiskBlobs) -> None:
    seen: set[str] = set()

    async def give_up() -> None:
        async with blobs.receive(_id("upl"), expected=10 << 20) as incoming:
            await incoming.write(bytes(3 << 20))
            seen.update(_files(blobs.root))
            raise RuntimeError("the client went away")

    with pytest.raises(RuntimeError, match="the client went away"):
        await give_up()
    assert seen  # a file that stayed would be seen
    assert _files(blobs.root) == set()
    assert blobs.promised_bytes() == 0


async def test_a_receiver_cancelled_at_any_point_leaves_all_or_nothing(blobs: DiskBlobs) -> None:
    committed: set[str] = set()

    async def upload(video_id: str) -> None:
        async with blobs.receive(_id("upl"), expected=2 << 20) as incoming:
            for _ in range(8):
                await incoming.write(bytes(256 << 10))
            await incoming.commit(video_id, "mp4")
            committed.add(video_id)  # and it may still be cancelled while the receiver is closed

    outcomes = set()
    for steps in range(40):
        blobs._blocks_until = float("inf") if steps % 4 else 0.0  # in threads, where a write can be cancelled, and not
        video_id = _id("vid")
        task = asyncio.create_task(upload(video_id))
        for _ in range(steps):
            await asyncio.sleep(0 if steps % 2 else 0.0005)
        task.cancel()
        await asyncio.wait({task})
        path = blobs.source_path(video_id, "mp4")
        outcomes.add(path.exists())
        assert path.exists() == (video_id in committed)
        assert task.cancelled() or path.exists()
        assert not path.exists() or path.stat().st_size == 2 << 20
        assert not list((blobs.root / "incoming").iterdir())
        blobs.delete_source(video_id)
    assert outcomes == {True, False}  # else the loop did not reach both sides


async def test_a_receiver_cancelled_twice_waits_for_its_last_fsync(
    blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drain cancels, and a second later cancels again: the file was closed under a slow fsync."""
    begun, go_on, synced = threading.Event(), threading.Event(), []
    fsync = os.fsync

    def slow_fsync(fd: int) -> None:
        begun.set()
        go_on.wait(5)
        fsync(fd)
        synced.append(fd)

    monkeypatch.setattr("vidprod.blobs.incoming.os.fsync", slow_fsync)
    uploading = asyncio.create_task(_write(blobs, buffers=1))
    await asyncio.to_thread(begun.wait, 5)
    for _ in range(3):
        uploading.cancel()
        await asyncio.sleep(0.02)
    assert not uploading.done()
    go_on.set()
    await asyncio.wait({uploading})
    assert uploading.cancelled()
    assert len(synced) == 3  # the file and both directories: the thread came to its end
    assert _files(blobs.root) == blobs.stored_videos() == set()


async def test_more_than_fits_is_refused_with_figures_before_a_byte(blobs: DiskBlobs) -> None:
    with pytest.raises(NoSpace, match=r"needed, .* free .* kept for the database"):
        async with blobs.receive(_id("upl"), expected=HUGE):
            pytest.fail("it was let in")
    assert _files(blobs.root) == set()


async def test_what_one_upload_announced_is_not_promised_to_another(blobs: DiskBlobs) -> None:
    half = blobs.free_bytes() * 2 // 3
    async with blobs.receive(_id("upl"), expected=half) as first:
        with pytest.raises(NoSpace, match="promised to other uploads"):
            async with blobs.receive(_id("upl"), expected=half):
                pytest.fail("both were let in")
        await first.write(b"x")
    async with blobs.receive(_id("upl"), expected=half):
        pass  # given back


async def test_the_floor_holds_while_bytes_come_in(tmp_path: Path) -> None:
    roomy = DiskBlobs(tmp_path, floor_bytes=0)
    roomy.open()
    async with roomy.receive(_id("upl")) as incoming:
        await incoming.write(b"x" * 100)
        roomy.floor_bytes = HUGE  # as if the rest of the machine had filled the volume meanwhile
        with pytest.raises(NoSpace, match="kept for the database"):
            await incoming.commit(_id("vid"), "mp4")
    assert _files(tmp_path) == set()
    roomy.close()


async def test_a_full_disk_under_the_write_is_no_space(blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full answers every write with ENOSPC, as a volume does that lied about its free bytes."""
    async with blobs.receive(_id("upl")) as incoming:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, incoming._fd)
        os.close(full)
        await incoming.write(b"x" * 100)
        with pytest.raises(NoSpace):
            await incoming.commit(_id("vid"), "mp4")
    assert _files(blobs.root) == set()


@pytest.fixture
def full(blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Makes a call of the system fail on the volume, as it does when names or a quota run out."""

    def fail(name: str, number: int) -> None:
        real = getattr(os, name)

        def call(path: Any, *rest: Any, **options: Any) -> Any:
            if str(path).startswith(str(blobs.root)):
                raise OSError(number, os.strerror(number), str(path))
            return real(path, *rest, **options)

        monkeypatch.setattr(os, name, call)

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["open", "mkdir", "rename", "fsync"])
async def test_a_full_disk_under_any_call_of_an_upload_is_no_space(
    blobs: DiskBlobs, full: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    if call == "fsync":
        monkeypatch.setattr(os, "fsync", lambda _fd: _raise(OSError(number, os.strerror(number))))
    else:
        full(call, number)

    async def upload() -> None:
        async with blobs.receive(_id("upl"), expected=3_000_000) as incoming:
            await incoming.write(bytes(3_000_000))
            await incoming.commit(_id("vid"), "mp4")

    with pytest.raises(NoSpace, match=r": 3\.0 MB are needed, .* free"):
        await upload()
    monkeypatch.undo()
    assert _files(blobs.root) == set()
    assert blobs.promised_bytes() == 0


def _raise(error: Exception) -> None:
    raise error


async def test_who_announced_nothing_is_not_told_that_0_bytes_are_needed(blobs: DiskBlobs) -> None:
    blobs.floor_bytes = HUGE
    with pytest.raises(NoSpace, match=r"^The volume is too full: \d[\d.]* \w+ are free"):
        async with blobs.receive(_id("upl")):
            pytest.fail("it was let in")


@pytest.mark.parametrize("call", ["mkdir", "rename", "open"])
async def test_a_full_disk_under_a_finished_segment_is_no_space(
    blobs: DiskBlobs, full: Callable[[str, int], None], call: str
) -> None:
    task_id = _id("tsk")
    blobs.make_work_dir(task_id)
    video = blobs.work_dir(task_id) / "000.mp4"
    video.write_bytes(b"video")
    full(call, errno.ENOSPC)
    with pytest.raises(NoSpace):
        blobs.adopt({".mp4": video}, _id("job"), _id("seg"))


async def test_a_full_disk_under_a_work_directory_is_no_space(
    blobs: DiskBlobs, full: Callable[[str, int], None]
) -> None:
    full("mkdir", errno.EDQUOT)
    with pytest.raises(NoSpace):
        blobs.make_work_dir(_id("tsk"))


async def test_a_work_directory_is_made_anew(blobs: DiskBlobs) -> None:
    task_id = _id("tsk")
    blobs.make_work_dir(task_id)
    (blobs.work_dir(task_id) / "left-by-a-crash").touch()
    blobs.make_work_dir(task_id)
    assert list(blobs.work_dir(task_id).iterdir()) == []


async def test_many_uploads_share_what_may_be_dirty(blobs: DiskBlobs) -> None:
    alone = blobs.window_bytes
    contexts = [blobs.receive(_id("upl")) for _ in range(50)]
    for context in contexts:
        await context.__aenter__()
    crowded = blobs.window_bytes
    for context in contexts:
        await context.__aexit__(None, None, None)
    assert crowded < alone
    assert crowded * 50 <= 32 << 20


def _pauses(monkeypatch: pytest.MonkeyPatch, pauses_s: list[float]) -> list[bool]:
    """Every write takes its turn of `pauses_s`, by a clock of its own. Returns which were on the event loop, as they
    come."""
    on_loop: list[bool] = []
    loop = threading.get_ident()

    def slow_writev(fd: int, pieces: list[bytes]) -> int:
        time.sleep(0.001)  # gives up the core, as who waits for a disk
        on_loop.append(threading.get_ident() == loop)
        return os.write(fd, b"".join(pieces))

    clock = SimpleNamespace(monotonic=lambda: 1000 + sum(pauses_s[: len(on_loop)]))
    monkeypatch.setattr("vidprod.blobs.incoming.os.writev", slow_writev)
    monkeypatch.setattr("vidprod.blobs.incoming.time", clock)
    monkeypatch.setattr("vidprod.blobs.disk.time", clock)
    return on_loop


async def _write(blobs: DiskBlobs, *, buffers: int) -> int:
    """The size of what was stored."""
    async with blobs.receive(_id("upl")) as incoming:
        for _ in range(buffers):
            await incoming.write(bytes(BUFFER_BYTES))
        return (await incoming.commit(_id("vid"), "mp4")).stat().st_size


async def test_once_a_write_blocked_the_event_loop_is_left_alone(
    blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that throttles writers would stop every request with them."""
    on_loop = _pauses(monkeypatch, [0.12, 0, 0])
    assert await _write(blobs, buffers=3) == 3 * BUFFER_BYTES
    assert on_loop == [True, False, False]


async def test_short_pauses_one_after_the_other_are_the_disk(blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    on_loop = _pauses(monkeypatch, [0.06, 0.06, 0, 0])
    await _write(blobs, buffers=4)
    assert on_loop == [True, True, False, False]


async def test_one_short_pause_is_not_the_disk(blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that waited for its turn on a busy core looks so. To write in threads would cost twice the time."""
    on_loop = _pauses(monkeypatch, [0.03, 0, 0])
    await _write(blobs, buffers=3)
    assert on_loop == [True, True, True]


async def test_pauses_long_ago_do_not_count(blobs: DiskBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    on_loop = _pauses(monkeypatch, [0.09, *[0.019] * 300, 0.09, 0])
    await _write(blobs, buffers=303)
    assert on_loop.count(False) == 0


async def test_a_client_of_tiny_chunks_cannot_make_us_hold_them_all(blobs: DiskBlobs) -> None:
    async with blobs.receive(_id("upl")) as incoming:
        for _ in range(2000):
            await incoming.write(b"x")
        assert len(incoming._pieces) < 1000
        path = await incoming.commit(_id("vid"), "mp4")
    assert path.stat().st_size == 2000


@pytest.mark.parametrize("name", ["../../etc", "vid_", "vid_../../../../../../../etc/pa", "job_" + "0" * 26, ""])
def test_only_ids_of_ours_become_paths(tmp_path: Path, name: str) -> None:
    blobs = DiskBlobs(tmp_path, floor_bytes=0)
    with pytest.raises(NotFound):
        blobs.source_path(name, "mp4")
    with pytest.raises(NotFound):
        blobs.delete_source(name)
    blobs.close()


def test_an_extension_cannot_climb(tmp_path: Path) -> None:
    blobs = DiskBlobs(tmp_path, floor_bytes=0)
    with pytest.raises(NotFound):
        blobs.source_path(_id("vid"), "mp4/../../x")
    blobs.close()


def _made(blobs: DiskBlobs, task_id: str) -> dict[SegmentSuffix, Path]:
    work_dir = blobs.work_dir(task_id)
    work_dir.mkdir(exist_ok=True)
    files = {suffix: work_dir / f"000{suffix}" for suffix in SEGMENT_SUFFIXES}
    for suffix, path in files.items():
        path.write_bytes(suffix.encode())
    return files


async def test_adopted_segments_are_in_their_place_and_a_second_time_changes_nothing(blobs: DiskBlobs) -> None:
    task_id, job_id, segment_id = _id("tsk"), _id("job"), _id("seg")
    for _ in range(2):  # the second: a crash after the rename, before the row
        blobs.adopt(_made(blobs, task_id), job_id, segment_id)
    assert blobs.segment_path(job_id, segment_id, ".mp4").read_bytes() == b".mp4"
    assert blobs.segment_path(job_id, segment_id, ".sprite.jpg").read_bytes() == b".sprite.jpg"
    assert list(blobs.work_dir(task_id).iterdir()) == []
    assert blobs.stored_jobs() == {job_id}


async def test_a_segment_without_its_video_is_not_adopted(blobs: DiskBlobs) -> None:
    files = _made(blobs, _id("tsk"))
    files[".mp4"].unlink()
    with pytest.raises(FileNotFoundError):
        blobs.adopt(files, _id("job"), _id("seg"))


async def test_each_making_of_a_segment_has_names_of_its_own(blobs: DiskBlobs) -> None:
    job_id, segment_id = _id("job"), _id("seg")
    for making in (1, 2, 3):
        blobs.adopt(_made(blobs, _id("tsk")), job_id, segment_id, making=making)
    other = _id("seg")
    blobs.adopt(_made(blobs, _id("tsk")), job_id, other)
    assert blobs.segment_path(job_id, segment_id, ".gaze.jpg", making=3).name == f"{segment_id}-3.gaze.jpg"
    for _ in range(2):
        blobs.delete_makings_before(3, job_id=job_id, segment_id=segment_id)
    left = {path.name for path in blobs.segment_path(job_id, segment_id, ".mp4").parent.iterdir()}
    assert left == {f"{name}{suffix}" for name in (f"{segment_id}-3", other) for suffix in SEGMENT_SUFFIXES}


async def test_a_track_lies_beside_its_source_and_goes_with_it(blobs: DiskBlobs) -> None:
    async with blobs.receive(_id("upl")) as incoming:
        await incoming.write(b"x")
        video_id = _id("vid")
        await incoming.commit(video_id, "mp4")
    for said in (b"eyes", b"other eyes"):  # the second: it was followed anew
        made = blobs.root / "work" / "faces.track"
        made.write_bytes(said)
        blobs.adopt_track(made, video_id)
        assert blobs.track_path(video_id).read_bytes() == said
    assert blobs.track_path(video_id).parent == blobs.source_path(video_id, "mp4").parent
    blobs.delete_source(video_id)
    assert not blobs.track_path(video_id).exists()
    made.write_bytes(b"late")
    with pytest.raises(FileNotFoundError):  # who comes after its source went leaves nothing
        blobs.adopt_track(made, video_id)
    assert blobs.stored_videos() == set()


async def test_deleting_twice_is_no_error(blobs: DiskBlobs) -> None:
    task_id, job_id, segment_id = _id("tsk"), _id("job"), _id("seg")
    blobs.adopt(_made(blobs, task_id), job_id, segment_id)
    for _ in range(2):
        blobs.delete_media(job_id)
        blobs.delete_work(task_id)
    assert _files(blobs.root) == set()
    assert blobs.stored_jobs() == blobs.work_dirs() == set()


async def test_only_our_names_are_seen_and_swept(blobs: DiskBlobs) -> None:
    (blobs.root / "media" / "holiday").mkdir()
    (blobs.root / "incoming" / "notes.part").write_text("mine")
    (blobs.root / "incoming" / f"{_id('upl')}.part").write_text("half an upload")
    async with blobs.receive(_id("upl")) as incoming:
        assert blobs.sweep_incoming() == 1
        await incoming.write(b"still wanted")
        await incoming.commit(_id("vid"), "mp4")
    assert "incoming/notes.part" in _files(blobs.root)
    assert len(blobs.stored_videos()) == 1


async def test_used_bytes_are_the_bytes_of_all_files(blobs: DiskBlobs) -> None:
    async with blobs.receive(_id("upl")) as incoming:
        await incoming.write(b"x" * 12345)
        await incoming.commit(_id("vid"), "mp4")
    assert blobs.used_bytes() == 12345


def test_amounts_read_well() -> None:
    assert [amount(n) for n in (0, 999, 1000, 1_500_000, 8 << 30)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "1.5 MB",
        "8.6 GB",
    ]
