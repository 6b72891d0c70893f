"""How TikTok accounts are connected: Login Kit v2.

Sources: developers.tiktok.com, "Login Kit for Desktop", "Manage User Access Tokens".
"""

import hashlib
import secrets
from collections.abc import Sequence
from urllib.parse import urlencode

from vidprod.domain.account import Flavour, Platform
from vidprod.errors import PlatformError
from vidprod.platforms.base import App, Asked, Identity, Tokens
from vidprod.platforms.tiktok_api import API, data_of, object_of, whole
from vidprod.platforms.tiktok_creator import creator_info
from vidprod.platforms.wire import Answer, Wire

AUTHORIZE = "https://www.tiktok.com/v2/auth/authorize/"

DRAFT_SCOPES = ("user.info.basic", "user.info.profile", "video.upload")
DIRECT_SCOPES = (*DRAFT_SCOPES, "video.publish")


def challenge(verifier: str) -> str:
    """SHA-256 in lowercase hex: TikTok's spelling of PKCE's S256, not RFC 7636's."""
    return hashlib.sha256(verifier.encode()).hexdigest()


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
        user = object_of(data_of(answer).get("user"))
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

    async def inspect(self, app: App, tokens: Tokens, notices: Sequence[str]) -> list[str]:
        """TikTok: what was taken back shows at the next renewal, within a week."""
        return list(notices)

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
            expires_in_s=whole(said.get("expires_in")),
            refresh_expires_in_s=whole(said.get("refresh_expires_in")),
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
            options = data_of(await creator_info(self._wire, tokens.access_token)).get("privacy_level_options")
        except PlatformError as error:  # nothing that connecting depends on
            return [*notices, f"TikTok says of direct posts at present: {error}"]
        if options == ["SELF_ONLY"]:
            notices.append(
                "This TikTok app is not audited: direct posts are private, and the account must be set to private too."
            )
        return notices


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
