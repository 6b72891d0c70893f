"""Settings as flags: each field of `Config` can be given on the command line."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vidprod.config import SETTINGS, Loaded, Setting, load_config
from vidprod.domain.ids import is_id

_Function = Callable[..., Any]


def settings_options(*names: str) -> Callable[[_Function], _Function]:
    """Adds `--config FILE` and a flag for each of the settings `names` (all but secrets, when none is named)."""

    def add(function: _Function) -> _Function:
        for name in reversed(names or tuple(n for n, setting in SETTINGS.items() if not setting.is_secret)):
            function = _option(SETTINGS[name])(function)
        return click.option(
            "--config",
            "config_file",
            type=click.Path(dir_okay=False, path_type=Path),
            help="TOML file of settings; without it $VIDPROD_CONFIG, then ./vidprod.toml.",
        )(function)

    return add


def id_option(prefix: str) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """Checks an option that names something by its id: of what is no id, nothing would be found, without a word."""

    def check(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
        if value is not None and not is_id(value, prefix):
            raise click.BadParameter(f"{value!r} is no id: it begins with {prefix}_.")
        return value

    return check


def load(config_file: Path | None, flags: dict[str, Any]) -> Loaded:
    """The configuration of this process. Raises BadConfig with every fault."""
    return load_config(config_file, os.environ, flags)


def _option(setting: Setting) -> Callable[[_Function], _Function]:
    # every value goes to load_config as text, so that all faults of all sources are told together
    choices = "|".join(setting.choices)
    return click.option(
        setting.flag,
        setting.name,
        metavar=f"[{choices}]" if choices else setting.unit.upper(),
        help=f"{setting.reason} (default: {setting.show(setting.default)})",
    )
