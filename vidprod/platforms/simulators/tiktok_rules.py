"""What the simulated TikTok refuses, in its codes, and how strict it is.

Source: developers.tiktok.com, Content Posting API, as of November 2026.
"""

from dataclasses import dataclass

API = "open.tiktokapis.com"

ERRORS: dict[str, tuple[int, str]] = {
    "invalid_params": (400, "The request parameters are invalid."),
    "access_token_invalid": (401, "The access token is invalid or not found in the request."),
    "scope_not_authorized": (401, "The user did not authorize the scope required for completing this request."),
    "scope_permission_missed": (400, "Additional scope permission required. Please contact us for details."),
    "rate_limit_exceeded": (429, "The API rate limit was exceeded. Please try again later."),
    "spam_risk_too_many_posts": (403, "The daily post cap from the API is reached for the current user."),
    "spam_risk_user_banned_from_posting": (403, "The user is banned from making new posts."),
    "spam_risk_too_many_pending_share": (403, "There may be at most 5 pending shares within any 24-hour period."),
    "reached_active_user_cap": (403, "The daily quota for active publishing users from your client is reached."),
    "unaudited_client_can_only_post_to_private_accounts": (
        403,
        "Unaudited clients can only post to a private account. Please review our integration guidelines.",
    ),
    "privacy_level_option_mismatch": (403, "privacy_level is not among the privacy_level_options of creator_info."),
    "url_ownership_unverified": (403, "Please review our URL ownership verification rules."),
    "app_version_check_failed": (400, "The user needs to update the TikTok app."),
    "invalid_file_upload": (400, "The file does not meet our specifications."),
    "invalid_publish_id": (400, "The publish_id does not exist."),
    "token_not_authorized_for_specified_publish_id": (
        400,
        "The access token is not authorized for the specified publish_id.",
    ),
    "internal_error": (500, "An internal error occurred. Please try again later."),
}
FAIL_REASONS = (
    "file_format_check_failed",
    "duration_check_failed",
    "frame_rate_check_failed",
    "picture_size_check_failed",
    "internal",
    "video_pull_failed",
    "photo_pull_failed",
    "publish_cancelled",
    "auth_removed",
    "spam_risk_too_many_posts",
    "spam_risk_user_banned_from_posting",
    "spam_risk_text",
    "spam_risk",
)


@dataclass(kw_only=True)
class Creator:
    """An account, with the choices its owner made in the app."""

    open_id: str
    username: str
    nickname: str
    private: bool = False
    comment_disabled: bool = False
    duet_disabled: bool = False
    stitch_disabled: bool = False
    longest_s: int = 600
    banned: bool = False


@dataclass(kw_only=True)
class Rules:
    """How strict it is; what is not known of the real one, or changes, can be chosen."""

    strict: bool = True  # chunk plans as since August 2026
    audited: bool = True
    daily_cap: int | None = 15  # direct posts of a creator in 24 h
    pending_cap: int | None = 5  # drafts that wait in an inbox, of 24 h
    users_cap: int | None = None  # posting users of the app in 24 h; while it is not audited, 5
    grace_s: int = 0  # for which a used refresh token is still taken
    oauth_status: int = 200  # of its errors
    processing_s: float = 4
    finishes_s: float | None = None  # drafts, by their owner in the app; None: when `finish` is called
    moderation_s: float = 40  # until a public post's id is told
    slow_s: float = 0.05  # of the wall, for which a slow answer waits


class Refused(Exception):
    """An error code of the envelope."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.message = message or ERRORS[code][1]
