"""`vidprod publications`: what goes where and when, what became of it, and what a person can do about it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec

from vidprod.cli.beside import ask, no_daemon, read, write
from vidprod.cli.ending import REFUSED, Ending
from vidprod.cli.settings import id_option, load, settings_options
from vidprod.config import Config
from vidprod.domain.account import Account
from vidprod.domain.ids import is_id
from vidprod.domain.publication import STATES, Publication
from vidprod.domain.schedule import zone_of
from vidprod.domain.user import OWNER_ID
from vidprod.domain.who import EVERYTHING, Who
from vidprod.errors import BadSlot, VidProdError
from vidprod.place import now_ms
from vidprod.services.clock import Clock
from vidprod.store.sqlite import steering
from vidprod.store.sqlite.journal import Entry
from vidprod.store.sqlite.tables import Tables

_options = settings_options("data_dir", "host", "port")


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A publication, and what it is of. Times are unix milliseconds, as in the database."""

    publication: Publication
    account: Account
    filename: str | None  # None: its job was deleted
    segment: int | None  # from 1
    journal: list[Entry] = []


@click.group("publications")
def command() -> None:
    """Look at publications, approve, cancel and retry them. Works while the daemon runs."""


@command.command("list")
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Only these; can be repeated.")
@click.option("--account", callback=id_option("acc"), help="Only of this account, by its id.")
@click.option("--job", callback=id_option("job"), help="Only of this job.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, one line a publication.")
@_options
def list_publications(
    states: tuple[str, ...],
    account: str | None,
    job: str | None,
    limit: int,
    as_json: bool,
    config_file: Path | None,
    **flags: Any,
) -> None:
    """Publications, as they were planned, newest first. Times are those of the account's zone."""
    config = load(config_file, flags).config

    def listed(db: Tables) -> list[Shown]:
        found = db.publications.list(limit=limit, states=states or None, account_id=account, job_id=job)
        return [_shown(db, publication) for publication in found]

    found = asyncio.run(read(config, listed))
    for one in found:
        click.echo(msgspec.json.encode(one).decode() if as_json else _line(one))
    if not found and not as_json:
        click.echo("No publications.", err=True)


@command.command("show")
@click.argument("publication_id")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@_options
def show(publication_id: str, as_json: bool, config_file: Path | None, **flags: Any) -> None:
    """One publication: what it says, what every attempt came to, and what was asked of the platform."""
    config = load(config_file, flags).config

    def look(db: Tables) -> Shown:
        shown = _shown(db, db.publications.get(publication_id))
        return msgspec.structs.replace(shown, journal=db.journal.of(publication_id))

    shown = asyncio.run(read(config, look))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(shown)).decode())
        return
    for line in _story(shown):
        click.echo(line)


def _command(name: str, doc: str, *, done: str, move: Callable[..., Publication]) -> None:
    """`vidprod publications NAME ID…`"""

    @command.command(name, help=doc)
    @click.argument("publication_ids", nargs=-1, required=True, metavar="PUBLICATION_ID...")
    @_options
    def run(publication_ids: tuple[str, ...], config_file: Path | None, **flags: Any) -> None:
        if strangers := [one for one in publication_ids if not is_id(one, "pub")]:
            raise click.UsageError(f"no publication id: {', '.join(strangers)}; `vidprod publications list` shows them")
        config = load(config_file, flags).config
        with no_daemon(config) as none_runs:
            refused = [
                one
                for one in publication_ids
                if not _done_or_told(config, one, name, move=move, done=done, none_runs=none_runs)
            ]
        if refused:
            raise click.exceptions.Exit(REFUSED)  # each said why


_command("approve", "Let publications go out when they are due.", done="is approved", move=steering.approve)
_command(
    "cancel", "Do not publish these. Refused where something may be public.", done="is cancelled", move=steering.cancel
)
_command("retry", "Try rejected publications anew, at once.", done="is tried anew", move=steering.retry)
_command("check", "Ask the platforms now what became of these.", done="is looked at again", move=steering.check)
_command(
    "publish", "Publish planned ones now, also those that were missed.", done="goes out now", move=steering.publish
)


@command.command("settle")
@click.argument("publication_id")
@click.option("--there", "url", metavar="URL", help="It is there, at this address.")
@click.option("--not-there", is_flag=True, help="It is not there: it may be retried then.")
@_options
def settle(publication_id: str, url: str | None, not_there: bool, config_file: Path | None, **flags: Any) -> None:
    """Say of an unknown one what you saw when you looked at the platform, where it does not tell itself for hours.

    Look well: what is there and called missing is published twice, and what is missing and called there never.
    """
    if not is_id(publication_id, "pub"):
        raise click.UsageError(f"no publication id: {publication_id}; `vidprod publications list` shows them")
    if (url is None) != not_there:
        raise click.UsageError("say either --there URL or --not-there")
    config = load(config_file, flags).config
    with no_daemon(config) as none_runs:
        if none_runs:
            now = Clock(speed=config.clock_speed, since=config.clock_since or None, wall=now_ms).now()

            def settled(db: Tables) -> None:
                steering.settle(db, publication_id, url=url, by=OWNER_ID, now=now)
                by = Who(kind="open", user_id=OWNER_ID, scopes=EVERYTHING)  # who has the volume
                db.audit.record(by, "vidprod publications settle", subject=[publication_id], now=now_ms())

            asyncio.run(write(config, settled))
        else:
            ask(config, "POST", f"/v1/publications/{publication_id}/settle", {"url": url})
    done = "is published, as you saw" if url else "is rejected, as you saw: retry it, or leave it"
    click.echo(f"{publication_id} {done}.")


def _done_or_told(
    config: Config, publication_id: str, name: str, *, move: Callable[..., Publication], done: str, none_runs: bool
) -> bool:
    """Whether it was done. What cannot be keeps no other from it."""
    try:
        if none_runs:
            now = Clock(speed=config.clock_speed, since=config.clock_since or None, wall=now_ms).now()
            wait = msgspec.to_builtins(asyncio.run(write(config, lambda db: move(db, publication_id, now=now))).wait)
        else:
            wait = ask(config, "POST", f"/v1/publications/{publication_id}/{name}")["wait"]
    except (VidProdError, Ending) as error:
        end = Ending.of(error) if isinstance(error, VidProdError) else error
        if end.exit_code != REFUSED:
            raise  # the next one would fare no better
        Ending(f"{publication_id}: {end.message}", hint=end.hint).show()
        return False
    later = "; the next daemon sees to it" if none_runs else ""
    if wait is not None and wait["code"] == "withdrawing":  # at a platform that has its time
        done = "will be cancelled once its platform was told"
    click.echo(f"{publication_id} {done}{later}.")
    return True


def _shown(db: Tables, publication: Publication) -> Shown:
    take = db.plans.segments([publication.segment_id]).get(publication.segment_id)
    return Shown(
        publication=publication,
        account=db.accounts.get(publication.account_id),
        filename=None if take is None else take[1],
        segment=None if take is None else take[0] + 1,
    )


def _line(shown: Shown) -> str:
    publication = shown.publication
    told = publication.url or (publication.wait.message if publication.wait else publication.said)
    part = "" if shown.segment is None else f", segment {shown.segment}"
    return "  ".join(
        part
        for part in (
            publication.id,
            _when(publication.published_at or publication.due_at, shown.account),
            _state(publication),
            f"{publication.platform} {shown.account.name}",
            f"{shown.filename or 'a deleted take'}{part}",
            told,
        )
        if part
    )


def _story(shown: Shown) -> list[str]:
    publication, account = shown.publication, shown.account
    post = publication.post
    lines = [
        _line(shown),
        f"  due {_when(publication.due_at, account)}, planned as {publication.when!r}; attempts: {publication.attempt}",
        f"  title    {post.title}",
        f"  caption  {post.caption}",
        f"  hashtags {' '.join('#' + tag for tag in post.hashtags)}",
        f"  privacy  {post.privacy or 'nobody chose it'}; disclosed as synthetic: {'yes' if post.synthetic else 'no'}",
    ]
    lines += [
        f"  {_when(error.at, account)}  {error.step}: {error.kind} {error.code}: {error.message}"
        for error in publication.errors
    ]
    lines += [f"  {_when(entry.at, account)}  {entry.step} {entry.what}" for entry in shown.journal]
    return lines


def _state(publication: Publication) -> str:
    if publication.missed_at is not None and publication.state == "scheduled":
        return "missed"
    if publication.state == "scheduled" and publication.needs_approval and publication.approved_at is None:
        return "to be approved"
    waits = publication.wait.code if publication.wait else ""
    return f"{publication.state} ({waits})" if waits and waits != publication.state else publication.state


def _when(at: int, account: Account) -> str:
    try:
        zone = zone_of(account.settings.zone)
    except BadSlot:
        zone = ZoneInfo("UTC")
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).isoformat(sep=" ", timespec="minutes")
