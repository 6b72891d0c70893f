"""A rehearsal tells what would go out and what that would break, and leaves everything as it is."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.publishing.real import RealStage
from tests.publishing.stage import DAY_MS, HOUR_MS, START
from vidprod.cli.rehearse import command
from vidprod.domain.publication import Publication
from vidprod.services.rehearsal import Rehearsed, rehearse


async def _rehearse(stage: RealStage, **more: Any) -> Rehearsed:
    return await rehearse(stage.config, stage.root / "vidprod.db", now=START, **({"days": 1} | more))


def _what(done: Rehearsed) -> list[tuple[str, str]]:
    return [(one.platform, one.state) for one in done.publications]


async def test_three_days_of_three_platforms_go_out_at_their_times(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        accounts = [await stage.connect(platform) for platform in ("youtube", "tiktok", "instagram")]
        planned = await stage.plan(accounts, n=3, due_at=START + HOUR_MS, apart_ms=DAY_MS)
        done = await _rehearse(stage, days=3)
        assert {one.id for one in done.publications} == {one.id for one in planned}
        assert {one.state for one in done.publications} == {"published"}
        late_ms = [(one.published_at or 0) - one.due_at for one in done.publications]
        assert 0 <= min(late_ms) <= max(late_ms) < 10 * 60_000
        assert done.broken == []


async def test_nothing_of_the_original_is_changed_and_no_platform_of_ours_is_asked(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        (publication,) = await stage.plan(await stage.connect())
        events, account = len(await stage.events("")), await stage.store.read(lambda db: db.accounts.list())
        done = await _rehearse(stage)
        assert _what(done) == [("youtube", "published")]
        assert (await stage.get(publication)).state == "scheduled"
        assert (len(await stage.events("")), await stage.store.read(lambda db: db.accounts.list())) == (events, account)
        assert stage.sims.posts() == []


async def test_what_a_platform_would_refuse_is_told_in_words(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        stage.file_of = lambda index, segment_id: b"no video at all"  # type: ignore[method-assign]
        await stage.plan(await stage.connect())
        done = await _rehearse(stage)
        assert [one.rule for one in done.broken] == ["rejected"]


async def test_what_nobody_approves_waits_and_what_is_as_if_approved_goes_out(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        await stage.plan(await stage.connect(), needs_approval=True)
        assert [one.rule for one in (await _rehearse(stage)).broken] == ["missed"]
        assert _what(await _rehearse(stage, approve=True)) == [("youtube", "published")]


async def test_what_its_slots_would_send_at_once_keeps_the_gap_and_the_cap(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        account = await stage.connect(gap_s=3 * 3600, daily_cap=2)
        await stage.plan(account, n=4, due_at=START, apart_ms=60_000, when="slot")
        done = await _rehearse(stage, days=2)
        assert {one.state for one in done.publications} == {"published"}
        assert not {one.rule for one in done.broken} & {"gap", "cap"}
        went = sorted(one.published_at or 0 for one in done.publications)
        assert min(after - before for before, after in pairwise(went)) > 2 * HOUR_MS
        assert went[2] > START + DAY_MS / 2


async def test_times_that_somebody_chose_too_close_to_each_other_are_told(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        account = await stage.connect(gap_s=3 * 3600, daily_cap=2)
        await stage.plan(account, n=3, due_at=START, apart_ms=HOUR_MS)
        assert [one.rule for one in (await _rehearse(stage)).broken] == ["gap", "gap", "cap"]


async def test_what_is_at_a_platform_already_is_left_out(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        (publication,) = await stage.plan(await stage.connect())

        def begin(db: Any) -> Publication:
            begun = db.publications.begin(publication, sha256="a" * 64, size=1, deadline_at=START + HOUR_MS, now=START)
            done: Publication = db.publications.begun(begun, b"sealed by the daemon")
            return done

        await stage.store.write(begin)
        done = await _rehearse(stage)
        assert (done.publications, done.left_out) == ([], 1)


async def test_the_same_seed_breaks_the_same_rules(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        await stage.plan(await stage.connect("tiktok"), n=3, apart_ms=HOUR_MS)
        first, again = [await _rehearse(stage, chance=0.5, seed=7) for _ in range(2)]
        assert _what(first) == _what(again)


def test_the_command_prints_the_calendar_and_ends_with_1_when_a_rule_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidprod.cli.rehearse.now_ms", lambda: START)

    async def prepare(**more: Any) -> None:
        async with RealStage(tmp_path).open() as stage:
            await stage.plan(await stage.connect(zone="Europe/Paris"), **more)

    asyncio.run(prepare(due_at=START + HOUR_MS))
    done = CliRunner().invoke(command, ["--data-dir", str(tmp_path), "--days", "1"])
    assert done.exit_code == 0, done.output
    assert "Wednesday, 18 November 2026" in done.output
    assert "13:0" in done.output  # 12:06 UTC, in Paris
    assert "No rule is broken." in done.output
