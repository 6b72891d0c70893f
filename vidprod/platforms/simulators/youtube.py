"""YouTube as an uploader meets it: Google's authorisation, resumable sessions, the quotas of a project and of a
channel, processing that takes its time, and everything that goes wrong with them.

Sources: developers.google.com/youtube/v3 (resumable uploads, errors, quota cost, videos), Google's API description of
v3; where they are silent, what publishers report.
"""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

import msgspec
from litestar import MediaType, Response, get, post, put
from litestar.handlers import HTTPRouteHandler

from vidprod.platforms.simulators.oauth import AuthServer, Issued, OAuthRefused
from vidprod.platforms.simulators.world import Broken, Fault, Posted, World
from vidprod.platforms.simulators.youtube_faults import CHANCES, NO_FAULT, REASONS, Refused
from vidprod.platforms.simulators.youtube_session import (
    GRAIN,
    Asked,
    Session,
    announced,
    range_of,
    snippet_of,
    status_of,
    take,
)
from vidprod.platforms.simulators.youtube_video import Channel, Video, known_channels, moment, rfc3339

Answered = Response[bytes]

SESSION_MS = 7 * 86_400_000
HOSTS = ("www.googleapis.com", "youtube.googleapis.com")
_SCOPE = "https://www.googleapis.com/auth/"
_UPLOAD_SCOPES = ("youtube.upload", "youtube", "youtube.force-ssl", "youtubepartner")
_READ_SCOPES = ("youtube.readonly", "youtube", "youtube.force-ssl", "youtubepartner")
_MANAGE_SCOPES = ("youtube", "youtube.force-ssl", "youtubepartner")
_UPDATE_UNITS = 50
_PACIFIC = ZoneInfo("America/Los_Angeles")
_DAY_MS = 86_400_000
_INSERT_PARTS = {"snippet", "status", "paidProductPlacementDetails", "localizations", "recordingDetails"}
_LIST_PARTS = {
    "id",
    "snippet",
    "status",
    "contentDetails",
    "processingDetails",
    "fileDetails",
    "statistics",
    "paidProductPlacementDetails",
}
_OWNER_PARTS = {"processingDetails", "fileDetails"}


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
        self.channels = {channel.id: channel for channel in known_channels()}
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
                privacy=video.privacy_at(self.world.now())[0],
            )
            for video in self.videos.values()
            if not video.outcome and not video.deleted
        ]

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

        @put(at("/youtube/v3/videos"), status_code=200)
        async def update(request: Asked) -> Answered:
            return await self._at("youtube.update", request, self._update)

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
            update,
            list_channels,
            list_playlist,
        ]

    async def _at(self, point: str, request: Asked, work: Callable[[Asked, Fault], Awaitable[Answered]]) -> Answered:
        """The answer to a request, or what goes wrong instead.

        Args:
            work: is given the fault, as some are its own to show.
        """
        self.requests[point] += 1
        fault = self.world.fault(point, CHANCES[point]) or NO_FAULT
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
        if name in REASONS:
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
        except Refused as refused:
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
        """Who asks, with one of these scopes. Raises Refused."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise Refused("required")
        holder = self.auth.holder(token)
        if holder is None:
            raise Refused("authError")
        if not any(_SCOPE + scope in holder.scopes for scope in scopes):
            raise Refused("insufficientPermissions")
        channel = self.channels[holder.account]
        if channel.suspended:
            raise Refused("authenticatedUserAccountSuspended")
        return holder, channel

    def _spend(self, holder: Issued, bucket: str, units: int, most: int, refused: str) -> None:
        """Quotas are a project's, and anew at midnight Pacific time."""
        day = datetime.fromtimestamp(self.world.now() / 1000, _PACIFIC).date()
        if self.spent[holder.client_id, bucket, day] + units > most:
            raise Refused(refused)
        self.spent[holder.client_id, bucket, day] += units

    def _reads(self, request: Asked) -> Channel:
        """Whose eyes it is read with. Raises Refused."""
        holder, channel = self._holder(request, _READ_SCOPES)
        self._spend(holder, "units", 1, self.units_per_day, "quotaExceeded")
        return channel

    # --- sessions

    async def _insert(self, request: Asked, fault: Fault) -> Answered:
        holder, channel = self._holder(request, _UPLOAD_SCOPES)
        if not channel.exists:
            raise Refused("youtubeSignupRequired")
        self._spend(holder, "uploads", 1, self.uploads_per_day, "uploadsPerDay")  # a request that is refused costs too
        if request.query_params.get("uploadType") != "resumable":
            raise Refused("wrongUrlForUpload")
        parts = _parts(request, _INSERT_PARTS)
        body = _object(await request.body())
        if not set(body) <= set(parts):
            raise Refused("unexpectedPart")
        session = Session(
            upload_id=self.world.token("sim-"),
            channel=channel.id,
            total=announced(request),
            snippet=snippet_of(body),
            status=status_of(body),
            paid=_is_paid(body),
            parts=parts,
            notify=request.query_params.get("notifySubscribers", "true") != "false",
            created_at=self.world.now(),
        )
        since = self.world.now() - _DAY_MS
        if (
            sum(one.channel == channel.id and one.created_at > since for one in self.videos.values())
            >= channel.daily_cap
        ):
            raise Refused("uploadLimitExceeded")
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
            raise Refused("forbidden")
        if session.video_id is not None:
            return self._complete(session)
        asked = range_of(request.headers.get("content-range"), session)
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
            raise Refused("requestedRangeNotSatisfiable")
        if asked.end != session.total and (asked.end - asked.first) % GRAIN:
            raise Refused("badRequest", f"All chunks but the last must be multiples of {GRAIN} bytes.")
        keep = asked.end
        if fault.name in ("partial", "broken_off"):
            keep = asked.first + (fault.value or (asked.end - asked.first) // 2)
        await take(session, request, first=asked.first, end=asked.end, keep=keep)
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
        publish_at = moment(session.status.get("publishAt"))
        fault = self.world.fault("youtube.processing")
        refusals = facts.faults("youtube") if self.inspects else []
        video = Video(
            id=base64.urlsafe_b64encode(bytes.fromhex(self.world.token())).decode()[:11],
            channel=session.channel,
            snippet=session.snippet,
            status=session.status,
            paid=session.paid,
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
            raise Refused("invalidParameter", "No filter selected.")
        found = [video for one in ids if (video := self.videos.get(one)) is not None and self._is_seen(video, channel)]
        if any(video.channel != channel.id for video in found) and _OWNER_PARTS & set(parts):
            raise Refused("forbidden")
        items = [] if fault.name == "empty" else [self._resource(video, parts) for video in found]
        return self._json(_page("youtube#videoListResponse", items))

    async def _update(self, request: Asked, _: Fault) -> Answered:
        """Of a video only its status, which is replaced."""
        holder, channel = self._holder(request, _MANAGE_SCOPES)
        self._spend(holder, "units", _UPDATE_UNITS, self.units_per_day, "quotaExceeded")
        parts = _parts(request, {"status"})
        body = _object(await request.body())
        if not set(body) <= {"id", "kind", "etag", *parts}:
            raise Refused("unexpectedPart")
        video = self.videos.get(str(body.get("id", "")))
        if video is None or not self._is_seen(video, channel):
            raise Refused("videoNotFound")
        if video.channel != channel.id:
            raise Refused("forbidden")
        video.change(status_of(body), verified=self.verified, now=self.world.now())
        return self._json(self._resource(video, parts))

    def _is_seen(self, video: Video, channel: Channel) -> bool:
        return not video.deleted and (video.channel == channel.id or video.privacy_at(self.world.now())[0] != "private")

    async def _list_channels(self, request: Asked, _: Fault) -> Answered:
        channel = self._reads(request)
        parts = _parts(request, {"id", "snippet", "contentDetails", "statistics", "status"})
        if request.query_params.get("mine") != "true":
            raise Refused("invalidParameter", "No filter selected.")
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
            raise Refused("forbidden")
        most = request.query_params.get("maxResults", "5")
        if not most.isdigit() or int(most) > 50:
            raise Refused("invalidParameter")
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
        now = self.world.now()
        of_part: dict[str, Callable[[], dict[str, Any]]] = {
            "snippet": lambda: self._snippet(video),
            "status": lambda: video.status_at(now),
            "processingDetails": lambda: video.processing_at(now),
            "contentDetails": video.content,
            "paidProductPlacementDetails": lambda: {"hasPaidProductPlacement": video.paid},
            "fileDetails": video.file,
        }
        resource: dict[str, Any] = {"kind": "youtube#video", "etag": "sim", "id": video.id}
        return resource | {part: of_part[part]() for part in parts if part in of_part}

    def _snippet(self, video: Video) -> dict[str, Any]:
        return {
            **video.snippet,
            "publishedAt": rfc3339(video.created_at),
            "channelId": video.channel,
            "channelTitle": self.channels[video.channel].title,
            "liveBroadcastContent": "none",
        }

    # --- answers

    def _error(self, reason: str, message: str = "") -> Answered:
        status, domain, words = REASONS[reason]
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


def _is_paid(body: Mapping[str, Any]) -> bool:
    details = body.get("paidProductPlacementDetails", {})
    if not isinstance(details, dict) or not isinstance(details.get("hasPaidProductPlacement", False), bool):
        raise Refused("invalidVideoMetadata")
    return bool(details.get("hasPaidProductPlacement"))


def _parts(request: Asked, known: set[str]) -> tuple[str, ...]:
    named = [value for name, value in parse_qsl(request.url.query) if name == "part"]  # may be repeated
    parts = tuple(part.strip() for value in named for part in value.split(",") if part.strip())
    if not parts or not set(parts) <= known:
        raise Refused("unknownPart")
    return parts


def _object(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        raise Refused("parseError") from None


async def _form(request: Asked) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode(errors="replace")))


def _page(kind: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    counted = {"totalResults": len(items), "resultsPerPage": max(5, len(items))}
    return {"kind": kind, "etag": "sim", "items": items, "pageInfo": counted}


def _uploads_of(channel: str) -> str:
    """The playlist of everything a channel uploaded."""
    return "UU" + channel.removeprefix("UC")


def _html(text: str, *, status: int) -> Answered:
    return Response(text.encode(), status_code=status, media_type=MediaType.HTML)
