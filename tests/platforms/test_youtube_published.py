"""What the publisher makes of YouTube: times that are handed over, videos that are locked, a day's uploads used up."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.publishing.real import RealStage
from tests.publishing.stage import DAY_MS, HOUR_MS, MINUTE_MS, START
from vidprod.domain.publication import Publication
from vidprod.platforms import youtube_login
from vidprod.store.sqlite import standing, steering

MIDNIGHT = 1_795_075_200_000  # 19 November 2026, 00:00 in Los Angeles


async def test_a_handed_over_time_is_kept_and_told_when_it_has_come(tmp_path: Path) -> None:
    due_at = START + 5 * HOUR_MS
    async with RealStage(tmp_path).open() as stage:
        account = await stage.connect(hands_over_time=True)
        (publication,) = await stage.plan(account, due_at=due_at, run_at=START)
        await stage.settle(until=due_at - 1000)
        waiting = await stage.get(publication)
        assert (waiting.state, waiting.privacy_seen) == ("processing", "private")
        assert waiting.wait is not None
        assert (waiting.wait.code, waiting.wait.until) == ("handed", due_at)
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


DUE_AT = START + 5 * HOUR_MS


@asynccontextmanager
async def handed(tmp_path: Path, due_at: int = DUE_AT) -> AsyncIterator[tuple[RealStage, Publication]]:
    """A publication that YouTube was handed with its time, an hour after it was."""
    async with RealStage(tmp_path).open() as stage:
        account = await stage.connect(hands_over_time=True)
        (publication,) = await stage.plan(account, due_at=due_at, run_at=START)
        await stage.settle(until=START + HOUR_MS)
        yield stage, await stage.get(publication)


def code_of(publication: Publication) -> str:
    return publication.wait.code if publication.wait is not None else ""


async def steer(stage: RealStage, publication: Publication, when: str, *, until: int) -> Publication:
    """Another time, and what has become of it by `until`."""
    now = stage.clock.now()
    await stage.store.write(lambda db: steering.change(db, publication.id, when=when, now=now))
    await stage.settle(until=until)
    return await stage.get(publication)


@pytest.mark.parametrize(
    ("when", "due_at"),
    [
        ("2026-11-18T14:00:00Z", START + 10_400_000),  # earlier
        ("2026-11-19T00:00:00+01:00", START + 42_800_000),  # later
        ("2026-11-18T12:16:40Z", START + HOUR_MS + 600_000),  # too near to be handed over
    ],
)
async def test_what_was_handed_over_goes_public_at_another_time(tmp_path: Path, when: str, due_at: int) -> None:
    async with handed(tmp_path) as (stage, publication):
        await steer(stage, publication, when, until=due_at - 1000)
        assert [one.privacy for one in stage.sims.posts()] == ["private"]
        await stage.settle(until=due_at + 2 * MINUTE_MS)
        live = await stage.get(publication)
        events = [event.type for event in await stage.events()]
    assert (live.state, live.privacy_seen, live.due_at) == ("published", "public", due_at)
    assert due_at <= (live.published_at or 0) <= due_at + 2 * MINUTE_MS
    assert events.count("publication.changed") == 1
    assert len(stage.sims.posts()) == 1


async def test_what_was_handed_over_goes_public_at_once_when_that_is_asked(tmp_path: Path) -> None:
    async with handed(tmp_path) as (stage, publication):
        await stage.store.write(lambda db: steering.publish(db, publication.id, now=stage.clock.now()))
        await stage.settle(until=START + HOUR_MS + MINUTE_MS)
        live = await stage.get(publication)
    assert (live.state, live.privacy_seen) == ("published", "public")


async def test_what_was_handed_over_is_cancelled_once_youtube_was_told(tmp_path: Path) -> None:
    async with handed(tmp_path) as (stage, publication):
        asked = await stage.store.write(lambda db: steering.cancel(db, publication.id, now=stage.clock.now()))
        assert (asked.state, code_of(asked)) == ("processing", "withdrawing")
        await stage.settle(until=DUE_AT + HOUR_MS)
        row = await stage.get(publication)
        assert [event.type for event in await stage.events()][-1] == "publication.cancelled"
        assert [one.privacy for one in stage.sims.posts()] == ["private"]
    assert row.state == "cancelled"
    assert "private video" in row.said


@pytest.mark.parametrize("what", ["account", "all"])
async def test_a_pause_takes_the_time_back_and_its_end_gives_it_again(tmp_path: Path, what: str) -> None:
    async with handed(tmp_path) as (stage, publication):
        await pause(stage, publication, what)
        await stage.settle(until=START + 2 * HOUR_MS)
        held = await stage.get(publication)
        assert (held.state, code_of(held)) == ("processing", "paused")
        (video,) = stage.sims.youtube.videos.values()
        assert video.privacy_at(stage.clock.now()) == ("private", None)
        await resume(stage, publication, what)
        await stage.settle(until=DUE_AT - 1000)
        assert video.privacy_at(stage.clock.now()) == ("private", DUE_AT)
        await stage.settle(until=DUE_AT + HOUR_MS)
        assert (await stage.get(publication)).state == "published"


async def test_what_came_due_in_a_pause_goes_out_if_it_is_not_late(tmp_path: Path) -> None:
    async with handed(tmp_path) as (stage, publication):
        await pause(stage, publication, "all")
        await stage.settle(until=DUE_AT + 59 * MINUTE_MS)
        assert [one.privacy for one in stage.sims.posts()] == ["private"]
        await resume(stage, publication, "all")
        await stage.settle(until=DUE_AT + 61 * MINUTE_MS)
        assert (await stage.get(publication)).state == "published"


async def test_what_came_due_long_ago_in_a_pause_is_asked_about(tmp_path: Path) -> None:
    async with handed(tmp_path) as (stage, publication):
        await pause(stage, publication, "all")
        await stage.settle(until=DUE_AT + 2 * HOUR_MS)
        await resume(stage, publication, "all")
        await stage.settle(until=DUE_AT + 20 * HOUR_MS)
        missed = await stage.get(publication)
        assert (missed.state, code_of(missed)) == ("processing", "missed")
        assert [one.privacy for one in stage.sims.posts()] == ["private"]
        live = await steer(stage, missed, "now", until=DUE_AT + 21 * HOUR_MS)
    assert (live.state, live.missed_at) == ("published", None)


async def test_what_is_held_there_can_be_cancelled_at_once(tmp_path: Path) -> None:
    async with handed(tmp_path) as (stage, publication):
        await pause(stage, publication, "all")
        await stage.settle(until=START + 2 * HOUR_MS)
        row = await stage.store.write(lambda db: steering.cancel(db, publication.id, now=stage.clock.now()))
    assert row.state == "cancelled"


async def test_a_time_that_was_changed_at_youtube_is_taken_over(tmp_path: Path) -> None:
    """Whoever did it there meant it."""
    later = DUE_AT + 2 * HOUR_MS
    async with handed(tmp_path) as (stage, publication):
        (video,) = stage.sims.youtube.videos.values()
        video.publish_at = later
        await stage.settle(until=DUE_AT + HOUR_MS)
        assert (await stage.get(publication)).due_at == later
        await stage.settle(until=later + HOUR_MS)
        assert (await stage.get(publication)).state == "published"
        assert stage.sims.youtube.requests["youtube.update"] == 0


async def test_a_time_that_was_taken_away_at_youtube_is_asked_about(tmp_path: Path) -> None:
    async with handed(tmp_path) as (stage, publication):
        (video,) = stage.sims.youtube.videos.values()
        video.publish_at = None
        await stage.settle(until=DUE_AT + HOUR_MS)
        row = await stage.get(publication)
        assert (row.state, code_of(row), row.missed_at is not None) == ("processing", "missed", True)
        assert stage.sims.youtube.requests["youtube.update"] == 0


async def test_where_videos_may_not_be_managed_the_time_stays_and_it_is_said(tmp_path: Path) -> None:
    async with handed(tmp_path) as (stage, publication):
        for issued in stage.sims.youtube.auth.issued:
            issued.scopes = (youtube_login.UPLOAD, youtube_login.READ)
        kept = await steer(stage, publication, "2026-11-18T14:00:00Z", until=START + 4 * HOUR_MS)
        assert (kept.state, code_of(kept), kept.due_at) == ("processing", "handed", DUE_AT)
        assert "permission to manage videos" in (kept.wait.message if kept.wait else "")
        assert [error.code for error in kept.errors] == ["insufficientPermissions"]
        account = await stage.store.read(lambda db: db.accounts.get(kept.account_id))
        assert account.state == "connected"
        await stage.settle(until=DUE_AT + HOUR_MS)
        assert (await stage.get(publication)).state == "published"


async def test_a_pause_that_youtube_does_not_hear_at_first_is_told_again(tmp_path: Path) -> None:
    async with handed(tmp_path) as (stage, publication):
        stage.world.order("youtube.list", "503", "reset")
        stage.world.order("youtube.update", "503", "lost_answer", "reset", "html")
        await pause(stage, publication, "account")
        await stage.settle(until=START + HOUR_MS + 3 * MINUTE_MS)
        assert code_of(await stage.get(publication)) == "paused"
        assert [one.privacy for one in stage.sims.posts()] == ["private"]
        (video,) = stage.sims.youtube.videos.values()
        assert video.publish_at is None


async def test_a_cancel_outlives_a_connection_that_has_to_be_made_again(tmp_path: Path) -> None:
    async with handed(tmp_path) as (stage, publication):
        youtube = stage.sims.youtube
        youtube.auth.withdraw(youtube.auth.issued[-1].account)
        await stage.store.write(lambda db: steering.cancel(db, publication.id, now=stage.clock.now()))
        await stage.settle(until=START + 2 * HOUR_MS)
        assert code_of(await stage.get(publication)) == "withdrawing"
        await stage.reconnect(publication.account_id)
        await stage.settle(until=START + 3 * HOUR_MS)
        assert (await stage.get(publication)).state == "cancelled"
        assert [one.privacy for one in stage.sims.posts()] == ["private"]


async def test_a_crash_at_any_point_of_a_pause_leaves_it_held(tmp_path: Path) -> None:
    """What the platform is told is a time and not a change: it may be told again."""
    async with handed(tmp_path) as (stage, publication):
        await stage.crash()
        await pause(stage, publication, "account")
        for ticks in range(1, 12):
            await stage.crash_after(ticks)
        await stage.settle(until=DUE_AT + HOUR_MS)
        assert code_of(await stage.get(publication)) == "paused"
        assert [one.privacy for one in stage.sims.posts()] == ["private"]


async def pause(stage: RealStage, publication: Publication, what: str) -> None:
    now = stage.clock.now()
    if what == "all":
        await stage.store.write(lambda db: standing.pause_publishing(db, now=now))
    else:
        await stage.store.write(lambda db: standing.pause_account(db, publication.account_id, now=now))


async def resume(stage: RealStage, publication: Publication, what: str) -> None:
    now = stage.clock.now()
    if what == "all":
        await stage.store.write(lambda db: standing.resume_publishing(db, now=now))
    else:
        await stage.store.write(lambda db: standing.resume_account(db, publication.account_id, now=now))
