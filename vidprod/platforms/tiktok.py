"""TikTok: Login Kit v2 and the Content Posting API, as drafts to the inbox or posted directly.

    creator_info (direct)  →  init  →  chunks to upload_url  →  status/fetch
                              once                              reads only

An init whose answer was lost may have made a publish id, but without its bytes nothing comes of it. The last byte is
what cannot be taken back. Codes and limits: developers.tiktok.com, Content Posting API, as of November 2026.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from fractions import Fraction
from typing import Any
from urllib.parse import quote

from vidprod.domain import post as wording
from vidprod.domain.account import AccountSettings, Choices, Platform
from vidprod.domain.post import Post
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import Grant, Handle, Media, Reading
from vidprod.platforms.tiktok_api import API, data_of, error_of, failure_of, is_ok, object_of, put_error, whole
from vidprod.platforms.tiktok_chunks import Plan, pieces, plan, progress
from vidprod.platforms.tiktok_creator import LONGEST_S, choices_of, creator_info, post_info
from vidprod.platforms.wire import Answer, Wire

UPLOAD_HOSTS = "tiktokapis.com"  # open-upload and upload.REGION below it

MOST_BYTES = 4 << 30
ADDRESS_S = 3600  # life of an upload_url
_MARGIN_S = 600  # after it, until what did not come is taken for lost


class TikTok:
    """How a clip gets to TikTok."""

    platform: Platform = "tiktok"
    begins_once = True
    publishes = False

    def __init__(self, wire: Wire, *, now: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        """
        Args:
            now: unix ms, by which upload addresses expire.
        """
        self._wire = wire
        self._now = now

    def faults(self, post: Post, media: Media, settings: AccountSettings) -> list[str]:
        direct = settings.delivery == "direct"
        said = wording.faults(post, "tiktok", direct=direct, duration_us=media.duration_us)
        return said + _faults_of_file(media)

    async def choices(self, grant: Grant) -> Choices:
        """What its owner lets direct posts be at this moment. Raises PlatformError: nothing, and why."""
        return choices_of(await self._creator(grant))

    async def begin(self, grant: Grant, post: Post, media: Media, *, publish_at: int | None = None) -> Handle:
        """TikTok takes no time: who calls, calls when it is due."""
        direct = grant.settings.delivery == "direct"
        chunks = plan(media.size)
        body: dict[str, Any] = {
            "source_info": {
                "source": "FILE_UPLOAD",
                "video_size": media.size,
                "chunk_size": chunks.chunk_size,
                "total_chunk_count": chunks.count,
            }
        }
        username = grant.username
        if direct:
            creator = await self._creator(grant)
            username = str(creator.get("creator_username") or username)
            body["post_info"] = post_info(creator, post, media)
        else:
            await self._assure(grant)
            if text := wording.text_of(post, "tiktok"):
                body["post_info"] = {"title": text}
        data = await self._init(grant, body, direct=direct)
        handle: Handle = {
            "publish_id": str(data["publish_id"]),
            "upload_url": str(data["upload_url"]),
            "expires_at": self._now() + ADDRESS_S * 1000,
            "chunk_size": chunks.chunk_size,
            "chunks": chunks.count,
            "size": media.size,
            "stored": 0,
            "delivery": "direct" if direct else "draft",
            "privacy": str(post.privacy) if direct else "",
            "username": username,
        }
        return handle

    async def send(self, grant: Grant, handle: Handle, media: Media, *, sent: Callable[[int], None]) -> Handle:
        """A chunk after the other. Where TikTok has other bytes than we think, its status says where to go on, once."""
        chunks, size = Plan(handle["chunk_size"], handle["chunks"]), int(handle["size"])
        stored = int(handle["stored"])
        if stored < size:
            stored = chunks.chunk(stored, size)[0]  # what there is of a chunk is sent again
        asked = False
        while stored < size:
            last = chunks.chunk(stored, size)[1]
            answer = await self._put(handle, media, stored, last, sent)
            if answer.status == 416 and not asked:
                asked = True
                stored = await self._uploaded(grant, handle)
                continue
            if answer.status not in (200, 201, 206):
                raise put_error(answer.status)
            before, stored = stored, progress(answer, size, last + 1)
            if stored <= before:
                raise put_error(416)
            sent(stored)
        return {**handle, "stored": size}

    async def publish(self, grant: Grant, handle: Handle) -> Handle:
        """The last byte was what published it."""
        return handle

    async def move(self, grant: Grant, handle: Handle, *, publish_at: int | None) -> Handle:
        """Nothing: TikTok is handed no time."""
        return handle

    async def finish(self, grant: Grant, post: Post, reading: Reading) -> Reading:
        """Nothing: TikTok was told all of it before."""
        return reading

    async def read(self, grant: Grant, handle: Handle, media: Media) -> Reading:
        try:
            data = await self._status(grant, handle)
        except PlatformError as error:
            if error.code == "invalid_publish_id":
                return Reading(state="gone", said=str(error), code=error.code, kind=error.kind)
            if error.code == "token_not_authorized_for_specified_publish_id":
                return Reading(state="unknown", said=str(error), code=error.code, kind=error.kind)
            raise
        status = str(data.get("status") or "")
        if status == "FAILED":
            reason = str(data.get("fail_reason") or "")
            kind, said = failure_of(reason)
            return Reading(state="rejected", said=said, kind=kind, code=reason or "no_reason")
        size = int(handle["size"])
        if status in ("SEND_TO_USER_INBOX", "PUBLISH_COMPLETE"):
            return _live(grant, handle, status, data)
        if status not in ("PROCESSING_UPLOAD", "PROCESSING_DOWNLOAD"):
            return Reading(state="unknown", said=status or "TikTok told no status")
        told, acknowledged = whole(data.get("uploaded_bytes")), int(handle["stored"])
        stored = acknowledged if told is None else told
        # the answer to the last byte outweighs a count: to send all of it anew would post it twice
        if status == "PROCESSING_DOWNLOAD" or max(stored, acknowledged) >= size:
            return Reading(state="processing", stored=size, said=status)
        return self._unfinished(handle, stored, sure=told is not None)

    def _unfinished(self, handle: Handle, stored: int, *, sure: bool) -> Reading:
        """Bytes are missing. They can be sent while the address lives; some while after, nothing will come of it.

        Not at once: the count may lag behind bytes that did arrive.

        Args:
            sure: TikTok itself counted them.
        """
        left_ms = int(handle["expires_at"]) - self._now()
        if left_ms > 0:
            return Reading(state="uploading", stored=stored, said="PROCESSING_UPLOAD")
        over = sure and left_ms < -_MARGIN_S * 1000
        said = "the upload address expired before all bytes had come"
        return Reading(state="absent" if over else "unknown", stored=stored, said=said)

    async def _creator(self, grant: Grant) -> dict[str, Any]:
        """What the account may do at this moment. Raises PlatformError."""

        async def ask(token: str) -> Answer:
            return await creator_info(self._wire, token)

        return await self._read(grant, ask)

    async def _assure(self, grant: Grant) -> None:
        """A token that TikTok takes, and a TikTok that answers, before the call that is made once.

        Raises:
            PlatformError: REAUTH, RETRY. What else is wrong, init says.
        """

        async def ask(token: str) -> Answer:
            return await self._wire.call(
                "GET",
                f"{API}/v2/user/info/",
                params={"fields": "open_id"},
                headers={"Authorization": f"Bearer {token}"},
                timeout_s=30,
            )

        try:
            await self._read(grant, ask)
        except PlatformError as error:
            if error.kind in ("REAUTH", "RETRY") and not error.code.startswith("scope_"):
                raise

    async def _init(self, grant: Grant, body: dict[str, Any], *, direct: bool) -> dict[str, Any]:
        token = await grant.token()
        answer = await self._wire.call(
            "POST",
            f"{API}/v2/post/publish/{'' if direct else 'inbox/'}video/init/",
            headers={"Authorization": f"Bearer {token}"},
            body=body,
            timeout_s=60,
        )
        if not is_ok(answer):
            error = error_of(answer, init=True)
            if error.code == "access_token_invalid":
                with suppress(PlatformError):
                    await grant.renew(token)  # for who reads next; init itself is not repeated here
            raise error
        data = object_of(answer.json().get("data"))
        if not data.get("publish_id") or not data.get("upload_url"):
            raise Unanswered("TikTok said ok to an init and gave no address to upload to")
        if not self._wire.is_of(str(data["upload_url"]), UPLOAD_HOSTS):
            raise PlatformError("TikTok gave an upload address that is not its own.", kind="FIX", code="upload_host")
        return data

    async def _put(self, handle: Handle, media: Media, first: int, last: int, sent: Callable[[int], None]) -> Answer:
        return await self._wire.call(
            "PUT",
            handle["upload_url"],
            headers={
                "Content-Type": media.mime,
                "Content-Length": str(last - first + 1),
                "Content-Range": f"bytes {first}-{last}/{handle['size']}",
            },
            content=pieces(media.path, first, last, sent),
            timeout_s=300,
        )

    async def _uploaded(self, grant: Grant, handle: Handle) -> int:
        """Bytes that TikTok has, by its status. Raises PlatformError, where it does not tell."""
        stored = whole((await self._status(grant, handle)).get("uploaded_bytes"))
        if stored is None:
            raise put_error(416)
        return stored

    async def _status(self, grant: Grant, handle: Handle) -> dict[str, Any]:
        async def ask(token: str) -> Answer:
            return await self._wire.call(
                "POST",
                f"{API}/v2/post/publish/status/fetch/",
                headers={"Authorization": f"Bearer {token}"},
                body={"publish_id": handle["publish_id"]},
                timeout_s=30,
            )

        return await self._read(grant, ask)

    async def _read(self, grant: Grant, ask: Callable[[str], Awaitable[Answer]]) -> dict[str, Any]:
        """The data of a call that changes nothing; with another token, once, where the first is not taken."""
        token = await grant.token()
        for last in (False, True):
            try:
                return data_of(await ask(token))
            except Unanswered as error:  # it changed nothing, so that it may be asked again
                raise PlatformError(str(error), kind="RETRY", code="unanswered") from None
            except PlatformError as error:
                if error.kind != "REFRESH":
                    raise
                if last:
                    error.kind = "REAUTH"
                    raise
                token = await grant.renew(token)
        raise AssertionError


def _live(grant: Grant, handle: Handle, status: str, data: Mapping[str, Any]) -> Reading:
    """Posted, or a draft in the inbox. Only public posts get an id that is told, and that after moderation."""
    username = grant.username or str(handle.get("username") or "")
    profile = f"https://www.tiktok.com/@{quote(username)}" if username else None
    post_id = _post_id(data)
    return Reading(
        state="live",
        stored=int(handle["size"]),
        remote_id=post_id or str(handle["publish_id"]),
        url=f"{profile}/video/{post_id}" if profile and post_id else profile,
        privacy=str(handle.get("privacy") or ""),
        said=status,
        settled=post_id is not None or handle.get("privacy") != "public",
    )


def _post_id(data: Mapping[str, Any]) -> str | None:
    """The first of a list of 64-bit numbers, under TikTok's own spelling."""
    ids = data.get("publicaly_available_post_id") or []
    first = ids[0] if isinstance(ids, list) and ids else None
    return str(first) if isinstance(first, int | str) and str(first).isdecimal() else None


def _faults_of_file(media: Media) -> list[str]:
    faults = []
    if media.mime not in ("video/mp4", "video/quicktime", "video/webm"):
        faults.append(f"the file is {media.mime}, not MP4, MOV or WebM")
    if not 0 < media.size <= MOST_BYTES:
        faults.append(f"the file has {media.size} bytes, at most {MOST_BYTES} are allowed")
    if media.duration_us > LONGEST_S * 1_000_000:
        faults.append(f"the clip has {media.duration_us / 1e6:.1f} s, at most {LONGEST_S} s are allowed")
    if not all(360 <= side <= 4096 for side in (media.width, media.height)):
        faults.append(f"the picture is {media.width}×{media.height}, each side must have 360 to 4096 pixels")
    if not 23 <= Fraction(media.fps) <= 60:
        faults.append(f"the clip has {float(Fraction(media.fps)):.2f} frames a second, 23 to 60 are allowed")
    return faults
