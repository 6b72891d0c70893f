"""What a creator may do at this moment, and a direct post within that.

Source: developers.tiktok.com, "Query Creator Info", "Direct Post", "Content Sharing Guidelines".
"""

from collections.abc import Mapping
from typing import Any

from vidprod.domain import post as wording
from vidprod.domain.account import Choices
from vidprod.domain.post import Post, Privacy
from vidprod.errors import PlatformError
from vidprod.platforms.base import Media
from vidprod.platforms.tiktok_api import API, hint_of, whole
from vidprod.platforms.wire import Answer, Wire

LONGEST_S = 600

PRIVACY: dict[Privacy, str] = {
    "public": "PUBLIC_TO_EVERYONE",
    "friends": "MUTUAL_FOLLOW_FRIENDS",
    "followers": "FOLLOWER_OF_CREATOR",
    "private": "SELF_ONLY",
}
_IN_WORDS = {
    "PUBLIC_TO_EVERYONE": "public",
    "MUTUAL_FOLLOW_FRIENDS": "friends (who follow each other)",
    "FOLLOWER_OF_CREATOR": "followers",
    "SELF_ONLY": "private",
}


async def creator_info(wire: Wire, token: str) -> Answer:
    return await wire.call(
        "POST",
        f"{API}/v2/post/publish/creator_info/query/",
        headers={"Authorization": f"Bearer {token}"},
        body={},
        timeout_s=30,
    )


def choices_of(creator: Mapping[str, Any]) -> Choices:
    """What a person may choose from."""
    options = _options(creator)
    return Choices(
        name=str(creator.get("creator_nickname") or ""),
        username=str(creator.get("creator_username") or ""),
        privacy=[privacy for privacy, option in PRIVACY.items() if option in options],
        comments=not creator.get("comment_disabled"),
        duet=not creator.get("duet_disabled"),
        stitch=not creator.get("stitch_disabled"),
        longest_s=_longest_s(creator),
    )


def post_info(creator: Mapping[str, Any], post: Post, media: Media) -> dict[str, Any]:
    """What a direct post says, within what the account may at this moment.

    Raises:
        PlatformError: FIX: it may not what was asked for.
    """
    options = _options(creator)
    if post.privacy is None or PRIVACY.get(post.privacy) not in options:
        raise _privacy_error(post.privacy, options)
    longest_s = _longest_s(creator)
    if media.duration_us > longest_s * 1_000_000:
        raise PlatformError(
            f"The clip has {media.duration_us / 1e6:.1f} s, and this account may post {longest_s} s.",
            kind="FIX",
            code="duration_check_failed",
        )
    return {
        "title": wording.text_of(post, "tiktok"),
        "privacy_level": PRIVACY[post.privacy],
        # a switch that the account has off must be sent as off
        "disable_comment": bool(creator.get("comment_disabled")) or not post.comments,
        "disable_duet": bool(creator.get("duet_disabled")) or not post.duet,
        "disable_stitch": bool(creator.get("stitch_disabled")) or not post.stitch,
        "video_cover_timestamp_ms": post.cover_ms,
        "brand_content_toggle": post.brand_content,
        "brand_organic_toggle": post.brand_organic,
        "is_aigc": post.synthetic,
    }


def _options(creator: Mapping[str, Any]) -> list[str]:
    return [str(option) for option in creator.get("privacy_level_options") or []]


def _longest_s(creator: Mapping[str, Any]) -> int:
    return whole(creator.get("max_video_post_duration_sec")) or LONGEST_S


def _privacy_error(privacy: Privacy | None, options: list[str]) -> PlatformError:
    choices = ", ".join(_IN_WORDS.get(option, option) for option in options) or "nothing"
    wanted = f"This account cannot post as {privacy} now" if privacy else "Nobody chose who sees the post"
    unaudited = options == ["SELF_ONLY"]
    code = "unaudited_client_can_only_post_to_private_accounts" if unaudited else "privacy_level_option_mismatch"
    return PlatformError(
        f"{wanted}: TikTok offers {choices}.",
        kind="FIX",
        code="privacy_level_option_mismatch",
        hint=hint_of(code),
    )
