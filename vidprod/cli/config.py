"""`vidprod config`: the settings in effect and where each comes from, secrets masked."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from vidprod.cli.settings import load, settings_options
from vidprod.config import SETTINGS, Loaded
from vidprod.telemetry.log import MASK, is_secret


@click.command("config")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@settings_options()
def command(config_file: Path | None, as_json: bool, **flags: Any) -> None:
    """Print the settings in effect and where each comes from.

    Later wins: defaults, the TOML file, VIDPROD_* in the environment, flags. Sizes may be written 512MiB,
    durations 24h or 14d.
    """
    loaded = load(config_file, flags)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(as_rows(loaded)), indent=2).decode())
    else:
        _print_table(loaded)


def as_rows(loaded: Loaded) -> list[dict[str, Any]]:
    """One mapping a setting; the value of what is secret is masked."""
    return [
        {
            "name": name,
            "value": shown(name, getattr(loaded.config, name)),
            "default": shown(name, setting.default),
            "unit": setting.unit,
            "source": loaded.sources[name],
            "variable": setting.variable,
            "flag": setting.flag,
            "reason": setting.reason,
        }
        for name, setting in SETTINGS.items()
    ]


def shown(name: str, value: Any) -> Any:
    """`value`, unless the setting's name says that it is not for eyes."""
    return MASK if value and is_secret(name) else value


def _print_table(loaded: Loaded) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("setting", no_wrap=True)
    table.add_column("value", no_wrap=True)
    table.add_column("from", overflow="fold")
    table.add_column("why", overflow="fold", style="dim")
    for name, setting in SETTINGS.items():
        value = shown(name, getattr(loaded.config, name))
        source = loaded.sources[name]
        table.add_row(name, setting.show(value), source, setting.reason, style="" if source == "default" else "bold")
    # into a file or a pipe a line stays whole, however narrow the terminal claims to be
    console = Console(width=None if sys.stdout.isatty() else 180, highlight=False, markup=False, emoji=False)
    console.print(table)
