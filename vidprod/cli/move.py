"""`vidprod move`: to another machine, with everything; the old home then publishes nothing any more."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import click

from vidprod.blobs.shelf import Shelf, Stream, shelf_and_name
from vidprod.cli.beside import ask, database, no_daemon, read, write
from vidprod.cli.ending import Ending, files_in_words
from vidprod.cli.restore import opened, receive, told
from vidprod.cli.settings import load, settings_options
from vidprod.config import Config
from vidprod.place import now_ms, only_daemon
from vidprod.services.backup import Order, make
from vidprod.services.clock import Clock
from vidprod.store.sqlite.homecoming import undo_move
from vidprod.store.sqlite.standing import move_out
from vidprod.store.sqlite.tables import Tables
from vidprod.vault import keys_here

_ANSWERS_WITHIN_S = 10.0  # what platforms were asked when it was held; what is not answered then is asked there
_LOOK_S = 0.2

_options = settings_options("data_dir", "database_dir", "host", "port", "s3_endpoint", "s3_region")


@click.group("move")
def command() -> None:
    """Move to another machine: `vidprod move out - | ssh new vidprod move in -`, then start the daemon there.

    Rows, keys, takes and segments go along; settings do not, nor what is still being uploaded.
    """


@command.command("out")
@click.argument("dest")
@_options
def out(dest: str, config_file: Path | None, **flags: Any) -> None:
    """Write everything to DEST: - for a pipe, or a new file. From now on this home publishes nothing.

    The keys are in it in the clear: send it through ssh, and keep no copy of it.
    """
    config = load(config_file, flags).config
    shelf, name = _pipe() if dest == "-" else shelf_and_name(dest, endpoint=config.s3_endpoint, region=config.s3_region)
    database(config)  # before anything is changed
    with no_daemon(config) as none_runs:
        now = _clock(config).now()
        if none_runs:
            asyncio.run(write(config, lambda db: move_out(db, now=now)))
        else:
            ask(config, "POST", "/v1/publishing/move-out")
            _wait_for_answers(config)
        root = Path(config.data_dir).absolute()
        order = Order(
            root=root,
            database=database(config),
            kind="move",
            media=True,
            keys=keys_here(root, config.secret_keys),
            floor_bytes=config.disk_floor_bytes,
        )
        with files_in_words():
            made = make(order, shelf, name=name, now=now, reads_back=dest != "-")
    click.echo(f"{made.rows} rows and {made.files} files went out through {made.where}.", err=True)
    if made.missing:
        click.echo(f"{len(made.missing)} files were not there: see `vidprod doctor`.", err=True)
    click.echo(
        "This home publishes nothing any more. `vidprod move undo` takes that back, if the new one never began.",
        err=True,
    )


@command.command("in")
@click.argument("src")
@click.option("--force", is_flag=True, help="Put what is in the data directory aside; nothing is deleted.")
@_options
def in_(src: str, force: bool, config_file: Path | None, **flags: Any) -> None:
    """Fill an empty data directory with what `move out` wrote: - for a pipe, or a file. Then start the daemon."""
    config = load(config_file, flags).config
    with opened(src, config) as source:
        restored = receive(source, config, kind="move", without_keys=False, force=force)
    for line in told(restored):
        click.echo(line)
    if not restored.held:
        click.echo("Welcome home. What is planned goes out from here once the daemon runs.")


@command.command("undo")
@_options
def undo(config_file: Path | None, **flags: Any) -> None:
    """Stay here after all. Only where no daemon ever began in the new home; no daemon may run here meanwhile.

    What came due since is marked as missed: somebody has to look whether it went out from there.
    """
    config = load(config_file, flags).config
    path = database(config)
    with only_daemon(Path(config.data_dir)):
        undone = undo_move(path, now=_clock(config).now())
    if undone is None:
        raise Ending("nothing was moved: this is its home")
    click.echo(f"This is its home again. {undone} publications came due meanwhile, or were under way: look at them.")


def _pipe() -> tuple[Shelf, str]:
    if sys.stdout.isatty():
        raise click.UsageError("the standard output is a terminal: pipe it to `vidprod move in -`")
    return Stream(sys.stdout.buffer), "pipe"


def _wait_for_answers(config: Config) -> None:
    """Of what was asked of platforms before it was held."""

    def is_asking(db: Tables) -> bool:
        return any(
            one.phase is not None for one in db.publications.list(limit=10**6, states=("uploading", "processing"))
        )

    until = time.monotonic() + _ANSWERS_WITHIN_S
    while asyncio.run(read(config, is_asking)) and time.monotonic() < until:
        time.sleep(_LOOK_S)


def _clock(config: Config) -> Clock:
    return Clock(speed=config.clock_speed, since=config.clock_since or None, wall=now_ms)
