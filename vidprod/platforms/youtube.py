"""YouTube Shorts, by the Data API v3: OAuth at Google, a resumable session, and what became of it.

Nothing is public, and no video exists, until the last byte is in; then it cannot be taken back. Whether it is in is
asked of the session itself (`bytes */SIZE`), so `send` always asks first: an answer that was lost is found there.

Sources: developers.google.com/youtube/v3 (resumable uploads, errors, quota cost), Google's API description of v3.
"""

import asyncio
import base64
import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO, Literal
from urllib.parse import urlencode

from vidprod.domain import post as wording
from vidprod.domain.account import AccountSettings, Flavour, Platform
from vidprod.domain.post import Post
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import App, Asked, Grant, Handle, Identity, Media, Reading, Tokens
from vidprod.platforms.wire import Answer, Wire

UPLOAD = "https://www.googleapis.com/auth/youtube.upload"
READ = "https://www.googleapis.com/auth/youtube.readonly"
UNAUDITED = "Until Google has audited this Google project, YouTube keeps its uploads private."
TESTING = (
    "The consent screen of this Google project is in testing: the connection ends {days} days after it was made. "
    "Put it into production in the Google Cloud console, then connect again."
)
LOCKED = "YouTube keeps it private: this Google project is not audited, and making it public by hand is undone."

_AUTHORISE = "https://accounts.google.com/o/oauth2/v2/auth"
_TOKEN = "https://oauth2.googleapis.com/token"  # noqa: S105
_REVOKE = "https://oauth2.googleapis.com/revoke"
_UPLOADS = "https://www.googleapis.com/upload/youtube/v3/videos"
_API = "https://www.googleapis.com/youtube/v3"

_CHUNK = 8 << 20  # a multiple of 262,144, as all but the last must be; what is lost at most when a connection breaks
_PIECE = 512 << 10
_STALLS = 3  # answers in a row that took nothing of what was sent
_OAUTH_S = 30.0
_CHUNK_S = 300.0
_POLL_S = 30.0
_LONGEST_US = 180_000_000  # of a Short
_MOST_BYTES = 274_877_906_944
_FORGOTTEN_MS = 24 * 3_600_000  # a video that is not listed so long after its session began was deleted
_DAY_S = 86_400.0

# by the reason of the first error, developers.google.com/youtube/v3/docs/errors: what is to be done
_ERRORS: Mapping[str, str] = {
    "uploadLimitExceeded": "QUOTA",
    "invalidTitle": "FIX",
    "invalidDescription": "FIX",
    "invalidTags": "FIX",
    "invalidCategoryId": "FIX",
    "invalidVideoMetadata": "FIX",
    "invalidPublishAt": "FIX",
    "invalidFilename": "FIX",
    "invalidRecordingDetails": "FIX",
    "invalidVideoGameRating": "FIX",
    "defaultLanguageNotSet": "FIX",
    "mediaBodyRequired": "FIX",
    "badRequest": "FIX",
    "invalidParameter": "FIX",
    "parseError": "FIX",
    "unexpectedPart": "FIX",
    "unknownPart": "FIX",
    "wrongUrlForUpload": "FIX",
    "authError": "REFRESH",
    "required": "REFRESH",
    "expired": "REFRESH",
    "authorizationRequired": "REFRESH",
    "youtubeSignupRequired": "REAUTH",
    "quotaExceeded": "QUOTA",
    "dailyLimitExceeded": "QUOTA",
    "rateLimitExceeded": "RETRY",
    "userRateLimitExceeded": "RETRY",
    "servingLimitExceeded": "RETRY",
    "forbidden": "REAUTH",
    "insufficientPermissions": "REAUTH",
    "accessNotConfigured": "FIX",
    "forbiddenPrivacySetting": "FIX",
    "forbiddenLicenseSetting": "FIX",
    "authenticatedUserAccountSuspended": "POLICY",
    "authenticatedUserAccountClosed": "POLICY",
    "channelSuspended": "POLICY",
    "channelClosed": "POLICY",
    "authenticatedUserNotChannel": "REAUTH",
    "videoNotFound": "RECONCILE",
    "uploadTooLarge": "FIX",
    "requestedRangeNotSatisfiable": "RECONCILE",
    "uploadRateLimitExceeded": "RETRY",
    "internalError": "RETRY",
    "backendError": "RETRY",
    "notReady": "RETRY",
}
# where no known reason is given; 404 and 410 without one are a session's
_STATUSES: Mapping[int, str] = {
    400: "FIX",
    401: "REFRESH",
    403: "FIX",
    404: "NEWHANDLE",
    408: "RETRY",
    410: "NEWHANDLE",
    413: "FIX",
    416: "RECONCILE",
    429: "RETRY",
}
_HINTS: Mapping[str, str] = {
    "uploadLimitExceeded": "YouTube limits how much a channel uploads in a day, apart from any quota.",
    "quotaExceeded": "The quota of this Google project is used up; it is anew at midnight Pacific time.",
    "dailyLimitExceeded": "The quota of this Google project is used up; it is anew at midnight Pacific time.",
    "youtubeSignupRequired": "The Google account has no YouTube channel: make one, then connect again.",
    "accessNotConfigured": "Enable the YouTube Data API v3 for this project in the Google Cloud console.",
    "insufficientPermissions": "Connect the account again, and leave every permission ticked.",
    "invalid_grant": "It was revoked, unused for six months, or made 7 days ago for a project in testing.",
    "invalid_client": "Check youtube_client_id and youtube_client_secret.",
    "redirect_uri_mismatch": "Enter the redirect address at the OAuth client in the Google Cloud console.",
}
_FAILURES = {  # `failureReason` and `rejectionReason` in words
    "conversion": "YouTube could not convert the file.",
    "invalidFile": "YouTube does not know the format of the file.",
    "emptyFile": "The file is empty.",
    "tooSmall": "The file is too small.",
    "codec": "YouTube does not know a codec of the file.",
    "uploadAborted": "The upload was not finished.",
    "copyright": "Rejected for copyright.",
    "inappropriate": "Rejected as inappropriate.",
    "duplicate": "Rejected: this channel has uploaded the same video before.",
    "termsOfUse": "Rejected by the terms of use.",
    "uploaderAccountSuspended": "Rejected: the account is suspended.",
    "length": "Rejected: the video is too long for this channel.",
    "claim": "Blocked by a claim of its owner.",
    "uploaderAccountClosed": "Rejected: the account is closed.",
    "trademark": "Rejected for a trademark.",
    "legal": "Rejected for a legal reason.",
}


def error_of(answer: Answer) -> PlatformError:
    """What an answer of the Data API or of an upload session that is no success says, and what is to be done."""
    error = _part(answer.json(), "error")
    errors = error.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    reason = str(first.get("reason") or error.get("status") or "")
    message = str(error.get("message") or first.get("message") or f"YouTube answered {answer.status}.")
    kind = _ERRORS.get(reason) or _STATUSES.get(answer.status) or ("RETRY" if answer.status >= 500 else "FIX")
    retry_after_s = _seconds(answer.headers.get("Retry-After"))
    if reason == "rateLimitExceeded" and "per day" in message:
        kind = "QUOTA"  # uploads have a quota of their own, and only its words tell it from a burst
    elif reason == "uploadLimitExceeded":
        retry_after_s = _DAY_S
    elif answer.status == 400 and not error and b"Content-Range" in answer.body:
        kind = "RECONCILE"  # a range the session does not want: it may be complete
    elif answer.status >= 500:
        kind = "RETRY"
    return PlatformError(
        message,
        kind=kind,
        code=reason or f"http_{answer.status}",
        hint=_HINTS.get(reason, ""),
        http_status=answer.status,
        retry_after_s=retry_after_s,
    )


def login_error_of(answer: Answer) -> PlatformError:
    """The same of Google's token endpoint, whose errors are flat."""
    told = answer.json()
    code = told.get("error")
    if answer.status >= 500 or answer.status == 429 or not isinstance(code, str):
        kind, code = "RETRY", f"http_{answer.status}"
    else:
        kind = "REAUTH" if code in ("invalid_grant", "invalid_scope", "access_denied") else "FIX"
    message = str(told.get("error_description") or told.get("error") or f"Google answered {answer.status}.")
    return PlatformError(
        message, kind=kind, code=code, hint=_HINTS.get(code, ""), http_status=answer.status, retry_after_s=None
    )


class YouTubeLogin:
    """Google's OAuth 2.0 for installed and web applications. Its refresh tokens do not rotate."""

    platform: Platform = "youtube"
    flavour: Flavour = ""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def ask(self, app: App, *, redirect_uri: str, state: str, direct: bool) -> Asked:
        """Offline and with consent each time: else an account that was connected before brings no refresh token."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "client_id": app.client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": f"{UPLOAD} {READ}",
            "access_type": "offline",
            "prompt": "consent",
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return Asked(url=f"{self._wire.url(_AUTHORISE)}?{urlencode(query)}", verifier=verifier)

    async def exchange(self, app: App, *, code: str, redirect_uri: str, verifier: str) -> Tokens:
        """The tokens for a code. Raises PlatformError: also where what was granted is not enough to publish."""
        tokens = await self._tokens(
            {
                "grant_type": "authorization_code",
                "code": code,
                "client_id": app.client_id,
                "client_secret": app.client_secret,
                "redirect_uri": redirect_uri,
                "code_verifier": verifier,
            }
        )
        _check_scopes(tokens.scopes)
        if not tokens.refresh_token:
            raise PlatformError(
                "Google gave no refresh token, so publishing would end within the hour.",
                kind="REAUTH",
                code="no_refresh_token",
                hint="Take its access back at myaccount.google.com/connections, then connect again.",
            )
        return tokens

    async def refresh(self, app: App, tokens: Tokens) -> Tokens:
        """A newer access token; the refresh token stays."""
        newer = await self._tokens(
            {
                "grant_type": "refresh_token",
                "refresh_token": tokens.refresh_token,
                "client_id": app.client_id,
                "client_secret": app.client_secret,
            }
        )
        return Tokens(
            access_token=newer.access_token,
            refresh_token=newer.refresh_token or tokens.refresh_token,
            expires_in_s=newer.expires_in_s,
            refresh_expires_in_s=newer.refresh_expires_in_s,
            scopes=newer.scopes or tokens.scopes,
            extra=tokens.extra,
        )

    async def identify(self, app: App, tokens: Tokens) -> list[Identity]:
        """The channel that was chosen at Google's page: a grant is bound to one."""
        answer = await self._wire.call(
            "GET",
            f"{_API}/channels",
            params={"part": "snippet", "mine": "true"},
            headers={"Authorization": f"Bearer {tokens.access_token}"},
            timeout_s=_OAUTH_S,
        )
        if answer.status != 200:
            raise error_of(answer)
        if "pageInfo" not in answer.json() and "items" not in answer.json():
            raise PlatformError("YouTube's answer cannot be read.", kind="RETRY", code="bad_answer")
        items = _items(answer)
        if not items:
            raise PlatformError(
                "This Google account has no YouTube channel.",
                kind="REAUTH",
                code="youtubeSignupRequired",
                hint=_HINTS["youtubeSignupRequired"],
            )
        notices = [UNAUDITED]
        if tokens.refresh_expires_in_s is not None:
            notices.append(TESTING.format(days=round(tokens.refresh_expires_in_s / _DAY_S)))
        return [
            Identity(
                external_id=str(item["id"]),
                name=str(_part(item, "snippet").get("title") or item["id"]),
                username=str(_part(item, "snippet").get("customUrl") or "").lstrip("@"),
                notices=tuple(notices),
            )
            for item in items
        ]

    async def revoke(self, app: App, tokens: Tokens) -> None:
        """Give the grant back; one that is not there any more is given back already."""
        answer = await self._wire.call(
            "POST", _REVOKE, form={"token": tokens.refresh_token or tokens.access_token}, timeout_s=_OAUTH_S
        )
        if answer.status != 200 and answer.json().get("error") != "invalid_token":
            raise login_error_of(answer)

    async def _tokens(self, form: Mapping[str, str]) -> Tokens:
        answer = await self._wire.call("POST", _TOKEN, form=form, timeout_s=_OAUTH_S)
        told = answer.json()
        if answer.status != 200 or not told.get("access_token"):
            raise login_error_of(answer)
        return Tokens(
            access_token=str(told["access_token"]),
            refresh_token=str(told.get("refresh_token") or ""),
            expires_in_s=_whole(told.get("expires_in")),
            refresh_expires_in_s=_whole(told.get("refresh_token_expires_in")),
            scopes=tuple(str(told.get("scope") or "").split()),
        )


def _check_scopes(scopes: tuple[str, ...]) -> None:
    """Of what a person granted: single permissions can be unticked."""
    missing = {UPLOAD: "to upload videos", READ: "to see the channel and how its videos are doing"}
    wanted = [words for scope, words in missing.items() if scope not in scopes]
    if wanted:
        raise PlatformError(
            f"The permission {' and '.join(wanted)} was not granted.",
            kind="REAUTH",
            code="missing_scope",
            hint=_HINTS["insufficientPermissions"],
        )


class YouTube:
    """Uploads, and what became of them.

    A handle: `session` (its address, a secret), `size`, `stored`, `title`, `privacy` as asked, `publish_at` (RFC 3339,
    or None), `began_at` (unix ms by YouTube's clock, or None), and `video_id` once it is known.
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
        metadata = _metadata(post, publish_at)
        answer = await self._call(
            grant,
            "POST",
            f"{_UPLOADS}?{urlencode(_session_query(post))}",
            headers={"X-Upload-Content-Length": str(media.size), "X-Upload-Content-Type": media.mime},
            body=metadata,
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
            "began_at": _said_at(answer),
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
        channel = await self._call(grant, "GET", f"{_API}/channels", params={"part": "contentDetails", "mine": "true"})
        lists = [_part(_part(item, "contentDetails"), "relatedPlaylists").get("uploads") for item in _items(channel)]
        if not lists or not lists[0]:
            return None
        newest = await self._call(
            grant,
            "GET",
            f"{_API}/playlistItems",
            params={"part": "contentDetails", "playlistId": str(lists[0]), "maxResults": "50"},
        )
        ids = [str(_part(item, "contentDetails").get("videoId") or "") for item in _items(newest)]
        if not any(ids):
            return None
        videos = await self._call(
            grant, "GET", f"{_API}/videos", params={"part": "snippet,fileDetails", "id": ",".join(filter(None, ids))}
        )
        return next((str(item["id"]) for item in _items(videos) if _is_of(item, handle)), None)

    async def _read_video(self, grant: Grant, handle: Handle) -> Reading:
        answer = await self._call(
            grant, "GET", f"{_API}/videos", params={"part": "status,processingDetails", "id": handle["video_id"]}
        )
        if "items" not in answer.json():
            raise PlatformError("YouTube's answer cannot be read.", kind="RETRY", code="bad_answer")
        items = _items(answer)
        if items:
            return _reading(items[0], handle)
        began, now = handle.get("began_at"), _said_at(answer)
        gone = began is not None and now is not None and now - began > _FORGOTTEN_MS
        said = "YouTube does not know the video any more." if gone else "YouTube does not list the video yet."
        return _read(handle, "gone" if gone else "processing", said=said, code="videoNotFound" if gone else "")

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


def _session_query(post: Post) -> dict[str, str]:
    return {
        "uploadType": "resumable",
        "part": "snippet,status",
        "notifySubscribers": "true" if post.notify else "false",
    }


def _metadata(post: Post, publish_at: int | None) -> dict[str, dict[str, Any]]:
    """As `videos.insert` wants it. Raises PlatformError (FIX)."""
    if post.privacy not in ("public", "unlisted", "private"):
        raise PlatformError(
            f"YouTube has no {post.privacy} videos, only public, unlisted and private ones.",
            kind="FIX",
            code="forbiddenPrivacySetting",
        )
    status: dict[str, Any] = {
        "privacyStatus": post.privacy,
        "selfDeclaredMadeForKids": post.made_for_kids,
        "containsSyntheticMedia": post.synthetic,
    }
    if publish_at is not None:
        if post.privacy != "public":
            raise PlatformError(
                f"YouTube can be handed the time of public videos only; this one is {post.privacy}.",
                kind="FIX",
                code="invalidPublishAt",
            )
        moment = datetime.fromtimestamp(publish_at / 1000, UTC).isoformat(timespec="seconds")
        status |= {"privacyStatus": "private", "publishAt": moment.replace("+00:00", "Z")}
    snippet: dict[str, Any] = {
        "title": post.title,
        "description": wording.text_of(post, "youtube"),
        "categoryId": post.category,
    }
    if tags := wording.tags_of(post):
        snippet["tags"] = tags
    return {"snippet": snippet, "status": status}


async def _pieces(file: BinaryIO, first: int, end: int, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
    await asyncio.to_thread(file.seek, first)
    while first < end:
        piece = await asyncio.to_thread(file.read, min(_PIECE, end - first))
        if not piece:
            return  # the file has become shorter: the request ends before its time, and fails
        yield piece
        first += len(piece)
        sent(first)


def _reading(item: Mapping[str, Any], handle: Handle) -> Reading:
    """What a video resource says."""
    status = _part(item, "status")
    match status.get("uploadStatus"):
        case "processed":
            return _processed(status, handle)
        case "failed":
            return _refused(handle, str(status.get("failureReason") or "failed"), kind="FIX")
        case "rejected":
            reason = str(status.get("rejectionReason") or "rejected")
            return _refused(handle, reason, kind="FIX" if reason == "length" else "POLICY")
        case "deleted":
            return _read(handle, "gone", said="The video was deleted.", code="videoNotFound")
    processing = _part(item, "processingDetails")
    if processing.get("processingStatus") in ("failed", "terminated"):
        return _refused(handle, str(processing.get("processingFailureReason") or "other"), kind="FIX")
    progress = _part(processing, "processingProgress")
    done, total = _whole(progress.get("partsProcessed")), _whole(progress.get("partsTotal"))
    parts = f", {done} of {total} parts" if done is not None and total else ""
    return _read(handle, "processing", said=f"processing{parts}", privacy=str(status.get("privacyStatus") or ""))


def _processed(status: Mapping[str, Any], handle: Handle) -> Reading:
    privacy = str(status.get("privacyStatus") or "")
    asked = "public" if handle.get("publish_at") else handle.get("privacy")
    if privacy == "private" and status.get("publishAt"):
        said = f"YouTube makes it public at {status['publishAt']}."
        return _read(handle, "processing", said=said, privacy=privacy, code="scheduled")
    if privacy != asked and privacy == "private":
        return _read(handle, "live", said=LOCKED, privacy=privacy, code="locked_private")
    return _read(handle, "live", said="processed", privacy=privacy)


def _refused(handle: Handle, reason: str, *, kind: str) -> Reading:
    said = _FAILURES.get(reason, f"YouTube could not process it: {reason}.")
    return _read(handle, "rejected", said=said, code=reason, kind=kind)


def _read(
    handle: Handle,
    state: Literal["processing", "live", "rejected", "gone"],
    *,
    said: str,
    privacy: str = "",
    code: str = "",
    kind: str = "",
) -> Reading:
    """A reading of the video that the handle names."""
    video = str(handle["video_id"])
    return Reading(
        state=state,
        stored=handle["size"],
        remote_id=video,
        url=f"https://www.youtube.com/shorts/{video}",
        privacy=privacy,
        said=said,
        kind=kind,
        code=code,
    )


def _is_of(item: Mapping[str, Any], handle: Handle) -> bool:
    """Whether a video is what the session of `handle` brought."""
    snippet, size = _part(item, "snippet"), _whole(_part(item, "fileDetails").get("fileSize"))
    if snippet.get("title") != handle["title"] or size not in (None, handle["size"]):
        return False
    began, at = handle.get("began_at"), _unix_ms(str(snippet.get("publishedAt") or ""))
    return began is None or at is None or at >= began - 1000  # a header's time has whole seconds


def _stored(answer: Answer) -> int:
    """Bytes that the session has: "Range: bytes=0-786431"; none: nothing yet."""
    found = re.fullmatch(r"(?:bytes=)?0-(\d+)", answer.headers.get("Range", "").strip())
    return int(found[1]) + 1 if found else 0


def _items(answer: Answer) -> list[dict[str, Any]]:
    items = answer.json().get("items")
    return [item for item in items if isinstance(item, dict) and item.get("id")] if isinstance(items, list) else []


def _part(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = item.get(name)
    return part if isinstance(part, dict) else {}


def _whole(value: Any) -> int | None:
    """A number, or one that is written as a string, as int64 are."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def _said_at(answer: Answer) -> int | None:
    """Unix ms by the clock of who answered."""
    try:
        return int(parsedate_to_datetime(answer.headers.get("Date", "")).timestamp() * 1000)
    except ValueError:
        return None


def _unix_ms(moment: str) -> int | None:
    try:
        return int(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() * 1000)
    except ValueError:
        return None


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdigit() else None
