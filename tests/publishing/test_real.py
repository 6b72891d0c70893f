"""The real adapters, logins and keeper against the simulators: exactly once."""

from pathlib import Path
from typing import Any

import pytest

from tests.publishing.real import RealStage
from tests.publishing.stage import DAY_MS, HOUR_MS, START
from tests.publishing.storm import faults, storm, told
from vidprod.domain.account import Platform
from vidprod.domain.post import Post
from vidprod.domain.publication import Publication
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


async def test_without_the_journal_segments_are_posted_twice(tmp_path: Path) -> None:
    stage = RealStage(tmp_path, seed=1, chance=0.15)
    stage.forgets = True
    async with stage.open():
        await storm(stage, segments=4, crashes=12)
        assert [fault for fault in faults(stage, await stage.all()) if "times" in fault]
        assert stage.sims.twice()


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


async def _one(stage: RealStage, platform: Platform, **settings: Any) -> Publication:
    (publication,) = await stage.plan(await stage.connect(platform, **settings), due_at=START + HOUR_MS)
    return publication


async def test_instagram_says_blocked_and_it_is_live_all_the_same(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        publication = await _one(stage, "instagram")
        stage.world.order("instagram.publish", "blocked_but_live")
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, stage.posted(live)) == ("published", 1)
        account = await stage.store.read(lambda db: db.accounts.get(live.account_id))
        assert (account.parked_until or 0) - START >= DAY_MS  # to be left alone, says Meta


@pytest.mark.parametrize("fault", ["lost_answer", "reset", "500", "503", "html"])
async def test_instagrams_answer_to_making_it_public_is_lost(tmp_path: Path, fault: str) -> None:
    async with RealStage(tmp_path).open() as stage:
        publication = await _one(stage, "instagram")
        stage.world.order("instagram.publish", fault)
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, stage.posted(live)) == ("published", 1)


@pytest.mark.parametrize(
    ("faults", "comments", "word"),
    [
        (["503", "lost_answer"], False, ""),
        (["10"], True, "Comments could not be turned off"),
        (["2"] * 99, True, "Comments could not be turned off"),
    ],
)
async def test_instagrams_comments_are_turned_off_after_it_is_public_and_that_fails_nothing(
    tmp_path: Path, faults: list[str], comments: bool, word: str
) -> None:
    async with RealStage(tmp_path).open() as stage:
        account = await stage.connect("instagram")
        (publication,) = await stage.plan(account, post=Post(caption="No comment", comments=False))
        stage.world.order("instagram.publish", "lost_answer")
        stage.world.order("instagram.comments", *faults)
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, stage.posted(live), live.url is not None) == ("published", 1, True)
        assert [reel.comments for reel in stage.sims.instagram.reels.values()] == [comments]
        assert word in live.said
        assert (await stage.store.read(lambda db: db.accounts.get(account.id))).state == "connected"
        (event,) = [one for one in await stage.events() if one.type == "publication.published"]
        assert word in event.data["message"]


@pytest.mark.parametrize("fault", ["lost_answer", "reset", "500", "html", "truncated"])
async def test_tiktoks_answer_to_an_init_is_lost(tmp_path: Path, fault: str) -> None:
    async with RealStage(tmp_path).open() as stage:
        publication = await _one(stage, "tiktok")
        stage.world.order("tiktok.init", fault)
        await stage.settle(until=START + 2 * HOUR_MS)
        assert (await stage.get(publication)).state == "unknown"
        assert not stage.sims.posts()
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, live.attempt, stage.posted(live)) == ("published", 2, 1)


async def test_tiktoks_token_ends_between_init_and_status(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        publication = await _one(stage, "tiktok")
        stage.world.order("tiktok.init", "token_expires")
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, live.attempt, len(stage.sims.posts())) == ("published", 1, 1)


async def test_a_draft_is_published_when_it_is_in_the_inbox(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        publication = await _one(stage, "tiktok", delivery="draft")
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, live.said, live.url) == (
            "published",
            "SEND_TO_USER_INBOX",
            "https://www.tiktok.com/@ann",
        )


async def test_a_project_that_is_not_audited_keeps_videos_private_and_it_is_said(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        stage.sims.youtube.verified = False
        publication = await _one(stage, "youtube")
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, live.privacy_seen) == ("published", "private")
        assert "not audited" in live.said
        account = await stage.store.read(lambda db: db.accounts.get(live.account_id))
        assert live.said in account.notices


async def test_youtube_makes_it_public_at_the_time_it_was_handed(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        account = await stage.connect("youtube", hands_over_time=True)
        due_at = START + 9 * HOUR_MS
        (publication,) = await stage.plan(account, due_at=due_at, run_at=START)
        await stage.settle(until=START + HOUR_MS)
        assert [one.privacy for one in stage.sims.posts()] == ["private"]
        assert (await stage.get(publication)).state == "processing"
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, live.privacy_seen) == ("published", "public")
        assert due_at <= (live.published_at or 0) <= due_at + HOUR_MS


async def test_the_uploads_of_a_day_are_used_up_and_the_next_waits_for_midnight(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        stage.sims.youtube.uploads_per_day = 2
        account = await stage.connect("youtube")
        planned = await stage.plan(account, n=3, due_at=START, apart_ms=HOUR_MS)
        await stage.settle(until=START + 6 * HOUR_MS)
        found = [await stage.get(one) for one in planned]
        assert [one.state for one in found] == ["published", "published", "scheduled"]
        wait = found[2].wait
        assert wait is not None
        assert (wait.code, wait.until) == ("quota", 1_795_075_200_000)  # 19 November 2026, 00:00 in Los Angeles
        await stage.settle()
        assert {(await stage.get(one)).state for one in planned} == {"published"}


async def test_no_secret_is_left_in_the_clear(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Tokens, upload addresses and their keys: neither in the database nor in an event, an error or a log line."""
    async with RealStage(tmp_path, seed=5, chance=0.25).open() as stage:
        await storm(stage, segments=3, crashes=12)
        events = str([event.data for event in await stage.events("")])
        errors = str([publication.errors for publication in await stage.all()])
    sims = stage.sims
    issued = [*sims.youtube.auth.issued, *sims.tiktok.auth.issued, *sims.instagram.logins.facebook.issued]
    secrets = {one.access_token for one in issued} | {one.refresh_token for one in issued}
    secrets |= set(sims.youtube.sessions) | set(sims.instagram.logins._pages) | set(sims.instagram.logins._long)
    secrets |= {upload.upload_token for upload in sims.tiktok.uploads.values()}
    secrets |= {upload.upload_id for upload in sims.tiktok.uploads.values()}
    secrets.discard("")
    assert len(secrets) > 15
    rows = (tmp_path / "vidprod.db").read_bytes().decode("latin-1")
    said = capfd.readouterr()
    assert "a platform refused" in said.out + said.err
    for name, text in (("database", rows), ("events", events), ("errors", errors), ("logs", said.out + said.err)):
        assert [secret for secret in secrets if secret in text] == [], name
