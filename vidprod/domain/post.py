"""What is said with a published segment: templates, the text that comes of them, and each platform's limits."""

from typing import Annotated, Literal

import msgspec

Privacy = Literal["public", "unlisted", "private", "friends", "followers"]


class Wording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a job or an account asks to be said. None: not said here, so the next one is asked: the job's target, the
    account, the default. Templates know {title}, {n}, {total}, {filename}, {date}."""

    title: Annotated[str, msgspec.Meta(max_length=5000)] | None = None
    caption: Annotated[str, msgspec.Meta(max_length=10000)] | None = None
    hashtags: Annotated[list[str], msgspec.Meta(max_length=100)] | None = None
    privacy: Privacy | None = None
    made_for_kids: bool | None = None
    comments: bool | None = None
    duet: bool | None = None
    stitch: bool | None = None
    synthetic: bool | None = None  # None: as the segment is
    cover_ms: Annotated[int, msgspec.Meta(ge=0)] | None = None
    notify: bool | None = None  # YouTube: subscribers
    share_to_feed: bool | None = None  # Instagram
    category: Annotated[str, msgspec.Meta(max_length=10)] | None = None  # YouTube's categoryId
    brand_content: bool | None = None  # TikTok: paid partnership
    brand_organic: bool | None = None  # TikTok: own business


class Post(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one publication says, in full: no template, nothing left open. Hashtags without "#"."""

    title: str = ""
    caption: str = ""
    hashtags: list[str] = []
    privacy: Privacy = "public"
    made_for_kids: bool = False
    comments: bool = True
    duet: bool = True
    stitch: bool = True
    synthetic: bool = False
    synthetic_reason: str | None = None
    cover_ms: int = 0
    notify: bool = True
    share_to_feed: bool = True
    category: str = "22"
    brand_content: bool = False
    brand_organic: bool = False
