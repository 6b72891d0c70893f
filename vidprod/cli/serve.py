"""`vidprod serve`: the daemon in this process, until Ctrl-C or SIGTERM."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import uvloop

from vidprod.cli.ending import UNUSABLE, Ending
from vidprod.cli.settings import load, settings_options
from vidprod.config import Config
from vidprod.telemetry import log

SIMULATED = "Simulated platforms: "  # then their address, as `vidprod simulate` says it
READY = "VidProd is ready: "  # then the page's address: what a script that starts the daemon waits for


@click.command("serve")
@click.option(
    "--simulated", is_flag=True, help="With platforms simulated beside it, for development: nothing goes out."
)
@settings_options()
def command(simulated: bool, config_file: Path | None, **flags: Any) -> None:
    """Run the daemon: the page, the API and the work.

    Prints the page's address when it is ready. Ctrl-C or SIGTERM ends it within 10 s; what was under way goes on
    at the next start.
    """
    config = load(config_file, flags).config
    log.setup(config.log_format, config.log_level)
    with _simulators(config) if simulated else contextlib.nullcontext(config) as config:
        _serve(config)


def _serve(config: Config) -> None:
    from vidprod.daemon import run  # here: other commands want to know only how this one says that it is ready

    try:
        uvloop.run(run(config, ready=_announce))
    except OSError as error:
        raise Ending(
            f"cannot serve on {config.host}:{config.port} from {config.data_dir}: {error.strerror or error}",
            hint="Choose another --port, --host or --data-dir.",
            exit_code=UNUSABLE,
        ) from error


@contextlib.contextmanager
def _simulators(config: Config) -> Iterator[Config]:
    """The settings of a daemon whose platforms are simulated in a process beside it, which ends with it."""
    command = [sys.executable, "-m", "vidprod", "simulate", "--port", "0", "--while-stdin"]
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    # in a group of its own: at Ctrl-C the daemon ends first, and gets its answers until then
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ, process_group=0
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix(SIMULATED).strip()
        if not url:
            raise Ending("the simulated platforms did not start", exit_code=UNUSABLE)
        click.echo(f"{SIMULATED}{url}", err=True)  # stdout is for scripts, which wait for the page
        yield msgspec.structs.replace(config, simulator_url=url)
    finally:
        process.communicate()  # the end of its stdin is its own


def _announce(address: str) -> None:
    click.echo(f"{READY}{address}")
