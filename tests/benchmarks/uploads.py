"""How fast uploads are, what they cost in memory and how soon they are answered: `python -m tests.benchmarks.uploads`.

One nginx worker (Debian's nginx-light, WebDAV PUT, its body buffer and temporary path on the same volume) and
`vidprod serve` take the same file from the same client over loopback, turn by turn. nginx writes to the page cache
and renames; VidProd also looks at the bytes, syncs file and directory, and commits its rows before it answers.
The client sends the file with sendfile in all three ways. Its form is as curl's, with a boundary as long as curl's.
Run it on a machine that does nothing else: the ratio of two programs on two busy cores is mostly the third's.
"""

import argparse
import math
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from vidprod.platforms.simulators.oauth import pressed

MP4_HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41"
BOUNDARY = "-" * 24 + "d74496d66958873e"  # as curl makes them: the longer it is, the faster it is looked for

NGINX = """
user root;
worker_processes 1;
daemon off;
pid {root}/nginx.pid;
error_log {root}/nginx.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_max_body_size 0;
  client_body_temp_path {root}/nginx-body;
  proxy_temp_path {root}/nginx-1; fastcgi_temp_path {root}/nginx-2;
  uwsgi_temp_path {root}/nginx-3; scgi_temp_path {root}/nginx-4;
  server {{
    listen 127.0.0.1:{port};
    root {root}/nginx-files;
    location / {{ dav_methods PUT; create_full_put_path on; }}
  }}
}}
"""


@dataclass
class Sent:
    """One upload, as the client saw it."""

    bytes_per_s: float
    answer_s: float  # from the last byte handed to the kernel to the answer
    answer: bytes


def send(port: int, head: str, file: Path, *, before: bytes = b"", after: bytes = b"") -> Sent:
    """One request on a connection of its own, the file through sendfile."""
    size = file.stat().st_size
    request = f"{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    request += f"Content-Length: {len(before) + size + len(after)}\r\n"
    if before:
        request += f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection, open(file, "rb") as source:
        began = time.perf_counter()
        connection.sendall(request.encode() + b"\r\n" + before)
        connection.sendfile(source)
        if after:
            connection.sendall(after)
        sent = time.perf_counter()
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        answered = time.perf_counter()
    status = int(answer[9:12] or 0)
    if not 200 <= status < 300:
        raise SystemExit(f"{head}: {answer.decode(errors='replace')}")
    return Sent(bytes_per_s=size / (answered - began), answer_s=answered - sent, answer=answer)


class Daemon:
    """`vidprod serve` on a directory of its own."""

    def __init__(self, root: Path, *flags: str) -> None:
        self.data = root / "data"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vidprod", "serve", "--data-dir", str(self.data), "--port", "0", *flags],
            stdout=subprocess.PIPE,
            stderr=open(root / "daemon.log", "wb"),  # noqa: SIM115
            text=True,
        )
        assert self.process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.process.stdout.readline())
        if found is None:
            raise SystemExit(f"vidprod did not start:\n{(root / 'daemon.log').read_text()}")
        self.port = int(found[1])

    def raw(self, file: Path) -> Sent:
        return send(self.port, "PUT /upload?filename=take.mp4", file)

    def form(self, file: Path) -> Sent:
        disposition = 'Content-Disposition: form-data; name="file"; filename="take.mp4"'
        before = f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: video/mp4\r\n\r\n".encode()
        return send(self.port, "POST /upload", file, before=before, after=f"\r\n--{BOUNDARY}--\r\n".encode())

    def settle(self, sent: Sent) -> None:
        """Wait until the job is over (the probe refuses the made-up file), then delete it."""
        job_id = re.search(rb"job_[0-9a-z]{26}", sent.answer)
        assert job_id is not None
        path = f"/status/{job_id[0].decode()}"
        for _ in range(600):
            if b'"state":"failed"' in self._ask(f"GET {path}").partition(b'"source"')[0]:
                break
            time.sleep(0.05)
        else:
            raise SystemExit("the made-up video was not refused within 30 s")
        self._ask(f"DELETE /v1/jobs/{job_id[0].decode()}")

    def resident_bytes(self) -> int:
        return _resident_bytes(self.process.pid)

    def connect(self) -> None:
        """Two accounts of simulated platforms, and an endpoint."""
        url = f"http://127.0.0.1:{self.port}"
        for platform, account in (("youtube", "UCsim000000000000000001"), ("tiktok", "-000public")):
            page = httpx.post(f"{url}/v1/accounts/connect", json={"platform": platform}).json()["url"]
            httpx.get(pressed(page, account=account), follow_redirects=True).raise_for_status()
        httpx.post(f"{url}/v1/endpoints", json={"url": "https://receiver.example/"}).raise_for_status()

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(15)

    def _ask(self, line: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(f"{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        return answer


class Nginx:
    """One worker with WebDAV PUT."""

    def __init__(self, root: Path) -> None:
        self.files = root / "nginx-files"
        self.files.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = root / "nginx.conf"
        config.write_text(NGINX.format(root=root, port=self.port))
        self.process = subprocess.Popen(["nginx", "-p", str(root), "-c", str(config), "-e", str(root / "nginx.log")])
        _wait_for_port(self.port)

    def put(self, file: Path) -> Sent:
        sent = send(self.port, "PUT /take.mp4", file)
        (self.files / "take.mp4").unlink()
        return sent

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(15)


def throughput(daemon: Daemon, nginx: Nginx, file: Path, *, rounds: int) -> None:
    """Alternating rounds; a first one warms everything up and is not counted."""

    def ours(upload: Callable[[Path], Sent]) -> Sent:
        sent = upload(file)
        daemon.settle(sent)
        return sent

    turns: dict[str, Callable[[], Sent]] = {
        "nginx PUT": lambda: nginx.put(file),
        "raw PUT": lambda: ours(daemon.raw),
        "form": lambda: ours(daemon.form),
    }
    seen: dict[str, list[Sent]] = {name: [] for name in turns}
    for turn in range(rounds + 1):
        for name, upload in turns.items():
            sent = upload()
            if turn:
                seen[name].append(sent)
    base = statistics.median(sent.bytes_per_s for sent in seen["nginx PUT"])
    print(f"\n{file.stat().st_size / 1e6:.0f} MB, {rounds} rounds: MB/s")
    print(f"{'':12}{'median':>9}{'best':>9}{'worst':>9}{'of nginx':>10}   last byte to answer, median")
    for name, runs in seen.items():
        speeds = [sent.bytes_per_s / 1e6 for sent in runs]
        ratio = statistics.median(speeds) * 1e6 / base
        answer_ms = statistics.median(sent.answer_s for sent in runs) * 1e3
        print(
            f"{name:12}{statistics.median(speeds):9.0f}{max(speeds):9.0f}{min(speeds):9.0f}{ratio:10.2f}"
            f"   {answer_ms:.0f} ms"
        )


def answers(daemon: Daemon, file: Path, *, count: int) -> None:
    """How soon one upload after the other is answered."""
    took_ms = []
    for _ in range(count):
        sent = daemon.raw(file)
        took_ms.append(sent.answer_s * 1e3)
        daemon.settle(sent)
    took_ms.sort()
    print(
        f"\nlast byte to answer, {count} uploads of {file.stat().st_size / 1e6:.0f} MB: "
        f"p50 {_quantile(took_ms, 0.5):.1f} ms, p99 {_quantile(took_ms, 0.99):.1f} ms (at most 100), "
        f"worst {took_ms[-1]:.1f} ms"
    )


def memory(daemon: Daemon, file: Path, *, clients: int) -> None:
    """The daemon's resident memory while `clients` upload at once."""
    idle = daemon.resident_bytes()
    sent: list[Sent] = []
    threads = [threading.Thread(target=lambda: sent.append(daemon.raw(file))) for _ in range(clients)]
    with _peak(daemon) as peak:
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_s = time.perf_counter() - began
    if len(sent) != clients:
        raise SystemExit(f"only {len(sent)} of {clients} uploads were taken")
    speed = clients * file.stat().st_size / took_s / 1e6
    print(
        f"\n{clients} uploads of {file.stat().st_size / 1e6:.0f} MB at once: {speed:.0f} MB/s; resident memory idle "
        f"{idle / 1e6:.1f} MB (below 75), peak {peak[0] / 1e6:.1f} MB (below 100)"
    )
    for one in sent:
        daemon.settle(one)


def connected(directory: Path, *, clients: int) -> None:
    """The same, of a daemon that publishes: simulated platforms beside it, accounts and an endpoint."""
    root = Path(tempfile.mkdtemp(prefix="vidprod-uploads-", dir=directory.absolute()))
    try:
        daemon = Daemon(root, "--simulated")
        try:
            daemon.connect()
            memory(daemon, _make_file(root / "small", 32_000_000), clients=clients)
        finally:
            daemon.close()
    finally:
        shutil.rmtree(root)


@contextmanager
def _peak(daemon: Daemon) -> Iterator[list[int]]:
    peak = [0]
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], daemon.resident_bytes())

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield peak
    finally:
        done.set()
        watching.join()


def _resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _quantile(values: list[float], share: float) -> float:
    return values[math.ceil(len(values) * share) - 1]


def _wait_for_port(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


def _make_file(path: Path, size: int) -> Path:
    with open(path, "wb") as file:
        file.write(MP4_HEAD)
        while (left := size - file.tell()) > 0:
            file.write(os.urandom(min(left, 1 << 20)))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path(), help="a directory on the volume to be measured")
    parser.add_argument("--megabytes", type=int, default=500, help="size of the large upload")
    parser.add_argument("--rounds", type=int, default=7, help="counted turns of each")
    parser.add_argument("--clients", type=int, default=50, help="uploads at once")
    parser.add_argument("--answers", type=int, default=100, help="uploads whose answer is timed")
    parser.add_argument("--connected", action="store_true", help="only memory, with two accounts and an endpoint")
    options = parser.parse_args()
    if options.connected:
        connected(options.dir, clients=options.clients)
        return
    if shutil.which("nginx") is None:
        raise SystemExit("nginx with the WebDAV module is needed: apt-get install nginx-light")
    root = Path(tempfile.mkdtemp(prefix="vidprod-uploads-", dir=options.dir.absolute()))
    try:
        large = _make_file(root / "large", options.megabytes * 1_000_000)
        small = _make_file(root / "small", 32_000_000)
        daemon, nginx = Daemon(root), Nginx(root)
        try:
            memory(daemon, small, clients=options.clients)
            throughput(daemon, nginx, large, rounds=options.rounds)
            answers(daemon, small, count=options.answers)
        finally:
            nginx.close()
            daemon.close()
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
