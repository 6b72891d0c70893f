"""TikTok end to end, with everything of ours: what was sent is posted once, and what became of it has a name."""

from pathlib import Path

from tests.publishing.real import RealStage
from tests.publishing.stage import DAY_MS, HOUR_MS, START, Stage
from vidprod.domain.publication import Publication
from vidprod.platforms.simulators.world import Fault


async def one(stage: RealStage, **settings: str) -> Publication:
    (publication,) = await stage.plan(await stage.connect("tiktok", **settings))
    return publication


async def test_what_tiktok_acknowledged_is_not_sent_again_because_it_counts_no_byte_of_it(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        publication = await one(stage)
        stage.world.order("tiktok.processing", Fault("uncounted", 3 * 3600))
        await stage.settle(until=START + 2 * HOUR_MS)
        waiting = await stage.get(publication)
        assert (waiting.state, waiting.attempt) == ("unknown", 1)
        await stage.settle(until=START + DAY_MS)
        live = await stage.get(publication)
        assert (live.state, live.attempt, stage.posted(live)) == ("published", 1, 1)


async def test_a_draft_goes_out_within_the_hour_after_its_owner_made_room_in_the_inbox(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        account = await stage.connect("tiktok", delivery="draft")
        planned = await stage.plan(account, n=6, apart_ms=60_000)
        await stage.settle(until=START + 3 * HOUR_MS)
        found = [await stage.get(publication) for publication in planned]
        assert [publication.state for publication in found] == ["published"] * 5 + ["scheduled"]
        wait = found[5].wait
        assert wait is not None
        assert (wait.code, "Finish or delete the drafts" in wait.message) == ("quota", True)
        drafts = list(stage.sims.tiktok.uploads.values())
        stage.sims.tiktok.finish(drafts[0].publish_id)
        await stage.settle(until=START + 4 * HOUR_MS + HOUR_MS // 10)
        assert (await stage.get(found[5])).state == "published"


async def test_bytes_that_do_not_come_are_sent_for_as_long_as_the_address_lives(tmp_path: Path) -> None:
    """It dies by itself, and only then is it sure that nothing comes of it: until then TikTok's count may lag."""
    async with Stage(tmp_path).open() as stage:
        await stage.plan(await stage.connect("tiktok"))
        stage.far.order("send", *["reset"] * 40)
        await stage.settle(until=START + DAY_MS)
        first, second = (int(line.split()[0]) for line in stage.far.log if line.endswith("begin"))
        assert second - first >= 2 * HOUR_MS  # the far end's address
        assert list(stage.far.posts.values()) == [1]


# fail_reason, and what becomes of the publication: its state, what it waits for, and the handles that were begun
FAILED = [
    ("file_format_check_failed", "rejected", "", 1),
    ("duration_check_failed", "rejected", "", 1),
    ("frame_rate_check_failed", "rejected", "", 1),
    ("picture_size_check_failed", "rejected", "", 1),
    ("publish_cancelled", "rejected", "", 1),
    ("spam_risk", "rejected", "", 1),
    ("spam_risk_text", "rejected", "", 1),
    ("spam_risk_user_banned_from_posting", "rejected", "", 1),
    ("spam_risk_too_many_posts", "scheduled", "quota", 1),
    ("auth_removed", "scheduled", "reauth", 1),
    ("internal", "published", "", 2),
]


async def test_what_failed_at_tiktok_has_a_name_and_is_posted_once_at_most(tmp_path: Path) -> None:
    async with RealStage(tmp_path).open() as stage:
        planned = []
        for number, (reason, *_) in enumerate(FAILED):
            account = await stage.connect("tiktok", f"a{number}")
            planned += await stage.plan(account, due_at=START + number * HOUR_MS // 6)
            stage.world.order("tiktok.processing", reason)
        await stage.settle(until=START + 3 * HOUR_MS)
        for publication, (reason, *expected) in zip(planned, FAILED, strict=True):
            found = await stage.get(publication)
            waits_for = found.wait.code if found.wait else ""
            assert [found.state, waits_for, found.attempt] == expected, reason
            assert found.errors[-1].code == reason
            assert stage.posted(found) == (found.state == "published")
