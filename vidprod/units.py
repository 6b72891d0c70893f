"""Sizes and durations as people write and read them: 512 MiB, 24h, 14 days."""

import re

_DAY_S = 86400
_SHOWN_BYTES = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10}
_SHOWN_SECONDS = {"days": _DAY_S, "h": 3600, "min": 60}
_BYTES = {"": 1, "b": 1, "tib": 1 << 40, **{unit.lower(): scale for unit, scale in _SHOWN_BYTES.items()}}
_BYTES |= {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": _DAY_S, "day": _DAY_S, "days": _DAY_S}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|days|day|d)\s*")


def read_bytes(text: str) -> int | None:
    """A size: "512MiB", "1.5 gb" or "700000000"; None when it is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in _BYTES:
        return None
    number, scale = found[1], _BYTES[found[2]]
    return round(float(number) * scale) if "." in number else int(number) * scale


def read_seconds(text: str) -> float | None:
    """A duration with its units, "24h" or "1h30m", in seconds; None when it is none."""
    text = text.strip().lower()
    if re.fullmatch(rf"(?:{_PART.pattern})+", text) is None:
        return None
    total = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    return int(total) if total == int(total) else total


def show_bytes(size: int) -> str:
    """In the largest unit that leaves a whole number."""
    for unit, scale in _SHOWN_BYTES.items():
        if size and size % scale == 0:
            return f"{size // scale} {unit}"
    return f"{size} B"


def show_seconds(duration_s: float) -> str:
    """In the largest unit that leaves a whole number, of two at least: 90 min, but 60 s."""
    for unit, scale in _SHOWN_SECONDS.items():
        if duration_s >= 2 * scale and duration_s % scale == 0:
            return f"{int(duration_s // scale)} {unit}"
    return f"{duration_s:g} s"
