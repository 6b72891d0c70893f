"""Runs `vidprod` as a shell does: a process of its own, its exit code and what it printed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidprod.cli.serve import READY

ROOT = Path(__file__).resolve().parents[2]


def environment(**more: str) -> dict[str, str]:
    """Without settings of whoever runs the tests, and with this very code."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("VIDPROD_")}
    return clean | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "COLUMNS": "200"} | more


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "vidprod", *map(str, arguments)]


def vidprod(*arguments: str | Path, cwd: Path, timeout_s: float = 60, **more: str) -> subprocess.CompletedProcess[str]:
    """Run to the end."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


@contextmanager
def serving(cwd: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A daemon that is ready, and its address. Its log is `cwd / "log"`."""
    with (cwd / "log").open("w") as log:
        process = subprocess.Popen(
            command("serve", "--port", "0", *arguments),
            cwd=cwd,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith(READY), (cwd / "log").read_text()
        yield process, line.removeprefix(READY).strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
