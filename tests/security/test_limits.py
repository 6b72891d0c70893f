"""Limits: each client has its own, none is met in normal use, made-up addresses neither get round them nor fill the
memory, and where nobody is asked who he is there are none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import msgspec
from litestar import Litestar, get, post, route
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from vidprod.config import Config
from vidprod.domain.bucket import MOST
from vidprod.domain.who import EVERYTHING, Who
from vidprod.web import audit, limits, problems
from vidprod.web.limits import Limit, Limits
from vidprod.web.pages import static_directory
from vidprod.web.rules import RULES

OWNER = Who(kind="owner", user_id="usr_1", session_id="ses_1", scopes=EVERYTHING)
KEY = Who(kind="key", user_id="usr_1", key_id="key_1", scopes=frozenset({"read"}))
OTHER_KEY = msgspec.structs.replace(KEY, key_id="key_2")


class As(ASGIMiddleware):
    """Stands where the one stands that says who asks."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, house: "House") -> None:
        self._house = house

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if self._house.who is not None:
            scope["state"]["who"] = self._house.who
        await next_app(scope, receive, send)


class House:
    """An application of a few routes behind the limits, a clock that stands still, and who asks."""

    def __init__(self, **settings: Any) -> None:
        self.config = Config(**settings)
        self.now_s = 1000.0
        self.who: Who | None = None
        self.mode = "asking"
        self.limits = Limits(self.config, clock=lambda: self.now_s)
        self.begun = asyncio.Semaphore(0)
        self.may_end = asyncio.Event()

        async def mode() -> str:
            return self.mode

        @route("/v1/jobs", http_method=["GET", "HEAD"])
        async def jobs() -> str:
            return "jobs"

        @get(["/v1/segments/{segment_id:str}/{kind:str}", "/health", "/public/{name:str}", "/static/{path:path}", "/"])
        async def anything() -> str:
            return "anything"

        @post("/upload")
        async def upload() -> str:
            self.begun.release()
            await self.may_end.wait()
            return "stored"

        @route("/files/{upload_id:str}", http_method=["PATCH"], status_code=204)
        async def piece() -> None:
            return None

        self.app = Litestar(
            [jobs, anything, upload, piece],
            middleware=[As(self), Limit(self.limits, self.config, mode)],
            before_send=[limits.add_headers],
            exception_handlers=problems.HANDLERS,
            openapi_config=None,
        )

    @asynccontextmanager
    async def client(self, peer: str = "203.0.113.9") -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app=cast(Any, self.app), client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client


async def answered(client: httpx.AsyncClient, times: int, path: str = "/v1/jobs", method: str = "GET") -> list[int]:
    return [(await client.request(method, path)).status_code for _ in range(times)]


async def test_a_key_may_ask_sixty_times_a_minute_and_thirty_at_once() -> None:
    house = House()
    house.who = KEY
    async with house.client() as client:
        assert await answered(client, 40) == [200] * 30 + [429] * 10
        house.now_s += 10
        assert await answered(client, 15) == [200] * 10 + [429] * 5


async def test_a_refusal_says_when_to_come_again_and_every_answer_how_it_stands() -> None:
    house = House()
    house.who = KEY
    async with house.client() as client:
        first = await client.get("/v1/jobs")
        assert first.headers["ratelimit-policy"] == '"key";q=60;w=60'
        assert first.headers["ratelimit"] == '"key";r=29;t=1'
        await answered(client, 29)
        refused = await client.get("/v1/jobs")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert refused.headers["ratelimit"] == '"key";r=0;t=30'
        assert refused.headers["content-type"] == "application/problem+json"
        problem = refused.json()
        assert (problem["code"], problem["title"]) == ("too_many_requests", "Too Many Requests")
        assert problem["detail"] == "More than 60 requests in 60 s, and 30 at once."


async def test_a_client_that_waits_as_long_as_it_is_told_is_served() -> None:
    house = House(requests_per_min=7)
    house.who = KEY
    async with house.client() as client:
        served = 0
        while served < 20:
            answer = await client.get("/v1/jobs")
            if answer.status_code == 429:
                house.now_s += int(answer.headers["retry-after"])
                answer = await client.get("/v1/jobs")
            assert answer.status_code == 200
            served += 1


async def test_each_key_has_its_own_limit_from_wherever_it_comes() -> None:
    house = House()
    house.who = KEY
    async with house.client() as client, house.client("198.51.100.7") as elsewhere:
        assert (await answered(client, 31))[-1] == 429
        assert await answered(elsewhere, 1) == [429]
        house.who = OTHER_KEY
        assert await answered(client, 1) == [200]


async def test_a_stranger_is_his_address_and_all_of_a_network_of_ipv6() -> None:
    house = House()
    async with house.client("2001:db8::1") as one, house.client("2001:db8::2") as same:
        assert (await answered(one, 61))[-1] == 429
        assert await answered(same, 1) == [429]
    async with house.client("2001:db8:0:1::1") as other:
        assert await answered(other, 1) == [200]


def _spoofed(number: int) -> dict[str, str]:
    return {"X-Forwarded-For": f"198.51.{number >> 8}.{number & 255}", "Fly-Client-IP": f"2001:db8:{number:x}::1"}


async def test_headers_of_his_own_get_a_stranger_round_no_limit() -> None:
    for proxy in ("", "fly", "1"):
        house = House(trusted_proxy=proxy)
        async with house.client() as client:
            statuses = [(await client.get("/v1/jobs", headers=_spoofed(n))).status_code for n in range(70)]
        assert statuses == [200] * 60 + [429] * 10, proxy
        assert house.limits.clients == 1


async def test_the_same_headers_do_where_every_peer_is_believed() -> None:
    """The twin: it is who the peer is that keeps them out."""
    house = House(trusted_proxy="1")
    async with house.client("127.0.0.1") as client:
        statuses = [(await client.get("/v1/jobs", headers=_spoofed(n))).status_code for n in range(70)]
    assert set(statuses) == {200}


async def test_a_hundred_thousand_addresses_are_not_all_remembered() -> None:
    house = House()
    for number in range(100_000):
        house.limits.take("stranger", f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::/64")
    assert house.limits.clients == MOST


async def test_a_flood_of_addresses_does_not_reset_what_guards_an_account() -> None:
    house = House()
    for _ in range(20):
        assert house.limits.take("account", "usr_1") is None
    for number in range(2 * MOST):
        house.limits.take("login", f"usr_1 198.51.100.{number}")
        house.limits.take("stranger", f"198.51.100.{number}")
    wait_s = house.limits.take("account", "usr_1")
    assert wait_s is not None
    assert wait_s > 100


async def test_signing_in_is_tried_five_times_a_minute() -> None:
    house = House()
    tries = [house.limits.take("login", "usr_1 203.0.113.9") for _ in range(6)]
    assert tries == [None] * 5 + [12.0]
    assert house.limits.wait_s("login", "usr_1 203.0.113.9") == 12.0
    assert house.limits.wait_s("login", "usr_1 203.0.113.10") is None


async def test_where_nobody_is_asked_who_he_is_there_is_no_limit() -> None:
    house = House()
    house.mode = "open"
    async with house.client("127.0.0.1") as client:
        assert set(await answered(client, 700)) == {200}
        assert "ratelimit" not in (await client.get("/v1/jobs")).headers
    assert house.limits.clients == 0


async def test_whoever_runs_us_may_always_look() -> None:
    house = House()
    async with house.client() as client:
        await answered(client, 100)
        assert set(await answered(client, 300, "/health")) == {200}


async def test_the_owner_may_seek_through_videos_and_send_pieces_all_day() -> None:
    house = House()
    house.who = OWNER
    async with house.client() as client:
        assert set(await answered(client, 900, "/v1/segments/seg_1/video")) == {200}
        house.now_s += 20
        assert set(await answered(client, 900, "/files/upl_1", "PATCH")) == {204}
        answer = await client.get("/v1/jobs")
        assert answer.headers["ratelimit"] == '"session";r=599;t=1'


def test_the_page_may_be_loaded_twenty_times_in_a_row() -> None:
    files = len(list(static_directory().glob("*.*")))
    assert files > 50
    assert limits.rules(Config())["page"].burst >= 12 * files  # a load asks for two thirds of them


def test_what_is_treated_apart_are_routes_that_there_are() -> None:
    apart = limits._FREE | limits._SHELL | limits._TRANSFERS | limits._PUBLIC | limits._SENDING
    apart |= audit._CHANGES_NOTHING | audit._PIECES | audit._SIGNING_IN
    assert apart <= set(RULES)


async def test_only_so_many_uploads_begin_in_a_minute() -> None:
    house = House()
    house.may_end.set()
    house.who = KEY
    async with house.client() as client:
        statuses = []
        for _ in range(40):
            statuses.append((await client.post("/upload")).status_code)
            house.now_s += 0.5  # two a second: within what it may ask, not within what it may begin
        assert statuses[:30] == [201] * 30
        house.now_s += 600
        house.who = OWNER
        assert await answered(client, 100, "/upload", "POST") == [201] * 100  # a gallery, in the page


async def test_a_client_sends_only_so_many_uploads_at_the_same_time() -> None:
    house = House(max_uploads_per_client=2, uploads_per_min=0)
    house.who = KEY
    async with house.client() as client:
        under_way = [asyncio.create_task(client.post("/upload")) for _ in range(2)]
        await house.begun.acquire()
        await house.begun.acquire()
        third = await client.post("/upload")
        assert (third.status_code, third.json()["code"]) == (429, "too_many_uploads")
        assert third.headers["retry-after"] == "5"
        house.who = OTHER_KEY
        others = asyncio.create_task(client.post("/upload"))
        house.may_end.set()
        assert [(await one).status_code for one in (*under_way, others)] == [201] * 3
        house.who = KEY
        assert (await client.post("/upload")).status_code == 201


async def test_a_limit_can_be_switched_off() -> None:
    house = House(requests_per_min=0, uploads_per_min=0)
    house.may_end.set()
    house.who = KEY
    async with house.client() as client:
        assert set(await answered(client, 100)) == {200}
        assert set(await answered(client, 100, "/upload", "POST")) == {201}
