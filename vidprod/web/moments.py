"""Moments as the API shows them."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import overload


@overload
def moment(at_ms: int) -> str: ...
@overload
def moment(at_ms: int | None) -> str | None: ...
def moment(at_ms: int | None) -> str | None:
    """Unix milliseconds as RFC 3339 in UTC; of none, none."""
    return None if at_ms is None else _shown(at_ms)


@lru_cache(maxsize=10_000)  # most moments of a calendar are shown twice
def _shown(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
