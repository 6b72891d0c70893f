"""The owner hears of what changes about who gets in, and nobody who reads it learns more than that."""

import json
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest

from tests.web.conftest import Live
from tests.web.people import NAME, PAGE, PASSWORD, guarded, sign_in, strange
from vidprod.domain.bucket import Buckets
from vidprod.web import login

OTHER = "quite another one"


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as one likes."""
    monkeypatch.setattr(Buckets, "take", lambda self, key, *, now_s: 0.0)
    monkeypatch.setattr(Buckets, "wait_s", lambda self, key, *, now_s: 0.0)


async def told(live: Live) -> list[tuple[str, dict[str, Any]]]:
    """What was told of who gets in, oldest first."""
    events = await live.store.read(lambda db: db.events.after(0, limit=100))
    return [(one.type, one.data) for one in events if one.type.startswith(("owner.", "key."))]


async def does(live: Live, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    answer = await live.client.request(method, path, json=body, headers=PAGE)
    assert answer.is_success, answer.text
    return answer.json()


async def test_each_change_of_who_gets_in_is_told_and_no_secret_with_it(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        await sign_in(live)
        key = await does(live, "POST", "/v1/keys", {"name": "a script"})
        fresh = await does(live, "POST", f"/v1/keys/{key['id']}/rotate", {})
        for _ in range(2):  # what is revoked already is no news
            await does(live, "DELETE", f"/v1/keys/{fresh['id']}")
        begun = await does(live, "POST", "/v1/security/totp", {"password": PASSWORD})
        code = pyotp.TOTP(begun["secret"]).now()
        first = await does(live, "POST", "/v1/security/totp/confirm", {"code": code})
        again = await does(live, "POST", "/v1/security/recovery-codes", {"password": PASSWORD})
        await does(live, "POST", "/v1/security/totp/off", {"password": PASSWORD})
        await does(live, "POST", "/v1/security/password", {"current": PASSWORD, "password": OTHER})
        found = await told(live)
        assert [what for what, _ in found] == [
            "owner.created",
            "owner.signed_in",
            "key.created",
            "key.rotated",
            "key.revoked",
            "owner.authenticator_on",
            "owner.recovery_codes_changed",
            "owner.authenticator_off",
            "owner.password_changed",
        ]
        secrets = [PASSWORD, OTHER, key["key"], fresh["key"], key["public_id"], begun["secret"], "127.0.0.1"]
        secrets += [*first["recovery_codes"], *again["recovery_codes"], *live.client.cookies.values()]
        assert not [one for one in secrets if one in json.dumps(found)]


async def test_who_knows_the_password_and_not_the_code_is_told_of(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        await sign_in(live)
        begun = await does(live, "POST", "/v1/security/totp", {"password": PASSWORD})
        await does(live, "POST", "/v1/security/totp/confirm", {"code": pyotp.TOTP(begun["secret"]).now()})
        async with strange(live) as thief:
            for password, code in (("wrong", "000000"), (PASSWORD, "")):  # the page asks so before it asks for a code
                await thief.post("/login", json={"name": NAME, "password": password, "code": code}, headers=PAGE)
            assert (await told(live))[-1][0] == "owner.authenticator_on"
            await thief.post("/login", json={"name": NAME, "password": PASSWORD, "code": "none"}, headers=PAGE)
            assert (await told(live))[-1][0] == "owner.code_refused"


async def news_of_devices(live: Live) -> list[bool]:
    """Whether each who signed in did so with a new device, and with what they brought: nothing, what they were given,
    what is no mark of ours, and what was given before the password was changed."""
    await sign_in(live)
    name = "vidprod-device"
    mine = live.client.cookies[name]
    await live.client.post("/logout", headers=PAGE)  # the session goes, the device stays known
    await sign_in(live)
    for made_up in ("x", ".", f"{mine}x", mine.replace(".", "x.", 1), f"other.{mine.partition('.')[2]}", "\xff.\xff"):
        async with strange(live) as thief:
            shown = httpx.Headers({**PAGE, "Cookie": f"{name}={made_up}"}, encoding="latin-1")
            order = {"name": NAME, "password": PASSWORD}
            assert (await thief.post("/login", json=order, headers=shown)).status_code == 200
    await does(live, "POST", "/v1/security/password", {"current": PASSWORD, "password": OTHER})
    for brought in (live.client.cookies[name], mine):
        async with strange(live) as later:
            later.cookies.set(name, brought)
            await later.post("/login", json={"name": NAME, "password": OTHER}, headers=PAGE)
    return [data["new_device"] for what, data in await told(live) if what == "owner.signed_in"]


NEWS = [True, False, *[True] * 6, False, True]


async def test_a_device_is_new_until_somebody_signs_in_with_it_and_after_each_new_password(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        assert await news_of_devices(live) == NEWS


async def test_a_mark_that_outlives_the_password_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin."""
    monkeypatch.setattr(login, "_device", lambda user, mark: f"device|{user.id}|{mark}")
    async with guarded(tmp_path) as live:
        assert await news_of_devices(live) == [*NEWS[:-1], False]


async def test_a_known_device_lets_nobody_in(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        await sign_in(live)
        device = live.client.cookies["vidprod-device"]
        async with strange(live) as other:
            for name in ("vidprod-device", "vidprod", "__Host-vidprod"):
                other.cookies.set(name, device)
            assert (await other.get("/v1/jobs")).status_code == 401
