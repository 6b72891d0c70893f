"""Publishing's clocks: what waits for a moment goes on when it has come, however the clock gets there."""

import asyncio

from vidprod.services.clock import Clock, JumpingClock

NOON = 1_800_000_000_000
HOUR = 3_600_000


def test_a_fast_clock_runs_so_much_faster_from_the_moment_both_agree() -> None:
    wall = [NOON]
    clock = Clock(speed=60, since=NOON - 1000, wall=lambda: wall[0])
    assert clock.now() == NOON - 1000 + 60_000
    wall[0] += 2000
    assert clock.now() == NOON - 1000 + 180_000
    assert clock.seconds_until(clock.now() + 120_000) == 2


def test_the_wall_clock_is_the_wall_clock() -> None:
    assert Clock(wall=lambda: NOON).now() == NOON


async def test_waiting_ends_with_the_event_or_with_the_moment() -> None:
    clock = Clock(speed=1000)
    event = asyncio.Event()
    await clock.wait(event, until=clock.now() + 5_000)
    event.set()
    await clock.wait(event, until=clock.now() + 10 * HOUR)


async def test_a_clock_that_jumps_lets_each_wait_end_at_its_moment() -> None:
    clock = JumpingClock(since=NOON)
    woke: list[tuple[str, int]] = []

    async def sleeper(name: str, hours: list[int]) -> None:
        for one in hours:
            await clock.wait(asyncio.Event(), until=NOON + one * HOUR)
            woke.append((name, (clock.now() - NOON) // HOUR))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("a", [1, 30]))
        group.create_task(sleeper("b", [2, 30]))
        group.create_task(clock.run(until=NOON + 48 * HOUR))
    assert woke == [("a", 1), ("b", 2), ("a", 30), ("b", 30)]
    assert clock.now() == NOON + 48 * HOUR


async def test_a_clock_that_jumps_stands_still_while_somebody_works() -> None:
    clock = JumpingClock(since=NOON)
    done = asyncio.Event()

    async def worker() -> int:
        with clock.working():
            await asyncio.sleep(0.1)  # of the wall: longer than the clock needs to find that nobody waits
            done.set()
            return clock.now()

    working = asyncio.create_task(worker())
    other = asyncio.create_task(clock.sleep(60))
    await asyncio.sleep(0)
    running = asyncio.create_task(clock.run(until=NOON + HOUR))
    assert await working == NOON
    await asyncio.gather(other, running)
    assert clock.now() == NOON + HOUR
