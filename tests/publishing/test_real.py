"""The real adapters, logins and keeper against the simulators: exactly once."""

from pathlib import Path

import pytest

from tests.publishing.real import RealStage
from tests.publishing.stage import HOUR_MS, START
from tests.publishing.storm import faults, storm, told
from vidprod.domain.receipt import faults as faults_of_receipts


async def test_each_platform_gets_what_is_due_once(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        accounts = [await stage.connect("youtube"), await stage.connect("tiktok"), await stage.connect("instagram")]
        planned = await stage.plan(accounts, n=2, due_at=START + HOUR_MS, apart_ms=HOUR_MS)
        await stage.settle()
        for publication in planned:
            live = await stage.get(publication)
            assert (live.state, live.attempt, live.errors) == ("published", 1, []), live.errors
            assert live.url is not None
            assert live.url.startswith("https://www.")
            assert stage.posted(live) == 1


async def test_sixty_publications_go_out_once_through_faults_and_crashes(tmp_path: Path) -> None:
    async with RealStage(tmp_path, seed=1, chance=0.15).open() as stage:
        await storm(stage, segments=10, accounts=2, crashes=40)
        publications = await stage.all()
        assert len(publications) == 60
        assert faults(stage, publications) == [], told(stage, publications)
        assert stage.sims.twice() == []


@pytest.mark.soak
async def test_a_thousand_publications_go_out_once_through_faults_and_crashes(tmp_path: Path) -> None:
    """About a minute. Seventeen accounts of each platform, twenty-one segments to each: what a day takes is used up,
    too."""
    async with RealStage(tmp_path, seed=4, chance=0.15).open() as stage:
        await storm(stage, segments=21, accounts=17, crashes=150, apart_ms=5 * HOUR_MS, ticks=(50, 2500))
        publications = await stage.all()
        assert len(publications) == 1071
        assert faults(stage, publications) == [], told(stage, publications)
        assert stage.sims.twice() == []
        assert sum(one.state == "published" for one in publications) >= 1060, told(stage, publications)
        assert sum(stage.world.happened.values()) > 500
        chain = await stage.store.read(lambda db: db.receipts.after(0, limit=2000))
        assert faults_of_receipts(chain, whole=True) == []
        print(told(stage, publications), stage.world.happened)
