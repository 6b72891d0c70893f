"""Exactly once, with a process that is really killed."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from tests.publishing.child import load
from tests.publishing.stage import Stage
from tests.publishing.storm import faults, told

ROOT = Path(__file__).resolve().parents[2]
_KILLS = 5


def run(folder: Path, *, lines: int | None) -> bool:
    """Whether it came to its end; `lines`: kill it after so many."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.publishing.child", str(folder), "1"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    with child.stdout:
        for number, line in enumerate(child.stdout, 1):
            if line == "quiet\n":
                assert child.wait() == 0
                return True
            if number == lines:
                child.send_signal(signal.SIGKILL)
                break
    assert child.wait() == (-signal.SIGKILL if lines else 0)
    return False


async def test_a_publisher_that_is_killed_posts_nothing_twice_and_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    dice = random.Random(7)
    ended = [run(tmp_path, lines=dice.randrange(60, 900)) for _ in range(_KILLS)]
    assert ended.count(False) >= 3  # killed at work
    assert run(tmp_path, lines=None)
    stage = Stage(tmp_path / "data")
    load(stage, tmp_path)
    async with stage.open():
        publications = await stage.all()
        assert len(publications) == 18
        assert faults(stage, publications) == [], told(stage, publications)
        assert {one.state for one in publications} == {"published"}, told(stage, publications)
