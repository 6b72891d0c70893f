"""Two processes on one database, and what a killed one leaves behind."""

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.store.given import NOW, upload
from vidprod.store.sqlite import Store
from vidprod.store.sqlite.connection import rows

WORKER = """
import asyncio, sys
from vidprod.errors import Unavailable
from vidprod.store.sqlite import Store

async def write(store, fn):
    while True:
        try:
            return await store.write(fn)
        except Unavailable:  # a slow disk, and the other process was quicker for five seconds
            continue

async def main(path, boot_id):
    async with await Store.open(path, now=1, reserve_bytes=1) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        for n in range(10_000):
            def claim(db):
                return db.tasks.claim(boot_id=boot_id, token=f"{boot_id}-{n}", lease_ms=9, now=2_000_000_000_000)

            def complete(db):
                db.tasks.complete(task, now=3)
                db.events.record("step.completed", job_id=task.job_id, now=3)

            task = await write(store, claim)
            if task is None:
                break
            await write(store, complete)
            print(task.id, flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def start(path: Path, boot_id: str) -> subprocess.Popen[str]:
    """A worker of its own process, ready to go at the first line it is sent."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(path), boot_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    return worker


def go(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.write("\n")
    worker.stdin.flush()


def kill_after(worker: subprocess.Popen[str], *, completions: int) -> list[str]:
    """Kill it once it has said so many. All that it said."""
    assert worker.stdout is not None
    lines = [worker.stdout.readline().strip() for _ in range(completions)]
    worker.kill()
    return lines + said(worker)


def said(worker: subprocess.Popen[str]) -> list[str]:
    """What it completed, until its end."""
    assert worker.stdout is not None
    lines = [line for line in worker.stdout.read().split() if line.startswith("tsk_")]  # the log is there too
    worker.wait(timeout=20)
    worker.stdout.close()
    if worker.stdin is not None:
        worker.stdin.close()
    return lines


async def test_two_processes_share_the_queue_without_doing_anything_twice(store: Store) -> None:
    for _ in range(100):
        await upload(store)
    workers = [start(store.path, f"boot-{n}") for n in range(2)]
    for worker in workers:
        go(worker)
    done = [await asyncio.to_thread(said, worker) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert len(done[0] + done[1]) == len({*done[0], *done[1]}) == 100
    assert await store.read(lambda db: db.tasks.depth()) == {}
    assert await store.read(lambda db: db.events.last_id()) == 300


async def test_a_killed_process_leaves_no_lock_and_nothing_by_half(tmp_path: Path) -> None:
    path = tmp_path / "vidprod.db"
    acknowledged: list[str] = []
    for round_number in range(6):
        async with await Store.open(path, now=NOW) as store:
            for _ in range(30):
                await upload(store)
        worker = start(path, f"boot-{round_number}")
        go(worker)
        acknowledged += kill_after(worker, completions=1 + 4 * round_number)
        async with await Store.open(path, now=NOW) as store:
            boot = f"boot-{round_number + 1}"
            rescued = await store.write(lambda db: db.tasks.rescue(boot_id=boot, now=NOW, max_rescues=99))  # noqa: B023
            assert len(rescued) <= 1
            completed = await store.read(
                lambda db: [
                    row["id"] for row in rows(db.jobs._connection, "select id from task where state = 'completed'")
                ]
            )
            events = await store.read(
                lambda db: rows(db.jobs._connection, "select count(*) as n from event where type = 'step.completed'")
            )
            assert set(acknowledged) <= set(completed)
            assert len(completed) <= len(acknowledged) + round_number + 1  # done, but killed before it could say so
            assert events == [{"n": len(completed)}]
            assert await store.read(lambda db: rows(db.jobs._connection, "pragma integrity_check")) == [
                {"integrity_check": "ok"}
            ]
    assert 0 < len(acknowledged) < 180
