"""Both logins of the simulated Instagram: two authorisation servers, the tokens they give out, and what each may see.

    www.facebook.com       dialog/oauth               the page of Facebook Login
    graph.facebook.com     oauth/access_token         tokens of an hour, then of 60 days; a page's has no end
    www.instagram.com      oauth/authorize            the page of Instagram Login
    api.instagram.com      oauth/access_token         tokens of an hour
    graph.instagram.com    access_token, refresh_…    tokens of 60 days

Not known of the real one, so chosen here: what a refresh before its time is answered; it is a 400.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from vidprod.platforms.simulators.instagram_graph import (
    Answers,
    AnyRequest,
    Refused,
    chosen,
    form_of,
    lose,
)
from vidprod.platforms.simulators.oauth import AuthServer, Issued, OAuthRefused
from vidprod.platforms.simulators.world import World

Host = Literal["facebook", "instagram"]
TokenKind = Literal["page", "user"]

DAY_MS = 86_400_000
SHORT_S, LONG_S = 3600, 5_183_944

# to read, to publish, to turn comments off
SCOPES: Mapping[Host, tuple[str, str, str]] = {
    "facebook": ("instagram_basic", "instagram_content_publish", "instagram_manage_comments"),
    "instagram": (
        "instagram_business_basic",
        "instagram_business_content_publish",
        "instagram_business_manage_comments",
    ),
}


@dataclass(frozen=True, kw_only=True)
class SimAccount:
    """A professional account, and the page it is linked to. Each login has its own number for it."""

    ig_id: str
    scoped_id: str
    username: str
    name: str
    page_id: str
    account_type: str = "BUSINESS"
    business: str = ""  # the page is only seen through it

    def id_at(self, host: Host) -> str:
        return self.ig_id if host == "facebook" else self.scoped_id


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks, by which kind of token, and of which accounts."""

    kind: TokenKind
    scopes: tuple[str, ...]
    accounts: frozenset[str]
    issued: Issued


ACCOUNTS = (
    SimAccount(
        ig_id="17841400000000001",
        scoped_id="24000000000000001",
        username="robin.cooks",
        name="Robin cooks",
        page_id="100000000000001",
    ),
    SimAccount(
        ig_id="17841400000000002",
        scoped_id="24000000000000002",
        username="robin.bakes",
        name="Robin bakes",
        page_id="100000000000002",
    ),
)
PERSON = "10000000000000099"


class Logins:
    """Everybody who may ask, and by what."""

    def __init__(
        self,
        world: World,
        answers: Answers,
        *,
        accounts: list[SimAccount],
        clients: Mapping[str, str] | None,
    ) -> None:
        """
        Args:
            accounts: looked at each time.
            clients: secrets by client id; none: every client is known, by any secret.
        """
        self.world = world
        self.answers = answers
        self.accounts = accounts
        self.wraps = True  # short tokens come in {"data": […]}
        self.page_size = 100
        self._pages: dict[str, tuple[Issued, SimAccount]] = {}  # by token
        self._long: dict[str, int] = {}  # tokens of 60 days, and when they were made
        self._known: set[str] = set()
        self.facebook = AuthServer(
            world,
            name="Facebook",
            accounts={PERSON: "Robin"},
            pkce="none",
            access_s=SHORT_S,
            access_prefix="EAA",
            separator=",",
            clients=clients,
        )
        self.instagram = AuthServer(
            world,
            name="Instagram",
            accounts={one.scoped_id: f"@{one.username}" for one in self.accounts},
            pkce="none",
            access_s=SHORT_S,
            access_prefix="IGA",
            separator=",",
            clients=clients,
        )

    def page_token(self, user_token: str, account: SimAccount) -> str:
        """The token of the account's page: has no end of its own, dies with what the person granted."""
        issued = self.facebook.holder(user_token)
        if issued is None:
            raise KeyError("the token is nobody's")
        for token, (of, its) in self._pages.items():
            if of.account == issued.account and its == account and self._stands(of):
                return token
        token = self.world.token("EAAp")
        self._pages[token] = (issued, account)
        self._known.add(token)
        return token

    def long_token(self, host: Host, account: str, scopes: Iterable[str], *, client_id: str = "client") -> str:
        """A token of 60 days, without a page."""
        server = self.facebook if host == "facebook" else self.instagram
        return self._make_long(server, account, client_id, tuple(scopes), {"scope": ",".join(scopes)})

    def handlers(self) -> list[HTTPRouteHandler]:
        """The pages, and the tokens of an hour of Instagram Login; the other tokens come by the Graph API."""

        @get("/www.facebook.com/{version:str}/dialog/oauth", sync_to_thread=False)
        def dialog(request: AnyRequest, version: FromPath[str]) -> Response[str]:
            return self.facebook.authorize(request)

        @get("/www.instagram.com/oauth/authorize", sync_to_thread=False)
        def authorize(request: AnyRequest) -> Response[str]:
            answer = self.instagram.authorize(request)
            if "Location" in answer.headers:
                answer.headers["Location"] += "#_"
            return answer

        @post("/api.instagram.com/oauth/access_token", status_code=200)
        async def short(request: AnyRequest) -> Response[Any]:
            return await self._short(request)

        return [dialog, authorize, short]

    def caller(self, host: Host, token: str) -> Caller:
        """Raises Refused: the token is not good."""
        if host == "facebook" and (page := self._pages.get(token)) is not None and self._stands(page[0]):
            return Caller(kind="page", scopes=page[0].scopes, accounts=frozenset({page[1].ig_id}), issued=page[0])
        issued = self._holder(self.facebook if host == "facebook" else self.instagram, token)
        every = {one.ig_id for one in self.accounts} if host == "facebook" else {issued.account}
        return Caller(kind="user", scopes=issued.scopes, accounts=frozenset(every), issued=issued)

    async def token(self, host: Host, way: str, given: Mapping[str, str]) -> Response[Any]:
        """The token endpoints of graph.*: exchange, and what stands for a refresh. Raises Refused."""
        fault = await self.answers.fault("instagram.token")
        if fault is not None and (answer := self.answers.ended(fault)) is not None:
            return answer
        server = self.facebook if host == "facebook" else self.instagram
        if host == "facebook" and "grant_type" not in given:
            try:
                issued = self._redeem(server, given)
            except OAuthRefused as refused:
                if refused.error == "invalid_client":
                    raise Refused("1", "Error validating client secret.") from None
                raise Refused("100/36009", refused.description) from None
            token, life_s = issued.access_token, SHORT_S
        else:
            grants = {"oauth/access_token": "fb_exchange_token", "access_token": "ig_exchange_token"}
            wanted = grants.get(way, "ig_refresh_token")
            if given.get("grant_type") != wanted:
                raise Refused("100", f"grant_type has to be {wanted}")
            token, life_s = self._exchanged(server, host, wanted, given), LONG_S
        lose(fault)
        return self.answers.good({"access_token": token, "token_type": "bearer", "expires_in": life_s})

    def me(self, caller: Caller, given: Mapping[str, str]) -> Response[Any]:
        account = next(one for one in self.accounts if one.scoped_id == caller.issued.account)
        told = {
            "user_id": account.scoped_id,
            "username": account.username,
            "name": account.name,
            "account_type": account.account_type,
            "profile_picture_url": self.world.url(f"https://scontent.cdninstagram.com/{account.username}.jpg"),
        }
        return self.answers.good(chosen(told, given) | {"id": account.scoped_id})

    def permissions(self, caller: Caller) -> Response[Any]:
        asked = caller.issued.asked.get("scope", "").split(",")
        data = [
            {"permission": one, "status": "granted" if one in caller.issued.scopes else "declined"}
            for one in asked
            if one
        ]
        return self.answers.good({"data": data})

    def page_list(self, caller: Caller, given: Mapping[str, str], *, business: str) -> Response[Any]:
        """Pages with their token and account; one of them is linked to none."""
        needs(caller, "business_management" if business else "pages_show_list")
        token = caller.issued.access_token
        pages: list[dict[str, Any]] = [
            {
                "id": one.page_id,
                "name": f"{one.name} (page)",
                "access_token": self.page_token(token, one),
                "instagram_business_account": {"id": one.ig_id, "username": one.username, "name": one.name},
            }
            for one in self.accounts
            if one.business == business
        ]
        if not business:
            pages.insert(0, {"id": "100000000000000", "name": "A page without Instagram", "access_token": "EAAnone"})
        limit = min(int(given.get("limit", 25)), self.page_size)
        start = int(given.get("after") or 0)
        told: dict[str, Any] = {"data": pages[start : start + limit]}
        told["paging"] = {"cursors": {"before": str(start), "after": str(start + limit)}}
        if start + limit < len(pages):
            more = {"access_token": token, "after": str(start + limit), "limit": str(limit)}
            told["paging"]["next"] = self.world.url(f"https://graph.facebook.com/v26.0/me/accounts?{urlencode(more)}")
        return self.answers.good(told)

    def inspected(self, asking: str, given: Mapping[str, str]) -> Response[Any]:
        client_id, _, secret = asking.partition("|")
        if not secret or (self.facebook.clients and self.facebook.clients.get(client_id) != secret):
            raise Refused("190", "Invalid OAuth access token signature.", status=401)
        issued = next((one for one in self.facebook.issued if one.access_token == given.get("input_token")), None)
        told: dict[str, Any] = {"app_id": client_id, "type": "USER", "is_valid": False, "scopes": []}
        if issued is not None:
            told |= {
                "is_valid": issued.expires_at > self.world.now(),
                "expires_at": issued.expires_at // 1000,
                "scopes": list(issued.scopes),
                "data_access_expires_at": self.world.now() // 1000 + 90 * 86_400,
                "user_id": issued.account,
            }
        return self.answers.good({"data": told})

    async def _short(self, request: AnyRequest) -> Response[Any]:
        given = await form_of(request)
        fault = await self.answers.fault("instagram.token")
        if fault is not None and (answer := self.answers.ended(fault)) is not None:
            return answer
        try:
            if given.get("grant_type") != "authorization_code":
                raise OAuthRefused("invalid_request", "Invalid grant type")
            issued = self._redeem(self.instagram, given)
        except OAuthRefused as refused:
            return self.answers.good(
                {"error_type": "OAuthException", "code": 400, "error_message": refused.description}, status=400
            )
        lose(fault)
        token = {
            "access_token": issued.access_token,
            "user_id": int(issued.account),
            "permissions": ",".join(issued.scopes) if self.wraps else list(issued.scopes),
        }
        return self.answers.good({"data": [token]} if self.wraps else token)

    def _redeem(self, server: AuthServer, given: Mapping[str, str]) -> Issued:
        issued = server.redeem(
            given.get("code", ""),
            client_id=given.get("client_id", ""),
            client_secret=given.get("client_secret", ""),
            redirect_uri=given.get("redirect_uri", ""),
            verifier="",
        )
        self._known.add(issued.access_token)
        return issued

    def _exchanged(self, server: AuthServer, host: Host, way: str, given: Mapping[str, str]) -> str:
        old = given.get("fb_exchange_token" if host == "facebook" else "access_token", "")
        issued = self._holder(server, old)
        made_at = self._long.get(old)
        if (
            way != "ig_refresh_token"
            and server.clients
            and (server.clients.get(issued.client_id) != given.get("client_secret"))
        ):
            raise Refused("1", "Error validating client secret.")
        if way == "ig_exchange_token" and made_at is not None:
            raise Refused("100", "The token is a long-lived one already.")
        if way == "ig_refresh_token" and (made_at is None or self.world.now() - made_at < DAY_MS):
            raise Refused("100", "Only a long-lived token that is at least 24 hours old can be refreshed.")
        return self._make_long(server, issued.account, issued.client_id, issued.scopes, issued.asked)

    def _make_long(
        self, server: AuthServer, account: str, client_id: str, scopes: tuple[str, ...], asked: Mapping[str, str]
    ) -> str:
        issued = server.issue(account, client_id=client_id, scopes=scopes, asked=asked, life_s=LONG_S)
        self._long[issued.access_token] = self.world.now()
        self._known.add(issued.access_token)
        return issued.access_token

    def _holder(self, server: AuthServer, token: str) -> Issued:
        issued = server.holder(token)
        if issued is not None:
            return issued
        status = 401 if server is self.facebook else 400
        past = next((one for one in server.issued if one.access_token == token), None)
        if past is not None:
            day = datetime.fromtimestamp(past.expires_at / 1000, UTC).date().isoformat()
            message = f"Error validating access token: Session has expired on {day}."
            raise Refused("190/463", message, status=status)
        if token in self._known:
            message = "Error validating access token: The user has not authorized the application."
            raise Refused("190/458", message, status=status)
        raise Refused("190", "Invalid OAuth access token - Cannot parse access token", status=status)

    def _stands(self, issued: Issued) -> bool:
        """Whether what the person granted was not taken back since; its end does not matter."""
        return any(one.account == issued.account for one in self.facebook.issued)


def needs(caller: Caller, scope: str) -> None:
    """Raises Refused: it was not granted."""
    if scope not in caller.scopes:
        raise Refused("10", status=403)
