"""Instagram Reels, by either login: Facebook Login takes the file itself, Instagram Login fetches it from an address.

begin     POST /<account>/media                 a container: lives 24 hours, is published once
send      POST <the uri that came with it>      the file, from where it broke off; Facebook Login only
read      GET  /<container>                     IN_PROGRESS, FINISHED, ERROR, EXPIRED, PUBLISHED
publish   POST /<account>/media_publish         never twice without a reading in between
finish    POST /<media>                         comments are turned off, which a container cannot be told

Of Facebook Login there are two tokens: `instagram_calls.py` chooses. What Instagram takes and tells of a reel is in
`instagram_reel.py`, how many a day in `instagram_quota.py`.

Sources: Meta, "Content publishing", "Resumable uploads", "Comment moderation" and "Error codes" of the Instagram
platform.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from msgspec import structs

from vidprod.domain import post as wording
from vidprod.domain.account import AccountSettings, Flavour, Platform
from vidprod.domain.post import Post
from vidprod.errors import PlatformError
from vidprod.platforms import graph
from vidprod.platforms.base import Grant, Handle, Media, Reading
from vidprod.platforms.instagram_calls import READ_S, By, Calls
from vidprod.platforms.instagram_quota import Quota
from vidprod.platforms.instagram_reel import faults_of, form_of, in_progress, is_post_of, permalink
from vidprod.platforms.wire import Answer, Wire

_UPLOAD_HOST = "rupload.facebook.com"
_PIECE = 1 << 20
_CONTAINER_S, _UPLOAD_S, _PUBLISH_S = 60.0, 300.0, 90.0
_EARLY_MS = 120_000  # a container may not be known yet for so long
_LISTED = "id,caption,timestamp,permalink,media_product_type"


class Instagram:
    """Publishes to accounts that were connected by one of the two logins."""

    platform: Platform = "instagram"
    begins_once = False
    publishes = True

    def __init__(self, wire: Wire, *, flavour: Flavour, version: str = graph.VERSION) -> None:
        self._wire = wire
        self._flavour = flavour
        self._calls = Calls(wire, flavour=flavour, version=version)
        self._quota = Quota(self._calls)

    @property
    def used(self) -> dict[str, int]:
        """By account: how much of its budget of calls, in per cent."""
        return self._calls.used

    def faults(self, post: Post, media: Media, settings: AccountSettings) -> list[str]:
        found = wording.faults(post, self.platform, duration_us=media.duration_us) + faults_of(media)
        return found + ([fault] if (fault := self._address_fault(media)) else [])

    async def begin(self, grant: Grant, post: Post, media: Media, *, publish_at: int | None = None) -> Handle:
        self._check(grant)
        if fault := self._address_fault(media):
            raise PlatformError(fault, kind="FIX", code="no_public_url")
        form = form_of(post)
        if self._flavour == "facebook_login":
            form["upload_type"] = "resumable"
        else:
            form["video_url"] = media.public_url or ""
        answer, by = await self._calls.call(
            grant, "POST", f"{grant.external_id}/media", form=form, timeout_s=_CONTAINER_S, looks_twice=True
        )
        told = await self._quota.taken(grant, answer)
        if not told.get("id"):
            raise PlatformError("There came no container.", kind="RETRY", code="no_id", http_status=answer.status)
        handle: Handle = {
            "container": str(told["id"]),
            "by": by,
            "caption": form.get("caption", ""),
            "begun_at": graph.at(answer),
            "stored": 0,
        }
        if self._flavour == "facebook_login":
            handle["uri"] = self._pinned(told.get("uri"))
        else:
            handle["stored"] = media.size  # Instagram fetches it by itself
        return handle

    async def send(self, grant: Grant, handle: Handle, media: Media, *, sent: Callable[[int], None]) -> Handle:
        self._check(grant)
        if self._flavour != "facebook_login" or handle["stored"] >= media.size:
            return handle
        uri, offset = self._pinned(handle.get("uri")), int(handle["stored"])

        async def ask(token: str) -> Answer:
            return await self._wire.call(
                "POST",
                uri,
                headers={
                    "Authorization": f"OAuth {token}",
                    "Content-Type": "application/octet-stream",
                    "Content-Length": str(media.size - offset),
                    "offset": str(offset),
                    "file_size": str(media.size),
                },
                content=_pieces(media.path, offset, media.size, sent),
                timeout_s=_UPLOAD_S,
            )

        answer, _ = await self._calls.with_tokens(grant, ask, by=handle.get("by", "page"))
        if answer.status == 200 and answer.json().get("success") is True:
            return {**handle, "stored": media.size}
        raise _upload_error(answer)

    async def publish(self, grant: Grant, handle: Handle) -> Handle:
        self._check(grant)
        if handle.get("media_id"):
            return handle
        await self._quota.check(grant)
        by: By = handle.get("by", "page")
        answer = await self._publish_by(grant, handle, by)
        if not graph.ok(answer) and graph.numbers(answer) == graph.NOT_TO_BE_SEEN and by == "page":
            # one token is shown nothing: what the other sees decides, and only a container that waits is published
            if (seen := await self._status_code(grant, handle)) == "PUBLISHED":
                return handle
            if seen == "FINISHED":
                answer = await self._publish_by(grant, handle, "user")
        if graph.ok(answer) and (media_id := answer.json().get("id")):
            return {**handle, "media_id": str(media_id)}
        return await self._refused(grant, handle, answer)

    async def move(self, grant: Grant, handle: Handle, *, publish_at: int | None) -> Handle:
        """Nothing: Instagram is handed no time."""
        return handle

    async def finish(self, grant: Grant, post: Post, reading: Reading) -> Reading:
        if post.comments:
            return reading
        if reading.remote_id is None:
            why = "it is not known which post it is."
            return structs.replace(reading, said=_comments_stay_on(why)) if reading.settled else reading
        try:
            off = {"comment_enabled": "false"}
            answer, _ = await self._calls.call(
                grant, "POST", reading.remote_id, form=off, timeout_s=READ_S, looks_twice=True
            )
            graph.taken(answer)
        except PlatformError as error:
            said = _comments_stay_on(error.in_words)
            settled = reading.settled and error.kind not in ("RETRY", "RECONCILE")
            return structs.replace(reading, said=said, settled=settled)
        return reading

    async def read(self, grant: Grant, handle: Handle, media: Media) -> Reading:
        self._check(grant)
        if handle.get("media_id"):
            return await self._live(grant, str(handle["media_id"]))
        wants_bytes = handle["stored"] < media.size
        answer = await self._container(grant, handle, phases=wants_bytes)
        if not graph.ok(answer):
            return self._lost(handle, answer)
        told = answer.json()
        said = graph.plain(str(told.get("status") or ""))
        match told.get("status_code"):
            case "IN_PROGRESS":
                return in_progress(told, handle, media, said)
            case "FINISHED":
                return Reading(state="ready", stored=media.size, said=said)
            case "PUBLISHED":
                return await self._found(grant, handle, said)
            case "ERROR":
                kind, code, hint = graph.of_container(str(told.get("status") or ""))
                return Reading(state="rejected", kind=kind, code=code, said=f"{said}. {hint}" if hint else said)
            case "EXPIRED":
                return Reading(state="absent", kind="NEWHANDLE", code="EXPIRED", said=said)
            case other:
                return Reading(state="unknown", code=str(other or ""), said=said)

    # what is asked before, and after

    def _check(self, grant: Grant) -> None:
        """Each login has its host and its way to send; the other's accounts are not taken there at all."""
        if grant.flavour != self._flavour:
            raise PlatformError(
                f"The account was connected by {grant.flavour}, and this is the way of {self._flavour}.",
                kind="FIX",
                code="wrong_flavour",
            )

    def _address_fault(self, media: Media) -> str:
        if self._flavour == "facebook_login":
            return ""
        if not media.public_url:
            return (
                "address: Instagram Login takes no file, only a public address to fetch it from: set public_url, or "
                "connect the account through Facebook"
            )
        if not media.public_url.isascii():
            return "address: public_url has characters that are not ASCII, Instagram does not fetch from there"
        if not media.public_url.startswith("https://") and not self._wire.simulator_url:
            return "address: public_url has to begin with https://, Instagram does not fetch from elsewhere"
        return ""

    def _pinned(self, uri: object) -> str:
        """The address to send to. Raises PlatformError: it is not at Meta's host, so it gets no token."""
        if not isinstance(uri, str) or not uri:
            raise PlatformError("There came no address to send the file to.", kind="NEWHANDLE", code="no_uri")
        if not self._wire.is_of(uri, _UPLOAD_HOST):
            raise PlatformError(
                f"The address to send to is not at {_UPLOAD_HOST}.", kind="NEWHANDLE", code="foreign_address"
            )
        return uri

    async def _publish_by(self, grant: Grant, handle: Handle, by: By) -> Answer:
        answer, _ = await self._calls.call(
            grant,
            "POST",
            f"{grant.external_id}/media_publish",
            form={"creation_id": str(handle["container"])},
            timeout_s=_PUBLISH_S,
            by=by,
        )
        return answer

    async def _refused(self, grant: Grant, handle: Handle, answer: Answer) -> Handle:
        """What a refusal to publish comes to: some are answered though it was published. Raises PlatformError."""
        error = graph.error_of(answer)
        code, subcode = graph.numbers(answer)
        if error.kind == "QUOTA":
            raise await self._quota.parked(grant, error, answer)
        if subcode == graph.ACTION_BLOCKED:
            error.kind = "RECONCILE"  # it may be live all the same; whether or not, the account is to rest
        elif error.kind in ("FIX", "POLICY", "NEWHANDLE", "RECONCILE") or subcode == graph.NO_SUCH_CONTAINER:
            # published before, or not at all: after these nobody would look again, so the container is asked now
            try:
                seen = await self._status_code(grant, handle)
            except PlatformError:
                seen = ""
            if seen == "PUBLISHED":
                return handle
            if seen == "EXPIRED":
                error.kind = "NEWHANDLE"
            elif seen not in ("FINISHED", "ERROR") and subcode != graph.NO_SUCH_CONTAINER:
                error.kind = "RECONCILE"
        elif answer.status >= 500 or code in (0, 1, 2, -1, -2):
            error.kind = "RECONCILE"  # it broke on their side: before or after, nobody says
        raise error

    async def _live(self, grant: Grant, media_id: str) -> Reading:
        """It is published, whatever is answered about its address."""
        fields = {"fields": "permalink,shortcode,media_product_type"}
        try:
            told = graph.taken(await self._calls.get(grant, media_id, fields))
        except PlatformError as error:
            return Reading(state="live", remote_id=media_id, privacy="public", said=str(error), settled=False)
        url = permalink(told)
        return Reading(state="live", remote_id=media_id, url=url, privacy="public", settled=url is not None)

    async def _found(self, grant: Grant, handle: Handle, said: str) -> Reading:
        """The post of a container that is published though its answer was lost: the one reel with exactly this caption
        that is newer than the container. Anything less is no proof, and the post stays without a number."""
        if not handle.get("caption"):
            return Reading(state="live", privacy="public", said=said)
        try:
            told = graph.taken(
                await self._calls.get(grant, f"{grant.external_id}/media", {"fields": _LISTED, "limit": "10"})
            )
        except PlatformError:
            return Reading(state="live", privacy="public", said=said, settled=False)
        same = [one for one in graph.objects_of(told.get("data")) if is_post_of(one, handle)]
        if len(same) != 1:
            return Reading(state="live", privacy="public", said=said, settled=bool(same))
        url = permalink(same[0])
        return Reading(
            state="live",
            remote_id=str(same[0]["id"]),
            url=url,
            privacy="public",
            said=said,
            settled=url is not None,
        )

    def _lost(self, handle: Handle, answer: Answer) -> Reading:
        """Of a container that is not known: gone, or it is too early to ask. That is no proof that it was not published
        before. Raises PlatformError: nothing is known of it."""
        error = graph.error_of(answer)
        unknown = graph.numbers(answer)[1] == graph.NO_SUCH_CONTAINER
        late = graph.at(answer) - int(handle["begun_at"]) > _EARLY_MS
        if error.kind == "NEWHANDLE" or (unknown and late):
            return Reading(state="gone", kind="NEWHANDLE", code=error.code, said=str(error))
        raise error

    # how it is asked

    async def _status_code(self, grant: Grant, handle: Handle) -> str:
        """Raises PlatformError, Unanswered."""
        return str(graph.taken(await self._container(grant, handle, phases=False)).get("status_code") or "")

    async def _container(self, grant: Grant, handle: Handle, *, phases: bool) -> Answer:
        """The container's fields; `phases`: with the bytes that are there, where Instagram tells."""
        path = str(handle["container"])
        if phases and self._flavour == "facebook_login":
            answer = await self._calls.get(grant, path, {"fields": "status_code,status,video_status"})
            if graph.numbers(answer)[0] != 100 or graph.numbers(answer) == graph.NOT_TO_BE_SEEN:
                return answer
        return await self._calls.get(grant, path, {"fields": "status_code,status"})


def _comments_stay_on(why: str) -> str:
    return f"Comments could not be turned off: {why}"


async def _pieces(path: Path, offset: int, size: int, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
    """The file from `offset` on, as read from the disk; whole pieces are counted when the next one is asked for."""
    with path.open("rb") as file:  # at once: one that opened while we are cancelled would stay open
        await asyncio.to_thread(file.seek, offset)
        while offset < size and (piece := await asyncio.to_thread(file.read, min(_PIECE, size - offset))):
            yield piece
            offset += len(piece)
            sent(offset)


def _upload_error(answer: Answer) -> PlatformError:
    """Whatever it says of trying again: a 400 that calls itself final often passes the next time, and how much of the
    file is there only the container knows."""
    error = graph.error_of(answer)
    told = graph.object_of(answer.json().get("debug_info"))
    if error.kind == "REAUTH":
        return error
    return PlatformError(
        graph.plain(str(told.get("message") or "")) or str(error),
        kind="RECONCILE",
        code=str(told.get("type") or error.code)[:100],
        http_status=answer.status,
        retry_after_s=error.retry_after_s,
        trace=error.trace,
    )
