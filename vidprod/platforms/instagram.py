"""Instagram Reels, by either login: Facebook Login takes the file itself, Instagram Login fetches it from an address.

begin     POST /<account>/media                 a container: lives 24 hours, is published once
send      POST <the uri that came with it>      the file, from where it broke off; Facebook Login only
read      GET  /<container>                     IN_PROGRESS, FINISHED, ERROR, EXPIRED, PUBLISHED
publish   POST /<account>/media_publish         never twice without a reading in between
finish    POST /<media>                         comments are turned off, which a container cannot be told

Of Facebook Login there are two tokens. The page's is asked with; where it is shown nothing (100/33, as for weeks in
2026) or is dead, the person's is.

Sources: Meta, "Content publishing", "Resumable uploads", "Comment moderation" and "Error codes" of the Instagram
platform.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from msgspec import structs

from vidprod.domain import post as wording
from vidprod.domain.account import AccountSettings, Flavour, Platform
from vidprod.domain.post import Post
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms import graph
from vidprod.platforms.base import Grant, Handle, Media, Reading
from vidprod.platforms.instagram_login import InstagramLogin
from vidprod.platforms.wire import Answer, Wire
from vidprod.telemetry import log

__all__ = ["Instagram", "InstagramLogin"]

MOST_BYTES = 300_000_000
SHORTEST_US, LONGEST_US = 3_000_000, 900_000_000
MOST_COLUMNS = 1920
SLOWEST_FPS, FASTEST_FPS = 23, 60

_UPLOAD_HOST = "rupload.facebook.com"
_PIECE = 1 << 20
_CONTAINER_S, _UPLOAD_S, _PUBLISH_S, _READ_S = 60.0, 300.0, 90.0, 30.0
_EARLY_MS = 120_000  # a container may not be known yet for so long
_MINUTE_MS, _HOUR_MS, _DAY_MS = 60_000, 3_600_000, 86_400_000
_QUOTA = 50  # where Instagram does not name it
_LISTED = "id,caption,timestamp,permalink,media_product_type"

_LIMIT = {"fields": "config,quota_usage"}
_ROLLS = "Instagram takes so many posts of an account in any 24 hours."

By = Literal["page", "user"]

_logger = log.get(__name__)


class Instagram:
    """Publishes to accounts that were connected by one of the two logins."""

    platform: Platform = "instagram"
    begins_once = False
    publishes = True

    def __init__(self, wire: Wire, *, flavour: Flavour, version: str = graph.VERSION) -> None:
        self.used: dict[str, int] = {}  # by account: how much of its budget of calls, in per cent
        self._wire = wire
        self._flavour = flavour
        host = graph.FACEBOOK if flavour == "facebook_login" else graph.INSTAGRAM
        self._base = f"{host}/{version}"

    def faults(self, post: Post, media: Media, settings: AccountSettings) -> list[str]:
        found = wording.faults(post, self.platform, duration_us=media.duration_us)
        if not SHORTEST_US <= media.duration_us <= LONGEST_US:
            found.append(f"duration: {media.duration_us / 1e6:g} s, Instagram takes 3 s to 15 min")
        if media.size > MOST_BYTES:
            found.append(f"size: {media.size:,} bytes, Instagram takes {MOST_BYTES:,}")
        if media.width > MOST_COLUMNS:
            found.append(f"picture: {media.width} columns, Instagram takes {MOST_COLUMNS}")
        if not SLOWEST_FPS - 0.1 <= _fps(media.fps) <= FASTEST_FPS + 0.1:
            found.append(f"frame rate: {media.fps} a second, Instagram takes {SLOWEST_FPS} to {FASTEST_FPS}")
        return found + ([fault] if (fault := self._address_fault(media)) else [])

    async def begin(self, grant: Grant, post: Post, media: Media, *, publish_at: int | None = None) -> Handle:
        self._check(grant)
        if fault := self._address_fault(media):
            raise PlatformError(fault, kind="FIX", code="no_public_url")
        form = _form(post)
        if self._flavour == "facebook_login":
            form["upload_type"] = "resumable"
        else:
            form["video_url"] = media.public_url or ""
        answer, by = await self._call(
            grant, "POST", f"{grant.external_id}/media", form=form, timeout_s=_CONTAINER_S, looks_twice=True
        )
        told = await self._taken(grant, answer)
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

        answer, _ = await self._with_tokens(grant, ask, by=handle.get("by", "page"))
        if answer.status == 200 and answer.json().get("success") is True:
            return {**handle, "stored": media.size}
        raise _upload_error(answer)

    async def publish(self, grant: Grant, handle: Handle) -> Handle:
        self._check(grant)
        if handle.get("media_id"):
            return handle
        await self._check_quota(grant)
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
            answer, _ = await self._call(
                grant, "POST", reading.remote_id, form=off, timeout_s=_READ_S, looks_twice=True
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
                return _in_progress(told, handle, media, said)
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

    async def _check_quota(self, grant: Grant) -> None:
        """Raises PlatformError: QUOTA; RETRY where it cannot be known now, as nothing was published yet."""
        try:
            answer = await self._get(grant, f"{grant.external_id}/content_publishing_limit", _LIMIT)
        except Unanswered as error:
            raise PlatformError(str(error), kind="RETRY", code="not_asked") from None
        try:
            told = graph.taken(answer)
        except PlatformError as error:
            if error.kind in ("REAUTH", "RETRY", "POLICY") and graph.numbers(answer) != graph.NOT_TO_BE_SEEN:
                raise
            return  # not every application is told: media_publish itself says it as well
        limit = next(iter(_list(told.get("data"))), {})
        used = _number(limit.get("quota_usage"))
        total = _number(_object(limit.get("config")).get("quota_total")) or _QUOTA
        if used >= total:
            full = PlatformError(f"{used} of {total} posts in 24 hours are used.", kind="QUOTA", code="9/2207042")
            raise await self._parked(grant, full, answer, over=used - total)

    async def _parked(self, grant: Grant, error: PlatformError, answer: Answer, *, over: int = 0) -> PlatformError:
        """`error` with the time at which the post leaves the window of 24 hours that makes room for the next.

        Args:
            over: by how many posts the quota is exceeded.
        """
        now, ends = graph.at(answer), list[int]()
        try:
            listed = await self._get(grant, f"{grant.external_id}/media", {"fields": "timestamp", "limit": "100"})
            ends = sorted(_time(one) + _DAY_MS for one in _list(graph.taken(listed).get("data")))
        except PlatformError:  # then it is tried again in an hour
            pass
        ends = [end for end in ends if end > now]
        error.until = max(now + _MINUTE_MS, ends[min(over, len(ends) - 1)] if ends else now + _HOUR_MS)
        error.retry_after_s = (error.until - now) / 1000
        error.hint = _ROLLS
        return error

    async def _taken(self, grant: Grant, answer: Answer) -> dict[str, Any]:
        """The object of a good answer. Raises PlatformError, with the time where a quota is used up."""
        if graph.ok(answer):
            return answer.json()
        error = graph.error_of(answer)
        raise await self._parked(grant, error, answer) if error.kind == "QUOTA" else error

    async def _publish_by(self, grant: Grant, handle: Handle, by: By) -> Answer:
        answer, _ = await self._call(
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
            raise await self._parked(grant, error, answer)
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
            told = graph.taken(await self._get(grant, media_id, fields))
        except PlatformError as error:
            return Reading(state="live", remote_id=media_id, privacy="public", said=str(error), settled=False)
        url = _permalink(told)
        return Reading(state="live", remote_id=media_id, url=url, privacy="public", settled=url is not None)

    async def _found(self, grant: Grant, handle: Handle, said: str) -> Reading:
        """The post of a container that is published though its answer was lost: the one reel with exactly this caption
        that is newer than the container. Anything less is no proof, and the post stays without a number."""
        if not handle.get("caption"):
            return Reading(state="live", privacy="public", said=said)
        try:
            told = graph.taken(await self._get(grant, f"{grant.external_id}/media", {"fields": _LISTED, "limit": "10"}))
        except PlatformError:
            return Reading(state="live", privacy="public", said=said, settled=False)
        same = [one for one in _list(told.get("data")) if _is_post_of(one, handle)]
        if len(same) != 1:
            return Reading(state="live", privacy="public", said=said, settled=bool(same))
        url = _permalink(same[0])
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
            answer = await self._get(grant, path, {"fields": "status_code,status,video_status"})
            if graph.numbers(answer)[0] != 100 or graph.numbers(answer) == graph.NOT_TO_BE_SEEN:
                return answer
        return await self._get(grant, path, {"fields": "status_code,status"})

    async def _get(self, grant: Grant, path: str, params: Mapping[str, str]) -> Answer:
        answer, _ = await self._call(grant, "GET", path, params=params, timeout_s=_READ_S)
        return answer

    async def _call(
        self,
        grant: Grant,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        timeout_s: float,
        by: By = "page",
        looks_twice: bool = False,
    ) -> tuple[Answer, By]:
        """One request; again with the other token only where asking twice does no harm."""

        async def ask(token: str) -> Answer:
            answer = await self._wire.call(
                method,
                f"{self._base}/{path}",
                headers={"Authorization": f"Bearer {token}"},
                params=params,
                form=form,
                timeout_s=timeout_s,
            )
            self._note(grant, answer)
            return answer

        return await self._with_tokens(grant, ask, by=by, looks_twice=method == "GET" or looks_twice)

    async def _with_tokens(
        self, grant: Grant, ask: Callable[[str], Awaitable[Answer]], *, by: By, looks_twice: bool = False
    ) -> tuple[Answer, By]:
        """Ask with the page's token, where there is one, then with the person's: where the first is dead, or
        (`looks_twice`) is shown nothing. A dead one of the person is renewed once."""
        page = ""
        if by == "page" and self._flavour == "facebook_login":
            page = await grant.extra("page_token")  # noqa: S610  # Django's is meant
        if page:
            answer = await ask(page)
            blind = looks_twice and graph.numbers(answer) == graph.NOT_TO_BE_SEEN
            if not blind and not graph.is_dead(answer):
                return answer, "page"
        token = await grant.token()
        answer = await ask(token)
        if graph.is_dead(answer):
            answer = await ask(await grant.renew(token))
        return answer, "user"

    def _note(self, grant: Grant, answer: Answer) -> None:
        """Say once when a budget of calls is nearly used."""
        used = graph.used(answer)
        if not used:
            return
        if used >= graph.NEARLY_USED > self.used.get(grant.account_id, 0):
            _logger.warning(
                "the budget of calls is nearly used", platform="instagram", account=grant.account_id, used=used
            )
        self.used[grant.account_id] = used


def _form(post: Post) -> dict[str, str]:
    form = {"media_type": "REELS", "share_to_feed": "true" if post.share_to_feed else "false"}
    if caption := wording.text_of(post, "instagram").strip():
        form["caption"] = caption
    if post.cover_ms:
        form["thumb_offset"] = str(post.cover_ms)
    if post.synthetic:
        form["is_ai_generated"] = "true"
    return form


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
    told = _object(answer.json().get("debug_info"))
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


def _in_progress(told: Mapping[str, Any], handle: Handle, media: Media, said: str) -> Reading:
    """Uploading as long as bytes are missing; a file that was taken whole is only waited for."""
    if handle["stored"] >= media.size:
        return Reading(state="processing", stored=media.size, said=said)
    phase = _object(_object(told.get("video_status")).get("uploading_phase"))
    stored = _number(phase.get("bytes_transferred", phase.get("bytes_transfered")))  # it is spelt both ways
    if stored >= media.size or phase.get("status") == "complete":
        return Reading(state="processing", stored=media.size, said=said)
    return Reading(state="uploading", stored=stored or int(handle["stored"]), said=said)


def _is_post_of(one: Mapping[str, Any], handle: Handle) -> bool:
    return (
        bool(one.get("id"))
        and one.get("caption") == handle["caption"]
        and one.get("media_product_type", "REELS") == "REELS"
        and _time(one) >= int(handle["begun_at"])
    )


def _permalink(told: Mapping[str, Any]) -> str | None:
    if told.get("permalink"):
        return str(told["permalink"])
    return f"https://www.instagram.com/reel/{told['shortcode']}/" if told.get("shortcode") else None


def _time(one: Mapping[str, Any]) -> int:
    """Unix ms of "2026-11-21T12:00:00+0000"; 0 where it is none."""
    try:
        return int(datetime.strptime(str(one.get("timestamp")), "%Y-%m-%dT%H:%M:%S%z").timestamp()) * 1000
    except ValueError:
        return 0


def _fps(told: str) -> float:
    """Of "30000/1001" or "30"."""
    try:
        return float(Fraction(told))
    except (ValueError, ZeroDivisionError):
        return 0.0


def _list(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int:
    return int(value) if isinstance(value, (int, str)) and str(value).isdigit() else 0
