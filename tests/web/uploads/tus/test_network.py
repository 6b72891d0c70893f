"""Uploads over a network that breaks at random bytes: no byte is wrong, and every upload comes through.

A run prints its seed; `SEED=… pytest …` makes the same choices again.
"""

import asyncio
import itertools
import os
import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.web.conftest import Live, mp4, running
from tests.web.uploads.tus.proxy import BadNetwork
from tests.web.uploads.tus.sender import Lost, Sender
from vidprod.blobs.partial import Partial

SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
LARGEST = 120_000  # bytes of a file
AT_ONCE = 12


@dataclass
class Toll:
    """What a bad network cost."""

    faults: list[str] = field(default_factory=list)
    uploads: int = 0
    breaks: dict[str, int] = field(default_factory=dict)


async def torment(live: Live, *, breaks: int, seed: int, within_s: float) -> Toll:
    """Clients send file after file until there were so many breaks."""
    print(f"SEED={seed}")
    toll, names = Toll(), itertools.count()
    network = BadNetwork(live.port, random.Random(seed), largest=LARGEST // 3)

    async def client() -> None:
        while network.broken < breaks and not toll.faults:
            name = f"{seed}-{next(names)}"
            chance = random.Random(name)
            body = mp4(64) + chance.randbytes(chance.randrange(LARGEST))
            try:
                job_id = await Sender(network.port, body, name, chance).send()
                path = live.blobs.source_path(job_id.replace("job_", "vid_"), "mp4")
                if path.read_bytes() != body:
                    toll.faults.append(f"{name} has other bytes")
                path.unlink()  # thousands of them would fill the memory that they lie in
                toll.uploads += 1
            except Lost as lost:
                toll.faults.append(str(lost))

    async with network.running(), asyncio.timeout(within_s), asyncio.TaskGroup() as clients:
        for _ in range(AT_ONCE):
            clients.create_task(client())
    toll.breaks = network.breaks
    return toll


async def check(live: Live, toll: Toll, *, breaks: int) -> None:
    assert toll.faults == []
    assert sum(toll.breaks.values()) >= breaks
    assert all(toll.breaks.values()), toll.breaks
    jobs = await live.store.read(lambda db: db.jobs._value("select count(*) from job"))
    assert jobs == toll.uploads  # none twice, whatever answers were lost
    assert await live.store.read(lambda db: db.uploads.count_unfinished()) == 0
    assert live.blobs.promised_bytes() == 0


async def test_two_hundred_breaks_harm_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, requests_per_min=0, uploads_per_min=0) as live:
        toll = await torment(live, breaks=200, seed=SEED, within_s=60)
        await check(live, toll, breaks=200)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(5))
async def test_two_thousand_breaks_harm_nothing(tmp_path: Path, part: int) -> None:
    async with running(tmp_path, requests_per_min=0, uploads_per_min=0) as live:
        began = time.monotonic()
        toll = await torment(live, breaks=2000, seed=SEED + part, within_s=600)
        await check(live, toll, breaks=2000)
        print(f"{toll.breaks}, {toll.uploads} uploads, {time.monotonic() - began:.0f} s")


async def test_an_offset_recorded_before_its_bytes_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def count_only(self: Partial) -> int:
        self._pieces.clear()  # as when the machine stops between the two
        return self.size

    monkeypatch.setattr(Partial, "keep", count_only)
    async with running(tmp_path, requests_per_min=0, uploads_per_min=0) as live:
        toll = await torment(live, breaks=200, seed=SEED, within_s=60)
        assert toll.faults != []
