"""A publisher as a process of its own, to be killed: `python -m tests.publishing.child FOLDER SEED`.

It says a line at each pass of its store and of the platforms, and "quiet" when nothing is left to do. What the far end
has lies in a file, as it outlives us.
"""

import asyncio
import os
import pickle
import sys
from pathlib import Path
from typing import Any

from tests.publishing.stage import DAY_MS, HOUR_MS, START, Stage
from tests.publishing.storm import help_out
from vidprod.domain.account import PLATFORMS
from vidprod.telemetry import log

_KEPT = ("held", "posts", "happened", "dice")


def load(stage: Stage, folder: Path) -> None:
    """The far end as it was left, and the time."""
    path = folder / "far.pickle"
    if path.exists():
        kept: dict[str, Any] = pickle.loads(path.read_bytes())  # our own, of this test
        stage.clock.time = kept.pop("time")
        for name, value in kept.items():
            setattr(stage.far, name, value)


def save(stage: Stage, folder: Path) -> None:
    kept = {name: getattr(stage.far, name) for name in _KEPT} | {"time": stage.clock.time}
    part = folder / "far.part"
    part.write_bytes(pickle.dumps(kept))
    os.replace(part, folder / "far.pickle")


async def main(folder: Path, seed: int) -> None:
    log.setup(level="error")
    stage = Stage(folder / "data", seed=seed, chance=0.15)
    load(stage, folder)
    stage.far.changed = lambda: save(stage, folder)
    stage.far.dice.seed(f"{seed} {stage.clock.time} {sum(stage.far.posts.values())} {os.getpid()}")
    async with stage.open():
        if not await stage.all():
            accounts = [await stage.connect(platform) for platform in PLATFORMS]
            await stage.plan(accounts, n=6, due_at=START + HOUR_MS, apart_ms=HOUR_MS)
        stage.ticked_by(lambda: print(".", flush=True))
        for _ in range(5):
            await help_out(stage)
            await stage.settle(until=stage.clock.time + DAY_MS)
        save(stage, folder)
    print("quiet", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
