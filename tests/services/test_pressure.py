"""The watch over disk, memory and descriptors, on a real volume with a real store; the machine is as the test
says."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.services.conftest import eventually
from vidprod.blobs.disk import DiskBlobs
from vidprod.blobs.volume import Volume
from vidprod.errors import NoSpace
from vidprod.services import pressure
from vidprod.services.machine import Machine, Memory
from vidprod.services.pressure import PressureWatch
from vidprod.store.sqlite import Store

MIB = 1 << 20


class Small(Machine):
    """Of 512 MiB, as much left as the test says."""

    def __init__(self) -> None:
        self.left = 300 * MIB

    def memory(self) -> Memory | None:
        return Memory(self.left, 512 * MIB)

    def files(self) -> int | None:
        return 1000


@dataclass
class Watched:
    watch: PressureWatch
    machine: Small
    store: Store
    blobs: DiskBlobs
    ms: int = 1_000_000
    let_go: list[int] = field(default_factory=list)

    async def events(self) -> list[tuple[str, dict[str, Any]]]:
        events = await self.store.read(lambda db: db.events.after(0, limit=100))
        return [(event.type, event.data) for event in events]

    async def told(self, count: int) -> list[tuple[str, dict[str, Any]]]:
        async with asyncio.timeout(10):
            while len(events := await self.events()) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return events


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    blobs = DiskBlobs(tmp_path, floor_bytes=0)
    blobs.open()
    machine = Small()
    async with await Store.open(tmp_path / "vidprod.db", now=1, reserve_bytes=MIB) as store:
        watch = PressureWatch(
            store=store,
            blobs=blobs,
            let_idle_go=lambda: found.let_go.append(found.ms),
            now=lambda: found.ms,
            machine=machine,
        )
        found = Watched(watch, machine, store, blobs)
        yield found
    blobs.close()


@contextlib.asynccontextmanager
async def running(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    for name in ("EVERY_S", "PRESSED_EVERY_S"):
        monkeypatch.setattr(pressure, name, 0.01)
    task = asyncio.create_task(watched.watch.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_media_work_is_held_up_and_goes_on(watched: Watched) -> None:
    watch = watched.watch
    assert watch.look().level == "ok"
    watched.machine.left = 8 * MIB
    assert watch.look().level == "strained"
    assert not watch.may_begin.is_set()
    watched.machine.left = 200 * MIB
    assert watch.look().level == "ok"
    assert watch.may_begin.is_set()


def test_idle_children_go_first(watched: Watched) -> None:
    """While work that waits may still be begun."""
    watched.machine.left = 24 * MIB
    assert watched.watch.look().level == "tight"
    assert watched.watch.may_begin.is_set()
    assert len(watched.let_go) == 1


def test_idle_children_stay_where_only_the_disk_is_full(watched: Watched) -> None:
    watched.blobs.floor_bytes = 1 << 60
    assert watched.watch.look().level == "strained"
    assert watched.let_go == []


def test_the_databases_log_is_looked_at(watched: Watched) -> None:
    log = watched.watch._log_file
    assert log.stat().st_size > 0
    os.truncate(log, 100 * MIB)
    [cause] = watched.watch.look().causes
    assert (cause.thing, cause.level) == ("log", "tight")


async def test_what_changes_is_told_once(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(watched, monkeypatch):
        watched.machine.left = 24 * MIB
        [(first, data)] = await watched.told(1)
        assert (first, data["level"], data["takes_uploads"], data["begins_media"]) == (
            "system.pressure",
            "tight",
            False,
            True,
        )
        [cause] = data["causes"]
        assert (cause["thing"], cause["message"]) == (
            "memory",
            "Memory is nearly used up: 25 MB of 537 MB can still be had.",
        )
        watched.machine.left = 8 * MIB
        assert (await watched.told(2))[1][1]["level"] == "strained"
        watched.machine.left = 300 * MIB
        await eventually(lambda: watched.watch.pressure.level == "ok")
        assert len(await watched.events()) == 2  # a moment of peace is no news
        watched.ms += 11_000
        assert (await watched.told(3))[2] == (
            "system.relieved",
            {"level": "ok", "takes_uploads": True, "begins_media": True, "causes": []},
        )


def test_a_database_on_a_volume_of_its_own_is_looked_at_too(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.blobs.floor_bytes = 256 * MIB
    free = 500 * MIB

    def small(path: Path, *, root: Path) -> Volume | None:
        assert (path, root) == (watched.store.path.parent, watched.blobs.root)
        return Volume(total_bytes=1 << 30, free_bytes=free, names=None)

    monkeypatch.setattr(pressure, "apart", small)
    assert watched.watch.look().of("database") == "ok"
    free = 100 * MIB
    assert (watched.watch.look().of("database"), watched.watch.pressure.takes_uploads) == ("tight", False)
    free = 50 * MIB
    assert (watched.watch.look().of("database"), watched.watch.pressure.begins_media) == ("strained", False)


async def test_what_cannot_be_written_is_told_later(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the reserve is kept for deletions."""
    write, refused = watched.store.write, []

    async def full(fn: Any, *, urgent: bool = False) -> Any:
        refused.append(urgent)
        raise NoSpace

    monkeypatch.setattr(watched.store, "write", full)
    async with running(watched, monkeypatch):
        watched.machine.left = 24 * MIB
        await eventually(lambda: len(refused) >= 3)
        assert not any(refused)
        monkeypatch.setattr(watched.store, "write", write)
        assert [event for event, _ in await watched.told(1)] == ["system.pressure"]
