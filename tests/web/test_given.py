"""Bodies: what is wrong with one is told with the place, the value, and what would be right."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
import pytest

from tests.web.conftest import Live
from vidprod.web.given import MOST_BYTES, BadBody, converted


class Words(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    title: str | None = None
    hashtags: list[str] = []


class Asked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    platform: Literal["youtube", "tiktok"]
    gap_s: Annotated[int, msgspec.Meta(ge=0)] = 0
    cap: Annotated[int, msgspec.Meta(ge=1)] | None = None
    since: Annotated[datetime, msgspec.Meta(tz=True)] | None = msgspec.field(name="from", default=None)
    delivery: Annotated[Literal["draft", "direct"], msgspec.Meta(description="of TikTok")] = "draft"
    secret: Annotated[str, msgspec.Meta(max_length=8)] = ""
    automatic: bool = False
    words: Words | None = None


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"platform": "vimeo"}, "platform='vimeo': must be one of tiktok, youtube"),
        ({"delivery": "post"}, "delivery='post': must be one of direct, draft"),
        ({"gap_s": -1}, "gap_s=-1: must be a whole number >= 0"),
        ({"gap_s": 1.5}, "gap_s=1.5: must be a whole number"),
        ({"cap": "many"}, "cap='many': must be a whole number or null"),
        ({"automatic": "yes"}, "automatic='yes': must be true or false"),
        ({"from": "tomorrow"}, "from='tomorrow': must be a time with its offset, like 2026-12-01T18:00:00+01:00"),
        ({"from": "2026-12-01T18:00"}, "from='2026-12-01T18:00': must be a time with its offset, like 2026-12-01T1"),
        ({"words": []}, "words: must be an object or null"),
        ({"words": {"hashtags": ["a", 5]}}, "words.hashtags[1]=5: must be a text"),
        ({"words": {"titel": "x"}}, "there is no field 'titel' in words; near it is title"),
        ({"colour": 1}, "there is no field 'colour'; there are platform, gap_s, cap, from"),
        ({"secret": "whsec_hush_hush"}, "secret: must be a text of length <= 8"),
    ],
)
def test_what_is_wrong_is_told_with_the_value_and_what_would_be_right(more: dict[str, object], told: str) -> None:
    with pytest.raises(BadBody) as refused:
        converted({"platform": "youtube", **more}, Asked)
    assert told in str(refused.value)
    assert "hush" not in str(refused.value)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(BadBody, match="platform is missing"):
        converted({}, Asked)
    with pytest.raises(BadBody, match="the body: must be an object"):
        converted([], Asked)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"platform=youtube", 422, "malformed"),
        (b"\xff\xfe", 422, "The body cannot be read"),
        (b'{"platform":' * 5000, 422, "nested too deeply"),
        (b" " * (MOST_BYTES + 1), 413, f"larger than {MOST_BYTES} bytes"),
    ],
)
async def test_a_body_that_is_none_is_no_fault_of_ours(live: Live, body: bytes, status: int, told: str) -> None:
    for path in ("/v1/accounts/connect", "/v1/endpoints", "/v1/publications"):
        answer = await live.client.post(path, content=body)
        assert answer.status_code == status, path
        assert told in answer.json()["detail"]
