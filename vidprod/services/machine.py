"""What this machine has left for us: memory and descriptors. A look costs a few small files of the kernel's.

Memory ends where the first of these ends: the control groups this process is in (version 2, or the memory controller of
version 1), and the machine itself. Pages of files can be taken back and do not count as used: all that were not asked
for twice, and half of the others, which are mostly programs that run.
Sources: cgroups(7), cgroup-v2.rst, cgroup-v1/memory.rst, proc_meminfo(5), accounting/psi.rst of Linux 6.12.
"""

import ctypes
import os
import resource
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_FILES = 65_536  # enough, and no table of gigabytes where the hard limit is a billion

_ROOT = Path("/")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt(3)
_LARGE_BYTES = 1 << 20
_LOOSE_BYTES = 4 << 20  # kept for the next piece of an upload, which comes soon


@dataclass(frozen=True)
class Memory:
    """What can still be had, and of how much. `stalled_percent`: as in `domain.pressure.Look`."""

    left_bytes: int
    limit_bytes: int
    stalled_percent: float | None = None


class Machine:
    """As it was when this was made: a process does not move between control groups by itself."""

    def __init__(self, root: Path = _ROOT) -> None:
        """
        Args:
            root: where the kernel's files are; tests bring their own.
        """
        self._meminfo = root / "proc/meminfo"
        self._groups = _groups(root)
        own = [group.stall for group in self._groups if group.stall.exists()]
        # of the whole machine only where nothing holds us apart from it: others' troubles are not ours
        self._stall = own[0] if own else root / "proc/pressure/memory" if not self._groups else None

    def memory(self) -> Memory | None:
        """None: the system does not say."""
        found = [group.read() for group in self._groups]
        found.append(_of_machine(self._meminfo))
        least = min((one for one in found if one is not None), key=lambda one: one[0], default=None)
        return None if least is None else Memory(max(0, least[0]), least[1], _stalled(self._stall))

    def files(self) -> int | None:
        """How many descriptors this process can still open; None: any number, or the system does not say."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return None
        try:
            return max(0, soft - len(os.listdir("/proc/self/fd")))
        except FileNotFoundError:  # no /proc here
            return None
        except OSError:  # none is left even for this
            return 0


def raise_file_limit(most: int = MOST_FILES) -> int:
    """As many descriptors as the system lets this process have, up to `most`. How many it may have now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return most if soft == resource.RLIM_INFINITY else soft


def give_large_memory_back() -> None:
    """What is large goes back to the system as soon as it is free. Left to itself, glibc takes the largest block ever
    freed for what is usual, and keeps that much in each thread: 40 MB for ever after two verified passwords."""
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:  # other C libraries have none
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_TRIM_THRESHOLD, _LOOSE_BYTES)


@dataclass(frozen=True)
class _Group:
    """A control group with a limit."""

    limit: Path
    used: Path
    stat: Path
    prefix: bytes  # of the lines that count what is below it too

    @property
    def stall(self) -> Path:
        return self.limit.parent / "memory.pressure"

    def read(self) -> tuple[int, int] | None:
        """What is left and the limit, in bytes; None: it has no limit, or it cannot be read."""
        try:
            limit = _limit(self.limit)
            if limit is None:
                return None
            used, stat = int(self.used.read_bytes()), self.stat.read_bytes()
        except (OSError, ValueError):
            return None
        again = _line(stat, self.prefix + b"inactive_file") + _line(stat, self.prefix + b"active_file") // 2
        return limit - used + again, limit


def _groups(root: Path) -> list[_Group]:
    """Of this process, from its own to the outermost, those with a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            made = _version_2(root / "sys/fs/cgroup", path)
        elif "memory" in controllers.split(","):
            made = _version_1(root / "sys/fs/cgroup/memory", path)
        else:
            continue
        found += [group for group in made if group.read() is not None]
    return found


def _version_2(top: Path, path: str) -> Sequence[_Group]:
    return [
        _Group(at / "memory.max", at / "memory.current", at / "memory.stat", b"") for at in _from_own_to_top(top, path)
    ]


def _version_1(top: Path, path: str) -> Sequence[_Group]:
    return [
        _Group(at / "memory.limit_in_bytes", at / "memory.usage_in_bytes", at / "memory.stat", b"total_")
        for at in _from_own_to_top(top, path)
    ]


def _from_own_to_top(top: Path, path: str) -> Iterator[Path]:
    # a container may see the host's path and have only its own group mounted: then none of these is there but `top`
    own = top / path.lstrip("/")
    while own != top and top in own.parents:
        yield own
        own = own.parent
    yield top


def _limit(file: Path) -> int | None:
    text = file.read_text().strip()
    if text == "max":
        return None
    limit = int(text)
    return limit if limit < 1 << 60 else None  # version 1 says "none" as the largest number of pages


def _of_machine(meminfo: Path) -> tuple[int, int] | None:
    try:
        text = meminfo.read_bytes()
    except OSError:
        return None
    total = _line(text, b"MemTotal:") * 1024
    return (_line(text, b"MemAvailable:") * 1024, total) if total else None


def _stalled(file: Path | None) -> float | None:
    """Percent of the last 10 s: the line is "full avg10=0.00 avg60=…"."""
    if file is None:
        return None
    try:
        for line in file.read_bytes().splitlines():
            if line.startswith(b"full avg10="):
                return float(line.split()[1].partition(b"=")[2])
    except (OSError, ValueError):  # the kernel counts nothing: booted with psi=0
        return None
    return None


def _line(text: bytes, name: bytes) -> int:
    """The number after `name` at the beginning of a line; 0 when there is none."""
    _, found, rest = (b"\n" + text).partition(b"\n" + name + b" ")
    return int(rest.split(None, 1)[0]) if found else 0
