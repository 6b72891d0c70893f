"""`vidprod dead`: the dead letters. Tasks that were given up, with what every attempt said, and a way to try again.

A take that was refused is no dead letter: it was judged, and nobody has to look after it. It is listed only when asked
for, and tried again only by name, for who has raised the limit that it broke.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from vidprod.cli.beside import ask, no_daemon, read, write
from vidprod.cli.ending import REFUSED, Ending
from vidprod.cli.settings import load, settings_options
from vidprod.config import Config
from vidprod.domain.ids import is_id
from vidprod.domain.job import Job
from vidprod.domain.task import Task
from vidprod.domain.video import Video
from vidprod.errors import Conflict, VidProdError
from vidprod.place import now_ms
from vidprod.store.sqlite.lifecycle import retry_job, retry_remake
from vidprod.store.sqlite.tables import Tables

_options = settings_options("data_dir", "host", "port")


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A task that was given up, and whose it is."""

    task: Task
    job: Job
    video: Video


@click.group("dead")
def command() -> None:
    """Look at the tasks that were given up, and try them again. Works while the daemon runs.

    A take that was refused is not among them: it was judged, and no retry changes that.
    """


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--refused", is_flag=True, help="What was refused instead: no dead letters, nothing to retry.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, one line a task.")
@_options
def list_letters(limit: int, refused: bool, as_json: bool, config_file: Path | None, **flags: Any) -> None:
    """The tasks that were given up, newest first."""
    config = load(config_file, flags).config

    def listed(db: Tables) -> list[Letter]:
        tasks = db.tasks.refused(limit=limit) if refused else db.tasks.dead(limit=limit)
        return [_letter(db, task) for task in tasks]

    letters = asyncio.run(read(config, listed))
    for letter in letters:
        click.echo(msgspec.json.encode(letter).decode() if as_json else _line(letter))
    if not letters and not as_json:
        click.echo("Nothing was refused." if refused else "No dead letters.", err=True)


@command.command("show")
@click.argument("task_id")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@_options
def show(task_id: str, as_json: bool, config_file: Path | None, **flags: Any) -> None:
    """One task, given up or refused: what every attempt said, and the last lines of the media child."""
    config = load(config_file, flags).config
    letter = asyncio.run(read(config, lambda db: _letter(db, db.tasks.get(task_id))))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(letter)).decode())
        return
    click.echo(_line(letter))
    click.echo(f"  job {letter.job.id}, {letter.job.state}; take {letter.video.filename!r}, {letter.video.size} bytes")
    for error in letter.task.errors:
        verdict = "refused: " if error.refused else ""
        click.echo(f"  attempt {error.attempt}, {_when(error.at)}: {verdict}{error.code}: {error.message}")
        for line in error.output.splitlines():
            click.echo(f"    | {line}")


@command.command("requeue")
@click.argument("task_ids", nargs=-1, metavar="[TASK_ID]...")
@click.option("--all", "everything", is_flag=True, help="Every dead letter; not what was refused.")
@_options
def requeue(task_ids: tuple[str, ...], everything: bool, config_file: Path | None, **flags: Any) -> None:
    """Try tasks again: their jobs are queued anew and go on from the step that failed.

    Name a refused one only after a limit was raised: it is judged anew. A running daemon is asked at --host and
    --port; without one the database is written.
    """
    if bool(task_ids) == everything:
        raise click.UsageError("name the tasks, or say --all")
    if strangers := [name for name in task_ids if not is_id(name, "tsk")]:
        raise click.UsageError(f"no task id: {', '.join(strangers)}; `vidprod dead list` shows them")
    config = load(config_file, flags).config
    letters = asyncio.run(read(config, lambda db: _letters(db, task_ids)))
    with no_daemon(config) as none_runs:
        refused = [letter for letter in letters if not _requeue_or_tell(config, letter, none_runs=none_runs)]
    if refused:
        raise click.exceptions.Exit(REFUSED)  # each said why


def _requeue_or_tell(config: Config, letter: Letter, *, none_runs: bool) -> bool:
    """Whether it is queued again. What cannot be, say because its take is gone, keeps no other from it."""
    try:
        if none_runs:
            asyncio.run(_requeue_in_store(config, letter))
        else:
            _ask_the_daemon(config, letter)
    except (VidProdError, Ending) as error:
        end = Ending.of(error) if isinstance(error, VidProdError) else error
        if end.exit_code != REFUSED:
            raise  # the next one would fare no better
        Ending(f"{letter.task.id} of {letter.video.filename!r}: {end.message}", hint=end.hint).show()
        return False
    click.echo(f"{letter.task.id} is queued again: {letter.task.kind} of {letter.video.filename!r}")
    return True


def _letters(db: Tables, task_ids: tuple[str, ...]) -> list[Letter]:
    tasks = [db.tasks.get(task_id) for task_id in task_ids] or db.tasks.dead(limit=100_000)
    for task in tasks:
        if task.state != "discarded":  # a daemon would try another step of its job instead
            raise Conflict(f"the task {task.id} is {task.state}: only what was given up or refused is tried again")
    return [_letter(db, task) for task in tasks]


def _letter(db: Tables, task: Task) -> Letter:
    job = db.jobs.get(task.job_id)
    return Letter(task=task, job=job, video=db.videos.get(job.video_id))


async def _requeue_in_store(config: Config, letter: Letter) -> None:
    now, most, segment_id = now_ms(), config.max_attempts, letter.task.segment_id
    if segment_id is not None:
        await write(config, lambda db: retry_remake(db, segment_id, max_attempts=most, now=now))
    else:
        await write(config, lambda db: retry_job(db, letter.job.id, max_attempts=most, now=now))


def _ask_the_daemon(config: Config, letter: Letter) -> None:
    segment_id = letter.task.segment_id
    what = f"jobs/{letter.job.id}" if segment_id is None else f"segments/{segment_id}"
    ask(config, "POST", f"/v1/{what}/retry")


def _line(letter: Letter) -> str:
    task = letter.task
    last = task.errors[-1] if task.errors else None
    told = f"{last.code}: {last.message}" if last else ""
    return f"{task.id}  {_when(task.finalized_at)}  {task.kind}  {letter.video.filename!r}  {told}"


def _when(at: int | None) -> str:
    return "–" if at is None else datetime.fromtimestamp(at / 1000, tz=UTC).isoformat(sep=" ", timespec="seconds")
