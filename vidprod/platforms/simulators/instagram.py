"""Instagram, simulated: two hosts with different rules, three authorisation servers, and a host that takes files.

    www.facebook.com       dialog/oauth                                       the page of Facebook Login
    graph.facebook.com     tokens, pages, containers for files and addresses
    rupload.facebook.com   the bytes of a container
    www.instagram.com      oauth/authorize                                    the page of Instagram Login
    api.instagram.com      oauth/access_token                                 tokens of an hour
    graph.instagram.com    tokens of 60 days; containers for addresses only

A container is IN_PROGRESS until its bytes are there and some seconds of the world have passed, then FINISHED or ERROR;
after a day it is EXPIRED. Published, it is PUBLISHED for ever, and is not published again.

Not known of the real one, so chosen here: what a second media_publish and a 401st container are answered: a 400.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
from litestar import HttpMethod, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from vidprod.platforms.simulators.instagram_graph import (
    Answers,
    AnyRequest,
    Refused,
    bearer,
    chosen,
    form_of,
    lose,
    unseen,
)
from vidprod.platforms.simulators.instagram_login import (
    ACCOUNTS,
    DAY_MS,
    SCOPES,
    Caller,
    Host,
    Logins,
    SimAccount,
    TokenKind,
    needs,
)
from vidprod.platforms.simulators.instagram_upload import Container, Uploads
from vidprod.platforms.simulators.world import Posted, World

CONTAINERS_A_DAY = 400

_STATUS = {
    "IN_PROGRESS": "In Progress: Media is still being processed.",
    "FINISHED": "Finished: Media has been uploaded and it is ready to be published.",
    "PUBLISHED": "Published: Media has been successfully published.",
    "EXPIRED": "Expired: The container was not published within 24 hours and has expired.",
    "ERROR": "Error: Media upload has failed with error code {code}",
}
_METHODS = (HttpMethod.GET, HttpMethod.POST)
_VERSION = re.compile(r"v(\d+)\.\d+")
_OLDEST_VERSION = 21


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
    comments: bool = True


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
        self.quota_total = 50
        self.tells_video_status = True
        self.misspells = False  # "bytes_transfered"
        self.outage: set[TokenKind] = set()  # these tokens are shown nothing: 100/33
        self.calls: list[tuple[str, str]] = []  # method and path, of those that were let in
        self.answers = Answers(world)
        self.logins = Logins(world, self.answers, accounts=self.accounts, clients=clients)
        self.uploads = Uploads(
            world,
            self.answers,
            self.logins,
            self.containers,
            inspects=inspects,
            fetches=fetches,
            fetch_transport=fetch_transport,
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

    def handlers(self) -> list[HTTPRouteHandler]:
        """Their paths begin with the host."""

        @route("/graph.facebook.com/{path:path}", http_method=_METHODS, status_code=200)
        async def facebook(request: AnyRequest, path: FromPath[str]) -> Response[Any]:
            return await self._graph("facebook", request, path)

        @route("/graph.instagram.com/{path:path}", http_method=_METHODS, status_code=200)
        async def instagram(request: AnyRequest, path: FromPath[str]) -> Response[Any]:
            return await self._graph("instagram", request, path)

        return [*self.logins.handlers(), facebook, instagram, *self.uploads.handlers()]

    async def _graph(self, host: Host, request: AnyRequest, path: str) -> Response[Any]:
        try:
            return await self._routed(host, request, path.strip("/"))
        except Refused as refused:
            return self.answers.error(refused)

    async def _routed(self, host: Host, request: AnyRequest, path: str) -> Response[Any]:
        given = {name: str(value) for name, value in request.query_params.multi_items()}
        if request.method == "POST":
            given |= await form_of(request)
        if host == "instagram" and path in ("access_token", "refresh_access_token"):
            return await self.logins.token(host, path, given)
        version, _, rest = path.partition("/")
        found = _VERSION.fullmatch(version)
        if found is None or int(found[1]) < _OLDEST_VERSION:
            raise Refused("2635", "You are calling a deprecated version of the Ads API or none at all.")
        if host == "facebook" and rest == "oauth/access_token":
            return await self.logins.token(host, rest, given)
        token = bearer(request) or given.get("access_token", "")
        if host == "facebook" and rest == "debug_token":
            return self.logins.inspected(token, given)
        caller = self.logins.caller(host, token)
        self.calls.append((request.method, rest))
        return await self._node(host, caller, request.method, rest.split("/"), given)

    async def _node(
        self, host: Host, caller: Caller, method: str, parts: list[str], given: Mapping[str, str]
    ) -> Response[Any]:
        match method, parts:
            case "GET", ["me"] if host == "instagram":
                return self.logins.me(caller, given)
            case "GET", ["me", "permissions"] if host == "facebook":
                return self.logins.permissions(caller)
            case "GET", ["me", "accounts"] if host == "facebook":
                return self.logins.page_list(caller, given, business="")
            case "GET", ["me", "businesses"] if host == "facebook":
                needs(caller, "business_management")
                ids = sorted({one.business for one in self.accounts if one.business})
                return self.answers.good({"data": [{"id": one} for one in ids]})
            case "GET", [business, "owned_pages"] if host == "facebook":
                return self.logins.page_list(caller, given, business=business)
            case "GET", [_, "client_pages"] if host == "facebook":
                return self.answers.good({"data": []})
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
            case "POST", [node] if node in self.reels:
                return await self._switch(host, caller, self.reels[node], given)
        raise unseen(parts[0], method)

    async def _create(self, host: Host, caller: Caller, account: str, given: Mapping[str, str]) -> Response[Any]:
        fault = await self.answers.fault("instagram.container")
        if fault is not None and (answer := self.answers.ended(fault)) is not None:
            return answer
        self._seen(caller, account)
        resumable = host == "facebook" and given.get("upload_type") == "resumable"
        self._check_asked(host, given, resumable=resumable)
        now = self.world.now()
        made = [one for one in self.containers.values() if one.account == account and one.created_at > now - DAY_MS]
        if len(made) >= CONTAINERS_A_DAY:
            raise Refused("9/2207042", f"More than {CONTAINERS_A_DAY} containers were made within 24 hours.")
        container = Container(
            id=f"17{self.world.number(15)}",
            account=account,
            host=host,
            caption=given.get("caption", "").strip(),
            asked={name: value for name, value in given.items() if name not in ("access_token", "video_url")},
            created_at=now,
        )
        if not resumable:
            await self.uploads.fetch(container, given["video_url"])
        self.containers[container.id] = container
        lose(fault)
        told = {"id": container.id}
        if resumable:
            told["uri"] = self.world.url(f"https://rupload.facebook.com/ig-api-upload/v26.0/{container.id}")
        return self.answers.good(told, account=account)

    def _check_asked(self, host: Host, given: Mapping[str, str], *, resumable: bool) -> None:
        """Raises Refused."""
        if given.get("media_type") != "REELS":
            raise Refused("100/2207023")
        if not resumable and not given.get("video_url"):
            raise Refused("100", "The parameter video_url is required", kind="IGApiException")
        caption = given.get("caption", "")
        if len(caption) > 2200:
            raise Refused("36004/2207010")
        if len(re.findall(r"(?<!\w)#\w", caption)) > 30 or len(re.findall(r"(?<![\w.])@\w", caption)) > 20:
            raise Refused("100/2207040")
        if not given.get("thumb_offset", "0").isdigit():
            raise Refused("1/2207057")

    async def _publish(self, account: str, given: Mapping[str, str]) -> Response[Any]:
        fault = await self.answers.fault("instagram.publish")
        if fault is not None and fault.name != "blocked_but_live" and (answer := self.answers.ended(fault)) is not None:
            return answer
        container = self.containers.get(given.get("creation_id", ""))
        if container is None or container.account != account:
            raise Refused("24/2207006", "The media with such id does not exist.")
        status = container.status(self.world.now())
        if status == "PUBLISHED":
            raise Refused("100", "The media of this container was published already.")
        if status == "EXPIRED":
            raise Refused("24/2207008")
        if status != "FINISHED":
            raise Refused("9007/2207027")
        now = self.world.now()
        if self._published_today(account) >= self.quota_total:
            raise Refused("9/2207042", status=403)
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
        lose(fault)
        if fault is not None and fault.name == "blocked_but_live":
            raise Refused("4/2207051", title="Action is blocked")
        return self.answers.good({"id": reel.id}, account=account)

    def _published_today(self, account: str) -> int:
        since = self.world.now() - DAY_MS
        return sum(reel.account == account and reel.at > since for reel in self.reels.values())

    async def _limit(self, caller: Caller, account: str) -> Response[Any]:
        fault = await self.answers.fault("instagram.limit")
        if fault is not None and (answer := self.answers.ended(fault)) is not None:
            return answer
        lose(fault)
        config = {"quota_total": self.quota_total, "quota_duration": 86_400}
        return self.answers.good({"data": [{"quota_usage": self._published_today(account), "config": config}]})

    async def _media(self, caller: Caller, account: str, given: Mapping[str, str]) -> Response[Any]:
        fault = await self.answers.fault("instagram.media")
        if fault is not None and (answer := self.answers.ended(fault)) is not None:
            return answer
        self._seen(caller, account)
        lose(fault)
        newest = sorted((one for one in self.reels.values() if one.account == account), key=lambda one: -one.at)
        listed = [chosen(self._told(one), given) for one in newest[: int(given.get("limit", 25))]]
        return self.answers.good(
            {"data": listed, "paging": {"cursors": {"before": "0", "after": "0"}}}, account=account
        )

    async def _container(
        self, host: Host, caller: Caller, container: Container, given: Mapping[str, str]
    ) -> Response[Any]:
        fault = await self.answers.fault("instagram.status")
        if fault is not None and (answer := self.answers.ended(fault)) is not None:
            return answer
        self._seen(caller, container.id)
        if container.host != host or container.account not in caller.accounts:
            raise unseen(container.id, "GET")
        fields = given.get("fields", "id").split(",")
        if "video_status" in fields and not self.tells_video_status:
            raise Refused("100/2207065", "Tried accessing nonexisting field (video_status)")
        lose(fault)
        status = container.status(self.world.now())
        words = _STATUS[status].format(code=container.error)
        told: dict[str, Any] = {"status_code": status, "status": words}
        if container.asked.get("upload_type") == "resumable":
            told["video_status"] = self._phases(container)
        return self.answers.good(chosen(told, given) | {"id": container.id}, account=container.account)

    def _phases(self, container: Container) -> dict[str, Any]:
        complete = container.ready_at is not None
        name = "bytes_transfered" if self.misspells else "bytes_transferred"
        uploading = {"status": "complete" if complete else "in_progress", name: container.inspection.size}
        return {
            "uploading_phase": uploading,
            "processing_phase": {"status": "in_progress" if complete else "not_started"},
        }

    async def _reel(self, host: Host, caller: Caller, reel: Reel, given: Mapping[str, str]) -> Response[Any]:
        fault = await self.answers.fault("instagram.permalink")
        if fault is not None and (answer := self.answers.ended(fault)) is not None:
            return answer
        self._seen(caller, reel.id)
        if reel.account not in caller.accounts:
            raise unseen(reel.id, "GET")
        lose(fault)
        return self.answers.good(chosen(self._told(reel), given) | {"id": reel.id}, account=reel.account)

    async def _switch(self, host: Host, caller: Caller, reel: Reel, given: Mapping[str, str]) -> Response[Any]:
        """Comments on or off: all that can be changed of what is public."""
        fault = await self.answers.fault("instagram.comments")
        if fault is not None and (answer := self.answers.ended(fault)) is not None:
            return answer
        self._seen(caller, reel.id)
        needs(caller, SCOPES[host][2])
        if reel.account not in caller.accounts:
            raise unseen(reel.id, "POST")
        if given.get("comment_enabled") not in ("true", "false"):
            raise Refused("100", "The parameter comment_enabled is required")
        self.reels[reel.id] = replace(reel, comments=given["comment_enabled"] == "true")
        lose(fault)
        return self.answers.good({"success": True}, account=reel.account)

    def _told(self, reel: Reel) -> dict[str, Any]:
        told = {
            "id": reel.id,
            "caption": reel.caption,
            "timestamp": datetime.fromtimestamp(reel.at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000"),
            "permalink": f"https://www.instagram.com/reel/{reel.shortcode}/",
            "shortcode": reel.shortcode,
            "media_type": "VIDEO",
            "media_product_type": "REELS",
            "is_comment_enabled": reel.comments,
        }
        return told if reel.caption else {name: value for name, value in told.items() if name != "caption"}

    # what each call goes by

    def _seen(self, caller: Caller, node: str) -> None:
        if caller.kind in self.outage:
            raise unseen(node, "GET")

    def _reading(self, host: Host, caller: Caller, account: str) -> Caller:
        needs(caller, SCOPES[host][0])
        if account not in caller.accounts:
            raise unseen(account, "GET")
        return caller

    def _publishing(self, host: Host, caller: Caller, account: str) -> Caller:
        needs(caller, SCOPES[host][1])
        if account not in caller.accounts:
            raise unseen(account, "POST")
        return caller
