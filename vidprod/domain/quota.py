"""Quotas: how many publications a platform takes in which window, counted here before it is asked, and when there is
room again. Everything here is pure; times are unix milliseconds.

YouTube     100 uploads a day of a Google project, whatever its channels, and 10,000 units for all else that is asked;
            anew at midnight Pacific time
TikTok      10 posts in 24 hours of an account (it takes about 15 of all apps together), and 6 begun in a minute
Instagram   400 containers in 24 hours of an account; how many posts it takes it tells itself

Sources: developers.google.com/youtube/v3 (quota cost), developers.tiktok.com (Content Posting API),
developers.facebook.com (content publishing).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from vidprod.domain.account import Platform
from vidprod.errors import PlatformError

_MINUTE_MS = 60_000
DAY_MS = 24 * 60 * _MINUTE_MS
PACIFIC = "America/Los_Angeles"  # where YouTube's day ends
SPAM_CODE = "2207051"  # Instagram: "action blocked"; it wants to be left alone for a day
UNITS = "youtube:units"
_UNITS_KEPT = 1_000  # for what is under way: to learn what became of it, and to take it back
_CAUTIOUS_MS = 60 * _MINUTE_MS  # a quota of which nobody says when it is anew

# of YouTube's codes, those of the Google project and so of all its channels; the others are the channel's own
_OF_PROJECT = frozenset({"quotaExceeded", "dailyLimitExceeded", "rateLimitExceeded"})


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """So many units of a bucket in a window."""

    bucket: str
    most: int
    window: int | Literal["day"]  # milliseconds that roll, or a day of Pacific time
    words: str  # what is used up
    begun: bool = True  # each publication that is begun counts one


def posts_of(platform: Platform, account_id: str) -> str:
    """The bucket that counts what is begun for an account."""
    return f"{platform}:{account_id}:posts"


def quotas_of(platform: Platform, account_id: str) -> list[Quota]:
    """What a publication to this account counts against."""
    posts = posts_of(platform, account_id)
    if platform == "youtube":
        return [
            Quota(
                bucket="youtube:uploads",
                most=100,
                window="day",
                words="the 100 uploads a day of this Google project are used",
            ),
            Quota(
                bucket=UNITS,
                most=10_000 - _UNITS_KEPT,
                window="day",
                words="of the 10,000 units a day of this Google project the rest is for what is under way",
                begun=False,
            ),
        ]
    if platform == "tiktok":
        return [
            Quota(
                bucket=f"tiktok:{account_id}:begun", most=6, window=_MINUTE_MS, words="TikTok takes 6 posts a minute"
            ),
            Quota(bucket=posts, most=10, window=DAY_MS, words="10 posts in 24 hours went to this TikTok account"),
        ]
    return [
        Quota(bucket=posts, most=400, window=DAY_MS, words="Instagram takes 400 containers in 24 hours"),
    ]


def buckets_of(platform: Platform, account_id: str) -> list[str]:
    """Each bucket that a publication counts in, once."""
    counts = (quota.bucket for quota in quotas_of(platform, account_id) if quota.begun)
    return sorted({posts_of(platform, account_id), *counts})


def units_of(platform: Platform, step: str) -> int:
    """What a question to the platform costs of `UNITS`: "state" reads a video, "move" reads its status and writes it.

    A session's own answers cost nothing; they are counted as reads, which errs on the safe side.
    """
    return {"state": 1, "move": 51}.get(step, 0) if platform == "youtube" else 0


def given_back(platform: Platform, account_id: str) -> list[str]:
    """The buckets in which a begin that was refused does not count after all."""
    return [posts_of(platform, account_id)] if platform == "tiktok" else []


def window_start(quota: Quota, now: int) -> int:
    """From when on units count."""
    return _midnight(now) if quota.window == "day" else now - quota.window + 1


def free_at(quota: Quota, used: Sequence[int], now: int) -> int | None:
    """When there is room for one more; None: now.

    Args:
        used: when each unit was used, since `window_start`, the oldest first.
    """
    used = [at for at in used if window_start(quota, now) <= at <= now]
    if len(used) < quota.most:
        return None
    return next_midnight(now) if quota.window == "day" else used[-quota.most] + quota.window


def parked_until(platform: Platform, error: PlatformError, now: int) -> int:
    """Until when a platform wants nothing after it said that a quota is used up."""
    if error.until is not None:
        return max(error.until, now + _MINUTE_MS)
    if error.retry_after_s is not None:
        return now + int(error.retry_after_s * 1000)
    if platform == "youtube" and is_of_project(platform, error):
        return next_midnight(now)
    return now + (_CAUTIOUS_MS if platform == "instagram" else DAY_MS)


def is_of_project(platform: Platform, error: PlatformError) -> bool:
    """Whether the quota is that of the whole installation, and so every account of the platform waits."""
    return platform == "youtube" and error.code in _OF_PROJECT


def next_midnight(now: int) -> int:
    """When the present day of Pacific time ends."""
    return _at_midnight(_pacific(now) + timedelta(days=1))


def _midnight(now: int) -> int:
    return _at_midnight(_pacific(now))


def _pacific(now: int) -> datetime:
    return datetime.fromtimestamp(now / 1000, UTC).astimezone(ZoneInfo(PACIFIC))


def _at_midnight(moment: datetime) -> int:
    """Of its day on the wall, which may have 23 or 25 hours."""
    return int(datetime.combine(moment.date(), time(), ZoneInfo(PACIFIC)).timestamp()) * 1000
