"""kill -9 of the daemon: nothing acknowledged is lost, nothing is stuck, nothing is redone.

A run prints its seed; `SEED=… pytest …` makes the same choices again. Known-bad daemons (`known_bad.py`) go through
the same harness and must be found out.
"""

import os
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.conftest import Make
from tests.acceptance.history import RECIPE, WITH_FACES, Clients, History, faults
from tests.acceptance.house import Daemon, eventually
from tests.acceptance.takes import take

SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)

# daemons die more often here than a step may take with it
SETTINGS: dict[str, Any] = {"max_crashes": 100, "lease_s": 2.0, "child_threads": 1}

Moment = Callable[[Daemon, Clients], bool]  # waits for it; False when it will not come any more


def at_random(chance: random.Random) -> Moment:
    """Any time, an unfinished start included."""

    def moment(_daemon: Daemon, _clients: Clients) -> bool:
        time.sleep(chance.uniform(0.0, 1.2))
        return True

    return moment


def after_an_acknowledgement(_daemon: Daemon, clients: Clients) -> bool:
    """As soon as a client has seen one more 202."""
    before = len(clients.history.acknowledged)
    eventually(lambda: clients.are_done or len(clients.history.acknowledged) > before, every_s=0.002)
    return len(clients.history.acknowledged) > before


def after_a_segment(daemon: Daemon, clients: Clients) -> bool:
    """When a job has a finished segment and is not done."""

    def half_done() -> bool:
        all_sent = clients.are_done  # asked first: a job that is accepted meanwhile is still to be looked at
        jobs = daemon.get("/v1/jobs", state="queued,processing")["jobs"]
        if not jobs and all_sent:
            raise StopIteration
        return any(
            job["state"] == "processing" and any(segment["state"] == "ready" for segment in job["segments"])
            for job in jobs
        )

    try:
        return bool(eventually(half_done, every_s=0.01, within_s=60))
    except StopIteration:
        return False


def torment(daemon: Daemon, nemesis: Callable[[], None], moment: Moment, *, times: int, clients: Clients) -> History:
    """Clients upload while it happens, and go on until all they began is acknowledged."""
    print(f"SEED={SEED}")
    daemon.start()
    clients.start()
    done = 0
    while done < times and moment(daemon, clients):
        nemesis()
        done += 1
    history = clients.finish(within_s=60)
    assert done >= 1
    return history


def killed(daemon: Daemon) -> Callable[[], None]:
    def nemesis() -> None:
        daemon.kill()
        daemon.start()

    return nemesis


def wait_for_all(daemon: Daemon, *, within_s: float = 120) -> None:
    """Until every job is over."""

    def all_over() -> bool:
        return not daemon.get("/v1/jobs", state="queued,processing")["jobs"]

    eventually(all_over, within_s=within_s, every_s=0.05, or_tell=daemon.last_log)


def settle(daemon: Daemon, *, within_s: float = 120) -> None:
    """Wait until every job is over, then start anew: a start prunes."""
    wait_for_all(daemon, within_s=within_s)
    daemon.stop()
    daemon.start()

    def pruned() -> bool:  # what it measures last
        return "vidprod_disk_used_bytes 0.0" not in daemon.http.get("/metrics").text

    eventually(pruned, or_tell=daemon.last_log)


def finds_out(word: str, history: History, daemon: Daemon) -> None:
    """A fault with this word is found, at the latest when every job is over."""
    eventually(lambda: any(word in fault for fault in faults(history, daemon)), within_s=60, every_s=0.1)


def test_kills_at_any_moment_lose_nothing(make: Make) -> None:
    daemon = make(**SETTINGS)
    clients = Clients(daemon, seed=SEED, clients=2, each=3, recipes=(RECIPE, WITH_FACES, RECIPE))
    history = torment(daemon, killed(daemon), at_random(random.Random(SEED)), times=6, clients=clients)
    settle(daemon)
    assert faults(history, daemon) == []
    assert len(history.acknowledged) == 6


@pytest.mark.parametrize("moment", [after_an_acknowledgement, after_a_segment])
def test_kills_at_the_worst_moments_lose_nothing(make: Make, moment: Moment) -> None:
    daemon = make(**SETTINGS)
    clients = Clients(daemon, seed=SEED, clients=1, each=2)
    history = torment(daemon, killed(daemon), moment, times=2, clients=clients)
    settle(daemon)
    assert faults(history, daemon) == []


@pytest.mark.soak
@pytest.mark.parametrize("part", range(4))
def test_fifty_kills_lose_nothing(make: Make, part: int) -> None:
    daemon = make(**SETTINGS)
    clients = Clients(daemon, seed=SEED + part, clients=3, each=None, recipes=(WITH_FACES, RECIPE))
    history = torment(daemon, killed(daemon), at_random(random.Random(SEED + part)), times=50, clients=clients)
    settle(daemon, within_s=900)
    assert faults(history, daemon) == []
    print(f"{len(history.acknowledged)} acknowledged, {history.unknown} unknown, {len(history.seen_ready)} segments")


def test_a_daemon_that_acknowledges_first_is_found_out(make: Make) -> None:
    daemon = make("acknowledge_first", **SETTINGS)
    clients = Clients(daemon, seed=SEED, clients=1, each=1, in_parts=False)
    history = torment(daemon, killed(daemon), after_an_acknowledgement, times=1, clients=clients)
    finds_out("is lost", history, daemon)


def test_a_daemon_that_begins_again_is_found_out(make: Make) -> None:
    daemon = make("redo", **SETTINGS)
    clients = Clients(daemon, seed=SEED, clients=1, each=1, take=take(9.2))
    history = torment(daemon, killed(daemon), after_a_segment, times=1, clients=clients)
    finds_out("times", history, daemon)
