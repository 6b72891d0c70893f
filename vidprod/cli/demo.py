"""`vidprod demo`: a made take, sent over HTTP to a real daemon as a script would, and what comes out of it."""

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import unquote

import click
import httpx
from rich.console import Console
from rich.progress import Progress, TaskID, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from vidprod.cli.bar import DOING, columns
from vidprod.cli.beside import key_header
from vidprod.cli.ending import REFUSED, UNUSABLE, Ending
from vidprod.cli.events import Message, follow
from vidprod.cli.serve import READY
from vidprod.config import SETTINGS
from vidprod.domain.job import FINAL

READY_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 12.0
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_RECIPE = {"segment_s": "12"}  # shorter than the default, so that a take made in seconds shows cuts


@click.command("demo")
@click.option("--exit", "ends", is_flag=True, help="End when the segments are there; 0 only if each is whole.")
@click.option("--port", type=click.IntRange(0, 65535), help="Of the page; without it 8000, or a free one.")
@click.option("--seconds", type=click.IntRange(4, 3600), default=32, show_default=True, help="Length of the take.")
@click.option("--take", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Send this file instead.")
@click.option(
    "--dir",
    "kept_in",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep take, data and segments here; without it they go when the demo ends.",
)
def command(ends: bool, port: int | None, seconds: int, take: Path | None, kept_in: Path | None) -> None:
    """Make a short take with picture and sound, start a daemon, upload the take over HTTP as a script would, show
    the progress, and say where the segments and the page are.
    """
    _end_as_by_ctrl_c(signal.SIGTERM, signal.SIGHUP)
    console = Console(highlight=False, markup=False, emoji=False)  # names of files are said as they are
    with _directory(kept_in) as directory:
        source = take or _make_take(directory, seconds=seconds, console=console)
        with _daemon(directory, port=_free_port(port)) as address:
            console.print(Text.assemble("The page: ", (address, "bold")))
            with _session(address) as client:
                job = _send_and_watch(client, source, recipe={} if take else _RECIPE, console=console)
                segments = _download(client, job, directory / "segments")
            _tell(segments, console=console)
            if ends and kept_in is None:
                console.print(
                    "Each segment came whole, with the sha256 the daemon told. They go now: --dir keeps them."
                )
            else:
                _tell_where(directory, address=address, console=console)
            if not ends:
                console.print("Serving until Ctrl-C.")
                _wait_for_the_end()


def _end_as_by_ctrl_c(*numbers: signal.Signals) -> None:
    """Else a terminal that is closed, or a service manager, would leave the daemon behind with its port."""

    def end(number: int, frame: FrameType | None) -> None:
        for one in numbers:
            signal.signal(one, signal.SIG_IGN)  # a shell repeats the SIGHUP of its terminal: once is enough
        raise KeyboardInterrupt

    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, end)


@contextlib.contextmanager
def _directory(kept_in: Path | None) -> Iterator[Path]:
    if kept_in is not None:
        kept_in.mkdir(parents=True, exist_ok=True)
        yield kept_in.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="vidprod-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _make_take(directory: Path, *, seconds: int, console: Console) -> Path:
    """In a process of its own: codecs stay out of this one, as out of the daemon."""
    path = directory / "take.mp4"
    command = [sys.executable, "-m", "vidprod.media.sample", str(path), "--seconds", str(seconds)]
    with (
        console.status(f"Making a take of {seconds} s …"),
        _started(command, stop=_kill, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as making,
    ):
        _, told = making.communicate()
    if making.returncode != 0:
        raise Ending("the take could not be made", hint=_last_line(told.decode(errors="replace")), exit_code=UNUSABLE)
    console.print(f"The take: {path}, {seconds} s, {path.stat().st_size / 1e6:.1f} MB")
    return path


def _free_port(asked: int | None) -> int:
    """The port asked for, whatever happens; else 8000, or one that the system chooses when 8000 is taken."""
    if asked is not None:
        return asked
    usual: int = SETTINGS["port"].default
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((SETTINGS["host"].default, usual))
        except OSError:
            return 0
    return usual


@contextlib.contextmanager
def _daemon(directory: Path, *, port: int) -> Iterator[str]:
    """A real daemon in a process of its own; yields its address, and ends it as a service manager would."""
    told = directory / "daemon.log"
    command = [sys.executable, "-m", "vidprod", "serve", "--port", str(port), "--data-dir", str(directory / "data")]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("VIDPROD_")}
    environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)  # this very code, installed or not
    with (
        told.open("ab") as log,
        _started(
            command,
            stop=_stop,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=directory,  # a vidprod.toml where the demo was called is not the demo's
            env=environ,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the daemon in order
        ) as process,
    ):
        yield _ready_address(process, told=told)


@contextlib.contextmanager
def _started(
    command: list[str], *, stop: Callable[["subprocess.Popen[bytes]"], None], **how: Any
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that `stop` ends, whatever happens. Ctrl-C in the middle of Popen would lose what it has started."""
    came: list[int] = []
    usual = {number: signal.getsignal(number) for number in _ENDS}
    for number, handler in usual.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: came.append(number))
    try:
        process = subprocess.Popen(command, **how)
    except BaseException:
        _restore(usual)
        raise
    with process:
        try:
            _restore(usual)
            for one in came:
                signal.raise_signal(one)
            yield process
        finally:
            stop(process)


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _ready_address(process: "subprocess.Popen[bytes]", *, told: Path) -> str:
    assert process.stdout is not None
    deadline = threading.Timer(READY_TIMEOUT_S, process.kill)
    deadline.start()
    try:
        for line in process.stdout:
            text = line.decode(errors="replace").strip()
            if text.startswith(READY):
                return text.removeprefix(READY)
    finally:
        deadline.cancel()
    process.wait()
    raise Ending("the daemon did not start", hint=_last_line(told.read_text(errors="replace")), exit_code=UNUSABLE)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        _kill(process)


@contextlib.contextmanager
def _session(address: str) -> Iterator[httpx.Client]:
    """All that is asked of the daemon. When it goes away meanwhile, the demo ends."""
    try:
        # a proxy has another loopback
        with httpx.Client(base_url=address, timeout=60.0, headers=key_header(), trust_env=False) as client:
            yield client
    except httpx.HTTPError as error:
        raise Ending(
            f"the daemon at {address} does not answer as it should: {error or type(error).__name__}",
            hint="With --dir the demo keeps the daemon's log, daemon.log.",
            exit_code=UNUSABLE,
        ) from error


def _send_and_watch(client: httpx.Client, source: Path, *, recipe: dict[str, str], console: Console) -> dict[str, Any]:
    """The job's status when it is over."""
    with Progress(*columns(), TimeElapsedColumn(), console=console) as progress:
        with progress.open(source, "rb", description=f"Uploading {source.name}") as file:
            answer = client.post("/upload", data=recipe, files={"file": (source.name, file)})
        if answer.status_code != httpx.codes.ACCEPTED:
            raise Ending.answered(answer.status_code, answer.content, by="the daemon")
        job_id: str = answer.json()["job_id"]
        bar = progress.add_task("Waiting", total=100)
        for event in follow(client, job_id=job_id):
            _show(event, progress=progress, bar=bar)
            if event.type in {f"job.{state}" for state in FINAL}:
                break
        status: dict[str, Any] = client.get(f"/status/{job_id}").raise_for_status().json()
    if status["state"] != "completed":
        error = status["error"] or {"code": status["state"], "message": "the job did not complete", "hint": ""}
        raise Ending(f"{error['code']}: {error['message']}", hint=error["hint"], exit_code=REFUSED)
    return status


def _show(event: Message, *, progress: Progress, bar: TaskID) -> None:
    if event.type == "progress":
        doing = DOING.get(event.data["step"], event.data["step"])
        progress.update(bar, completed=event.data["job_progress"], description=doing.capitalize())
    elif event.type == "segment.ready":
        progress.console.print(f"Segment {event.data['data']['index'] + 1} is ready", style="dim")
    elif event.type == "job.completed":
        progress.update(bar, completed=100, description="Done")


def _download(client: httpx.Client, status: dict[str, Any], directory: Path) -> list[tuple[dict[str, Any], Path]]:
    """Every segment with its file, whole: its bytes have the sha256 that the status tells."""
    directory.mkdir(exist_ok=True)
    made = []
    for segment in status["segments"]:
        digest = hashlib.sha256()
        with client.stream("GET", segment["download_url"]) as answer:
            answer.raise_for_status()
            path = directory / _name_of(answer)
            with path.open("wb") as file:
                for part in answer.iter_bytes():
                    digest.update(part)
                    file.write(part)
        if digest.hexdigest() != segment["sha256"]:
            raise Ending(f"{path.name} came with sha256 {digest.hexdigest()}, not {segment['sha256']}")
        made.append((segment, path))
    if not made:
        raise Ending("the job completed without a segment")
    return made


def _name_of(answer: httpx.Response) -> str:
    """What the daemon calls the file it sends. Source: RFC 6266, `filename*`."""
    _, _, name = answer.headers["content-disposition"].partition("filename*=UTF-8''")
    return Path(unquote(name)).name


def _tell(made: list[tuple[dict[str, Any], Path]], *, console: Console) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("segment", "from", "to", "picture", "size", "loudness"):
        table.add_column(title)
    for segment, path in made:
        loudness = segment["loudness_lufs"]
        table.add_row(
            path.name,
            f"{segment['in_s']:.3f} s",
            f"{segment['out_s']:.3f} s",
            f"{segment['width']}×{segment['height']}, {segment['fps']} fps",
            f"{segment['size'] / 1e6:.1f} MB",
            "silent" if loudness is None else f"{loudness:.1f} LUFS",
        )
    console.print(table)


def _tell_where(directory: Path, *, address: str, console: Console) -> None:
    console.print(f"Segments, each with the sha256 the daemon told: {directory / 'segments'}", soft_wrap=True)
    console.print(
        f"The page: {address}   By hand: curl -F segment_s=12 -F file=@take.mov {address}/upload", soft_wrap=True
    )


def _wait_for_the_end() -> None:
    """Until Ctrl-C, SIGTERM or SIGHUP: the ways this is meant to end."""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            signal.pause()


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
