"""What holds a publication, and lets it go: pauses, approval, a time that was missed, quotas, clocks that are set."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.publishing.far import FakePlatform, Far, Right
from tests.publishing.stage import DAY_MS, HOUR_MS, MINUTE_MS, START, FakeKeeper, Stage
from vidprod.domain.account import Account
from vidprod.domain.publication import Publication
from vidprod.domain.quota import next_midnight
from vidprod.errors import PlatformError
from vidprod.platforms.base import Grant, Handle, Media
from vidprod.store.sqlite import Tables


def code_of(publication: Publication) -> str:
    return "" if publication.wait is None else publication.wait.code


Switch = Callable[[Tables, Account], Any]
PAUSES: list[tuple[Switch, Switch]] = [
    (
        lambda db, account: db.accounts.pause(account.id, now=START),
        lambda db, account: db.accounts.resume(account.id),
    ),
    (
        lambda db, account: db.facts.set("publishing_paused_at", START),
        lambda db, account: db.facts.set("publishing_paused_at", None),
    ),
]
EACH_PAUSE = pytest.mark.parametrize(("pause", "resume"), PAUSES, ids=["account", "everything"])


@EACH_PAUSE
async def test_a_pause_holds_what_was_not_begun_over_restarts(tmp_path: Path, pause: Switch, resume: Switch) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect()
        first, later = await stage.plan(account, n=2, due_at=START, apart_ms=MINUTE_MS)
        await stage.store.write(lambda db: pause(db, account))
        await stage.settle(until=START + 30 * MINUTE_MS)
        await stage.crash()
        await stage.settle(until=START + 50 * MINUTE_MS)
        for publication in (first, later):
            waiting = await stage.get(publication)
            assert (waiting.state, code_of(waiting)) == ("scheduled", "paused")
        assert not stage.far.calls
        assert [event.type for event in await stage.events()] == ["publication.waiting"] * 2
        await stage.store.write(lambda db: resume(db, account))
        await stage.settle(until=START + HOUR_MS)
        assert [(await stage.get(one)).state for one in (first, later)] == ["published"] * 2


@EACH_PAUSE
async def test_what_is_at_the_platform_is_read_while_paused(tmp_path: Path, pause: Switch, resume: Switch) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect()
        (publication,) = await stage.plan(account)
        stage.far.order("read", *["reset"] * 3)
        await stage.settle(until=START + 2000)
        assert (await stage.get(publication)).state == "processing"
        await stage.store.write(lambda db: pause(db, account))
        await stage.settle(until=START + HOUR_MS)
        assert (await stage.get(publication)).state == "published"


@EACH_PAUSE
async def test_nothing_is_made_public_while_paused(tmp_path: Path, pause: Switch, resume: Switch) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect("instagram")
        (publication,) = await stage.plan(account)
        stage.far.order("read", *["reset"] * 3)
        await stage.settle(until=START + 2000)
        await stage.store.write(lambda db: pause(db, account))
        await stage.settle(until=START + HOUR_MS)
        waiting = await stage.get(publication)
        assert (waiting.state, code_of(waiting)) == ("processing", "paused")
        assert not stage.far.posts
        await stage.store.write(lambda db: resume(db, account))
        await stage.settle(until=START + 90 * MINUTE_MS)
        assert (await stage.get(publication)).state == "published"


async def test_what_is_ready_and_paused_can_be_cancelled(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect("instagram")
        (publication,) = await stage.plan(account)
        stage.far.order("read", *["reset"] * 3)
        await stage.settle(until=START + 2000)
        await stage.store.write(lambda db: db.accounts.pause(account.id, now=START))
        await stage.settle(until=START + HOUR_MS)
        waiting = await stage.get(publication)
        await stage.store.write(lambda db: db.publications.cancel(waiting, now=START))
        await stage.store.write(lambda db: db.accounts.resume(account.id))
        await stage.settle()
        assert (await stage.get(publication)).state == "cancelled"
        assert not stage.far.posts


@pytest.mark.parametrize("kind", ["QUOTA", "RETRY"])
async def test_what_was_refused_to_be_made_public_can_be_cancelled(tmp_path: Path, kind: str) -> None:
    async with Stage(tmp_path).open() as stage:
        (publication,) = await stage.plan(await stage.connect("instagram"))
        stage.far.order("publish", *[PlatformError("no", kind=kind, code="no", retry_after_s=HOUR_MS / 1000)] * 9)
        await stage.settle(until=START + HOUR_MS)
        waiting = await stage.get(publication)
        assert (waiting.state, code_of(waiting)) == ("processing", kind.lower())
        await stage.store.write(lambda db: db.publications.cancel(waiting, now=START))
        await stage.settle()
        assert not stage.far.posts


class Slow(FakePlatform):
    """A platform that takes a piece, and then no more until it is told."""

    def __init__(self, far: Far) -> None:
        super().__init__("youtube", far)
        self.begun = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.stopped = 0

    async def send(self, grant: Grant, handle: Handle, media: Media, *, sent: Callable[[int], None]) -> Handle:
        held = self._far.held[handle["name"]]
        held.stored = max(held.stored, held.total // 4)
        self.begun.set()
        try:
            await self.goes_on.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        return await super().send(grant, {**handle, "stored": held.stored}, media, sent=sent)


class OnlySlow:
    def __init__(self, slow: FakePlatform) -> None:
        self.slow = slow

    def publisher(self, platform: str, flavour: str) -> FakePlatform:
        return self.slow


class Answering(FakePlatform):
    """A platform that answers a begin when it is told to."""

    def __init__(self, far: Far) -> None:
        super().__init__("tiktok", far)
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()

    async def begin(self, *given: Any, **more: Any) -> Handle:
        self.asked.set()
        await self.answers.wait()
        return await super().begin(*given, **more)


async def test_an_orderly_stop_waits_for_the_answer_to_what_cannot_be_asked_twice(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        (publication,) = await stage.plan(await stage.connect("tiktok"))
        answering = Answering(stage.far)
        others = stage.platforms
        stage.platforms = OnlySlow(answering)
        stage.lets_finish_s = 30.0
        await stage.start()
        await answering.asked.wait()
        stopping = asyncio.create_task(stage.stop())
        await asyncio.sleep(0)
        answering.answers.set()
        await stopping
        begun = await stage.get(publication)
        assert (begun.state, begun.phase) == ("uploading", None)
        stage.platforms = others
        await stage.settle()
        assert (await stage.get(publication)).attempt == 1


@EACH_PAUSE
async def test_a_pause_stops_what_is_being_sent_at_once_and_it_goes_on_there_afterwards(
    tmp_path: Path, pause: Switch, resume: Switch
) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect()
        (publication,) = await stage.plan(account)
        slow = Slow(stage.far)
        stage.platforms = OnlySlow(slow)
        await stage.start()
        await slow.begun.wait()
        await stage.store.write(lambda db: pause(db, account))
        await stage.settle(until=START + 10 * MINUTE_MS)
        assert slow.stopped == 1
        waiting = await stage.get(publication)
        assert (waiting.state, code_of(waiting), waiting.phase) == ("uploading", "paused", None)
        slow.goes_on.set()
        await stage.store.write(lambda db: resume(db, account))
        await stage.settle(until=START + HOUR_MS)
        live = await stage.get(publication)
        assert (live.state, live.attempt) == ("published", 1)
        assert sum(stage.far.posts.values()) == 1


async def test_a_pause_between_the_journal_and_the_first_byte_stops_it_too(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect()
        (publication,) = await stage.plan(account)
        slow = Slow(stage.far)
        stage.platforms = OnlySlow(slow)
        give = FakeKeeper.grant

        async def grant(keeper: FakeKeeper, account_id: str) -> Right:
            right = await give(keeper, account_id)
            if (await stage.get(publication)).phase == "send":
                await stage.store.write(lambda db: db.accounts.pause(account.id, now=START))
                for _ in range(50):  # the publisher sees it, and that nothing is being sent
                    await asyncio.sleep(0)
            return right

        stage.make_keeper = lambda: type("Pausing", (FakeKeeper,), {"grant": grant})(stage)  # type: ignore[method-assign]
        async with asyncio.timeout(10):
            await stage.settle(until=START + MINUTE_MS)
        assert slow.stopped == 1
        assert code_of(await stage.get(publication)) == "paused"


async def test_one_account_that_takes_long_holds_up_no_other(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        slow = Slow(stage.far)
        others = stage.platforms
        one, other = await stage.connect("youtube"), await stage.connect("tiktok")
        (late,), (soon,) = await stage.plan(one), await stage.plan(other)

        class Mixed:
            def publisher(self, platform: Any, flavour: Any) -> Any:
                return slow if platform == "youtube" else others.publisher(platform, flavour)

        stage.platforms = Mixed()
        await stage.start()
        with stage.store.feed.subscribe() as events:
            await slow.begun.wait()
            async for event in events:
                if getattr(event, "type", "") == "publication.processing":
                    break
        assert (await stage.get(late)).state == "uploading"
        assert (await stage.get(soon)).state == "processing"
        slow.goes_on.set()
        await stage.settle()
        assert [(await stage.get(publication)).state for publication in (late, soon)] == ["published"] * 2


async def test_what_needs_approval_waits_for_it(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        (publication,) = await stage.plan(await stage.connect(), needs_approval=True)
        await stage.settle(until=START + MINUTE_MS)
        waiting = await stage.get(publication)
        assert code_of(waiting) == "approval"
        await stage.store.write(lambda db: db.publications.approve(waiting, now=stage.clock.now()))
        await stage.settle()
        assert (await stage.get(publication)).state == "published"


async def test_what_came_due_while_the_machine_slept_goes_out_up_to_an_hour_late(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect()
        planned = await stage.plan(account, n=4, due_at=START + HOUR_MS, apart_ms=30 * MINUTE_MS)
        stage.clock.time = START + 3 * HOUR_MS - 5 * MINUTE_MS  # 115, 85, 55 and 25 minutes late
        await stage.settle(until=START + 3 * HOUR_MS)
        found = [await stage.get(publication) for publication in planned]
        assert [(one.state, one.missed_at is not None) for one in found] == [
            ("scheduled", True),
            ("scheduled", True),
            ("published", False),
            ("published", False),
        ]
        assert [event.data["publication_id"] for event in await stage.events("publication.missed")] == [
            planned[0].id,
            planned[1].id,
        ]
        now = stage.clock.now()
        await stage.store.write(lambda db: db.publications.reschedule(found[0], due_at=now, when="now"))
        await stage.settle(until=now + HOUR_MS)
        assert (await stage.get(found[0])).state == "published"
        assert (await stage.get(found[1])).state == "scheduled"


async def test_the_last_of_a_long_row_is_not_called_missed(tmp_path: Path) -> None:
    """It came due with the others, and its account was at work all the time."""
    async with Stage(tmp_path).open() as stage:
        planned = await stage.plan(await stage.connect(), n=4)
        stage.far.order("begin", *["503"] * 11)
        await stage.settle()
        assert {(await stage.get(publication)).state for publication in planned} == {"published"}


async def test_no_more_than_ten_go_to_a_tiktok_account_in_a_day(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        planned = await stage.plan(await stage.connect("tiktok"), n=12, apart_ms=MINUTE_MS)
        await stage.settle(until=START + HOUR_MS)
        found = [await stage.get(publication) for publication in planned]
        assert [one.state for one in found] == ["published"] * 10 + ["scheduled"] * 2
        wait = found[10].wait
        assert wait is not None
        assert (wait.code, wait.until) == ("quota", START + DAY_MS)
        assert "10 posts in 24 hours" in wait.message
        await stage.settle(until=START + 2 * DAY_MS)
        assert {(await stage.get(publication)).state for publication in planned} == {"published"}


async def test_a_clock_that_is_set_back_publishes_nothing_early_and_nothing_twice(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect()
        planned = await stage.plan(account, n=3, due_at=START + HOUR_MS, apart_ms=HOUR_MS)
        await stage.settle(until=START + 2 * HOUR_MS - MINUTE_MS)
        await stage.stop()
        stage.clock.time -= HOUR_MS
        await stage.settle(until=START + 2 * HOUR_MS - MINUTE_MS)
        assert [(await stage.get(one)).state for one in planned] == ["published", "scheduled", "scheduled"]
        await stage.settle()
        found = [await stage.get(one) for one in planned]
        assert all((one.published_at or 0) >= one.due_at for one in found)
        assert set(stage.far.posts.values()) == {1}


async def test_a_clock_that_is_set_back_under_way_loses_nothing(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        (publication,) = await stage.plan(await stage.connect("instagram"), due_at=START)
        stage.far.order("send", "part", "lost")
        stage.far.order("publish", "lost")
        for _ in range(20):
            await stage.settle(until=stage.clock.time + 5000)
            await stage.stop()
            stage.clock.time -= 4000
        await stage.settle()
        assert (await stage.get(publication)).state == "published"
        assert set(stage.far.posts.values()) == {1}


async def test_a_clock_that_is_set_forward_a_day_flushes_nothing(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        planned = await stage.plan(await stage.connect(), n=5, due_at=START + HOUR_MS, apart_ms=4 * HOUR_MS)
        stage.clock.time += DAY_MS
        await stage.settle()
        assert not stage.far.posts
        assert None not in [(await stage.get(one)).missed_at for one in planned]


async def test_youtube_is_handed_the_time_itself(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect("youtube", hands_over_time=True)
        due_at = START + 5 * HOUR_MS
        (publication,) = await stage.plan(account, due_at=due_at, run_at=START)
        await stage.settle(until=START + HOUR_MS)
        (held,) = stage.far.held.values()
        assert (held.publish_at, (await stage.get(publication)).state) == (due_at, "processing")
        await stage.settle()
        live = await stage.get(publication)
        assert live.state == "published"
        assert due_at <= (live.published_at or 0) < due_at + 5 * MINUTE_MS


@pytest.mark.parametrize("settings", [{}, {"hands_over_time": True}])
async def test_nothing_is_begun_before_its_time(tmp_path: Path, settings: dict[str, Any]) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect("youtube", **settings)
        due_at = START + 10 * MINUTE_MS  # too near to hand it over
        (publication,) = await stage.plan(account, due_at=due_at, run_at=START)
        await stage.settle(until=due_at - 1)
        assert not stage.far.calls
        await stage.settle()
        assert (await stage.get(publication)).state == "published"


async def test_what_is_asked_of_youtube_counts_and_the_last_units_are_not_for_new_ones(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect("youtube")
        await stage.plan(account)
        await stage.settle(until=START + HOUR_MS)
        used = await stage.store.read(lambda db: db.usage.times("youtube:units", since=START))
        assert len(used) == stage.far.calls["youtube.read"] > 0
        now = stage.clock.now()
        await stage.store.write(lambda db: db.usage.add("youtube:units", 9_000, now=now))
        (later,) = await stage.plan(account, due_at=now)
        await stage.settle(until=now + HOUR_MS)
        waiting = await stage.get(later)
        assert (waiting.state, code_of(waiting)) == ("scheduled", "quota")
        assert waiting.wait is not None
        assert waiting.wait.until == waiting.run_at == next_midnight(now)
        assert "10,000 units" in waiting.wait.message
