"""`vidprod accounts`: connected accounts, connected by the daemon's own page of the flow, paused, given back; and the
keys that their tokens are sealed with."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from vidprod.cli.beside import ask, database, no_daemon, read, write
from vidprod.cli.ending import REFUSED, UNUSABLE, Ending
from vidprod.cli.settings import load, settings_options
from vidprod.config import Config
from vidprod.domain.account import PLATFORMS, Account
from vidprod.place import now_ms
from vidprod.platforms.registry import Platforms
from vidprod.services import rotation
from vidprod.services.clock import Clock
from vidprod.services.connect import LASTS_MS, Connector
from vidprod.services.keeper import Keeper
from vidprod.store.sqlite.standing import (
    PAUSED_AT,
    held_by,
    pause_account,
    pause_publishing,
    resume_account,
    resume_publishing,
)
from vidprod.store.sqlite.store import Store
from vidprod.vault import open_vault

_LOGINS = {"facebook": "facebook_login", "instagram": "instagram_login"}
_LOOK_S = 1.0
_LONG_S = 120.0  # a platform is asked meanwhile, or many rows are sealed

_options = settings_options("data_dir", "host", "port")


@click.group("accounts")
def command() -> None:
    """Connect YouTube, TikTok and Instagram accounts, pause them, give them back. Works while the daemon runs."""


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Those too that were disconnected.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, one line an account.")
@_options
def list_accounts(everything: bool, as_json: bool, config_file: Path | None, **flags: Any) -> None:
    """The accounts, until when each is connected, and what is missing."""
    config = load(config_file, flags).config
    found, paused_at, held = asyncio.run(
        read(config, lambda db: (db.accounts.list(disconnected=everything), db.facts.get(PAUSED_AT), held_by(db)))
    )
    for account in found:
        click.echo(msgspec.json.encode(account).decode() if as_json else _lines(account))
    if as_json:
        return
    if not found:
        click.echo("No account is connected: `vidprod accounts connect youtube` begins.", err=True)
    if paused_at is not None:
        click.echo(f"All publishing is paused since {_when(paused_at)}.{f' {held.message}' if held else ''}", err=True)


@command.command("connect")
@click.argument("platform", type=click.Choice(PLATFORMS))
@click.option("--login", type=click.Choice(list(_LOGINS)), help="Of Instagram: which login; else the one set up.")
@click.option("--direct", is_flag=True, help="Of TikTok: ask for direct posts too, and not only drafts.")
@click.option("--no-wait", is_flag=True, help="Print the address and end.")
@_options
def connect(
    platform: str, login: str | None, direct: bool, no_wait: bool, config_file: Path | None, **flags: Any
) -> None:
    """Connect an account: open the address that is printed in a browser on this machine, and allow it there.

    The platform sends the browser back to the daemon, so one has to run.
    """
    if login and platform != "instagram":
        raise click.UsageError("--login is for instagram")
    if direct and platform != "tiktok":
        raise click.UsageError("--direct is for tiktok")
    config = load(config_file, flags).config
    with no_daemon(config) as none_runs:
        if none_runs:
            raise Ending(
                f"no daemon works on {config.data_dir}, and the platform sends the browser back to it",
                hint="`vidprod serve` starts one.",
                exit_code=UNUSABLE,
            )
    known = {(one["id"], one["connected_at"]) for one in ask(config, "GET", "/v1/accounts")["accounts"]}
    order = {"platform": platform, "flavour": _LOGINS.get(login or "", ""), "direct": direct}
    click.echo(ask(config, "POST", "/v1/accounts/connect", order)["url"])
    if no_wait:
        return
    click.echo("Open this address in a browser on this machine within 10 minutes. Waiting …", err=True)
    for account in _connected(config, platform, known):
        click.echo(f"{account['name']} is connected: {account['id']}")
        for notice in account["notices"]:
            click.echo(f"  {notice}")


@command.command("pause")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option("--all", "everything", is_flag=True, help="All publishing, by the one switch.")
@_options
def pause(accounts: tuple[str, ...], everything: bool, config_file: Path | None, **flags: Any) -> None:
    """Publish nothing to these accounts, by id or name, until they are resumed."""
    _switch(load(config_file, flags).config, accounts, everything=everything, pauses=True)


@command.command("resume")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option("--all", "everything", is_flag=True, help="The switch of all publishing; paused accounts stay paused.")
@_options
def resume(accounts: tuple[str, ...], everything: bool, config_file: Path | None, **flags: Any) -> None:
    """Publish to these accounts again."""
    _switch(load(config_file, flags).config, accounts, everything=everything, pauses=False)


@command.command("disconnect")
@click.argument("account")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_options
def disconnect(account: str, yes: bool, config_file: Path | None, **flags: Any) -> None:
    """Give the platform's permission back and forget the tokens. What is planned waits until it is connected again."""
    config = load(config_file, flags).config
    (found,) = _found(config, (account,))
    if not yes:
        click.confirm(f"Disconnect {found.name} on {found.platform}?", abort=True)
    with no_daemon(config) as none_runs:
        if none_runs:
            asyncio.run(_disconnect(config, found.id))
        else:
            ask(config, "DELETE", f"/v1/accounts/{found.id}", timeout_s=_LONG_S)
    click.echo(f"{found.name} is disconnected.")


@command.command("rotate-keys")
@_options
def rotate_keys(config_file: Path | None, **flags: Any) -> None:
    """Seal all tokens anew with the newest key.

    Where keys are in the file secret.keys of the data directory, a new one is made first. Where they are in the setting
    secret_keys, put the new one first, start the daemon anew, then run this. A running daemon does it itself.
    """
    config = load(config_file, flags).config
    with no_daemon(config) as none_runs:
        if none_runs:
            rotated = asyncio.run(_rotate(config))
        else:
            answer = ask(config, "POST", "/v1/accounts/rotate-keys", timeout_s=_LONG_S)
            rotated = msgspec.convert(answer, rotation.Rotated)
    click.echo(f"{rotated.resealed} sealed anew with the key {rotated.key_id}.")
    if rotated.unused:
        click.echo(f"Not needed here any more, only by backups made before: {', '.join(rotated.unused)}.")
    if rotated.broken:
        raise Ending(
            f"what lies at {', '.join(rotated.broken)} cannot be opened and stays as it is",
            hint="Its key is missing: bring it back and run this again, or connect the account again.",
        )


def _connected(config: Config, platform: str, known: set[tuple[str, str]]) -> list[dict[str, Any]]:
    """The accounts that a browser has connected since. Raises Ending: none came in time."""
    until = time.monotonic() + LASTS_MS / 1000
    while time.monotonic() < until:
        time.sleep(_LOOK_S)
        found = [
            one
            for one in ask(config, "GET", "/v1/accounts")["accounts"]
            if one["platform"] == platform and (one["id"], one["connected_at"]) not in known
        ]
        if found:
            return found
    raise Ending("nothing was connected within 10 minutes", hint="The page in the browser says why.")


def _switch(config: Config, names: tuple[str, ...], *, everything: bool, pauses: bool) -> None:
    if bool(names) == everything:
        raise click.UsageError("name the accounts, or say --all")
    verb = "pause" if pauses else "resume"
    found = [] if everything else _found(config, names)
    with no_daemon(config) as none_runs:
        if none_runs:
            asyncio.run(_switch_in_store(config, found, pauses=pauses))
        else:
            for path in [f"accounts/{one.id}" for one in found] or ["publishing"]:
                ask(config, "POST", f"/v1/{path}/{verb}")
    for one in found:
        click.echo(f"{one.name} is {verb}d.")
    if everything:
        click.echo(f"All publishing is {verb}d.")


async def _switch_in_store(config: Config, accounts: Sequence[Account], *, pauses: bool) -> None:
    now = now_ms()
    if not accounts:
        await write(config, lambda db: pause_publishing(db, now=now) if pauses else resume_publishing(db, now=now))
        return
    move = pause_account if pauses else resume_account
    await write(config, lambda db: [move(db, one.id, now=now) for one in accounts])


def _found(config: Config, names: tuple[str, ...]) -> list[Account]:
    """By id, name or username. Raises Ending: there is none such, or more than one."""
    accounts = asyncio.run(read(config, lambda db: db.accounts.list(disconnected=True)))
    return [_the_one(accounts, name) for name in names]


def _the_one(accounts: Sequence[Account], name: str) -> Account:
    wanted = name.casefold().removeprefix("@")
    found = [
        one
        for one in accounts
        if name == one.id or wanted in (one.name.casefold(), one.username.casefold().lstrip("@"))
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise Ending(f"there is no account {name!r}", hint="`vidprod accounts list` shows them.", exit_code=REFUSED)
    ids = ", ".join(f"{one.id} ({one.platform})" for one in found)
    raise Ending(f"{name!r} is the name of several accounts", hint=f"Name one by its id: {ids}.", exit_code=REFUSED)


async def _disconnect(config: Config, account_id: str) -> None:
    vault, clock = open_vault(Path(config.data_dir), config.secret_keys), Clock(wall=now_ms)
    platforms = Platforms(config, now=clock.now)
    try:
        async with await Store.open(database(config), now=now_ms()) as store:
            keeper = Keeper(store, vault, platforms, clock)
            connects = Connector(store, vault, platforms, keeper, config=config, clock=clock, now=now_ms)
            await connects.disconnect(account_id)
    finally:
        await platforms.close()


async def _rotate(config: Config) -> rotation.Rotated:
    path = database(config)
    vault = open_vault(Path(config.data_dir), config.secret_keys)
    async with await Store.open(path, now=now_ms()) as store:
        return await rotation.rotate_keys(store, vault, config)


def _lines(account: Account) -> str:
    state = account.state.replace("_", " ")
    if account.paused_at is not None:
        state += ", paused"
    if account.state == "connected" and account.refresh_expires_at is not None:
        state += f", until {_when(account.refresh_expires_at)}"
    called = f"{account.name} (@{account.username.lstrip('@')})" if account.username else account.name
    told = [account.fault or "", *account.notices]
    return "\n".join([f"{account.id}  {account.platform}  {called}  {state}", *(f"  {one}" for one in told if one)])


def _when(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, tz=UTC).isoformat(sep=" ", timespec="minutes")
