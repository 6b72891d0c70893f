"""Webhooks: how fast events are delivered, and that memory stays flat whatever receivers do:
`python -m tests.benchmarks.webhooks [--quick]`.

Receivers of every kind (`tests/webhooks/mixture.py`) are in a process of their own. The clock jumps to the next
attempt, so that three days of retries are measured in a minute; what is measured is wall time.
"""

import argparse
import asyncio
import gc
import itertools
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.webhooks.mixture import HANGS_S, KINDS, Mixture
from tests.webhooks.post_office import FOR_EVER, NOW, PostOffice, post_office
from tests.webhooks.receiver import receiving
from vidprod.store.sqlite import Tables
from vidprod.telemetry import log

GROWTH_MIB = 5.0  # between the first tenth and the last
EACH = 5  # receivers of a kind
MEMORY = "/dev/shm"


async def serve() -> None:
    """Receivers, until standard input ends. Prints their port."""
    async with receiving(Mixture()) as receiver:
        receiver.remembers = False
        print(receiver.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


@contextmanager
def receivers() -> Iterator[str]:
    """Their address."""
    words = [sys.executable, "-m", "tests.benchmarks.webhooks", "--receiver"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()


def rss_mib() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / (1 << 20)


async def attempts(office: PostOffice) -> int:
    return int(await office.store.read(lambda db: db.deliveries._value("select count(*) from delivery_attempt")))


async def counted(office: PostOffice, state: str) -> int:
    sql = "select count(*) from delivery where state = :state"
    return int(await office.store.read(lambda db: db.deliveries._value(sql, state=state)))


async def fast(url: str, *, deliveries: int) -> None:
    """To one receiver that is well, and to eight."""
    for endpoints in (1, 8):
        with folder() as path:
            async with post_office(path) as office:
                await office.stop()
                for number in range(endpoints):
                    await office.endpoint(f"{url}/well/{number}")
                for _ in range(deliveries // endpoints):
                    await office.happens()
                office.start()
                begun = time.perf_counter()
                await office.settled(to=FOR_EVER, timeout_s=600)
                took_s = time.perf_counter() - begun
        print(f"{endpoints:>2} receivers that are well: {deliveries / took_s:>6.0f} deliveries a second")


async def flat(url: str, *, deliveries: int) -> float:
    """To receivers of every kind, in ten batches. How much memory grew from the first to the last, MiB."""
    print(f"\n{'events':>8}{'delivered':>11}{'failed':>9}{'attempts':>10}{'seconds':>9}{'RSS':>8} MiB")
    sizes = []
    with folder() as path:
        async with post_office(path, whole_s=HANGS_S) as office:
            for kind, number in itertools.product(KINDS, range(EACH)):
                await office.endpoint(f"{url}/{kind}/{number}", types=["job.*"])
            batch = deliveries // (len(KINDS) * EACH) // 10
            begun = time.perf_counter()
            for done in range(1, 11):
                for _ in range(batch):
                    await office.happens("job.completed", filler="x" * 1000)
                await office.settled(to=FOR_EVER, timeout_s=600)
                sizes.append(rss_mib())
                print(
                    f"{done * batch:>8}{await counted(office, 'delivered'):>11}{await counted(office, 'failed'):>9}"
                    f"{await attempts(office):>10}{time.perf_counter() - begun:>9.1f}{sizes[-1]:>8.1f}",
                    flush=True,
                )
    return sizes[-1] - sizes[0]


async def wide(url: str, *, endpoints: int) -> None:
    """One event that many want."""
    with folder() as path:
        async with post_office(path) as office:
            for number in range(endpoints):
                await office.endpoint(f"{url}/well/{number}")
            begun = time.perf_counter()
            await office.happens()
            said_s = time.perf_counter() - begun
            await office.settled(to=FOR_EVER, timeout_s=600)
            took_s = time.perf_counter() - begun
    print(f"\n{endpoints} receivers of one event: written in {1000 * said_s:.0f} ms, with all after {took_s:.2f} s")


async def long(url: str, *, deliveries: int, seconds: float) -> None:
    """What waits for a receiver that was away for two days, and then comes back."""
    with folder() as path:
        async with post_office(path) as office:
            await office.stop()
            endpoint, _ = await office.endpoint(f"{url}/well/0")
            await office.store.write(lambda db: db.endpoints.fails(endpoint.id, now=NOW))
            for _ in range(deliveries // 1000):
                await office.store.write(wait)
            before_mib, begun = rss_mib(), time.perf_counter()
            office.start()
            await office.settled(to=NOW)
            looked_s = time.perf_counter() - begun
            used = await processor(seconds)
            begun = time.perf_counter()
            await office.settled(to=NOW + 3_600_000, timeout_s=600)
            came = await counted(office, "delivered")
            a_second, grown = came / (time.perf_counter() - begun), rss_mib() - before_mib
    print(
        f"{deliveries} wait: first look after {1000 * looked_s:.0f} ms, then {used:.1f} ms of processor time a second; "
        f"of an hour's {came} go {a_second:.0f} a second, {grown:.1f} MiB more"
    )


def wait(db: Tables) -> None:
    """A thousand more that failed six times, and will be tried again within 20 hours."""
    for _ in range(1000):
        db.events.record("job.completed", data={"filler": "x" * 500}, now=NOW)
    db.deliveries._run(
        "update delivery set attempt = 6, run_at = created_at + 1 + abs(random() % 72000000) where attempt = 0"
    )


async def processor(seconds: float) -> float:
    """Milliseconds of processor time a second, while nothing is due."""
    process = psutil.Process()
    before = sum(process.cpu_times()[:2])
    await asyncio.sleep(seconds)
    return 1000 * (sum(process.cpu_times()[:2]) - before) / seconds


async def at_rest(seconds: float) -> None:
    """What it costs while nothing is due."""
    with folder() as path:
        async with post_office(path) as office:
            for _ in range(20):
                await office.endpoint("http://127.0.0.1:9/")
            await office.settled()
            used = await processor(seconds)
    print(f"\nat rest, 20 endpoints: {used:.1f} ms of processor time a second")


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="vidprod-webhooks-", dir=MEMORY if Path(MEMORY).is_dir() else None))
    try:
        yield path
    finally:
        shutil.rmtree(path)


async def main(options: argparse.Namespace) -> int:
    log.setup("console", "error")
    with receivers() as url:
        await fast(url, deliveries=400 if options.quick else 2000)
        await wide(url, endpoints=200)
        await long(url, deliveries=10_000 if options.quick else 50_000, seconds=1 if options.quick else 5)
        grown = await flat(url, deliveries=4000 if options.quick else 12_000)
    await at_rest(1 if options.quick else 5)
    print(f"grown from the first tenth to the last: {grown:.1f} MiB (at most {GROWTH_MIB})")
    return 0 if grown <= GROWTH_MIB else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a third of the deliveries")
    parser.add_argument("--receiver", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    sys.exit(asyncio.run(serve()) if given.receiver else asyncio.run(main(given)))
