"""`vidprod owner`: for who has the volume, and has lost the password or never set one."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from vidprod.cli.beside import read, write_beside
from vidprod.cli.settings import load, settings_options
from vidprod.domain.user import MAX_NAME, OWNER_ID
from vidprod.domain.who import EVERYTHING, Who
from vidprod.passwords import Passwords, check
from vidprod.place import database_path, now_ms
from vidprod.store.sqlite.entrances import tell_of_owner
from vidprod.store.sqlite.tables import Tables

_options = settings_options("data_dir")


@click.group("owner")
def command() -> None:
    """Set or forget who may sign in. Works while the daemon runs, and without one."""


@command.command("set-password")
@click.option("--name", help="Who signs in; else the name there is, or owner.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from the standard input.")
@_options
def set_password(name: str | None, from_stdin: bool, config_file: Path | None, **flags: Any) -> None:
    """Set the owner's password, the first or another one. Every session ends; the authenticator stays."""
    config, now = load(config_file, flags).config, now_ms()
    known = asyncio.run(read(config, lambda db: db.users.get().name)) if database_path(config).exists() else ""
    called = " ".join((name or "").split()) or known or "owner"
    if len(called) > MAX_NAME:
        raise click.UsageError(f"a name has at most {MAX_NAME} characters")
    password = _from_stdin() if from_stdin else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    check(password, name=called)
    hashed = asyncio.run(_hashed(password))

    def change(db: Tables) -> None:
        tell_of_owner(db, "owner.password_changed" if db.users.can_sign_in() else "owner.created", now=now)
        db.users.set_password(OWNER_ID, hashed, name=called, now=now)
        db.sessions.end_all(OWNER_ID)
        _note(db, "owner set-password", now=now)

    asyncio.run(write_beside(config, change, makes=True))
    click.echo(f"{called} signs in with this password from now on; every session has ended.")


@command.command("reset")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_options
def reset(yes: bool, config_file: Path | None, **flags: Any) -> None:
    """Forget the password, the authenticator and every session. What was made stays, and so do keys."""
    config, now = load(config_file, flags).config, now_ms()
    if not yes:
        click.confirm("Forget the owner's password and authenticator?", abort=True)

    def forget(db: Tables) -> bool:
        if db.users.can_sign_in():
            tell_of_owner(db, "owner.forgotten", now=now)
        db.users.forget(OWNER_ID)
        db.sessions.end_all(OWNER_ID)
        _note(db, "owner reset", now=now)
        return db.keys.are_kept()

    keys = asyncio.run(write_beside(config, forget))
    click.echo("There is no owner any more. `vidprod owner set-password`, or /setup, makes one.")
    if keys:
        click.echo("Keys still let programs in: `vidprod keys list`.", err=True)


async def _hashed(password: str) -> str:
    passwords = Passwords()
    try:
        return await passwords.hash(password)
    finally:
        passwords.close()


def _from_stdin() -> str:
    """Its first line."""
    return sys.stdin.readline().rstrip("\r\n")


def _note(db: Tables, what: str, *, now: int) -> None:
    by = Who(kind="open", user_id=OWNER_ID, scopes=EVERYTHING)  # who has the volume
    db.audit.record(by, f"vidprod {what}", now=now)
