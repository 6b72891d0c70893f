"""The whole daemon on a machine of 512 MB: `python -m tests.benchmarks.pressure`.

`vidprod serve`, with its media children, in a memory control group without swap. Fifty uploads come in all the time, a
talk in 1080p is made into segments with the eyes turned, and ten people sign in again and again (argon2id). What is
printed: what the kernel ended, how much memory daemon and child held, and how soon GET /health and a POST that writes
rows were answered meanwhile. Linux, root and ffmpeg are needed.
"""

import argparse
import base64
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.acceptance.group import Group, memory_group
from tests.acceptance.house import free_port
from tests.benchmarks.gaze import SHARED, enlarged

MIB = 1 << 20
UPLOADS, LOGINS = 50, 10
UPLOAD_BYTES, PACE_BYTES_PER_S = 4 * MIB, 256 << 10
HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41"
NAME, PASSWORD = "owner", "correct horse battery staple"


@dataclass
class Seen:
    """What was seen from outside."""

    health_ms: list[float] = field(default_factory=list)
    post_ms: list[float] = field(default_factory=list)
    login_ms: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    daemon_bytes: int = 0
    child_bytes: int = 0
    levels: Counter[str] = field(default_factory=Counter)


class SmallMachine:
    """A daemon in a group."""

    def __init__(self, room: Path, group: Group, settings: dict[str, str]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = room / "daemon.log"
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "VIDPROD_DATA_DIR": str(room / "data"),
            "VIDPROD_PORT": str(self.port),
            "VIDPROD_TRUSTED_PROXY": "1",  # so that ten people have ten addresses
            "VIDPROD_LOG_FORMAT": "json",
            **settings,
        }
        self.process = subprocess.Popen(
            [*group.prefix(), sys.executable, "-m", "vidprod", "serve"],
            stdout=subprocess.PIPE,
            stderr=self.log.open("wb"),
            env=environment,
            cwd=room,
            text=True,
        )
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            raise SystemExit(f"vidprod did not start:\n{self.log.read_text()}")

    def client(self, number: int) -> httpx.Client:
        """Somebody with an address of their own."""
        headers = {"X-Forwarded-For": f"203.0.113.{number + 1}", "Sec-Fetch-Site": "same-origin"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=60)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)


def sign_in(client: httpx.Client) -> str:
    """The cookie. A client of http sends none that is for https alone by itself."""
    answer = client.post("/login", json={"name": NAME, "password": PASSWORD}).raise_for_status()
    cookie = answer.headers["set-cookie"].partition(";")[0]
    client.headers["Cookie"] = cookie
    return str(cookie)


def keep_uploading(machine: SmallMachine, cookie: str, number: int, stop: threading.Event, seen: Seen) -> None:
    """One upload after the other at the pace of a phone."""
    body = HEAD + os.urandom(64 << 10)
    head = f"PUT /upload?filename=take{number}.mp4&gaze=off HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    head += f"X-Forwarded-For: 203.0.113.{number + 100}\r\nSec-Fetch-Site: same-origin\r\nCookie: {cookie}\r\n"
    head += f"Content-Length: {UPLOAD_BYTES}\r\n\r\n"
    while not stop.is_set():
        try:
            with socket.create_connection(("127.0.0.1", machine.port), timeout=60) as connection:
                connection.sendall(head.encode())
                left, began = UPLOAD_BYTES, time.monotonic()
                while left > 0:
                    piece = body[: min(left, len(body))]
                    connection.sendall(piece)
                    left -= len(piece)
                    due = began + (UPLOAD_BYTES - left) / PACE_BYTES_PER_S
                    if stop.wait(max(0.0, due - time.monotonic())):
                        return
                seen.statuses[f"upload {connection.recv(4096)[9:12].decode()}"] += 1
        except OSError as error:
            seen.statuses[f"upload {type(error).__name__}"] += 1
            stop.wait(1)


def keep_asking(client: httpx.Client, stop: threading.Event, seen: Seen) -> None:
    """Whether it lives, and a POST that writes a row and syncs it: an upload that resumes is begun, and ended."""
    name = base64.b64encode(b"take.mp4").decode()
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "1000", "Upload-Metadata": f"filename {name}"}
    while not stop.wait(0.2):
        with told(seen, "GET /health", seen.health_ms):
            client.get("/health").raise_for_status()
        with told(seen, "POST /files/", seen.post_ms):
            made = client.post("/files/", headers=tus)
            made.raise_for_status()
        if made.is_success:
            client.delete(made.headers["location"], headers={"Tus-Resumable": "1.0.0"})
        with contextlib.suppress(httpx.HTTPError):
            seen.levels[client.get("/v1/pressure").json()["level"]] += 1


@contextlib.contextmanager
def told(seen: Seen, what: str, took_ms: list[float]) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    except httpx.HTTPStatusError as error:
        seen.statuses[f"{what} {error.response.status_code}"] += 1
    except httpx.HTTPError as error:
        seen.statuses[f"{what} {type(error).__name__}"] += 1
    else:
        took_ms.append((time.perf_counter() - began) * 1e3)


def keep_signing_in(machine: SmallMachine, number: int, stop: threading.Event, seen: Seen) -> None:
    """Four times a minute, as many as one address may."""
    with machine.client(number) as client:
        while not stop.is_set():
            with told(seen, "POST /login", seen.login_ms):
                sign_in(client)
            stop.wait(15)


def keep_looking(machine: SmallMachine, stop: threading.Event, seen: Seen) -> None:
    """At the memory, of who holds it."""
    daemon = psutil.Process(machine.process.pid)
    while not stop.wait(0.05):
        with contextlib.suppress(psutil.Error):
            seen.daemon_bytes = max(seen.daemon_bytes, daemon.memory_info().rss)
            held = 0
            for child in daemon.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    held = max(held, child.memory_info().rss)
            seen.child_bytes = max(seen.child_bytes, held)


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    seen: Seen
    job: Any
    took_s: float
    kills: int  # by the kernel, for want of memory
    lives: bool


def run(room: Path, clip: Path, *, limit: int, load: bool, settings: dict[str, str]) -> Outcome:
    """One talk made into segments; `load`: beside uploads and people who sign in."""
    seen, stop = Seen(), threading.Event()
    with memory_group(limit) as group:
        machine = SmallMachine(room, group, settings)
        try:
            with machine.client(0) as owner:
                setup = httpx.post(f"{machine.url}/setup", json={"name": NAME, "password": PASSWORD}, trust_env=False)
                setup.raise_for_status()
                threads = crowd(machine, stop, seen) if load else []
                threads.append(threading.Thread(target=keep_asking, args=(owner, stop, seen)))
                threads.append(threading.Thread(target=keep_looking, args=(machine, stop, seen)))
                sign_in(owner)
                options = {"filename": "talk.mp4", "priority": "high"}
                taken = owner.put("/upload", params=options, content=clip.read_bytes()).raise_for_status()
                for thread in threads:
                    thread.start()
                try:
                    job, took_s = wait_for(owner, taken.json()["job_id"])
                finally:
                    stop.set()
                    for thread in threads:
                        thread.join()
            return Outcome(seen, job, took_s, group.kills(), machine.process.poll() is None)
        finally:
            machine.close()


def crowd(machine: SmallMachine, stop: threading.Event, seen: Seen) -> list[threading.Thread]:
    """Ten people, each with five phones. Not started."""
    threads = []
    for number in range(LOGINS):
        with machine.client(number) as client:
            cookie = sign_in(client)
        threads.append(threading.Thread(target=keep_signing_in, args=(machine, number, stop, seen)))
        for phone in range(number, UPLOADS, LOGINS):
            threads.append(threading.Thread(target=keep_uploading, args=(machine, cookie, phone, stop, seen)))
    return threads


def wait_for(client: httpx.Client, job_id: str) -> tuple[Any, float]:
    """The job once it is over, and how many seconds that took."""
    began = time.monotonic()
    while time.monotonic() - began < 900:
        with contextlib.suppress(httpx.HTTPError):
            job = client.get(f"/status/{job_id}").json()
            if job["state"] in ("completed", "failed", "cancelled"):
                return job, time.monotonic() - began
        time.sleep(0.5)
    raise SystemExit("the talk was not done within 15 minutes")


def show(what: str, outcome: Outcome) -> None:
    seen, job = outcome.seen, outcome.job
    errors = [error["code"] for step in job["steps"] for error in step.get("errors", [])]
    corrected = [(one["gaze"] or {}).get("corrected") for one in job["segments"] if one["state"] == "ready"]
    print(
        f"\n{what}: the talk is {job['state']} after {outcome.took_s:.0f} s; attempts that failed: {errors or 'none'}"
    )
    print(f"  eyes corrected: {corrected}; warnings: {job['warnings'] or 'none'}")
    print(f"  ended by the kernel: {outcome.kills}; the daemon {'lives' if outcome.lives else 'was ended'}")
    print(f"  most resident: daemon {seen.daemon_bytes / 1e6:.0f} MB, a child {seen.child_bytes / 1e6:.0f} MB")
    rows = (("GET /health", seen.health_ms), ("POST /files/", seen.post_ms), ("POST /login", seen.login_ms))
    for name, took_ms in rows:
        if took_ms:
            print(
                f"  {name:13} p50 {quantile(took_ms, 0.5):6.0f} ms, p95 {quantile(took_ms, 0.95):6.0f} ms, "
                f"worst {max(took_ms):6.0f} ms, of {len(took_ms)}"
            )
    print(f"  pressure when asked: {dict(seen.levels)}; answers: {dict(seen.statuses)}")


def quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=512, help="MB of the group (512)")
    parser.add_argument("--seconds", type=int, default=30, help="of the talk (30)")
    parser.add_argument("--size", default="1080x1920", help="of the talk's pictures (1080x1920)")
    parser.add_argument("--clip", type=Path, default=SHARED / "clips" / "nv_eyecontact.mp4", help="a talking face")
    parser.add_argument("--idle", action="store_true", help="once more without uploads and logins")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the daemon")
    options = parser.parse_args()
    settings = {f"VIDPROD_{name.upper()}": value for name, _, value in (one.partition("=") for one in options.set)}
    with tempfile.TemporaryDirectory(prefix="vidprod-pressure-", dir=Path.cwd()) as directory:
        clip = enlarged(options.clip, Path(directory) / "talk.mp4", size=options.size, seconds=options.seconds)
        for load in (False, True) if options.idle else (True,):
            room = Path(directory) / f"load-{load}"
            room.mkdir()
            outcome = run(room, clip, limit=options.limit * 10**6, load=load, settings=settings)
            beside = f"beside {UPLOADS} uploads and {LOGINS} people who sign in" if load else "alone"
            show(f"{options.seconds} s of {options.size} in {options.limit} MB, {beside}", outcome)


if __name__ == "__main__":
    main()
