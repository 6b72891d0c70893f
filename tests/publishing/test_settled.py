"""What no platform tells: after some hours somebody looks, and what they saw is what became of it."""

from pathlib import Path

import pytest

from tests.publishing.stage import DAY_MS, HOUR_MS, MINUTE_MS, START, Stage
from vidprod.domain import publication as publications
from vidprod.domain.account import Platform
from vidprod.domain.publication import Publication, is_address_at
from vidprod.domain.receipt import faults
from vidprod.domain.user import OWNER_ID
from vidprod.errors import BadRequest, Conflict
from vidprod.store.sqlite import steering

THERE = "https://www.instagram.com/reel/abc/"


async def forgotten(stage: Stage, fault: str, *, until: int = START + DAY_MS) -> Publication:
    """One whose answer to the last call was lost, and whose handle the platform knows no more."""
    (publication,) = await stage.plan(await stage.connect("instagram"))
    stage.far.order("publish", fault)

    def forget() -> None:
        for held in stage.far.held.values():
            held.is_forgotten = stage.far.calls["instagram.publish"] > 0

    stage.far.tick = forget
    await stage.settle(until=until)
    unknown = await stage.get(publication)
    assert (unknown.state, stage.far.calls["instagram.publish"]) == ("unknown", 1)
    return unknown


async def settle(stage: Stage, publication: Publication, url: str | None) -> Publication:
    now = stage.clock.now()
    settled: Publication = await stage.store.write(
        lambda db: steering.settle(db, publication.id, url=url, by=OWNER_ID, now=now)
    )
    return settled


async def test_what_somebody_saw_is_published_and_the_receipt_says_who(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        unknown = await forgotten(stage, "lost")
        live = await settle(stage, unknown, THERE)
        assert (live.state, live.url, live.remote_id) == ("published", THERE, None)
        calls = stage.far.calls.copy()
        await stage.settle(until=START + 2 * DAY_MS)
        assert (await stage.get(unknown), stage.posted(unknown)) == (live, 1)
        assert stage.far.calls == calls  # nobody is asked any more
        (receipt,) = await stage.store.read(lambda db: db.receipts.after(0, limit=10))
        assert receipt.body["settled"] == {"by": OWNER_ID, "at": live.published_at}
        assert faults([receipt], whole=True) == []
        journal = await stage.store.read(lambda db: db.journal.of(unknown.id))
        assert [one.what for one in journal][-2:] == ["settled", "published"]
        assert journal[-2].data == {"there": True, "by": OWNER_ID, "url": THERE}
        assert [one.type for one in await stage.events()][-1] == "publication.published"


async def test_what_nobody_saw_there_is_tried_again_only_when_somebody_says_so(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        unknown = await forgotten(stage, "reset")
        rejected = await settle(stage, unknown, None)
        assert (rejected.state, rejected.errors[-1].code) == ("rejected", "not_there")
        stage.far.tick = lambda: None
        await stage.settle(until=START + 2 * DAY_MS)
        assert stage.posted(unknown) == 0
        now = stage.clock.now()
        await stage.store.write(lambda db: steering.retry(db, unknown.id, now=now))
        await stage.settle()
        live = await stage.get(unknown)
        assert (live.state, live.attempt, stage.posted(unknown)) == ("published", 2, 1)


async def test_as_long_as_the_platform_may_tell_nobody_else_does(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        unknown = await forgotten(stage, "lost", until=START + 10 * MINUTE_MS)
        with pytest.raises(Conflict, match="the platform itself may still tell"):
            await settle(stage, unknown, THERE)
        await stage.settle(until=START + 3 * HOUR_MS)
        assert (await settle(stage, unknown, THERE)).state == "published"
        for url in (THERE, None):
            with pytest.raises(Conflict, match="it is published"):
                await settle(stage, unknown, url)


async def test_settled_at_once_it_would_go_out_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: who looks before the platform shows it sees nothing, and the next attempt is a second post."""
    monkeypatch.setattr(publications, "BY_HAND_MS", 0)
    async with Stage(tmp_path).open() as stage:
        unknown = await forgotten(stage, "lost", until=START + 10 * MINUTE_MS)
        await settle(stage, unknown, None)
        now = stage.clock.now()
        await stage.store.write(lambda db: steering.retry(db, unknown.id, now=now))
        stage.far.tick = lambda: None
        await stage.settle()
        assert stage.posted(unknown) == 2


async def test_who_read_the_platform_meanwhile_writes_nothing_any_more(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        unknown = await forgotten(stage, "reset")
        await settle(stage, unknown, None)
        with pytest.raises(Conflict, match="it cannot be published now"):
            await stage.store.write(lambda db: db.publications.live(unknown, remote_id="x", url=None, now=1))


async def test_an_address_elsewhere_is_none(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        unknown = await forgotten(stage, "lost")
        with pytest.raises(BadRequest, match="no https address of a post at instagram"):
            await settle(stage, unknown, "https://instagram.com.evil.example/reel/abc/")
        assert (await stage.get(unknown)).state == "unknown"


@pytest.mark.parametrize(
    ("platform", "url", "is_one"),
    [
        ("youtube", "https://youtube.com/shorts/abc", True),
        ("youtube", "https://youtu.be/abc", True),
        ("tiktok", "https://www.tiktok.com/@ann/video/7", True),
        ("instagram", THERE, True),
        ("instagram", "https://www.instagram.com/", False),
        ("instagram", "http://www.instagram.com/reel/abc/", False),
        ("instagram", "javascript:alert(1)//instagram.com/x", False),
        ("instagram", "https://instagram.com@evil.example/x", False),
        ("instagram", "https://evil@instagram.com/x", False),
        ("instagram", "https://notinstagram.com/x", False),
        ("instagram", "https://[x/", False),
        ("youtube", THERE, False),
    ],
)
def test_addresses_are_of_the_platform(platform: Platform, url: str, is_one: bool) -> None:
    assert is_address_at(platform, url) is is_one
