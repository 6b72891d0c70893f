"""`vidprod restore`: a data directory from a backup."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click
import msgspec

from vidprod.blobs.shelf import shelf_and_name
from vidprod.cli.ending import UNUSABLE, Ending, files_in_words
from vidprod.cli.settings import load, settings_options
from vidprod.config import Config
from vidprod.domain.retention import newest
from vidprod.place import RESTORING, database_path, now_ms, only_daemon
from vidprod.services.clock import Clock
from vidprod.services.restore import Place, Restored, bring_home


@click.command("restore")
@click.argument("src")
@click.option("--force", is_flag=True, help="Put what is in the data directory aside; nothing is deleted.")
@click.option("--without-keys", is_flag=True, help="Do without keys whose passphrase is lost.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@settings_options("data_dir", "database_dir", "s3_endpoint", "s3_region")
def command(src: str, force: bool, without_keys: bool, as_json: bool, config_file: Path | None, **flags: Any) -> None:
    """Fill an empty data directory from SRC: a backup, a folder or s3://bucket/prefix of which the newest is taken, or
    - for the standard input.

    All is checked before anything is in its place. Then nothing is published until a person resumes: the backup does
    not know what went out since it was made.
    """
    config = load(config_file, flags).config
    with opened(src, config) as source:
        restored = receive(source, config, kind="backup", without_keys=without_keys, force=force)
    if as_json:
        click.echo(msgspec.json.encode(restored).decode())
        return
    for line in told(restored):
        click.echo(line)


@contextlib.contextmanager
def opened(src: str, config: Config) -> Iterator[BinaryIO]:
    """The archive, to be read once. Raises Ending, NotFound: there is none."""
    if src == "-":
        yield sys.stdin.buffer
        return
    if "://" not in src and not Path(src).exists():
        raise Ending(f"there is no {src}", exit_code=UNUSABLE)
    if Path(src).is_file():
        with Path(src).open("rb") as file:
            yield file
        return
    shelf, name = shelf_and_name(src, endpoint=config.s3_endpoint, region=config.s3_region)
    name = name or newest(shelf.names()) or ""
    if not name:
        raise Ending(f"there is no backup in {src}", exit_code=UNUSABLE)
    with shelf.open(name) as file:
        yield file


def receive(source: BinaryIO, config: Config, *, kind: Any, without_keys: bool, force: bool) -> Restored:
    """Into the data directory of these settings, with no daemon on it meanwhile."""
    root = Path(config.data_dir).absolute()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = Place(
        root=root,
        database=database_path(config),
        staging=root / RESTORING,
        keys=config.secret_keys,
        floor_bytes=config.disk_floor_bytes,
    )
    now = Clock(speed=config.clock_speed, since=config.clock_since or None, wall=now_ms).now()
    with only_daemon(root), files_in_words():
        return bring_home(
            source,
            place,
            kind=kind,
            passphrase=config.backup_passphrase,
            without_keys=without_keys,
            force=force,
            now=now,
        )


def told(restored: Restored) -> list[str]:
    """What is not as it was, in words."""
    count = {
        f"{restored.missed} planned publications came due meanwhile: they are marked as missed.": restored.missed,
        f"{restored.under_way} publications were under way: their platforms are asked once you resume.": (
            restored.under_way
        ),
        f"{restored.without_file} planned publications have no file here: they are marked as missed.": (
            restored.without_file
        ),
        f"{restored.lost_takes} takes and {restored.lost_segments} segments did not come along: they are deleted.": (
            restored.lost_takes + restored.lost_segments
        ),
        f"{len(restored.ended_jobs)} jobs were not over: they are cancelled. Try again what was not done since.": len(
            restored.ended_jobs
        ),
        f"To be connected again, their keys are gone: {', '.join(restored.accounts)}.": len(restored.accounts),
        f"To be given new secrets, their keys are gone: {', '.join(restored.endpoints)}.": len(restored.endpoints),
        "The second factor is off: its key is gone. Set it up again.": restored.second_factor_off,
        "Notifications are off: their key is gone. Turn them on again on each phone.": restored.notifications_off,
        f"What was there before is in {restored.aside}.": bool(restored.aside),
    }
    lines = [f"Restored: {restored.rows} rows and {restored.files} files."]
    lines += [line for line, matters in count.items() if matters]
    if restored.held:
        lines.append("API keys that were revoked since work again: look at them. Whoever was signed in signs in again.")
        lines.append(
            "Nothing is published until you resume: on the page, or `vidprod accounts resume --all`. Look at the "
            "accounts first: what somebody published ahead of its time since the backup is not known here."
        )
    return lines
