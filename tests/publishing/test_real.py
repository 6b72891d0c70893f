"""The real adapters, logins and keeper against the simulators: exactly once."""

from pathlib import Path

import pytest

from tests.publishing.real import RealStage
from tests.publishing.stage import HOUR_MS, START
from tests.publishing.storm import faults, storm, told


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


@pytest.mark.parametrize("seed", [1])
async def test_sixty_publications_go_out_once_through_faults_and_crashes(tmp_path: Path, seed: int) -> None:
    async with RealStage(tmp_path, seed=seed, chance=0.1).open() as stage:
        await storm(stage, segments=10, accounts=2, crashes=50)
        publications = await stage.all()
        assert len(publications) == 60
        assert faults(stage, publications) == [], told(stage, publications)
        assert stage.sims.twice() == []
