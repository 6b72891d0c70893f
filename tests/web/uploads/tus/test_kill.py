"""kill -9 of the server under uploads that resume: no acknowledged byte is lost, and no file becomes two jobs.

A run prints its seed; `SEED=… pytest …` makes the same choices again. The whole daemon is killed under uploads in
`tests/acceptance/test_kill.py`; here it is its HTTP side, which starts so quickly that it can be done a thousand times.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.web.conftest import mp4
from tests.web.uploads.tus.sender import Lost, Sender
from vidprod.store.sqlite import Store

ROOT = Path(__file__).resolve().parents[4]
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)


@dataclass
class Toll:
    """What the kills cost."""

    kills: int = 0
    uploads: int = 0
    faults: list[str] = field(default_factory=list)
    starts_s: list[float] = field(default_factory=list)


@asynccontextmanager
async def zygote(root: Path, *variant: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.web.uploads.tus.zygote",
        str(root),
        *variant,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def torment(root: Path, *, kills: int, at_once: int, seed: int, variant: tuple[str, ...] = ()) -> Toll:
    """Clients upload file after file while the server is killed and started, and end what they began."""
    print(f"SEED={seed}")
    toll, chance, senders = Toll(), random.Random(seed), set[Sender]()
    port, over = 0, False

    async with zygote(root, *variant) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        async def start() -> int:
            nonlocal port
            began = time.monotonic()
            process.stdin.write(b"\n")  # type: ignore[union-attr]
            pid, port = map(int, (await process.stdout.readline()).split())  # type: ignore[union-attr]
            toll.starts_s.append(time.monotonic() - began)
            for sender in senders:
                sender.port = port
            return pid

        async def client(number: int) -> None:
            n = 0
            while not over and not toll.faults:
                name = f"{seed}-{number}-{n}"
                n += 1
                mine = random.Random(name)
                body = mp4(64) + mine.randbytes(mine.randrange(200_000))
                sender = Sender(port, body, name, mine, patience_s=5)
                senders.add(sender)
                try:
                    job_id = await sender.send(most_tries=2000)
                    stored = root / "media" / job_id.replace("job_", "vid_") / "source.mp4"
                    if stored.read_bytes() != body:
                        toll.faults.append(f"{name} has other bytes")
                    toll.uploads += 1
                except Lost as lost:
                    toll.faults.append(str(lost))
                senders.discard(sender)

        pid = await start()
        async with asyncio.TaskGroup() as group:
            for number in range(at_once):
                group.create_task(client(number))
            while toll.kills < kills and not toll.faults:
                await asyncio.sleep(chance.uniform(0.0, 0.12))
                os.kill(pid, signal.SIGKILL)
                toll.kills += 1
                pid = await start()
            over = True
        os.kill(pid, signal.SIGKILL)
    return toll


async def check(root: Path, toll: Toll, *, kills: int) -> None:
    assert toll.faults == []
    assert toll.kills == kills
    async with await Store.open(root / "vidprod.db", now=0, reserve_bytes=0) as store:
        assert await store.read(lambda db: db.jobs._value("select count(*) from job")) == toll.uploads
        assert await store.read(lambda db: db.uploads.count_unfinished()) == 0
        known = await store.read(lambda db: db.videos.ids())
    assert known <= {path.name for path in (root / "media").iterdir()}


async def test_twenty_kills_lose_no_acknowledged_byte(tmp_path: Path) -> None:
    toll = await torment(tmp_path, kills=20, at_once=10, seed=SEED)
    await check(tmp_path, toll, kills=20)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(5))
async def test_two_hundred_kills_lose_no_acknowledged_byte(tmp_path: Path, part: int) -> None:
    toll = await torment(tmp_path, kills=200, at_once=200, seed=SEED + part)
    await check(tmp_path, toll, kills=200)
    starts = sorted(toll.starts_s)
    print(f"{toll.uploads} uploads; served again after {starts[len(starts) // 2]:.2f} s, 95 % {starts[-10]:.2f} s")


async def test_a_server_that_records_first_is_found_out(tmp_path: Path) -> None:
    toll = await torment(tmp_path, kills=60, at_once=10, seed=SEED, variant=("record_first",))
    assert any("is answered 410" in fault for fault in toll.faults), toll
