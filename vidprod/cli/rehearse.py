"""`vidprod rehearse`: what would go out in the next days, and which rules that would break."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec

from vidprod.cli.beside import database
from vidprod.cli.ending import REFUSED
from vidprod.cli.settings import load, settings_options
from vidprod.domain.schedule import zone_of
from vidprod.errors import BadSlot
from vidprod.place import now_ms
from vidprod.services.clock import Clock
from vidprod.services.rehearsal import Rehearsed, rehearse
from vidprod.telemetry import log


@click.command("rehearse")
@click.option("--days", type=click.FloatRange(min=0, max=366, min_open=True), default=7.0, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="The same dice fall the same way.")
@click.option(
    "--chance", type=click.FloatRange(0, 1), default=0.0, show_default=True, help="Of a fault wherever platforms fail."
)
@click.option("--approve", is_flag=True, help="As if somebody approved all that waits for it.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@settings_options("data_dir")
def command(
    days: float, seed: int, chance: float, approve: bool, as_json: bool, config_file: Path | None, **flags: Any
) -> None:
    """Run the real scheduler and publisher through the next days, on a copy of the database and against simulated
    platforms, and print the calendar that results. Nothing is published and nothing changed; a daemon may run.

    Exit codes: 0 no rule was broken, 1 some were.
    """
    config = load(config_file, flags).config
    log.setup(config.log_format, "error")
    now = Clock(speed=config.clock_speed, since=config.clock_since or None, wall=now_ms).now()
    began_s = time.monotonic()
    done = asyncio.run(
        rehearse(config, database(config), days=days, now=now, seed=seed, chance=chance, approve=approve)
    )
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(done)).decode())
    else:
        for line in _calendar(done):
            click.echo(line)
        click.echo(f"{days:g} days in {time.monotonic() - began_s:.0f} s.", err=True)
    if done.broken:
        raise click.exceptions.Exit(REFUSED)


def _calendar(done: Rehearsed) -> list[str]:
    """Day by day, in each account's own time."""
    faults: dict[str | None, list[str]] = {}
    for one in done.broken:
        faults.setdefault(one.publication_id, []).append(f"{one.rule}: {one.message}")
    lines, day = [], ""
    for publication in done.publications:
        account = done.accounts[publication.account_id]
        at = datetime.fromtimestamp(
            (publication.published_at or publication.due_at) / 1000, _zone(account.settings.zone)
        )
        if f"{at:%A, %d %B %Y}" != day:
            day = f"{at:%A, %d %B %Y}"
            lines.append(day)
        title = publication.post.title or publication.post.caption.partition("\n")[0]
        lines.append(
            f"  {at:%H:%M}  {account.platform:9}  {account.name[:20]:20}  {publication.state:10}  {title[:60]}"
        )
        lines += [f"         ! {fault}" for fault in faults.get(publication.id, [])]
    lines += [f"! {fault}" for fault in faults.get(None, [])]
    if not done.publications:
        lines.append("Nothing is planned for these days.")
    if done.left_out:
        lines.append(f"Left out: {done.left_out} that are at a platform already; only the real one knows.")
    lines.append(f"{len(done.broken)} rules broken." if done.broken else "No rule is broken.")
    return lines


def _zone(name: str) -> ZoneInfo:
    try:
        return zone_of(name)
    except BadSlot:  # a zone of another version: the calendar is shown all the same
        return ZoneInfo(str(UTC))
