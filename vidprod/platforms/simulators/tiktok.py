"""TikTok, simulated: Login Kit v2 and the Content Posting API.

What the real one enforces is enforced: hex PKCE, refresh tokens that are good once, the choices of a creator, chunk
plans, windows of a minute, daily caps, an upload address of one hour that takes chunks in order. Two inits whose bytes
come make two posts, however alike they are.

Source: developers.tiktok.com, as of November 2026.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import MediaType, Request, Response, get, post, put
from litestar.exceptions import InternalServerException
from litestar.handlers import HTTPRouteHandler

from vidprod.platforms.simulators.inspect import Inspection
from vidprod.platforms.simulators.oauth import AuthServer, Issued, OAuthRefused
from vidprod.platforms.simulators.world import Broken, Fault, Posted, World

API = "open.tiktokapis.com"
UPLOAD_HOSTS = ("open-upload.tiktokapis.com", "upload.us.tiktokapis.com", "upload.eu.tiktokapis.com")

ERRORS: dict[str, tuple[int, str]] = {
    "invalid_params": (400, "The request parameters are invalid."),
    "access_token_invalid": (401, "The access token is invalid or not found in the request."),
    "scope_not_authorized": (401, "The user did not authorize the scope required for completing this request."),
    "scope_permission_missed": (400, "Additional scope permission required. Please contact us for details."),
    "rate_limit_exceeded": (429, "The API rate limit was exceeded. Please try again later."),
    "spam_risk_too_many_posts": (403, "The daily post cap from the API is reached for the current user."),
    "spam_risk_user_banned_from_posting": (403, "The user is banned from making new posts."),
    "spam_risk_too_many_pending_share": (403, "There may be at most 5 pending shares within any 24-hour period."),
    "reached_active_user_cap": (403, "The daily quota for active publishing users from your client is reached."),
    "unaudited_client_can_only_post_to_private_accounts": (
        403,
        "Unaudited clients can only post to a private account. Please review our integration guidelines.",
    ),
    "privacy_level_option_mismatch": (403, "privacy_level is not among the privacy_level_options of creator_info."),
    "url_ownership_unverified": (403, "Please review our URL ownership verification rules."),
    "app_version_check_failed": (400, "The user needs to update the TikTok app."),
    "invalid_file_upload": (400, "The file does not meet our specifications."),
    "invalid_publish_id": (400, "The publish_id does not exist."),
    "token_not_authorized_for_specified_publish_id": (
        400,
        "The access token is not authorized for the specified publish_id.",
    ),
    "internal_error": (500, "An internal error occurred. Please try again later."),
}
FAIL_REASONS = (
    "file_format_check_failed",
    "duration_check_failed",
    "frame_rate_check_failed",
    "picture_size_check_failed",
    "internal",
    "video_pull_failed",
    "photo_pull_failed",
    "publish_cancelled",
    "auth_removed",
    "spam_risk_too_many_posts",
    "spam_risk_user_banned_from_posting",
    "spam_risk_text",
    "spam_risk",
)

_COMMON = ("500", "503", "html", "reset", "lost_answer", "truncated", "slow")
_CODES = tuple(ERRORS)
FAULTS: dict[str, tuple[str, ...]] = {
    "tiktok.token": (*_COMMON, "invalid_grant", "invalid_client"),
    "tiktok.user_info": (*_COMMON, *_CODES, "token_expires"),  # token_expires: as soon as the call has taken effect
    "tiktok.creator_info": (*_COMMON, *_CODES, "token_expires"),
    "tiktok.init": (*_COMMON, *_CODES, "token_expires"),
    "tiktok.put": (*_COMMON, "partial", "400", "403", "404", "416"),  # partial: half of the chunk is kept
    "tiktok.status": (*_COMMON, *_CODES, "token_expires"),
    "tiktok.processing": (*FAIL_REASONS, "slow", "stuck", "late_id"),  # values: seconds
}
# What dice may choose: nothing after which an account or a clip is done with for a day. A token ends by chance, but a
# good one is never refused: twice in a row would mean that the account has to be connected again.
_SOME = (*_COMMON, "rate_limit_exceeded", "token_expires")
BY_CHANCE: dict[str, tuple[str, ...]] = {
    "tiktok.token": ("500", "503", "html", "reset", "slow"),
    "tiktok.user_info": _SOME,
    "tiktok.creator_info": _SOME,
    "tiktok.init": _SOME,
    "tiktok.put": (*_COMMON, "partial", "416"),
    "tiktok.status": _SOME,
    "tiktok.processing": ("internal", "slow"),
}

_MINUTE_MS, _HOUR_MS, _DAY_MS = 60_000, 3_600_000, 86_400_000
_A_MINUTE = {"init": 6, "creator_info": 20, "status": 30, "user_info": 600}  # calls, a user token
_FIELDS = {
    "open_id": "user.info.basic",
    "union_id": "user.info.basic",
    "avatar_url": "user.info.basic",
    "display_name": "user.info.basic",
    "username": "user.info.profile",
}
_TYPES = ("video/mp4", "video/quicktime", "video/webm")


@dataclass(kw_only=True)
class Creator:
    """An account, with the choices its owner made in the app."""

    open_id: str
    username: str
    nickname: str
    private: bool = False
    comment_disabled: bool = False
    duet_disabled: bool = False
    stitch_disabled: bool = False
    longest_s: int = 600
    banned: bool = False


@dataclass(kw_only=True)
class Rules:
    """How strict it is; what is not known of the real one, or changes, can be chosen."""

    strict: bool = True  # chunk plans as since August 2026
    audited: bool = True
    daily_cap: int | None = 15  # direct posts of a creator in 24 h
    pending_cap: int | None = 5  # drafts that wait in an inbox, of 24 h
    users_cap: int | None = None  # posting users of the app in 24 h; while it is not audited, 5
    grace_s: int = 0  # for which a used refresh token is still taken
    oauth_status: int = 200  # of its errors
    processing_s: float = 4
    finishes_s: float | None = None  # drafts, by their owner in the app; None: when `finish` is called
    moderation_s: float = 40  # until a public post's id is told
    slow_s: float = 0.05  # of the wall, for which a slow answer waits


@dataclass(kw_only=True)
class Upload:
    """What one init made. Times are unix milliseconds of the world."""

    publish_id: str
    upload_id: str
    upload_token: str
    host: str
    account: str
    direct: bool
    info: Mapping[str, Any]  # post_info
    size: int
    chunk_size: int
    count: int
    created_at: int
    expires_at: int
    asked: bool  # creator_info, in the ten minutes before
    inspection: Inspection = field(default_factory=Inspection)
    forgotten: bool = False
    completed_at: int | None = None
    processed_at: int | None = None  # None: not complete, or stuck
    fail_reason: str = ""
    post_id: int = 0
    post_id_at: int = 0
    finished_at: int | None = None  # a draft, by its owner in the app

    @property
    def stored(self) -> int:
        return self.inspection.size

    @property
    def privacy(self) -> str:
        return str(self.info.get("privacy_level") or "")


class _Refused(Exception):
    """An error code of the envelope."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = message or ERRORS[code][1]


class TikTokSim:
    """The far end: its creators, what was uploaded, and what came of it."""

    def __init__(
        self,
        world: World,
        *,
        rules: Rules | None = None,
        creators: tuple[Creator, ...] | None = None,
        clients: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            creators: a public and a private one, when not given.
            clients: secrets by client_key; none: every app is known.
        """
        self.world = world
        self.rules = rules or Rules()
        self.creators: dict[str, Creator] = {}
        self.names: dict[str, str] = {}
        self.uploads: dict[str, Upload] = {}  # by publish_id
        self.auth = AuthServer(
            world,
            name="TikTok",
            accounts=self.names,
            pkce="hex",
            pkce_needed=True,
            access_s=7200,
            refresh_s=180 * 86_400,
            rotates=True,
            access_prefix="act.",
            refresh_prefix="rft.",
            client="client_key",
            separator=",",
            clients=clients,
        )
        self._addresses: dict[str, Upload] = {}  # by upload_id
        self._calls: dict[tuple[str, str], deque[int]] = {}
        self._asked: dict[str, int] = {}  # creator_info, by account
        self._retired: dict[
            str, tuple[int, int]
        ] = {}  # used refresh tokens: their grant, and until when they are taken
        self._logged = 0
        for creator in creators or (
            Creator(open_id="-000public", username="mira.makes", nickname="Mira makes"),
            Creator(open_id="-000private", username="noel.quiet", nickname="Noel", private=True),
        ):
            self.add(creator)

    def add(self, creator: Creator) -> Creator:
        """Another account."""
        self.creators[creator.open_id] = creator
        self.names[creator.open_id] = creator.nickname
        return creator

    def grant(self, open_id: str, *scopes: str, client_key: str = "app") -> Issued:
        """Tokens of an account, without the page."""
        return self.auth.issue(
            open_id,
            client_id=client_key,
            scopes=scopes or ("user.info.basic", "user.info.profile", "video.upload", "video.publish"),
        )

    def posts(self) -> list[Posted]:
        """All that was posted or put into an inbox, and what surely will be: it has every byte and is not refused."""
        return [
            Posted(
                platform="tiktok",
                account=upload.account,
                remote_id=str(upload.post_id) if upload.privacy == "PUBLIC_TO_EVERYONE" else upload.publish_id,
                sha256=upload.inspection.sha256,
                title=str(upload.info.get("title") or ""),
                at=upload.completed_at,
                privacy=upload.privacy,
            )
            for upload in self.uploads.values()
            if upload.completed_at is not None and not upload.fail_reason
        ]

    def finish(self, publish_id: str) -> None:
        """A draft's owner posts it in the app."""
        self.uploads[publish_id].finished_at = self.world.now()

    def handlers(self) -> list[HTTPRouteHandler]:
        """The routes: /HOST/PATH."""
        return [
            get("/www.tiktok.com/v2/auth/authorize", sync_to_thread=False)(self._authorize),
            post(f"/{API}/v2/oauth/token", status_code=200)(self._token),
            post(f"/{API}/v2/oauth/revoke", status_code=200)(self._revoke),
            get(f"/{API}/v2/user/info")(self._user_info),
            post(f"/{API}/v2/post/publish/creator_info/query", status_code=200)(self._creator_info),
            post(f"/{API}/v2/post/publish/video/init", status_code=200)(self._init_direct),
            post(f"/{API}/v2/post/publish/inbox/video/init", status_code=200)(self._init_inbox),
            post(f"/{API}/v2/post/publish/status/fetch", status_code=200)(self._status),
            put([f"/{host}/video" for host in UPLOAD_HOSTS])(self._put),
        ]

    # Login Kit

    def _authorize(self, request: Request[Any, Any, Any]) -> Response[str]:
        return self.auth.authorize(request)

    async def _token(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        fault = self._fault("tiktok.token")
        if (answer := await self._before(fault)) is not None:
            return answer
        try:
            if fault is not None and fault.name in ("invalid_grant", "invalid_client"):
                raise OAuthRefused(fault.name, "As it was ordered.")
            answer = _json(self._granted(await _form(request)))
        except OAuthRefused as refused:
            answer = self._oauth_error(refused)
        return _after(fault, answer)

    def _granted(self, form: Mapping[str, str]) -> dict[str, Any]:
        client = {"client_id": form.get("client_key", ""), "client_secret": form.get("client_secret", "")}
        match form.get("grant_type"):
            case "authorization_code":
                issued = self.auth.redeem(
                    form.get("code", ""),
                    redirect_uri=form.get("redirect_uri", ""),
                    verifier=form.get("code_verifier", ""),
                    **client,
                )
            case "refresh_token":
                issued = self._renew(form.get("refresh_token", ""), **client)
            case _:
                raise OAuthRefused("unsupported_grant_type", "The grant type is not supported.")
        now = self.world.now()
        return {
            "access_token": issued.access_token,
            "expires_in": (issued.expires_at - now) // 1000,
            "refresh_token": issued.refresh_token,
            "refresh_expires_in": ((issued.refresh_expires_at or now) - now) // 1000,
            "open_id": issued.account,
            "scope": ",".join(issued.scopes),
            "token_type": "Bearer",
        }

    def _renew(self, refresh_token: str, *, client_id: str, client_secret: str) -> Issued:
        """The token that was used dies at once, or after the grace."""
        now = self.world.now()
        grant, until = self._retired.get(refresh_token, (0, 0))
        taken = refresh_token
        if now < until:
            alive = (one for one in reversed(self.auth.issued) if one.grant == grant and one.refresh_token)
            taken = next((one.refresh_token for one in alive), refresh_token)
        issued = self.auth.renew(taken, client_id=client_id, client_secret=client_secret)
        self._retired[taken] = (issued.grant, now + self.rules.grace_s * 1000)
        return issued

    async def _revoke(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        try:
            self.auth.revoke((await _form(request)).get("token", ""))
        except OAuthRefused as refused:
            return self._oauth_error(refused)
        return _json({})

    def _oauth_error(self, refused: OAuthRefused) -> Response[bytes]:
        error = {"error": refused.error, "error_description": refused.description, "log_id": self._log_id()}
        return _json(error, status=self.rules.oauth_status)

    # Content Posting API

    async def _user_info(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        async def act(holder: Issued) -> dict[str, Any]:
            creator = self.creators[holder.account]
            fields = [name for name in request.query_params.get("fields", "").split(",") if name]
            if not fields or not set(fields) <= set(_FIELDS):
                raise _Refused("invalid_params", "fields is missing or names one that is not known.")
            if not {_FIELDS[name] for name in fields} <= set(holder.scopes):
                raise _Refused("scope_not_authorized")
            user = {
                "open_id": creator.open_id,
                "union_id": f"union-{creator.open_id}",
                "avatar_url": f"https://p16.tiktokcdn.com/{creator.username}.webp",
                "display_name": creator.nickname,
                "username": creator.username,
            }
            return {"user": {name: user[name] for name in fields}}

        return await self._call(request, "user_info", (), act)

    async def _creator_info(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        async def act(holder: Issued) -> dict[str, Any]:
            creator = self.creators[holder.account]
            self._check_may_post(creator)
            self._asked[creator.open_id] = self.world.now()
            return {
                "creator_avatar_url": f"https://p16.tiktokcdn.com/{creator.username}.webp",
                "creator_username": creator.username,
                "creator_nickname": creator.nickname,
                "privacy_level_options": self._options(creator),
                "comment_disabled": creator.comment_disabled,
                "duet_disabled": creator.duet_disabled,
                "stitch_disabled": creator.stitch_disabled,
                "max_video_post_duration_sec": creator.longest_s,
            }

        return await self._call(request, "creator_info", ("video.publish",), act)

    async def _init_direct(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        async def act(holder: Issued) -> dict[str, Any]:
            body = await _object(request)
            creator = self.creators[holder.account]
            self._check_may_post(creator)
            info = body.get("post_info")
            self._check_info(creator, info if isinstance(info, dict) else {})
            return self._begin(creator, body, direct=True)

        return await self._call(request, "init", ("video.publish",), act)

    async def _init_inbox(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        async def act(holder: Issued) -> dict[str, Any]:
            body = await _object(request)
            creator = self.creators[holder.account]
            cap = self.rules.pending_cap
            if cap is not None and len(self.pending(creator.open_id)) >= cap:
                raise _Refused("spam_risk_too_many_pending_share")
            return self._begin(creator, body, direct=False)

        return await self._call(request, "init", ("video.upload",), act)

    async def _status(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        async def act(holder: Issued) -> dict[str, Any]:
            if not {"video.publish", "video.upload"} & set(holder.scopes):
                raise _Refused("scope_not_authorized")
            upload = self.uploads.get(str((await _object(request)).get("publish_id")))
            if upload is None:
                raise _Refused("invalid_publish_id")
            if upload.account != holder.account:
                raise _Refused("token_not_authorized_for_specified_publish_id")
            return self._state(upload)

        return await self._call(request, "status", (), act)

    def pending(self, open_id: str) -> list[Upload]:
        """Drafts of 24 hours that wait for their owner."""
        since = self.world.now() - _DAY_MS
        return [
            upload
            for upload in self._of(open_id, direct=False)
            if upload.completed_at is not None and upload.completed_at > since and not self._is_finished(upload)
        ]

    def _is_finished(self, upload: Upload) -> bool:
        """Whether a draft was posted in the app."""
        if self.rules.finishes_s is not None and upload.processed_at is not None:
            return self.world.now() >= upload.processed_at + self.rules.finishes_s * 1000
        return upload.finished_at is not None

    def _of(self, open_id: str, *, direct: bool) -> list[Upload]:
        """What of an account was not refused."""
        return [
            upload
            for upload in self.uploads.values()
            if upload.account == open_id and upload.direct == direct and not upload.fail_reason
        ]

    def _options(self, creator: Creator) -> list[str]:
        if not self.rules.audited:
            return ["SELF_ONLY"]
        widest = "FOLLOWER_OF_CREATOR" if creator.private else "PUBLIC_TO_EVERYONE"
        return [widest, "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"]

    def _check_may_post(self, creator: Creator) -> None:
        since = self.world.now() - _DAY_MS
        if creator.banned:
            raise _Refused("spam_risk_user_banned_from_posting")
        done = [one for one in self._of(creator.open_id, direct=True) if (one.completed_at or 0) > since]
        if self.rules.daily_cap is not None and len(done) >= self.rules.daily_cap:
            raise _Refused("spam_risk_too_many_posts")
        cap = self.rules.users_cap if self.rules.audited else 5
        users = {one.account for one in self.uploads.values() if one.direct and one.created_at > since}
        if cap is not None and creator.open_id not in users and len(users) >= cap:
            raise _Refused("reached_active_user_cap")

    def _check_info(self, creator: Creator, info: Mapping[str, Any]) -> None:
        privacy = info.get("privacy_level")
        if not privacy:
            raise _Refused("invalid_params", "post_info.privacy_level is missing.")
        if not self.rules.audited and not creator.private:
            raise _Refused("unaudited_client_can_only_post_to_private_accounts")
        if privacy not in self._options(creator):
            raise _Refused("privacy_level_option_mismatch")
        if privacy == "SELF_ONLY" and info.get("brand_content_toggle"):
            raise _Refused("invalid_params", "Branded content cannot be SELF_ONLY.")
        for switch, off in (
            ("disable_comment", creator.comment_disabled),
            ("disable_duet", creator.duet_disabled),
            ("disable_stitch", creator.stitch_disabled),
        ):
            if off and not info.get(switch):
                raise _Refused("invalid_params", f"{switch} must be true for this creator.")
        cover = info.get("video_cover_timestamp_ms", 0)
        if not isinstance(cover, int) or cover < 0:
            raise _Refused("invalid_params", "video_cover_timestamp_ms is not a time.")

    def _begin(self, creator: Creator, body: Mapping[str, Any], *, direct: bool) -> dict[str, Any]:
        info = body.get("post_info")
        info = info if isinstance(info, dict) else {}
        title = info.get("title", "")
        if not isinstance(title, str) or len(title.encode("utf-16-le")) // 2 > 2200:
            raise _Refused("invalid_params", "The title is longer than 2200 UTF-16 runes.")
        size, chunk_size, count = self._chunks(body.get("source_info"))
        now = self.world.now()
        upload = Upload(
            publish_id=f"{'v_pub_file' if direct else 'v_inbox_file'}~v2-1.{self.world.number(19)}",
            upload_id=str(self.world.number(19)),
            upload_token=self.world.token(),
            host=UPLOAD_HOSTS[len(self.uploads) % len(UPLOAD_HOSTS)],
            account=creator.open_id,
            direct=direct,
            info=info,
            size=size,
            chunk_size=chunk_size,
            count=count,
            created_at=now,
            expires_at=now + _HOUR_MS,
            asked=now - self._asked.get(creator.open_id, 0) <= 10 * _MINUTE_MS,
        )
        self.uploads[upload.publish_id] = self._addresses[upload.upload_id] = upload
        address = f"https://{upload.host}/video/?upload_id={upload.upload_id}&upload_token={upload.upload_token}"
        return {"publish_id": upload.publish_id, "upload_url": self.world.url(address)}

    def _chunks(self, source: Any) -> tuple[int, int, int]:
        """A plan that is taken. Raises _Refused."""
        source = source if isinstance(source, dict) else {}
        if source.get("source") == "PULL_FROM_URL":
            raise _Refused("url_ownership_unverified")
        if source.get("source") != "FILE_UPLOAD":
            raise _Refused("invalid_params", "source_info.source is missing or unknown.")
        size, chunk, count = (source.get(name) for name in ("video_size", "chunk_size", "total_chunk_count"))
        if not (isinstance(size, int) and isinstance(chunk, int) and isinstance(count, int)) or size <= 0 or chunk <= 0:
            raise _Refused("invalid_params", "video_size, chunk_size and total_chunk_count must be positive integers.")
        if size > 4 << 30:
            raise _Refused("invalid_params", "The video is too large.")
        if chunk > 64_000_000 or chunk > size or (chunk < 5_000_000 and chunk != size):
            raise _Refused("invalid_params", "The chunk size is invalid")
        if count != size // chunk or not 1 <= count <= 1000:
            raise _Refused("invalid_params", "The total chunk count is invalid")
        if self.rules.strict and count == 1 and chunk != size:
            raise _Refused("invalid_params", "The chunk size is invalid")
        return size, chunk, count

    def _state(self, upload: Upload) -> dict[str, Any]:
        """What status/fetch tells at this moment."""
        now = self.world.now()
        if upload.completed_at is None or upload.processed_at is None or now < upload.processed_at:
            return {"status": "PROCESSING_UPLOAD", "uploaded_bytes": upload.stored}
        if upload.fail_reason:
            return {"status": "FAILED", "fail_reason": upload.fail_reason, "uploaded_bytes": upload.stored}
        if not upload.direct and not self._is_finished(upload):
            return {"status": "SEND_TO_USER_INBOX", "uploaded_bytes": upload.stored}
        told: dict[str, Any] = {"status": "PUBLISH_COMPLETE", "uploaded_bytes": upload.stored}
        if upload.privacy == "PUBLIC_TO_EVERYONE" and now >= upload.post_id_at:
            told["publicaly_available_post_id"] = [upload.post_id]
        return told

    # the upload hosts

    async def _put(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        fault = self._fault("tiktok.put")
        upload = self._addresses.get(request.query_params.get("upload_id", ""))
        if fault is not None and fault.name in ("500", "503", "html", "400", "416"):
            await _drained(request)
            return await self._before(fault) or Response(b"", status_code=int(fault.name))
        if fault is not None and upload is not None and fault.name == "403":
            upload.expires_at = min(upload.expires_at, self.world.now())
        if fault is not None and upload is not None and fault.name == "404":
            upload.forgotten = True
        await self._wait(fault)
        refusal = self._put_refusal(request, upload)
        if refusal or upload is None:
            await _drained(request)
            return Response(b"", status_code=refusal or 404)
        first, last = _range(request) or (0, 0)
        received = await self._received(request, upload, last + 1 - first, fault)
        if received is None:
            return Response(b"", status_code=400)
        if upload.stored != first:  # another connection was faster
            return Response(b"", status_code=416)
        upload.inspection = received
        if upload.stored == upload.size:
            self._complete(upload)
        if fault is not None and fault.name in ("lost_answer", "truncated"):
            raise Broken
        progress = {"Content-Range": f"bytes 0-{upload.stored - 1}/{upload.size}"} if upload.stored else {}
        return Response(b"", status_code=201 if upload.stored == upload.size else 206, headers=progress)

    def _put_refusal(self, request: Request[Any, Any, Any], upload: Upload | None) -> int:
        """A status; 0: the chunk may come."""
        if upload is None or upload.forgotten or request.url.path.split("/")[1] != upload.host:
            return 404
        if request.query_params.get("upload_token") != upload.upload_token or self.world.now() >= upload.expires_at:
            return 403
        span = _range(request)
        if span is None or request.headers.get("Content-Type") not in _TYPES or "Authorization" in request.headers:
            return 400
        first, last = span
        total = request.headers["Content-Range"].rpartition("/")[2]
        if total != str(upload.size) or request.headers.get("Content-Length") != str(last + 1 - first):
            return 400
        if first != upload.stored or first >= upload.size:
            return 416
        index = min(first // upload.chunk_size, upload.count - 1)
        end = upload.size if index == upload.count - 1 else (index + 1) * upload.chunk_size
        return 0 if last + 1 == end else 400

    async def _received(
        self, request: Request[Any, Any, Any], upload: Upload, length: int, fault: Fault | None
    ) -> Inspection | None:
        """What is known after this chunk; None: it has another length. What breaks off leaves nothing."""
        inspection = upload.inspection.copy()
        kept = length // 2 if fault is not None and fault.name == "partial" else length
        came = 0
        async for piece in _stream(request):
            inspection.feed(piece[: max(0, kept - came)])
            came += len(piece)
            if fault is not None and fault.name == "reset":
                raise Broken
        return inspection if came == length else None

    def _complete(self, upload: Upload) -> None:
        """Every byte is here: what will come of it is settled now, and told by and by."""
        upload.completed_at = now = self.world.now()
        upload.processed_at = now + int(self.rules.processing_s * 1000 + upload.size / 20_000)
        upload.post_id = 7_400_000_000_000_000_000 + self.world.number(15)
        upload.post_id_at = upload.processed_at + int(self.rules.moderation_s * 1000)
        longest_s = self.creators[upload.account].longest_s if upload.direct else None
        refusals = upload.inspection.facts().faults("tiktok", longest_s=longest_s)
        upload.fail_reason = refusals[0].code if refusals else ""
        fault = self._fault("tiktok.processing")
        if fault is None:
            return
        if fault.name in FAIL_REASONS:
            upload.fail_reason = fault.name
        elif fault.name == "stuck":
            upload.processed_at = None
        elif fault.name == "slow":
            upload.processed_at += int((fault.value or 600) * 1000)
            upload.post_id_at = upload.processed_at + int(self.rules.moderation_s * 1000)
        else:
            upload.post_id_at += int((fault.value or 4 * 3600) * 1000)

    # common to all

    async def _call(
        self,
        request: Request[Any, Any, Any],
        name: str,
        scopes: tuple[str, ...],
        act: Callable[[Issued], Awaitable[dict[str, Any]]],
    ) -> Response[bytes]:
        """One call of the API: faults, token, scopes and window first, then what it does."""
        fault = self._fault(f"tiktok.{name}")
        if (answer := await self._before(fault)) is not None:
            return answer
        try:
            if fault is not None and fault.name in ERRORS:
                raise _Refused(fault.name)
            holder = self._holder(request)
            if not set(scopes) <= set(holder.scopes):
                raise _Refused("scope_not_authorized")
            self._count(name, holder.access_token)
            data = await act(holder)
        except _Refused as refused:
            error = {"code": refused.code, "message": refused.message, "log_id": self._log_id()}
            return _json({"data": {}, "error": error}, status=ERRORS[refused.code][0])
        if fault is not None and fault.name == "token_expires":
            self.auth.expire(holder.account)
        return _after(fault, _json({"data": data, "error": {"code": "ok", "message": "", "log_id": self._log_id()}}))

    def _holder(self, request: Request[Any, Any, Any]) -> Issued:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        holder = self.auth.holder(token) if scheme == "Bearer" else None
        if holder is None:
            raise _Refused("access_token_invalid")
        return holder

    def _count(self, name: str, token: str) -> None:
        """A call within the last minute's window of this token. Raises _Refused."""
        now = self.world.now()
        calls = self._calls.setdefault((name, token), deque())
        while calls and calls[0] <= now - _MINUTE_MS:
            calls.popleft()
        if len(calls) >= _A_MINUTE[name]:
            raise _Refused("rate_limit_exceeded")
        calls.append(now)

    def _fault(self, point: str) -> Fault | None:
        return self.world.fault(point, by_chance=BY_CHANCE[point])

    async def _before(self, fault: Fault | None) -> Response[bytes] | None:
        """What happens instead of an answer, before anything has taken effect."""
        match fault.name if fault is not None else "":
            case "500" | "503" as status:
                error = {"code": "internal_error", "message": ERRORS["internal_error"][1], "log_id": self._log_id()}
                return _json({"data": {}, "error": error}, status=int(status))
            case "html":
                page = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
                return Response(page, status_code=502, media_type=MediaType.HTML)
            case "reset":
                raise Broken
        await self._wait(fault)
        return None

    async def _wait(self, fault: Fault | None) -> None:
        if fault is not None and fault.name == "slow":
            await asyncio.sleep(self.rules.slow_s if fault.value is None else fault.value)

    def _log_id(self) -> str:
        self._logged += 1
        return f"2026{self._logged:028d}"


def _after(fault: Fault | None, answer: Response[bytes]) -> Response[bytes]:
    """What becomes of an answer after it has taken effect."""
    if fault is not None and fault.name == "lost_answer":
        raise Broken
    if fault is not None and fault.name == "truncated":
        answer.content = answer.content[: len(answer.content) // 2]
    return answer


def _json(value: Any, *, status: int = 200) -> Response[bytes]:
    return Response(msgspec.json.encode(value), status_code=status, media_type=MediaType.JSON)


async def _form(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Raises OAuthRefused: it is none."""
    if not request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        raise OAuthRefused("invalid_request", "Only form-encoded bodies are supported.")
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))


async def _object(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """A JSON body. Raises _Refused."""
    if not request.headers.get("Content-Type", "").startswith("application/json"):
        raise _Refused("invalid_params", "Content-Type must be application/json.")
    try:
        value = msgspec.json.decode(await request.body())
    except msgspec.DecodeError:
        value = None
    if not isinstance(value, dict):
        raise _Refused("invalid_params", "The body is not a JSON object.")
    return value


def _range(request: Request[Any, Any, Any]) -> tuple[int, int] | None:
    found = re.fullmatch(r"bytes (\d+)-(\d+)/\d+", request.headers.get("Content-Range", ""))
    span = (int(found[1]), int(found[2])) if found else (1, 0)
    return span if span[0] <= span[1] else None


async def _stream(request: Request[Any, Any, Any]) -> AsyncIterator[bytes]:
    try:
        async for piece in request.stream():
            yield piece
    except InternalServerException:  # litestar's name for a sender who went away
        raise Broken from None


async def _drained(request: Request[Any, Any, Any]) -> None:
    """Who answers before it has all is not heard over HTTP/1.1."""
    async for _ in _stream(request):
        pass
