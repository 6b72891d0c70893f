"""`vidprod audit`: who changed what, from where."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from vidprod.cli.beside import read
from vidprod.cli.settings import load, settings_options
from vidprod.store.sqlite.audit import Audited


@click.command("audit")
@click.option("--subject", help="Only what this id did, or what was done to it: a job, a key, a publication.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, one line a change.")
@settings_options("data_dir")
def command(subject: str | None, limit: int, as_json: bool, config_file: Path | None, **flags: Any) -> None:
    """Who changed what, from where, the newest first. Times are UTC. Works while the daemon runs."""
    config = load(config_file, flags).config
    found = asyncio.run(read(config, lambda db: db.audit.list(limit=limit, subject=subject)))
    for one in found:
        click.echo(msgspec.json.encode(one).decode() if as_json else _line(one))
    if not found and not as_json:
        click.echo("No changes.", err=True)


def _line(one: Audited) -> str:
    at = datetime.fromtimestamp(one.at / 1000, UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
    by = one.key_id or one.kind
    parts = (at, by, one.address, one.what, str(one.status or ""), " ".join(one.subject))
    return "  ".join(part for part in parts if part)
