"""`vidprod backup`: the database, and what else is wanted, in one archive, beside a running daemon."""

import os
from pathlib import Path
from typing import Any

import click
import msgspec

from vidprod.blobs.disk import amount
from vidprod.blobs.shelf import shelf_and_name
from vidprod.cli.beside import database
from vidprod.cli.ending import files_in_words
from vidprod.cli.settings import load, settings_options
from vidprod.config import Config
from vidprod.place import now_ms
from vidprod.services.backup import Made, Order, make, remove_old
from vidprod.vault import keys_here


@click.command("backup")
@click.argument("dest", required=False)
@click.option("--media", is_flag=True, help="With takes and segments: as large as they are, and nothing is lost.")
@click.option("--rotate", is_flag=True, help="Then take away backups there that need not be kept any more.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@settings_options("data_dir", "database_dir", "backup_to", "backup_daily", "backup_weekly", "s3_endpoint", "s3_region")
def command(dest: str | None, media: bool, rotate: bool, as_json: bool, config_file: Path | None, **flags: Any) -> None:
    """Put a backup to DEST: a folder, a new file, or s3://bucket/prefix; without it to the setting backup_to.

    A running daemon goes on meanwhile. The vault's keys, which open the tokens of accounts, go into it only locked with
    the setting backup_passphrase; without one keep a copy of secret.keys somewhere else. Settings are not in it.
    """
    config = load(config_file, flags).config
    if not (dest or config.backup_to):
        raise click.UsageError("name where to put it, or set backup_to")
    os.nice(10)  # the daemon and its media child come first
    shelf, name = shelf_and_name(dest or config.backup_to, endpoint=config.s3_endpoint, region=config.s3_region)
    with files_in_words():
        made = make(_order(config, media=media), shelf, name=name, now=now_ms())
        if rotate:
            removed = remove_old(shelf, daily=config.backup_daily, weekly=config.backup_weekly)
            made = msgspec.structs.replace(made, removed=removed)
    if as_json:
        click.echo(msgspec.json.encode(made).decode())
        return
    click.echo(
        f"{made.where}: {made.rows} rows{f' and {made.files} files' if media else ''}, {amount(made.size)}, "
        f"in {made.seconds:g} s; read again and sound."
    )
    for line in what_is_not_in_it(made, media=media):
        click.echo(line, err=True)


def what_is_not_in_it(made: Made, *, media: bool) -> list[str]:
    """What has to be known of a backup before it is needed, in words."""
    lines = []
    if made.keys == "left out":
        lines.append(
            f"The keys are not in it: {made.sealed} tokens and secrets in it open only with secret.keys, or the "
            "setting secret_keys. Keep that somewhere else, or set backup_passphrase. Without it everything comes "
            "back, but accounts have to be connected again and webhooks get new secrets."
        )
    if not media:
        lines.append("Takes and segments are not in it (--media): what is planned of them cannot go out without.")
    if made.missing:
        lines.append(f"{len(made.missing)} files were not there: {', '.join(made.missing[:3])}. See `vidprod doctor`.")
    if made.removed:
        lines.append(f"Taken away: {', '.join(made.removed)}.")
    return lines


def _order(config: Config, *, media: bool) -> Order:
    root = Path(config.data_dir).absolute()
    return Order(
        root=root,
        database=database(config),
        media=media,
        keys=keys_here(root, config.secret_keys),
        passphrase=config.backup_passphrase,
        floor_bytes=config.disk_floor_bytes,
    )
