"""YouTube as an uploader meets it: resumable sessions, the quotas of a project and of a channel, and processing that
takes its time. Google's authorisation is in `youtube_login.py`, what goes wrong in `youtube_answers.py`.

Sources: developers.google.com/youtube/v3 (resumable uploads, errors, quota cost, videos), Google's API description of
v3; where they are silent, what publishers report.
"""

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

import msgspec
from litestar import get, post, put
from litestar.handlers import HTTPRouteHandler

from vidprod.platforms.simulators.oauth import AuthServer, Issued
from vidprod.platforms.simulators.world import Broken, Fault, Posted, World
from vidprod.platforms.simulators.youtube_answers import Answered, Answers
from vidprod.platforms.simulators.youtube_faults import Refused
from vidprod.platforms.simulators.youtube_login import GoogleLogin
from vidprod.platforms.simulators.youtube_session import (
    GRAIN,
    Asked,
    Session,
    announced,
    is_paid,
    range_of,
    snippet_of,
    status_of,
    take,
)
from vidprod.platforms.simulators.youtube_video import Channel, Video, known_channels, moment, rfc3339

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
        self.uploads_per_day = uploads_per_day
        self.units_per_day = units_per_day
        self.processing_s = processing_s
        self.inspects = inspects
        self.answers = Answers(world)
        self.channels = {channel.id: channel for channel in known_channels()}
        self.sessions: dict[str, Session] = {}
        self.videos: dict[str, Video] = {}
        self.spent: Counter[tuple[str, str, date]] = Counter()  # by project, bucket and Pacific day
        self._login = GoogleLogin(world, self.answers, channels=self.channels, testing=testing, clients=clients)

    @property
    def auth(self) -> AuthServer:
        """Its tokens."""
        return self._login.auth

    @property
    def requests(self) -> Counter[str]:
        """How often it was asked, by point."""
        return self.answers.requests

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

        @post(at("/upload/youtube/v3/videos"), status_code=200)
        async def insert(request: Asked) -> Answered:
            return await self.answers.at("youtube.insert", request, self._insert)

        @put(at("/upload/youtube/v3/videos"), status_code=200)
        async def put_bytes(request: Asked) -> Answered:
            asks = request.headers.get("content-range", "").startswith("bytes */")
            return await self.answers.at("youtube.probe" if asks else "youtube.put", request, self._put)

        @get(at("/youtube/v3/videos"))
        async def list_videos(request: Asked) -> Answered:
            return await self.answers.at("youtube.list", request, self._list)

        @put(at("/youtube/v3/videos"), status_code=200)
        async def update(request: Asked) -> Answered:
            return await self.answers.at("youtube.update", request, self._update)

        @get(at("/youtube/v3/channels"))
        async def list_channels(request: Asked) -> Answered:
            return await self.answers.at("youtube.channels", request, self._list_channels)

        @get(at("/youtube/v3/playlistItems"))
        async def list_playlist(request: Asked) -> Answered:
            return await self.answers.at("youtube.playlist", request, self._list_playlist)

        return [
            *self._login.handlers(),
            insert,
            put_bytes,
            list_videos,
            update,
            list_channels,
            list_playlist,
        ]

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
            paid=is_paid(body),
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
            return self.answers.empty(200)
        query = {"uploadType": "resumable", "part": ",".join(parts), "upload_id": session.upload_id}
        address = self.world.url(f"https://www.googleapis.com/upload/youtube/v3/videos?{urlencode(query)}")
        return self.answers.empty(200, Location=address)

    async def _put(self, request: Asked, fault: Fault) -> Answered:
        session = self.sessions.get(request.query_params.get("upload_id", ""))
        if session is not None and fault.name == "gone":
            session.gone = True
        if session is None or session.gone or self.world.now() - session.created_at >= SESSION_MS:
            return self.answers.text("Not Found", status=404)
        _, channel = self._holder(request, _UPLOAD_SCOPES)
        if channel.id != session.channel:
            raise Refused("forbidden")
        if session.video_id is not None:
            return self._complete(session)
        asked = range_of(request.headers.get("content-range"), session)
        length = request.headers.get("content-length", "")
        if asked is None or not length.isdigit():
            return self.answers.text("Failed to parse Content-Range header.", status=400)
        if asked.total is not None:
            if session.total not in (None, asked.total):
                return self.answers.text("Failed to parse Content-Range header.", status=400)
            session.total = asked.total
        if asked.end is None:
            return self._resume(session)
        if int(length) != asked.end - asked.first:
            return self.answers.text("Failed to parse Content-Range header.", status=400)
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
        return self.answers.empty(308, **({"Range": f"bytes=0-{session.stored - 1}"} if session.stored else {}))

    def _complete(self, session: Session) -> Answered:
        assert session.video_id is not None
        return self.answers.json(self._resource(self.videos[session.video_id], session.parts))

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
        return self.answers.json(_page("youtube#videoListResponse", items))

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
        return self.answers.json(self._resource(video, parts))

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
        return self.answers.json(page)

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
        return self.answers.json(_page("youtube#playlistItemListResponse", items))

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


def _page(kind: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    counted = {"totalResults": len(items), "resultsPerPage": max(5, len(items))}
    return {"kind": kind, "etag": "sim", "items": items, "pageInfo": counted}


def _uploads_of(channel: str) -> str:
    """The playlist of everything a channel uploaded."""
    return "UU" + channel.removeprefix("UC")
