"""`vidprod receipt`: what was published, from the take to the platform's id, and whether anybody changed the record.

Receipts are a chain: each has the hash of the one before it. They are verified from the database, or from files as
`GET /v1/publications/{id}/receipt` gives them, on any machine and without a database.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from vidprod.cli.beside import read
from vidprod.cli.ending import REFUSED, Ending
from vidprod.cli.settings import load, settings_options
from vidprod.domain.ids import is_id
from vidprod.domain.receipt import Receipt, faults
from vidprod.store.sqlite.tables import Tables

_BATCH = 1000
_options = settings_options("data_dir")


@click.group("receipt")
def command() -> None:
    """Show the receipt of a publication, and verify receipts. Works while the daemon runs."""


@command.command("show")
@click.argument("publication_id")
@_options
def show(publication_id: str, config_file: Path | None, **flags: Any) -> None:
    """The receipt of one publication, as JSON."""
    if not is_id(publication_id, "pub"):
        raise click.UsageError(f"no publication id: {publication_id}; `vidprod publications list` shows them")
    config = load(config_file, flags).config
    receipt = asyncio.run(read(config, lambda db: db.receipts.of(publication_id)))
    click.echo(msgspec.json.format(msgspec.json.encode(receipt)).decode())


@command.command("verify")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@_options
def verify(files: tuple[Path, ...], config_file: Path | None, **flags: Any) -> None:
    """Whether receipts are as they were written: those of FILES, or the whole chain of the database.

    A file holds one receipt, or a list of them. Of files, those that follow each other are compared, too.
    """
    if files:
        receipts = sorted((one for file in files for one in _of_file(file)), key=lambda one: one.number)
        found, count = faults(receipts, whole=False), len(receipts)
    else:
        found, count = asyncio.run(read(load(config_file, flags).config, _verified))
    for fault in found:
        click.echo(fault, err=True)
    if found:
        raise click.exceptions.Exit(REFUSED)  # each said why
    click.echo(f"{count} receipts are as they were written." if count else "There are no receipts.")


def _verified(db: Tables) -> tuple[list[str], int]:
    """The faults of the whole chain, and its length."""
    count = 0

    def chain() -> Iterator[Receipt]:
        nonlocal count
        while batch := db.receipts.after(count, limit=_BATCH):
            count = batch[-1].number
            yield from batch

    return faults(chain(), whole=True), count


def _of_file(path: Path) -> list[Receipt]:
    try:
        told = msgspec.json.decode(path.read_bytes(), type=Receipt | list[Receipt])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Ending(f"{path} is no receipt: {error}") from None
    return told if isinstance(told, list) else [told]
