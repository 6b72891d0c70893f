"""`vidprod keys`: keys for programs that ask the daemon. Whoever has the volume may make them: the commands write the
database, whether a daemon runs or not, and the daemon sees it at the next request."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from vidprod.cli.beside import read, write_beside
from vidprod.cli.ending import REFUSED, Ending
from vidprod.cli.settings import load, settings_options
from vidprod.config import Config
from vidprod.domain.key import ROTATION_S, Key, make_key
from vidprod.domain.user import OWNER_ID
from vidprod.domain.who import EVERYTHING, MEANINGS, SCOPES, USUAL, Scope, Who
from vidprod.place import now_ms
from vidprod.store.sqlite.entrances import tell_of_key
from vidprod.store.sqlite.tables import Tables
from vidprod.units import read_seconds

_options = settings_options("data_dir")


@click.group("keys")
def command() -> None:
    """Keys for programs: `Authorization: Bearer vp_live_…`. Works while the daemon runs, and without one."""


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Those too that work no more.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, one line a key.")
@_options
def list_keys(everything: bool, as_json: bool, config_file: Path | None, **flags: Any) -> None:
    """The keys, what each may, and when it was used last."""
    config, now = load(config_file, flags).config, now_ms()
    found = asyncio.run(read(config, lambda db: db.keys.list()))
    shown = [key for key in found if everything or key.is_live(now=now)]
    for key in shown:
        click.echo(msgspec.json.encode(_public(key)).decode() if as_json else _line(key, now=now))
    if not shown and not as_json:
        click.echo("No keys: `vidprod keys add NAME` makes one.", err=True)


@command.command("add", epilog=" ".join(f"{scope}: {meaning}." for scope, meaning in MEANINGS.items()))
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help=f"May be repeated; else {' and '.join(USUAL)}."
)
@click.option("--expires", help="After so long, like 90d; else never.")
@_options
def add(name: str, scopes: tuple[Scope, ...], expires: str | None, config_file: Path | None, **flags: Any) -> None:
    """Make a key, and print it, this once."""
    config, now = load(config_file, flags).config, now_ms()
    until = None if expires is None else now + _duration_ms(expires)
    key, secret = make_key(_name(name), list(scopes or USUAL), user_id=OWNER_ID, expires_at=until, now=now)

    def added(db: Tables) -> None:
        db.keys.add(key)
        tell_of_key(db, "key.created", key, now=now)
        _note(db, "keys add", key, now=now)

    asyncio.run(write_beside(config, added, makes=True))
    click.echo(f"{key.name} may {', '.join(key.scopes)}. The key, shown this once:", err=True)
    click.echo(secret)


@command.command("rotate")
@click.argument("key", metavar="KEY")
@click.option("--keep", default=f"{ROTATION_S // 3600}h", show_default=True, help="So long the key before works, too.")
@_options
def rotate(key: str, keep: str, config_file: Path | None, **flags: Any) -> None:
    """Print another key of the same name and scopes, this once. The one before works too for a while."""
    config, now, keep_s = load(config_file, flags).config, now_ms(), _duration_ms(keep) // 1000
    found = _found(config, key)

    def rotated(db: Tables) -> tuple[Key, str]:
        fresh = db.keys.rotate(found.id, keep_s=keep_s, now=now)
        tell_of_key(db, "key.rotated", fresh[0], now=now)
        _note(db, "keys rotate", found, now=now)
        return fresh

    _, secret = asyncio.run(write_beside(config, rotated))
    old = asyncio.run(read(config, lambda db: db.keys.get(found.id)))
    click.echo(f"{old.public_id} works too until {_when(old.expires_at or now)}. The key, shown this once:", err=True)
    click.echo(secret)


@command.command("revoke")
@click.argument("key", metavar="KEY")
@_options
def revoke(key: str, config_file: Path | None, **flags: Any) -> None:
    """Let nobody in with a key any more, by its public id (as `list` shows it), or its name."""
    config, now = load(config_file, flags).config, now_ms()
    found = _found(config, key)

    def revoked(db: Tables) -> bool:
        if found.is_live(now=now):
            tell_of_key(db, "key.revoked", found, now=now)
        db.keys.revoke(found.id, now=now)
        _note(db, "keys revoke", found, now=now)
        return db.keys.are_kept() or db.users.can_sign_in()

    somebody_is_asked = asyncio.run(write_beside(config, revoked))
    click.echo(f"{found.name} ({found.public_id}) lets nobody in any more.")
    if not somebody_is_asked:
        click.echo("There is neither key nor owner now: on this machine the daemon asks nobody.", err=True)


def _found(config: Config, name: str) -> Key:
    """By its id, its public id, how it begins, or its name. Raises Ending: there is none such, or more than one."""
    wanted, now = name.removeprefix("vp_live_")[:8], now_ms()
    keys = asyncio.run(read(config, lambda db: db.keys.list()))
    found = [key for key in keys if name == key.id or wanted == key.public_id]
    found = found or [key for key in keys if key.name == name and key.is_live(now=now)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise Ending(f"there is no key {name[:40]!r}", hint="`vidprod keys list --all` shows them.", exit_code=REFUSED)
    ids: Sequence[str] = [key.public_id for key in found]
    raise Ending(f"{name!r} is the name of several keys", hint=f"Name one of {', '.join(ids)}.", exit_code=REFUSED)


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= 80:
        raise click.UsageError("a name has 1 to 80 characters")
    return name


def _duration_ms(text: str) -> int:
    seconds = read_seconds(text)
    if seconds is None:
        raise click.UsageError(f"{text!r} is no time like 24h or 90d")
    return round(seconds * 1000)


def _note(db: Tables, what: str, key: Key, *, now: int) -> None:
    by = Who(kind="open", user_id=OWNER_ID, scopes=EVERYTHING)  # who has the volume
    db.audit.record(by, f"vidprod {what}", subject=[key.id], now=now)


def _public(key: Key) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(key).items() if name not in ("hash", "user_id")}


def _line(key: Key, *, now: int) -> str:
    state = "" if key.is_live(now=now) else "  revoked" if key.revoked_at is not None else "  expired"
    until = f"  until {_when(key.expires_at)}" if key.expires_at is not None else ""
    used = f"used {_when(key.used_at)}" if key.used_at is not None else "never used"
    return f"vp_live_{key.public_id}…  {key.name}  {', '.join(key.scopes)}  {used}{until}{state}"


def _when(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, tz=UTC).isoformat(sep=" ", timespec="minutes")
