"""A real server on a real port, as in the tests of the web."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.conftest import Live, running


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    async with running(tmp_path) as server:
        yield server
