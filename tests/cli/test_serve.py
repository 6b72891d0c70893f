"""`vidprod serve`: ready soon, ended in order, and clear about why it cannot start."""

import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from tests.cli.running import serving, vidprod


def test_it_is_ready_within_two_seconds_and_makes_all_it_needs(tmp_path: Path) -> None:
    begun = time.monotonic()
    with serving(tmp_path) as (_, address):
        assert time.monotonic() - begun < 2
        assert httpx.get(f"{address}/health").json()["status"] == "alive"
        assert httpx.get(address).status_code == 200
        assert (tmp_path / "data/vidprod.db").exists()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order_even_with_a_stream_open(stop: signal.Signals, tmp_path: Path) -> None:
    with (
        serving(tmp_path) as (process, address),
        httpx.Client(timeout=30) as client,
        client.stream("GET", f"{address}/v1/events/stream") as stream,
    ):
        assert stream.status_code == 200
        process.send_signal(stop)
        assert process.wait(timeout=10) == 0
        assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = vidprod("serve", "--port", port, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert port in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_daemon_on_the_same_volume_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path):
        done = vidprod("serve", "--port", "0", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr


def test_a_volume_with_media_and_no_database_is_refused_with_an_explanation(tmp_path: Path) -> None:
    media = tmp_path / "data/media" / ("vid_" + "0" * 26)
    media.mkdir(parents=True)
    (media / "source.mp4").write_bytes(b"x")
    done = vidprod("serve", "--port", "0", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "media_without_database: " in done.stderr
    assert (media / "source.mp4").exists()


def test_the_log_can_be_json_and_stays_apart_from_what_a_script_reads(tmp_path: Path) -> None:
    with serving(tmp_path, "--log-format", "json") as (process, _):
        process.terminate()
        rest, _ = process.communicate(timeout=10)
    assert rest == ""
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines
    assert all(line.startswith("{") and '"timestamp"' in line for line in lines)


def test_a_daemon_for_development_finds_simulated_platforms_by_itself(tmp_path: Path) -> None:
    with serving(tmp_path, "--simulated") as (process, address):
        log = (tmp_path / "log").read_text()
        ways = httpx.get(f"{address}/v1/accounts").json()["logins"]
        assert all(way["configured"] for way in ways)
        asked = httpx.post(f"{address}/v1/accounts/connect", json={"platform": "youtube"}).json()["url"]
        page = httpx.get(asked)
        assert (page.status_code, "simulated" in page.text) == (200, True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        assert "Traceback" not in log
    with pytest.raises(httpx.ConnectError):  # they end with it
        httpx.get(asked)
