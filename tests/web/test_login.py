"""Signing in and out: sessions that nobody can choose or keep, tries that are counted, and the second factor."""

import re
import time
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
from argon2 import PasswordHasher

from tests.web.conftest import Live, running
from tests.web.people import NAME, PAGE, PASSWORD, guarded, key_for, sign_in, strange
from vidprod import passwords
from vidprod.domain import session as sessions
from vidprod.domain.bucket import Buckets
from vidprod.domain.user import OWNER_ID
from vidprod.errors import Unavailable
from vidprod.web import events, login
from vidprod.web.auth import COOKIE, LOCAL_COOKIE
from vidprod.web.limits import Limits

HTTPS = {"Host": "video.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9", **PAGE}
DAY_MS = 86_400_000


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as one likes."""
    monkeypatch.setattr(Buckets, "take", lambda self, key, *, now_s: 0.0)
    monkeypatch.setattr(Buckets, "wait_s", lambda self, key, *, now_s: 0.0)


def cookie_of(answer: httpx.Response) -> str:
    return answer.headers["set-cookie"].partition(";")[0].partition("=")[2]


async def test_who_signs_in_may_do_all_until_they_sign_out(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        answer = await sign_in(live)
        assert (answer.status_code, answer.json()) == (200, {"name": NAME})
        assert (await live.client.get("/v1/security")).json()["sessions"][0]["current"] is True
        kept = live.client.cookies.get(LOCAL_COOKIE)
        out = await live.client.post("/logout", headers=PAGE)
        assert out.status_code == 204
        assert "Max-Age=0" in out.headers["set-cookie"]
        live.client.cookies.set(LOCAL_COOKIE, kept or "")
        assert (await live.client.get("/v1/jobs")).status_code == 401  # the cookie alone is of no use any more


async def test_a_cookie_is_this_hosts_alone_and_no_script_reads_it(tmp_path: Path) -> None:
    async with guarded(tmp_path, hosts=("video.example",)) as live, strange(live) as client:
        order = {"name": NAME, "password": PASSWORD}
        answer = await client.post("/login", json=order, headers=HTTPS)
        words = {word.strip().lower() for word in answer.headers["set-cookie"].split(";")[1:]}
        assert answer.headers["set-cookie"].startswith(f"{COOKIE}=")
        assert words >= {"secure", "httponly", "samesite=lax", "path=/"}
        assert not [word for word in words if word.startswith("domain")]
        local = await client.post("/login", json=order, headers=PAGE)
        assert local.headers["set-cookie"].startswith(f"{LOCAL_COOKIE}=")
        assert "secure" not in local.headers["set-cookie"].lower()
        # the name without the prefix could be set by a neighbour's page: it counts on this machine only
        token = cookie_of(local)
        assert (await client.get("/v1/jobs", headers={"Cookie": f"{LOCAL_COOKIE}={token}"})).status_code == 200
        away = {**HTTPS, "Cookie": f"{LOCAL_COOKIE}={token}"}
        assert (await client.get("/v1/jobs", headers=away)).status_code == 401


async def fixed(live: Live) -> list[str]:
    """What somebody gains who knows which cookie a browser had before it signed in."""
    faults = []
    before = cookie_of(await sign_in(live))
    for brought in ("chosen-by-somebody-else", before):
        async with strange(live) as victim, strange(live) as attacker:
            chosen = {"Cookie": f"{LOCAL_COOKIE}={brought}", **PAGE}
            answer = await victim.post("/login", json={"name": NAME, "password": PASSWORD}, headers=chosen)
            if cookie_of(answer) == brought:
                faults.append("the same id after signing in")
            if (await attacker.get("/v1/jobs", headers=chosen)).status_code != 401:
                faults.append("the id of before lets in")
    return faults


async def test_a_session_cannot_be_fixed_by_who_chooses_the_cookie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unhurried: None
) -> None:
    async with guarded(tmp_path) as live:
        live.client.cookies.clear()
        assert await fixed(live) == []
        # the twin: the server takes the id that the browser brings
        monkeypatch.setattr(sessions, "new_token", lambda: "chosen-by-somebody-else")
        assert set(await fixed(live)) == {"the same id after signing in", "the id of before lets in"}


async def test_the_database_holds_nothing_that_lets_in(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        token = cookie_of(await sign_in(live))
        assert len(token) == 43
        session = (await live.store.read(lambda db: db.sessions.list(OWNER_ID)))[0]
        assert session.hash == sessions.hash_of(token)
        assert token not in str(session)
        async with strange(live) as client:
            stolen = {"Cookie": f"{LOCAL_COOKIE}={session.hash}"}
            assert (await client.get("/v1/jobs", headers=stolen)).status_code == 401


@pytest.mark.parametrize(("idle_days", "age_days", "status"), [(29, 89, 200), (31, 40, 401), (1, 91, 401)])
async def test_a_session_ends_unused_and_in_any_case(
    tmp_path: Path, idle_days: int, age_days: int, status: int
) -> None:
    async with guarded(tmp_path) as live:
        await sign_in(live)
        now = time.time_ns() // 1_000_000
        await live.store.write(
            lambda db: db.sessions._run(
                "update session set created_at = :made, used_at = :used",
                made=now - age_days * DAY_MS,
                used=now - idle_days * DAY_MS,
            )
        )
        assert (await live.client.get("/v1/jobs")).status_code == status


async def told(live: Live, name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, int]:
    """What a try learns: the status, the words, and how many hashes were computed for it."""
    computed: list[str] = []
    real = passwords._verify

    def counted(hashed: str, given: str) -> bool:
        computed.append(hashed[:30])
        return real(hashed, given)

    with monkeypatch.context() as patched:
        patched.setattr(passwords, "_verify", counted)
        async with strange(live) as client:
            answer = await client.post("/login", json={"name": name, "password": "wrong"}, headers=PAGE)
    return answer.status_code, answer.text, len(computed)


async def test_a_name_that_nobody_has_is_told_by_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unhurried: None
) -> None:
    async with guarded(tmp_path) as live:
        wrong, unknown = await told(live, NAME, monkeypatch), await told(live, "Nobody", monkeypatch)
        assert wrong == unknown
        assert (wrong[0], wrong[2]) == (401, 1)
        assert NAME not in wrong[1]

        async def hasty(self: passwords.Passwords, hashed: str | None, password: str) -> bool:  # the twin
            return hashed is not None and passwords._verify(hashed, password)

        monkeypatch.setattr(passwords.Passwords, "verify", hasty)
        assert await told(live, NAME, monkeypatch) != await told(live, "Nobody", monkeypatch)


async def tried(live: Live, times: int) -> list[int]:
    async with strange(live) as client:
        order = {"name": NAME, "password": "wrong"}
        return [(await client.post("/login", json=order, headers=PAGE)).status_code for _ in range(times)]


async def test_passwords_cannot_be_guessed_in_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with guarded(tmp_path) as live:
        assert await tried(live, 7) == [401] * 5 + [429] * 2
        refused = await sign_in(live)  # from that address nobody gets in for a moment
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_tries")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        monkeypatch.setattr(Buckets, "take", lambda self, key, *, now_s: 0.0)  # the twin: nobody counts
        assert await tried(live, 7) == [401] * 7


async def test_after_many_wrong_ones_from_everywhere_each_takes_longer_and_nobody_is_locked_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[int] = []

    async def noted() -> None:
        late.append(1)

    async with guarded(tmp_path, trusted_proxy="1") as live, strange(live) as client:
        monkeypatch.setattr(login, "_hold_up", noted)
        for number in range(22):
            away = {**PAGE, "X-Forwarded-For": f"203.0.113.{number}"}
            order = {"name": NAME, "password": "wrong"}
            assert (await client.post("/login", json=order, headers=away)).status_code == 401
        assert len(late) == 2
        away = {**PAGE, "X-Forwarded-For": "198.51.100.7"}
        good = await client.post("/login", json={"name": NAME, "password": PASSWORD}, headers=away)
        assert good.status_code == 200


async def test_strangers_who_try_all_day_do_not_keep_out_the_owners_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def all_day() -> None:
        raise Unavailable("Too many wait for their try.", code="busy")

    async with guarded(tmp_path, trusted_proxy="1") as live:
        monkeypatch.setattr(login, "_hold_up", all_day)
        assert (await sign_in(live)).status_code == 200  # from here on the browser is known
        assert (await live.client.post("/logout", headers=PAGE)).status_code == 204
        monkeypatch.setattr(Limits, "wait_s", lambda *_: 60.0)  # too many were wrong
        async with strange(live) as client:
            order = {"name": NAME, "password": PASSWORD}
            assert (await client.post("/login", json=order, headers=PAGE)).status_code == 503
        assert (await sign_in(live)).status_code == 200
        monkeypatch.setattr(login, "_is_known", lambda *_: False)  # the twin: nobody is known
        assert (await sign_in(live)).status_code == 503


async def test_a_hash_of_before_is_made_anew_when_somebody_signs_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with guarded(tmp_path) as live:
        weak = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
        await live.store.write(lambda db: db.users.set_password(OWNER_ID, weak, now=1))
        assert (await sign_in(live)).status_code == 200
        user = await live.store.read(lambda db: db.users.get())
        assert user.password is not None
        assert not passwords.is_outdated(user.password)
        assert (await sign_in(live)).status_code == 200


async def with_totp(live: Live) -> tuple[pyotp.TOTP, list[str]]:
    """An authenticator that is asked for, and its recovery codes. The one who asks is signed in."""
    assert (await sign_in(live)).status_code == 200
    begun = await live.client.post("/v1/security/totp", json={"password": PASSWORD}, headers=PAGE)
    assert begun.status_code == 200, begun.text
    totp = pyotp.TOTP(begun.json()["secret"])
    picture = await live.client.get("/v1/security/totp.svg")
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "<script" not in picture.text
    done = await live.client.post("/v1/security/totp/confirm", json={"code": totp.now()}, headers=PAGE)
    assert done.status_code == 200, done.text
    assert (await live.client.get("/v1/security/totp.svg")).status_code == 404  # it is shown no more
    return totp, done.json()["recovery_codes"]


async def test_an_authenticators_code_is_asked_for_and_taken_once(tmp_path: Path, unhurried: None) -> None:
    async with guarded(tmp_path) as live:
        totp, _ = await with_totp(live)
        live.client.cookies.clear()
        missing = await sign_in(live)
        assert (missing.status_code, missing.json()["code"]) == (401, "code_needed")
        assert "set-cookie" not in missing.headers
        used = await sign_in(live, code=totp.now())
        assert (used.status_code, used.json()["code"]) == (401, "wrong_code")  # it has confirmed, and is used up
        coming = totp.at(int(time.time()) + 30)
        assert (await sign_in(live, code=coming)).status_code == 200
        assert (await sign_in(live, code=coming)).status_code == 401
        wrong = await live.client.post("/login", json={"name": NAME, "password": "wrong", "code": "1"}, headers=PAGE)
        assert (
            wrong.json()["code"] == "wrong_password"
        )  # whether there is an authenticator, the password's owner learns


async def test_recovery_codes_help_once_each_and_new_ones_end_them(tmp_path: Path, unhurried: None) -> None:
    async with guarded(tmp_path) as live:
        _, recovery = await with_totp(live)
        assert len(recovery) == 10
        assert (await sign_in(live, code=recovery[0])).status_code == 200
        assert (await sign_in(live, code=recovery[0])).status_code == 401
        assert (await live.client.get("/v1/security")).json()["recovery_codes"] == 9
        renewed = await live.client.post("/v1/security/recovery-codes", json={"password": PASSWORD}, headers=PAGE)
        assert (await sign_in(live, code=recovery[1])).status_code == 401
        assert (await sign_in(live, code=renewed.json()["recovery_codes"][3])).status_code == 200
        off = await live.client.post("/v1/security/totp/off", json={"password": "wrong"}, headers=PAGE)
        assert off.status_code == 401  # a stolen browser does not turn it off
        off = await live.client.post("/v1/security/totp/off", json={"password": PASSWORD}, headers=PAGE)
        assert off.status_code == 200
        live.client.cookies.clear()
        assert (await sign_in(live)).status_code == 200


async def test_an_authenticators_secret_lies_sealed(tmp_path: Path, unhurried: None) -> None:
    async with guarded(tmp_path) as live:
        totp, _ = await with_totp(live)
        user = await live.store.read(lambda db: db.users.get())
        assert user.totp is not None
        assert totp.secret.encode() not in user.totp


@pytest.mark.parametrize("change", ["password", "totp/off", "totp"])
async def test_what_changes_the_way_in_ends_every_other_session_and_renews_this_one(
    tmp_path: Path, change: str, unhurried: None
) -> None:
    async with guarded(tmp_path) as live:
        other = cookie_of(await sign_in(live))
        live.client.cookies.clear()
        if change == "totp":
            before = cookie_of(await sign_in(live))
            await with_totp(live)
        else:
            before = cookie_of(await sign_in(live))
            orders: dict[str, dict[str, str]] = {
                "password": {"current": PASSWORD, "password": f"{PASSWORD} neu"},
                "totp/off": {"password": PASSWORD},
            }
            answer = await live.client.post(f"/v1/security/{change}", json=orders[change], headers=PAGE)
            assert answer.status_code == 200, answer.text
        assert (await live.client.get("/v1/jobs")).status_code == 200
        assert live.client.cookies.get(LOCAL_COOKIE) not in (before, other)
        async with strange(live) as client:
            for old in (before, other):
                answer = await client.get("/v1/jobs", headers={"Cookie": f"{LOCAL_COOKIE}={old}"})
                assert answer.status_code == 401


async def test_another_password_needs_the_present_one_and_keeps_the_rule(tmp_path: Path, unhurried: None) -> None:
    async with guarded(tmp_path) as live:
        await sign_in(live)
        for order, status in (
            ({"current": "wrong", "password": "quite another one"}, 401),
            ({"current": PASSWORD, "password": "short"}, 422),
            ({"current": PASSWORD, "password": "password1"}, 422),
            ({"current": PASSWORD, "password": "quite another one", "name": "  Bob  B "}, 200),
        ):
            answer = await live.client.post("/v1/security/password", json=order, headers=PAGE)
            assert answer.status_code == status, answer.text
        live.client.cookies.clear()
        assert (await sign_in(live)).status_code == 401
        again = {"name": "bob b", "password": "quite another one"}
        assert (await live.client.post("/login", json=again, headers=PAGE)).status_code == 200


async def test_one_browser_or_all_are_signed_out(tmp_path: Path, unhurried: None) -> None:
    async with guarded(tmp_path) as live:
        await sign_in(live)
        async with strange(live) as other:
            order = {"name": NAME, "password": PASSWORD}
            await other.post("/login", json=order, headers={**PAGE, "User-Agent": "A phone"})
            listed = (await live.client.get("/v1/security")).json()["sessions"]
            (phone,) = [one for one in listed if one["agent"] == "A phone"]
            assert [one["current"] for one in listed].count(True) == 1
            assert (await live.client.delete(f"/v1/sessions/{phone['id']}", headers=PAGE)).status_code == 204
            assert (await other.get("/v1/jobs")).status_code == 401
            assert (await live.client.delete(f"/v1/sessions/{phone['id']}", headers=PAGE)).status_code == 404
            assert (await live.client.get("/v1/jobs")).status_code == 200
        assert (await live.client.delete("/v1/sessions", headers=PAGE)).status_code == 204
        assert (await live.client.get("/v1/jobs")).status_code == 401


async def test_a_stream_of_events_ends_with_its_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    async with guarded(tmp_path) as live:
        await sign_in(live)
        async with live.client.stream("GET", "/v1/events/stream") as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == "retry: 2000"
            await live.store.write(lambda db: db.sessions.end_all(OWNER_ID))
            async for _ in lines:  # until it ends
                pass


async def test_a_key_over_http_is_shown_once_rotated_and_revoked(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live, strange(live) as client:
        admin = await key_for(live, "admin")
        made = await client.post("/v1/keys", json={"name": "ci", "scopes": ["read"]}, headers=admin)
        assert made.status_code == 201
        key = made.json()
        uses = {"Authorization": f"Bearer {key['key']}"}
        assert (await client.get("/v1/jobs", headers=uses)).status_code == 200
        listed = await client.get("/v1/keys", headers=admin)
        assert key["key"] not in listed.text
        (shown,) = [one for one in listed.json()["keys"] if one["id"] == key["id"]]
        assert (shown["public_id"], shown["live"], shown["scopes"]) == (key["key"][8:16], True, ["read"])
        assert shown["used_at"] is not None
        turned = (await client.post(f"/v1/keys/{key['id']}/rotate", headers=admin)).json()
        for secret in (key["key"], turned["key"]):
            assert (await client.get("/v1/jobs", headers={"Authorization": f"Bearer {secret}"})).status_code == 200
        gone = await client.delete(f"/v1/keys/{key['id']}", headers=admin)
        assert (gone.status_code, gone.json()["live"]) == (200, False)
        assert (await client.get("/v1/jobs", headers=uses)).status_code == 401
        assert (await client.delete("/v1/keys/key_x", headers=admin)).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a", "scopes": []},
        {"name": "a", "scopes": ["root"]},
        {"name": "a", "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "a", "expires_at": "tomorrow"},
        {"name": "a", "hash": "x"},
    ],
)
async def test_a_key_that_makes_no_sense_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    async with running(tmp_path) as live:
        answer = await live.client.post("/v1/keys", json=wrong)
        assert answer.status_code in (400, 422), answer.text


async def test_no_answer_and_no_log_line_holds_a_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], unhurried: None
) -> None:
    async with guarded(tmp_path) as live:
        await sign_in(live)
        seen = ""
        for body in ({"name": NAME, "password": "s3cret-but-wrong"}, {"name": 1, "password": ["s3cret-but-wrong"]}):
            seen += (await live.client.post("/login", json=body, headers=PAGE)).text
        number = (await live.client.post("/login", json={"name": NAME, "password": 918273645}, headers=PAGE)).text
        assert "password: must be a text" in number
        assert "918273645" not in number
        weak = {"current": PASSWORD, "password": "short"}
        seen += (await live.client.post("/v1/security/password", json=weak, headers=PAGE)).text
        seen += capsys.readouterr().out
        assert "s3cret-but-wrong" not in seen
        assert PASSWORD not in seen
        assert "short" not in re.sub("shorter", "", seen)
