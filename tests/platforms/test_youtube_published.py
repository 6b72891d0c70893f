"""The publisher, YouTube's adapter and the simulated YouTube together."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.platforms.tube import Right
from tests.publishing.stage import DAY_MS, HOUR_MS, START, Stage
from vidprod.platforms.base import Publisher
from vidprod.platforms.simulators.transport import SimTransport, application
from vidprod.platforms.simulators.world import World
from vidprod.platforms.simulators.youtube import Channel, YouTubeSim
from vidprod.platforms.wire import Wire
from vidprod.platforms.youtube import YouTube

CHANNELS = ("youtube-ann", "youtube-bob")  # as the stage names its accounts


class Ticked(httpx.AsyncBaseTransport):
    """The way to the simulator, on which a crash can come before a request and before its answer."""

    def __init__(self, inner: httpx.AsyncBaseTransport, stage: Stage) -> None:
        self._inner = inner
        self._stage = stage

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._stage.far.tick()
        await asyncio.sleep(0)
        answer = await self._inner.handle_async_request(request)
        self._stage.far.tick()
        await asyncio.sleep(0)
        return answer


class Rights:
    """Tokens, newly granted where they have ended."""

    def __init__(self, stage: Stage, sim: YouTubeSim) -> None:
        self._stage = stage
        self._sim = sim
        self._rights: dict[str, Right] = {}

    async def grant(self, account_id: str) -> Right:
        account = await self._stage.store.read(lambda db: db.accounts.get(account_id))
        right = self._rights.get(account_id)
        if right is None or self._sim.auth.holder(right.issued.access_token) is None:
            right = Right(self._sim.auth, external_id=account.external_id, account_id=account_id)
            self._rights[account_id] = right
        return right


class Platforms:
    """YouTube, whatever is asked for."""

    def __init__(self, youtube: YouTube) -> None:
        self._youtube = youtube

    def publisher(self, platform: Any, flavour: Any) -> Publisher:
        return self._youtube


def staged(folder: Path, *, seed: int, chance: float) -> tuple[Stage, YouTubeSim]:
    stage = Stage(folder, seed=seed)
    world = World(wall=stage.clock.now, seed=seed, chance=chance)
    sim = YouTubeSim(world, inspects=False)
    sim.channels |= {name: Channel(id=name, title=name, handle=name, daily_cap=1000) for name in CHANNELS}
    transport = Ticked(SimTransport(application(sim.handlers())), stage)
    stage.platforms = Platforms(YouTube(Wire(simulator_url=world.base_url, transport=transport)))
    stage.keeper = Rights(stage, sim)
    return stage, sim


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_each_segment_gets_to_each_channel_once_whatever_happens(tmp_path: Path, seed: int) -> None:
    stage, sim = staged(tmp_path, seed=seed, chance=0.25)
    dice = random.Random(seed)
    async with stage.open():
        accounts = [await stage.connect(name=name, hands_over_time=seed == 2) for name in ("ann", "bob")]
        await stage.plan(accounts, n=5, due_at=START + HOUR_MS, apart_ms=60_000)
        for _ in range(5):
            await stage.crash_after(dice.randrange(1, 120))
        await stage.settle(until=START + 2 * DAY_MS)
        rows = await stage.all()
    external = {account.id: account.external_id for account in accounts}
    assert Counter(row.state for row in rows) == {"published": 10}
    assert Counter((one.account, one.sha256) for one in sim.posts()) == Counter(
        (external[row.account_id], row.sha256) for row in rows
    )
    assert {one.remote_id for one in sim.posts()} == {row.remote_id for row in rows}
    assert sum(sim.world.happened.values()) > 5


async def test_a_video_that_was_found_by_reading_is_known_from_then_on(tmp_path: Path) -> None:
    """Its session is asked no more: sessions are forgotten, and what comes of them is retitled."""
    stage, sim = staged(tmp_path, seed=1, chance=0.0)
    sim.world.order("youtube.put", "lost_answer")
    async with stage.open():
        account = await stage.connect(hands_over_time=True)
        (publication,) = await stage.plan(account, due_at=START + 9 * DAY_MS, run_at=START)
        await stage.settle(until=START + DAY_MS)
        (video,) = sim.videos.values()
        video.snippet = {**video.snippet, "title": "Retitled"}
        sim.sessions.clear()
        await stage.settle(until=START + 10 * DAY_MS)
        row = await stage.get(publication)
    assert (row.state, row.remote_id) == ("published", video.id)
    assert (len(sim.videos), sim.requests["youtube.probe"]) == (
        1,
        2,
    )  # before it was sent, and after the answer was lost


async def test_a_handed_over_time_is_kept_to_the_second_and_told_when_it_has_come(tmp_path: Path) -> None:
    stage, sim = staged(tmp_path, seed=1, chance=0.0)
    due_at = START + 5 * HOUR_MS
    async with stage.open():
        account = await stage.connect(hands_over_time=True)
        (publication,) = await stage.plan(account, due_at=due_at, run_at=START)
        await stage.settle(until=due_at - 1000)
        (waiting,) = await stage.all()
        assert (waiting.state, waiting.privacy_seen) == ("processing", "private")
        assert waiting.said == "YouTube makes it public at 2026-11-18T16:06:40Z."
        assert [one.privacy for one in sim.posts()] == ["private"]
        await stage.settle(until=due_at + HOUR_MS)
        live = await stage.get(publication)
    assert (live.state, live.privacy_seen, live.url) == (
        "published",
        "public",
        f"https://www.youtube.com/shorts/{live.remote_id}",
    )


async def test_failure_13_an_account_says_once_that_its_videos_are_locked(tmp_path: Path) -> None:
    stage, sim = staged(tmp_path, seed=1, chance=0.0)
    sim.verified = False
    async with stage.open():
        account = await stage.connect()
        await stage.plan(account, n=2)
        await stage.settle(until=START + HOUR_MS)
        rows = await stage.all()
        told = (await stage.store.read(lambda db: db.accounts.get(account.id))).notices
    assert [(row.state, row.privacy_seen) for row in rows] == [("published", "private")] * 2
    assert all("It was to be public and is private" in row.said for row in rows)
    assert len(told) == 1
    assert "not audited" in told[0]


async def test_failure_14_the_hundredth_and_first_upload_goes_out_after_midnight_at_google(tmp_path: Path) -> None:
    """The simulator counts for itself: what it would refuse is not even asked for."""
    stage, sim = staged(tmp_path, seed=1, chance=0.0)
    async with stage.open():
        account = await stage.connect()
        await stage.plan(account, n=102)
        await stage.settle(until=START + DAY_MS)
        rows = await stage.all()
    assert Counter(row.state for row in rows) == {"published": 102}
    late = [one.at for one in sim.posts() if one.at >= START + 20 * HOUR_MS]
    assert len(late) == 2
    midnight = 1_795_075_200_000  # 19 November 2026, 00:00 in Los Angeles
    assert all(midnight <= at < midnight + HOUR_MS for at in late)
    assert sim.requests["youtube.insert"] == 102
