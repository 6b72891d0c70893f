"""Exactly once: through faults of every kind, and crashes wherever they come."""

from pathlib import Path

import pytest

from tests.publishing.stage import DAY_MS, Stage
from tests.publishing.storm import faults, storm, told
from vidprod.domain.account import PLATFORMS, Platform
from vidprod.domain.post import Post
from vidprod.errors import StoreError


async def test_thirty_publications_go_out_once_through_faults_and_crashes(tmp_path: Path) -> None:
    async with Stage(tmp_path, seed=1, chance=0.2).open() as stage:
        await storm(stage, segments=10, crashes=20)
        publications = await stage.all()
        assert len(publications) == 30
        assert faults(stage, publications) == [], told(stage, publications)
        assert sum(one.state == "published" for one in publications) == 30, told(stage, publications)
        assert sum(stage.far.happened.values()) > 15


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_crash_at_any_point_of_the_way_leads_to_one_post(tmp_path: Path, platform: Platform) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect(platform)
        stage.far.takes_s = 1
        stage.dice.random = lambda: 0.5  # type: ignore[method-assign]
        point, crashed = 0, True
        while crashed:
            point += 1
            stage.far.dice.seed(1)  # each goes the same way, one step further
            (publication,) = await stage.plan(account, due_at=stage.clock.now(), post=Post(title=f"take {point}"))
            crashed = await stage.crash_after(point)
            await stage.settle(until=stage.clock.time + 2 * DAY_MS)
            live = await stage.get(publication)
            assert (live.state, stage.posted(publication)) == ("published", 1), point
        assert point > 15


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_store_that_fails_once_anywhere_on_the_way_ends_neither_the_publisher_nor_the_post(
    tmp_path: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidprod.services.publisher._RESTS_S", 0)
    left = 0

    def tick() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise StoreError("the disk does not answer")

    async with Stage(tmp_path).open() as stage:
        account = await stage.connect(platform)
        stage.far.takes_s = 1
        for point in range(1, 30):
            (publication,) = await stage.plan(account, due_at=stage.clock.now(), post=Post(title=f"take {point}"))
            left = point
            stage.store.tick = tick
            await stage.settle(until=stage.clock.time + DAY_MS // 4)
            stage.store.tick = lambda: None
            assert left <= 0
            live = await stage.get(publication)
            assert (live.state, stage.posted(publication)) == ("published", 1), point


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
