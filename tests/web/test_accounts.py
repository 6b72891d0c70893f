"""Accounts over HTTP: connected through the simulated platforms' own pages, by real requests in between."""

import asyncio
import io
import re
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.store.test_planning import Plan
from tests.web.conftest import Live, running
from vidprod.domain.account import AccountSettings
from vidprod.errors import PlatformError
from vidprod.platforms.simulators.app import Far, far_end, simulators
from vidprod.platforms.simulators.oauth import pressed
from vidprod.platforms.simulators.transport import SimTransport
from vidprod.platforms.simulators.world import World
from vidprod.platforms.wire import Wire
from vidprod.telemetry import log

SIMULATED = "http://simulators"
CHANNEL = "UCsim000000000000000001"


@dataclass
class Browser:
    """The daemon, the far end, and a person between them."""

    live: Live
    far: Far
    outside: httpx.AsyncClient

    async def connect(self, platform: str, account: str, **asked: Any) -> httpx.Response:
        """From the button to the page that says how it ended."""
        return await self.come_back(await self.press(await self.ask(platform, **asked), account))

    async def ask(self, platform: str, **asked: Any) -> str:
        answer = await self.live.client.post("/v1/accounts/connect", json={"platform": platform, **asked})
        assert answer.status_code == 200, answer.text
        url: str = answer.json()["url"]
        return url

    async def press(self, page: str, account: str, *, allow: bool = True, scopes: list[str] | None = None) -> str:
        """Where the platform sends the browser."""
        assert page.startswith(SIMULATED), page
        assert (await self.outside.get(page)).status_code == 200
        answer = await self.outside.get(pressed(page, account=account, allow=allow, scopes=scopes))
        assert answer.status_code == 302, answer.text
        back: str = answer.headers["location"]
        return back

    async def come_back(self, address: str, **headers: str) -> httpx.Response:
        return await self.live.client.get(address, headers=headers)

    async def accounts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.live.client.get("/v1/accounts")).json()["accounts"]
        return found

    async def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.live.client.get("/v1/events")).json()["events"]
        return found


@asynccontextmanager
async def browsing(root: Path, **settings: Any) -> AsyncIterator[Browser]:
    far = far_end(World(base_url=SIMULATED))
    app = simulators(far)
    wire = Wire(simulator_url=SIMULATED, transport=SimTransport(app))
    async with (
        running(root, wire=wire, simulator_url=SIMULATED, **settings) as live,
        httpx.AsyncClient(transport=SimTransport(app), follow_redirects=False) as outside,
    ):
        yield Browser(live=live, far=far, outside=outside)


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with browsing(tmp_path) as opened:
        yield opened


async def test_a_channel_is_connected_and_shown_with_what_was_granted(browser: Browser) -> None:
    page = await browser.connect("youtube", CHANNEL)
    assert page.status_code == 200
    assert "Connected" in page.text
    assert 'url=/#accounts"' in page.text
    account = (await browser.accounts())[0]
    assert (account["platform"], account["external_id"], account["state"]) == ("youtube", CHANNEL, "connected")
    assert account["scopes"] == [
        "https://www.googleapis.com/auth/youtube.upload",
        "https://www.googleapis.com/auth/youtube.readonly",
        "https://www.googleapis.com/auth/youtube",
    ]
    assert account["access_expires_at"].endswith("Z")
    assert account["refresh_expires_at"] is None
    assert any("audited" in notice for notice in account["notices"])
    connected = (await browser.events())[0]
    assert connected["type"] == "account.connected"
    assert connected["data"] == {
        "account_id": account["id"],
        "platform": "youtube",
        "name": account["name"],
        "again": False,
    }
    assert await browser.live.keeper.token(account["id"])


@pytest.mark.parametrize("flavour", ["", "facebook_login", "instagram_login"])
async def test_instagram_is_connected_by_either_login(browser: Browser, flavour: str) -> None:
    url = await browser.ask("instagram", flavour=flavour)
    auth = (
        browser.far.instagram.logins.instagram
        if flavour == "instagram_login"
        else browser.far.instagram.logins.facebook
    )
    page = await browser.come_back(await browser.press(url, next(iter(auth.accounts))))
    assert page.status_code == 200, page.text
    account = (await browser.accounts())[0]
    assert account["flavour"] == flavour or (flavour, account["flavour"]) == ("", "facebook_login")
    assert account["refresh_expires_at"] == account["access_expires_at"] is not None


async def test_what_a_post_may_be_is_asked_of_tiktok_at_that_moment(browser: Browser) -> None:
    await browser.connect("tiktok", "-000private", direct=True)
    await browser.connect("tiktok", "-000public")
    await browser.connect("youtube", CHANNEL)
    private, draft, channel = [
        f"/v1/accounts/{one['id']}/choices"
        for name in ("-000private", "-000public", CHANNEL)
        for one in await browser.accounts()
        if one["external_id"] == name
    ]
    get = browser.live.client.get
    creator = browser.far.tiktok.creators["-000private"]
    assert (await get(private)).json() == {
        "name": creator.nickname,
        "username": creator.username,
        "privacy": ["friends", "followers", "private"],
        "comments": True,
        "duet": True,
        "stitch": True,
        "longest_s": 600,
    }
    creator.private, creator.duet_disabled = False, True
    now = (await get(private)).json()
    assert (now["privacy"], now["duet"]) == (["public", "friends", "private"], False)
    creator.banned = True
    refused = await get(private)
    assert (refused.status_code, "banned" in refused.text) == (502, True)
    assert [(await get(path)).status_code for path in (draft, channel)] == [409, 409]


async def test_drafts_are_the_default_of_tiktok_and_direct_posts_are_asked_for(browser: Browser) -> None:
    await browser.connect("tiktok", "-000public")
    await browser.connect("tiktok", "-000private", direct=True)
    delivery = {one["external_id"]: one["settings"]["delivery"] for one in await browser.accounts()}
    assert delivery == {"-000public": "draft", "-000private": "direct"}
    draft = next(one for one in await browser.accounts() if one["external_id"] == "-000public")
    assert any("drafts" in notice for notice in draft["notices"])


async def test_connected_again_it_is_the_same_account(browser: Browser) -> None:
    await browser.connect("youtube", CHANNEL)
    first = (await browser.accounts())[0]
    await browser.live.client.patch(f"/v1/accounts/{first['id']}", json={"automatic": True})
    await browser.connect("youtube", CHANNEL)
    (again,) = await browser.accounts()
    assert (again["id"], again["settings"]["automatic"]) == (first["id"], True)
    assert [event["data"]["again"] for event in await browser.events()] == [False, True]


async def test_a_denial_is_said_and_connects_nothing(browser: Browser) -> None:
    back = await browser.press(await browser.ask("youtube"), CHANNEL, allow=False)
    page = await browser.come_back(back)
    assert page.status_code == 400
    assert "It was not allowed at YouTube" in page.text
    assert await browser.accounts() == []


async def test_a_permission_that_was_unticked_is_named(browser: Browser) -> None:
    scopes = ["https://www.googleapis.com/auth/youtube.readonly"]
    page = await browser.come_back(await browser.press(await browser.ask("youtube"), CHANNEL, scopes=scopes))
    assert page.status_code == 400
    assert "upload videos was not granted" in page.text
    assert "leave every permission ticked" in page.text
    assert await browser.accounts() == []


async def test_a_google_account_without_a_channel_is_told_so(browser: Browser) -> None:
    nobody = next(key for key, channel in browser.far.youtube.channels.items() if not channel.exists)
    page = await browser.connect("youtube", nobody)
    assert page.status_code == 400
    assert "has no YouTube channel" in page.text


async def test_a_grant_without_a_refresh_token_is_refused(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    redeem = browser.far.tiktok.auth.redeem

    def without(*given: Any, **named: Any) -> Any:
        issued = redeem(*given, **named)
        issued.refresh_token = ""
        return issued

    monkeypatch.setattr(browser.far.tiktok.auth, "redeem", without)
    page = await browser.connect("tiktok", "-000public")
    assert page.status_code == 400
    assert "no refresh token was given" in page.text
    assert await browser.accounts() == []


async def test_what_comes_back_is_taken_once(browser: Browser) -> None:
    back = await browser.press(await browser.ask("youtube"), CHANNEL)
    assert (await browser.come_back(back)).status_code == 200
    page = await browser.come_back(back)
    assert page.status_code == 400
    assert "it was used" in page.text
    assert len(await browser.accounts()) == 1


async def test_what_was_never_begun_here_is_refused(browser: Browser) -> None:
    await browser.ask("youtube")
    for query in ("code=stolen", "code=stolen&state=", "code=stolen&state=made-up", "error=access_denied", ""):
        page = await browser.come_back(f"/oauth/youtube?{query}")
        assert page.status_code == 400
        assert "belongs to no connection that was begun here" in page.text
        assert "stolen" not in page.text


async def test_one_platform_cannot_answer_for_another(browser: Browser) -> None:
    back = await browser.press(await browser.ask("youtube"), CHANNEL)
    page = await browser.come_back(back.replace("/oauth/youtube", "/oauth/tiktok"))
    assert page.status_code == 400
    assert await browser.accounts() == []


async def test_after_ten_minutes_it_is_too_late(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    back = await browser.press(await browser.ask("youtube"), CHANNEL)
    now = browser.live.connects._now
    monkeypatch.setattr(browser.live.connects, "_now", lambda: now() + 601_000)
    page = await browser.come_back(back)
    assert page.status_code == 400
    assert "in the last 10 minutes" in page.text


async def test_only_a_window_that_a_person_went_to_can_come_back(browser: Browser) -> None:
    back = await browser.press(await browser.ask("youtube"), CHANNEL)
    for dest in ("image", "iframe", "script", "empty"):
        assert (await browser.come_back(back, **{"Sec-Fetch-Dest": dest})).status_code == 403
    page = await browser.come_back(back, **{"Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "cross-site"})
    assert page.status_code == 200  # and nothing was used up


async def test_another_site_cannot_begin_a_connection(browser: Browser) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        answer = await browser.live.client.post("/v1/accounts/connect", json={"platform": "youtube"}, headers=headers)
        assert answer.status_code == 403


async def test_their_words_are_shown_as_text(browser: Browser) -> None:
    state = parse_qs(urlsplit(await browser.ask("youtube")).query)["state"][0]
    page = await browser.come_back(f"/oauth/youtube?error=x&error_description=<script>alert(1)</script>&state={state}")
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_the_state_is_kept_as_a_hash_only(browser: Browser) -> None:
    state = parse_qs(urlsplit(await browser.ask("tiktok")).query)["state"][0]
    assert len(state) == 43
    lies = await _database(browser.live)
    assert state.encode() not in lies


async def test_the_way_back_is_this_machine_or_the_public_address(tmp_path: Path) -> None:
    async with browsing(tmp_path / "a") as browser:
        url = await browser.ask("youtube")
        assert parse_qs(urlsplit(url).query)["redirect_uri"] == [f"{browser.live.url}/oauth/youtube"]
        mapped = await browser.live.client.post(
            "/v1/accounts/connect", json={"platform": "youtube"}, headers={"Host": "localhost:9000"}
        )
        assert "127.0.0.1%3A9000" in mapped.json()["url"]
        elsewhere = await browser.live.client.post(
            "/v1/accounts/connect", json={"platform": "youtube"}, headers={"Host": "192.168.1.5:8000"}
        )
        assert elsewhere.status_code == 409
        assert "set public_url" in elsewhere.json()["hint"]
    async with browsing(tmp_path / "b", public_url="https://video.example") as browser:
        for host in ("video.example", "192.168.1.5:8000"):
            answer = await browser.live.client.post(
                "/v1/accounts/connect", json={"platform": "tiktok"}, headers={"Host": host}
            )
            asked = parse_qs(urlsplit(answer.json()["url"]).query)
            assert asked["redirect_uri"] == ["https://video.example/oauth/tiktok"]


async def test_a_platform_that_is_not_set_up_says_what_to_set(live: Live) -> None:
    answer = await live.client.post("/v1/accounts/connect", json={"platform": "youtube"})
    assert answer.status_code == 409
    hint = answer.json()["hint"]
    assert "youtube_client_id" in hint
    assert f"{live.url}/oauth/youtube" in hint
    logins = (await live.client.get("/v1/accounts")).json()["logins"]
    assert [(one["platform"], one["flavour"], one["configured"]) for one in logins] == [
        ("youtube", "", False),
        ("tiktok", "", False),
        ("instagram", "facebook_login", False),
        ("instagram", "instagram_login", False),
    ]
    assert all("Set " in one["hint"] for one in logins)


async def test_an_order_that_makes_no_sense_is_refused(browser: Browser) -> None:
    stranger = {"platform": "youtube", "flavour": "facebook_login"}
    orders: list[Any] = [{"platform": "myspace"}, {}, stranger, {"platforms": 1}, []]
    for order in orders:
        answer = await browser.live.client.post("/v1/accounts/connect", json=order)
        assert answer.status_code in (400, 422), answer.text
    answer = await browser.live.client.post("/v1/accounts/connect", content=b"{")
    assert answer.status_code == 422


async def test_a_platform_that_cannot_be_reached_is_no_fault_of_the_person(browser: Browser) -> None:
    back = await browser.press(await browser.ask("youtube"), CHANNEL)
    browser.far.world.order("youtube.token", "500")
    page = await browser.come_back(back)
    assert page.status_code == 400
    assert "YouTube" in page.text
    assert await browser.accounts() == []
    assert (await browser.connect("youtube", CHANNEL)).status_code == 200


async def test_settings_are_changed_piece_by_piece(browser: Browser) -> None:
    await browser.connect("youtube", CHANNEL)
    path = f"/v1/accounts/{(await browser.accounts())[0]['id']}"
    patch = browser.live.client.patch
    await patch(path, json={"zone": "Europe/Paris", "slots": ["Mon-Fri 12:00, 18:00"], "wording": {"title": "{title}"}})
    answer = await patch(path, json={"daily_cap": 3, "wording": {"caption": "Part {n}", "hashtags": ["one"]}})
    settings = answer.json()["settings"]
    assert (settings["zone"], settings["slots"], settings["daily_cap"]) == ("Europe/Paris", ["Mon-Fri 12:00, 18:00"], 3)
    assert (settings["wording"]["title"], settings["wording"]["caption"]) == ("{title}", "Part {n}")
    settings = (await patch(path, json={"daily_cap": None, "wording": {"title": None}})).json()["settings"]
    assert (settings["daily_cap"], settings["wording"]["title"], settings["wording"]["hashtags"]) == (
        None,
        None,
        ["one"],
    )
    assert (await patch(path, json={})).json()["settings"] == settings


async def test_direct_posts_that_were_not_granted_are_refused_before_one_is_tried(browser: Browser) -> None:
    await browser.connect("tiktok", "-000public")
    account = (await browser.accounts())[0]
    answer = await browser.live.client.patch(f"/v1/accounts/{account['id']}", json={"delivery": "direct"})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_granted")
    assert "video.publish" in answer.json()["detail"]
    await browser.connect("tiktok", "-000public", direct=True)
    answer = await browser.live.client.patch(f"/v1/accounts/{account['id']}", json={"delivery": "direct"})
    assert answer.json()["settings"]["delivery"] == "direct"


NONSENSE: list[tuple[Any, str]] = [
    ({"zone": "Europe/Pari"}, "Europe/Pari"),
    ({"slots": ["Mon 25:00"]}, "25:00"),
    ({"daily_cap": 0}, "daily_cap"),
    ({"colour": "red"}, "colour"),
    ({"wording": {"title": 5}}, "title"),
    ({"wording": {"caption": "{unknown}"}}, "unknown"),
    ({"wording": "x"}, "wording"),
    (["automatic"], "object"),
]


async def test_settings_that_make_no_sense_are_named(browser: Browser) -> None:
    await browser.connect("youtube", CHANNEL)
    account = (await browser.accounts())[0]
    for asked, says in NONSENSE:
        answer = await browser.live.client.patch(f"/v1/accounts/{account['id']}", json=asked)
        assert answer.status_code in (400, 422)
        assert says in answer.text
    assert (await browser.accounts())[0] == account


async def test_what_is_planned_in_slots_moves_to_the_new_ones(live: Live) -> None:
    plan = Plan(live.store, now=time.time_ns() // 1_000_000)
    account = await plan.connect(AccountSettings(zone="Europe/Paris", slots=["Mon 12:00"]))
    await plan.ready(await plan.upload(account))
    assert [at[:3] + at[6:] for at in await plan.times()] == ["Mon 12:00"] * 3
    answer = await live.client.patch(f"/v1/accounts/{account.id}", json={"slots": ["Tue 18:00"]})
    assert answer.status_code == 200
    assert [at[:3] + at[6:] for at in await plan.times()] == ["Tue 18:00"] * 3


async def test_an_account_is_paused_and_resumed(browser: Browser) -> None:
    await browser.connect("youtube", CHANNEL)
    path = f"/v1/accounts/{(await browser.accounts())[0]['id']}"
    assert (await browser.live.client.post(f"{path}/pause")).json()["paused_at"]
    assert (await browser.live.client.post(f"{path}/resume")).json()["paused_at"] is None
    assert [event["type"] for event in await browser.events()][1:] == ["account.paused", "account.resumed"]


async def test_the_clock_of_publishing_is_told_to_who_shows_times(tmp_path: Path) -> None:
    since = time.time_ns() // 1_000_000 - 60_000
    async with running(tmp_path, clock_speed=60.0, clock_since=since) as live:
        clock = (await live.client.get("/v1/accounts")).json()["clock"]
    ahead_s = datetime.fromisoformat(clock["now"]).timestamp() - since / 1000
    assert clock["speed"] == 60
    assert 3600 <= ahead_s < 3600 + 60 * 30  # a minute there was an hour here


async def test_all_publishing_is_paused_by_one_switch_that_outlives_the_process(tmp_path: Path) -> None:
    async with running(tmp_path) as live:
        paused_at = (await live.client.post("/v1/publishing/pause")).json()["paused_at"]
        assert (await live.client.post("/v1/publishing/pause")).json()["paused_at"] == paused_at
    async with running(tmp_path) as live:
        assert (await live.client.get("/v1/accounts")).json()["publishing"]["paused_at"] == paused_at
        live.store.feed.publishing.clear()
        assert (await live.client.post("/v1/publishing/resume")).json() == {"paused_at": None, "held": None}
        assert live.store.feed.publishing.is_set()  # the publisher looks at once
        types = [event["type"] for event in (await live.client.get("/v1/events")).json()["events"]]
        assert types == ["publishing.paused", "publishing.resumed"]


async def test_who_disconnects_gives_the_grant_back(browser: Browser) -> None:
    await browser.connect("youtube", CHANNEL)
    account = (await browser.accounts())[0]
    token = await browser.live.keeper.token(account["id"])
    assert browser.far.youtube.auth.holder(token) is not None
    answer = await browser.live.client.delete(f"/v1/accounts/{account['id']}")
    assert answer.json()["state"] == "disconnected"
    assert browser.far.youtube.auth.holder(token) is None
    with pytest.raises(PlatformError) as raised:
        await browser.live.keeper.token(account["id"])
    assert raised.value.kind == "REAUTH"
    assert (await browser.live.client.delete(f"/v1/accounts/{account['id']}")).status_code == 409
    await browser.connect("youtube", CHANNEL)
    (again,) = await browser.accounts()
    assert (again["id"], again["state"]) == (account["id"], "connected")


async def test_tokens_are_forgotten_though_the_platform_does_not_answer(browser: Browser) -> None:
    await browser.connect("tiktok", "-000public")
    account = (await browser.accounts())[0]
    browser.far.world.order("tiktok.revoke", "500")
    assert (await browser.live.client.delete(f"/v1/accounts/{account['id']}")).json()["state"] == "disconnected"


async def test_what_can_be_given_is_described(live: Live) -> None:
    document = (await live.client.get("/openapi.json")).json()
    shown = document["components"]["schemas"]
    for method, path, field in (
        ("post", "/v1/accounts/connect", "platform"),
        ("patch", "/v1/accounts/{account_id}", "slots"),
    ):
        body = document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
        assert field in shown[body["$ref"].rpartition("/")[2]]["properties"]
    assert "/oauth/{platform}" not in document["paths"]  # it is the platforms'


async def test_an_account_that_is_not_there_is_not_found(live: Live) -> None:
    for method, path in (("PATCH", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume")):
        for account_id in ("acc_00000000000000000000000000", "nobody"):
            answer = await live.client.request(method, f"/v1/accounts/{account_id}{path}", json={})
            assert answer.status_code == 404, (method, path, answer.text)


async def test_keys_are_rotated_while_the_daemon_runs(browser: Browser) -> None:
    await browser.connect("youtube", CHANNEL)
    account = (await browser.accounts())[0]
    token = await browser.live.keeper.token(account["id"])
    rotated = (await browser.live.client.post("/v1/accounts/rotate-keys")).json()
    assert (rotated["resealed"], rotated["broken"], len(rotated["unused"])) == (1, [], 1)
    assert await browser.live.keeper.token(account["id"]) == token


@pytest.mark.usefixtures("own_log")
async def test_no_secret_lies_or_is_said_in_the_clear(browser: Browser) -> None:
    """In the database, the log, the answers and the events of a whole run: connected, renewed, refused, given back."""
    said = io.StringIO()
    log.setup("json", "debug", stream=said)
    asked, answers = [], []
    ways = (("youtube", CHANNEL, ""), ("tiktok", "-000public", ""), ("instagram", "", "facebook_login"))
    for platform, who, flavour in ways:
        url = await browser.ask(platform, flavour=flavour)
        person = who or next(iter(browser.far.instagram.logins.facebook.accounts))
        back = await browser.press(url, person)
        asked += [parse_qs(urlsplit(address).query) for address in (url, back)]
        answers += [(await browser.come_back(back)).text, (await browser.come_back(back)).text]
    browser.far.world.order("youtube.token", "500")
    answers.append((await browser.connect("youtube", CHANNEL)).text)
    tokens = [
        token
        for auth in (browser.far.youtube.auth, browser.far.tiktok.auth, browser.far.instagram.logins.facebook)
        for one in auth.issued
        for token in (one.access_token, one.refresh_token)
    ]
    for account in await browser.accounts():
        token = await browser.live.keeper.token(account["id"])
        tokens += [token, await browser.live.keeper.also(account["id"], "page_token")]
        if account["platform"] != "instagram":
            tokens.append(await browser.live.keeper.renew(account["id"], token))
    first = await browser.accounts()
    browser.far.tiktok.auth.withdraw("-000public")
    for account in first:
        if account["platform"] == "tiktok":
            with pytest.raises(PlatformError):
                await browser.live.keeper.renew(account["id"], await browser.live.keeper.token(account["id"]))
    answers += [str(await browser.accounts()), str(await browser.events())]
    answers.append((await browser.live.client.get("/metrics")).text)
    lies = await _database(browser.live)
    await browser.live.client.delete(f"/v1/accounts/{first[0]['id']}")

    secrets = {token for token in tokens if token}
    secrets |= {value for query in asked for name in ("state", "code") for value in query.get(name, [])}
    secrets.add("known-to-simulators-only")
    assert len(secrets) >= 14
    assert "an account was not connected" in said.getvalue()  # this is the log that was written to
    assert "client_secret=•••" in said.getvalue()
    for secret in secrets:
        assert secret not in said.getvalue()
        assert secret.encode() not in lies
        assert not [answer for answer in answers if secret in answer]
    assert re.search(rb"account\.connected", lies)


async def _database(live: Live) -> bytes:
    """The file and its log. Opened in this process, SQLite would lose its locks."""
    files = [str(path) for path in live.store.path.parent.iterdir() if path.name.startswith(live.store.path.name)]
    return await asyncio.to_thread(subprocess.check_output, ["cat", *files])
