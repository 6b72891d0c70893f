"""Where a daemon is: its database, its lock, its address, and the time it goes by.

What the daemon and the commands beside it agree on. It loads nothing of the daemon: a command need not wait for that.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from vidprod.config import Config
from vidprod.errors import Unavailable

DATABASE = "vidprod.db"
LOCK = "daemon.lock"
RESTORING = ".restore"  # in a data directory that is being filled: it is not whole while it is there


def now_ms() -> int:
    """The wall clock, unix milliseconds."""
    return time.time_ns() // 1_000_000


def address(host: str, port: int) -> str:
    """Where a browser on this machine finds the page."""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104  # not bound here, only named
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def database_path(config: Config) -> Path:
    """Where the one database of a data directory is."""
    return Path(config.database_dir or config.data_dir).absolute() / DATABASE


@contextlib.contextmanager
def only_daemon(root: Path) -> Iterator[None]:
    """Hold the data directory's lock. The kernel lets go of it however this process ends."""
    with open(root / LOCK, "a+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            pid = lock.read(20).decode(errors="replace").strip() or "unknown"
            raise Unavailable(
                f"another daemon (process {pid}) works on {root}",
                code="already_running",
                hint="Stop it first, or choose another --data-dir.",
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n".encode())
        lock.flush()
        yield
