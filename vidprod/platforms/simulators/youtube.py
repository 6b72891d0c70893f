"""YouTube as an uploader meets it: Google's authorisation, resumable sessions, the quotas of a project and of a
channel, processing that takes its time, and everything that goes wrong with them.

Sources: developers.google.com/youtube/v3 (resumable uploads, errors, quota cost, videos), Google's API description of
v3; where they are silent, what publishers report.
"""

import asyncio
import base64
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

import msgspec
from litestar import MediaType, Request, Response, get, post, put
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from vidprod.platforms.simulators.inspect import Facts, Inspection
from vidprod.platforms.simulators.oauth import AuthServer, Issued, OAuthRefused
from vidprod.platforms.simulators.world import Broken, Fault, Posted, World

Asked = Request[Any, Any, Any]
Answered = Response[bytes]

GRAIN = 262_144  # bytes: chunks are multiples of it, and what is kept of one that broke off is
SESSION_MS = 7 * 86_400_000
HOSTS = ("www.googleapis.com", "youtube.googleapis.com")
_SCOPE = "https://www.googleapis.com/auth/"
_UPLOAD_SCOPES = ("youtube.upload", "youtube", "youtube.force-ssl", "youtubepartner")
_READ_SCOPES = ("youtube.readonly", "youtube", "youtube.force-ssl", "youtubepartner")
_PACIFIC = ZoneInfo("America/Los_Angeles")
_DAY_MS = 86_400_000
_MOST_BYTES = 274_877_906_944
_INSERT_PARTS = {"snippet", "status", "paidProductPlacementDetails", "localizations", "recordingDetails"}
_LIST_PARTS = {"id", "snippet", "status", "contentDetails", "processingDetails", "fileDetails", "statistics"}
_OWNER_PARTS = {"processingDetails", "fileDetails"}

FAILURES = ("conversion", "invalidFile", "emptyFile", "tooSmall", "codec", "uploadAborted")
REJECTIONS = (
    "copyright",
    "inappropriate",
    "duplicate",
    "termsOfUse",
    "uploaderAccountSuspended",
    "length",
    "claim",
    "uploaderAccountClosed",
    "trademark",
    "legal",
)

# reason: status, domain, message. "uploadsPerDay" is our name for the rateLimitExceeded that ends a day
_REASONS: Mapping[str, tuple[int, str, str]] = {
    "uploadLimitExceeded": (400, "youtube.video", "The user has exceeded the number of videos they may upload."),
    "invalidTitle": (400, "youtube.video", "The request metadata specifies an invalid or empty video title."),
    "invalidDescription": (400, "youtube.video", "The request metadata specifies an invalid video description."),
    "invalidTags": (400, "youtube.video", "The request metadata specifies invalid video keywords."),
    "invalidCategoryId": (400, "youtube.video", "The request metadata specifies an invalid category."),
    "invalidVideoMetadata": (400, "youtube.video", "The request metadata is invalid."),
    "invalidPublishAt": (400, "youtube.video", "The request metadata specifies an invalid scheduled publishing time."),
    "invalidFilename": (400, "youtube.video", "The video filename specified in the Slug header is invalid."),
    "invalidRecordingDetails": (400, "youtube.video", "The recordingDetails object contains an invalid value."),
    "invalidVideoGameRating": (400, "youtube.video", "The request metadata specifies an invalid game rating."),
    "defaultLanguageNotSet": (400, "youtube.video", "The request sets localizations without a default language."),
    "mediaBodyRequired": (400, "youtube.video", "The request does not include the video content."),
    "badRequest": (400, "global", "The request is invalid."),
    "invalidParameter": (400, "global", "The value of a parameter is invalid."),
    "parseError": (400, "global", "The request body cannot be parsed."),
    "unexpectedPart": (400, "global", "The request body has a part that the part parameter does not name."),
    "unknownPart": (400, "global", "The part parameter names a part that does not exist."),
    "wrongUrlForUpload": (400, "global", "The upload has to be sent to the upload address."),
    "authError": (401, "global", "Invalid Credentials"),
    "required": (401, "global", "Login Required"),
    "expired": (401, "global", "Session Expired"),
    "authorizationRequired": (401, "global", "The request requires authorization."),
    "youtubeSignupRequired": (401, "youtube.header", "Unauthorized"),
    "quotaExceeded": (403, "youtube.quota", "The request cannot be completed because you have exceeded your quota."),
    "dailyLimitExceeded": (403, "usageLimits", "Daily Limit Exceeded"),
    "rateLimitExceeded": (403, "usageLimits", "Rate Limit Exceeded"),
    "userRateLimitExceeded": (403, "usageLimits", "User Rate Limit Exceeded"),
    "servingLimitExceeded": (403, "usageLimits", "Serving Limit Exceeded"),
    "uploadsPerDay": (
        429,
        "global",
        "Quota exceeded for quota metric 'Video Uploads' and limit 'Video Uploads per day' of service "
        "'youtube.googleapis.com' for consumer 'project_number:1'.",
    ),
    "forbidden": (403, "global", "Forbidden"),
    "insufficientPermissions": (403, "global", "Request had insufficient authentication scopes."),
    "accessNotConfigured": (403, "usageLimits", "YouTube Data API v3 has not been used in this project before."),
    "forbiddenPrivacySetting": (403, "youtube.video", "The request metadata specifies an invalid privacy setting."),
    "forbiddenLicenseSetting": (403, "youtube.video", "The request metadata specifies an invalid license setting."),
    "authenticatedUserAccountSuspended": (403, "youtube.header", "The authenticated user's account is suspended."),
    "authenticatedUserAccountClosed": (403, "youtube.header", "The authenticated user's account is closed."),
    "authenticatedUserNotChannel": (403, "youtube.header", "The channel of the authenticated user is another."),
    "channelSuspended": (403, "youtube.common", "The channel has been suspended."),
    "channelClosed": (403, "youtube.common", "The channel has been closed."),
    "videoNotFound": (404, "youtube.video", "The video that you are looking for cannot be found."),
    "uploadTooLarge": (413, "global", "The uploaded file is too large."),
    "requestedRangeNotSatisfiable": (416, "global", "The requested range cannot be satisfied."),
    "uploadRateLimitExceeded": (429, "youtube.thumbnail", "The channel has uploaded too many thumbnails recently."),
    "internalError": (500, "global", "Internal Error"),
    "backendError": (503, "global", "Backend Error"),
    "notReady": (503, "global", "The service is not ready."),
}
REASONS = tuple(_REASONS)

_COMMON = ("500", "503", "html", "reset", "lost_answer", "slow", "truncated")
_SESSION = ("partial", "broken_off", "gone")  # the first two: with the bytes of the chunk to keep, else half of it
_NO_FAULT = Fault("")

# the points where something can go wrong, and what; `world.order("youtube.put", "partial")`
FAULTS: dict[str, tuple[str, ...]] = {
    "youtube.token": (*_COMMON, "invalid_grant", "invalid_client"),
    "youtube.channels": (*_COMMON, *REASONS),
    "youtube.insert": (*_COMMON, *REASONS, "no_location"),
    "youtube.put": (*_COMMON, *REASONS, *_SESSION),  # with bytes
    "youtube.probe": (*_COMMON, *REASONS, "gone"),
    "youtube.list": (*_COMMON, *REASONS, "empty"),
    "youtube.playlist": (*_COMMON, *REASONS),
    "youtube.processing": (*FAILURES, *REJECTIONS),  # what comes of a video
}
# those that a client which keeps the rules gets over without anybody's help
_CHANCES: dict[str, tuple[str, ...]] = {
    "youtube.token": ("500", "html", "reset", "lost_answer", "truncated"),
    "youtube.channels": ("500", "reset"),
    "youtube.insert": ("500", "503", "html", "reset", "lost_answer", "no_location"),
    "youtube.put": ("500", "503", "html", "reset", "lost_answer", "truncated", "partial", "broken_off", "gone"),
    "youtube.probe": ("500", "503", "html", "reset", "lost_answer", "truncated"),
    "youtube.list": ("500", "503", "html", "reset", "truncated", "empty"),
    "youtube.playlist": ("500", "reset"),
}


@dataclass(kw_only=True)
class Channel:
    """An account that can be chosen at Google's page."""

    id: str
    title: str
    handle: str
    exists: bool = True  # False: a Google account that never made a channel
    suspended: bool = False
    daily_cap: int = 60  # uploads within 24 hours, apart from any quota


@dataclass(kw_only=True)
class Session:
    """A resumable session. Of its bytes only their number, hash and index are kept."""

    upload_id: str
    channel: str
    total: int | None
    snippet: Mapping[str, Any]
    status: Mapping[str, Any]
    parts: tuple[str, ...]
    notify: bool
    created_at: int
    stored: int = 0
    inspection: Inspection = field(default_factory=Inspection)
    video_id: str | None = None
    gone: bool = False


@dataclass(kw_only=True)
class Video:
    """What came of a session. Times are unix milliseconds of the world."""

    id: str
    channel: str
    snippet: Mapping[str, Any]
    status: Mapping[str, Any]  # as it was asked for
    notify: bool
    facts: Facts
    privacy: str
    publish_at: int | None
    created_at: int
    processed_at: int
    outcome: str = ""  # a failure or rejection; none: processed
    deleted: bool = False

    @property
    def short(self) -> bool:
        """Whether it is shown as a Short: square or taller, and at most three minutes."""
        facts = self.facts
        return (facts.width or 0) <= (facts.height or 0) and (facts.duration_us or 0) <= 180_000_000


class _Refused(Exception):
    """An error of the API's own."""

    def __init__(self, reason: str, message: str = "") -> None:
        self.reason = reason
        self.message = message or _REASONS[reason][2]


class YouTubeSim:
    """The simulator. Its attributes may be changed at any time: `verified`, `channels`, `processing_s`."""

    def __init__(
        self,
        world: World,
        *,
        verified: bool = True,
        testing: bool = False,
        uploads_per_day: int = 100,
        units_per_day: int = 10_000,
        processing_s: float = 20.0,
        inspects: bool = True,
        clients: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            verified: the project was audited; if not, every upload is private and stays so.
            testing: its consent screen is, and refresh tokens end after 7 days.
            processing_s: of the world, from the last byte on.
            inspects: what is no video is refused; else any bytes are a video.
            clients: secrets by client id; none: any is known.
        """
        self.world = world
        self.verified = verified
        self.testing = testing
        self.uploads_per_day = uploads_per_day
        self.units_per_day = units_per_day
        self.processing_s = processing_s
        self.inspects = inspects
        self.slow_s = 0.05  # of the wall
        self.channels = {channel.id: channel for channel in _channels()}
        self.sessions: dict[str, Session] = {}
        self.videos: dict[str, Video] = {}
        self.requests: Counter[str] = Counter()  # by point
        self.spent: Counter[tuple[str, str, date]] = Counter()  # by project, bucket and Pacific day
        self.auth = AuthServer(
            world,
            name="Sign in with Google",
            accounts=_Names(self.channels),
            refresh_s=7 * 86_400 if testing else None,
            access_prefix="ya29.sim-",
            refresh_prefix="1//sim-",
            clients=clients,
        )

    @property
    def accounts(self) -> dict[str, Channel]:
        """The channels, by id."""
        return self.channels

    def posts(self) -> list[Posted]:
        """Every video that a channel got and YouTube did not refuse."""
        return [
            Posted(
                platform="youtube",
                account=video.channel,
                remote_id=video.id,
                sha256=video.facts.sha256,
                title=str(video.snippet["title"]),
                at=video.created_at,
                privacy=self.privacy_of(video)[0],
            )
            for video in self.videos.values()
            if not video.outcome and not video.deleted
        ]

    def privacy_of(self, video: Video) -> tuple[str, int | None]:
        """Who can see it now, and when it becomes public by itself."""
        if video.publish_at is None:
            return video.privacy, None
        if video.publish_at <= self.world.now():
            return "public", None
        return "private", video.publish_at

    def handlers(self) -> list[HTTPRouteHandler]:
        """What is asked of Google's hosts, each host the first part of its path."""

        def at(path: str) -> list[str]:
            return [f"/{host}{path}" for host in HOSTS]

        @get("/accounts.google.com/o/oauth2/v2/auth", sync_to_thread=False)
        def authorise(request: Asked) -> Response[str]:
            return self.auth.authorize(request)

        @post("/oauth2.googleapis.com/token", status_code=200)
        async def token(request: Asked) -> Answered:
            return await self._at("youtube.token", request, self._token)

        @post("/oauth2.googleapis.com/revoke", status_code=200)
        async def revoke(request: Asked) -> Answered:
            if self.auth.revoke((await _form(request)).get("token", "")):
                return self._json({})
            return self._json({"error": "invalid_token", "error_description": "Token expired or revoked"}, status=400)

        @get("/oauth2.googleapis.com/tokeninfo", sync_to_thread=False)
        def tokeninfo(request: Asked) -> Answered:
            return self._tokeninfo(request.query_params.get("access_token", ""))

        @post(at("/upload/youtube/v3/videos"), status_code=200)
        async def insert(request: Asked) -> Answered:
            return await self._at("youtube.insert", request, self._insert)

        @put(at("/upload/youtube/v3/videos"), status_code=200)
        async def put_bytes(request: Asked) -> Answered:
            asks = request.headers.get("content-range", "").startswith("bytes */")
            return await self._at("youtube.probe" if asks else "youtube.put", request, self._put)

        @get(at("/youtube/v3/videos"))
        async def list_videos(request: Asked) -> Answered:
            return await self._at("youtube.list", request, self._list)

        @get(at("/youtube/v3/channels"))
        async def list_channels(request: Asked) -> Answered:
            return await self._at("youtube.channels", request, self._list_channels)

        @get(at("/youtube/v3/playlistItems"))
        async def list_playlist(request: Asked) -> Answered:
            return await self._at("youtube.playlist", request, self._list_playlist)

        return [
            authorise,
            token,
            revoke,
            tokeninfo,
            insert,
            put_bytes,
            list_videos,
            list_channels,
            list_playlist,
        ]

    async def _at(self, point: str, request: Asked, work: Callable[[Asked, Fault], Awaitable[Answered]]) -> Answered:
        """The answer to a request, or what goes wrong instead.

        Args:
            work: is given the fault, as some are its own to show.
        """
        self.requests[point] += 1
        fault = self.world.fault(point, _CHANCES[point]) or _NO_FAULT
        name = fault.name
        match name:
            case "reset":
                raise Broken
            case "500" | "503":
                return self._error("internalError" if name == "500" else "backendError")
            case "html":
                return _html("<!DOCTYPE html><html><title>Error 502 (Server Error)!!1</title></html>", status=502)
            case "slow":
                await asyncio.sleep(self.slow_s)
        if name in _REASONS:
            return self._error(name)
        answer = await self._worked(request, fault, work)
        if name == "lost_answer":
            raise Broken
        if name == "truncated":
            answer.content = answer.content[: len(answer.content) // 2]
        return answer

    async def _worked(
        self, request: Asked, fault: Fault, work: Callable[[Asked, Fault], Awaitable[Answered]]
    ) -> Answered:
        try:
            return await work(request, fault)
        except _Refused as refused:
            return self._error(refused.reason, refused.message)
        except OAuthRefused as refused:
            told = {"error": refused.error, "error_description": refused.description}
            return self._json(told, status=refused.status)

    # --- authorisation

    async def _token(self, request: Asked, fault: Fault) -> Answered:
        form = await _form(request)
        if fault.name in ("invalid_grant", "invalid_client"):
            raise OAuthRefused(fault.name, "Token has been expired or revoked.", status=400)
        client = {"client_id": form.get("client_id", ""), "client_secret": form.get("client_secret", "")}
        match form.get("grant_type"):
            case "authorization_code":
                issued = self.auth.redeem(
                    form.get("code", ""),
                    redirect_uri=form.get("redirect_uri", ""),
                    verifier=form.get("code_verifier", ""),
                    **client,
                )
                offline = issued.asked.get("access_type") == "offline"
                return self._issued(issued, with_refresh=offline and self._consented(issued))
            case "refresh_token":
                return self._issued(self.auth.renew(form.get("refresh_token", ""), **client), with_refresh=False)
        raise OAuthRefused("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")

    def _consented(self, issued: Issued) -> bool:
        """Whether the consent screen was shown: the first time, or when it was asked for."""
        earlier = (one for one in self.auth.issued if one.grant != issued.grant)
        known = any(one.account == issued.account and one.client_id == issued.client_id for one in earlier)
        return not known or issued.asked.get("prompt") == "consent"

    def _issued(self, issued: Issued, *, with_refresh: bool) -> Answered:
        now = self.world.now()
        told: dict[str, Any] = {
            "access_token": issued.access_token,
            "expires_in": (issued.expires_at - now) // 1000 - 1,
            "scope": " ".join(issued.scopes),
            "token_type": "Bearer",
        }
        if with_refresh:
            told["refresh_token"] = issued.refresh_token
        if issued.refresh_expires_at is not None:
            told["refresh_token_expires_in"] = (issued.refresh_expires_at - now) // 1000
        return self._json(told)

    def _tokeninfo(self, token: str) -> Answered:
        holder = self.auth.holder(token)
        if holder is None:
            return self._json({"error": "invalid_token", "error_description": "Invalid Value"}, status=400)
        left = (holder.expires_at - self.world.now()) // 1000
        return self._json({"aud": holder.client_id, "scope": " ".join(holder.scopes), "expires_in": str(left)})

    def _holder(self, request: Asked, scopes: Iterable[str]) -> tuple[Issued, Channel]:
        """Who asks, with one of these scopes. Raises _Refused."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise _Refused("required")
        holder = self.auth.holder(token)
        if holder is None:
            raise _Refused("authError")
        if not any(_SCOPE + scope in holder.scopes for scope in scopes):
            raise _Refused("insufficientPermissions")
        channel = self.channels[holder.account]
        if channel.suspended:
            raise _Refused("authenticatedUserAccountSuspended")
        return holder, channel

    def _spend(self, holder: Issued, bucket: str, units: int, most: int, refused: str) -> None:
        """Quotas are a project's, and anew at midnight Pacific time."""
        day = datetime.fromtimestamp(self.world.now() / 1000, _PACIFIC).date()
        if self.spent[holder.client_id, bucket, day] + units > most:
            raise _Refused(refused)
        self.spent[holder.client_id, bucket, day] += units

    def _reads(self, request: Asked) -> Channel:
        """Whose eyes it is read with. Raises _Refused."""
        holder, channel = self._holder(request, _READ_SCOPES)
        self._spend(holder, "units", 1, self.units_per_day, "quotaExceeded")
        return channel

    # --- sessions

    async def _insert(self, request: Asked, fault: Fault) -> Answered:
        holder, channel = self._holder(request, _UPLOAD_SCOPES)
        if not channel.exists:
            raise _Refused("youtubeSignupRequired")
        self._spend(holder, "uploads", 1, self.uploads_per_day, "uploadsPerDay")  # a request that is refused costs too
        if request.query_params.get("uploadType") != "resumable":
            raise _Refused("wrongUrlForUpload")
        parts = _parts(request, _INSERT_PARTS)
        body = _object(await request.body())
        if not set(body) <= set(parts):
            raise _Refused("unexpectedPart")
        session = Session(
            upload_id=self.world.token("sim-"),
            channel=channel.id,
            total=_announced(request),
            snippet=_snippet(body),
            status=_status(body),
            parts=parts,
            notify=request.query_params.get("notifySubscribers", "true") != "false",
            created_at=self.world.now(),
        )
        since = self.world.now() - _DAY_MS
        if (
            sum(one.channel == channel.id and one.created_at > since for one in self.videos.values())
            >= channel.daily_cap
        ):
            raise _Refused("uploadLimitExceeded")
        self.sessions[session.upload_id] = session
        if fault.name == "no_location":
            return self._empty(200)
        query = {"uploadType": "resumable", "part": ",".join(parts), "upload_id": session.upload_id}
        address = self.world.url(f"https://www.googleapis.com/upload/youtube/v3/videos?{urlencode(query)}")
        return self._empty(200, Location=address)

    async def _put(self, request: Asked, fault: Fault) -> Answered:
        session = self.sessions.get(request.query_params.get("upload_id", ""))
        if session is not None and fault.name == "gone":
            session.gone = True
        if session is None or session.gone or self.world.now() - session.created_at >= SESSION_MS:
            return self._text("Not Found", status=404)
        _, channel = self._holder(request, _UPLOAD_SCOPES)
        if channel.id != session.channel:
            raise _Refused("forbidden")
        if session.video_id is not None:
            return self._complete(session)
        asked = _range(request.headers.get("content-range"), session)
        length = request.headers.get("content-length", "")
        if asked is None or not length.isdigit():
            return self._text("Failed to parse Content-Range header.", status=400)
        if asked.total is not None:
            if session.total not in (None, asked.total):
                return self._text("Failed to parse Content-Range header.", status=400)
            session.total = asked.total
        if asked.end is None:
            return self._resume(session)
        if int(length) != asked.end - asked.first:
            return self._text("Failed to parse Content-Range header.", status=400)
        if asked.first > session.stored:
            raise _Refused("requestedRangeNotSatisfiable")
        if asked.end != session.total and (asked.end - asked.first) % GRAIN:
            raise _Refused("badRequest", f"All chunks but the last must be multiples of {GRAIN} bytes.")
        keep = asked.end
        if fault.name in ("partial", "broken_off"):
            keep = asked.first + (fault.value or (asked.end - asked.first) // 2)
        await _take(session, request, first=asked.first, end=asked.end, keep=keep)
        if fault.name == "broken_off":
            raise Broken
        if session.stored == session.total:
            self._finish(session)
            return self._complete(session)
        return self._resume(session)

    def _resume(self, session: Session) -> Answered:
        return self._empty(308, **({"Range": f"bytes=0-{session.stored - 1}"} if session.stored else {}))

    def _complete(self, session: Session) -> Answered:
        assert session.video_id is not None
        return self._json(self._resource(self.videos[session.video_id], session.parts))

    def _finish(self, session: Session) -> None:
        now, facts = self.world.now(), session.inspection.facts()
        publish_at = _moment(session.status.get("publishAt"))
        fault = self.world.fault("youtube.processing")
        refusals = facts.faults("youtube") if self.inspects else []
        video = Video(
            id=base64.urlsafe_b64encode(bytes.fromhex(self.world.token())).decode()[:11],
            channel=session.channel,
            snippet=session.snippet,
            status=session.status,
            notify=session.notify,
            facts=facts,
            privacy=str(session.status.get("privacyStatus", "public")) if self.verified else "private",
            publish_at=publish_at if self.verified else None,
            created_at=now,
            processed_at=now + round(self.processing_s * 1000),
            outcome=fault.name if fault else refusals[0].code if refusals else "",
        )
        self.videos[video.id] = video
        session.video_id = video.id

    # --- reading

    async def _list(self, request: Asked, fault: Fault) -> Answered:
        channel = self._reads(request)
        parts = _parts(request, _LIST_PARTS)
        ids = [one for one in request.query_params.get("id", "").split(",") if one]
        if not ids:
            raise _Refused("invalidParameter", "No filter selected.")
        found = [video for one in ids if (video := self.videos.get(one)) is not None and self._is_seen(video, channel)]
        if any(video.channel != channel.id for video in found) and _OWNER_PARTS & set(parts):
            raise _Refused("forbidden")
        items = [] if fault.name == "empty" else [self._resource(video, parts) for video in found]
        return self._json(_page("youtube#videoListResponse", items))

    def _is_seen(self, video: Video, channel: Channel) -> bool:
        return not video.deleted and (video.channel == channel.id or self.privacy_of(video)[0] != "private")

    async def _list_channels(self, request: Asked, _: Fault) -> Answered:
        channel = self._reads(request)
        parts = _parts(request, {"id", "snippet", "contentDetails", "statistics", "status"})
        if request.query_params.get("mine") != "true":
            raise _Refused("invalidParameter", "No filter selected.")
        item: dict[str, Any] = {"kind": "youtube#channel", "etag": "sim", "id": channel.id}
        if "snippet" in parts:
            item["snippet"] = {"title": channel.title, "description": "", "customUrl": f"@{channel.handle}"}
        if "contentDetails" in parts:
            item["contentDetails"] = {"relatedPlaylists": {"likes": "", "uploads": _uploads_of(channel.id)}}
        page = _page("youtube#channelListResponse", [item] if channel.exists else [])
        if not channel.exists:
            del page["items"]  # as the real one leaves it out
        return self._json(page)

    async def _list_playlist(self, request: Asked, _: Fault) -> Answered:
        channel = self._reads(request)
        parts = _parts(request, {"id", "snippet", "contentDetails", "status"})
        if request.query_params.get("playlistId") != _uploads_of(channel.id):
            raise _Refused("forbidden")
        most = request.query_params.get("maxResults", "5")
        if not most.isdigit() or int(most) > 50:
            raise _Refused("invalidParameter")
        newest = [video for video in reversed(self.videos.values()) if self._is_seen(video, channel)]
        mine = [video for video in newest if video.channel == channel.id][: int(most)]
        items = [
            {"kind": "youtube#playlistItem", "etag": "sim", "id": f"sim-{video.id}"}
            | ({"snippet": self._snippet(video)} if "snippet" in parts else {})
            | ({"contentDetails": {"videoId": video.id}} if "contentDetails" in parts else {})
            for video in mine
        ]
        return self._json(_page("youtube#playlistItemListResponse", items))

    def _resource(self, video: Video, parts: Iterable[str]) -> dict[str, Any]:
        of_part: dict[str, Callable[[Video], dict[str, Any]]] = {
            "snippet": self._snippet,
            "status": self._status,
            "processingDetails": self._processing,
            "contentDetails": self._content,
            "fileDetails": self._file,
        }
        resource: dict[str, Any] = {"kind": "youtube#video", "etag": "sim", "id": video.id}
        return resource | {part: of_part[part](video) for part in parts if part in of_part}

    def _snippet(self, video: Video) -> dict[str, Any]:
        return {
            **video.snippet,
            "publishedAt": _rfc3339(video.created_at),
            "channelId": video.channel,
            "channelTitle": self.channels[video.channel].title,
            "liveBroadcastContent": "none",
        }

    def _status(self, video: Video) -> dict[str, Any]:
        privacy, publish_at = self.privacy_of(video)
        for_kids = bool(video.status.get("selfDeclaredMadeForKids", False))
        told: dict[str, Any] = {
            "uploadStatus": "uploaded",
            "privacyStatus": privacy,
            "license": video.status.get("license", "youtube"),
            "embeddable": video.status.get("embeddable", True),
            "publicStatsViewable": video.status.get("publicStatsViewable", True),
            "madeForKids": for_kids,
            "selfDeclaredMadeForKids": for_kids,
            "containsSyntheticMedia": bool(video.status.get("containsSyntheticMedia", False)),
        }
        if publish_at is not None:
            told["publishAt"] = _rfc3339(publish_at)
        if self._is_over(video):
            failed = video.outcome in FAILURES
            told["uploadStatus"] = "failed" if failed else "rejected" if video.outcome else "processed"
            if video.outcome:
                told["failureReason" if failed else "rejectionReason"] = video.outcome
        return told

    def _processing(self, video: Video) -> dict[str, Any]:
        if self._is_over(video):
            if video.outcome in FAILURES:
                return {"processingStatus": "failed", "processingFailureReason": "transcodeFailed"}
            return {"processingStatus": "terminated" if video.outcome else "succeeded"}
        left = video.processed_at - self.world.now()
        done = 10 - min(10, -(-left * 10 // max(1, video.processed_at - video.created_at)))
        progress = {"partsTotal": "10", "partsProcessed": str(done), "timeLeftMs": str(left)}
        return {"processingStatus": "processing", "processingProgress": progress}

    def _content(self, video: Video) -> dict[str, Any]:
        seconds = round((video.facts.duration_us or 0) / 1e6)
        return {"duration": f"PT{seconds // 60}M{seconds % 60}S", "dimension": "2d", "definition": "hd"}

    def _file(self, video: Video) -> dict[str, Any]:
        return {"fileName": "unknown", "fileSize": str(video.facts.size), "fileType": "video"}

    def _is_over(self, video: Video) -> bool:
        return self.world.now() >= video.processed_at

    # --- answers

    def _error(self, reason: str, message: str = "") -> Answered:
        status, domain, words = _REASONS[reason]
        first: dict[str, Any] = {
            "message": message or words,
            "domain": domain,
            "reason": "rateLimitExceeded" if reason == "uploadsPerDay" else reason,
        }
        if status == 401:
            first |= {"location": "Authorization", "locationType": "header"}
        return self._json({"error": {"code": status, "message": message or words, "errors": [first]}}, status=status)

    def _json(self, value: Mapping[str, Any], *, status: int = 200) -> Answered:
        return self._answer(json.dumps(value).encode(), status, {"Content-Type": "application/json; charset=UTF-8"})

    def _text(self, text: str, *, status: int) -> Answered:
        return self._answer(text.encode(), status, {"Content-Type": "text/plain; charset=utf-8"})

    def _empty(self, status: int, **headers: str) -> Answered:
        return self._answer(b"", status, headers)

    def _answer(self, content: bytes, status: int, headers: Mapping[str, str]) -> Answered:
        now = format_datetime(datetime.fromtimestamp(self.world.now() / 1000, UTC), usegmt=True)
        return Response(content, status_code=status, headers={"Date": now, **headers})


class _Names(Mapping[str, str]):
    """The channels' titles by id, as they are now."""

    def __init__(self, channels: Mapping[str, Channel]) -> None:
        self._channels = channels

    def __getitem__(self, key: str) -> str:
        return self._channels[key].title

    def __iter__(self) -> Any:
        return iter(self._channels)

    def __len__(self) -> int:
        return len(self._channels)


@dataclass(frozen=True)
class _Range:
    """A Content-Range. No end: only asked what is there. No total: not said."""

    first: int
    end: int | None
    total: int | None


def _range(header: str | None, session: Session) -> _Range | None:
    """None: it cannot be read."""
    if header is None:
        return None if session.total is None else _Range(0, session.total, session.total)
    found = re.fullmatch(r"bytes (?:\*|(\d+)-(\d+))/(\d+|\*)", header)
    if found is None:
        return None
    total = None if found[3] == "*" else int(found[3])
    if found[1] is None:
        return _Range(0, None, total)
    first, end = int(found[1]), int(found[2]) + 1
    if end <= first or (total is not None and end > total):
        return None
    return _Range(first, end, total)


async def _take(session: Session, request: Asked, *, first: int, end: int, keep: int) -> None:
    """What comes, from where the session ended, up to `keep`; of what breaks off, whole grains."""
    at, pending = first, bytearray()
    try:
        async for piece in request.stream():
            known = session.stored + len(pending)
            pending += piece[max(0, known - at) : max(0, keep - at)]
            at += len(piece)
            _store(session, pending, len(pending) // GRAIN * GRAIN)
    except HTTPException:  # the client is gone
        raise Broken from None
    if at != end:
        raise Broken
    if keep == end:
        _store(session, pending, len(pending))


def _store(session: Session, pending: bytearray, size: int) -> None:
    session.inspection.feed(bytes(pending[:size]))
    session.stored += size
    del pending[:size]


def _snippet(body: Mapping[str, Any]) -> dict[str, Any]:
    snippet = body.get("snippet")
    if not isinstance(snippet, dict):
        raise _Refused("invalidVideoMetadata")
    title, description = snippet.get("title", ""), snippet.get("description", "")
    if not isinstance(title, str) or not 1 <= len(title) <= 100 or re.search(r"[<>]", title):
        raise _Refused("invalidTitle")
    if not isinstance(description, str) or len(description.encode()) > 5000 or re.search(r"[<>]", description):
        raise _Refused("invalidDescription")
    tags = snippet.get("tags", [])
    if not isinstance(tags, list) or sum(len(str(tag)) + 2 * (" " in str(tag)) for tag in tags) > 500:
        raise _Refused("invalidTags")
    if "categoryId" not in snippet:
        raise _Refused("invalidVideoMetadata")
    if not str(snippet["categoryId"]).isdigit():
        raise _Refused("invalidCategoryId")
    return snippet


def _status(body: Mapping[str, Any]) -> dict[str, Any]:
    status = body.get("status", {})
    if not isinstance(status, dict):
        raise _Refused("invalidVideoMetadata")
    if status.get("privacyStatus", "public") not in ("public", "unlisted", "private"):
        raise _Refused("forbiddenPrivacySetting")
    if status.get("license", "youtube") not in ("youtube", "creativeCommon"):
        raise _Refused("forbiddenLicenseSetting")
    if "publishAt" in status and (status.get("privacyStatus") != "private" or _moment(status["publishAt"]) is None):
        raise _Refused("invalidPublishAt")
    return status


def _announced(request: Asked) -> int | None:
    """The size that is to come, where it is said."""
    kind = request.headers.get("x-upload-content-type", "application/octet-stream")
    if not kind.startswith("video/") and kind != "application/octet-stream":
        raise _Refused("badRequest", f"Media type '{kind}' is not supported.")
    said = request.headers.get("x-upload-content-length")
    if said is None:
        return None
    if not said.isdigit():
        raise _Refused("invalidParameter")
    if int(said) == 0:
        raise _Refused("mediaBodyRequired")
    if int(said) > _MOST_BYTES:
        raise _Refused("uploadTooLarge")
    return int(said)


def _parts(request: Asked, known: set[str]) -> tuple[str, ...]:
    named = [value for name, value in parse_qsl(request.url.query) if name == "part"]  # may be repeated
    parts = tuple(part.strip() for value in named for part in value.split(",") if part.strip())
    if not parts or not set(parts) <= known:
        raise _Refused("unknownPart")
    return parts


def _object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        raise _Refused("parseError") from None


async def _form(request: Asked) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode(errors="replace")))


def _page(kind: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    counted = {"totalResults": len(items), "resultsPerPage": max(5, len(items))}
    return {"kind": kind, "etag": "sim", "items": items, "pageInfo": counted}


def _uploads_of(channel: str) -> str:
    """The playlist of everything a channel uploaded."""
    return "UU" + channel.removeprefix("UC")


def _moment(text: Any) -> int | None:
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return int(moment.timestamp() * 1000) if moment.tzinfo is not None else None


def _rfc3339(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _html(text: str, *, status: int) -> Answered:
    return Response(text.encode(), status_code=status, media_type=MediaType.HTML)


def _channels() -> list[Channel]:
    return [
        Channel(id="UCsim000000000000000001", title="Ann Example", handle="annexample"),
        Channel(id="UCsim000000000000000002", title="Ben Example", handle="benexample"),
        Channel(id="UCsim000000000000000003", title="Somebody without a channel", handle="", exists=False),
    ]
