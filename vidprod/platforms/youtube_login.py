"""Connecting a YouTube channel: Google's OAuth 2.0.

Sources: developers.google.com/identity/protocols/oauth2, Google's API description of v3.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from vidprod.domain.account import Flavour, Platform
from vidprod.errors import PlatformError
from vidprod.platforms.base import App, Asked, Identity, Tokens
from vidprod.platforms.wire import Answer, Wire
from vidprod.platforms.youtube_api import API, DAY_S, HINTS, error_of, items_of, part_of, whole

UPLOAD = "https://www.googleapis.com/auth/youtube.upload"
READ = "https://www.googleapis.com/auth/youtube.readonly"
MANAGE = "https://www.googleapis.com/auth/youtube"  # also moves what was handed over with its time; can be unticked
SCOPES = (UPLOAD, READ, MANAGE)
UNAUDITED = "Until Google has audited this Google project, YouTube keeps its uploads private."
UNMOVED = (
    "The permission to manage videos was not granted: what YouTube was handed with its time can be neither moved nor "
    "held from here."
)
TESTING = (
    "The consent screen of this Google project is in testing: the connection ends {days} days after it was made. "
    "Put it into production in the Google Cloud console, then connect again."
)

_AUTHORISE = "https://accounts.google.com/o/oauth2/v2/auth"
_TOKEN = "https://oauth2.googleapis.com/token"  # noqa: S105
_REVOKE = "https://oauth2.googleapis.com/revoke"
_OAUTH_S = 30.0
_WIDER = frozenset({MANAGE, f"{MANAGE}.force-ssl", f"{MANAGE}partner"})  # each allows uploads and reading too
_DEAD = frozenset({"invalid_grant", "invalid_scope", "access_denied", "invalid_rapt", "rapt_required"})


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
            "scope": " ".join(SCOPES),
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
            f"{API}/channels",
            params={"part": "snippet", "mine": "true"},
            headers={"Authorization": f"Bearer {tokens.access_token}"},
            timeout_s=_OAUTH_S,
        )
        if answer.status != 200:
            raise error_of(answer)
        if "pageInfo" not in answer.json() and "items" not in answer.json():
            raise PlatformError("YouTube's answer cannot be read.", kind="RETRY", code="bad_answer")
        items = items_of(answer)
        if not items:
            raise PlatformError(
                "This Google account has no YouTube channel.",
                kind="REAUTH",
                code="youtubeSignupRequired",
                hint=HINTS["youtubeSignupRequired"],
            )
        notices = [UNAUDITED]
        if tokens.scopes and _WIDER.isdisjoint(tokens.scopes):
            notices.append(UNMOVED)
        if tokens.refresh_expires_in_s is not None:
            notices.append(TESTING.format(days=round(tokens.refresh_expires_in_s / DAY_S)))
        return [
            Identity(
                external_id=str(item["id"]),
                name=str(part_of(item, "snippet").get("title") or item["id"]),
                username=str(part_of(item, "snippet").get("customUrl") or "").lstrip("@"),
                notices=tuple(notices),
            )
            for item in items
        ]

    async def inspect(self, app: App, tokens: Tokens, notices: Sequence[str]) -> list[str]:
        """YouTube: what was taken back shows at the next renewal, within a week."""
        return list(notices)

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
            expires_in_s=whole(told.get("expires_in")),
            refresh_expires_in_s=whole(told.get("refresh_token_expires_in")),
            scopes=tuple(str(told.get("scope") or "").split()),
        )


def _check_scopes(scopes: tuple[str, ...]) -> None:
    """Of what a person granted: single permissions can be unticked."""
    missing = {UPLOAD: "to upload videos", READ: "to see the channel and how its videos are doing"}
    wanted = [words for scope, words in missing.items() if scope not in scopes and _WIDER.isdisjoint(scopes)]
    if wanted:
        raise PlatformError(
            f"The permission {' and '.join(wanted)} was not granted.",
            kind="REAUTH",
            code="missing_scope",
            hint=HINTS["insufficientPermissions"],
        )


def login_error_of(answer: Answer) -> PlatformError:
    """The same of Google's token endpoint, whose errors are flat."""
    told = answer.json()
    code = told.get("error")
    if answer.status >= 500 or answer.status == 429 or not isinstance(code, str):
        kind, code = "RETRY", f"http_{answer.status}"
    else:
        kind = "REAUTH" if code in _DEAD else "FIX"
    message = str(told.get("error_description") or told.get("error") or f"Google answered {answer.status}.")
    return PlatformError(
        message, kind=kind, code=code, hint=HINTS.get(code, ""), http_status=answer.status, retry_after_s=None
    )
