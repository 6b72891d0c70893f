"""`vidprod demo --exit`: the whole way, over HTTP, with everything a stranger's machine would do."""

import hashlib
import itertools
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import psutil
import pytest

from tests.cli.running import command, environment, vidprod
from tests.media.synth import numbered
from vidprod.cli import demo


def test_it_ends_with_0_when_every_segment_was_downloaded_whole(tmp_path: Path) -> None:
    done = vidprod("demo", "--exit", "--seconds", "4", "--dir", "kept", "--port", "0", cwd=tmp_path, timeout_s=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The page: http://127.0.0.1:" in done.stdout
    segments = list((tmp_path / "kept/segments").glob("*.mp4"))
    assert [path.name for path in segments] == ["take-01.mp4"]
    kept = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "kept/data/media").rglob("seg_*.mp4")}
    assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in segments} == kept
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or [])]


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small: done within a second."""
    return numbered(tmp_path_factory.mktemp("take") / "take.mp4", 30, size=(90, 160))


@pytest.fixture(scope="module")
def long_take(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Segments of it take seconds."""
    return numbered(tmp_path_factory.mktemp("take") / "long.mp4", 300, size=(848, 480), sound=None)


@contextmanager
def demonstrating(*arguments: str | Path, cwd: Path) -> Iterator[tuple["subprocess.Popen[str]", IO[str]]]:
    """The demo in a session of its own, and what it says."""
    process = subprocess.Popen(
        command("demo", "--port", "0", *arguments),
        cwd=cwd,
        env=environment(TMPDIR=str(cwd), PYTHONUNBUFFERED="1"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout
    finally:
        process.kill()
        process.communicate()
        for left in daemons_of(cwd):
            left.kill()


def daemons_of(cwd: Path) -> list[psutil.Process]:
    """Those that work below `cwd`: none may be left."""
    return [p for p in psutil.process_iter(["cmdline"]) if f"{cwd}/" in " ".join(p.info["cmdline"] or [])]


# by Ctrl-C; or, once seen on busy cores, by the signal itself after it was told: a shell says 130 of both
INTERRUPTED = (130, -signal.SIGINT)
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, a service manager, a terminal that is closed


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name)
def test_it_serves_until_it_is_ended_and_leaves_nothing_behind(end: signal.Signals, take: Path, tmp_path: Path) -> None:
    with demonstrating("--take", take, cwd=tmp_path) as (process, said):
        lines = list(itertools.takewhile(lambda line: line != "Serving until Ctrl-C.\n", said))
        assert process.poll() is None, lines
        address = next(line.split()[-1] for line in lines if line.startswith("The page: "))
        assert httpx.get(f"{address}/v1/jobs", trust_env=False).json()["jobs"][0]["state"] == "completed"
        process.send_signal(end)
        _, told = process.communicate(timeout=15)
        assert daemons_of(tmp_path) == []
    assert process.returncode == 0, told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name)
@pytest.mark.parametrize("phase", ["making the take", "making segments"])
def test_it_is_ended_before_it_serves_and_leaves_nothing_behind(
    end: signal.Signals, phase: str, long_take: Path, tmp_path: Path
) -> None:
    """Once only Ctrl-C ended the daemon too; the others left it behind with its port and its directory."""
    source = ("--seconds", "600") if phase == "making the take" else ("--take", long_take)
    with demonstrating(*source, cwd=tmp_path) as (process, said):
        if phase == "making the take":
            wait_until(lambda: any("vidprod.media.sample" in p.cmdline() for p in daemons_of(tmp_path)))
        else:
            assert any(line.startswith("The page: ") for line in said)
        process.send_signal(end)
        if end is signal.SIGHUP:
            process.send_signal(end)  # a shell repeats what its terminal says
        _, told = process.communicate(timeout=15)
        assert daemons_of(tmp_path) == []
    assert process.returncode in INTERRUPTED, told
    assert told == "vidprod: interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_in_the_moment_a_process_is_started_ends_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, started = subprocess.Popen, []

    def start(*arguments: Any, **how: Any) -> Any:
        started.append(usual(*arguments, **how))
        signal.raise_signal(signal.SIGINT)
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(KeyboardInterrupt), demo._started(["sleep", "60"], stop=demo._kill):
        pytest.fail("it came late")
    assert started[0].returncode == -signal.SIGKILL


def wait_until(true: Callable[[], bool], *, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_file_name_is_said_as_it_is(take: Path, tmp_path: Path) -> None:
    """Once `[final]` was read as markup and left out, and `[/b]` ended in a traceback."""
    named = tmp_path / "take [final] :smile: [b].mp4"
    named.write_bytes(take.read_bytes())
    done = vidprod("demo", "--exit", "--take", named, "--port", "0", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "take [final] :smile: [b]-01.mp4" in done.stdout
    assert "They go now: --dir keeps them." in done.stdout


def test_a_daemon_that_dies_meanwhile_ends_the_demo_with_3_and_a_sentence(long_take: Path, tmp_path: Path) -> None:
    with demonstrating("--exit", "--take", long_take, cwd=tmp_path) as (process, said):
        assert any(line.startswith("The page: ") for line in said)
        (daemon,) = [p for p in daemons_of(tmp_path) if "serve" in p.cmdline()]
        daemon.kill()
        _, told = process.communicate(timeout=30)
    assert process.returncode == 3, told
    assert "vidprod: the daemon at http://127.0.0.1:" in told
    assert "does not answer as it should" in told
    assert "Traceback" not in told


def test_a_take_that_is_refused_ends_with_1_and_the_daemons_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("dear diary\n")
    arguments = ("demo", "--exit", "--take", "notes.mp4", "--port", "0")
    done = vidprod(*arguments, cwd=tmp_path, HTTP_PROXY="http://127.0.0.1:1", NO_PROXY="")  # for other machines
    assert done.returncode == 1, done.stdout + done.stderr
    assert "not_a_video: " in done.stderr
    assert "it looks like text" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.mp4"]  # what it made went with it


def test_a_daemon_that_cannot_start_ends_with_3_and_its_last_word(tmp_path: Path) -> None:
    (tmp_path / "take.mp4").touch()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/data").write_text("not a directory")
    done = vidprod("demo", "--exit", "--take", "take.mp4", "--dir", "kept", "--port", "0", cwd=tmp_path)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "the daemon did not start" in done.stderr
