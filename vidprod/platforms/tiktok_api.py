"""The Content Posting API as all of TikTok's parts speak it: its envelope, and which class each of its codes is of.

Sources: developers.tiktok.com, Content Posting API, as of November 2026.
"""

from typing import Any, NamedTuple

from vidprod.errors import PlatformError
from vidprod.platforms.wire import Answer

API = "https://open.tiktokapis.com"
_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S


class _Rule(NamedTuple):
    """What an error code means."""

    kind: str
    on_init: str = ""  # where init is another matter: it must not be repeated blindly
    wait_s: float | None = None
    hint: str = ""


_ERRORS: dict[str, _Rule] = {
    "invalid_param": _Rule("FIX"),
    "invalid_params": _Rule("FIX"),
    "access_token_invalid": _Rule("REFRESH", on_init="RECONCILE"),
    "scope_not_authorized": _Rule("REAUTH", hint="Connect the account again and leave every permission ticked."),
    "scope_permission_missed": _Rule("REAUTH", hint="Connect the account again and leave every permission ticked."),
    "rate_limit_exceeded": _Rule("RETRY", wait_s=60),
    "spam_risk_too_many_posts": _Rule(
        "QUOTA", wait_s=_DAY_S, hint="TikTok counts an account's posts of all apps, about 15 in 24 hours."
    ),
    "spam_risk_user_banned_from_posting": _Rule("POLICY", hint="Open the TikTok app: it says what the account may."),
    "spam_risk_too_many_pending_share": _Rule(  # ended by a person at any time, so it is asked again soon
        "QUOTA", wait_s=_HOUR_S, hint="Finish or delete the drafts in the TikTok inbox: five may wait in 24 hours."
    ),
    "reached_active_user_cap": _Rule(
        "QUOTA", wait_s=_DAY_S, hint="This TikTok app has reached its number of posting users for 24 hours."
    ),
    "unaudited_client_can_only_post_to_private_accounts": _Rule(
        "FIX",
        hint="This TikTok app is not audited: set the TikTok account itself to private (a private post is not enough), "
        "or deliver drafts.",
    ),
    "privacy_level_option_mismatch": _Rule("FIX", hint="The account's choices have changed: choose another privacy."),
    "url_ownership_unverified": _Rule("FIX"),
    "app_version_check_failed": _Rule("FIX", hint="Update the TikTok app on the phone."),
    "invalid_file_upload": _Rule("FIX"),
    "invalid_publish_id": _Rule("RECONCILE"),
    "token_not_authorized_for_specified_publish_id": _Rule("RECONCILE"),
    "internal_error": _Rule("RETRY", on_init="RECONCILE"),
}

_FAILURES: dict[str, tuple[str, str]] = {  # fail_reason: its kind, and in words
    "file_format_check_failed": ("FIX", "TikTok takes MP4, MOV or WebM with H.264, H.265, VP8 or VP9, not this file."),
    "duration_check_failed": ("FIX", "The clip is longer than this account may post."),
    "frame_rate_check_failed": ("FIX", "TikTok takes 23 to 60 frames a second, not this frame rate."),
    "picture_size_check_failed": ("FIX", "TikTok takes 360 to 4096 pixels on each side, not this picture."),
    "internal": ("RETRY", "TikTok failed while it processed the clip."),
    "video_pull_failed": ("FIX", "TikTok could not fetch the file."),
    "photo_pull_failed": ("FIX", "TikTok could not fetch the file."),
    "publish_cancelled": ("POLICY", "The post was cancelled at TikTok."),
    "auth_removed": ("REAUTH", "The account has withdrawn what it had allowed this app."),
    "spam_risk_too_many_posts": ("QUOTA", "The account has posted as much as TikTok takes in 24 hours."),
    "spam_risk_user_banned_from_posting": ("POLICY", "TikTok has banned the account from posting."),
    "spam_risk_text": ("POLICY", "TikTok takes the caption for spam."),
    "spam_risk": ("POLICY", "TikTok takes the post for spam."),
}

_PUT_ERRORS: dict[int, tuple[str, str, str]] = {
    400: ("FIX", "upload_refused", "TikTok did not take the chunk: bad headers, or another length."),
    403: ("RECONCILE", "upload_expired", "TikTok does not take the upload address any more."),
    404: ("RECONCILE", "upload_unknown", "TikTok does not know the upload address."),
    416: ("RECONCILE", "upload_elsewhere", "TikTok has other bytes than it was to be sent."),
}


def is_ok(answer: Answer) -> bool:
    return answer.status == 200 and object_of(answer.json().get("error")).get("code") == "ok"


def data_of(answer: Answer) -> dict[str, Any]:
    """What a call that changes nothing brought. Raises PlatformError."""
    if not is_ok(answer):
        raise error_of(answer)
    return object_of(answer.json().get("data"))


def object_of(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def whole(value: Any) -> int | None:
    """A count, as a number or in digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.isdecimal() else None


def error_of(answer: Answer, *, init: bool = False) -> PlatformError:
    """What an answer that is not "ok" means.

    Args:
        init: it is the answer to an init.
    """
    said = object_of(answer.json().get("error"))
    code = str(said.get("code") or "")
    if not code or code == "ok":  # a proxy's page, or half an answer
        kind = "RECONCILE" if init else "RETRY"
        return PlatformError(
            f"TikTok answered {answer.status} with something else than its JSON.",
            kind=kind,
            code="no_answer",
            http_status=answer.status,
        )
    rule = _ERRORS.get(code) or _rule_of(answer.status)
    return PlatformError(
        str(said.get("message") or code)[:500],
        kind=(rule.on_init or rule.kind) if init else rule.kind,
        code=code,
        hint=rule.hint,
        http_status=answer.status,
        retry_after_s=rule.wait_s,
        trace=str(said.get("log_id") or ""),
    )


def _rule_of(status: int) -> _Rule:
    """Of a code that is not known."""
    if status == 401:
        return _ERRORS["access_token_invalid"]
    if status == 429:
        return _ERRORS["rate_limit_exceeded"]
    if status >= 500:
        return _ERRORS["internal_error"]
    return _Rule("POLICY") if status == 403 else _Rule("FIX")


def hint_of(code: str) -> str:
    """What helps against an error."""
    return _ERRORS[code].hint


def failure_of(reason: str) -> tuple[str, str]:
    """Of a `fail_reason`, the kind and what it says in words."""
    if reason in _FAILURES:
        return _FAILURES[reason]
    return ("POLICY" if reason.startswith("spam_risk") else "FIX"), f"TikTok refused it: {reason or 'no reason given'}."


def put_error(status: int) -> PlatformError:
    """Answers to a chunk have no JSON."""
    if status >= 500:
        kind, code, said = "RETRY", "upload_failed", f"TikTok answered {status}: it asks for the same chunk again."
    elif status == 429:
        kind, code, said = "RETRY", "rate_limit_exceeded", "TikTok wants chunks to come more slowly."
    else:
        unknown = ("RECONCILE", "upload_unclear", f"TikTok answered {status} to a chunk.")
        kind, code, said = _PUT_ERRORS.get(status, unknown)
    return PlatformError(said, kind=kind, code=code, http_status=status, retry_after_s=60 if status == 429 else None)
