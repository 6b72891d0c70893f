"""A notification: what a person is told on a phone or a desk while the page is closed, and the browsers that asked.

pending → sent | failed. Events of one tag that come before it is sent become one notification, with their number. The
words are few and hold no secret: they lie on a locked screen.
"""

from typing import Any, Literal

import msgspec

from vidprod.domain.event import Event
from vidprod.domain.post import NAMES
from vidprod.domain.user import OWNER_ID

Kind = Literal["made", "failed", "published", "refused", "unclear", "missed", "asks", "account", "entrance", "test"]
NotificationState = Literal["pending", "sent", "failed"]

MOST_AN_HOUR = 20  # to one browser
FOR_URGENT = 5  # of them, for what somebody has to do something about
GATHER_S = 5.0  # what comes within it and has the same tag is told at once
KEEP_S = 86_400  # those that are over, to count them
GAPS_S = (60.0, 300.0, 900.0, 3600.0)  # after failed attempts; then each hour, until it is no news any more
LONGEST_HOLD_S = 6 * 3600.0  # of what a push service may ask for
MOST_SUBSCRIPTIONS = 20

_URGENT: frozenset[Kind] = frozenset({"refused", "unclear", "missed", "asks", "account", "entrance", "test"})
AT_ONCE: frozenset[Kind] = frozenset({"entrance", "test"})  # who came in must not have the time to stop it
_NEWS_S, _URGENT_S = 12 * 3600, 3 * 86_400  # for so long it is worth telling
_LINE = 120  # characters of a body
_TITLE = 60

_KINDS: dict[str, Kind] = {
    "job.completed": "made",
    "job.failed": "failed",
    "publication.published": "published",
    "publication.rejected": "refused",
    "publication.unknown": "unclear",
    "publication.missed": "missed",
    "publication.waiting": "asks",
    "account.needs_reauth": "account",
    "account.expiring": "account",
    **dict.fromkeys(
        (
            *("owner.created", "owner.forgotten", "owner.password_changed", "owner.signed_in", "owner.code_refused"),
            *("owner.authenticator_on", "owner.authenticator_off", "owner.recovery_codes_changed"),
            *("key.created", "key.rotated"),
        ),
        "entrance",
    ),
}
_ENTRANCES = {  # what happened, and what to do if that was somebody else
    "owner.created": ("There is an owner now", "set another password with `vidprod owner`, on the machine"),
    "owner.forgotten": ("There is no owner any more", "see who has the machine"),
    "owner.password_changed": ("The password was changed", "set another with `vidprod owner`, on the machine"),
    "owner.signed_in": ("Signed in with a new device", "sign it out, and change the password"),
    "owner.code_refused": ("A wrong code, after the right password", "change the password: somebody has it"),
    "owner.authenticator_on": ("Codes of an authenticator are asked for now", "forget it with `vidprod owner`"),
    "owner.authenticator_off": ("No codes are asked for any more", "change the password"),
    "owner.recovery_codes_changed": ("There are new recovery codes", "change the password, and make others"),
    "key.created": ("There is a new key", "revoke it"),
    "key.rotated": ("A key was rotated", "revoke it"),
}
_ASKING = frozenset({"approval", "hold"})  # of what a publication waits for, what only a person ends


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `subscription`, without its address and keys, which are secrets. Times are unix milliseconds."""

    id: str
    user_id: str = OWNER_ID
    hash: str  # SHA-256 of its address
    host: str  # of the push service
    label: str = ""
    created_at: int
    pushed_at: int | None = None
    failures: int = 0
    held_until: int | None = None


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed of a subscription: where to, and for whom."""

    endpoint: str
    p256dh: str
    auth: str


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `notification`. Times are unix milliseconds."""

    id: str
    subscription_id: str
    tag: str
    kind: Kind
    count: int = 1
    urgent: bool
    data: dict[str, Any]
    state: NotificationState = "pending"
    attempt: int = 0
    run_at: int
    expires_at: int
    created_at: int
    finalized_at: int | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What the browser shows, and where a tap leads to."""

    title: str
    body: str
    url: str
    tag: str


def kind_of(event: Event) -> Kind | None:
    """What a person is told of it; None: nothing."""
    kind = _KINDS.get(event.type)
    if event.type == "owner.signed_in" and not event.data.get("new_device"):
        return None
    return None if kind == "asks" and event.data.get("code") not in _ASKING else kind


def tag_of(kind: Kind, event: Event) -> str:
    """What is told at once."""
    if kind == "entrance":
        return event.type
    about = event.data.get("account_id") if kind == "account" else event.job_id
    return f"{kind}-{about or ''}" if kind not in ("missed", "asks") else kind


def is_urgent(kind: Kind) -> bool:
    return kind in _URGENT


def lives_s(kind: Kind) -> int:
    """For so long it is worth telling."""
    return _URGENT_S if is_urgent(kind) else _NEWS_S


def gap_s(attempt: int, *, spread: float, retry_after_s: float | None) -> float:
    """Seconds after failed attempt `attempt` (1, 2, …). `spread`: from 0 to 1, for a tenth of jitter."""
    gap = GAPS_S[min(attempt, len(GAPS_S)) - 1] * (1 + 0.1 * spread)
    return max(gap, min(retry_after_s or 0.0, LONGEST_HOLD_S))


def message_of(notification: Notification) -> Message:
    """In words."""
    data, many = notification.data, notification.count
    title, body, place = _words(notification.kind, data, many)
    return Message(title=_cut(title, _TITLE), body=_cut(body, _LINE), url=f"/#{place}", tag=notification.tag)


def _words(kind: Kind, data: dict[str, Any], many: int) -> tuple[str, str, str]:
    take = data.get("take") or "A take"
    where = NAMES.get(data.get("platform", ""), "the platform")
    part = f"Part {data['part']} of {take}" if data.get("part") else take
    match kind:
        case "made":
            count = data.get("segments", 0)
            made = f"{count} segment{'' if count == 1 else 's'}"
            return (
                f"{take} is ready to review" if data.get("review") else f"{take} is ready",
                f"{made} made.",
                "takes",
            )
        case "failed":
            return f"{take} could not be made", data.get("reason", ""), "takes"
        case "published":
            if many > 1:
                return f"{many} posts are out", f"{part} was the last of them.", "calendar"
            return f"Published on {where}", part, "calendar"
        case "refused":
            more = f" and {many - 1} more" if many > 1 else ""
            return f"{where} refused a post", f"{part}{more}. {data.get('reason', '')}", "calendar"
        case "unclear":
            return f"Is it on {where}?", f"{part}: no answer came. Have it looked at again.", "calendar"
        case "missed":
            title = f"{many} posts missed their time" if many > 1 else "A post missed its time"
            return title, f"{part}. Send it now, or choose another time.", "calendar"
        case "asks":
            title = f"{many} posts wait for you" if many > 1 else "A post waits for you"
            return title, f"{part}. {data.get('reason', '')}", "calendar"
        case "account":
            name = data.get("name") or where
            return f"{name} has to be connected again", f"Nothing goes to {where} until then.", "accounts"
        case "entrance":
            title, otherwise = _ENTRANCES[data["what"]]
            named = f"{data['name']}: " if data.get("name") else ""
            more = f"{many} times. " if many > 1 else ""
            return title, f"{named}{more}If that was not you, {otherwise}.", "security"
        case "test":
            return "Notifications work", "This is what they look like.", "takes"


def _cut(text: str, characters: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= characters else line[: characters - 1].rstrip() + "…"
