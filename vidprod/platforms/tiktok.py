"""TikTok: Login Kit v2 and the Content Posting API, as drafts to the inbox or posted directly.

    creator_info (direct)  →  init  →  chunks to upload_url  →  status/fetch
                              once                              reads only

An init whose answer was lost may have made a publish id, but without its bytes nothing comes of it. The last byte is
what cannot be taken back. Codes and limits: developers.tiktok.com, Content Posting API, as of November 2026.
"""

import asyncio
import hashlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from vidprod.domain import post as wording
from vidprod.domain.account import AccountSettings, Flavour, Platform
from vidprod.domain.post import Post, Privacy
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import App, Asked, Grant, Handle, Identity, Media, Reading, Tokens
from vidprod.platforms.wire import Answer, Wire

API = "https://open.tiktokapis.com"
AUTHORIZE = "https://www.tiktok.com/v2/auth/authorize/"
UPLOAD_HOSTS = "tiktokapis.com"  # open-upload and upload.REGION below it

DRAFT_SCOPES = ("user.info.basic", "user.info.profile", "video.upload")
DIRECT_SCOPES = (*DRAFT_SCOPES, "video.publish")

ONE_CHUNK = 64_000_000  # bytes; up to here the file is one chunk, whose size must be declared exactly
CHUNK = 10_000_000
MOST_BYTES = 4 << 30
LONGEST_S = 600
ADDRESS_S = 3600  # life of an upload_url
_MARGIN_S = 600  # after it, until what did not come is taken for lost
_PIECE = 512 << 10
_DAY_S = 24 * 3600.0

PRIVACY: dict[Privacy, str] = {
    "public": "PUBLIC_TO_EVERYONE",
    "friends": "MUTUAL_FOLLOW_FRIENDS",
    "followers": "FOLLOWER_OF_CREATOR",
    "private": "SELF_ONLY",
}
_IN_WORDS = {
    "PUBLIC_TO_EVERYONE": "public",
    "MUTUAL_FOLLOW_FRIENDS": "friends (who follow each other)",
    "FOLLOWER_OF_CREATOR": "followers",
    "SELF_ONLY": "private",
}


class _Rule(NamedTuple):
    """What an error code means."""

    kind: str
    on_init: str = ""  # where init is another matter: it must not be repeated blindly
    wait_s: float | None = None
    hint: str = ""


_ERRORS: dict[str, _Rule] = {
    "invalid_param": _Rule("FIX"),
    "invalid_params": _Rule("FIX"),
    "access_token_invalid": _Rule("REFRESH", on_init="RECONCILE"),
    "scope_not_authorized": _Rule("REAUTH", hint="Connect the account again and leave every permission ticked."),
    "scope_permission_missed": _Rule("REAUTH", hint="Connect the account again and leave every permission ticked."),
    "rate_limit_exceeded": _Rule("RETRY", wait_s=60),
    "spam_risk_too_many_posts": _Rule(
        "QUOTA", wait_s=_DAY_S, hint="TikTok counts an account's posts of all apps, about 15 in 24 hours."
    ),
    "spam_risk_user_banned_from_posting": _Rule("POLICY", hint="Open the TikTok app: it says what the account may."),
    "spam_risk_too_many_pending_share": _Rule(
        "QUOTA", wait_s=_DAY_S, hint="Finish or delete the drafts in the TikTok inbox: five may wait in 24 hours."
    ),
    "reached_active_user_cap": _Rule(
        "QUOTA", wait_s=_DAY_S, hint="This TikTok app has reached its number of posting users for 24 hours."
    ),
    "unaudited_client_can_only_post_to_private_accounts": _Rule(
        "FIX",
        hint="This TikTok app is not audited: set the TikTok account itself to private (a private post is not enough), "
        "or deliver drafts.",
    ),
    "privacy_level_option_mismatch": _Rule("FIX", hint="The account's choices have changed: choose another privacy."),
    "url_ownership_unverified": _Rule("FIX"),
    "app_version_check_failed": _Rule("FIX", hint="Update the TikTok app on the phone."),
    "invalid_file_upload": _Rule("FIX"),
    "invalid_publish_id": _Rule("RECONCILE"),
    "token_not_authorized_for_specified_publish_id": _Rule("RECONCILE"),
    "internal_error": _Rule("RETRY", on_init="RECONCILE"),
}

_FAILURES: dict[str, str] = {  # fail_reason
    "file_format_check_failed": "FIX",
    "duration_check_failed": "FIX",
    "frame_rate_check_failed": "FIX",
    "picture_size_check_failed": "FIX",
    "internal": "RETRY",
    "video_pull_failed": "FIX",
    "photo_pull_failed": "FIX",
    "publish_cancelled": "POLICY",
    "auth_removed": "REAUTH",
    "spam_risk_too_many_posts": "QUOTA",
    "spam_risk_user_banned_from_posting": "POLICY",
    "spam_risk_text": "POLICY",
    "spam_risk": "POLICY",
}

_PUT_ERRORS: dict[int, tuple[str, str, str]] = {
    400: ("FIX", "upload_refused", "TikTok did not take the chunk: bad headers, or another length."),
    403: ("RECONCILE", "upload_expired", "TikTok does not take the upload address any more."),
    404: ("RECONCILE", "upload_unknown", "TikTok does not know the upload address."),
    416: ("RECONCILE", "upload_elsewhere", "TikTok has other bytes than it was to be sent."),
}


@dataclass(frozen=True)
class Plan:
    """How a file is cut into chunks."""

    chunk_size: int
    count: int

    def chunk(self, position: int, size: int) -> tuple[int, int]:
        """First and last byte of the chunk that a byte belongs to; the rest of the file joins the last one."""
        index = min(position // self.chunk_size, self.count - 1)
        first = index * self.chunk_size
        return first, size - 1 if index == self.count - 1 else first + self.chunk_size - 1


def plan(size: int) -> Plan:
    """The chunks of a file of `size` bytes.

    Since August 2026 one chunk must be declared with the file's own size, and more than 64 MB must be several.
    """
    return Plan(size, 1) if size <= ONE_CHUNK else Plan(CHUNK, size // CHUNK)


def challenge(verifier: str) -> str:
    """SHA-256 in lowercase hex: TikTok's spelling of PKCE's S256, not RFC 7636's."""
    return hashlib.sha256(verifier.encode()).hexdigest()


def error_of(answer: Answer, *, init: bool = False) -> PlatformError:
    """What an answer that is not "ok" means.

    Args:
        init: it is the answer to an init.
    """
    said = _object(answer.json().get("error"))
    code = str(said.get("code") or "")
    if not code or code == "ok":  # a proxy's page, or half an answer
        kind = "RECONCILE" if init else "RETRY"
        return PlatformError(
            f"TikTok answered {answer.status} with something else than its JSON.",
            kind=kind,
            code="no_answer",
            http_status=answer.status,
        )
    rule = _ERRORS.get(code) or _rule_of(answer.status)
    return PlatformError(
        str(said.get("message") or code)[:500],
        kind=(rule.on_init or rule.kind) if init else rule.kind,
        code=code,
        hint=rule.hint,
        http_status=answer.status,
        retry_after_s=rule.wait_s,
        trace=str(said.get("log_id") or ""),
    )


def _rule_of(status: int) -> _Rule:
    """Of a code that is not known."""
    if status == 401:
        return _ERRORS["access_token_invalid"]
    if status == 429:
        return _ERRORS["rate_limit_exceeded"]
    if status >= 500:
        return _ERRORS["internal_error"]
    return _Rule("POLICY") if status == 403 else _Rule("FIX")


def failure_of(reason: str) -> str:
    """The kind of a `fail_reason`."""
    if reason in _FAILURES:
        return _FAILURES[reason]
    return "POLICY" if reason.startswith("spam_risk") else "FIX"


def _oauth_error(answer: Answer) -> PlatformError:
    """Errors of the token endpoint are flat, and may come with 200."""
    said = answer.json()
    code = said.get("error")
    if not isinstance(code, str) or answer.status >= 500 or answer.status == 429:
        return PlatformError(
            f"TikTok answered {answer.status} to a request for a token.",
            kind="RETRY",
            code=code if isinstance(code, str) else "no_answer",
            http_status=answer.status,
        )
    wrong_app = code in ("invalid_client", "unauthorized_client")
    return PlatformError(
        str(said.get("error_description") or code)[:500],
        kind="RETRY" if code in ("server_error", "temporarily_unavailable") else "REAUTH",
        code=code,
        hint="Check tiktok_client_key and tiktok_client_secret." if wrong_app else "",
        http_status=answer.status,
        trace=str(said.get("log_id") or ""),
    )


class TikTokLogin:
    """How TikTok accounts are connected."""

    platform: Platform = "tiktok"
    flavour: Flavour = ""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def ask(self, app: App, *, redirect_uri: str, state: str, direct: bool) -> Asked:
        verifier = secrets.token_urlsafe(48)
        asked = {
            "client_key": app.client_id,
            "response_type": "code",
            "scope": ",".join(DIRECT_SCOPES if direct else DRAFT_SCOPES),
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        return Asked(url=self._wire.url(f"{AUTHORIZE}?{urlencode(asked)}"), verifier=verifier)

    async def exchange(self, app: App, *, code: str, redirect_uri: str, verifier: str) -> Tokens:
        return await self._tokens(
            app,
            grant_type="authorization_code",
            code=code,
            redirect_uri=redirect_uri,
            code_verifier=verifier,
        )

    async def refresh(self, app: App, tokens: Tokens) -> Tokens:
        """The refresh token that was used is dead from now on, the new one is in the answer."""
        return await self._tokens(app, tokens, grant_type="refresh_token", refresh_token=tokens.refresh_token)

    async def identify(self, app: App, tokens: Tokens) -> list[Identity]:
        fields = "open_id,display_name"
        if not tokens.scopes or "user.info.profile" in tokens.scopes:
            fields += ",username"
        answer = await self._wire.call(
            "GET",
            f"{API}/v2/user/info/",
            params={"fields": fields},
            headers={"Authorization": f"Bearer {tokens.access_token}"},
            timeout_s=30,
        )
        user = _object(_data(answer).get("user"))
        if not user.get("open_id"):
            raise PlatformError("TikTok did not say whose account it is.", kind="RETRY", code="no_answer")
        return [
            Identity(
                external_id=str(user["open_id"]),
                name=str(user.get("display_name") or user.get("username") or user["open_id"]),
                username=str(user.get("username") or ""),
                notices=tuple(await self._notices(tokens)),
            )
        ]

    async def revoke(self, app: App, tokens: Tokens) -> None:
        form = {"client_key": app.client_id, "client_secret": app.client_secret, "token": tokens.access_token}
        answer = await self._wire.call("POST", f"{API}/v2/oauth/revoke/", form=form, timeout_s=30)
        if answer.status >= 400 or answer.json().get("error"):
            raise _oauth_error(answer)

    async def _tokens(self, app: App, before: Tokens | None = None, **form: str) -> Tokens:
        form = {"client_key": app.client_id, "client_secret": app.client_secret, **form}
        answer = await self._wire.call("POST", f"{API}/v2/oauth/token/", form=form, timeout_s=30)
        said = answer.json()
        if not said.get("access_token"):
            raise _oauth_error(answer)
        before = before or Tokens(access_token="")
        scopes = tuple(scope for scope in str(said.get("scope") or "").split(",") if scope)
        return Tokens(
            access_token=str(said["access_token"]),
            refresh_token=str(said.get("refresh_token") or before.refresh_token),
            expires_in_s=_whole(said.get("expires_in")),
            refresh_expires_in_s=_whole(said.get("refresh_expires_in")),
            scopes=scopes or before.scopes,
            extra={**before.extra, **({"open_id": str(said["open_id"])} if said.get("open_id") else {})},
        )

    async def _notices(self, tokens: Tokens) -> list[str]:
        notices = []
        if tokens.scopes and "video.upload" not in tokens.scopes:
            notices.append("Drafts cannot be delivered: the permission video.upload was not granted.")
        if tokens.scopes and "user.info.profile" not in tokens.scopes:
            notices.append("Posts have no address: the permission user.info.profile was not granted.")
        if "video.publish" not in tokens.scopes:
            return [*notices, "Direct posts are not granted: segments go to the inbox as drafts."]
        try:
            options = _data(await _creator_info(self._wire, tokens.access_token)).get("privacy_level_options")
        except PlatformError as error:  # nothing that connecting depends on
            return [*notices, f"TikTok says of direct posts at present: {error}"]
        if options == ["SELF_ONLY"]:
            notices.append(
                "This TikTok app is not audited: direct posts are private, and the account must be set to private too."
            )
        return notices


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
            body["post_info"] = _post_info(creator, post, media)
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
                raise _put_error(answer.status)
            before, stored = stored, _progress(answer, size, last + 1)
            if stored <= before:
                raise _put_error(416)
            sent(stored)
        return {**handle, "stored": size}

    async def publish(self, grant: Grant, handle: Handle) -> Handle:
        """The last byte was what published it."""
        return handle

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
            reason = str(data.get("fail_reason") or "no_reason")
            return Reading(state="rejected", said=reason, kind=failure_of(reason), code=reason)
        size = int(handle["size"])
        if status in ("SEND_TO_USER_INBOX", "PUBLISH_COMPLETE"):
            return _live(grant, handle, status, data)
        if status not in ("PROCESSING_UPLOAD", "PROCESSING_DOWNLOAD"):
            return Reading(state="unknown", said=status or "TikTok told no status")
        told = _whole(data.get("uploaded_bytes"))
        stored = int(handle["stored"]) if told is None else told
        if status == "PROCESSING_DOWNLOAD" or stored >= size:
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
            return await _creator_info(self._wire, token)

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
        if not _is_ok(answer):
            error = error_of(answer, init=True)
            if error.code == "access_token_invalid":
                with suppress(PlatformError):
                    await grant.renew(token)  # for who reads next; init itself is not repeated here
            raise error
        data = _object(answer.json().get("data"))
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
            content=_pieces(media.path, first, last, sent),
            timeout_s=300,
        )

    async def _uploaded(self, grant: Grant, handle: Handle) -> int:
        """Bytes that TikTok has, by its status. Raises PlatformError, where it does not tell."""
        stored = _whole((await self._status(grant, handle)).get("uploaded_bytes"))
        if stored is None:
            raise _put_error(416)
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
                return _data(await ask(token))
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


async def _creator_info(wire: Wire, token: str) -> Answer:
    return await wire.call(
        "POST",
        f"{API}/v2/post/publish/creator_info/query/",
        headers={"Authorization": f"Bearer {token}"},
        body={},
        timeout_s=30,
    )


def _post_info(creator: Mapping[str, Any], post: Post, media: Media) -> dict[str, Any]:
    """What a direct post says, within what the account may at this moment.

    Raises:
        PlatformError: FIX: it may not what was asked for.
    """
    options = [str(option) for option in creator.get("privacy_level_options") or []]
    if post.privacy is None or PRIVACY.get(post.privacy) not in options:
        raise _privacy_error(post.privacy, options)
    longest_s = _whole(creator.get("max_video_post_duration_sec")) or LONGEST_S
    if media.duration_us > longest_s * 1_000_000:
        raise PlatformError(
            f"The clip has {media.duration_us / 1e6:.1f} s, and this account may post {longest_s} s.",
            kind="FIX",
            code="duration_check_failed",
        )
    return {
        "title": wording.text_of(post, "tiktok"),
        "privacy_level": PRIVACY[post.privacy],
        # a switch that the account has off must be sent as off
        "disable_comment": bool(creator.get("comment_disabled")) or not post.comments,
        "disable_duet": bool(creator.get("duet_disabled")) or not post.duet,
        "disable_stitch": bool(creator.get("stitch_disabled")) or not post.stitch,
        "video_cover_timestamp_ms": post.cover_ms,
        "brand_content_toggle": post.brand_content,
        "brand_organic_toggle": post.brand_organic,
        "is_aigc": post.synthetic,
    }


def _privacy_error(privacy: Privacy | None, options: list[str]) -> PlatformError:
    choices = ", ".join(_IN_WORDS.get(option, option) for option in options) or "nothing"
    wanted = f"This account cannot post as {privacy} now" if privacy else "Nobody chose who sees the post"
    unaudited = options == ["SELF_ONLY"]
    code = "unaudited_client_can_only_post_to_private_accounts" if unaudited else "privacy_level_option_mismatch"
    return PlatformError(
        f"{wanted}: TikTok offers {choices}.",
        kind="FIX",
        code="privacy_level_option_mismatch",
        hint=_ERRORS[code].hint,
    )


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


async def _pieces(path: Path, first: int, last: int, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
    """A range of the file, from disk."""
    file = path.open("rb")  # at once: one that opened while we are cancelled would stay open
    try:
        await asyncio.to_thread(file.seek, first)
        at = first
        while at <= last and (piece := await asyncio.to_thread(file.read, min(_PIECE, last + 1 - at))):
            yield piece
            at += len(piece)
            sent(at)
    finally:
        file.close()


def _progress(answer: Answer, size: int, default: int) -> int:
    """Bytes that are stored, as an answer to a chunk says."""
    if answer.status != 206:
        return size
    told = re.fullmatch(r"bytes 0-(\d+)/\d+", answer.headers.get("Content-Range", ""))
    return min(int(told[1]) + 1, size) if told else default


def _put_error(status: int) -> PlatformError:
    """Answers to a chunk have no JSON."""
    if status >= 500:
        kind, code, said = "RETRY", "upload_failed", f"TikTok answered {status}: it asks for the same chunk again."
    elif status == 429:
        kind, code, said = "RETRY", "rate_limit_exceeded", "TikTok wants chunks to come more slowly."
    else:
        unknown = ("RECONCILE", "upload_unclear", f"TikTok answered {status} to a chunk.")
        kind, code, said = _PUT_ERRORS.get(status, unknown)
    return PlatformError(said, kind=kind, code=code, http_status=status, retry_after_s=60 if status == 429 else None)


def _is_ok(answer: Answer) -> bool:
    return answer.status == 200 and _object(answer.json().get("error")).get("code") == "ok"


def _data(answer: Answer) -> dict[str, Any]:
    """What a call that changes nothing brought. Raises PlatformError."""
    if not _is_ok(answer):
        raise error_of(answer)
    return _object(answer.json().get("data"))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: Any) -> int | None:
    """A count, as a number or in digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.isdecimal() else None
