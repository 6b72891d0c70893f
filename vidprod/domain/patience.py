"""Patience: how long a publication waits before it is tried or looked at again, how often, and when it is enough.

Each step has a few quick tries, as far apart as its platform likes; after those it goes on slowly until its time is
over, because a platform that is down for twenty minutes is no reason to lose a post. Everything here is pure.
"""

from collections.abc import Mapping
from typing import Literal

from vidprod.domain.account import Platform
from vidprod.domain.task import vary

Step = Literal["begin", "send", "publish"]

SLOWLY_S = 300.0  # between two tries after the quick ones
NEW_HANDLES = 2  # after the first, by itself
BLIND_PUBLISHES = 2  # the call that makes public, again, after reading said twice that it did nothing
MOST_REFUSALS = 5  # readings that say "not public" after the platform blocked the call: eight minutes
UPLOAD_S = 3600.0
SLOWEST_BYTES_PER_S = 64 << 10  # of an uplink: what takes longer has failed
SETTLES_S = 600.0  # what is live may have its address so much later
LOST_HANDLE_S = 4200.0  # life of TikTok's upload address, and some: without bytes nothing comes of it

_PROCESSING_S: Mapping[Platform, float] = {"youtube": 3600.0, "tiktok": 1800.0, "instagram": 1800.0}
_TRIES_S: Mapping[tuple[Platform, Step], tuple[float, ...]] = {
    ("youtube", "begin"): (2, 4, 8),
    ("youtube", "send"): (1, 2, 4, 8, 16, 32, 64, 64, 64, 64),
    ("tiktok", "begin"): (60,),
    ("tiktok", "send"): (2, 4, 8),
    ("instagram", "begin"): (5, 15, 45),
    ("instagram", "send"): (15, 30, 45),
    ("instagram", "publish"): (30, 30),
}
_UNKNOWN_S = (5.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 3 * 3600.0, 6 * 3600.0)


def retry_ms(platform: Platform, step: Step, failures: int, *, retry_after_s: float | None, jitter: float) -> int:
    """Until the next try of a step that failed.

    Args:
        failures: in a row, with this one: 1, 2, …
        retry_after_s: as the platform asked: never sooner.
        jitter: from 0 up to 1.
    """
    quick = _TRIES_S.get((platform, step), ())
    seconds = quick[failures - 1] if 0 < failures <= len(quick) else SLOWLY_S
    return max(vary(seconds * 1000, jitter), int((retry_after_s or 0) * 1000))


def quick_tries(platform: Platform, step: Step) -> int:
    """How many follow each other quickly."""
    return len(_TRIES_S.get((platform, step), ()))


def poll_ms(elapsed_ms: int, *, jitter: float) -> int:
    """Until the next look at what a platform processes: 5 s at first, then growing with what it has taken, to 60 s."""
    return vary(min(60_000, max(5_000, elapsed_ms // 4)), jitter)


def unknown_ms(looks: int, *, jitter: float) -> int:
    """Until the next look at what may be public, after `looks` of them: from 5 s to 6 h."""
    return vary(_UNKNOWN_S[min(looks, len(_UNKNOWN_S) - 1)] * 1000, jitter)


def upload_deadline(size: int, *, bytes_per_s: int, now: int) -> int:
    """When an upload that begins now has failed, unix ms.

    Args:
        bytes_per_s: the limit for all uploads together; 0: none.
    """
    pace = min(SLOWEST_BYTES_PER_S, bytes_per_s / 4) if bytes_per_s else SLOWEST_BYTES_PER_S
    return now + int(max(UPLOAD_S, size / pace) * 1000)


def processing_deadline(platform: Platform, *, due_at: int, now: int) -> int:
    """When it is not known any more what becomes of what was sent, unix ms. A platform that was handed the time keeps
    it until then."""
    return max(now, due_at) + processing_ms(platform)


def processing_ms(platform: Platform) -> int:
    return int(_PROCESSING_S[platform] * 1000)
