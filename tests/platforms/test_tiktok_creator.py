"""A direct post says what its creator may choose at that moment, and what a person chose."""

from typing import Any

import pytest

from tests.platforms.tiktok import DIRECT, DRAFT, HOUR_S, POST, Far, far
from vidprod.domain.post import Post
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import Media
from vidprod.platforms.simulators.tiktok_rules import Rules


async def test_a_direct_post_asks_for_the_creators_choices_each_time(there: Far, take: Media) -> None:
    grant = there.grant()
    for _ in range(2):
        await there.tiktok.begin(grant, POST, take)
    assert [upload.asked for upload in there.sim.uploads.values()] == [True, True]
    assert len(there.transport.paths("creator_info/query")) == 2


async def test_what_is_posted_says_what_the_post_says(there: Far, take: Media) -> None:
    post = Post(
        caption="Look #Tag",
        hashtags=["tag", "new"],
        privacy="friends",
        comments=False,
        stitch=False,
        synthetic=True,
        cover_ms=1500,
        brand_organic=True,
    )
    await there.tiktok.begin(there.grant(), post, take)
    [upload] = there.sim.uploads.values()
    assert upload.info == {
        "title": "Look #Tag\n\n#new",
        "privacy_level": "MUTUAL_FOLLOW_FRIENDS",
        "disable_comment": True,
        "disable_duet": False,
        "disable_stitch": True,
        "video_cover_timestamp_ms": 1500,
        "brand_content_toggle": False,
        "brand_organic_toggle": True,
        "is_aigc": True,
    }


async def test_a_switch_that_the_creator_has_off_is_sent_as_off(there: Far, take: Media) -> None:
    creator = there.creator()
    creator.comment_disabled = creator.duet_disabled = creator.stitch_disabled = True
    await there.tiktok.begin(there.grant(), POST, take)
    [upload] = there.sim.uploads.values()
    assert all(upload.info[f"disable_{name}"] for name in ("comment", "duet", "stitch"))


@pytest.mark.parametrize(
    ("private", "privacy", "offered"),
    [
        (False, "followers", "public, friends (who follow each other), private"),
        (True, "public", "followers, friends (who follow each other), private"),
        (False, "unlisted", "public, friends (who follow each other), private"),
        (False, None, "public, friends (who follow each other), private"),
    ],
)
async def test_a_privacy_that_is_not_offered_is_refused_in_words(
    there: Far, take: Media, private: bool, privacy: Any, offered: str
) -> None:
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(private=private), Post(privacy=privacy), take)
    assert (caught.value.kind, caught.value.code) == ("FIX", "privacy_level_option_mismatch")
    assert str(caught.value).endswith(f"TikTok offers {offered}.")
    assert there.sim.uploads == {}


async def test_failure_2_an_unaudited_app_is_told_to_make_the_account_private(take: Media) -> None:
    """platforms.md 6, 2: a private post on a public account is still refused."""
    there = far(rules=Rules(audited=False))
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(), POST, take)
    assert "set the TikTok account itself to private" in caught.value.hint
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(), Post(privacy="private"), take)
    assert (caught.value.kind, caught.value.code) == ("FIX", "unaudited_client_can_only_post_to_private_accounts")
    assert "set the TikTok account itself to private" in caught.value.hint
    await there.tiktok.begin(there.grant(private=True), Post(privacy="private"), take)
    await there.tiktok.begin(there.grant(DRAFT), POST, take)


async def test_failure_3_nobody_is_given_a_privacy_that_nobody_chose(there: Far, take: Media) -> None:
    """platforms.md 6, 3: what TikTok's audit looks at."""
    post = Post(title="A take", privacy=None)
    assert len(there.tiktok.faults(post, take, DIRECT)) == 1
    with pytest.raises(PlatformError, match=r"^Nobody chose who sees the post: TikTok offers public, "):
        await there.tiktok.begin(there.grant(), post, take)


@pytest.mark.parametrize("code", ["reached_active_user_cap", "spam_risk_too_many_posts"])
async def test_failure_4_a_cap_parks_for_a_day_before_anything_is_begun(there: Far, take: Media, code: str) -> None:
    """platforms.md 6, 4."""
    there.world.order("tiktok.creator_info", code)
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(), POST, take)
    assert (caught.value.kind, caught.value.code, caught.value.retry_after_s) == ("QUOTA", code, 24 * HOUR_S)
    assert there.transport.paths("video/init") == []


async def test_a_clip_longer_than_the_creator_may_post_is_refused_before_the_first_byte(
    there: Far, take: Media
) -> None:
    there.creator().longest_s = 10
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(), POST, take)
    assert (caught.value.kind, str(caught.value)) == ("FIX", "The clip has 12.0 s, and this account may post 10 s.")
    assert there.sim.uploads == {}


async def test_choices_whose_answer_was_lost_may_be_asked_for_again(there: Far, take: Media) -> None:
    there.world.order("tiktok.creator_info", "lost_answer")
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(), POST, take)
    assert (caught.value.kind, isinstance(caught.value, Unanswered)) == ("RETRY", False)
    assert there.sim.uploads == {}


def test_privacy_is_judged_for_direct_posts_only(there: Far, take: Media) -> None:
    for post in (Post(privacy=None), Post(privacy="unlisted"), Post(privacy="private", brand_content=True)):
        assert len(there.tiktok.faults(post, take, DIRECT)) == 1
        assert there.tiktok.faults(post, take, DRAFT) == []
