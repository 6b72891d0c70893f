"""Accounts over HTTP: connected by the platform's own page, seen, set, paused, disconnected; and the one switch that
stops all publishing."""

from html import escape
from typing import Any

import msgspec
from litestar import MediaType, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from vidprod.config import Config
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
from vidprod.errors import Conflict, VidProdError
from vidprod.hosts import is_loopback, split_host
from vidprod.store.sqlite import Tables, planning
from vidprod.store.sqlite.standing import (
    PAUSED_AT,
    held_by,
    move_out,
    pause_account,
    pause_publishing,
    resume_account,
    resume_publishing,
)
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.given import converted, given
from vidprod.web.moments import moment
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


class PublishingView(msgspec.Struct, frozen=True, kw_only=True):
    """Since when nothing is published anywhere; null: all goes out as planned. `held`: why, where it is more than a
    pause: this was restored from a backup, or moved to another home."""

    paused_at: str | None
    held: str | None = None


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


class ConnectOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be connected. `flavour`: of Instagram, which login; `direct`: of TikTok, the permission to post
    directly is asked for too."""

    platform: Platform
    flavour: Flavour = ""
    direct: bool = False


class ConnectView(msgspec.Struct, frozen=True, kw_only=True):
    """Where to go in a browser, within 10 minutes. Whoever opens it can connect their account here."""

    url: str


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
    found, publishing = await desk.store.read(lambda db: (db.accounts.list(disconnected=True), _publishing(db)))
    return AccountsView(
        accounts=[view_account(account) for account in found],
        logins=desk.connects.ways(_origin(request, desk.config)),
        publishing=publishing,
        clock=ClockView(now=moment(desk.clock()), speed=desk.config.clock_speed),
    )


@read("/v1/accounts/{account_id:str}")
async def get_account(desk: NamedDependency[Desk], account_id: FromPath[str]) -> AccountView:
    """One account."""
    checked(account_id, "acc")
    return view_account(await desk.store.read(lambda db: db.accounts.get(account_id)))


@post("/v1/accounts/connect", status_code=200)
async def connect(request: HttpRequest, desk: NamedDependency[Desk]) -> ConnectView:
    """Begin to connect an account: where to send a browser. The platform sends it back to `/oauth/{platform}`."""
    order = await given(request, ConnectOrder)
    if not (desk.config.public_url or is_loopback(_host(request)[0])):
        raise Conflict(
            "The platform could not find its way back here.",
            hint=f"Open {_origin(request, desk.config)} on the machine where VidProd runs, or set public_url.",
        )
    url = await desk.connects.ask(
        order.platform, order.flavour, direct=order.direct, origin=_origin(request, desk.config)
    )
    return ConnectView(url=url)


@get("/oauth/{platform:str}", include_in_schema=False)
async def finish_connecting(
    request: HttpRequest, desk: NamedDependency[Desk], platform: FromPath[str]
) -> Response[str]:
    """Where the platform sends the browser back to. Nothing but a page that a person went to is let in: not a picture,
    not a frame, not a script."""
    if request.headers.get("sec-fetch-dest", "document") != "document":
        return _page("Nothing was connected", "This address is for a browser's own window.", status=403)
    try:
        accounts = await desk.connects.finish(platform, dict(request.query_params))
    except VidProdError as error:
        words = str(error) if error.status < 500 else "Something went wrong here; the log says what."
        return _page("Nothing was connected", f"{words} {error.hint}".strip(), status=error.status)
    told = [note for account in accounts for note in account.notices]
    names = ", ".join(account.name for account in accounts)
    return _page("Connected", f"{names}: ready to be published to.", notes=list(dict.fromkeys(told)))


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


@post("/v1/publishing/pause", status_code=200)
async def pause_all(desk: NamedDependency[Desk]) -> PublishingView:
    """Publish nothing anywhere, from now on and over restarts."""

    def pause(db: Tables) -> PublishingView:
        pause_publishing(db, now=desk.clock())
        return _publishing(db)

    return await desk.store.write(pause, urgent=True)


@post("/v1/publishing/resume", status_code=200)
async def resume_all(desk: NamedDependency[Desk]) -> PublishingView:
    """Publish again what is due; what was restored or missed waits for a word about each. Not where it was moved."""
    await desk.store.write(lambda db: resume_publishing(db, now=desk.clock()))
    return PublishingView(paused_at=None)


@post("/v1/publishing/move-out", status_code=200)
async def move_house(desk: NamedDependency[Desk]) -> PublishingView:
    """This home publishes nothing from now on: `vidprod move out` takes everything to another one."""

    def move(db: Tables) -> PublishingView:
        move_out(db, now=desk.clock())
        return _publishing(db)

    return await desk.store.write(move)


def _publishing(db: Tables) -> PublishingView:
    held = held_by(db)
    return PublishingView(paused_at=moment(db.facts.get(PAUSED_AT)), held=None if held is None else held.message)


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


def _origin(request: HttpRequest, config: Config) -> str:
    """Where browsers reach this daemon. On this machine by its number, as platforms want it registered, and by the port
    that the browser uses, which may be another than ours in front of a container."""
    if config.public_url:
        return config.public_url
    host, port = _host(request)
    if not is_loopback(host):
        server = request.scope.get("server")
        port = str(server[1] if server else config.port)
    return f"http://127.0.0.1:{port}" if port else "http://127.0.0.1"


def _host(request: HttpRequest) -> tuple[str, str]:
    return split_host(request.headers.get("host", ""))


_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>{title} – VidProd</title><link rel="icon" href="/static/favicon.svg">
<link rel="stylesheet" href="/docs/style.css">{away}</head>
<body><main><h1>{title}</h1><p>{words}</p>{notes}<p><a href="/#accounts">Back to the accounts</a></p></main></body>
</html>"""
_AWAY = '<meta http-equiv="refresh" content="{seconds}; url=/#accounts">'


def _page(title: str, words: str, *, notes: list[str] | None = None, status: int = 200) -> Response[str]:
    """How it ended. One that went well goes back by itself, as soon as its notes can have been read."""
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes or [])
    return Response(
        _PAGE.format(
            title=escape(title),
            words=escape(words),
            notes=f"<ul>{listed}</ul>" if listed else "",
            away=_AWAY.format(seconds=2 + 4 * len(notes or [])) if status == 200 else "",
        ),
        status_code=status,
        media_type=MediaType.HTML,
    )


HANDLERS = [
    list_accounts,
    get_account,
    connect,
    finish_connecting,
    choices,
    set_account,
    pause,
    resume,
    disconnect,
    rotate_keys,
    pause_all,
    resume_all,
    move_house,
]
