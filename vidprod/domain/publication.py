"""A publication: one segment going to one account at one time.

scheduled → uploading → processing → published
    │           │            ├─────→ rejected      (retry → scheduled, with a new handle)
    │           ├────────────┤
    │           └────────────┴─────→ unknown  →  uploading, processing, published, rejected, scheduled
    └──→ cancelled                                (only by reading the platform, or by somebody who looked there)

`run_at` is when the publisher looks at it next; a publication that waits for something says for what (`wait`). Before
each call that cannot be taken back, `phase` is on disk; a phase without its end is what a crash or a lost answer
leaves, and is resolved by reading the platform, never by calling again.
"""

from typing import Literal, Self, cast, get_args
from urllib.parse import urlsplit

import msgspec

from vidprod.domain.account import Platform
from vidprod.domain.post import Post
from vidprod.errors import PlatformError

PublicationState = Literal["scheduled", "uploading", "processing", "published", "rejected", "cancelled", "unknown"]
Phase = Literal["begin", "send", "publish"]
When = Literal["now", "at", "slot"]
ErrorKind = Literal["RETRY", "REFRESH", "REAUTH", "QUOTA", "FIX", "POLICY", "NEWHANDLE", "RECONCILE"]

STATES: tuple[PublicationState, ...] = get_args(PublicationState)
OVER: frozenset[str] = frozenset({"published", "rejected", "cancelled"})
ACTIVE: frozenset[str] = frozenset({"uploading", "processing", "unknown"})  # something of it is at the platform

BY_HAND_MS = 2 * 3_600_000  # so long only the platform is asked: what is found by it needs nobody

_HOSTS: dict[Platform, tuple[str, ...]] = {
    "youtube": ("youtube.com", "youtu.be"),
    "tiktok": ("tiktok.com",),
    "instagram": ("instagram.com",),
}
_BEFORE_PUBLIC = frozenset({"paused", "quota", "retry", "missed"})  # what processing waits for so is not public yet
_AT_ITS_TIME = frozenset({"handed", "moving"})  # the platform keeps its time


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Why a publication does not move: a code for programs, a sentence, and until when.

    Codes: approval, paused, reauth, missed, quota, cap, gap, retry, processing, unknown, hold; and of
    what a platform was handed with its time (`handed.py`): handed, moving, withdrawing.
    """

    code: str
    message: str
    until: int | None = None  # unix ms; None: until somebody does something


class PublicationError(msgspec.Struct, frozen=True, kw_only=True):
    """How one attempt ended: in our class, the platform's code and the platform's own words."""

    at: int  # unix ms
    step: str  # begin, send, publish, state, move, refresh
    kind: ErrorKind
    code: str
    message: str
    trace: str = ""  # log_id, fbtrace_id

    @classmethod
    def of(cls, error: PlatformError, *, step: str, at: int) -> Self:
        """As it is kept."""
        kind = cast(ErrorKind, error.kind) if error.kind in get_args(ErrorKind) else "RETRY"
        return cls(at=at, step=step, kind=kind, code=error.code, message=error.in_words, trace=error.trace)


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `publication`, without its handle, which is a secret. Times are unix milliseconds."""

    id: str
    segment_id: str
    job_id: str
    account_id: str
    platform: Platform
    state: PublicationState
    post: Post
    when: When
    due_at: int  # when it shall go out
    run_at: int  # when the publisher looks at it next
    needs_approval: bool = False
    approved_at: int | None = None
    missed_at: int | None = None  # it came due while nobody could publish it; somebody is asked
    wait: Wait | None = None
    phase: Phase | None = None
    attempt: int = 0  # handles begun
    failures: int = 0  # in a row, of the present step
    errors: list[PublicationError] = []  # the last 20
    sha256: str = ""  # of the file that is sent, fixed when its handle is begun
    size: int = 0
    said: str = ""  # the platform's own words for how it is doing
    privacy_seen: str = ""
    remote_id: str | None = None
    url: str | None = None
    deadline_at: int | None = None  # of uploading and processing: then it is unknown
    created_at: int
    published_at: int | None = None
    finalized_at: int | None = None


def why_not_cancel(publication: Publication) -> str | None:
    """Why a publication cannot be taken back, in words; None: nothing of it can be public, so it can."""
    if publication.state in OVER:
        return f"it is {publication.state}"
    if publication.state == "scheduled" or publication.phase == "begin":
        return None
    if publication.state == "uploading":
        return None if publication.phase is None else "its bytes are on their way: pause the account first"
    if publication.state == "processing" and publication.wait is not None and publication.wait.code in _BEFORE_PUBLIC:
        return None  # it was sent, and the call that would have made it public was not made, or was refused
    if publication.state == "unknown":
        return "it may be public: have it looked at again, or look yourself"
    return "the platform has all of it: take it down there"


def is_handed_over(publication: Publication) -> bool:
    """Whether its platform was handed it with its time, and is told of another, or of none."""
    return publication.state == "processing" and publication.wait is not None and publication.wait.code in _AT_ITS_TIME


def is_to_be_told(publication: Publication) -> bool:
    """Whether its platform has yet to be told that it shall go public at another time, or not at all."""
    return publication.wait is not None and publication.wait.code in ("moving", "withdrawing")


def lies_there(publication: Publication) -> bool:
    """Whether it was handed over and goes public at a time that can still be chosen here."""
    if is_handed_over(publication):
        return True
    code = publication.wait.code if publication.wait is not None else ""
    return publication.platform == "youtube" and publication.state == "processing" and code in ("paused", "missed")


def why_not_check(publication: Publication) -> str | None:
    """Why the platform cannot be asked what became of it, in words; None: it can."""
    if publication.state not in ("processing", "unknown"):
        return f"it is {publication.state}"
    if publication.phase == "begin":
        return "what the platform calls it was lost, and nothing was sent: retry it, or wait until it is begun anew"
    return None


def why_not_retry(publication: Publication) -> str | None:
    """Why a publication cannot be begun anew, in words; None: nothing of it is public, so it can."""
    if publication.state == "rejected" or (publication.state == "unknown" and publication.phase == "begin"):
        return None
    if publication.state == "unknown":
        return "it may be public: have it looked at again first"
    if publication.state == "cancelled":
        return "it was cancelled: publish the segment anew"
    return f"it is {publication.state}"


def why_not_settle(publication: Publication, *, unknown_since: int | None, now: int) -> str | None:
    """Why nobody may say yet what they saw at the platform, in words; None: they may.

    Args:
        unknown_since: unix ms; None: for longer than anybody knows.
    """
    if publication.state != "unknown":
        return f"it is {publication.state}"
    if publication.phase == "begin":
        return "nothing was sent: retry it, or wait until it is begun anew"
    if unknown_since is not None and now - unknown_since < BY_HAND_MS:
        minutes = -(-(BY_HAND_MS - (now - unknown_since)) // 60_000)
        return f"the platform itself may still tell: that is waited for, {minutes} minutes more"
    return None


def is_address_at(platform: Platform, url: str) -> bool:
    """Whether it can be the address of a post there."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    at_home = any(host == one or host.endswith(f".{one}") for one in _HOSTS[platform])
    return parts.scheme == "https" and at_home and parts.username is None and len(parts.path) > 1
