"""Login Kit v2, simulated: hex PKCE, scopes with commas, refresh tokens that are good once."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from vidprod.platforms.simulators.oauth import AuthServer, Issued, OAuthRefused
from vidprod.platforms.simulators.tiktok_faults import Faults, after, to_json
from vidprod.platforms.simulators.tiktok_rules import API, Rules
from vidprod.platforms.simulators.world import World


class LoginKit:
    """Who grants what, and the tokens that come of it."""

    def __init__(
        self, world: World, *, rules: Rules, faults: Faults, names: Mapping[str, str], clients: Mapping[str, str] | None
    ) -> None:
        """
        Args:
            names: of the accounts, by open_id.
            clients: secrets by client_key; none: every app is known.
        """
        self._world = world
        self._rules = rules
        self._faults = faults
        self.auth = AuthServer(
            world,
            name="TikTok",
            accounts=names,
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
        # used refresh tokens: their grant, and until when they are taken
        self._retired: dict[str, tuple[int, int]] = {}

    def handlers(self) -> list[HTTPRouteHandler]:
        """The routes: /HOST/PATH."""
        return [
            get("/www.tiktok.com/v2/auth/authorize", sync_to_thread=False)(self._authorize),
            post(f"/{API}/v2/oauth/token", status_code=200)(self._token),
            post(f"/{API}/v2/oauth/revoke", status_code=200)(self._revoke),
        ]

    def _authorize(self, request: Request[Any, Any, Any]) -> Response[str]:
        return self.auth.authorize(request)

    async def _token(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        fault = self._faults.at("tiktok.token")
        if (answer := await self._faults.before(fault)) is not None:
            return answer
        try:
            if fault is not None and fault.name in ("invalid_grant", "invalid_client"):
                raise OAuthRefused(fault.name, "As it was ordered.")
            answer = to_json(self._granted(await _form(request)))
        except OAuthRefused as refused:
            answer = self._oauth_error(refused)
        return after(fault, answer)

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
        now = self._world.now()
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
        now = self._world.now()
        grant, until = self._retired.get(refresh_token, (0, 0))
        taken = refresh_token
        if now < until:
            alive = (one for one in reversed(self.auth.issued) if one.grant == grant and one.refresh_token)
            taken = next((one.refresh_token for one in alive), refresh_token)
        issued = self.auth.renew(taken, client_id=client_id, client_secret=client_secret)
        self._retired[taken] = (issued.grant, now + self._rules.grace_s * 1000)
        return issued

    async def _revoke(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        try:
            self.auth.revoke((await _form(request)).get("token", ""))
        except OAuthRefused as refused:
            return self._oauth_error(refused)
        return to_json({})

    def _oauth_error(self, refused: OAuthRefused) -> Response[bytes]:
        error = {"error": refused.error, "error_description": refused.description, "log_id": self._faults.log_id()}
        return to_json(error, status=self._rules.oauth_status)


async def _form(request: Request[Any, Any, Any]) -> dict[str, str]:
    """Raises OAuthRefused: it is none."""
    if not request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        raise OAuthRefused("invalid_request", "Only form-encoded bodies are supported.")
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
