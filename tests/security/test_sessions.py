"""Signing in from outside: nobody chooses another's session, learns who there is, or goes on guessing."""

import statistics
import time
from pathlib import Path

import httpx
import pytest

from tests.web.conftest import Live, mp4
from tests.web.people import NAME, PAGE, PASSWORD, guarded, key_for, sign_in, strange
from vidprod.domain import session as sessions
from vidprod.passwords import Passwords
from vidprod.store.sqlite.sessions import Sessions
from vidprod.web import auth

ATTACKERS = "a" * 43
PUBLIC = {"Host": "video.example", "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


def cookie_of(answer: httpx.Response) -> tuple[str, str, set[str]]:
    """The name, the value and the attributes of the one cookie of a session."""
    (line,) = [one for one in answer.headers.get_list("set-cookie") if "-device=" not in one]
    pair, *attributes = [part.strip() for part in line.split(";")]
    name, _, value = pair.partition("=")
    return name, value, {attribute.lower() for attribute in attributes}


async def _came_in_by_the_attackers(live: Live) -> bool:
    """Whether the session that an attacker put into a browser is the one that its user signs into."""
    live.client.cookies.set("vidprod", ATTACKERS)
    assert (await sign_in(live)).status_code == 200
    async with strange(live) as attacker:
        attacker.cookies.set("vidprod", ATTACKERS)
        return (await attacker.get("/v1/jobs")).status_code == 200


async def test_a_session_that_somebody_chose_is_never_signed_into(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        assert not await _came_in_by_the_attackers(live)


async def test_without_a_token_of_our_own_it_would_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: whoever keeps the token that the browser brought hands the session over."""
    async with guarded(tmp_path) as live:
        monkeypatch.setattr(sessions, "new_token", lambda: ATTACKERS)
        assert await _came_in_by_the_attackers(live)


async def test_the_cookie_stays_with_this_host_and_away_from_scripts(tmp_path: Path) -> None:
    async with guarded(tmp_path, hosts=("video.example",), trusted_proxy="1") as live:
        asked = {"name": NAME, "password": PASSWORD}
        name, token, attributes = cookie_of(await live.client.post("/login", json=asked, headers={**PAGE, **PUBLIC}))
        assert name == "__Host-vidprod"
        assert len(token) == 43
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= attributes
        assert not any(attribute.startswith("domain") for attribute in attributes)
        shown = {**PUBLIC, "Cookie": f"{name}={token}"}
        assert (await live.client.get("/v1/jobs", headers=shown)).status_code == 200
        # the name that needs no https counts on this machine only
        weaker = {**PUBLIC, "Cookie": f"vidprod={token}"}
        assert (await live.client.get("/v1/jobs", headers=weaker)).status_code == 401


async def test_each_time_one_signs_in_there_is_a_new_session_and_the_one_before_is_over(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        _, first, _ = cookie_of(await sign_in(live))
        _, second, _ = cookie_of(await sign_in(live))
        assert first != second
        async with strange(live) as other:
            other.cookies.set("vidprod", first)
            assert (await other.get("/v1/jobs")).status_code == 401


async def test_who_signs_out_is_out_wherever_the_cookie_is_kept(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        _, token, _ = cookie_of(await sign_in(live))
        assert (await live.client.post("/logout", headers=PAGE)).status_code == 204
        async with strange(live) as other:
            other.cookies.set("vidprod", token)
            assert (await other.get("/v1/jobs")).status_code == 401


async def test_a_new_password_takes_the_old_one_and_ends_every_other_session(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live, strange(live) as other:
        other.cookies.set("vidprod", cookie_of(await sign_in(live))[1])
        live.client.cookies.clear()
        await sign_in(live)
        wanted = {"current": "not the one", "password": "a better one than before"}
        assert (await live.client.post("/v1/security/password", json=wanted, headers=PAGE)).status_code == 401
        wanted["current"] = PASSWORD
        assert (await live.client.post("/v1/security/password", json=wanted, headers=PAGE)).status_code == 200
        assert (await other.get("/v1/jobs")).status_code == 401
        assert (await live.client.get("/v1/jobs")).status_code == 200


async def _tried(live: Live, name: str) -> tuple[int, bytes, set[str]]:
    async with strange(live) as stranger:
        answer = await stranger.post("/login", json={"name": name, "password": "wrong wrong"}, headers=PAGE)
    return answer.status_code, answer.content, set(answer.headers)


async def test_nobody_learns_whether_there_is_somebody_of_that_name(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        assert await _tried(live, NAME) == await _tried(live, "Nobody")


async def _longer_by(live: Live) -> float:
    """How much more work a wrong password for somebody is than one for nobody, in password hashes."""
    took: dict[str, list[float]] = {NAME: [], "Nobody": [], "a hash": []}
    async with strange(live) as stranger:
        for name in [NAME, "Nobody"] * 5:
            asked = {"name": name, "password": "wrong wrong"}
            began = time.process_time()
            await stranger.post("/login", json=asked, headers=PAGE)
            took[name].append(time.process_time() - began)
    passwords = Passwords()
    for _ in range(5):
        began = time.process_time()
        await passwords.hash("a password")
        took["a hash"].append(time.process_time() - began)
    somebody, nobody, of_hash = [statistics.median(took[name]) for name in (NAME, "Nobody", "a hash")]
    return (somebody - nobody) / of_hash


async def test_nor_by_how_long_it_takes(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        assert abs(await _longer_by(live)) < 0.5


async def test_without_a_hash_for_nobody_it_would_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: whoever looks for the name first answers at once where there is none."""
    verify = Passwords.verify

    async def weak(self: Passwords, hashed: str | None, password: str) -> bool:
        return hashed is not None and await verify(self, hashed, password)

    async with guarded(tmp_path) as live:
        monkeypatch.setattr(Passwords, "verify", weak)
        assert await _longer_by(live) > 0.5


async def test_passwords_are_not_guessed_in_a_row(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        statuses = [(await _tried(live, NAME))[0] for _ in range(7)]
        assert statuses == [401] * 5 + [429] * 2
        refused = await sign_in(live)  # not even the right one is looked at any more
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_tries")
        assert 1 <= int(refused.headers["retry-after"]) <= 60


async def test_what_is_there_and_what_is_not_is_told_alike(tmp_path: Path) -> None:
    """To strangers, and to who may not see it: an id is no secret, and nothing can be counted through."""
    async with guarded(tmp_path) as live, strange(live) as stranger:
        key = await key_for(live, "upload", "read")
        job_id = (await live.client.put("/upload", content=mp4(1000), headers=key)).json()["job_id"]
        unknown = job_id[:-4] + ("0000" if job_id[-4:] != "0000" else "1111")
        for path in ("/status/{}", "/v1/jobs/{}", "/v1/jobs/{}/segments.zip"):
            there, not_there = [await stranger.get(path.format(one)) for one in (job_id, unknown)]
            assert there.status_code == not_there.status_code == 401
            assert there.content == not_there.content
        missing = await live.client.get(f"/status/{unknown}", headers=key)
        malformed = await live.client.get("/status/job_x", headers=key)
        assert missing.status_code == malformed.status_code == 404
        assert missing.json()["code"] == malformed.json()["code"] == "not_found"


async def _looked_up(live: Live, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many sessions a stranger has looked up with one request of 20 kB of cookies."""
    asked = []

    def find(self: Sessions, token_hash: str) -> None:
        asked.append(token_hash)

    monkeypatch.setattr(Sessions, "find", find)
    async with strange(live) as stranger:
        shown = {"Cookie": "; ".join(f"vidprod=x{number}" for number in range(1500))}
        assert (await stranger.get("/v1/jobs", headers=shown)).status_code == 401
    return len(asked)


async def test_a_flood_of_cookies_costs_a_few_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who it is is looked up before anything is counted: what it costs must not be the stranger's choice."""
    async with guarded(tmp_path) as live:
        assert await _looked_up(live, monkeypatch) == 4


async def test_without_an_end_each_would_be_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin."""
    monkeypatch.setattr(auth, "_MOST_COOKIES", None)
    async with guarded(tmp_path) as live:
        assert await _looked_up(live, monkeypatch) == 1500
