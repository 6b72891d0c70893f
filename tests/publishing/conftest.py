"""A folder in memory where there is room: the disk's mood is no part of these tests."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.conftest import MEMORY


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < 48 << 20:
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="vidprod-publishing-", dir=MEMORY))
    yield folder
    shutil.rmtree(folder)
