"""A resumable session of the simulated YouTube: what is said with it, which bytes it wants and which it keeps.

Source: developers.google.com/youtube/v3/guides/using_resumable_upload_protocol.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from litestar import Request
from litestar.exceptions import HTTPException

from vidprod.platforms.simulators.inspect import Inspection
from vidprod.platforms.simulators.world import Broken
from vidprod.platforms.simulators.youtube_faults import Refused
from vidprod.platforms.simulators.youtube_video import moment

Asked = Request[Any, Any, Any]

GRAIN = 262_144  # bytes: chunks are multiples of it, and what is kept of one that broke off is
_MOST_BYTES = 274_877_906_944


@dataclass(kw_only=True)
class Session:
    """A resumable session. Of its bytes only their number, hash and index are kept."""

    upload_id: str
    channel: str
    total: int | None
    snippet: Mapping[str, Any]
    status: Mapping[str, Any]
    parts: tuple[str, ...]
    paid: bool
    notify: bool
    created_at: int
    stored: int = 0
    inspection: Inspection = field(default_factory=Inspection)
    video_id: str | None = None
    gone: bool = False


@dataclass(frozen=True)
class Range:
    """A Content-Range. No end: only asked what is there. No total: not said."""

    first: int
    end: int | None
    total: int | None


def range_of(header: str | None, session: Session) -> Range | None:
    """None: it cannot be read."""
    if header is None:
        return None if session.total is None else Range(0, session.total, session.total)
    found = re.fullmatch(r"bytes (?:\*|(\d+)-(\d+))/(\d+|\*)", header)
    if found is None:
        return None
    total = None if found[3] == "*" else int(found[3])
    if found[1] is None:
        return Range(0, None, total)
    first, end = int(found[1]), int(found[2]) + 1
    if end <= first or (total is not None and end > total):
        return None
    return Range(first, end, total)


async def take(session: Session, request: Asked, *, first: int, end: int, keep: int) -> None:
    """What comes, from where the session ended, up to `keep`; of what breaks off, whole grains."""
    at, pending = first, bytearray()
    try:
        async for piece in request.stream():
            known = session.stored + len(pending)
            pending += piece[max(0, known - at) : max(0, keep - at)]
            at += len(piece)
            _store(session, pending, len(pending) // GRAIN * GRAIN)
    except HTTPException:  # the client is gone
        raise Broken from None
    if at != end:
        raise Broken
    if keep == end:
        _store(session, pending, len(pending))


def _store(session: Session, pending: bytearray, size: int) -> None:
    session.inspection.feed(bytes(pending[:size]))
    session.stored += size
    del pending[:size]


def snippet_of(body: Mapping[str, Any]) -> dict[str, Any]:
    snippet = body.get("snippet")
    if not isinstance(snippet, dict):
        raise Refused("invalidVideoMetadata")
    title, description = snippet.get("title", ""), snippet.get("description", "")
    if not isinstance(title, str) or not 1 <= len(title) <= 100 or re.search(r"[<>]", title):
        raise Refused("invalidTitle")
    if not isinstance(description, str) or len(description.encode()) > 5000 or re.search(r"[<>]", description):
        raise Refused("invalidDescription")
    tags = snippet.get("tags", [])
    if not isinstance(tags, list) or sum(len(str(tag)) + 2 * (" " in str(tag)) for tag in tags) > 500:
        raise Refused("invalidTags")
    if "categoryId" not in snippet:
        raise Refused("invalidVideoMetadata")
    if not str(snippet["categoryId"]).isdigit():
        raise Refused("invalidCategoryId")
    return snippet


def status_of(body: Mapping[str, Any]) -> dict[str, Any]:
    status = body.get("status", {})
    if not isinstance(status, dict):
        raise Refused("invalidVideoMetadata")
    if status.get("privacyStatus", "public") not in ("public", "unlisted", "private"):
        raise Refused("forbiddenPrivacySetting")
    if status.get("license", "youtube") not in ("youtube", "creativeCommon"):
        raise Refused("forbiddenLicenseSetting")
    if "publishAt" in status and (status.get("privacyStatus") != "private" or moment(status["publishAt"]) is None):
        raise Refused("invalidPublishAt")
    return status


def is_paid(body: Mapping[str, Any]) -> bool:
    details = body.get("paidProductPlacementDetails", {})
    if not isinstance(details, dict) or not isinstance(details.get("hasPaidProductPlacement", False), bool):
        raise Refused("invalidVideoMetadata")
    return bool(details.get("hasPaidProductPlacement"))


def announced(request: Asked) -> int | None:
    """The size that is to come, where it is said."""
    kind = request.headers.get("x-upload-content-type", "application/octet-stream")
    if not kind.startswith("video/") and kind != "application/octet-stream":
        raise Refused("badRequest", f"Media type '{kind}' is not supported.")
    said = request.headers.get("x-upload-content-length")
    if said is None:
        return None
    if not said.isdigit():
        raise Refused("invalidParameter")
    if int(said) == 0:
        raise Refused("mediaBodyRequired")
    if int(said) > _MOST_BYTES:
        raise Refused("uploadTooLarge")
    return int(said)
