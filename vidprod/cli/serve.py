"""`vidprod serve`: the daemon in this process, until Ctrl-C or SIGTERM."""

from pathlib import Path
from typing import Any

import click
import uvloop

from vidprod.cli.ending import UNUSABLE, Ending
from vidprod.cli.settings import load, settings_options
from vidprod.daemon import run
from vidprod.telemetry import log

READY = "VidProd is ready: "  # then the page's address: what a script that starts the daemon waits for


@click.command("serve")
@settings_options()
def command(config_file: Path | None, **flags: Any) -> None:
    """Run the daemon: the page, the API and the work.

    Prints the page's address when it is ready. Ctrl-C or SIGTERM ends it within 10 s; what was under way goes on
    at the next start.
    """
    config = load(config_file, flags).config
    log.setup(config.log_format, config.log_level)
    try:
        uvloop.run(run(config, ready=_announce))
    except OSError as error:
        raise Ending(
            f"cannot serve on {config.host}:{config.port} from {config.data_dir}: {error.strerror or error}",
            hint="Choose another --port, --host or --data-dir.",
            exit_code=UNUSABLE,
        ) from error


def _announce(address: str) -> None:
    click.echo(f"{READY}{address}")
