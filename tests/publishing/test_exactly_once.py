"""Exactly once: through faults of every kind, and crashes wherever they come."""

from pathlib import Path

from tests.publishing.stage import Stage
from tests.publishing.storm import faults, storm, told


async def test_sixty_publications_go_out_once_through_faults_and_crashes(tmp_path: Path) -> None:
    async with Stage(tmp_path, seed=1, chance=0.2).open() as stage:
        await storm(stage, segments=10, accounts=2, crashes=40)
        publications = await stage.all()
        assert len(publications) == 60
        assert faults(stage, publications) == [], told(stage, publications)
        assert sum(one.state == "published" for one in publications) == 60, told(stage, publications)
        assert sum(stage.far.happened.values()) > 30


async def test_without_the_journal_segments_are_posted_twice(tmp_path: Path) -> None:
    stage = Stage(tmp_path, seed=1, chance=0.15)
    stage.forgets = True
    async with stage.open():
        await storm(stage, segments=4, crashes=12)
        assert [fault for fault in faults(stage, await stage.all()) if "times" in fault]


async def test_a_seed_replays(tmp_path: Path) -> None:
    logs = []
    for folder in (tmp_path / "once", tmp_path / "again"):
        folder.mkdir()
        async with Stage(folder, seed=3, chance=0.2).open() as stage:
            await storm(stage, segments=2, crashes=8)
            logs.append(stage.far.log)
    assert len(logs[0]) > 30
    assert logs[0] == logs[1]
