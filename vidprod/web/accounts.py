"""Accounts over HTTP: seen, set, paused, disconnected."""

from typing import Any

import msgspec
from litestar import delete, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from vidprod.domain.account import (
    DIRECT_SCOPE,
    Account,
    AccountSettings,
    AccountState,
    Choices,
    Flavour,
    LoginWay,
    Platform,
)
from vidprod.domain.post import check_wording
from vidprod.domain.schedule import parse_slots, zone_of
from vidprod.errors import Conflict
from vidprod.store.sqlite import Tables, planning
from vidprod.store.sqlite.standing import pause_account, resume_account
from vidprod.web.connecting import origin_of
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.given import converted, given
from vidprod.web.moments import moment
from vidprod.web.publishing import PublishingView, view_publishing
from vidprod.web.reading import read


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """A connected account. Times are RFC 3339 in UTC; `refresh_expires_at`: when it has to be connected again, if it
    is not renewed before; null: when it is revoked. `notices` say what is missing or limited, `fault` why it needs to
    be connected again."""

    id: str
    platform: Platform
    flavour: Flavour
    external_id: str
    name: str
    username: str
    state: AccountState
    scopes: list[str]
    notices: list[str]
    settings: AccountSettings
    connected_at: str
    access_expires_at: str | None
    refresh_expires_at: str | None
    refreshed_at: str | None
    paused_at: str | None
    parked_until: str | None
    fault: str | None


class ClockView(msgspec.Struct, frozen=True, kw_only=True):
    """By what publishing goes: RFC 3339, and how fast it runs against the wall clock. Only beside simulated platforms
    that is not 1."""

    now: str
    speed: float


class AccountsView(msgspec.Struct, frozen=True, kw_only=True):
    """Every account, those too that were disconnected, and how more can be connected."""

    accounts: list[AccountView]
    logins: list[LoginWay]
    publishing: PublishingView
    clock: ClockView


class RotationView(msgspec.Struct, frozen=True, kw_only=True):
    """The key that everything is sealed with now, how much was sealed anew, the ids of keys that nothing here needs any
    more, and what could not be opened."""

    key_id: str
    resealed: int
    unused: list[str]
    broken: list[str]


@read("/v1/accounts")
async def list_accounts(request: HttpRequest, desk: NamedDependency[Desk]) -> AccountsView:
    """Accounts, the ways to connect more, and whether publishing is paused."""
    found, publishing = await desk.store.read(lambda db: (db.accounts.list(disconnected=True), view_publishing(db)))
    return AccountsView(
        accounts=[view_account(account) for account in found],
        logins=desk.connects.ways(origin_of(request, desk.config)),
        publishing=publishing,
        clock=ClockView(now=moment(desk.clock()), speed=desk.config.clock_speed),
    )


@read("/v1/accounts/{account_id:str}")
async def get_account(desk: NamedDependency[Desk], account_id: FromPath[str]) -> AccountView:
    """One account."""
    checked(account_id, "acc")
    return view_account(await desk.store.read(lambda db: db.accounts.get(account_id)))


@read("/v1/accounts/{account_id:str}/choices")
async def choices(desk: NamedDependency[Desk], account_id: FromPath[str]) -> Choices:
    """Of TikTok, what the account lets direct posts be at this moment: who may see them, and which switches are not
    off in the app. Asked of TikTok each time, 20 times a minute at most."""
    checked(account_id, "acc")
    return await desk.connects.choices(account_id)


@patch("/v1/accounts/{account_id:str}")
async def set_account(request: HttpRequest, desk: NamedDependency[Desk], account_id: FromPath[str]) -> AccountView:
    """Change settings: what is named is changed, the rest stays; in `wording` too, where null is "not said here".
    What is planned in slots moves to the new ones."""
    checked(account_id, "acc")
    asked = await given(request, dict[str, Any])

    def change(db: Tables) -> Account:
        account = db.accounts.get(account_id)
        before = account.settings
        changed = _changed(before, asked)
        _check_delivery(account, changed)
        account = db.accounts.set_settings(account_id, changed)
        if planning.respaces(before, account.settings):
            planning.replan_account(db, account_id, now=desk.clock())
        return account

    return view_account(await desk.store.write(change))


@post("/v1/accounts/{account_id:str}/pause", status_code=200)
async def pause(desk: NamedDependency[Desk], account_id: FromPath[str]) -> AccountView:
    """Publish nothing to this account until it is resumed."""
    checked(account_id, "acc")
    now = desk.clock()
    return view_account(await desk.store.write(lambda db: pause_account(db, account_id, now=now), urgent=True))


@post("/v1/accounts/{account_id:str}/resume", status_code=200)
async def resume(desk: NamedDependency[Desk], account_id: FromPath[str]) -> AccountView:
    """Publish to this account again."""
    checked(account_id, "acc")
    return view_account(await desk.store.write(lambda db: resume_account(db, account_id, now=desk.clock())))


@delete("/v1/accounts/{account_id:str}", status_code=200)
async def disconnect(desk: NamedDependency[Desk], account_id: FromPath[str]) -> AccountView:
    """Give the platform's permission back and forget the tokens. What is planned waits until it is connected again."""
    checked(account_id, "acc")
    return view_account(await desk.connects.disconnect(account_id))


@post("/v1/accounts/rotate-keys", status_code=200)
async def rotate_keys(desk: NamedDependency[Desk]) -> RotationView:
    """Seal all secrets anew with the newest key; a new one is made where keys are in the key file."""
    return msgspec.convert(await desk.connects.rotate_keys(), RotationView, from_attributes=True)


def view_account(account: Account) -> AccountView:
    """As it is shown."""
    return AccountView(
        id=account.id,
        platform=account.platform,
        flavour=account.flavour,
        external_id=account.external_id,
        name=account.name,
        username=account.username,
        state=account.state,
        scopes=account.scopes,
        notices=account.notices,
        settings=account.settings,
        connected_at=moment(account.connected_at),
        access_expires_at=moment(account.access_expires_at),
        refresh_expires_at=moment(account.refresh_expires_at),
        refreshed_at=moment(account.refreshed_at),
        paused_at=moment(account.paused_at),
        parked_until=moment(account.parked_until),
        fault=account.fault,
    )


def _changed(settings: AccountSettings, asked: dict[str, Any]) -> AccountSettings:
    """Raises BadRequest: naming what cannot be taken."""
    now: dict[str, Any] = msgspec.to_builtins(settings)
    wording = asked.get("wording", {})
    if isinstance(wording, dict):
        wording = {**now["wording"], **wording}
    changed = converted({**now, **asked, "wording": wording}, AccountSettings)
    zone_of(changed.zone)
    parse_slots(changed.slots)
    check_wording(changed.wording)
    return changed


def _check_delivery(account: Account, changed: AccountSettings) -> None:
    """Raises Conflict: direct posts were not granted, and each one would end with the account to be connected again."""
    if account.platform != "tiktok" or changed.delivery == account.settings.delivery == "direct":
        return
    if changed.delivery == "direct" and DIRECT_SCOPE not in account.scopes:
        raise Conflict(
            f"TikTok has not granted direct posts for {account.name}: it gave {', '.join(account.scopes)}, "
            f"not {DIRECT_SCOPE}.",
            code="not_granted",
            hint="Connect the account again and ask for direct posts.",
        )


HANDLERS = [
    list_accounts,
    get_account,
    choices,
    set_account,
    pause,
    resume,
    disconnect,
    rotate_keys,
]
