"""An upload that was answered survives the power going: its bytes, its names and its rows were on the disk before."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import Live, mp4, running
from tests.web.raw_socket import RawClient
from vidprod.store.sqlite import Store
from vidprod.web import server


class Volume:
    """What an upload did to the volume, in order, and what a power cut after it would leave.

    The model: bytes are durable after an fsync of their file, a name after an fsync of its directory.
    """

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []

    @contextmanager
    def watched(self, monkeypatch: pytest.MonkeyPatch, *, syncs: bool = True) -> Iterator[None]:
        fsync, rename, write = os.fsync, Path.rename, Store.write

        def watched_fsync(fd: int) -> None:
            if syncs:
                self.steps.append(("fsync", os.readlink(f"/proc/self/fd/{fd}")))
                fsync(fd)

        def watched_rename(path: Path, target: Any) -> Path:
            self.steps.append(("rename", str(target)))
            return rename(path, target)

        async def watched_write(store: Store, *arguments: Any, **options: Any) -> Any:
            result = await write(store, *arguments, **options)
            self.steps.append(("commit", ""))
            return result

        with monkeypatch.context() as patch:
            patch.setattr("vidprod.blobs.incoming.os.fsync", watched_fsync)
            patch.setattr(Path, "rename", watched_rename)
            patch.setattr(Store, "write", watched_write)
            yield

    def survives(self) -> bool:
        """Whether the rows that were committed name a file that is there, whole."""
        (renamed,) = [n for n, (what, _) in enumerate(self.steps) if what == "rename"]
        committed = next(n for n, (what, _) in enumerate(self.steps) if what == "commit" and n > renamed)
        target = Path(self.steps[renamed][1])
        bytes_synced = any(what == "fsync" and path.endswith(".part") for what, path in self.steps[:renamed])
        names_synced = {path for what, path in self.steps[renamed:committed] if what == "fsync"}
        return bytes_synced and {str(target.parent), str(target.parent.parent)} <= names_synced


async def test_an_answered_upload_survives_a_power_cut(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = Volume()
    with volume.watched(monkeypatch):
        await live.upload(mp4(3_000_000))
    assert volume.survives()


async def test_without_fsync_the_same_harness_sees_the_loss(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = Volume()
    with volume.watched(monkeypatch, syncs=False):
        await live.upload(mp4(3_000_000))
    assert not volume.survives()


async def _send_all_then_read(live: Live) -> bytes:
    async with RawClient(live.port) as client:
        await client.head("PUT /upload", "Content-Length: 30000000")
        for _ in range(300):
            await client.send(b"x" * 100_000)
        return await client.answer()


async def test_without_lingering_a_refused_client_is_cut_off(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin of the tests that see a refusal: this is what they would see."""
    assert (await _send_all_then_read(live)).startswith(b"HTTP/1.1 415")
    monkeypatch.setattr(server, "_LINGER_BYTES", 0)
    with pytest.raises(ConnectionError):
        await _send_all_then_read(live)


async def test_a_cancelled_writer_keeps_rows_and_file_together(tmp_path: Path) -> None:
    """The drain ends while the rows are being written: either both are there, or neither."""
    outcomes = set()
    for turn in range(12):
        root = tmp_path / str(turn)
        async with running(root, drain_s=0.0) as live, RawClient(live.port) as client:
            await client.head("PUT /upload", "Content-Length: 1000000")
            await client.send(mp4(1_000_000))
            await asyncio.sleep(0.001 * 1.6**turn)  # 1 ms to 0.2 s
            live.stop.set()
            await live.serving
            jobs = await live.store.read(lambda db: db.jobs.list(limit=10))
            files = live.files()
            assert len(jobs) == len(files) <= 1, (jobs, files)
            outcomes.add(len(files))
    assert outcomes == {0, 1}  # else the turns did not reach both sides
