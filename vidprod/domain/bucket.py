"""Token buckets: so many at once, refilled at an even pace; for as many clients as there is room to remember."""

import math
from collections import OrderedDict

import msgspec

MOST = 4096  # clients that are remembered for each rule: about a megabyte


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """`quota` in `window_s` seconds in the long run, and up to `burst` at once."""

    quota: float
    window_s: float
    burst: int

    @property
    def pace_s(self) -> float:
        """From one token to the next."""
        return self.window_s / self.quota


class Buckets:
    """A bucket for each client, by one rule.

    Of each only the moment is kept at which it will be full again: what it holds follows from that, and one that is
    full need not be kept at all. When there are too many the one that was longest unused is forgotten, and is full for
    who comes back: so a flood of addresses must not share a rule with what a single account is guarded by.
    Source: the virtual scheduling form of the generic cell rate algorithm, ITU-T I.371.
    """

    def __init__(self, rule: Rule, *, most: int = MOST) -> None:
        self.rule = rule
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: str, *, now_s: float) -> float:
        """Take a token: 0, or when there is none, after how many seconds there will be one."""
        if wait_s := self.wait_s(key, now_s=now_s):
            self._full_at.move_to_end(key)  # who goes on trying is not forgotten
            return wait_s
        self._full_at[key] = max(now_s, self._full_at.get(key, 0.0)) + self.rule.pace_s
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return 0.0

    def wait_s(self, key: str, *, now_s: float) -> float:
        """As `take`, without taking one."""
        spent_s = max(0.0, self._full_at.get(key, 0.0) - now_s)
        over_s = spent_s + self.rule.pace_s - self.rule.burst * self.rule.pace_s
        return over_s if over_s > 1e-6 else 0.0

    def left(self, key: str, *, now_s: float) -> int:
        """Whole tokens that are there."""
        spent_s = max(0.0, self._full_at.get(key, 0.0) - now_s)
        return max(0, math.floor(self.rule.burst - spent_s / self.rule.pace_s + 1e-6))

    def full_in_s(self, key: str, *, now_s: float) -> float:
        """Until it is full."""
        return max(0.0, self._full_at.get(key, 0.0) - now_s)
