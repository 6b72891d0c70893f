"""The calls of TikTok's API, as the sheet's samples make them."""

from typing import Any

from tests.platforms.clips import clip
from tests.platforms.tiktok import Far, Held
from vidprod.platforms.wire import Answer

INIT, INBOX = "/v2/post/publish/video/init/", "/v2/post/publish/inbox/video/init/"
CREATOR, STATUS = "/v2/post/publish/creator_info/query/", "/v2/post/publish/status/fetch/"
CLIP = clip()


def body(
    size: int = len(CLIP), chunk: int | None = None, count: int = 1, *, privacy: str = "SELF_ONLY", **info: Any
) -> dict[str, Any]:
    """The sheet's sample of an init."""
    said = {
        "title": "… #tag",
        "privacy_level": privacy,
        "disable_comment": False,
        "disable_duet": True,
        "disable_stitch": True,
        "video_cover_timestamp_ms": 1000,
        "brand_content_toggle": False,
        "brand_organic_toggle": False,
        "is_aigc": False,
    }
    return {
        "post_info": said | info,
        "source_info": {
            "source": "FILE_UPLOAD",
            "video_size": size,
            "chunk_size": size if chunk is None else chunk,
            "total_chunk_count": count,
        },
    }


async def begun(there: Far, grant: Held, path: str = INIT, **asked: Any) -> dict[str, str]:
    answer = await there.call(grant, path, body(**asked))
    assert answer.status == 200, answer.body
    return dict(answer.json()["data"])


async def put(
    there: Far, made: dict[str, str], data: bytes = CLIP, span: str = "", mime: str = "video/mp4", **headers: str
) -> Answer:
    first = f"bytes 0-{len(data) - 1}/{len(data)}"
    said = {"Content-Type": mime, "Content-Length": str(len(data)), "Content-Range": span or first, **headers}
    return await there.wire.call("PUT", made["upload_url"], headers=said, content=data)


async def status(there: Far, grant: Held, made: dict[str, str]) -> dict[str, Any]:
    answer = await there.call(grant, STATUS, {"publish_id": made["publish_id"]})
    assert answer.json()["error"]["code"] == "ok"
    return dict(answer.json()["data"])


def code_of(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json()["error"]["code"]
