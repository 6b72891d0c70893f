"""Google's authorisation, simulated: a refresh token comes with the first consent, or where one is asked for."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from vidprod.platforms.simulators.oauth import AuthServer, Issued, OAuthRefused
from vidprod.platforms.simulators.world import Fault, World
from vidprod.platforms.simulators.youtube_answers import Answered, Answers
from vidprod.platforms.simulators.youtube_session import Asked
from vidprod.platforms.simulators.youtube_video import Channel


class GoogleLogin:
    """Who grants what, and the tokens that come of it."""

    def __init__(
        self,
        world: World,
        answers: Answers,
        *,
        channels: Mapping[str, Channel],
        testing: bool,
        clients: Mapping[str, str] | None,
    ) -> None:
        """
        Args:
            testing: the consent screen is, and refresh tokens end after 7 days.
            clients: secrets by client id; none: any is known.
        """
        self._world = world
        self._answers = answers
        self.auth = AuthServer(
            world,
            name="Sign in with Google",
            accounts=_Names(channels),
            refresh_s=7 * 86_400 if testing else None,
            access_prefix="ya29.sim-",
            refresh_prefix="1//sim-",
            clients=clients,
        )

    def handlers(self) -> list[HTTPRouteHandler]:
        """What is asked of Google's hosts for accounts and tokens."""

        @get("/accounts.google.com/o/oauth2/v2/auth", sync_to_thread=False)
        def authorise(request: Asked) -> Response[str]:
            return self.auth.authorize(request)

        @post("/oauth2.googleapis.com/token", status_code=200)
        async def token(request: Asked) -> Answered:
            return await self._answers.at("youtube.token", request, self._token)

        @post("/oauth2.googleapis.com/revoke", status_code=200)
        async def revoke(request: Asked) -> Answered:
            if self.auth.revoke((await _form(request)).get("token", "")):
                return self._answers.json({})
            return self._answers.json(
                {"error": "invalid_token", "error_description": "Token expired or revoked"}, status=400
            )

        @get("/oauth2.googleapis.com/tokeninfo", sync_to_thread=False)
        def tokeninfo(request: Asked) -> Answered:
            return self._tokeninfo(request.query_params.get("access_token", ""))

        return [authorise, token, revoke, tokeninfo]

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
        now = self._world.now()
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
        return self._answers.json(told)

    def _tokeninfo(self, token: str) -> Answered:
        holder = self.auth.holder(token)
        if holder is None:
            return self._answers.json({"error": "invalid_token", "error_description": "Invalid Value"}, status=400)
        left = (holder.expires_at - self._world.now()) // 1000
        return self._answers.json({"aud": holder.client_id, "scope": " ".join(holder.scopes), "expires_in": str(left)})


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


async def _form(request: Asked) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode(errors="replace")))
