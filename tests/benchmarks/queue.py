"""The queue's speed on this disk, at `synchronous = full`, one worker: `python -m tests.benchmarks.queue [--quick]`.

The two tables of different length are measured in turns, so that a change of the machine's mood meets both. Most of a
transaction is the wait for the disk; shorter tables are measured once more in memory, where there is no disk to hide
behind.
"""

import argparse
import asyncio
import os
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from vidprod.domain.ids import new_id
from vidprod.domain.job import Job
from vidprod.domain.recipe import Recipe
from vidprod.domain.video import Video
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.connection import rows

NOW = 1_800_000_000_000  # unix ms
PAIRS_PER_SECOND = 250  # what one worker must reach
RATIO_TOLERANCE = 0.10
MEMORY = "/dev/shm"


async def filled(folder: Path, *, tasks: int) -> Store:
    """A store with so many tasks, half of them due, of as many jobs as a real one would have."""
    store = await Store.open(folder / f"{tasks}.db", now=NOW, reserve_bytes=1)
    await store.write(lambda db: fill(db, tasks=tasks))
    return store


def fill(db: Tables, *, tasks: int) -> None:
    """In one transaction, by SQLite's own hands."""
    video = Video(id=new_id("vid", now=NOW), state="stored", filename="a.mov", extension="mov", size=1, created_at=NOW)
    job = Job(
        id="job_" + "0" * 26, video_id=video.id, state="queued", priority="normal", recipe=Recipe(), created_at=NOW
    )
    db.videos.add(video)
    db.jobs.add(job)
    run = db.jobs._connection
    series = "with recursive series (n) as (select 1 union all select n + 1 from series where n < :count)"
    rows(
        run,
        f"""
        insert into job (id, video_id, state, priority, recipe, created_at)
        {series}
        select printf('job_%026d', n), :video_id, 'queued', 2, '{{}}', :now from series
        """,
        count=tasks,
        video_id=video.id,
        now=NOW,
    )
    rows(
        run,
        f"""
        insert into task (id, job_id, kind, state, priority, run_at, attempt, max_attempts, progress, payload,
            created_at, started_at, finalized_at)
        {series}
        select printf('tsk_%026d', n), printf('job_%026d', n), iif(n % 3, 'probe', 'render'),
            iif(n % 2, 'available', 'completed'), 1 + n % 3, :now + n, n % 2 = 0, 5, n % 2 = 0,
            json_object('source', printf('%064d', n)), :now, iif(n % 2, null, :now), iif(n % 2, null, :now)
        from series
        """,
        count=tasks,
        now=NOW,
    )


async def pair(store: Store) -> tuple[float, float]:
    """Seconds of one claim and of its completion."""
    begun = time.perf_counter()
    task = await store.write(
        lambda db: db.tasks.claim(boot_id="b", token=secrets.token_hex(16), lease_ms=30_000, now=2 * NOW)
    )
    assert task is not None
    claimed = time.perf_counter()
    await store.write(lambda db: db.tasks.complete(task, now=2 * NOW))
    return claimed - begun, time.perf_counter() - claimed


async def round_of(store: Store, *, pairs: int) -> list[tuple[float, float]]:
    return [await pair(store) for _ in range(pairs)]


def milliseconds(values: list[float], *, percent: int) -> float:
    return 1000 * statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


class Measured:
    """What one table took, round by round."""

    def __init__(self, name: str, store: Store) -> None:
        self.name = name
        self.store = store
        self.rounds: list[float] = []  # pairs a second
        self.claims: list[float] = []
        self.completions: list[float] = []

    async def measure(self, *, pairs: int) -> None:
        taken = await round_of(self.store, pairs=pairs)
        self.rounds.append(pairs / sum(map(sum, taken)))
        self.claims += [claim for claim, _ in taken]
        self.completions += [completion for _, completion in taken]

    @property
    def pairs_per_second(self) -> float:
        return statistics.median(self.rounds)

    def row(self) -> str:
        writes = self.claims + self.completions
        figures = [
            milliseconds(values, percent=percent)
            for values in (self.claims, self.completions, writes)
            for percent in (50, 99)
        ]
        return f"{self.name:<28}{self.pairs_per_second:>9.0f}" + "".join(f"{figure:>9.2f}" for figure in figures)


async def compare(folder: Path, *, where: str, sizes: tuple[int, int], rounds: int, pairs: int) -> list[Measured]:
    """A short and a long table, in turns."""
    async with AsyncExitStack() as stack:
        measured = []
        for size in sizes:
            begun = time.perf_counter()
            store = await stack.enter_async_context(await filled(folder, tasks=size))
            print(f"  filled {size:>9,} rows in {time.perf_counter() - begun:.1f} s ({where})", file=sys.stderr)
            measured.append(Measured(f"{size:,} rows, {where}", store))
        for one in measured:
            await round_of(one.store, pairs=pairs)  # warm caches, first checkpoint
        for turn in range(rounds):
            for one in measured if turn % 2 else reversed(measured):
                await one.measure(pairs=pairs)
        return measured


def ratio(measured: list[Measured]) -> float:
    """Of the long table's speed to the short one's: the median of the rounds that stood side by side."""
    return statistics.median(long / short for short, long in zip(measured[0].rounds, measured[1].rounds, strict=True))


@contextmanager
def folder(parent: str | None) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="vidprod-queue-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path)


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 000 rows instead of 1 000 000, fewer rounds")
    parser.add_argument("--dir", help="a directory on the disk to measure (the system's temporary one)")
    options = parser.parse_args()
    sizes = (10_000, 100_000 if options.quick else 1_000_000)
    rounds, pairs = (6, 100) if options.quick else (20, 200)

    with folder(options.dir) as on_disk:
        disk = await compare(on_disk, where="disk", sizes=sizes, rounds=rounds, pairs=pairs)
    memory: list[Measured] = []
    if os.path.isdir(MEMORY):  # noqa: ASYNC240
        with folder(MEMORY) as in_memory:
            memory = await compare(in_memory, where="memory", sizes=(10_000, 100_000), rounds=rounds, pairs=pairs)

    print(f"{'claim + complete, 1 worker':<28}{'pairs/s':>9}", end="")
    print("".join(f"{name:>9}" for name in ("claim", "p99", "compl.", "p99", "write", "p99")), " ms")
    for one in disk + memory:
        print(one.row())
    slowest = min(one.pairs_per_second for one in disk)
    print(f"\npairs a second at synchronous=full: {slowest:.0f} (at least {PAIRS_PER_SECOND})")
    print(f"long table / short table, on disk: {ratio(disk):.3f} (1 ± {RATIO_TOLERANCE})")
    if memory:
        print(f"long table / short table, in memory: {ratio(memory):.3f} (for information)")
    return 0 if slowest >= PAIRS_PER_SECOND and abs(ratio(disk) - 1) <= RATIO_TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
