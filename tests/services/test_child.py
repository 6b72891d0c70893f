"""Every way a child can end is a named error, and the host goes on."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.services.conftest import FAKE_STEPS, eventually, is_gone, nothing, pids_of, worker_pids
from vidprod.domain.step import Limits, ProbeRequest, Progress
from vidprod.errors import ChildDied, Refused, TryLater
from vidprod.services.child import ChildHost

Probe = Callable[..., ProbeRequest]


async def assert_it_works(host: ChildHost, probe: Probe) -> None:
    info = await host.run(probe("pass"), nothing, media_s=1)
    assert info["container"] == "mov"


async def test_a_step_returns_its_result_and_tells_its_progress(host: ChildHost, probe: Probe) -> None:
    heard: list[Any] = []

    async def hear(message: Any) -> None:
        heard.append(message)

    info = await host.run(probe("pass", segments=3), hear, media_s=1)
    assert info["duration_us"] == 3_000_000
    assert [type(message) for message in heard] == [Progress]


async def test_a_child_is_warm_for_the_next_request(host: ChildHost, probe: Probe) -> None:
    await assert_it_works(host, probe)
    pids = pids_of(host)
    began = time.monotonic()
    for _n in range(5):
        await assert_it_works(host, probe)
    assert pids_of(host) == pids
    assert (time.monotonic() - began) / 5 < 0.5


async def test_an_idle_child_goes(probe: Probe) -> None:
    async with ChildHost(steps=FAKE_STEPS, idle_s=0.1) as host:
        await assert_it_works(host, probe)
        [pid] = pids_of(host)
        await eventually(lambda: not pids_of(host))
        assert is_gone(pid)
        await assert_it_works(host, probe)


async def test_idle_children_go_when_their_memory_is_wanted(probe: Probe) -> None:
    """Those that work stay, and a new one comes when there is work again."""
    async with ChildHost(steps=FAKE_STEPS, children=2) as host:
        host.let_idle_go()  # nobody is there
        at_work = asyncio.Event()

        async def hear(_message: Any) -> None:
            at_work.set()

        working = asyncio.create_task(host.run(probe("progress_then_stall"), hear, media_s=100))
        await at_work.wait()
        [busy] = pids_of(host)
        await assert_it_works(host, probe)
        [idle] = set(pids_of(host)) - {busy}
        host.let_idle_go()
        await eventually(lambda: pids_of(host) == [busy])
        assert is_gone(idle)
        await assert_it_works(host, probe)
        working.cancel()


async def test_a_child_can_be_warmed_and_checked(probe: Probe) -> None:
    async with ChildHost(steps=FAKE_STEPS) as host:
        host.warm()
        host.warm()
        await host.check()
        assert len(pids_of(host)) == 1


async def test_many_uploads_at_once_warm_one_child(probe: Probe) -> None:
    async with ChildHost(steps=FAKE_STEPS, children=3) as host:
        for _n in range(50):
            host.warm()
        await eventually(lambda: host._warm)
        pids = pids_of(host)
        for _n in range(50):
            host.warm()
        await host.check()
        assert len(pids) == 1
        await assert_it_works(host, probe)
        assert pids_of(host) == pids


async def test_a_child_is_warmed_beside_one_that_works(probe: Probe) -> None:
    async with ChildHost(steps=FAKE_STEPS, children=2) as host:
        running = asyncio.create_task(host.run(probe("sleep"), nothing, media_s=100))
        await eventually(lambda: worker_pids(host))
        host.warm()
        await eventually(lambda: host._warm)
        assert len(pids_of(host)) == 2
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_no_child_is_warmed_when_all_that_may_be_there_work(host: ChildHost, probe: Probe) -> None:
    running = asyncio.create_task(host.run(probe("sleep"), nothing, media_s=100))
    await eventually(lambda: worker_pids(host))
    host.warm()
    assert host._background == set()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(pids_of(host)) == 1


async def test_a_warmed_child_that_nobody_needs_goes(probe: Probe) -> None:
    async with ChildHost(steps=FAKE_STEPS, idle_s=0.1) as host:
        host.warm()
        [pid] = await eventually(lambda: pids_of(host))
        await eventually(lambda: not pids_of(host))
        assert is_gone(pid)
        host.warm()  # and the next upload has one again
        await eventually(lambda: host._warm)


async def test_warming_what_cannot_start_is_quiet_and_tried_again(probe: Probe) -> None:
    async with ChildHost(steps="tests.pipeline.there_is_no_such_module") as host:
        for _n in range(2):
            host.warm()
            assert len(host._background) == 1
            await eventually(lambda: not host._background)
        assert pids_of(host) == []


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3])
async def test_the_host_can_be_left_while_a_child_warms(after_s: float) -> None:
    before = children_of_this_process()
    async with asyncio.timeout(5), ChildHost(steps=FAKE_STEPS) as host:
        host.warm()
        await asyncio.sleep(after_s)
    assert pids_of(host) == []
    assert children_of_this_process() <= before
    host.warm()
    assert host._background == set()


def children_of_this_process() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


async def test_a_child_that_cannot_start_is_told_by_the_check(probe: Probe) -> None:
    async with ChildHost(steps="tests.pipeline.there_is_no_such_module") as host:
        with pytest.raises(ChildDied, match="does not start") as caught:
            await host.check()
        assert caught.value.code == "child_not_started"
        assert "there_is_no_such_module" in caught.value.output
        assert pids_of(host) == []


@pytest.mark.parametrize(
    ("behaviour", "code", "says"),
    [
        ("segfault", "child_crashed", "SIGSEGV"),
        ("abort", "child_crashed", "SIGABRT"),
        ("kill_itself", "child_crashed", "SIGKILL"),
        ("leave_silently", "child_crashed", "without an answer"),
        ("leave_with_a_status", "child_crashed", "status 7"),
        ("say_garbage", "child_garbled", "nonsense"),
        ("say_without_end", "child_garbled", "longer than"),
        ("say_what_only_the_parent_says", "child_garbled", "nonsense"),
        ("gulp_memory", "child_out_of_memory", "512 MiB"),
        ("write_too_large_a_file", "child_output_too_large", "4 MiB"),
        ("write_too_large_a_file_and_die", "child_output_too_large", "SIGXFSZ"),
    ],
)
async def test_the_death_of_a_child_is_named(
    host: ChildHost, probe: Probe, behaviour: str, code: str, says: str
) -> None:
    with pytest.raises(ChildDied, match=says) as caught:
        await host.run(probe(behaviour, limits=Limits(file_bytes=4 << 20)), nothing, media_s=1)
    assert caught.value.code == code
    await assert_it_works(host, probe)


async def test_the_last_words_of_a_child_are_kept(host: ChildHost, probe: Probe) -> None:
    with pytest.raises(ChildDied) as caught:
        await host.run(probe("abort"), nothing, media_s=1)
    assert "the codec is upset" in caught.value.output
    assert "in abort" in caught.value.output  # where it was


async def test_a_child_that_eats_memory_is_ended_with_the_figures(host: ChildHost, probe: Probe) -> None:
    with pytest.raises(ChildDied, match=r"held \d+ MiB of memory; it may hold 200 MiB") as caught:
        await host.run(probe("eat_memory", limits=Limits(memory_bytes=200 << 20)), nothing, media_s=1)
    assert caught.value.code == "child_out_of_memory"
    await assert_it_works(host, probe)


async def test_a_child_that_is_silent_is_stalled(probe: Probe) -> None:
    async with ChildHost(steps=FAKE_STEPS, step_floor_s=0.3, stall_factor=1) as host:
        with pytest.raises(ChildDied, match="no progress from the start") as caught:
            await host.run(probe("sleep"), nothing, media_s=100)
        assert caught.value.code == "child_stalled"
        assert "in sleep" in caught.value.output  # where it hung


async def test_saying_the_same_progress_again_is_a_stall(probe: Probe) -> None:
    async with ChildHost(steps=FAKE_STEPS, step_floor_s=0.4, stall_factor=1) as host:
        with pytest.raises(ChildDied, match="no progress after 50 % of the reading") as caught:
            await host.run(probe("progress_then_stall"), nothing, media_s=100)
        assert caught.value.code == "child_stalled"


async def test_a_step_that_takes_too_long_is_a_timeout(probe: Probe) -> None:
    async with ChildHost(steps=FAKE_STEPS, step_floor_s=0.3, stall_factor=1) as host:
        with pytest.raises(ChildDied, match=r"not done after \d+ s") as caught:
            await host.run(probe("sleep"), nothing, media_s=0)
        assert caught.value.code == "child_timeout"


async def test_a_pause_of_the_machine_is_no_stall(probe: Probe) -> None:
    """The first look after it found no progress for longer than allowed, and three such deaths are poison."""
    heard: list[Any] = []

    async def hear(message: Any) -> None:
        heard.append(message)

    async with ChildHost(steps=FAKE_STEPS, step_floor_s=1, stall_factor=1) as host:
        running = asyncio.create_task(host.run(probe("progress_then_stall"), hear, media_s=100))
        await eventually(lambda: heard)
        [worker] = worker_pids(host)
        os.killpg(worker, signal.SIGSTOP)
        time.sleep(1.6)  # noqa: ASYNC251  # the daemon is paused with it
        os.killpg(worker, signal.SIGCONT)
        before = len(heard)
        await eventually(lambda: running.done() or len(heard) > before + 1)  # told every 0.25 s
        assert not running.done()
        with pytest.raises(ChildDied, match="no progress"):  # and the time after it counts
            await running


async def test_processor_time_is_limited(host: ChildHost, probe: Probe) -> None:
    with pytest.raises(ChildDied, match="SIGXCPU") as caught:
        await host.run(probe("spin", limits=Limits(cpu_s=1)), nothing, media_s=1)
    assert caught.value.code == "child_timeout"


async def test_every_step_has_a_limit_on_processor_time_above_its_limit_on_time(probe: Probe) -> None:
    """The kernel holds it, also when the daemon hangs and cannot look."""
    async with ChildHost(steps=FAKE_STEPS, step_floor_s=30, stall_factor=1) as host:
        told = await host.run(probe("tell_the_cpu_limit", limits=Limits(threads=3)), nothing, media_s=100)
    assert told == {"cpu_s": 2 * 3 * 35}


async def test_a_refusal_is_not_a_death(host: ChildHost, probe: Probe) -> None:
    with pytest.raises(Refused, match="no picture") as caught:
        await host.run(probe("refuse"), nothing, media_s=1)
    assert (caught.value.code, caught.value.hint) == ("no_video_stream", "Send a video.")


@pytest.mark.parametrize(
    ("behaviour", "code", "output"),
    [
        ("try_later", "busy", "something was busy"),
        ("fill_the_disk", "no_space", ""),
        ("fail", "child_error", "ValueError: a bug"),
    ],
)
async def test_a_failure_may_pass(host: ChildHost, probe: Probe, behaviour: str, code: str, output: str) -> None:
    with pytest.raises(TryLater) as caught:
        await host.run(probe(behaviour), nothing, media_s=1)
    assert not isinstance(caught.value, ChildDied)
    assert caught.value.code == code
    assert output in caught.value.output


async def test_a_long_complaint_is_cut_short(host: ChildHost, probe: Probe) -> None:
    await host.run(probe("shout"), nothing, media_s=1)
    with pytest.raises(ChildDied) as caught:
        await host.run(probe("abort"), nothing, media_s=1)
    assert "long complaint" not in caught.value.output


async def test_what_a_library_prints_is_no_message(host: ChildHost, probe: Probe) -> None:
    assert await host.run(probe("print_to_stdout"), nothing, media_s=1) == {}


async def test_a_cancelled_step_ends_at_once_and_the_child_stays(host: ChildHost, probe: Probe) -> None:
    await assert_it_works(host, probe)
    pids = pids_of(host)
    running = asyncio.create_task(host.run(probe("spin"), nothing, media_s=100))
    [worker] = await eventually(lambda: worker_pids(host))
    began = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - began < 2
    assert is_gone(worker)
    await assert_it_works(host, probe)
    assert pids_of(host) == pids


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.003, 0.01, 0.03, 0.1])
async def test_a_step_can_be_cancelled_at_any_moment(host: ChildHost, probe: Probe, after_s: float) -> None:
    for _n in range(3):
        running = asyncio.create_task(host.run(probe("sleep"), nothing, media_s=100))
        await asyncio.sleep(after_s)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert worker_pids(host) == []
    await assert_it_works(host, probe)


async def test_an_error_of_the_listener_ends_the_worker(host: ChildHost, probe: Probe) -> None:
    async def refuse(_message: Any) -> None:
        raise RuntimeError("the store is gone")

    with pytest.raises(RuntimeError, match="the store is gone"):
        await host.run(probe("progress_then_stall"), refuse, media_s=100)
    assert worker_pids(host) == []
    await assert_it_works(host, probe)


async def test_a_child_whose_parent_process_is_killed_is_replaced(host: ChildHost, probe: Probe) -> None:
    running = asyncio.create_task(host.run(probe("sleep"), nothing, media_s=100))
    [worker] = await eventually(lambda: worker_pids(host))
    os.kill(pids_of(host)[0], 9)
    with pytest.raises(ChildDied, match="SIGKILL"):
        await running
    await eventually(lambda: is_gone(worker))
    await assert_it_works(host, probe)


async def test_an_idle_child_that_is_killed_is_replaced(host: ChildHost, probe: Probe) -> None:
    for _n in range(5):
        await assert_it_works(host, probe)
        os.kill(pids_of(host)[0], 9)  # and nobody waits until that is noticed
    await assert_it_works(host, probe)


async def test_no_more_children_than_the_memory_allows(tmp_path: Path, probe: Probe) -> None:
    async with ChildHost(steps=FAKE_STEPS, children=2) as host:
        seen: list[int] = []

        async def count(_message: Any) -> None:
            seen.append(len(pids_of(host)))

        await asyncio.gather(*(host.run(probe("pass"), count, media_s=1) for _n in range(6)))
        assert max(seen) == 2


async def test_leaving_the_host_ends_a_running_child(probe: Probe) -> None:
    async with ChildHost(steps=FAKE_STEPS) as host:
        running = asyncio.create_task(host.run(probe("sleep"), nothing, media_s=100))
        pids = await eventually(lambda: worker_pids(host)) + pids_of(host)
    with pytest.raises(ChildDied, match="SIGKILL"):
        await running
    assert len(pids) == 2
    await eventually(lambda: all(is_gone(pid) for pid in pids))  # the worker was killed with it, and takes its moment
