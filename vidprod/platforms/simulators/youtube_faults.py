"""What goes wrong at the simulated YouTube: each reason it refuses with, and the points where something can fail.

Sources: developers.google.com/youtube/v3/docs/errors, and what publishers report.
"""

from collections.abc import Mapping

from vidprod.platforms.simulators.world import Fault

FAILURES = ("conversion", "invalidFile", "emptyFile", "tooSmall", "codec", "uploadAborted")

REJECTIONS = (
    "copyright",
    "inappropriate",
    "duplicate",
    "termsOfUse",
    "uploaderAccountSuspended",
    "length",
    "claim",
    "uploaderAccountClosed",
    "trademark",
    "legal",
)

# reason: status, domain, message. "uploadsPerDay" is our name for the rateLimitExceeded that ends a day

REASONS: Mapping[str, tuple[int, str, str]] = {
    "uploadLimitExceeded": (400, "youtube.video", "The user has exceeded the number of videos they may upload."),
    "invalidTitle": (400, "youtube.video", "The request metadata specifies an invalid or empty video title."),
    "invalidDescription": (400, "youtube.video", "The request metadata specifies an invalid video description."),
    "invalidTags": (400, "youtube.video", "The request metadata specifies invalid video keywords."),
    "invalidCategoryId": (400, "youtube.video", "The request metadata specifies an invalid category."),
    "invalidVideoMetadata": (400, "youtube.video", "The request metadata is invalid."),
    "invalidPublishAt": (400, "youtube.video", "The request metadata specifies an invalid scheduled publishing time."),
    "invalidFilename": (400, "youtube.video", "The video filename specified in the Slug header is invalid."),
    "invalidRecordingDetails": (400, "youtube.video", "The recordingDetails object contains an invalid value."),
    "invalidVideoGameRating": (400, "youtube.video", "The request metadata specifies an invalid game rating."),
    "defaultLanguageNotSet": (400, "youtube.video", "The request sets localizations without a default language."),
    "mediaBodyRequired": (400, "youtube.video", "The request does not include the video content."),
    "badRequest": (400, "global", "The request is invalid."),
    "invalidParameter": (400, "global", "The value of a parameter is invalid."),
    "parseError": (400, "global", "The request body cannot be parsed."),
    "unexpectedPart": (400, "global", "The request body has a part that the part parameter does not name."),
    "unknownPart": (400, "global", "The part parameter names a part that does not exist."),
    "wrongUrlForUpload": (400, "global", "The upload has to be sent to the upload address."),
    "authError": (401, "global", "Invalid Credentials"),
    "required": (401, "global", "Login Required"),
    "expired": (401, "global", "Session Expired"),
    "authorizationRequired": (401, "global", "The request requires authorization."),
    "youtubeSignupRequired": (401, "youtube.header", "Unauthorized"),
    "quotaExceeded": (403, "youtube.quota", "The request cannot be completed because you have exceeded your quota."),
    "dailyLimitExceeded": (403, "usageLimits", "Daily Limit Exceeded"),
    "rateLimitExceeded": (403, "usageLimits", "Rate Limit Exceeded"),
    "userRateLimitExceeded": (403, "usageLimits", "User Rate Limit Exceeded"),
    "servingLimitExceeded": (403, "usageLimits", "Serving Limit Exceeded"),
    "uploadsPerDay": (
        429,
        "global",
        "Quota exceeded for quota metric 'Video Uploads' and limit 'Video Uploads per day' of service "
        "'youtube.googleapis.com' for consumer 'project_number:1'.",
    ),
    "forbidden": (403, "global", "Forbidden"),
    "insufficientPermissions": (403, "global", "Request had insufficient authentication scopes."),
    "accessNotConfigured": (403, "usageLimits", "YouTube Data API v3 has not been used in this project before."),
    "forbiddenPrivacySetting": (403, "youtube.video", "The request metadata specifies an invalid privacy setting."),
    "forbiddenLicenseSetting": (403, "youtube.video", "The request metadata specifies an invalid license setting."),
    "authenticatedUserAccountSuspended": (403, "youtube.header", "The authenticated user's account is suspended."),
    "authenticatedUserAccountClosed": (403, "youtube.header", "The authenticated user's account is closed."),
    "authenticatedUserNotChannel": (403, "youtube.header", "The channel of the authenticated user is another."),
    "channelSuspended": (403, "youtube.common", "The channel has been suspended."),
    "channelClosed": (403, "youtube.common", "The channel has been closed."),
    "videoNotFound": (404, "youtube.video", "The video that you are looking for cannot be found."),
    "uploadTooLarge": (413, "global", "The uploaded file is too large."),
    "requestedRangeNotSatisfiable": (416, "global", "The requested range cannot be satisfied."),
    "uploadRateLimitExceeded": (429, "youtube.thumbnail", "The channel has uploaded too many thumbnails recently."),
    "internalError": (500, "global", "Internal Error"),
    "backendError": (503, "global", "Backend Error"),
    "notReady": (503, "global", "The service is not ready."),
}
_COMMON = ("500", "503", "html", "reset", "lost_answer", "slow", "truncated")
_SESSION = ("partial", "broken_off", "gone")  # the first two: with the bytes of the chunk to keep, else half of it

# the points where something can go wrong, and what; `world.order("youtube.put", "partial")`
FAULTS: dict[str, tuple[str, ...]] = {
    "youtube.token": (*_COMMON, "invalid_grant", "invalid_client"),
    "youtube.channels": (*_COMMON, *REASONS),
    "youtube.insert": (*_COMMON, *REASONS, "no_location"),
    "youtube.put": (*_COMMON, *REASONS, *_SESSION),  # with bytes
    "youtube.probe": (*_COMMON, *REASONS, "gone"),
    "youtube.list": (*_COMMON, *REASONS, "empty"),
    "youtube.playlist": (*_COMMON, *REASONS),
    "youtube.update": (*_COMMON, *REASONS),
    "youtube.processing": (*FAILURES, *REJECTIONS),  # what comes of a video
}
# those that a client which keeps the rules gets over without anybody's help
CHANCES: dict[str, tuple[str, ...]] = {
    "youtube.token": ("500", "html", "reset", "lost_answer", "truncated"),
    "youtube.channels": ("500", "reset"),
    "youtube.insert": ("500", "503", "html", "reset", "lost_answer", "no_location"),
    "youtube.put": ("500", "503", "html", "reset", "lost_answer", "truncated", "partial", "broken_off", "gone"),
    "youtube.probe": ("500", "503", "html", "reset", "lost_answer", "truncated"),
    "youtube.list": ("500", "503", "html", "reset", "truncated", "empty"),
    "youtube.playlist": ("500", "reset"),
    "youtube.update": ("500", "503", "html", "reset", "lost_answer", "truncated"),
}


NO_FAULT = Fault("")


class Refused(Exception):
    """An error of the API's own."""

    def __init__(self, reason: str, message: str = "") -> None:
        self.reason = reason
        self.message = message or REASONS[reason][2]
