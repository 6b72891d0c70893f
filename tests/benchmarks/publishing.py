"""Many planned publications: `python -m tests.benchmarks.publishing [--publications 10000]`.

Segments are planned by the daemon's own function, for three accounts with two slots a day, on a disk in memory so that
it is the planning that is measured; the first of a job looks for a slot from now on, through all that are taken. Then
the daemon's HTTP side is asked for the calendar, the scheduler looks once after a start and once at rest, and one
account changes its slots.
"""

import argparse
import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from tests.store.given import a_job, a_rendition, a_segment, a_video
from tests.web.conftest import Live, running
from vidprod.config import Config
from vidprod.domain.account import Account, AccountSettings
from vidprod.domain.ids import new_id
from vidprod.domain.target import Target
from vidprod.place import now_ms
from vidprod.services.clock import Clock
from vidprod.services.scheduler import Scheduler
from vidprod.store.sqlite import Store, Tables, planning

ACCOUNTS = 3
SEGMENTS = 10  # of one job
CALENDAR_S = 0.2
START_S = 2.0
MEMORY = "/dev/shm"


async def connect(store: Store, *, slots: list[str]) -> list[Account]:
    accounts = [
        Account(
            id=new_id("acc", now=now_ms()),
            platform="youtube",
            external_id=f"UC{number}",
            name=f"Channel {number}",
            state="connected",
            settings=AccountSettings(zone="Europe/Paris", slots=slots, daily_cap=300),
            connected_at=now_ms(),
        )
        for number in range(ACCOUNTS)
    ]
    for account in accounts:
        await store.write(lambda db, one=account: db.accounts.add(one, b"sealed"))  # type: ignore[misc]
    return accounts


async def plan(store: Store, accounts: list[Account], *, publications: int) -> list[float]:
    """Seconds that planning one segment for every account took, from the first to the last."""
    took: list[float] = []
    targets = [Target(account_id=account.id) for account in accounts]
    while len(took) * ACCOUNTS < publications:
        video = a_video(now=now_ms())
        job = msgspec.structs.replace(a_job(video, now=now_ms()), targets=targets)
        segments = [a_segment(job.id, index=index, now=now_ms()) for index in range(SEGMENTS)]

        def rows(db: Tables) -> None:
            db.videos.add(video)  # noqa: B023
            db.jobs.add(job)  # noqa: B023
            db.segments.add_all(segments)  # noqa: B023
            for segment in segments:  # noqa: B023
                ready = db.segments.ready(segment.id, a_rendition(), now=now_ms())
                began = time.perf_counter()
                planning.plan_segment(db, ready, now=now_ms())
                took.append(time.perf_counter() - began)

        await store.write(rows)
    return took


async def calendar(live: Live, **query: str) -> tuple[float, int]:
    """Seconds of the best of five answers, and how many publications it has."""
    best, count = 1e9, 0
    for _ in range(5):
        began = time.perf_counter()
        answer = await live.client.get("/v1/calendar", params=query)
        best = min(best, time.perf_counter() - began)
        count = sum(len(day["publications"]) for day in answer.raise_for_status().json()["days"])
    return best, count


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def measure(root: Path, *, publications: int, slots: list[str], title: str) -> bool:
    database = root / "vidprod.db"
    print(f"{title}: {publications} publications at {ACCOUNTS} accounts")
    async with await Store.open(database, now=now_ms(), reserve_bytes=1 << 20) as store:
        took = await plan(store, await connect(store, slots=slots), publications=publications)
    for which, some in (
        ("the first segment of a job", took[::SEGMENTS]),
        ("the others", [t for n, t in enumerate(took) if n % SEGMENTS]),
    ):
        share = max(10, len(some) // 20)
        first, last = (1000 * statistics.median(part) for part in (some[:share], some[-share:]))
        print(f"  plan {which}, for all accounts: {first:.2f} ms with few, {last:.2f} ms with all")
    began = time.perf_counter()
    async with running(root) as live:
        started = time.perf_counter() - began
        near, count = await calendar(live)
        print(f"  HTTP side up: {started:.2f} s; calendar of five weeks: {1000 * near:.0f} ms, {count} publications")
        scheduler = Scheduler(live.store, Config(), Clock())
        print(f"  scheduler's first look: {1000 * await timed(scheduler.look):.1f} ms", end="")
        rests = min([await timed(scheduler.look) for _ in range(20)])
        print(f"; at rest: {1e6 * rests:.0f} µs, once a minute")
        account = (await live.client.get("/v1/accounts")).json()["accounts"][0]["id"]

        async def other_slots() -> None:
            answer = await live.client.patch(f"/v1/accounts/{account}", json={"slots": [*slots, "daily 6:00"]})
            answer.raise_for_status()

        print(f"  other slots for one account: {1000 * await timed(other_slots):.0f} ms")
    return near <= CALENDAR_S and started <= START_S


def _memory() -> str | None:
    return MEMORY if Path(MEMORY).is_dir() else None


async def main(publications: int) -> bool:
    good = True
    for title, slots in (
        ("over years, as slots allow", ["daily 9:00, 18:00"]),
        (
            "within weeks, a slot every five minutes",
            [f"daily {', '.join(f'{m // 60}:{m % 60:02}' for m in range(0, 1440, 5))}"],
        ),
    ):
        root = Path(tempfile.mkdtemp(prefix="vidprod-bench-", dir=_memory()))
        try:
            good &= await measure(root, publications=publications, slots=slots, title=title)
        finally:
            shutil.rmtree(root)
    return good


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--publications", type=int, default=10_000)
    sys.exit(not asyncio.run(main(parser.parse_args().publications)))
