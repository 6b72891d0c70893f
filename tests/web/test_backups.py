"""How nightly backups stand, over HTTP."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import Live, running
from vidprod.domain.backup import STALE_MS, Standing


@pytest.fixture
async def nightly(tmp_path: Path) -> AsyncIterator[Live]:
    async with running(tmp_path, backup_to="/mnt/backups") as server:
        yield server


async def told(live: Live, standing: Standing | None = None) -> dict[str, Any]:
    if standing is not None:
        await live.store.write(lambda db: db.facts.set_backup(standing))
    answer = await live.client.get("/v1/backup")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_it_says_what_went_wrong_and_when_the_last_good_one_was(nightly: Live) -> None:
    now = time.time_ns() // 1_000_000
    assert await told(nightly) == {"nightly": True, "trouble": None, "at": None, "failed_at": None, "fault": ""}
    good = Standing(since=0, at=now)
    assert (await told(nightly, good))["trouble"] is None
    late = await told(nightly, Standing(since=0, at=now - STALE_MS - 60_000))
    assert (late["trouble"], late["at"] is not None) == ("overdue", True)
    failed = await told(nightly, Standing(since=0, at=now, failed_at=now, fault="no room"))
    assert (failed["trouble"], failed["fault"]) == ("failed", "no room")
    assert (await told(nightly, good))["trouble"] is None


async def test_where_none_is_asked_for_none_is_missed(live: Live) -> None:
    late = await told(live, Standing(since=0))
    assert (late["nightly"], late["trouble"]) == (False, None)
