"""When a working child has had enough memory, time or patience."""

import pytest

from tests.domain.test_plan import source
from vidprod.domain.recipe import Recipe
from vidprod.domain.step import Limits, PlanRequest, ProbeRequest, Progress, StepRequest
from vidprod.services.watch import Allowance, Watch, allowance

MIB = 1 << 20
REQUEST = ProbeRequest(source="/source", work_dir="/work", limits=Limits())


def watch() -> Watch:
    return Watch(limits=Allowance(wall_s=100, stall_s=10), memory_bytes=500 * MIB, now_s=1000.0)


def code_of(one: Watch) -> str | None:
    return None if one.verdict is None else one.verdict.code


def progress(done_us: int) -> Progress:
    return Progress(done_us=done_us, total_us=10_000_000)


def test_memory_up_to_the_limit_is_fine() -> None:
    one = watch()
    one.judge(resident=500 * MIB, now_s=1001)
    assert code_of(one) is None
    one.judge(resident=501 * MIB, now_s=1001)
    assert str(one.verdict) == "the media child held 501 MiB of memory; it may hold 500 MiB"


def test_growing_progress_keeps_it_alive() -> None:
    one = watch()
    for n in range(9):
        one.saw(progress(n), now_s=1000 + n * 10)
        one.judge(resident=0, now_s=1009 + n * 10)
    assert code_of(one) is None


@pytest.mark.parametrize("said", [[], [0], [5, 5, 5], [5, 4, 3]])
def test_progress_that_does_not_grow_is_a_stall(said: list[int]) -> None:
    one = watch()
    for second, done_us in enumerate(said):
        one.saw(progress(done_us), now_s=1000 + second)
    one.judge(resident=0, now_s=1010)
    assert code_of(one) is None
    one.judge(resident=0, now_s=1010.1)
    assert code_of(one) == "child_stalled"


PLAN = PlanRequest(source="/source", work_dir="/work", limits=Limits(), info=source(None), recipe=Recipe())


@pytest.mark.parametrize(
    ("request_", "reached"),
    [(REQUEST, "after 25 % of the reading"), (PLAN, "at 2.5 s of media")],
    ids=["probe", "plan"],
)
def test_a_stall_names_how_far_the_step_got_in_the_unit_it_counts(request_: StepRequest, reached: str) -> None:
    limits = allowance(request_, media_s=20, factor=8, floor_s=60)
    one = Watch(limits=limits, memory_bytes=500 * MIB, now_s=1000.0)
    one.saw(progress(2_500_000), now_s=1000)
    one.judge(resident=0, now_s=1060.1)
    assert str(one.verdict) == f"no progress {reached} for 60 s"


def test_what_is_left_out_counts_for_nothing() -> None:
    one = watch()
    one.leave_out(500, now_s=1505)
    one.judge(resident=0, now_s=1510)
    assert code_of(one) is None
    one.judge(resident=0, now_s=1510.1)
    assert code_of(one) == "child_stalled"


def test_progress_heard_just_before_what_is_left_out_does_not_lie_in_the_future() -> None:
    one = watch()
    one.saw(progress(1), now_s=1505)
    one.leave_out(500, now_s=1505)
    one.judge(resident=0, now_s=1515.1)
    assert code_of(one) == "child_stalled"


def test_no_progress_is_endless() -> None:
    one = watch()
    for n in range(101):
        one.saw(progress(n), now_s=1000 + n)
    one.judge(resident=0, now_s=1100.5)
    assert code_of(one) == "child_timeout"


def test_a_longer_take_may_take_longer() -> None:
    short, long = (allowance(REQUEST, media_s=seconds, factor=8, floor_s=60) for seconds in (10, 3600))
    assert short.wall_s == pytest.approx(64)
    assert long.wall_s == pytest.approx(1500)
    assert short.stall_s == long.stall_s == 60
