"""A restored copy of yesterday never posts what went out since: whatever the moment of the backup, and whatever the
platforms answered meanwhile."""

import os
from pathlib import Path

import pytest

from tests.publishing.stage import HOUR_MS, START, Stage
from vidprod.store.sqlite.copy import copy_database
from vidprod.store.sqlite.homecoming import change_database, doubt
from vidprod.store.sqlite.standing import resume_publishing

N = 3
LATE = 2**31  # seconds: what is late goes out all the same, so that nothing else holds it back


async def lives(root: Path, *, seed: int, doubts: bool) -> dict[str, int]:
    """How often each went out: a home lives to its end, and then its backup of some moment on the way does."""
    os.mkdir(root)
    stage = Stage(root, seed=seed, chance=0.1 if seed % 2 else 0.0, publish_late_s=LATE)
    async with stage.open():
        accounts = [await stage.connect(platform) for platform in ("youtube", "tiktok", "instagram")]
        planned = await stage.plan(accounts, n=N, due_at=START, apart_ms=HOUR_MS)
        await stage.crash_after(20 + stage.dice.randrange(400))
        as_of = stage.clock.now()
        copy_database(root / "vidprod.db", root / "backup.db")
        stage.calm()
        await stage.settle()
        await stage.stop()
        await stage.store.close()
        (root / "backup.db").rename(root / "vidprod.db")
        now = max(stage.clock.now(), START + N * HOUR_MS)
        stage.clock.time = now
        if doubts:
            change_database(root / "vidprod.db", lambda db, home: doubt(db, home, as_of=as_of, now=now), now=now)
        await stage._open()
        await stage.store.write(lambda db: resume_publishing(db, now=now))
        await stage.start()
        await stage.settle()
        return {one.id: stage.posted(one) for one in planned}


@pytest.mark.parametrize("seed", range(3))
async def test_a_restored_backup_posts_nothing_again(tmp_path: Path, seed: int) -> None:
    posted = await lives(tmp_path / "home", seed=seed, doubts=True)
    assert max(posted.values()) <= 1
    assert sum(posted.values()) > 0


@pytest.mark.soak
@pytest.mark.parametrize("quarter", range(4))
async def test_a_hundred_restored_backups_post_nothing_again(tmp_path: Path, quarter: int) -> None:
    for seed in range(100 + 25 * quarter, 125 + 25 * quarter):
        posted = await lives(tmp_path / str(seed), seed=seed, doubts=True)
        assert max(posted.values()) <= 1, seed


async def test_one_that_doubts_nothing_does(tmp_path: Path) -> None:
    twice = 0
    for seed in range(2):
        twice += sum(count > 1 for count in (await lives(tmp_path / str(seed), seed=seed, doubts=False)).values())
    assert twice > 0
