"""`vidprod doctor`: why anything waits, what is wrong, and what can be put right."""

from pathlib import Path
from typing import Any

import click
import msgspec

from vidprod.cli.beside import database, no_daemon
from vidprod.cli.ending import REFUSED, Ending, files_in_words
from vidprod.cli.settings import load, settings_options
from vidprod.place import now_ms
from vidprod.services.clock import Clock
from vidprod.services.doctor import Doctor, Finding, Seen

_TITLES = {"fault": "Wrong", "waits": "Waiting", "note": "To know"}
_SHOWN = 20  # of one kind and code; --json has all


@click.command("doctor")
@click.option("--fix", is_flag=True, help="Put right what is safe to; no daemon may run.")
@click.option("--all", "everything", is_flag=True, help="Read every file, not only the newest 20.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@settings_options("data_dir", "database_dir", "backup_to", "disk_floor_bytes")
def command(fix: bool, everything: bool, as_json: bool, config_file: Path | None, **flags: Any) -> None:
    """Say in words why anything waits, and check that everything holds that must: the database and its references, rows
    against files, files against their hashes, the chain of receipts, secrets, the disk, the clock. A daemon may run.

    Exit codes: 0 nothing is wrong (something may wait), 1 something is.
    """
    config = load(config_file, flags).config
    path = database(config)
    now = now_ms()
    clock = Clock(speed=config.clock_speed, since=config.clock_since or None, wall=now_ms).now()
    with no_daemon(config) as none_runs, files_in_words():
        if fix and not none_runs:
            raise Ending("a daemon works here: what is mended would be mended behind its back", hint="Stop it first.")
        doctor = Doctor(
            config, path, now=now, clock=clock, daemon_runs=not none_runs, sample=None if everything else 20
        )
        seen = doctor.mend() if fix else doctor.look()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(seen)).decode())
    else:
        for line in _told(seen):
            click.echo(line)
    if seen.faults:
        raise click.exceptions.Exit(REFUSED)


def _told(seen: Seen) -> list[str]:
    lines = []
    for kind, title in _TITLES.items():
        found = [one for one in seen.findings if one.kind == kind]
        if found:
            lines.append(f"{title}:")
            lines += _listed(found)
    lines.append(
        f"Looked at every row, {seen.files} files ({seen.hashed} read), {seen.receipts} receipts and {seen.sealed} "
        f"secrets in {seen.seconds:g} s: "
        + (f"{len(seen.faults)} things are wrong." if seen.faults else "all is well.")
    )
    return lines


def _listed(findings: list[Finding]) -> list[str]:
    lines, shown = [], dict[str, int]()
    for one in findings:
        shown[one.code] = shown.get(one.code, 0) + 1
        if shown[one.code] <= _SHOWN:
            done = f" → {one.mended}" if one.mended else ""
            lines.append(f"  {one.subject}: {one.message}{done}")
    lines += [f"  … and {n - _SHOWN} more of {code}; --json has all." for code, n in shown.items() if n > _SHOWN]
    return lines
