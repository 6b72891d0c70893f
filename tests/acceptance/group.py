"""A control group of memory, made for one test: a machine of 512 MB within a larger one."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.house import eventually

_TOP = Path("/sys/fs/cgroup")
_SHELL = 'echo $$ > "$0/cgroup.procs" && exec "$@"'


@dataclass(frozen=True)
class Group:
    """A group with a limit; its processes get no swap."""

    path: Path
    version: int

    def prefix(self) -> tuple[str, ...]:
        """A command that runs the rest of the line within it."""
        return ("sh", "-c", _SHELL, str(self.path))

    def peak_bytes(self) -> int:
        """With the pages of files, which can be taken back: a group that reads and writes fills up to its limit."""
        return int((self.path / ("memory.max_usage_in_bytes", "memory.peak")[self.version - 1]).read_text())

    def kills(self) -> int:
        """How many processes the kernel ended for want of memory."""
        text = (self.path / ("memory.oom_control", "memory.events")[self.version - 1]).read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill "))


class NoGroups(Exception):
    """Groups cannot be made here: not root, or no memory controller."""


@contextlib.contextmanager
def memory_group(limit_bytes: int) -> Iterator[Group]:
    """Raises NoGroups. What still runs in it at the end must be about to end: a group with processes cannot go."""
    version, parent = _parent()
    path = parent / f"vidprod-{secrets.token_hex(4)}"
    try:
        path.mkdir()
        if version == 1:
            (path / "memory.limit_in_bytes").write_text(str(limit_bytes))
        else:
            (path / "memory.max").write_text(str(limit_bytes))
            with contextlib.suppress(FileNotFoundError):
                (path / "memory.swap.max").write_text("0")
    except OSError as error:
        with contextlib.suppress(OSError):
            path.rmdir()
        raise NoGroups(f"a group with a limit cannot be made: {error}") from error
    try:
        yield Group(path, version)
    finally:
        eventually(lambda: _removed(path))


def _removed(path: Path) -> bool:
    try:
        path.rmdir()
    except OSError:  # of a child that outlived its parent, until the kernel ends it too
        return False
    return True


def _parent() -> tuple[int, Path]:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, own = line.split(":", 2)
        if "memory" in controllers.split(","):
            return 1, _existing(_TOP / "memory", own)
        if number == "0" and "memory" in _text(_TOP / "cgroup.subtree_control").split():
            return 2, _TOP  # a group that has processes cannot have groups below it: beside it, then
    raise NoGroups("no memory controller is in reach")


def _existing(top: Path, own: str) -> Path:
    path = top / own.lstrip("/")
    return path if path.is_dir() and os.access(path, os.W_OK) else top


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
