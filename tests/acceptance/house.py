"""A real daemon in a process of its own: started, killed, frozen, and looked at from outside."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from vidprod.cli.serve import READY

ROOT = Path(__file__).resolve().parents[2]


class Daemon:
    """`python -m vidprod serve` on one data directory and one port, started as often as a test likes."""

    def __init__(
        self, home: Path, *, module: tuple[str, ...] = ("vidprod",), prefix: tuple[str, ...] = (), **settings: Any
    ) -> None:
        """
        Args:
            home: the data directory and the log go below it.
            module: what is run as `python -m`; a known-bad twin is another module.
            prefix: a command that runs the daemon in surroundings of its own.
            settings: as in the configuration.
        """
        self.root = home / "data"
        self.log = home / "daemon.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.starts = 0
        self.process: subprocess.Popen[str]
        self._command = [*prefix, sys.executable, "-m", *module, "serve"]
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "VIDPROD_DATA_DIR": str(self.root),
            "VIDPROD_PORT": str(self.port),
            "VIDPROD_DISK_FLOOR_BYTES": "0",
            "VIDPROD_RETRY_PAUSE_S": "0.1",  # what fails is tried again at once
            "VIDPROD_ROOM_LOOK_S": "0.5",
            **{f"VIDPROD_{name.upper()}": str(value) for name, value in settings.items()},
        }
        self._home = home
        # One for all that is asked: loading the certificates that http does not need takes 29 ms each time. No
        # connection is kept: the next request may be to the next process.
        limits = httpx.Limits(max_keepalive_connections=0)
        self.http = httpx.Client(base_url=self.url, verify=False, trust_env=False, limits=limits, timeout=20)

    def start(self) -> float:
        """Seconds until it is ready."""
        began = time.monotonic()
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(READY), self.last_log()
        self.starts += 1
        return time.monotonic() - began

    def kill(self) -> None:
        """kill -9. What it had started ends with it, without being told."""
        family = self.family()
        self.process.kill()
        self._reap()
        eventually(lambda: not any(map(_lives, family)), within_s=10, or_tell=lambda: f"{family} outlive the daemon")

    def stop(self) -> float:
        """SIGTERM, and the seconds until it has ended."""
        began = time.monotonic()
        self.process.terminate()
        code = self._reap()
        assert code == 0, self.last_log()
        return time.monotonic() - began

    def end(self) -> None:
        """At the end of a test, however it went."""
        if hasattr(self, "process") and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self._reap()
        self.http.close()

    def _reap(self) -> int:
        code = self.process.wait(15)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def freeze(self, seconds: float) -> None:
        """As when the machine sleeps, for the daemon alone."""
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    # looked at

    def family(self) -> list[psutil.Process]:
        """Its children and theirs."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def workers(self) -> list[psutil.Process]:
        """The processes that decode at this moment."""
        mine = {process.pid for process in psutil.Process(self.process.pid).children()}
        return [process for process in self.family() if process.pid not in mine]

    def last_log(self) -> str:
        return self.log.read_text()[-3000:]

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON that is answered."""
        answer = self.http.get(path, params=parameters)
        assert answer.is_success, (answer.status_code, answer.text)
        return answer.json()

    def upload(self, data: bytes, *, key: str | None = None, **options: Any) -> httpx.Response:
        """A raw PUT."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.http.put(
            "/upload", content=data, params={"filename": "take.mp4", **options}, headers=headers, timeout=60
        )

    def job(self, job_id: str) -> Any:
        return self.get(f"/status/{job_id}")

    def jobs(self) -> list[Any]:
        """All there are, newest first."""
        found: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.get("/v1/jobs", limit=100, **cursor)
            found += page["jobs"]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    def events(self) -> list[Any]:
        """All that are kept, oldest first."""
        found: list[Any] = []
        after = 0
        while page := self.get("/v1/events", after=after, limit=1000)["events"]:
            found += page
            after = page[-1]["id"]
        return found

    def wait_for(self, job_id: str, *states: str, within_s: float = 60) -> Any:
        """The job when it is in one of these states; any final one, when none is named."""
        wanted = states or ("completed", "failed", "cancelled")
        return eventually(lambda: _in(self.job(job_id), wanted), within_s=within_s, every_s=0.05, or_tell=self.last_log)

    def files(self, directory: str) -> list[Path]:
        """Below one of the data directory's own."""
        return sorted(path for path in (self.root / directory).rglob("*") if path.is_file())


def _lives(process: psutil.Process) -> bool:
    """A zombie has ended; whoever adopted it takes its time to notice."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _in(job: Any, states: tuple[str, ...]) -> Any:
    return job if job["state"] in states else None


def eventually(condition: Any, *, within_s: float = 20, every_s: float = 0.02, or_tell: Any = lambda: "") -> Any:
    """What `condition` gives once it is true, of a process that tells no one."""
    until = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < until, f"not within {within_s} s: {or_tell()}"
        time.sleep(every_s)
    return value


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
