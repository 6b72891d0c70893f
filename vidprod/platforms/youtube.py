"""Publishing to YouTube Shorts by the Data API v3: a resumable session, and what became of it.

Nothing is public, and no video exists, until the last byte is in; then it cannot be taken back. Whether it is in is
asked of the session itself (`bytes */SIZE`), so `send` always asks first: an answer that was lost is found there.

Sources: developers.google.com/youtube/v3 (resumable uploads, errors, quota cost), Google's API description of v3.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, BinaryIO
from urllib.parse import urlencode

from vidprod.domain import post as wording
from vidprod.domain.account import AccountSettings, Platform
from vidprod.domain.post import Post
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms import youtube_video
from vidprod.platforms.base import Grant, Handle, Media, Reading
from vidprod.platforms.wire import Answer, Wire
from vidprod.platforms.youtube_api import API, error_of, items_of, part_of, said_at

_UPLOADS = "https://www.googleapis.com/upload/youtube/v3/videos"

_CHUNK = 8 << 20  # a multiple of 262,144, as all but the last must be; what is lost at most when a connection breaks
_PIECE = 512 << 10
_STALLS = 3  # answers in a row that took nothing of what was sent
_SESSION_S = 60.0
_CHUNK_S = 300.0
_POLL_S = 30.0
_LONGEST_US = 180_000_000  # of a Short
_MOST_BYTES = 274_877_906_944
_FORGOTTEN_MS = 24 * 3_600_000  # a video that is not listed so long after its session began was deleted


class YouTube:
    """Uploads, and what became of them.

    A handle: `session` (its address, a secret), `size`, `stored`, `title`, `privacy` as asked, `publish_at` (RFC 3339,
    or None), `began_at` (unix ms by YouTube's clock, or None), `video_id` once it is known, and `handed` once YouTube
    has said that it keeps the time.
    """

    platform: Platform = "youtube"
    begins_once = False  # a session of which nobody knows is forgotten by itself
    publishes = False

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def faults(self, post: Post, media: Media, settings: AccountSettings) -> list[str]:
        """What YouTube would refuse, and what would keep the clip from being a Short."""
        found = wording.faults(post, "youtube", duration_us=media.duration_us)
        if not re.fullmatch(r"[0-9]{1,4}", post.category):
            found.append(f"category: {post.category!r} is not the number of a YouTube category")
        if media.width > media.height:
            found.append(f"the clip is {media.width}×{media.height}: a Short is square or taller")
        if media.duration_us > _LONGEST_US:
            found.append(f"the clip takes {media.duration_us / 1e6:.1f} s: a Short takes at most 180 s")
        if not 0 < media.size <= _MOST_BYTES:
            found.append(f"the file has {media.size:,} bytes: YouTube takes 1 to {_MOST_BYTES:,}")
        return found

    async def begin(self, grant: Grant, post: Post, media: Media, *, publish_at: int | None = None) -> Handle:
        """A resumable session. With `publish_at` the video is private until then and made public by YouTube: only for
        a post that shall be public."""
        metadata = youtube_video.metadata(post, publish_at)
        answer = await self._call(
            grant,
            "POST",
            f"{_UPLOADS}?{urlencode(_session_query(post, metadata))}",
            headers={"X-Upload-Content-Length": str(media.size), "X-Upload-Content-Type": media.mime},
            body=metadata,
            timeout_s=_SESSION_S,
        )
        session = answer.headers.get("Location", "")
        if not self._wire.is_of(session, "googleapis.com"):
            raise PlatformError("YouTube gave no upload address.", kind="RETRY", code="no_session")
        return {
            "session": session,
            "size": media.size,
            "stored": 0,
            "title": post.title,
            "privacy": post.privacy,
            "publish_at": metadata["status"].get("publishAt"),
            "began_at": said_at(answer),
            "video_id": None,
        }

    async def send(self, grant: Grant, handle: Handle, media: Media, *, sent: Callable[[int], None]) -> Handle:
        """Ask what is there, then send the rest, 8 MiB a request."""
        handle = await self._ask_session(grant, handle)
        stalls = 0
        while handle["video_id"] is None and handle["stored"] < handle["size"]:
            before = handle["stored"]
            sent(before)
            handle = await self._send_chunk(grant, handle, media, sent)
            stalls = 0 if handle["stored"] > before else stalls + 1
            if stalls == _STALLS:
                raise PlatformError(
                    f"YouTube takes no more than {before:,} of {media.size:,} bytes.", kind="RETRY", code="stalled"
                )
        sent(handle["stored"])
        return handle

    async def publish(self, grant: Grant, handle: Handle) -> Handle:
        """Nothing: the last byte made it as public as was asked."""
        return handle

    async def move(self, grant: Grant, handle: Handle, *, publish_at: int | None) -> Handle:
        """By `videos.update`, with all of its status as it is now: somebody may have changed it at YouTube."""
        video = handle.get("video_id") or handle["remote_id"]
        found = await self._call(grant, "GET", f"{API}/videos", params={"part": "status", "id": video})
        status = next((part_of(item, "status") for item in items_of(found)), None)
        if status is None:
            raise PlatformError("YouTube does not list the video.", kind="RECONCILE", code="videoNotFound")
        if status.get("privacyStatus") != "private":
            return handle
        changed = youtube_video.moved(status, publish_at, now=said_at(found) or 0)
        try:
            await self._call(
                grant,
                "PUT",
                f"{API}/videos",
                params={"part": "status"},
                body={"id": video, "status": changed},
            )
        except PlatformError as error:
            if error.code != "insufficientPermissions":
                raise
            raise PlatformError(
                "the permission to manage videos was not granted",
                kind="FIX",  # all else still goes
                code=error.code,
                hint=error.hint,
                http_status=error.http_status,
            ) from None
        return handle

    async def finish(self, grant: Grant, post: Post, reading: Reading) -> Reading:
        """Nothing: YouTube was told all of it before."""
        return reading

    async def read(self, grant: Grant, handle: Handle, media: Media) -> Reading:
        """The session until it is complete, then the video. Of a session that is gone: the channel's newest uploads."""
        try:
            handle = await self._ask_session(grant, handle)
        except PlatformError as error:
            if error.kind != "NEWHANDLE":
                raise
            return Reading(state="absent", said=str(error), kind=error.kind, code=error.code)
        if handle["video_id"] is not None:
            return await self._read_video(grant, handle)
        if handle["stored"] < handle["size"]:
            return Reading(state="uploading", stored=handle["stored"])
        return Reading(state="processing", stored=handle["stored"], said="YouTube has every byte, and no video yet.")

    async def _ask_session(self, grant: Grant, handle: Handle) -> Handle:
        """The handle as the session is. Raises PlatformError (NEWHANDLE): it is gone, and no video came of it."""
        video = handle.get("video_id") or handle.get("remote_id")
        if video is not None:
            return handle | {"video_id": video, "stored": handle["size"]}
        answer = await self._put(grant, handle, content_range=f"bytes */{handle['size']}")
        return await self._after(grant, handle, answer)

    async def _send_chunk(self, grant: Grant, handle: Handle, media: Media, sent: Callable[[int], None]) -> Handle:
        first = handle["stored"]
        end = min(first + _CHUNK, handle["size"])
        with media.path.open("rb") as file:  # at once: one that opened while we are cancelled would stay open
            answer = await self._put(
                grant,
                handle,
                content_range=f"bytes {first}-{end - 1}/{handle['size']}",
                length=end - first,
                content=lambda: _pieces(file, first, end, sent),
            )
        return await self._after(grant, handle, answer)

    async def _after(self, grant: Grant, handle: Handle, answer: Answer) -> Handle:
        """The handle after the session's answer to a chunk or a question."""
        if answer.status in (404, 410):
            video = await self._find(grant, handle)
            if video is None:
                raise error_of(answer)
            return handle | {"video_id": video, "stored": handle["size"]}
        if answer.status != 308:
            video = str(answer.json().get("id") or "")
            if not video:  # half an answer: the session will say it again
                raise Unanswered("YouTube's answer to the upload cannot be read")
            return handle | {"video_id": video, "stored": handle["size"]}
        session = answer.headers.get("Location") or handle["session"]
        if not self._wire.is_of(session, "googleapis.com"):
            raise PlatformError("YouTube gave an upload address of somebody else.", kind="RETRY", code="no_session")
        return handle | {"session": session, "stored": min(_stored(answer), handle["size"])}

    async def _find(self, grant: Grant, handle: Handle) -> str | None:
        """The video of a session that is gone: its title and size, uploaded since the session began; None: there is
        none. Sessions are forgotten after days, or lost; their videos are not."""
        channel = await self._call(grant, "GET", f"{API}/channels", params={"part": "contentDetails", "mine": "true"})
        lists = [
            part_of(part_of(item, "contentDetails"), "relatedPlaylists").get("uploads") for item in items_of(channel)
        ]
        if not lists or not lists[0]:
            return None
        newest = await self._call(
            grant,
            "GET",
            f"{API}/playlistItems",
            params={"part": "contentDetails", "playlistId": str(lists[0]), "maxResults": "50"},
        )
        ids = [str(part_of(item, "contentDetails").get("videoId") or "") for item in items_of(newest)]
        if not any(ids):
            return None
        videos = await self._call(
            grant, "GET", f"{API}/videos", params={"part": "snippet,fileDetails", "id": ",".join(filter(None, ids))}
        )
        return next((str(item["id"]) for item in items_of(videos) if youtube_video.is_of(item, handle)), None)

    async def _read_video(self, grant: Grant, handle: Handle) -> Reading:
        answer = await self._call(
            grant, "GET", f"{API}/videos", params={"part": "status,processingDetails", "id": handle["video_id"]}
        )
        if "items" not in answer.json():
            raise PlatformError("YouTube's answer cannot be read.", kind="RETRY", code="bad_answer")
        items = items_of(answer)
        if items:
            return youtube_video.reading(items[0], handle)
        began, now = handle.get("began_at"), said_at(answer)
        gone = began is not None and now is not None and now - began > _FORGOTTEN_MS
        said = "YouTube does not know the video any more." if gone else "YouTube does not list the video yet."
        return youtube_video.told(
            handle, "gone" if gone else "processing", said=said, code="videoNotFound" if gone else ""
        )

    async def _put(
        self,
        grant: Grant,
        handle: Handle,
        *,
        content_range: str,
        length: int = 0,
        content: Callable[[], AsyncIterator[bytes]] | None = None,
    ) -> Answer:
        """One PUT to the session. Its answer: 2xx, 308, or 404 and 410, where it is gone."""
        return await self._call(
            grant,
            "PUT",
            handle["session"],
            headers={"Content-Length": str(length), "Content-Range": content_range},
            content=content,
            timeout_s=_CHUNK_S if content else _POLL_S,
            good=(200, 201, 308, 404, 410),
        )

    async def _call(
        self,
        grant: Grant,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content: Callable[[], AsyncIterator[bytes]] | None = None,
        timeout_s: float = _POLL_S,
        good: tuple[int, ...] = (200,),
    ) -> Answer:
        """With the account's token; where it is not taken, once more with another. Raises PlatformError, Unanswered."""
        token = await grant.token()
        for is_last in (False, True):
            answer = await self._wire.call(
                method,
                url,
                headers={**(headers or {}), "Authorization": f"Bearer {token}"},
                params=params,
                body=body,
                content=content() if content else None,
                timeout_s=timeout_s,
            )
            if answer.status in good:
                break
            error = error_of(answer)
            if error.kind != "REFRESH":
                raise error
            if is_last:
                raise PlatformError(
                    str(error), kind="REAUTH", code=error.code, hint=error.hint, http_status=error.http_status
                )
            token = await grant.renew(token)
        return answer


def _session_query(post: Post, metadata: Mapping[str, Any]) -> dict[str, str]:
    return {
        "uploadType": "resumable",
        "part": ",".join(metadata),
        "notifySubscribers": "true" if post.notify else "false",
    }


async def _pieces(file: BinaryIO, first: int, end: int, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
    await asyncio.to_thread(file.seek, first)
    while first < end:
        piece = await asyncio.to_thread(file.read, min(_PIECE, end - first))
        if not piece:
            return  # the file has become shorter: the request ends before its time, and fails
        yield piece
        first += len(piece)
        sent(first)


def _stored(answer: Answer) -> int:
    """Bytes that the session has: "Range: bytes=0-786431"; none: nothing yet."""
    found = re.fullmatch(r"(?:bytes=)?0-(\d+)", answer.headers.get("Range", "").strip())
    return int(found[1]) + 1 if found else 0
