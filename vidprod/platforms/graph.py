"""The Graph API as both Instagram logins speak it: answers, errors and their classes, and how much of a budget is used.

Sources: Meta, "Handle errors" of the Graph API; "Error codes" and "Content publishing" of the Instagram platform; what
is not in them (2207076 to 2207085) was met by others and reported.
"""

import email.utils
import json
import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from vidprod.domain.publication import ErrorKind
from vidprod.errors import PlatformError
from vidprod.platforms.wire import Answer

VERSION = "v26.0"
FACEBOOK = "https://graph.facebook.com"
INSTAGRAM = "https://graph.instagram.com"

DEAD_TOKEN = frozenset({102, 190})
NOT_TO_BE_SEEN = (100, 33)  # there is no such thing, or this token may not see it
ACTION_BLOCKED = 2207051  # also answered where the post went live all the same
NO_SUCH_CONTAINER = 2207008
NOT_READY = 2207027
NEARLY_USED = 80  # per cent of a budget

_RATE = frozenset({4, 17, 32, 341, 613, 80002})
_NOT_GRANTED = frozenset({3, 10, *range(200, 300)})
_RATE_S = 900.0  # where the answer does not say how long
_SLOWLY_S = 300.0
_BLOCKED_S = 24 * 3600.0
_LONGEST_WORDS = 600

_AGAIN = "Connect the account again."
_PERMISSION = "Connect the account again and allow everything that is asked for."
_FETCH = (
    "Instagram could not fetch the file from public_url: it has to be reachable from outside over https, without "
    "redirect, login page or a robots.txt that forbids it."
)

# error_subcode first, then code: a class, and what a person can do about it
_BY_SUBCODE: Mapping[int, tuple[ErrorKind, str]] = {
    2207001: ("RETRY", ""),
    2207003: ("RETRY", _FETCH),
    2207004: ("FIX", "The cover picture is too large."),
    2207005: ("FIX", "The cover picture is in a format Instagram does not take."),
    2207006: ("RECONCILE", ""),
    NO_SUCH_CONTAINER: ("RETRY", ""),
    2207009: ("FIX", "The cover picture has an aspect ratio Instagram does not take."),
    2207010: ("FIX", "Shorten the caption."),
    2207020: ("NEWHANDLE", ""),
    2207023: ("FIX", ""),
    2207026: ("FIX", "Instagram does not take the file's format: make the segment again."),
    NOT_READY: ("RETRY", ""),
    2207028: ("FIX", ""),
    2207032: ("RETRY", ""),
    2207035: ("FIX", ""),
    2207036: ("FIX", ""),
    2207037: ("FIX", ""),
    2207040: ("FIX", "Use fewer hashtags and mentions."),
    2207042: ("QUOTA", ""),
    2207050: ("POLICY", "The account is restricted or inactive: open the Instagram app and follow what it says there."),
    ACTION_BLOCKED: ("POLICY", "Instagram takes it for spam: let the account rest for a day."),
    2207052: ("RETRY", _FETCH),
    2207053: ("NEWHANDLE", ""),
    2207057: ("FIX", "The cover frame has to lie within the segment."),
    2207076: ("NEWHANDLE", ""),
    2207077: ("NEWHANDLE", ""),
    2207081: ("FIX", "The account cannot use trial reels."),
    2207082: ("NEWHANDLE", ""),
    2207085: (
        "FIX",
        "Instagram could not process the video; or, in the business portfolio, nobody has a role on the account.",
    ),
}
_BY_CODE: Mapping[int, tuple[ErrorKind, str]] = {
    -2: ("RETRY", ""),
    -1: ("RETRY", ""),
    1: ("RETRY", ""),
    2: ("RETRY", ""),
    9: ("QUOTA", ""),
    24: ("RECONCILE", ""),
    25: ("POLICY", "Open the Instagram app and follow what it says there."),
    100: ("FIX", ""),
    352: ("FIX", "Instagram does not take the file's format: make the segment again."),
    368: ("POLICY", "Instagram has blocked this for a while: let the account rest."),
    506: ("FIX", "The same was posted before: change the caption."),
    9004: ("RETRY", _FETCH),
    9007: ("RETRY", ""),
    36000: ("FIX", "The cover picture is too large."),
    36001: ("FIX", "The cover picture is in a format Instagram does not take."),
    36003: ("FIX", "The cover picture has an aspect ratio Instagram does not take."),
    36004: ("FIX", "Shorten the caption."),
}
_REAUTH_HINTS: Mapping[int, str] = {
    458: "The application was removed in the account's settings. " + _AGAIN,
    459: "Facebook wants the person to log in there first. " + _AGAIN,
    460: "The password was changed. " + _AGAIN,
    463: "The token has expired. " + _AGAIN,
    464: "Facebook wants the person to confirm their account first. " + _AGAIN,
    492: "The person has no role on the page any more. " + _AGAIN,
}

# of what is tried again: how often it is worth it, where that is less than of others
_TRIES: Mapping[int, int] = {2207001: 2, 2207052: 3}

_CODE_IN_WORDS = re.compile(r"\b(2207\d{3})\b")
_ADDRESS = re.compile(r"(https?://[^\s/?#\"']+)[/?#][^\s\"')]*")
_SECRET = re.compile(r"\b(?:EAA|IG)\w{16,}|\b[\w|-]{48,}")


def ok(answer: Answer) -> bool:
    """Whether it is what was asked for, and not an error in some clothes."""
    return answer.status == 200 and bool(answer.json()) and "error" not in answer.json()


def numbers(answer: Answer) -> tuple[int, int]:
    """`code` and `error_subcode` of an error; 0 for what is not there."""
    error = _error(answer)
    return _int(error.get("code")), _int(error.get("error_subcode"))


def is_dead(answer: Answer) -> bool:
    """Whether the token is not taken any more, or never was."""
    return answer.status == 401 or numbers(answer)[0] in DEAD_TOKEN


def taken(answer: Answer) -> dict[str, Any]:
    """The object of a good answer. Raises PlatformError."""
    if not ok(answer):
        raise error_of(answer)
    return answer.json()


def error_of(answer: Answer) -> PlatformError:
    """What an answer that is no good means; the class by numbers, never by words."""
    error = _error(answer)
    code, subcode = numbers(answer)
    kind, hint = _class(answer, code, subcode)
    return PlatformError(
        _words(error) or f"HTTP {answer.status}",
        kind=kind,
        code=_name(code, subcode) or f"http_{answer.status}",
        hint=hint,
        http_status=answer.status,
        retry_after_s=_wait_s(answer, code, subcode),
        tries=_TRIES.get(subcode),
        trace=str(error.get("fbtrace_id") or ""),
    )


def of_container(words: str) -> tuple[ErrorKind, str, str]:
    """Class and code of a container that failed, by the number in what it says, and what a person can do about it.

    Nothing comes of such a container any more: what would be tried again is tried with a new one.
    """
    found = _CODE_IN_WORDS.search(words)
    if found is None:
        return "NEWHANDLE", "container_error", ""
    kind, hint = _BY_SUBCODE.get(int(found[1]), ("NEWHANDLE", ""))
    return ("NEWHANDLE" if kind in ("RETRY", "RECONCILE") else kind), found[1], hint


def plain(words: str) -> str:
    """Their words, without what looks like a token and without the paths of addresses, which may be signed."""
    return _SECRET.sub("…", _ADDRESS.sub(r"\1/…", words))[:_LONGEST_WORDS]


def at(answer: Answer) -> int:
    """Unix ms by the platform's clock: what is compared with its times is taken from it, not from ours."""
    try:
        return int(email.utils.parsedate_to_datetime(answer.headers.get("date", "")).timestamp()) * 1000
    except ValueError:
        return time.time_ns() // 1_000_000


def objects_of(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def object_of(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def count_of(value: object) -> int:
    """As a number or in digits; 0 where it is none."""
    return int(value) if isinstance(value, (int, str)) and str(value).isdigit() else 0


def time_of(one: Mapping[str, Any]) -> int:
    """Unix ms of its `timestamp`, "2026-11-21T12:00:00+0000"; 0 where it is none."""
    try:
        return int(datetime.strptime(str(one.get("timestamp")), "%Y-%m-%dT%H:%M:%S%z").timestamp()) * 1000
    except ValueError:
        return 0


def used(answer: Answer) -> int:
    """How much of the fullest budget is used, in per cent, by the headers; 0 where they say nothing."""
    budgets = [_header(answer.headers.get("x-app-usage", "")), *_of_business(answer)]
    names = ("call_count", "total_cputime", "total_time")
    return max((_int(budget.get(name)) for budget in budgets for name in names), default=0)


def _class(answer: Answer, code: int, subcode: int) -> tuple[ErrorKind, str]:
    if (code, subcode) == NOT_TO_BE_SEEN:
        return "RETRY", "Instagram does not know it, or does not show it to this token."
    if subcode in _BY_SUBCODE:
        return _BY_SUBCODE[subcode]
    if code in DEAD_TOKEN:
        return "REAUTH", _REAUTH_HINTS.get(subcode, _AGAIN)
    if code in _NOT_GRANTED:
        return "REAUTH", _PERMISSION
    if code in _RATE:
        return "RETRY", ""
    if code in _BY_CODE:
        return _BY_CODE[code]
    if is_dead(answer) or (400 <= answer.status < 500 and "error_type" in answer.json()):
        return "REAUTH", _AGAIN
    return "RETRY", ""


def _error(answer: Answer) -> dict[str, Any]:
    """The error object: as the Graph API has it, or flat, as api.instagram.com has it."""
    told = answer.json()
    error = told.get("error")
    if isinstance(error, dict):
        return error
    if "error_message" in told:  # its `code` is an HTTP status
        return {"message": told["error_message"]}
    return {}


def _words(error: Mapping[str, Any]) -> str:
    title, said = error.get("error_user_title"), error.get("error_user_msg")
    told = [str(part) for part in (title, said) if part]
    return plain(": ".join(told) or str(error.get("message") or ""))


def _name(code: int, subcode: int) -> str:
    return f"{code}/{subcode}" if subcode else str(code) if code else ""


def _wait_s(answer: Answer, code: int, subcode: int) -> float | None:
    if subcode == ACTION_BLOCKED or code == 368:
        return _BLOCKED_S
    if (code, subcode) == NOT_TO_BE_SEEN:
        return _SLOWLY_S
    if subcode == NO_SUCH_CONTAINER:
        return 60.0
    if code in _RATE or answer.status == 429:
        minutes = max((_int(one.get("estimated_time_to_regain_access")) for one in _of_business(answer)), default=0)
        return minutes * 60.0 or _RATE_S
    return None


def _of_business(answer: Answer) -> list[dict[str, Any]]:
    lists = _header(answer.headers.get("x-business-use-case-usage", "")).values()
    return [one for some in lists if isinstance(some, list) for one in some if isinstance(one, dict)]


def _header(text: str) -> dict[str, Any]:
    try:
        return object_of(json.loads(text))
    except ValueError:
        return {}


def _int(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
