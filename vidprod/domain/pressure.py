"""Pressure: how near the machine is to the end of its disk, its memory or its file descriptors, and what is left out.

    ok → tight       no new upload is taken
       → strained    nor is media work begun: what is under way ends, and children that wait go
    publishing, webhooks, reading, deleting and logging in go on at every level.

What is left of each thing has two marks. A level begins at its mark and ends a step above it, so that it does not flap.
Everything here is pure.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from vidprod.errors import NoSpace, Unavailable

Level = Literal["ok", "tight", "strained"]
Thing = Literal["space", "names", "database", "database_names", "log", "memory", "stall", "files"]

THINGS: tuple[Thing, ...] = ("space", "names", "database", "database_names", "log", "memory", "stall", "files")
RANK: Mapping[Level, int] = {"ok": 0, "tight": 1, "strained": 2}
OF_VOLUME: frozenset[Thing] = frozenset({"space", "names", "database", "database_names", "log"})
LOG_MOST_BYTES = 192 << 20  # the log keeps 64 MiB by itself; more is a reader that never ends, or no room to fold it
BUSY_S = 30  # after which to try again what was refused for want of memory: an encode may take longer

_MEMORY_TIGHT_BYTES = 64 << 20
_LEAST_STEP_BYTES = 1 << 20


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. None: the system does not say, or there is no end to it."""

    free_bytes: int
    floor_bytes: int  # of these, kept for the database
    promised_bytes: int  # to uploads that are not here yet
    names: int | None = None  # inodes that are free
    database_bytes: int | None = None  # free where the database lies, if that is another file system
    database_names: int | None = None
    log_bytes: int = 0  # of SQLite's write-ahead log
    memory_bytes: int | None = None  # that can still be had before the kernel ends somebody
    memory_limit_bytes: int | None = None
    stalled_percent: float | None = None  # of the last 10 s, in which everything waited for memory
    files: int | None = None  # descriptors that can still be opened


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Of one thing: so much is left, and where its levels begin."""

    left: float
    tight: float
    strained: float
    step: float

    def level(self, before: Level) -> Level:
        """The level now, after `before`."""
        if self.left <= self.strained or (before == "strained" and self.left < self.strained + self.step):
            return "strained"
        if self.left <= self.tight or (before != "ok" and self.left < self.tight + self.step):
            return "tight"
        return "ok"


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that runs out."""

    thing: Thing
    level: Level
    message: str
    hint: str


class Pressure(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands. `causes`: the worst first; none when all is well."""

    level: Level = "ok"
    since: int = 0  # unix ms, of this level
    causes: Sequence[Cause] = ()

    @property
    def takes_uploads(self) -> bool:
        return self.level == "ok"

    @property
    def begins_media(self) -> bool:
        return self.level != "strained"

    def of(self, thing: Thing) -> Level:
        """The level of one thing."""
        return next((cause.level for cause in self.causes if cause.thing == thing), "ok")

    def refusal(self) -> NoSpace | Unavailable:
        """What a new upload is told: 507 for want of disk, 503 for want of anything else."""
        cause = self.causes[0]
        code, hint = CODES[cause.thing], cause.hint
        if cause.thing in OF_VOLUME:
            return NoSpace(cause.message, code=code, hint=hint)
        busy = Unavailable(cause.message, code=code, hint=hint)
        busy.retry_after_s = BUSY_S
        return busy


def judge(look: Look, before: Pressure, *, now: int) -> Pressure:
    """How it stands after this look. `now`: unix ms."""
    causes = []
    for thing, mark in marks(look).items():
        level = mark.level(before.of(thing))
        if level != "ok":
            causes.append(Cause(thing=thing, level=level, message=_message(thing, look), hint=_HINTS[thing]))
    causes.sort(key=lambda cause: -RANK[cause.level])  # of the same level as they stand in THINGS
    level = causes[0].level if causes else "ok"
    since = before.since if level == before.level else now
    return Pressure(level=level, since=since, causes=causes)


def marks(look: Look) -> dict[Thing, Mark]:
    """Of everything that the system tells something about."""
    step = max(_LEAST_STEP_BYTES, look.floor_bytes // 4)
    room = look.free_bytes - look.promised_bytes - look.floor_bytes
    found: dict[Thing, Mark] = {"space": Mark(left=room, tight=look.floor_bytes // 4, strained=0, step=step)}
    if look.names is not None:
        found["names"] = Mark(left=look.names, tight=1000, strained=200, step=500)
    if look.database_bytes is not None:  # the reserve lies with the media, and is of no help there
        tight = look.floor_bytes // 2
        found["database"] = Mark(left=look.database_bytes, tight=tight, strained=tight // 2, step=step)
    if look.database_names is not None:
        found["database_names"] = Mark(left=look.database_names, tight=100, strained=20, step=50)
    found["log"] = Mark(left=LOG_MOST_BYTES - look.log_bytes, tight=96 << 20, strained=0, step=16 << 20)
    if look.memory_bytes is not None and look.memory_limit_bytes is not None:
        tight = min(look.memory_limit_bytes // 16, _MEMORY_TIGHT_BYTES)
        found["memory"] = Mark(left=look.memory_bytes, tight=tight, strained=tight // 2, step=tight // 2)
    if look.stalled_percent is not None:
        found["stall"] = Mark(left=100 - look.stalled_percent, tight=80, strained=60, step=10)
    if look.files is not None:
        found["files"] = Mark(left=look.files, tight=128, strained=48, step=64)
    return found


def _message(thing: Thing, look: Look) -> str:
    match thing:
        case "space":
            promised = f", {_mb(look.promised_bytes)} of that are promised to uploads" if look.promised_bytes else ""
            return (
                f"The volume is nearly full: {_mb(look.free_bytes)} are free{promised}, "
                f"and {_mb(look.floor_bytes)} are kept {'free' if look.database_bytes else 'for the database'}."
            )
        case "names":
            return f"The volume can hold only {look.names} more files, however small."
        case "database":
            return f"The database's own volume is nearly full: {_mb(look.database_bytes or 0)} are free."
        case "database_names":
            return f"The database's own volume can hold only {look.database_names} more files, however small."
        case "log":
            return f"The database's log has grown to {_mb(look.log_bytes)} and cannot be folded."
        case "memory":
            assert look.memory_bytes is not None
            assert look.memory_limit_bytes is not None
            left, of = _mb(look.memory_bytes), _mb(look.memory_limit_bytes)
            return f"Memory is nearly used up: {left} of {of} can still be had."
        case "stall":
            return f"Everything waited for memory {look.stalled_percent:.0f} % of the last ten seconds."
        case "files":
            return f"Only {look.files} more files or connections can be open."


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size < 10**9 else f"{size / 1e9:.1f} GB"


CODES: Mapping[Thing, str] = {
    "space": "no_space",
    "names": "no_space",
    "database": "no_space",
    "database_names": "no_space",
    "log": "no_space",
    "memory": "low_memory",
    "stall": "low_memory",
    "files": "too_many_files",
}
_HINTS: Mapping[Thing, str] = {
    "space": "Delete takes that are done with, keep them for a shorter time (source_keep_s, segment_keep_s), "
    "or enlarge the volume.",
    "names": "Delete takes that are done with, or make the volume's file system anew with more inodes.",
    "database": "Enlarge the file system of database_dir, or see what else fills it: takes lie on the other one.",
    "database_names": "See what fills the file system of database_dir, or make it anew with more inodes.",
    "log": "Make room on the volume if it is full; else end what reads the database for long, or start anew.",
    "memory": "It passes when what is worked on ends. If it comes again and again: a larger machine, fewer uploads at "
    "once (max_uploads), or less for media (child_memory_bytes).",
    "stall": "It passes when what is worked on ends. If it comes again and again: a larger machine, fewer uploads at "
    "once (max_uploads), or less for media (child_memory_bytes).",
    "files": "It passes when connections end. If it comes again and again: raise the limit of open files "
    "(ulimit -n), or allow fewer uploads at once (max_uploads).",
}
