"""The Data API v3 as both halves of YouTube speak it: what its answers hold, its errors and their classes.

Sources: developers.google.com/youtube/v3/docs/errors, Google's API description of v3.
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from vidprod.errors import PlatformError
from vidprod.platforms.wire import Answer

API = "https://www.googleapis.com/youtube/v3"
DAY_S = 86_400.0

# by the reason of the first error, developers.google.com/youtube/v3/docs/errors: what is to be done
_ERRORS: Mapping[str, str] = {
    "uploadLimitExceeded": "QUOTA",
    "invalidTitle": "FIX",
    "invalidDescription": "FIX",
    "invalidTags": "FIX",
    "invalidCategoryId": "FIX",
    "invalidVideoMetadata": "FIX",
    "invalidPublishAt": "FIX",
    "invalidFilename": "FIX",
    "invalidRecordingDetails": "FIX",
    "invalidVideoGameRating": "FIX",
    "defaultLanguageNotSet": "FIX",
    "mediaBodyRequired": "FIX",
    "badRequest": "FIX",
    "invalidParameter": "FIX",
    "parseError": "FIX",
    "unexpectedPart": "FIX",
    "unknownPart": "FIX",
    "wrongUrlForUpload": "FIX",
    "authError": "REFRESH",
    "required": "REFRESH",
    "expired": "REFRESH",
    "authorizationRequired": "REFRESH",
    "youtubeSignupRequired": "REAUTH",
    "quotaExceeded": "QUOTA",
    "dailyLimitExceeded": "QUOTA",
    "rateLimitExceeded": "RETRY",
    "userRateLimitExceeded": "RETRY",
    "servingLimitExceeded": "RETRY",
    "forbidden": "REAUTH",
    "insufficientPermissions": "REAUTH",
    "accessNotConfigured": "FIX",
    "forbiddenPrivacySetting": "FIX",
    "forbiddenLicenseSetting": "FIX",
    "authenticatedUserAccountSuspended": "POLICY",
    "authenticatedUserAccountClosed": "POLICY",
    "channelSuspended": "POLICY",
    "channelClosed": "POLICY",
    "authenticatedUserNotChannel": "REAUTH",
    "videoNotFound": "RECONCILE",
    "uploadTooLarge": "FIX",
    "requestedRangeNotSatisfiable": "RECONCILE",
    "uploadRateLimitExceeded": "RETRY",
    "internalError": "RETRY",
    "backendError": "RETRY",
    "notReady": "RETRY",
}
# where no known reason is given; 404 and 410 without one are a session's
_STATUSES: Mapping[int, str] = {
    400: "FIX",
    401: "REFRESH",
    403: "FIX",
    404: "NEWHANDLE",
    408: "RETRY",
    410: "NEWHANDLE",
    413: "FIX",
    416: "RECONCILE",
    429: "RETRY",
}
HINTS: Mapping[str, str] = {
    "uploadLimitExceeded": "YouTube limits how much a channel uploads in a day, apart from any quota.",
    "quotaExceeded": "The quota of this Google project is used up; it is anew at midnight Pacific time.",
    "dailyLimitExceeded": "The quota of this Google project is used up; it is anew at midnight Pacific time.",
    "youtubeSignupRequired": "The Google account has no YouTube channel: make one, then connect again.",
    "accessNotConfigured": "Enable the YouTube Data API v3 for this project in the Google Cloud console.",
    "insufficientPermissions": "Connect the account again, and leave every permission ticked.",
    "invalid_grant": "It was revoked, unused for six months, or made 7 days ago for a project in testing.",
    "invalid_rapt": "The organisation of this Google account wants a new sign-in now and then.",
    "rapt_required": "The organisation of this Google account wants a new sign-in now and then.",
    "invalid_client": "Check youtube_client_id and youtube_client_secret.",
    "redirect_uri_mismatch": "Enter the redirect address at the OAuth client in the Google Cloud console.",
}


def error_of(answer: Answer) -> PlatformError:
    """What an answer of the Data API or of an upload session that is no success says, and what is to be done."""
    error = part_of(answer.json(), "error")
    errors = error.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    reason = str(first.get("reason") or error.get("status") or "")
    message = str(error.get("message") or first.get("message") or f"YouTube answered {answer.status}.")
    kind = _ERRORS.get(reason) or _STATUSES.get(answer.status) or ("RETRY" if answer.status >= 500 else "FIX")
    retry_after_s = _seconds(answer.headers.get("Retry-After"))
    if reason == "rateLimitExceeded" and "per day" in message:
        kind = "QUOTA"  # uploads have a quota of their own, and only its words tell it from a burst
    elif reason == "uploadLimitExceeded":
        retry_after_s = DAY_S
    elif answer.status == 400 and not error and b"Content-Range" in answer.body:
        kind = "RECONCILE"  # a range the session does not want: it may be complete
    elif answer.status >= 500:
        kind = "RETRY"
    return PlatformError(
        message,
        kind=kind,
        code=reason or f"http_{answer.status}",
        hint=HINTS.get(reason, ""),
        http_status=answer.status,
        retry_after_s=retry_after_s,
    )


def items_of(answer: Answer) -> list[dict[str, Any]]:
    """The resources of a list that have an id."""
    items = answer.json().get("items")
    return [item for item in items if isinstance(item, dict) and item.get("id")] if isinstance(items, list) else []


def part_of(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of a resource; {} where it has none."""
    part = item.get(name)
    return part if isinstance(part, dict) else {}


def whole(value: Any) -> int | None:
    """A number, or one that is written as a string, as int64 are."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def said_at(answer: Answer) -> int | None:
    """Unix ms by the clock of who answered."""
    try:
        return int(parsedate_to_datetime(answer.headers.get("Date", "")).timestamp() * 1000)
    except ValueError:
        return None


def unix_ms(moment: str) -> int | None:
    """Of a time in RFC 3339; None: it is none."""
    try:
        return int(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() * 1000)
    except ValueError:
        return None


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdigit() else None
