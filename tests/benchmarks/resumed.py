"""What it costs that uploads resume: `python -m tests.benchmarks.resumed`.

`vidprod serve` takes the same file as one PUT and, by tus, in parts, turn by turn, over loopback on one connection; the
client sends it with sendfile. Each part is on the disk, and its row too, before it is answered. Then fifty at once.
"""

import argparse
import os
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path

import psutil

from tests.acceptance.house import Daemon

MP4_HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41"
PART = "Content-Type: application/offset+octet-stream"


class Client:
    """One connection that is kept."""

    def __init__(self, port: int, file: Path) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._file = open(file, "rb")  # noqa: SIM115  # closed by `close`
        self._answers = self._socket.makefile("rb")
        self.size = file.stat().st_size

    def ask(self, request: str, *headers: str, start: int = 0, size: int = 0) -> dict[str, str]:
        lines = [f"{request} HTTP/1.1", "Host: localhost", "Tus-Resumable: 1.0.0", *headers, f"Content-Length: {size}"]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        end = start + size
        while start < end:
            start += os.sendfile(self._socket.fileno(), self._file.fileno(), start, end - start)
        status = self._answers.readline().split()[1]
        told: dict[str, str] = {}
        while line := self._answers.readline().strip():
            name, _, value = line.decode().partition(": ")
            told[name.lower()] = value
        self._answers.read(int(told.get("content-length", "0")))
        assert status.startswith(b"2"), (status, told)
        return told

    def put(self) -> None:
        self.ask("PUT /upload", size=self.size)

    def tus(self, part: int) -> None:
        address = self.ask("POST /files", f"Upload-Length: {self.size}")["location"]
        for offset in range(0, self.size, part):
            size = min(part, self.size - offset)
            self.ask(f"PATCH {address}", PART, f"Upload-Offset: {offset}", start=offset, size=size)

    def close(self) -> None:
        self._answers.close()
        self._socket.close()
        self._file.close()


def clear(daemon: Daemon) -> None:
    """What was uploaded, so that the next round has room, and no job beside it."""
    for job in daemon.jobs():
        daemon.http.delete(f"/v1/jobs/{job['job_id']}").raise_for_status()


def speeds(daemon: Daemon, file: Path, *, part: int, rounds: int) -> None:
    took: dict[str, list[float]] = {"put": [], "tus": []}
    for _ in range(rounds):
        for way, times in took.items():
            client = Client(daemon.port, file)
            began = time.monotonic()
            client.put() if way == "put" else client.tus(part)
            times.append(time.monotonic() - began)
            client.close()
            clear(daemon)
    size = file.stat().st_size
    put, tus = (size / statistics.median(times) / 1e6 for times in took.values())
    print(f"PUT {put:.0f} MB/s, tus in parts of {part >> 20} MiB {tus:.0f} MB/s: {tus / put:.2f}")


def memory(daemon: Daemon, file: Path, *, part: int, at_once: int) -> None:
    process = psutil.Process(daemon.process.pid)
    before = peak = process.memory_info().rss
    clients = [Client(daemon.port, file) for _ in range(at_once)]
    threads = [threading.Thread(target=client.tus, args=(part,)) for client in clients]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        peak = max(peak, process.memory_info().rss)
        time.sleep(0.01)
    for client in clients:
        client.close()
    print(f"{at_once} at once: at most {peak / 1e6:.0f} MB resident, {before / 1e6:.0f} before")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--part", type=int, default=8, help="MiB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--directory", type=Path, default=None, help="on the volume to measure")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as home:
        large, small = Path(home) / "large.mp4", Path(home) / "small.mp4"
        for file, megabytes in ((large, given.megabytes), (small, max(1, given.megabytes // 10))):
            with file.open("wb") as out:
                out.write(MP4_HEAD)
                for _ in range(megabytes):
                    out.write(os.urandom(1_000_000))
        daemon = Daemon(Path(home))
        daemon.start()
        try:
            memory(daemon, small, part=given.part << 20, at_once=given.at_once)
            clear(daemon)
            speeds(daemon, large, part=given.part << 20, rounds=given.rounds)
        finally:
            daemon.end()


if __name__ == "__main__":
    main()
