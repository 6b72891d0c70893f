"""What the publisher makes of YouTube: times that are handed over, videos that are locked, a day's uploads used up."""

from collections import Counter
from pathlib import Path

from tests.publishing.real import RealStage
from tests.publishing.stage import DAY_MS, HOUR_MS, START

MIDNIGHT = 1_795_075_200_000  # 19 November 2026, 00:00 in Los Angeles


async def test_a_handed_over_time_is_kept_and_told_when_it_has_come(tmp_path: Path) -> None:
    due_at = START + 5 * HOUR_MS
    async with RealStage(tmp_path).open() as stage:
        account = await stage.connect(hands_over_time=True)
        (publication,) = await stage.plan(account, due_at=due_at, run_at=START)
        await stage.settle(until=due_at - 1000)
        waiting = await stage.get(publication)
        assert (waiting.state, waiting.privacy_seen) == ("processing", "private")
        assert waiting.said == "YouTube makes it public at 2026-11-18T16:06:40Z."
        assert [one.privacy for one in stage.sims.posts()] == ["private"]
        await stage.settle(until=due_at + HOUR_MS)
        live = await stage.get(publication)
    assert (live.state, live.privacy_seen) == ("published", "public")
    assert live.url == f"https://www.youtube.com/shorts/{live.remote_id}"


async def test_a_video_that_was_found_by_reading_is_known_from_then_on(tmp_path: Path) -> None:
    """Its session is asked no more: sessions are forgotten, and what comes of them may be retitled."""
    async with RealStage(tmp_path).open() as stage:
        youtube = stage.sims.youtube
        stage.world.order("youtube.put", "lost_answer")
        account = await stage.connect(hands_over_time=True)
        (publication,) = await stage.plan(account, due_at=START + DAY_MS, run_at=START)
        await stage.settle(until=START + 2 * HOUR_MS)
        (video,) = youtube.videos.values()
        video.snippet = {**video.snippet, "title": "Retitled"}
        youtube.sessions.clear()
        await stage.settle(until=START + DAY_MS + HOUR_MS)
        row = await stage.get(publication)
    assert (row.state, row.remote_id) == ("published", video.id)
    assert (len(youtube.videos), youtube.requests["youtube.probe"]) == (1, 2)  # before the bytes, and after


async def test_failure_13_an_account_says_once_that_its_videos_are_locked(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        stage.sims.youtube.verified = False
        account = await stage.connect()
        await stage.plan(account, n=2)
        await stage.settle(until=START + HOUR_MS)
        rows = await stage.all()
        told = (await stage.store.read(lambda db: db.accounts.get(account.id))).notices
    assert [(row.state, row.privacy_seen) for row in rows] == [("published", "private")] * 2
    assert all("It was to be public and is private" in row.said for row in rows)
    assert len(told) == 1
    assert "not audited" in told[0]


async def test_failure_14_the_hundred_and_first_upload_goes_out_after_midnight_at_google(tmp_path: Path) -> None:
    """Of the project, whatever its channels. What YouTube would refuse is not even asked for."""
    async with RealStage(tmp_path).open() as stage:
        youtube = stage.sims.youtube
        accounts = [await stage.connect(name="ann"), await stage.connect(name="bob")]
        await stage.store.write(lambda db: db.usage.add("youtube:uploads", 98, now=START))
        youtube.uploads_per_day = 2  # as many as are left
        await stage.plan(accounts, n=2)
        await stage.settle(until=START + DAY_MS)
        rows = await stage.all()
    assert Counter(row.state for row in rows) == {"published": 4}
    early, late = ([one.at for one in stage.sims.posts() if (one.at >= MIDNIGHT) is after] for after in (False, True))
    assert (len(early), len(late)) == (2, 2)
    assert max(late) < MIDNIGHT + HOUR_MS
    assert youtube.requests["youtube.insert"] == 4
