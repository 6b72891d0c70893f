"""Who gets in: nobody without a session or a key, on any route; and where nobody is asked."""

import asyncio
import hmac
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.web.conftest import Live, mp4, running
from tests.web.people import NAME, PAGE, PASSWORD, guarded, key_for, sign_in, strange
from vidprod.config import Config
from vidprod.domain.key import PREFIX, PUBLIC, _checksum, new_secret
from vidprod.domain.who import SCOPES, Scope
from vidprod.web import auth, door, rules
from vidprod.web.app import routed
from vidprod.web.door import is_private
from vidprod.web.limits import Limits
from vidprod.web.rules import RULES

OPEN = {"nothing", "anybody"}


def routes() -> set[str]:
    """Every method and path that the application answers, HEAD and OPTIONS left out: they follow from the others."""
    return {f"{method} {one.path_format}" for one in routed().routes for method in one.methods - {"HEAD", "OPTIONS"}}


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    assert routes() == set(RULES)


async def let_in(live: Live) -> list[str]:
    """Routes that answer a stranger though they ask for something."""
    faults = []
    async with strange(live) as client:
        for line in sorted(line for line, need in RULES.items() if need not in OPEN):
            method, path = line.split()
            filled = re.sub(r"\{\w+\}", "x", path)
            for verb in (method, "HEAD") if method == "GET" else (method,):
                answer = await client.request(verb, filled, headers={"Accept": "application/json"})
                code = "not_signed_in" if verb == "HEAD" else answer.json().get("code")
                if answer.status_code != 405 and (answer.status_code, code) != (401, "not_signed_in"):
                    faults.append(f"{verb} {filled}: {answer.status_code}")
    return faults


async def test_a_stranger_is_answered_401_by_every_route_that_is_not_for_strangers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Limits, "take", lambda self, name, key: None)  # it asks more often than a stranger may
    async with guarded(tmp_path) as live:
        assert await let_in(live) == []
        # the twin: one rule that was forgotten to be one
        real = rules.need_of
        monkeypatch.setattr(
            auth, "need_of", lambda verb, route: "nothing" if route == "/v1/jobs" else real(verb, route)
        )
        assert await let_in(live) == ["GET /v1/jobs: 200", "HEAD /v1/jobs: 200"]


def test_a_route_has_one_rule() -> None:
    lines = [line.strip() for routes in rules._ROUTES.values() for line in routes.strip().split("\n")]
    assert [line for line, times in Counter(lines).items() if times > 1] == []
    assert len(lines) == len(rules.RULES)


async def test_a_route_without_a_rule_is_refused_even_to_who_may_do_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as live:
        monkeypatch.delitem(rules.RULES, "GET /v1/jobs")
        assert (await live.client.get("/v1/jobs")).status_code == 500
        assert (await live.client.get("/v1/accounts")).status_code == 200


async def test_a_browser_is_led_to_the_page_where_it_can_sign_in(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live, strange(live) as client:
        for headers in ({"Accept": "text/html,*/*"}, {"Sec-Fetch-Mode": "navigate"}):
            answer = await client.get("/docs", headers=headers)
            assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/docs")
        assert (await client.get("/login")).status_code == 200
        assert (await client.get("/static/login.js")).status_code == 200
        fetched = await client.get("/", headers={"Accept": "text/html", "Sec-Fetch-Mode": "cors"})
        assert fetched.status_code == 401
        assert fetched.headers["www-authenticate"] == "Bearer"


async def test_strangers_learn_whether_it_is_ready_and_nothing_else(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live, strange(live) as client:
        assert (await client.get("/health")).json() == {"status": "alive"}
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready", "checks": {}})
        known = await client.get("/ready", headers=await key_for(live, "read"))
        assert known.json()["checks"].keys() >= {"store", "disk", "child"}


async def test_numbers_are_for_this_machine_and_for_who_may_read(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live, strange(live) as client:
        through = {"X-Forwarded-For": "203.0.113.9"}
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/metrics", headers=through)).status_code == 401
        reads, sends = await key_for(live, "read"), await key_for(live, "upload")
        assert (await client.get("/metrics", headers={**through, **reads})).status_code == 200
        assert (await client.get("/metrics", headers={**through, **sends})).status_code == 403


async def test_a_platform_comes_back_without_a_session_and_what_is_signed_needs_none(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live, strange(live) as client:
        answer = await client.get("/oauth/youtube", params={"state": "made-up", "code": "x"})
        assert answer.status_code == 400
        assert "text/html" in answer.headers["content-type"]
        assert (await client.get("/public/made-up")).status_code == 404


async def test_on_this_machine_nobody_is_asked_before_there_is_an_owner_or_a_key(tmp_path: Path) -> None:
    async with running(tmp_path, access="ask") as live:
        assert (await live.client.put("/upload", content=mp4(1000))).status_code == 202
        assert (await live.client.get("/login/state")).json() == {"asks": False, "owner": False, "setup_code": False}
        headers = await key_for(live, "read")
        live_door(live).look_again()
        assert (await live.client.get("/v1/jobs")).status_code == 401
        assert (await live.client.get("/v1/jobs", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        *("X-Forwarded-For", "Forwarded", "Fly-Client-IP", "CF-Connecting-IP", "Via"),
        *("X-Forwarded-Host", "X-Forwarded-Proto"),  # some proxies say these and not for whom they ask
    ],
)
async def test_what_comes_through_a_proxy_does_not_come_from_this_machine(tmp_path: Path, header: str) -> None:
    async with running(tmp_path, access="ask") as live:
        answer = await live.client.get("/v1/jobs", headers={header: "203.0.113.9"})
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
    async with running(tmp_path / "b", access="open") as live:  # the twin: the proxy has asked
        assert (await live.client.get("/v1/jobs", headers={header: "203.0.113.9"})).status_code == 200


@pytest.mark.parametrize(
    ("host", "public_url", "private"),
    [
        ("127.0.0.1", "", True),
        ("::1", "", True),
        ("localhost", "http://127.0.0.1:8000", True),
        ("127.0.0.1", "https://video.example", False),
        ("0.0.0.0", "", False),
        ("::", "", False),
        ("", "", False),
        ("192.168.1.5", "", False),
        ("studio.lan", "", False),
        ("127.0.0.1.evil.example", "", False),
    ],
)
def test_what_others_can_reach_is_not_private(host: str, public_url: str, private: bool) -> None:
    assert is_private(Config(host=host, public_url=public_url)) is private


@pytest.mark.parametrize("host", ["[127.0.0.1", "[", "somebody@localhost", "localhost.example"])
async def test_what_only_looks_like_this_machine_gets_no_cookie_without_https(tmp_path: Path, host: str) -> None:
    async with guarded(tmp_path, hosts=("*",)) as live:
        signed_in = await live.client.post(
            "/login", json={"name": NAME, "password": PASSWORD}, headers={**PAGE, "Host": host}
        )
        assert (signed_in.status_code, "secure" in signed_in.headers["set-cookie"].lower()) == (200, True)
        assert (await live.client.get("/v1/jobs", headers={"Host": host})).status_code == 401


async def test_where_others_can_reach_it_nothing_works_but_the_setup(tmp_path: Path) -> None:
    code = "only-the-admin-knows-it"
    async with running(tmp_path, access="ask", host="0.0.0.0", setup_code=code) as live:
        assert (await live.client.get("/v1/jobs")).json()["code"] == "not_set_up"
        page = await live.client.get("/", headers={"Sec-Fetch-Mode": "navigate"})
        assert (page.status_code, page.headers["location"]) == (303, "/setup")
        assert (await live.client.get("/login/state")).json() == {"asks": True, "owner": False, "setup_code": True}
        order = {"name": "Ann", "password": "korrekt pferd batterie"}
        for wrong in ({}, {"setup_code": ""}, {"setup_code": "a guess"}):
            answer = await live.client.post("/setup", json={**order, **wrong})
            assert (answer.status_code, answer.json()["code"]) == (403, "wrong_setup_code")
        spelt = code.upper().replace("-", " ")
        assert (await live.client.post("/setup", json={**order, "setup_code": spelt})).status_code == 201
        live.client.cookies.clear()
        again = await live.client.post("/setup", json={**order, "setup_code": code})
        assert again.status_code == 403  # the code ended with it
        assert (await live.client.get("/v1/jobs")).json()["code"] == "not_signed_in"


async def test_a_setup_code_is_told_to_the_log_once_and_nowhere_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with capture_logs() as logs:
        async with running(tmp_path, access="ask", host="0.0.0.0") as live:
            for _ in range(3):
                await live.client.get("/v1/jobs")
            told = re.findall(r"[A-Z2-7]{5}(?:-[A-Z2-7]{5}){3}", str(logs) + capsys.readouterr().out)
            assert len(told) == 1
            order = {"name": "Ann", "password": "korrekt pferd batterie", "setup_code": told[0]}
            assert (await live.client.post("/setup", json=order)).status_code == 201


async def test_setup_codes_cannot_be_guessed_in_a_row(tmp_path: Path) -> None:
    async with running(tmp_path, access="ask", host="0.0.0.0", setup_code="only-the-admin-knows") as live:
        order = {"name": "Ann", "password": "korrekt pferd batterie", "setup_code": "a guess"}
        answers = [await live.client.post("/setup", json=order) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [403] * 5 + [429]
        assert int(answers[-1].headers["retry-after"]) >= 1


async def test_an_owner_is_made_once_even_by_two_at_a_time(tmp_path: Path) -> None:
    async with running(tmp_path, access="ask") as live:
        orders = [{"name": name, "password": "korrekt pferd batterie"} for name in ("Ann", "Eve")]
        answers = await asyncio.gather(*(live.client.post("/setup", json=order) for order in orders))
        assert sorted(answer.status_code for answer in answers) == [201, 409]


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_key_may_what_its_scopes_say(tmp_path: Path, scope: Scope) -> None:
    asks: dict[Scope, tuple[str, str]] = {
        "read": ("GET", "/v1/jobs"),
        "upload": ("DELETE", "/v1/jobs/job_x"),
        "publish": ("POST", "/v1/publishing/pause"),
        "admin": ("GET", "/v1/keys"),
    }
    async with guarded(tmp_path) as live, strange(live) as client:
        headers = await key_for(live, scope)
        for asked, (method, path) in asks.items():
            answer = await client.request(method, path, headers=headers)
            may = scope in (asked, "admin")
            assert (answer.status_code == 403) is not may, (scope, asked)
            assert may or answer.json()["detail"] == f"This key lacks the scope {asked}."
        for method, path in (("GET", "/v1/security"), ("DELETE", "/v1/sessions")):
            assert (await client.request(method, path, headers=headers)).status_code == 403  # nobody's but the owner's


async def test_a_key_that_uploads_does_not_publish_by_that(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live, strange(live) as client:
        sends, both = await key_for(live, "upload"), await key_for(live, "upload", "publish")
        target = {"publish": "youtube"}
        assert (await client.put("/upload", content=mp4(1000), headers=sends)).status_code == 202
        refused = await client.put("/upload", params=target, content=mp4(1000), headers=sends)
        allowed = await client.put("/upload", params=target, content=mp4(1000), headers=both)
        assert [refused.status_code, allowed.status_code] != [202, 202]
        assert refused.status_code in (403, 422)
        assert allowed.status_code == 422  # no account is connected


async def test_a_key_that_was_revoked_has_expired_or_was_mistyped_lets_nobody_in(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live, strange(live) as client:
        good = await key_for(live, "read")
        expired = await key_for(live, "read", expires_at=1)
        key = good["Authorization"]
        for text in (expired["Authorization"], f"Bearer {new_secret()}", key[:-1] + "~", "Bearer x", "bearer x"):
            answer = await client.get("/v1/jobs", headers={"Authorization": text})
            assert (answer.status_code, answer.json()["code"]) == (401, "bad_key"), text
            assert key[7:] not in answer.text
        assert (await client.get("/v1/jobs", headers=good)).status_code == 200
        assert (await client.get("/v1/jobs", params={"key": key[7:], "access_token": key[7:]})).status_code == 401
        (first,) = [one for one in await live.store.read(lambda db: db.keys.list()) if one.expires_at is None]
        await live.store.write(lambda db: db.keys.revoke(first.id, now=5))
        assert (await client.get("/v1/jobs", headers=good)).status_code == 401


async def test_keys_cannot_be_guessed_in_a_row(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live, strange(live) as client:
        guesses = [{"Authorization": f"Bearer {new_secret()}"} for _ in range(11)]
        statuses = [(await client.get("/v1/jobs", headers=guess)).status_code for guess in guesses]
        assert statuses == [401] * 10 + [429]
        assert (await client.get("/v1/jobs", headers=await key_for(live, "read"))).status_code == 200


async def comparisons(live: Live, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often something was compared in constant time, for a key that nobody has and for one that is nearly right."""
    good = (await key_for(live, "read"))["Authorization"].removeprefix("Bearer ")
    nearly = _with_tail(good, new_secret())
    counted = {}
    for name, key in (("nobody's", new_secret()), ("nearly right", nearly), ("right", good)):
        seen: list[tuple[int, int]] = []
        real = hmac.compare_digest

        def compare(a: Any, b: Any, seen: list[tuple[int, int]] = seen, real: Any = real) -> bool:
            seen.append((len(a), len(b)))
            return bool(real(a, b))

        monkeypatch.setattr(hmac, "compare_digest", compare)
        async with strange(live) as client:
            await client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"})
        monkeypatch.setattr(hmac, "compare_digest", real)
        counted[name] = seen.count((64, 64))
    return counted


def _with_tail(key: str, other: str) -> str:
    """The public part of one key with the secret part of another, whole by its checksum."""
    body = key[: len(PREFIX) + PUBLIC] + other[len(PREFIX) + PUBLIC : -6]
    return body + _checksum(body)


async def test_a_key_is_compared_in_constant_time_whether_it_is_there_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with guarded(tmp_path) as live:
        assert await comparisons(live, monkeypatch) == {"nobody's": 1, "nearly right": 1, "right": 1}

        async def hasty(self: door.Door, text: str) -> Any:  # the twin: gives up where there is no such key
            found = await self._store.read(lambda db: db.keys.find(text[8:16]))
            if found is None:
                raise door.BadKey
            return await real(self, text)

        real = door.Door.by_key
        monkeypatch.setattr(door.Door, "by_key", hasty)
        assert (await comparisons(live, monkeypatch))["nobody's"] == 0


async def test_last_use_is_written_once_a_minute(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live, strange(live) as client:
        headers = await key_for(live, "read")
        writes: list[object] = []
        real = live.store.write

        async def counted(fn: Any, **more: Any) -> Any:
            writes.append(fn)
            return await real(fn, **more)

        live.store.write = counted  # type: ignore[method-assign]
        for _ in range(5):
            assert (await client.get("/v1/jobs", headers=headers)).status_code == 200
        (key,) = await live.store.read(lambda db: db.keys.list())
        assert key.used_at is not None
        assert len(writes) == 1


def live_door(live: Live) -> door.Door:
    found: door.Door = live.app.state.door
    return found


HEADERS: list[tuple[dict[str, str], int]] = [
    ({"Sec-Fetch-Site": "same-origin"}, 200),
    ({"Sec-Fetch-Site": "none"}, 200),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": ""}, 403),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "HERE"}, 403),
    ({"Origin": "HERE"}, 200),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "https://HOST"}, 200),  # behind a proxy that speaks https
    ({}, 403),  # a cookie is believed only where a browser says which page asks
]


async def forged(live: Live) -> list[dict[str, str]]:
    """Which of the headers above let a cookie change something that it must not, or not what it may."""
    faults = []
    for headers, wanted in HEADERS:
        filled = {k: v.replace("HERE", live.url).replace("HOST", f"127.0.0.1:{live.port}") for k, v in headers.items()}
        answer = await live.client.post("/v1/publishing/pause", headers=filled)
        if answer.status_code != wanted:
            faults.append(headers)
    return faults


async def test_no_other_page_makes_a_browser_that_is_signed_in_change_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with guarded(tmp_path) as live:
        assert (await sign_in(live)).status_code == 200
        assert await forged(live) == []
        key = await key_for(live, "publish")
        async with strange(live) as client:  # a script needs none of that: no browser sends its key by itself
            assert (await client.post("/v1/publishing/pause", headers=key)).status_code == 200
        monkeypatch.setattr(auth, "_says_where_from", lambda request: True)  # the twins
        assert await forged(live) == [{}]
        monkeypatch.setattr("vidprod.web.guard._is_ours", lambda scope: True)
        assert len(await forged(live)) == 7


async def test_reading_with_a_cookie_needs_no_such_header(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        await sign_in(live)
        assert (await live.client.get("/v1/jobs")).status_code == 200
        assert (await live.client.get("/v1/jobs", headers=PAGE)).status_code == 200
