"""The way of a publication from its time to its address."""

from pathlib import Path

from tests.publishing.stage import HOUR_MS, START, Stage


async def test_each_platform_gets_what_is_due_once(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        accounts = [await stage.connect("youtube"), await stage.connect("tiktok"), await stage.connect("instagram")]
        planned = await stage.plan(accounts, n=3, due_at=START + HOUR_MS, apart_ms=HOUR_MS)
        await stage.settle()
        for publication in planned:
            live = await stage.get(publication)
            assert (live.state, live.attempt, live.errors) == ("published", 1, [])
            assert live.url is not None
            assert publication.due_at <= (live.published_at or 0) < publication.due_at + 3 * 60_000
            assert stage.far.posts[live.account_id, live.post.title] == 1
        assert sum(stage.far.posts.values()) == 9
