"""A store on a real file."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.store.given import NOW, prepared
from vidprod.store.sqlite import Store, checkpoint

MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is room, so that the disk's mood is no part of these tests: thousands of syncs."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < 48 << 20:
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="vidprod-store-", dir=MEMORY))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def short_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is folded into the file every few transactions, so that faults meet the checkpoint too."""
    monkeypatch.setattr(checkpoint, "LOG_PAGES", 20)


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(prepared(tmp_path / "vidprod.db"), now=NOW) as opened:
        yield opened
