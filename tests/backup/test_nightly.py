"""The daemon has a backup made each night, by a process of its own, and says how that went."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from tests.backup.home import Home
from vidprod.config import Config
from vidprod.domain.backup import AGAIN_MS, Standing
from vidprod.domain.event import Event
from vidprod.services.backups import Backups
from vidprod.store.sqlite import Store

NIGHT = 1_800_070_200_000  # 16 January 2027, 03:30 UTC
EVENING = NIGHT - 10 * 3_600_000


@pytest_asyncio.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    home = Home(tmp_path / "data")
    await home.furnish()
    async with await Store.open(home.database, now=EVENING) as store:
        yield store


class Watch:
    """Backups with a clock that is set."""

    def __init__(self, store: Store, root: Path, *command: str, **settings: str) -> None:
        self.store, self.time = store, EVENING
        config = msgspec.structs.replace(
            Config(data_dir=str(root / "data"), backup_to=str(root / "shelf"), disk_floor_bytes=0), **settings
        )
        self._backups = Backups(store, config, now=lambda: self.time, command=command or None)

    async def look(self, at: int) -> tuple[Standing, list[Event]]:
        """How it stands after a look, and what was told so far."""
        self.time = at
        await self._backups.look()
        standing = await self.store.read(lambda db: db.facts.backup())
        assert standing is not None
        events = await self.store.read(lambda db: db.events.after(0, limit=1000))
        return standing, [event for event in events if event.type.startswith("backup.")]


async def test_at_its_time_one_is_made_and_told(store: Store, tmp_path: Path) -> None:
    watch = Watch(store, tmp_path, backup_media="yes", backup_passphrase="correct horse")
    standing, told = await watch.look(EVENING)
    assert (standing.at, told) == (None, [])
    standing, told = await watch.look(NIGHT)
    assert [event.type for event in told] == ["backup.completed"]
    (name,) = [name for name in os.listdir(tmp_path / "shelf") if not name.startswith(".")]
    assert standing.where == str(tmp_path / "shelf" / name)
    assert standing.size == os.stat(standing.where).st_size
    assert standing.at is not None
    assert "correct horse" not in str(told)


async def test_one_that_fails_is_told_with_its_reason_and_tried_again(store: Store, tmp_path: Path) -> None:
    (tmp_path / "shelf").write_text("no folder")
    watch = Watch(store, tmp_path)
    await watch.look(EVENING)
    standing, told = await watch.look(NIGHT)
    assert (standing.at, standing.failed_at) == (None, NIGHT)
    assert [event.type for event in told] == ["backup.failed"]
    assert standing.fault
    assert "Traceback" not in standing.fault
    _, told = await watch.look(NIGHT + AGAIN_MS - 1)
    assert len(told) == 1
    _, told = await watch.look(NIGHT + AGAIN_MS)
    assert len(told) == 2


async def test_a_child_that_is_killed_is_a_failure(store: Store, tmp_path: Path) -> None:
    dies = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    watch = Watch(store, tmp_path, sys.executable, "-c", dies)
    await watch.look(EVENING)
    standing, _ = await watch.look(NIGHT)
    assert standing.fault == "it ended with -9"
