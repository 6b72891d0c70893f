"""TikTok, simulated: Login Kit v2 and the Content Posting API.

What the real one enforces is enforced: hex PKCE, refresh tokens that are good once, the choices of a creator, chunk
plans, windows of a minute, daily caps, an upload address of one hour that takes chunks in order. Two inits whose bytes
come make two posts, however alike they are.

Source: developers.tiktok.com, as of November 2026.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from vidprod.platforms.simulators.oauth import AuthServer, Issued
from vidprod.platforms.simulators.tiktok_faults import Faults, after, to_json
from vidprod.platforms.simulators.tiktok_login import LoginKit
from vidprod.platforms.simulators.tiktok_rules import API, ERRORS, Creator, Refused, Rules
from vidprod.platforms.simulators.tiktok_uploads import Upload, UploadHosts, plan_of
from vidprod.platforms.simulators.world import Posted, World

_MINUTE_MS, _DAY_MS = 60_000, 86_400_000
_A_MINUTE = {"init": 6, "creator_info": 20, "status": 30, "user_info": 600}  # calls, a user token
_FIELDS = {
    "open_id": "user.info.basic",
    "union_id": "user.info.basic",
    "avatar_url": "user.info.basic",
    "display_name": "user.info.basic",
    "username": "user.info.profile",
}


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
        self._faults = Faults(world, self.rules)
        self._login = LoginKit(world, rules=self.rules, faults=self._faults, names=self.names, clients=clients)
        self._hosts = UploadHosts(world, rules=self.rules, faults=self._faults, creators=self.creators)
        self._calls: dict[tuple[str, str], deque[int]] = {}
        self._asked: dict[str, int] = {}  # creator_info, by account
        for creator in creators or (
            Creator(open_id="-000public", username="mira.makes", nickname="Mira makes"),
            Creator(open_id="-000private", username="noel.quiet", nickname="Noel", private=True),
        ):
            self.add(creator)

    @property
    def auth(self) -> AuthServer:
        """Its tokens."""
        return self._login.auth

    @property
    def uploads(self) -> dict[str, Upload]:
        """What inits have made, by publish_id."""
        return self._hosts.uploads

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
            *self._login.handlers(),
            get(f"/{API}/v2/user/info")(self._user_info),
            post(f"/{API}/v2/post/publish/creator_info/query", status_code=200)(self._creator_info),
            post(f"/{API}/v2/post/publish/video/init", status_code=200)(self._init_direct),
            post(f"/{API}/v2/post/publish/inbox/video/init", status_code=200)(self._init_inbox),
            post(f"/{API}/v2/post/publish/status/fetch", status_code=200)(self._status),
            *self._hosts.handlers(),
        ]

    # Content Posting API

    async def _user_info(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        async def act(holder: Issued) -> dict[str, Any]:
            creator = self.creators[holder.account]
            fields = [name for name in request.query_params.get("fields", "").split(",") if name]
            if not fields or not set(fields) <= set(_FIELDS):
                raise Refused("invalid_params", "fields is missing or names one that is not known.")
            if not {_FIELDS[name] for name in fields} <= set(holder.scopes):
                raise Refused("scope_not_authorized")
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
                raise Refused("spam_risk_too_many_pending_share")
            return self._begin(creator, body, direct=False)

        return await self._call(request, "init", ("video.upload",), act)

    async def _status(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        async def act(holder: Issued) -> dict[str, Any]:
            if not {"video.publish", "video.upload"} & set(holder.scopes):
                raise Refused("scope_not_authorized")
            upload = self.uploads.get(str((await _object(request)).get("publish_id")))
            if upload is None:
                raise Refused("invalid_publish_id")
            if upload.account != holder.account:
                raise Refused("token_not_authorized_for_specified_publish_id")
            return self._hosts.state(upload)

        return await self._call(request, "status", (), act)

    def pending(self, open_id: str) -> list[Upload]:
        """Drafts of 24 hours that wait for their owner."""
        since = self.world.now() - _DAY_MS
        return [
            upload
            for upload in self._of(open_id, direct=False)
            if upload.completed_at is not None and upload.completed_at > since and not self._hosts.is_finished(upload)
        ]

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
            raise Refused("spam_risk_user_banned_from_posting")
        done = [one for one in self._of(creator.open_id, direct=True) if (one.completed_at or 0) > since]
        if self.rules.daily_cap is not None and len(done) >= self.rules.daily_cap:
            raise Refused("spam_risk_too_many_posts")
        cap = self.rules.users_cap if self.rules.audited else 5
        users = {one.account for one in self.uploads.values() if one.direct and one.created_at > since}
        if cap is not None and creator.open_id not in users and len(users) >= cap:
            raise Refused("reached_active_user_cap")

    def _check_info(self, creator: Creator, info: Mapping[str, Any]) -> None:
        privacy = info.get("privacy_level")
        if not privacy:
            raise Refused("invalid_params", "post_info.privacy_level is missing.")
        if not self.rules.audited and not creator.private:
            raise Refused("unaudited_client_can_only_post_to_private_accounts")
        if privacy not in self._options(creator):
            raise Refused("privacy_level_option_mismatch")
        if privacy == "SELF_ONLY" and info.get("brand_content_toggle"):
            raise Refused("invalid_params", "Branded content cannot be SELF_ONLY.")
        for switch, off in (
            ("disable_comment", creator.comment_disabled),
            ("disable_duet", creator.duet_disabled),
            ("disable_stitch", creator.stitch_disabled),
        ):
            if off and not info.get(switch):
                raise Refused("invalid_params", f"{switch} must be true for this creator.")
        cover = info.get("video_cover_timestamp_ms", 0)
        if not isinstance(cover, int) or cover < 0:
            raise Refused("invalid_params", "video_cover_timestamp_ms is not a time.")

    def _begin(self, creator: Creator, body: Mapping[str, Any], *, direct: bool) -> dict[str, Any]:
        info = body.get("post_info")
        info = info if isinstance(info, dict) else {}
        title = info.get("title", "")
        if not isinstance(title, str) or len(title.encode("utf-16-le")) // 2 > 2200:
            raise Refused("invalid_params", "The title is longer than 2200 UTF-16 runes.")
        plan = plan_of(body.get("source_info"), strict=self.rules.strict)
        asked = self.world.now() - self._asked.get(creator.open_id, 0) <= 10 * _MINUTE_MS
        return self._hosts.open(creator, info, plan, direct=direct, asked=asked)

    # common to all

    async def _call(
        self,
        request: Request[Any, Any, Any],
        name: str,
        scopes: tuple[str, ...],
        act: Callable[[Issued], Awaitable[dict[str, Any]]],
    ) -> Response[bytes]:
        """One call of the API: faults, token, scopes and window first, then what it does."""
        fault = self._faults.at(f"tiktok.{name}")
        if (answer := await self._faults.before(fault)) is not None:
            return answer
        try:
            if fault is not None and fault.name in ERRORS:
                raise Refused(fault.name)
            holder = self._holder(request)
            if not set(scopes) <= set(holder.scopes):
                raise Refused("scope_not_authorized")
            self._count(name, holder.access_token)
            data = await act(holder)
        except Refused as refused:
            error = {"code": refused.code, "message": refused.message, "log_id": self._faults.log_id()}
            return to_json({"data": {}, "error": error}, status=ERRORS[refused.code][0])
        if fault is not None and fault.name == "token_expires":
            self.auth.expire(holder.account)
        return after(
            fault, to_json({"data": data, "error": {"code": "ok", "message": "", "log_id": self._faults.log_id()}})
        )

    def _holder(self, request: Request[Any, Any, Any]) -> Issued:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        holder = self.auth.holder(token) if scheme == "Bearer" else None
        if holder is None:
            raise Refused("access_token_invalid")
        return holder

    def _count(self, name: str, token: str) -> None:
        """A call within the last minute's window of this token. Raises Refused."""
        now = self.world.now()
        calls = self._calls.setdefault((name, token), deque())
        while calls and calls[0] <= now - _MINUTE_MS:
            calls.popleft()
        if len(calls) >= _A_MINUTE[name]:
            raise Refused("rate_limit_exceeded")
        calls.append(now)


async def _object(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """A JSON body. Raises Refused."""
    if not request.headers.get("Content-Type", "").startswith("application/json"):
        raise Refused("invalid_params", "Content-Type must be application/json.")
    try:
        value = msgspec.json.decode(await request.body())
    except msgspec.DecodeError:
        value = None
    if not isinstance(value, dict):
        raise Refused("invalid_params", "The body is not a JSON object.")
    return value
