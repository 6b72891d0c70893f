"""`vidprod simulate`: three platforms in a process of their own, which a daemon is pointed at by one setting."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from vidprod.cli.serve import SIMULATED

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def simulating(*options: str) -> Iterator[tuple[str, str]]:
    """The address, and the line that tells the settings."""
    command = [sys.executable, "-m", "vidprod", "simulate", "--port", "0", *options]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().removeprefix(SIMULATED).strip(), process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(20)
        process.stdout.close()
    assert code == 0


def test_it_says_which_settings_send_a_daemon_there() -> None:
    with simulating("--speed", "60") as (address, told):
        assert f"VIDPROD_SIMULATOR_URL={address} VIDPROD_CLOCK_SPEED=60 VIDPROD_CLOCK_SINCE=" in told
        assert httpx.get(address).status_code == 200


def test_a_fault_comes_as_often_as_it_was_ordered() -> None:
    with simulating("--fault", "youtube.channels=503*2") as (address, _):
        url = f"{address}/www.googleapis.com/youtube/v3/channels?part=snippet&mine=true"
        assert [httpx.get(url).status_code for _ in range(3)] == [503, 503, 401]
        assert httpx.get(f"{address}/far.json").json()["faults"] == {"youtube.channels:503": 2}


def test_an_answer_that_is_lost_over_the_network_is_no_answer() -> None:
    with simulating() as (address, _):
        ordered = httpx.post(f"{address}/faults", json={"point": "youtube.channels", "name": "reset"})
        assert ordered.status_code == 201
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{address}/www.googleapis.com/youtube/v3/channels?part=snippet&mine=true")


def test_a_fault_that_cannot_happen_is_refused_with_those_that_can() -> None:
    with simulating() as (address, _):
        refused = httpx.post(f"{address}/faults", json={"point": "youtube.put", "name": "flood"})
        assert refused.status_code == 400
        assert "lost_answer" in refused.json()["detail"]
    asked = [sys.executable, "-m", "vidprod", "simulate", "--fault", "youtube.put=flood"]
    done = subprocess.run(asked, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "lost_answer" in done.stderr
