"""Connected accounts over weeks, beside the simulated platforms and on their clock."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.store.given import prepared
from vidprod.config import Config
from vidprod.domain.account import Account, Flavour, Platform
from vidprod.domain.user import OWNER_ID
from vidprod.errors import PlatformError
from vidprod.platforms.registry import Platforms
from vidprod.platforms.simulators.app import Far, far_end, simulators
from vidprod.platforms.simulators.oauth import AuthServer, pressed
from vidprod.platforms.simulators.transport import SimTransport
from vidprod.platforms.simulators.world import World
from vidprod.platforms.wire import Wire
from vidprod.services.clock import Clock
from vidprod.services.connect import Connector
from vidprod.services.keeper import Keeper
from vidprod.store.sqlite import Store, Tables
from vidprod.vault import open_vault

NOW = 1_800_000_000_000
HOUR, DAY = 3_600_000, 86_400_000
SIMULATED = "http://simulators"


@dataclass
class Town:
    """One clock for all, moved by hand."""

    at: list[int]
    store: Store
    far: Far
    keeper: Keeper
    connects: Connector
    outside: httpx.AsyncClient

    def auth(self, platform: Platform, flavour: Flavour = "") -> AuthServer:
        if platform == "instagram":
            return (
                self.far.instagram.logins.instagram
                if flavour == "instagram_login"
                else self.far.instagram.logins.facebook
            )
        return self.far.youtube.auth if platform == "youtube" else self.far.tiktok.auth

    async def connect(self, platform: Platform, flavour: Flavour = "", *, user_id: str = OWNER_ID) -> list[Account]:
        url = await self.connects.ask(platform, flavour, direct=False, origin="http://127.0.0.1:8000", user_id=user_id)
        person = next(iter(self.auth(platform, flavour).accounts))
        back = (await self.outside.get(pressed(url, account=person))).headers["location"]
        answer = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
        return await self.connects.finish(platform, answer)

    async def pass_days(self, days: float, *, step_h: int = 1) -> None:
        """As the daemon's timer looks after accounts."""
        for _ in range(round(days * 24 / step_h)):
            self.at[0] += step_h * HOUR
            await self.keeper.refresh_due()

    async def account(self, account_id: str) -> Account:
        return await self.store.read(lambda db: db.accounts.get(account_id))

    async def events(self, kind: str) -> list[dict[str, Any]]:
        found = await self.store.read(lambda db: db.events.after(0, limit=1000))
        return [event.data for event in found if event.type == kind]


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    at = [NOW]
    far = far_end(World(base_url=SIMULATED, wall=lambda: at[0]))
    app = simulators(far)
    wire = Wire(simulator_url=SIMULATED, transport=SimTransport(app))
    config = Config(data_dir=str(tmp_path), simulator_url=SIMULATED)
    clock = Clock(wall=lambda: at[0])
    async with (
        await Store.open(prepared(tmp_path / "vidprod.db"), now=NOW, reserve_bytes=1 << 16) as store,
        httpx.AsyncClient(transport=SimTransport(app)) as outside,
    ):
        vault, platforms = open_vault(tmp_path, ()), Platforms(config, now=clock.now, wire=wire)
        keeper = Keeper(store, vault, platforms, clock)
        connects = Connector(store, vault, platforms, keeper, config=config, clock=clock, now=clock.now)
        yield Town(at=at, store=store, far=far, keeper=keeper, connects=connects, outside=outside)
        await keeper.close()
        await platforms.close()


WAYS: list[tuple[Platform, Flavour]] = [
    ("youtube", ""),
    ("tiktok", ""),
    ("instagram", "facebook_login"),
    ("instagram", "instagram_login"),
]


@pytest.mark.parametrize(("platform", "flavour"), WAYS)
async def test_an_account_nobody_touches_stays_connected_for_a_year(
    town: Town, platform: Platform, flavour: Flavour
) -> None:
    for account in await town.connect(platform, flavour):
        await town.pass_days(372, step_h=72)
        assert (await town.account(account.id)).state == "connected"
        assert await town.keeper.token(account.id)
    assert await town.events("account.expiring") == []


async def test_a_rotated_token_is_never_spent_twice_by_tiktok(town: Town) -> None:
    (account,) = await town.connect("tiktok")
    spent: list[str] = []
    renew = town.far.tiktok.auth.renew

    def counting(refresh_token: str, **named: Any) -> Any:
        spent.append(refresh_token)
        return renew(refresh_token, **named)

    town.far.tiktok.auth.renew = counting  # type: ignore[method-assign]
    for _ in range(50):
        town.at[0] += 3 * HOUR
        await town.keeper.token(account.id)
    assert len(spent) == len(set(spent)) == 50


async def test_an_answer_lost_by_tiktok_is_told_as_that_and_ends_with_connecting_again(town: Town) -> None:
    (account,) = await town.connect("tiktok")
    town.at[0] += 3 * HOUR
    town.far.world.order("tiktok.token", "lost_answer")
    with pytest.raises(PlatformError) as raised:
        await town.keeper.token(account.id)
    assert raised.value.kind == "RETRY"
    await town.keeper.refresh_due()
    dead = await town.account(account.id)
    assert dead.state == "needs_reauth"
    assert dead.fault is not None
    assert dead.fault.startswith("TikTok was asked for new tokens and its answer was lost")
    (again,) = await town.connect("tiktok")
    assert (again.id, again.state, again.fault) == (account.id, "connected", None)
    assert await town.keeper.token(account.id)


@pytest.mark.parametrize("fault", ["500", "503", "html", "reset"])
@pytest.mark.parametrize("platform", ["youtube", "tiktok"])
async def test_a_platform_that_stumbles_ends_no_account(town: Town, platform: Platform, fault: str) -> None:
    (account,) = await town.connect(platform)
    town.at[0] += 3 * HOUR
    town.far.world.order(f"{platform}.token", fault)
    with pytest.raises(PlatformError) as raised:
        await town.keeper.token(account.id)
    assert raised.value.kind == "RETRY"
    assert await town.keeper.token(account.id)
    assert (await town.account(account.id)).state == "connected"


async def test_google_in_testing_ends_after_a_week_and_says_so_before(town: Town) -> None:
    town.far.youtube.auth.refresh_s = 7 * 86_400
    (account,) = await town.connect("youtube")
    assert any("is in testing" in notice for notice in account.notices)
    assert account.refresh_expires_at == NOW + 7 * DAY
    await town.pass_days(6.9)
    told = await town.events("account.expiring")
    assert [one["days"] for one in told] == [7, 1]
    await town.pass_days(0.3)
    with pytest.raises(PlatformError) as raised:
        await town.keeper.token(account.id)
    assert raised.value.kind == "REAUTH"
    dead = await town.account(account.id)
    assert dead.fault is not None
    assert "connect the account again" in dead.fault


async def test_a_grant_taken_back_at_the_platform_pauses_the_account_in_words(town: Town) -> None:
    (account,) = await town.connect("youtube")
    town.far.youtube.auth.withdraw(account.external_id)
    town.at[0] += 2 * HOUR
    with pytest.raises(PlatformError):
        await town.keeper.token(account.id)
    assert (await town.events("account.needs_reauth"))[0]["fault"] == (
        "YouTube does not take its tokens any more (Token has been expired or revoked.): connect the account again."
    )


async def test_pages_of_one_person_are_several_accounts_and_one_can_go(town: Town) -> None:
    accounts = await town.connect("instagram", "facebook_login")
    assert len(accounts) > 1
    tokens = {await town.keeper.also(account.id, "page_token") for account in accounts}
    assert len(tokens) == len(accounts)
    await town.connects.disconnect(accounts[0].id)
    for account in accounts[1:]:
        await town.pass_days(40, step_h=24)
        assert await town.keeper.token(account.id)


async def test_a_daemon_without_settings_knows_no_app(tmp_path: Path) -> None:
    from vidprod.platforms.registry import WAYS as REGISTERED
    from vidprod.platforms.registry import app

    assert [app(Config(), *way) for way in REGISTERED] == [None] * 4
    assert all(app(Config(simulator_url=SIMULATED), *way) for way in REGISTERED)
    given = Config(simulator_url=SIMULATED, tiktok_client_key="key", tiktok_client_secret="secret")
    found = app(given, "tiktok", "")
    assert found is not None
    assert (found.client_id, found.client_secret) == ("key", "secret")
    assert app(Config(), "youtube", "facebook_login") is None


async def test_an_account_is_of_whoever_began_to_connect_it(town: Town) -> None:
    another = "usr_" + "a" * 26

    def add(db: Tables) -> None:
        db.users._run("insert into user (id, name, created_at) values (:id, 'Another', 0)", id=another)

    await town.store.write(add)
    (hers,) = await town.connect("youtube", user_id=another)
    assert (await town.account(hers.id)).user_id == another
    (again,) = await town.connect("youtube")
    assert (again.id, again.user_id) == (hers.id, another)  # it stays hers
