"""Instagram, simulated: two hosts with different rules, three authorisation servers, and a host that takes files.

    www.facebook.com       dialog/oauth                                       the page of Facebook Login
    graph.facebook.com     tokens, pages, containers for files and addresses
    rupload.facebook.com   the bytes of a container
    www.instagram.com      oauth/authorize                                    the page of Instagram Login
    api.instagram.com      oauth/access_token                                 tokens of an hour
    graph.instagram.com    tokens of 60 days; containers for addresses only

A container is IN_PROGRESS until its bytes are there and some seconds of the world have passed, then FINISHED or ERROR;
after a day it is EXPIRED. Published, it is PUBLISHED for ever, and is not published again.

Not known of the real one, so chosen here: what a second media_publish, a 401st container and a refresh before its time
are answered; each is a 400.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit
from urllib.robotparser import RobotFileParser

import httpx
from litestar import HttpMethod, MediaType, Request, Response, get, post, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from vidprod.platforms.simulators.inspect import Inspection
from vidprod.platforms.simulators.oauth import AuthServer, Issued, OAuthRefused
from vidprod.platforms.simulators.world import Broken, Fault, Posted, World

AnyRequest = Request[Any, Any, Any]
Host = Literal["facebook", "instagram"]
TokenKind = Literal["page", "user"]

# Errors of the Graph API by code and error_subcode: each can be ordered wherever one is answered.
CODES = (
    *("-2/2207003", "-2/2207020", "-1/2207001", "-1/2207032", "-1/2207053", "1", "1/2207057", "2", "3", "4"),
    *("4/2207051", "9/2207042", "10", "17", "24/2207006", "24/2207008", "25/2207050", "32", "100", "100/33"),
    *("100/2207023", "100/2207028", "100/2207040", "102", "190", "190/458", "190/459", "190/460", "190/463"),
    *("190/464", "190/467", "190/492", "200", "341", "352/2207026", "368", "506", "613", "9004/2207052"),
    *("9007/2207027", "36000/2207004", "36001/2207005", "36003/2207009", "36004/2207010", "80002"),
)
_COMMON = ("500", "503", "html", "reset", "lost_answer", "slow")
FAULTS: dict[str, tuple[str, ...]] = {
    "instagram.token": (*_COMMON, *CODES),
    "instagram.container": (*_COMMON, *CODES),
    # transient: nothing is kept; partial: half is kept, and said to be; cut: half is kept, and the connection ends
    "instagram.upload": (*_COMMON, "transient", "partial", "cut", "stored_but_400"),
    "instagram.status": (*_COMMON, *CODES),
    "instagram.processing": (
        *("slow", "stuck", "2207003", "2207020", "2207026", "2207032", "2207051", "2207052", "2207053", "2207057"),
        *("2207076", "2207077", "2207081", "2207082", "2207085"),
    ),
    "instagram.limit": (*_COMMON, *CODES),
    "instagram.publish": (*_COMMON, *CODES, "-1/2207085", "blocked_but_live"),
    "instagram.media": (*_COMMON, *CODES),
    "instagram.permalink": (*_COMMON, *CODES),
}
# what dice may choose: nothing after which a post or an account needs a person
BY_CHANCE: dict[str, tuple[str, ...]] = {
    "instagram.token": ("500", "503", "html", "reset", "lost_answer"),
    "instagram.container": (*_COMMON, "2", "-1/2207032", "80002"),
    "instagram.upload": (*_COMMON, "transient", "partial", "cut", "stored_but_400"),
    "instagram.status": (*_COMMON, "2", "80002"),
    "instagram.processing": ("slow", "2207076", "2207077"),
    "instagram.limit": (*_COMMON, "2"),
    "instagram.publish": (*_COMMON, "2", "9007/2207027", "blocked_but_live"),
    "instagram.media": _COMMON,
    "instagram.permalink": (*_COMMON, "100/33"),
}

PROCESSING_S = 20
SLOW_PROCESSING_S = 600
CONTAINER_LIFE_MS = DAY_MS = 86_400_000
CONTAINERS_A_DAY = 400
SHORT_S, LONG_S = 3600, 5_183_944
SLOW_S = 0.02  # of the wall
FETCH_S = 10.0  # of the wall

SCOPES: Mapping[Host, tuple[str, str]] = {
    "facebook": ("instagram_basic", "instagram_content_publish"),
    "instagram": ("instagram_business_basic", "instagram_business_content_publish"),
}

_SAID: Mapping[str, str] = {
    "2": "Service temporarily unavailable",
    "4": "Application request limit reached",
    "9/2207042": "You reached maximum number of posts that is allowed to be published by Content Publishing API.",
    "190": "Error validating access token: The session is invalid.",
    "10": "Application does not have permission for this action",
    "25/2207050": "The Instagram account is restricted.",
    "-1/2207032": "Failed to create a media container, please try again.",
    "80002": "There have been too many calls to this Instagram account. Wait a bit and try again.",
    "100/2207023": "The media type is unknown.",
    "100/2207040": "Cannot use more than 30 hashtags or 20 mentions.",
    "1/2207057": "Thumbnail offset must be greater than or equal to 0 and less than video duration.",
    "24/2207008": "The media container does not exist or has expired.",
    "36004/2207010": "The caption was too long.",
    "9004/2207052": "Only photo or video can be accepted as media type.",
    "-2/2207003": "It takes too long to download the media.",
    "9007/2207027": "Media ID is not available",
}
_STATUS = {
    "IN_PROGRESS": "In Progress: Media is still being processed.",
    "FINISHED": "Finished: Media has been uploaded and it is ready to be published.",
    "PUBLISHED": "Published: Media has been successfully published.",
    "EXPIRED": "Expired: The container was not published within 24 hours and has expired.",
    "ERROR": "Error: Media upload has failed with error code {code}",
}
_METHODS = (HttpMethod.GET, HttpMethod.POST)
_NUMBERS = re.compile(r"-?\d+(/\d+)?")
_VERSION = re.compile(r"v(\d+)\.\d+")
_OLDEST_VERSION = 21
_AGENT = "facebookexternalhit/1.1"


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


@dataclass(kw_only=True)
class Container:
    """A post that is not one yet. Times are unix ms of the world."""

    id: str
    account: str  # by the number of the host it was made at
    host: Host
    caption: str
    asked: Mapping[str, str]
    created_at: int
    size: int = 0  # as told by who sends
    inspection: Inspection = field(default_factory=Inspection)
    ready_at: int | None = None  # None: bytes are missing
    error: str = ""
    media_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Reel:
    """What is public."""

    id: str
    account: str
    caption: str
    at: int
    sha256: str
    shortcode: str
    container: str


@dataclass(frozen=True, kw_only=True)
class _Caller:
    kind: TokenKind
    scopes: tuple[str, ...]
    accounts: frozenset[str]
    issued: Issued


class _Refused(Exception):
    """An error of the Graph API instead of an answer."""

    def __init__(
        self,
        numbers: str,
        message: str = "",
        *,
        status: int = 400,
        kind: str = "OAuthException",
        title: str = "",
        regain_min: int = 0,
    ) -> None:
        super().__init__(numbers)
        self.numbers = numbers
        self.message = message or _SAID.get(numbers) or _SAID.get(numbers.split("/")[0], "An error occurred.")
        self.status = status
        self.kind = kind
        self.title = title
        self.regain_min = regain_min


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


class InstagramSim:
    """The state of all six hosts."""

    def __init__(
        self,
        world: World,
        *,
        accounts: Iterable[SimAccount] = ACCOUNTS,
        clients: Mapping[str, str] | None = None,
        inspects: bool = True,
        fetches: bool = True,
        fetch_transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """
        Args:
            clients: secrets by client id; none: every client is known, by any secret.
            inspects: files are refused that Instagram would refuse.
            fetches: `video_url` is really fetched, by `fetch_transport` or over the network.
        """
        self.world = world
        self.accounts = list(accounts)
        self.containers: dict[str, Container] = {}
        self.reels: dict[str, Reel] = {}
        self.inspects = inspects
        self.fetches = fetches
        self.fetch_s = FETCH_S
        self.processing_s = PROCESSING_S
        self.quota_total = 50
        self.tells_video_status = True
        self.misspells = False  # "bytes_transfered"
        self.wraps = True  # short tokens come in {"data": […]}
        self.page_size = 100
        self.used_percent = 3
        self.outage: set[TokenKind] = set()  # these tokens are shown nothing: 100/33
        self.calls: list[tuple[str, str]] = []  # method and path, of those that were let in
        self._fetch_transport = fetch_transport
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

    def posts(self) -> list[Posted]:
        """All that is public."""
        return [
            Posted(
                platform="instagram",
                account=reel.account,
                remote_id=reel.id,
                sha256=reel.sha256,
                title=reel.caption,
                at=reel.at,
                privacy="public",
            )
            for reel in self.reels.values()
        ]

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

    def status_of(self, container: Container) -> str:
        """By the clock of the world."""
        now = self.world.now()
        if container.media_id:
            return "PUBLISHED"
        if container.ready_at is not None and now >= container.ready_at and container.error:
            return "ERROR"
        if now >= container.created_at + CONTAINER_LIFE_MS:
            return "EXPIRED"
        return "IN_PROGRESS" if container.ready_at is None or now < container.ready_at else "FINISHED"

    def handlers(self) -> list[HTTPRouteHandler]:
        """Their paths begin with the host."""

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

        @route("/graph.facebook.com/{path:path}", http_method=_METHODS, status_code=200)
        async def facebook(request: AnyRequest, path: FromPath[str]) -> Response[Any]:
            return await self._graph("facebook", request, path)

        @route("/graph.instagram.com/{path:path}", http_method=_METHODS, status_code=200)
        async def instagram(request: AnyRequest, path: FromPath[str]) -> Response[Any]:
            return await self._graph("instagram", request, path)

        @post("/rupload.facebook.com/ig-api-upload/{version:str}/{container:str}", status_code=200)
        async def upload(request: AnyRequest, version: FromPath[str], container: FromPath[str]) -> Response[Any]:
            return await self._upload(request, container)

        return [dialog, authorize, short, facebook, instagram, upload]

    # tokens

    async def _short(self, request: AnyRequest) -> Response[Any]:
        given = await _form(request)
        fault = await self._fault("instagram.token")
        if fault is not None and (answer := self._common(fault)) is not None:
            return answer
        try:
            if given.get("grant_type") != "authorization_code":
                raise OAuthRefused("invalid_request", "Invalid grant type")
            issued = self._redeem(self.instagram, given)
        except OAuthRefused as refused:
            return self._answer(
                {"error_type": "OAuthException", "code": 400, "error_message": refused.description}, status=400
            )
        _lose(fault)
        token = {
            "access_token": issued.access_token,
            "user_id": int(issued.account),
            "permissions": ",".join(issued.scopes) if self.wraps else list(issued.scopes),
        }
        return self._answer({"data": [token]} if self.wraps else token)

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

    async def _token(self, host: Host, way: str, given: Mapping[str, str]) -> Response[Any]:
        """The token endpoints of graph.*: exchange, and what stands for a refresh."""
        fault = await self._fault("instagram.token")
        if fault is not None and (answer := self._common(fault)) is not None:
            return answer
        server = self.facebook if host == "facebook" else self.instagram
        if host == "facebook" and "grant_type" not in given:
            try:
                issued = self._redeem(server, given)
            except OAuthRefused as refused:
                if refused.error == "invalid_client":
                    raise _Refused("1", "Error validating client secret.") from None
                raise _Refused("100/36009", refused.description) from None
            token, life_s = issued.access_token, SHORT_S
        else:
            grants = {"oauth/access_token": "fb_exchange_token", "access_token": "ig_exchange_token"}
            wanted = grants.get(way, "ig_refresh_token")
            if given.get("grant_type") != wanted:
                raise _Refused("100", f"grant_type has to be {wanted}")
            token, life_s = self._exchanged(server, host, wanted, given), LONG_S
        _lose(fault)
        return self._answer({"access_token": token, "token_type": "bearer", "expires_in": life_s})

    def _exchanged(self, server: AuthServer, host: Host, way: str, given: Mapping[str, str]) -> str:
        old = given.get("fb_exchange_token" if host == "facebook" else "access_token", "")
        issued = self._holder(server, old)
        made_at = self._long.get(old)
        if (
            way != "ig_refresh_token"
            and server.clients
            and (server.clients.get(issued.client_id) != given.get("client_secret"))
        ):
            raise _Refused("1", "Error validating client secret.")
        if way == "ig_exchange_token" and made_at is not None:
            raise _Refused("100", "The token is a long-lived one already.")
        if way == "ig_refresh_token" and (made_at is None or self.world.now() - made_at < DAY_MS):
            raise _Refused("100", "Only a long-lived token that is at least 24 hours old can be refreshed.")
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
            raise _Refused("190/463", message, status=status)
        if token in self._known:
            message = "Error validating access token: The user has not authorized the application."
            raise _Refused("190/458", message, status=status)
        raise _Refused("190", "Invalid OAuth access token - Cannot parse access token", status=status)

    def _stands(self, issued: Issued) -> bool:
        """Whether what the person granted was not taken back since; its end does not matter."""
        return any(one.account == issued.account for one in self.facebook.issued)

    def _caller(self, host: Host, token: str) -> _Caller:
        if host == "facebook" and (page := self._pages.get(token)) is not None and self._stands(page[0]):
            return _Caller(kind="page", scopes=page[0].scopes, accounts=frozenset({page[1].ig_id}), issued=page[0])
        issued = self._holder(self.facebook if host == "facebook" else self.instagram, token)
        every = {one.ig_id for one in self.accounts} if host == "facebook" else {issued.account}
        return _Caller(kind="user", scopes=issued.scopes, accounts=frozenset(every), issued=issued)

    # the Graph API

    async def _graph(self, host: Host, request: AnyRequest, path: str) -> Response[Any]:
        try:
            return await self._routed(host, request, path.strip("/"))
        except _Refused as refused:
            return self._error(refused)

    async def _routed(self, host: Host, request: AnyRequest, path: str) -> Response[Any]:
        given = {name: str(value) for name, value in request.query_params.multi_items()}
        if request.method == "POST":
            given |= await _form(request)
        if host == "instagram" and path in ("access_token", "refresh_access_token"):
            return await self._token(host, path, given)
        version, _, rest = path.partition("/")
        found = _VERSION.fullmatch(version)
        if found is None or int(found[1]) < _OLDEST_VERSION:
            raise _Refused("2635", "You are calling a deprecated version of the Ads API or none at all.")
        if host == "facebook" and rest == "oauth/access_token":
            return await self._token(host, rest, given)
        token = _bearer(request) or given.get("access_token", "")
        if host == "facebook" and rest == "debug_token":
            return self._inspected(token, given)
        caller = self._caller(host, token)
        self.calls.append((request.method, rest))
        return await self._node(host, caller, request.method, rest.split("/"), given)

    async def _node(
        self, host: Host, caller: _Caller, method: str, parts: list[str], given: Mapping[str, str]
    ) -> Response[Any]:
        match method, parts:
            case "GET", ["me"] if host == "instagram":
                return self._me(caller, given)
            case "GET", ["me", "permissions"] if host == "facebook":
                return self._permissions(caller)
            case "GET", ["me", "accounts"] if host == "facebook":
                return self._page_list(caller, given, business="")
            case "GET", ["me", "businesses"] if host == "facebook":
                self._needs(caller, "business_management")
                ids = sorted({one.business for one in self.accounts if one.business})
                return self._answer({"data": [{"id": one} for one in ids]})
            case "GET", [business, "owned_pages"] if host == "facebook":
                return self._page_list(caller, given, business=business)
            case "GET", [_, "client_pages"] if host == "facebook":
                return self._answer({"data": []})
            case "POST", [account, "media"]:
                return await self._create(host, self._publishing(host, caller, account), account, given)
            case "POST", [account, "media_publish"]:
                self._publishing(host, caller, account)
                return await self._publish(account, given)
            case "GET", [account, "content_publishing_limit"]:
                return await self._limit(self._reading(host, caller, account), account)
            case "GET", [account, "media"]:
                return await self._media(self._reading(host, caller, account), account, given)
            case "GET", [node] if node in self.containers:
                return await self._container(host, caller, self.containers[node], given)
            case "GET", [node] if node in self.reels:
                return await self._reel(host, caller, self.reels[node], given)
        raise self._unseen(parts[0], method)

    def _me(self, caller: _Caller, given: Mapping[str, str]) -> Response[Any]:
        account = next(one for one in self.accounts if one.scoped_id == caller.issued.account)
        told = {
            "user_id": account.scoped_id,
            "username": account.username,
            "name": account.name,
            "account_type": account.account_type,
            "profile_picture_url": self.world.url(f"https://scontent.cdninstagram.com/{account.username}.jpg"),
        }
        return self._answer(_fields(told, given) | {"id": account.scoped_id})

    def _permissions(self, caller: _Caller) -> Response[Any]:
        asked = caller.issued.asked.get("scope", "").split(",")
        data = [
            {"permission": one, "status": "granted" if one in caller.issued.scopes else "declined"}
            for one in asked
            if one
        ]
        return self._answer({"data": data})

    def _page_list(self, caller: _Caller, given: Mapping[str, str], *, business: str) -> Response[Any]:
        """Pages with their token and account; one of them is linked to none."""
        self._needs(caller, "business_management" if business else "pages_show_list")
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
        return self._answer(told)

    def _inspected(self, asking: str, given: Mapping[str, str]) -> Response[Any]:
        client_id, _, secret = asking.partition("|")
        if not secret or (self.facebook.clients and self.facebook.clients.get(client_id) != secret):
            raise _Refused("190", "Invalid OAuth access token signature.", status=401)
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
        return self._answer({"data": told})

    async def _create(self, host: Host, caller: _Caller, account: str, given: Mapping[str, str]) -> Response[Any]:
        fault = await self._fault("instagram.container")
        if fault is not None and (answer := self._common(fault)) is not None:
            return answer
        self._seen(caller, account)
        resumable = host == "facebook" and given.get("upload_type") == "resumable"
        self._check_asked(host, given, resumable=resumable)
        now = self.world.now()
        made = [one for one in self.containers.values() if one.account == account and one.created_at > now - DAY_MS]
        if len(made) >= CONTAINERS_A_DAY:
            raise _Refused("9/2207042", f"More than {CONTAINERS_A_DAY} containers were made within 24 hours.")
        container = Container(
            id=f"17{self.world.number(15)}",
            account=account,
            host=host,
            caption=given.get("caption", "").strip(),
            asked={name: value for name, value in given.items() if name not in ("access_token", "video_url")},
            created_at=now,
        )
        if not resumable:
            await self._fetched(container, given["video_url"])
        self.containers[container.id] = container
        _lose(fault)
        told = {"id": container.id}
        if resumable:
            told["uri"] = self.world.url(f"https://rupload.facebook.com/ig-api-upload/v26.0/{container.id}")
        return self._answer(told, account=account)

    def _check_asked(self, host: Host, given: Mapping[str, str], *, resumable: bool) -> None:
        """Raises _Refused."""
        if given.get("media_type") != "REELS":
            raise _Refused("100/2207023")
        if not resumable and not given.get("video_url"):
            raise _Refused("100", "The parameter video_url is required", kind="IGApiException")
        caption = given.get("caption", "")
        if len(caption) > 2200:
            raise _Refused("36004/2207010")
        if len(re.findall(r"(?<!\w)#\w", caption)) > 30 or len(re.findall(r"(?<![\w.])@\w", caption)) > 20:
            raise _Refused("100/2207040")
        if not given.get("thumb_offset", "0").isdigit():
            raise _Refused("1/2207057")

    async def _publish(self, account: str, given: Mapping[str, str]) -> Response[Any]:
        fault = await self._fault("instagram.publish")
        if fault is not None and fault.name != "blocked_but_live" and (answer := self._common(fault)) is not None:
            return answer
        container = self.containers.get(given.get("creation_id", ""))
        if container is None or container.account != account:
            raise _Refused("24/2207006", "The media with such id does not exist.")
        status = self.status_of(container)
        if status == "PUBLISHED":
            raise _Refused("100", "The media of this container was published already.")
        if status == "EXPIRED":
            raise _Refused("24/2207008")
        if status != "FINISHED":
            raise _Refused("9007/2207027")
        now = self.world.now()
        if self._published_today(account) >= self.quota_total:
            raise _Refused("9/2207042", status=403)
        reel = Reel(
            id=f"18{self.world.number(15)}",
            account=account,
            caption=container.caption,
            at=now,
            sha256=container.inspection.sha256 if container.inspection.size else "",
            shortcode=f"D{self.world.number(10)}",
            container=container.id,
        )
        self.reels[reel.id] = reel
        container.media_id = reel.id
        _lose(fault)
        if fault is not None and fault.name == "blocked_but_live":
            raise _Refused("4/2207051", title="Action is blocked")
        return self._answer({"id": reel.id}, account=account)

    def _published_today(self, account: str) -> int:
        since = self.world.now() - DAY_MS
        return sum(reel.account == account and reel.at > since for reel in self.reels.values())

    async def _limit(self, caller: _Caller, account: str) -> Response[Any]:
        fault = await self._fault("instagram.limit")
        if fault is not None and (answer := self._common(fault)) is not None:
            return answer
        _lose(fault)
        config = {"quota_total": self.quota_total, "quota_duration": 86_400}
        return self._answer({"data": [{"quota_usage": self._published_today(account), "config": config}]})

    async def _media(self, caller: _Caller, account: str, given: Mapping[str, str]) -> Response[Any]:
        fault = await self._fault("instagram.media")
        if fault is not None and (answer := self._common(fault)) is not None:
            return answer
        self._seen(caller, account)
        _lose(fault)
        newest = sorted((one for one in self.reels.values() if one.account == account), key=lambda one: -one.at)
        listed = [_fields(self._told(one), given) for one in newest[: int(given.get("limit", 25))]]
        return self._answer({"data": listed, "paging": {"cursors": {"before": "0", "after": "0"}}}, account=account)

    async def _container(
        self, host: Host, caller: _Caller, container: Container, given: Mapping[str, str]
    ) -> Response[Any]:
        fault = await self._fault("instagram.status")
        if fault is not None and (answer := self._common(fault)) is not None:
            return answer
        self._seen(caller, container.id)
        if container.host != host or container.account not in caller.accounts:
            raise self._unseen(container.id, "GET")
        fields = given.get("fields", "id").split(",")
        if "video_status" in fields and not self.tells_video_status:
            raise _Refused("100/2207065", "Tried accessing nonexisting field (video_status)")
        _lose(fault)
        status = self.status_of(container)
        words = _STATUS[status].format(code=container.error)
        told: dict[str, Any] = {"status_code": status, "status": words}
        if container.asked.get("upload_type") == "resumable":
            told["video_status"] = self._phases(container)
        return self._answer(_fields(told, given) | {"id": container.id}, account=container.account)

    def _phases(self, container: Container) -> dict[str, Any]:
        complete = container.ready_at is not None
        name = "bytes_transfered" if self.misspells else "bytes_transferred"
        uploading = {"status": "complete" if complete else "in_progress", name: container.inspection.size}
        return {
            "uploading_phase": uploading,
            "processing_phase": {"status": "in_progress" if complete else "not_started"},
        }

    async def _reel(self, host: Host, caller: _Caller, reel: Reel, given: Mapping[str, str]) -> Response[Any]:
        fault = await self._fault("instagram.permalink")
        if fault is not None and (answer := self._common(fault)) is not None:
            return answer
        self._seen(caller, reel.id)
        if reel.account not in caller.accounts:
            raise self._unseen(reel.id, "GET")
        _lose(fault)
        return self._answer(_fields(self._told(reel), given) | {"id": reel.id}, account=reel.account)

    def _told(self, reel: Reel) -> dict[str, Any]:
        told = {
            "id": reel.id,
            "caption": reel.caption,
            "timestamp": datetime.fromtimestamp(reel.at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
            "permalink": f"https://www.instagram.com/reel/{reel.shortcode}/",
            "shortcode": reel.shortcode,
            "media_type": "VIDEO",
            "media_product_type": "REELS",
        }
        return told if reel.caption else {name: value for name, value in told.items() if name != "caption"}

    # bytes

    async def _upload(self, request: AnyRequest, container_id: str) -> Response[Any]:
        fault = await self._fault("instagram.upload")
        if fault is not None and (answer := self._common(fault)) is not None:
            return answer
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            caller = self._caller("facebook", token if scheme == "OAuth" else "")
        except _Refused:
            return self._debug("NotAuthorizedError", "The token is missing or not good", status=401)
        container = self.containers.get(container_id)
        if container is None or container.account not in caller.accounts:
            return self._debug("NotFoundError", "There is no such container", status=404)
        told = (request.headers.get("offset", ""), request.headers.get("file_size", ""))
        if not all(one.isdigit() for one in told):
            return self._debug("ParameterError", "offset and file_size are required")
        offset, size = (int(one) for one in told)
        if container.ready_at is not None:
            return self._answer({"success": True, "message": "Upload successful."})
        if offset not in (0, container.inspection.size) or (container.size and container.size != size):
            return self._debug("OffsetInvalidError", f"There are {container.inspection.size} bytes, not {offset}")
        return await self._received(request, container, offset=offset, size=size, fault=fault)

    async def _received(
        self, request: AnyRequest, container: Container, *, offset: int, size: int, fault: Fault | None
    ) -> Response[Any]:
        """Take what comes, or as much of it as the fault lets in."""
        name = fault.name if fault is not None else ""
        inspection = container.inspection if offset else Inspection()
        wanted = size - offset
        if name in ("partial", "cut"):
            wanted = wanted // 2
        async for piece in _pieces(request):
            if name == "transient":
                continue
            if wanted < len(piece):
                inspection.feed(piece[:wanted])
                wanted = 0
                if name == "cut":
                    container.size, container.inspection = size, inspection
                    raise Broken
                continue
            inspection.feed(piece)
            wanted -= len(piece)
        if name == "transient":
            return self._debug("ProcessingFailedError", "Request processing failed")
        container.size, container.inspection = size, inspection
        if inspection.size < size:
            return self._debug("PartialRequestError", "Partial request (did not match length of file)")
        self._process(container)
        _lose(fault)
        if name == "stored_but_400":
            return self._debug("ProcessingFailedError", "Request processing failed")
        return self._answer({"success": True, "message": "Upload successful."})

    def _process(self, container: Container) -> None:
        """All bytes are there: from now on it takes its time."""
        fault = self.world.fault("instagram.processing", by_chance=BY_CHANCE["instagram.processing"])
        name = fault.name if fault is not None else ""
        seconds = {"slow": SLOW_PROCESSING_S, "stuck": 10 * 86_400}.get(name, self.processing_s)
        container.ready_at = self.world.now() + seconds * 1000
        container.error = name if name.isdigit() else self._fault_of(container)

    def _fault_of(self, container: Container) -> str:
        """The number of what is wrong with the file."""
        if not self.inspects or not container.inspection.size:
            return ""
        facts = container.inspection.facts()
        if wrong := facts.faults("instagram"):
            return wrong[0].code
        offset_ms = int(container.asked.get("thumb_offset", "0"))
        return "2207057" if facts.duration_us is not None and offset_ms * 1000 >= facts.duration_us else ""

    async def _fetched(self, container: Container, url: str) -> None:
        """Fetch the file as Meta does: no redirect, no robots.txt that forbids, a video. Raises _Refused."""
        if not url.isascii() or urlsplit(url).scheme not in ("http", "https"):
            raise _Refused("9004/2207052")
        if self.fetches:
            try:
                async with (
                    asyncio.timeout(self.fetch_s),
                    httpx.AsyncClient(
                        transport=self._fetch_transport, headers={"User-Agent": _AGENT}, trust_env=False
                    ) as client,
                ):
                    await _fetch(client, url, container.inspection)
            except (TimeoutError, httpx.TimeoutException):
                raise _Refused("-2/2207003") from None
            except httpx.HTTPError:
                raise _Refused("9004/2207052") from None
        self._process(container)

    # what each call goes by

    async def _fault(self, point: str) -> Fault | None:
        fault = self.world.fault(point, by_chance=BY_CHANCE[point])
        if fault is not None and fault.name == "slow":
            await asyncio.sleep(SLOW_S if fault.value is None else float(fault.value))
        return fault

    def _common(self, fault: Fault) -> Response[Any] | None:
        """How a fault ends a call before it did anything; None: it goes on. Raises Broken, _Refused."""
        match fault.name:
            case "reset":
                raise Broken
            case "500" | "503":
                words = "An unexpected error has occurred. Please retry your request later."
                return self._error(_Refused("2", words, status=int(fault.name)))
            case "html":
                page = "<!doctype html><title>Error</title><h1>Sorry, something went wrong.</h1>"
                return Response(page, status_code=502, media_type=MediaType.HTML, headers=self._headers())
            case "80002":
                return self._error(_Refused("80002", regain_min=int(fault.value or 5)))
            case "4/2207051":
                return self._error(_Refused(fault.name, title="Action is blocked"))
            case name if name.startswith("190"):
                return self._error(_Refused(name, status=401))
        return self._error(_Refused(fault.name)) if _NUMBERS.fullmatch(fault.name) else None

    def _seen(self, caller: _Caller, node: str) -> None:
        if caller.kind in self.outage:
            raise self._unseen(node, "GET")

    def _unseen(self, node: str, method: str) -> _Refused:
        what = f"Unsupported {method.lower()} request. Object with ID '{node}' does not exist, cannot be loaded due to "
        return _Refused("100/33", what + "missing permissions, or does not support this operation.")

    def _needs(self, caller: _Caller, scope: str) -> None:
        if scope not in caller.scopes:
            raise _Refused("10", status=403)

    def _reading(self, host: Host, caller: _Caller, account: str) -> _Caller:
        self._needs(caller, SCOPES[host][0])
        if account not in caller.accounts:
            raise self._unseen(account, "GET")
        return caller

    def _publishing(self, host: Host, caller: _Caller, account: str) -> _Caller:
        self._needs(caller, SCOPES[host][1])
        if account not in caller.accounts:
            raise self._unseen(account, "POST")
        return caller

    def _headers(self, account: str = "", regain_min: int = 0) -> dict[str, str]:
        used = {"call_count": self.used_percent, "total_cputime": 1, "total_time": 1}
        headers = {
            "Date": formatdate(self.world.now() / 1000, usegmt=True),
            "X-App-Usage": json.dumps(used),
        }
        if account or regain_min:
            business = {"type": "instagram", **used, "estimated_time_to_regain_access": regain_min}
            headers["X-Business-Use-Case-Usage"] = json.dumps({account or "0": [business]})
        return headers

    def _answer(self, told: Mapping[str, Any], *, status: int = 200, account: str = "") -> Response[Any]:
        return Response(dict(told), status_code=status, headers=self._headers(account))

    def _error(self, refused: _Refused) -> Response[Any]:
        code, _, subcode = refused.numbers.partition("/")
        error: dict[str, Any] = {"message": refused.message, "type": refused.kind, "code": int(code)}
        if subcode:
            error |= {"error_subcode": int(subcode), "is_transient": False}
        if refused.title:
            error |= {"error_user_title": refused.title, "error_user_msg": "We restrict certain activity."}
        error["fbtrace_id"] = self.world.token("A")[:23]
        return Response(
            {"error": error}, status_code=refused.status, headers=self._headers(regain_min=refused.regain_min)
        )

    def _debug(self, kind: str, message: str, *, status: int = 400) -> Response[Any]:
        told = {"retriable": False, "type": kind, "message": message}
        return Response({"debug_info": told}, status_code=status, headers=self._headers())


async def _fetch(client: httpx.AsyncClient, url: str, inspection: Inspection) -> None:
    """The file into `inspection`. Raises _Refused, httpx.HTTPError."""
    parts = urlsplit(url)
    robots = await client.get(f"{parts.scheme}://{parts.netloc}/robots.txt")
    if robots.status_code == 200:
        rules = RobotFileParser()
        rules.parse(robots.text.splitlines())
        if not rules.can_fetch(_AGENT, url):
            raise _Refused("9004/2207052", "The media could not be fetched: robots.txt forbids it.")
    async with client.stream("GET", url) as answer:
        if answer.status_code != 200 or not answer.headers.get("content-type", "").startswith("video/"):
            raise _Refused("9004/2207052")
        async for piece in answer.aiter_bytes():
            inspection.feed(piece)


def _lose(fault: Fault | None) -> None:
    """What was asked is done; nobody hears of it."""
    if fault is not None and fault.name == "lost_answer":
        raise Broken


def _fields(told: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    wanted = given.get("fields", "").split(",")
    return {name: value for name, value in told.items() if name in wanted or name == "id"}


def _bearer(request: AnyRequest) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme in ("Bearer", "OAuth") else ""


async def _form(request: AnyRequest) -> dict[str, str]:
    return {name: str(value) for name, value in (await request.form()).items()}


async def _pieces(request: AnyRequest) -> AsyncIterator[bytes]:
    async for piece in request.stream():
        if piece:
            yield piece
