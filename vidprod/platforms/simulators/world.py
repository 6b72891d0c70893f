"""The world of the simulators: its clock, its dice, and the faults that were asked for.

Every simulator asks `world.fault("youtube.put")` at the points where its platform can fail, by the names of its
`FAULTS`; a fault that was ordered is used up, and by chance (seeded) others come. The same seed, asked in the same
order, fails in the same places.
"""

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Broken(Exception):
    """The connection ends here, without an answer. What was done before stays done."""


@dataclass(frozen=True)
class Fault:
    """One failure: what happens, and with what."""

    name: str  # of the simulator's list: "lost_answer", "quotaExceeded"
    value: Any = None


@dataclass(frozen=True, kw_only=True)
class Posted:
    """One clip that got to an account: what doubles are counted by."""

    platform: str
    account: str  # as the platform names it
    remote_id: str
    sha256: str  # of the bytes that were received
    title: str  # or caption
    at: int  # unix ms of the world, when the platform had all of it
    privacy: str = ""  # as people meet it now


@dataclass
class World:
    """Shared by the simulators of one process."""

    speed: float = 1.0
    since: int | None = None  # unix ms of the wall at which both clocks agree
    seed: int = 0
    chance: float = 0.0  # of a fault at each point where one can happen
    base_url: str = "http://simulators"  # the addresses they give out begin with it, then the host's name
    wall: Callable[[], int] = _wall_ms
    ordered: dict[str, deque[Fault]] = field(default_factory=dict)
    happened: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._since = self.wall() if self.since is None else self.since

    def now(self) -> int:
        """Unix ms of the world."""
        wall = self.wall()
        return wall if self.speed == 1 else self._since + int((wall - self._since) * self.speed)

    def order(self, point: str, *faults: Fault | str) -> None:
        """The next calls that come by `point` fail so, one after the other."""
        wanted = [Fault(fault) if isinstance(fault, str) else fault for fault in faults]
        self.ordered.setdefault(point, deque()).extend(wanted)

    def fault(self, point: str, by_chance: Iterable[str] = ()) -> Fault | None:
        """What goes wrong here and now, if anything.

        Args:
            by_chance: names of faults that dice may choose here.
        """
        waiting = self.ordered.get(point)
        fault = waiting.popleft() if waiting else None
        if fault is None and self.chance and (names := list(by_chance)) and self._dice.random() < self.chance:
            fault = Fault(self._dice.choice(names))
        if fault is not None:
            self.happened[f"{point}:{fault.name}"] += 1
        return fault

    def url(self, address: str) -> str:
        """An https address as it is given out: below `base_url`."""
        return f"{self.base_url}/{address.removeprefix('https://')}"

    def token(self, prefix: str = "") -> str:
        """A secret of the world: looks like one, and is the same for the same seed."""
        return prefix + self._dice.randbytes(24).hex()

    def number(self, digits: int) -> int:
        """An id."""
        return self._dice.randrange(10 ** (digits - 1), 10**digits)
