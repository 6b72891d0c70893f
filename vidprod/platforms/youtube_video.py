"""A video of YouTube's: what is said with it, and what the Data API tells of it.

Sources: developers.google.com/youtube/v3/docs/videos, Google's API description of v3.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from vidprod.domain import post as wording
from vidprod.domain.post import Post
from vidprod.errors import PlatformError
from vidprod.platforms.base import Handle, Reading
from vidprod.platforms.youtube_api import part_of, unix_ms, whole

LOCKED = "YouTube keeps it private: this Google project is not audited, and making it public by hand is undone."

_MUTABLE = (  # of a status, what `videos.update` takes
    "license",
    "embeddable",
    "publicStatsViewable",
    "selfDeclaredMadeForKids",
    "containsSyntheticMedia",
)
_FAILURES = {  # `failureReason` and `rejectionReason` in words
    "conversion": "YouTube could not convert the file.",
    "invalidFile": "YouTube does not know the format of the file.",
    "emptyFile": "The file is empty.",
    "tooSmall": "The file is too small.",
    "codec": "YouTube does not know a codec of the file.",
    "uploadAborted": "The upload was not finished.",
    "copyright": "Rejected for copyright.",
    "inappropriate": "Rejected as inappropriate.",
    "duplicate": "Rejected: this channel has uploaded the same video before.",
    "termsOfUse": "Rejected by the terms of use.",
    "uploaderAccountSuspended": "Rejected: the account is suspended.",
    "length": "Rejected: the video is too long for this channel.",
    "claim": "Blocked by a claim of its owner.",
    "uploaderAccountClosed": "Rejected: the account is closed.",
    "trademark": "Rejected for a trademark.",
    "legal": "Rejected for a legal reason.",
}


def metadata(post: Post, publish_at: int | None) -> dict[str, dict[str, Any]]:
    """As `videos.insert` wants it. Raises PlatformError (FIX)."""
    if post.privacy not in ("public", "unlisted", "private"):
        raise PlatformError(
            f"YouTube has no {post.privacy} videos, only public, unlisted and private ones.",
            kind="FIX",
            code="forbiddenPrivacySetting",
        )
    status: dict[str, Any] = {
        "privacyStatus": post.privacy,
        "selfDeclaredMadeForKids": post.made_for_kids,
        "containsSyntheticMedia": post.synthetic,
    }
    if publish_at is not None:
        if post.privacy != "public":
            raise PlatformError(
                f"YouTube can be handed the time of public videos only; this one is {post.privacy}.",
                kind="FIX",
                code="invalidPublishAt",
            )
        status |= {"privacyStatus": "private", "publishAt": _rfc3339(publish_at)}
    snippet: dict[str, Any] = {
        "title": post.title,
        "description": wording.text_of(post, "youtube"),
        "categoryId": post.category,
    }
    if tags := wording.tags_of(post):
        snippet["tags"] = tags
    parts = {"snippet": snippet, "status": status}
    if post.brand_content:
        parts["paidProductPlacementDetails"] = {"hasPaidProductPlacement": True}
    return parts


def moved(status: Mapping[str, Any], publish_at: int | None, *, now: int) -> dict[str, Any]:
    """The whole status for `videos.update`, where a private video shall go public at another time: what it does not
    name is set to its default.

    Args:
        status: as the API told it.
        publish_at, now: unix ms. A time that has come makes it public; None: it stays private.
    """
    kept = {name: status[name] for name in _MUTABLE if name in status}
    if publish_at is None:
        return {**kept, "privacyStatus": "private"}
    if publish_at <= now:
        return {**kept, "privacyStatus": "public"}
    return {**kept, "privacyStatus": "private", "publishAt": _rfc3339(publish_at)}


def reading(item: Mapping[str, Any], handle: Handle) -> Reading:
    """What a video resource says of what `handle` brought."""
    status = part_of(item, "status")
    uploads = status.get("uploadStatus") in ("uploaded", "processed")
    if uploads and status.get("privacyStatus") == "private" and (status.get("publishAt") or handle.get("handed")):
        return _handed(status, handle)
    match status.get("uploadStatus"):
        case "processed":
            return _processed(status, handle)
        case "failed":
            return _refused(handle, str(status.get("failureReason") or "failed"), kind="FIX")
        case "rejected":
            reason = str(status.get("rejectionReason") or "rejected")
            return _refused(handle, reason, kind="FIX" if reason == "length" else "POLICY")
        case "deleted":
            return told(handle, "gone", said="The video was deleted.", code="videoNotFound")
    processing = part_of(item, "processingDetails")
    if processing.get("processingStatus") in ("failed", "terminated"):
        return _refused(handle, str(processing.get("processingFailureReason") or "other"), kind="FIX")
    progress = part_of(processing, "processingProgress")
    done, total = whole(progress.get("partsProcessed")), whole(progress.get("partsTotal"))
    parts = f", {done} of {total} parts" if done is not None and total else ""
    return told(handle, "processing", said=f"processing{parts}", privacy=str(status.get("privacyStatus") or ""))


def _processed(status: Mapping[str, Any], handle: Handle) -> Reading:
    privacy = str(status.get("privacyStatus") or "")
    asked = "public" if handle.get("publish_at") else handle.get("privacy")
    if privacy != asked and privacy == "private":
        return told(handle, "live", said=LOCKED, privacy=privacy, code="locked_private")
    return told(handle, "live", said="processed", privacy=privacy)


def _handed(status: Mapping[str, Any], handle: Handle) -> Reading:
    """Of a private video that YouTube keeps the time of, or kept it before."""
    public_at = unix_ms(str(status.get("publishAt") or ""))
    if public_at is None:
        return told(handle, "handed", said="It is private, and YouTube was given no time for it.", privacy="private")
    said = f"YouTube makes it public at {status['publishAt']}."
    return msgspec.structs.replace(told(handle, "handed", said=said, privacy="private"), public_at=public_at)


def _refused(handle: Handle, reason: str, *, kind: str) -> Reading:
    said = _FAILURES.get(reason, f"YouTube could not process it: {reason}.")
    return told(handle, "rejected", said=said, code=reason, kind=kind)


def told(
    handle: Handle,
    state: Literal["processing", "handed", "live", "rejected", "gone"],
    *,
    said: str,
    privacy: str = "",
    code: str = "",
    kind: str = "",
) -> Reading:
    """A reading of the video that the handle names."""
    video = str(handle["video_id"])
    return Reading(
        state=state,
        stored=handle["size"],
        remote_id=video,
        url=f"https://www.youtube.com/shorts/{video}",
        privacy=privacy,
        said=said,
        kind=kind,
        code=code,
    )


def _rfc3339(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def is_of(item: Mapping[str, Any], handle: Handle) -> bool:
    """Whether a video is what the session of `handle` brought."""
    snippet, size = part_of(item, "snippet"), whole(part_of(item, "fileDetails").get("fileSize"))
    if snippet.get("title") != handle["title"] or size not in (None, handle["size"]):
        return False
    began, at = handle.get("began_at"), unix_ms(str(snippet.get("publishedAt") or ""))
    return began is None or at is None or at >= began - 1000  # a header's time has whole seconds
