"""`vidprod process`: segments of files here, without a server. The very same pipeline, results as files."""

import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, cast, get_args, get_type_hints

import click
import uvloop
from msgspec import Meta
from rich.console import Console
from rich.progress import Progress, TimeRemainingColumn

from vidprod.cli import ending
from vidprod.cli.bar import DOING, columns
from vidprod.cli.job_file import JobFile
from vidprod.cli.settings import load, settings_options
from vidprod.cli.take import OnProgress, Take
from vidprod.config import Config
from vidprod.domain.gaze import framing_in_words, gaze_in_words
from vidprod.domain.recipe import GAZE_OPTIONS, OPTIONS, Recipe, parse_recipe
from vidprod.errors import TryLater, VidProdError
from vidprod.services.child import ChildHost
from vidprod.telemetry import log

_ROOM = "Choose an -o that can be written and has room. A run that is repeated goes on from the finished segments."
Make = Callable[[Path, Path, ChildHost, OnProgress], Awaitable[JobFile]]  # what is done with a take and its directory

_LINES_OF_OUTPUT = 10  # of what the media child said before it died


def _recipe_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """A flag for each option of the recipe, as text: `parse_recipe` tells all faults together."""
    for name, hint in reversed(get_type_hints(Recipe, include_extras=True).items()):
        kind, meta = get_args(hint)
        choices = "|".join((*get_args(kind), *(["NUMBER"] if name == "gaze" else [])))
        function = click.option(
            "--" + name.replace("_", "-"),
            name,
            metavar=f"[{choices}]" if choices else "NUMBER",
            help=cast(Meta, meta).description,
        )(function)
    return function


@click.command("process")
@click.argument("takes", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="TAKE...")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Segments of take.mov go to OUTPUT/take/.",
)
@click.option("--force", is_flag=True, help="Replace what an earlier run with another recipe left there.")
@click.option(
    "--segment",
    "numbers",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="NUMBER",
    help="Make only this finished segment again, with other gaze options; may be given more than once.",
)
@click.option("--explain", is_flag=True, help="Strips beside each segment that show what was done to the eyes.")
@_recipe_options
@settings_options(
    "child_threads",
    "child_memory_bytes",
    "gaze_time_factor",
    "max_duration_s",
    "max_pixels",
    "log_format",
    "log_level",
)
def command(
    takes: tuple[Path, ...],
    output: Path,
    force: bool,
    numbers: tuple[int, ...],
    explain: bool,
    config_file: Path | None,
    **flags: str | None,
) -> None:
    """Make segments of files here, without a server.

    Writes OUTPUT/<name>/<name>-01.mp4, -01.jpg (poster), -01.sprite.jpg, -01.gaze.jpg (before and after), … and
    job.json, and keeps the faces in <name>.track, so that they need not be found anew. Of several files with
    one name the first has OUTPUT/<name>, the next OUTPUT/<name>-2, in the order given. A run that was interrupted
    goes on where it ended: finished segments are not made again. A file that is refused does not keep the others
    from being done.
    """
    asked = {name: text for name in Recipe.__struct_fields__ if (text := flags.pop(name)) is not None}
    if numbers and (len(takes) != 1 or force):
        raise click.UsageError("--segment goes with one TAKE, and not with --force")
    recipe = parse_recipe(asked, options=GAZE_OPTIONS if numbers else OPTIONS)
    loaded = load(config_file, flags)
    config = loaded.config
    by_request = loaded.sources["log_level"] != "default"
    log.setup(
        config.log_format, config.log_level if by_request else "warning"
    )  # the progress bar tells what info would
    places = _places(takes, output)
    for path, directory in places.items():
        if directory.name != path.stem:
            click.echo(f"{path}: its name is taken, its segments go to {directory}", err=True)

    async def make(path: Path, directory: Path, host: ChildHost, on_progress: OnProgress) -> JobFile:
        take = Take(path, directory=directory, recipe=recipe, config=config, explain=explain)
        if not numbers:
            return await take.process(host, on_progress, force=force)
        return await take.make_again(host, on_progress, indexes=[number - 1 for number in numbers], asked=asked)

    worst = uvloop.run(_process_all(places, make, config=config, only=[number - 1 for number in numbers]))
    if worst != ending.OK:
        raise click.exceptions.Exit(worst)  # each said why


def _places(takes: Iterable[Path], output: Path) -> dict[Path, Path]:
    """Each take's own directory, the same whenever the same takes are given in the same order.

    What is first of its name has the name; only then are numbers given, so that a take-2.mp4 keeps its own.
    """
    files: dict[Path, Path] = {}
    for path in takes:
        files.setdefault(path.absolute(), path)  # a file that is named twice is one take
    firsts = {path.stem: path for path in reversed(files.values())}
    places: dict[Path, Path] = {}
    taken = set(firsts)
    for path in files.values():
        name = path.stem
        if firsts[name] is not path:
            name = next(other for n in count(2) if (other := f"{path.stem}-{n}") not in taken)
            taken.add(name)
        places[path] = output / name
    return places


async def _process_all(places: Mapping[Path, Path], make: Make, *, config: Config, only: Sequence[int]) -> int:
    """One after another; the exit code that the worst of them means. `only`: these segments are told; none: all."""
    worst = ending.OK
    host = ChildHost(idle_s=config.child_idle_s, stall_factor=config.stall_factor, step_floor_s=config.step_floor_s)
    async with host:
        for path, directory in places.items():
            try:
                with _progress_bar(path) as on_progress:
                    job = await make(path, directory, host, on_progress)
            except VidProdError as error:
                _tell_error(path, error)
                worst = max(worst, ending.exit_code(error))
            except OSError as error:
                _tell_unusable(path, directory, error)
                worst = max(worst, ending.UNUSABLE)
            else:
                _tell(path, directory, job, only=only)
    return worst


@contextmanager
def _progress_bar(path: Path) -> Iterator[OnProgress]:
    """On the terminal, if there is one: stdout is left to the list of what was made."""
    console = Console(stderr=True)
    with Progress(*columns(), TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(path.name, total=100)

        def show(step: str, percent: float) -> None:
            progress.update(bar, completed=percent, description=f"{path.name}: {DOING[step]}")

        yield show


def _tell(path: Path, directory: Path, job: JobFile, *, only: Sequence[int]) -> None:
    assert job.info is not None
    click.echo(f"{path}: {len(job.segments)} segments of {job.info.duration_us / 1e6:.1f} s in {directory}")
    for segment in job.segments:
        if only and segment.index not in only:
            continue
        made = segment.rendition
        click.echo(
            f"  {segment.file}  {segment.in_s:.3f}–{segment.out_s:.3f} s  {made.width}×{made.height}  "
            f"{made.size / 1e6:.1f} MB"
        )
        if made.gaze is not None:
            click.echo(f"    {gaze_in_words(made.gaze)}")
        if made.framing is not None:
            click.echo(f"    {framing_in_words(made.framing)}")
    for warning in job.warnings:
        click.echo(f"  note: {warning}")


def _tell_error(path: Path, error: VidProdError) -> None:
    if ending.exit_code(error) == ending.UNUSABLE:
        ending.Ending(f"{path}: {ending.sentence(error)}", hint=_ROOM).show()
        return
    ending.Ending(f"{path}: {ending.sentence(error)}", hint=error.hint).show()
    if isinstance(error, TryLater):
        for line in error.output.splitlines()[-_LINES_OF_OUTPUT:]:
            click.echo(f"  | {line}", err=True)


def _tell_unusable(path: Path, directory: Path, error: OSError) -> None:
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else directory
    ending.Ending(f"{path}: {where}: {error.strerror or error}", hint=_ROOM).show()
