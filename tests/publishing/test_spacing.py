"""Gaps and daily caps are kept where something went out later than planned."""

from pathlib import Path
from typing import Any

import pytest

from tests.publishing.stage import DAY_MS, HOUR_MS, MINUTE_MS, START, Stage
from vidprod.store.sqlite import Tables

PARKED = START + 3 * HOUR_MS + 30 * MINUTE_MS  # 14:36:40 UTC


async def hours(stage: Stage, planned: list[Any]) -> list[float]:
    """After the start, when each went out, to the next half; -1: it did not."""
    found = [await stage.get(one) for one in planned]
    return [round(2 * (one.published_at - START) / HOUR_MS) / 2 if one.published_at else -1 for one in found]


async def parked(stage: Stage, **settings: Any) -> list[Any]:
    """Four in slots an hour apart; the platform takes nothing of the account until after the time of the third."""
    account = await stage.connect(**settings)
    planned = await stage.plan(account, n=4, due_at=START + HOUR_MS, apart_ms=HOUR_MS, when="slot")
    await stage.store.write(lambda db: db.accounts.park(account.id, until=PARKED))
    return planned


async def test_without_a_gap_what_was_parked_goes_out_as_soon_as_it_may(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        planned = await parked(stage)
        await stage.settle()
        assert await hours(stage, planned) == [3.5, 3.5, 3.5, 4.0]


async def test_what_was_parked_goes_out_with_the_gap_between(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        planned = await parked(stage, gap_s=3600)
        await stage.settle(until=PARKED + MINUTE_MS)
        waiting = await stage.get(planned[1])
        assert waiting.wait is not None
        assert waiting.wait.code == "gap"
        await stage.settle()
        assert await hours(stage, planned) == [3.5, 4.5, 5.5, 6.5]


async def test_what_was_parked_does_not_break_the_cap_of_the_day(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        planned = await parked(stage, daily_cap=2, slots=["daily 9:06"])
        await stage.settle(until=START + 8 * HOUR_MS)
        assert await hours(stage, planned) == [3.5, 3.5, -1, -1]
        waiting = await stage.get(planned[2])
        assert waiting.wait is not None
        assert waiting.wait.code == "cap"
        await stage.settle()
        assert await hours(stage, planned) == [3.5, 3.5, 22.0, 22.0]  # in the first slot of the next day


async def test_what_takes_a_few_minutes_to_go_out_moves_nothing(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect("instagram", gap_s=3600)
        planned = await stage.plan(account, n=3, due_at=START + HOUR_MS, apart_ms=HOUR_MS, when="slot")
        stage.far.order("send", "reset", "reset")
        await stage.settle()
        assert await hours(stage, planned) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("when", ["now", "at"])
async def test_a_time_that_somebody_named_is_kept(tmp_path: Path, when: str) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect(gap_s=3600)
        await stage.plan(account, n=1)
        planned = await stage.plan(account, n=2, due_at=START + 10 * MINUTE_MS, apart_ms=6 * MINUTE_MS, when=when)
        await stage.settle(until=START + 20 * MINUTE_MS)
        assert {(await stage.get(one)).state for one in planned} == {"published"}


async def test_slots_that_cannot_be_read_do_not_keep_what_has_its_time(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect(zone="Europe/Atlantis", gap_s=3600)
        (planned,) = await stage.plan(account, when="slot")
        await stage.settle(until=START + DAY_MS)
        assert (await stage.get(planned)).state == "published"


async def test_what_waits_for_the_gap_is_not_missed_in_a_pause(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        planned = await parked(stage, gap_s=7200)
        await stage.settle(until=PARKED + MINUTE_MS)

        def held(db: Tables) -> list[str]:
            db.accounts.pause(planned[0].account_id, now=PARKED)
            return db.plans.held(before=PARKED, limit=10)

        waiting = [one.id for one in planned if (found := await stage.get(one)).wait and found.wait.code == "gap"]
        assert waiting
        assert not set(waiting) & set(await stage.store.write(held))
