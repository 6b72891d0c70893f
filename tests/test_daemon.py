"""The daemon as a process: how it starts, refuses to, and stops."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from vidprod.domain.ids import new_id
from vidprod.place import address

START = """
import asyncio, json, sys
from vidprod import daemon
from vidprod.config import Config
from vidprod.telemetry import log
log.setup()
config = Config(data_dir=sys.argv[1], disk_floor_bytes=0, **json.loads(sys.argv[2]))
try:
    asyncio.run(daemon.run(config, ready=lambda where: print(where, flush=True)))
except Exception as error:
    print(f"{getattr(error, 'code', type(error).__name__)}: {error}", flush=True)
    sys.exit(3)
codecs = sorted({"av", "numpy"} & set(sys.modules))
print(f"codecs: {codecs}", flush=True)
"""


class Daemons:
    """Starts daemons on one data directory, and ends those a test leaves."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, **settings: float | str) -> tuple[subprocess.Popen[str], str]:
        """The process and its first line: its address, or why it does not start."""
        process = subprocess.Popen(
            [sys.executable, "-c", START, str(self.root), json.dumps({"port": 0, **settings})],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PATH": os.defpath, "PYTHONPATH": os.getcwd()},
        )
        self._processes.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    def end(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    daemons = Daemons(tmp_path / "data")
    yield daemons
    daemons.end()


def stop(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[str, float]:
    """What it prints at its end, and how long that takes."""
    began = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=15)
    return output, time.monotonic() - began


def test_it_is_ready_within_two_seconds(daemons: Daemons) -> None:
    process, where = daemons.start()
    assert httpx.get(f"{where}/health").json() == {"status": "alive"}
    times = psutil.Process(process.pid).cpu_times()  # the clock on the wall counts other people's work too
    assert times.user + times.system < 2


def test_the_first_start_makes_what_it_needs(daemons: Daemons) -> None:
    daemons.start()
    assert {path.name for path in daemons.root.iterdir()} >= {"vidprod.db", "incoming", "media", "work", "daemon.lock"}


def test_the_database_may_lie_apart_from_the_media(daemons: Daemons) -> None:
    apart = daemons.root.parent / "replicated"
    apart.mkdir()
    daemons.start(database_dir=str(apart))
    assert (apart / "vidprod.db").exists()
    assert {path.name.partition("-")[0] for path in apart.iterdir()} == {"vidprod.db"}  # and what SQLite puts beside it
    assert (daemons.root / "reserve.bin").exists()
    assert not (daemons.root / "vidprod.db").exists()


def test_it_loads_no_codec(daemons: Daemons) -> None:
    process, where = daemons.start()
    assert httpx.get(f"{where}/ready").status_code == 200
    output, _ = stop(process)
    assert output == "codecs: []\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order(daemons: Daemons, number: int) -> None:
    process, where = daemons.start()
    assert httpx.get(f"{where}/ready").status_code == 200  # with a media child that has started
    _, seconds = stop(process, number)
    assert process.returncode == 0
    assert seconds < 3
    assert not list(daemons.root.glob("vidprod.db-*"))


def test_an_open_event_stream_does_not_hold_it_up(daemons: Daemons) -> None:
    process, where = daemons.start()
    with httpx.stream("GET", f"{where}/v1/events/stream") as stream:
        assert stream.status_code == 200
        _, seconds = stop(process)
    assert process.returncode == 0
    assert seconds < 5


def test_a_stalled_upload_does_not_hold_it_up_for_long(daemons: Daemons) -> None:
    process, where = daemons.start(drain_s=1)
    port = int(where.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"PUT /upload?filename=a.mp4 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
        client.sendall(b"\0\0\0\x18ftypisom" + bytes(5000))
        _eventually_there(daemons.root / "incoming")
        _, seconds = stop(process)
    assert process.returncode == 0
    assert seconds < 9  # 1 s to drain, and what a busy machine adds
    assert list((daemons.root / "incoming").iterdir()) == []


def test_a_media_child_is_up_before_an_uploads_last_byte_and_gone_after_the_stop(daemons: Daemons) -> None:
    process, where = daemons.start(drain_s=0.1)
    with socket.create_connection(("127.0.0.1", int(where.rpartition(":")[2]))) as client:
        client.sendall(b"PUT /upload?filename=a.mp4 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
        assert psutil.Process(process.pid).children() == []
        client.sendall(b"\0\0\0\x18ftypisom" + bytes(5000))
        until = time.monotonic() + 5
        while not (children := psutil.Process(process.pid).children()):
            assert time.monotonic() < until
            time.sleep(0.005)
        stop(process)  # while the child still warms
    assert process.returncode == 0
    assert not any(child.is_running() for child in children)


def _eventually_there(directory: Path) -> None:
    until = time.monotonic() + 5
    while not list(directory.iterdir()):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_second_daemon_on_the_volume_is_refused(daemons: Daemons) -> None:
    process, where = daemons.start()
    second, told = daemons.start()
    assert second.wait(5) == 3
    assert told.startswith(f"already_running: another daemon (process {process.pid}) works on")
    assert httpx.get(f"{where}/health").status_code == 200


def test_after_a_kill_the_volume_is_free(daemons: Daemons) -> None:
    process, _ = daemons.start()
    process.kill()
    process.wait()
    _, where = daemons.start()
    assert httpx.get(f"{where}/health").status_code == 200


def test_what_was_half_received_is_gone_at_the_next_start(daemons: Daemons) -> None:
    part = daemons.root / "incoming" / f"{new_id('upl', now=1)}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x")
    daemons.start()
    assert not part.exists()


def test_media_without_a_database_stops_the_start(daemons: Daemons) -> None:
    lost = daemons.root / "media" / new_id("vid", now=1)
    lost.mkdir(parents=True)
    process, told = daemons.start()
    assert process.wait(5) == 3
    assert told.startswith("media_without_database:")
    assert lost.exists()
    assert not (daemons.root / "vidprod.db").exists()


def test_a_port_in_use_is_told(daemons: Daemons) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process, told = daemons.start(port=taken.getsockname()[1])
    assert process.wait(5) == 3
    assert "Address already in use" in told


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    daemons = Daemons(tmp_path / "data")
    process, told = daemons.start()
    assert process.wait(5) == 3
    daemons.end()
    assert "FileExistsError" in told


@pytest.mark.parametrize(
    ("host", "port", "where"),
    [
        ("127.0.0.1", 8000, "http://127.0.0.1:8000"),
        ("0.0.0.0", 80, "http://127.0.0.1:80"),
        ("::1", 8000, "http://[::1]:8000"),
    ],
)
def test_the_address_is_one_a_browser_takes(host: str, port: int, where: str) -> None:
    assert address(host, port) == where


def test_it_shows_its_numbers(daemons: Daemons) -> None:
    _, where = daemons.start()
    numbers = dict(line.rsplit(" ", 1) for line in httpx.get(f"{where}/metrics").text.splitlines() if line[0] != "#")
    assert 0 < float(numbers["vidprod_resident_memory_bytes"]) < 100e6
    assert float(numbers["vidprod_disk_free_bytes"]) > 0
