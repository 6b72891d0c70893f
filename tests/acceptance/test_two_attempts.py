"""Two attempts at one task: the machine sleeps past the lease, or a job is cancelled and tried again before its child
has ended. No segment is made twice.

`known_bad.py` has daemons without the fence that holds this: they must be found out.
"""

from collections.abc import Callable

import pytest

from tests.acceptance.conftest import Make
from tests.acceptance.history import Clients, History, faults
from tests.acceptance.house import Daemon
from tests.acceptance.takes import take
from tests.acceptance.test_kill import SEED, SETTINGS, after_a_segment, finds_out, settle, torment, wait_for_all

TWO_AT_ONCE = SETTINGS | {"lease_s": 0.6, "media_memory_bytes": 1 << 30, "child_memory_bytes": 1 << 29}


def slow() -> bytes:
    """Half a second of work in each segment: time for two attempts to be at it."""
    return take(15.2, size=(848, 480))


def frozen(daemon: Daemon) -> Callable[[], None]:
    return lambda: daemon.freeze(1.0)


def cancelled_and_retried(daemon: Daemon) -> Callable[[], None]:
    def nemesis() -> None:
        for job in daemon.get("/v1/jobs", state="processing")["jobs"]:
            for action in ("cancel", "retry"):
                daemon.http.post(f"/v1/jobs/{job['job_id']}/{action}")

    return nemesis


@pytest.mark.parametrize("nemesis", [frozen, cancelled_and_retried])
def test_two_attempts_at_one_task_redo_nothing(make: Make, nemesis: Callable[[Daemon], Callable[[], None]]) -> None:
    daemon = make(**TWO_AT_ONCE)
    clients = Clients(daemon, seed=SEED, clients=1, each=1, take=slow())
    history = torment(daemon, nemesis(daemon), after_a_segment, times=2, clients=clients)
    settle(daemon)
    assert faults(history, daemon) == []


def two_attempts(daemon: Daemon) -> History:
    """Of one job, so that a child is free for its retry."""
    clients = Clients(daemon, seed=SEED, clients=1, each=1, take=slow())
    return torment(daemon, cancelled_and_retried(daemon), after_a_segment, times=1, clients=clients)


def test_the_fence_alone_keeps_a_second_attempt_from_redoing(make: Make) -> None:
    daemon = make("only_fence", **TWO_AT_ONCE)
    history = two_attempts(daemon)
    wait_for_all(daemon)
    assert not any("times" in fault for fault in faults(history, daemon))


def test_a_daemon_without_a_fence_is_found_out(make: Make) -> None:
    daemon = make("no_fence", **TWO_AT_ONCE)
    finds_out("times", two_attempts(daemon), daemon)
