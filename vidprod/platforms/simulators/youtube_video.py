"""Channels and videos of the simulated YouTube, as the Data API tells of them.

Source: developers.google.com/youtube/v3/docs/videos.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vidprod.platforms.simulators.inspect import Facts
from vidprod.platforms.simulators.youtube_faults import FAILURES, Refused


@dataclass(kw_only=True)
class Channel:
    """An account that can be chosen at Google's page."""

    id: str
    title: str
    handle: str
    exists: bool = True  # False: a Google account that never made a channel
    suspended: bool = False
    daily_cap: int = 60  # uploads within 24 hours, apart from any quota


@dataclass(kw_only=True)
class Video:
    """What came of a session. Times are unix milliseconds of the world."""

    id: str
    channel: str
    snippet: Mapping[str, Any]
    status: Mapping[str, Any]  # as it was asked for
    paid: bool  # a paid placement was declared
    notify: bool
    facts: Facts
    privacy: str
    publish_at: int | None
    created_at: int
    processed_at: int
    outcome: str = ""  # a failure or rejection; none: processed
    deleted: bool = False
    was_public: bool = False  # before its status was last changed

    @property
    def short(self) -> bool:
        """Whether it is shown as a Short: square or taller, and at most three minutes."""
        facts = self.facts
        return (facts.width or 0) <= (facts.height or 0) and (facts.duration_us or 0) <= 180_000_000

    def privacy_at(self, now: int) -> tuple[str, int | None]:
        """Who can see it, and when it becomes public by itself."""
        if self.publish_at is None:
            return self.privacy, None
        if self.publish_at <= now:
            return "public", None
        return "private", self.publish_at

    def change(self, status: Mapping[str, Any], *, verified: bool, now: int) -> None:
        """Another status, whole: what it does not name is as it is by default. Raises Refused."""
        self.was_public = self.was_public or self.privacy_at(now)[0] == "public"
        if "publishAt" in status and self.was_public:
            raise Refused("invalidPublishAt")
        self.status = status
        self.privacy = str(status.get("privacyStatus", "public")) if verified else "private"
        self.publish_at = moment(status.get("publishAt")) if verified else None

    def is_over(self, now: int) -> bool:
        """Whether it was processed, or refused."""
        return now >= self.processed_at

    def status_at(self, now: int) -> dict[str, Any]:
        """Its part `status`."""
        privacy, publish_at = self.privacy_at(now)
        for_kids = bool(self.status.get("selfDeclaredMadeForKids", False))
        told: dict[str, Any] = {
            "uploadStatus": "uploaded",
            "privacyStatus": privacy,
            "license": self.status.get("license", "youtube"),
            "embeddable": self.status.get("embeddable", True),
            "publicStatsViewable": self.status.get("publicStatsViewable", True),
            "madeForKids": for_kids,
            "selfDeclaredMadeForKids": for_kids,
            "containsSyntheticMedia": bool(self.status.get("containsSyntheticMedia", False)),
        }
        if publish_at is not None:
            told["publishAt"] = rfc3339(publish_at)
        if self.is_over(now):
            failed = self.outcome in FAILURES
            told["uploadStatus"] = "failed" if failed else "rejected" if self.outcome else "processed"
            if self.outcome:
                told["failureReason" if failed else "rejectionReason"] = self.outcome
        return told

    def processing_at(self, now: int) -> dict[str, Any]:
        """Its part `processingDetails`."""
        if self.is_over(now):
            if self.outcome in FAILURES:
                return {"processingStatus": "failed", "processingFailureReason": "transcodeFailed"}
            return {"processingStatus": "terminated" if self.outcome else "succeeded"}
        left = self.processed_at - now
        done = 10 - min(10, -(-left * 10 // max(1, self.processed_at - self.created_at)))
        progress = {"partsTotal": "10", "partsProcessed": str(done), "timeLeftMs": str(left)}
        return {"processingStatus": "processing", "processingProgress": progress}

    def content(self) -> dict[str, Any]:
        """Its part `contentDetails`."""
        seconds = round((self.facts.duration_us or 0) / 1e6)
        return {"duration": f"PT{seconds // 60}M{seconds % 60}S", "dimension": "2d", "definition": "hd"}

    def file(self) -> dict[str, Any]:
        """Its part `fileDetails`."""
        return {"fileName": "unknown", "fileSize": str(self.facts.size), "fileType": "video"}


def known_channels() -> list[Channel]:
    """Those that there are from the beginning."""
    return [
        Channel(id="UCsim000000000000000001", title="Ann Example", handle="annexample"),
        Channel(id="UCsim000000000000000002", title="Ben Example", handle="benexample"),
        Channel(id="UCsim000000000000000003", title="Somebody without a channel", handle="", exists=False),
    ]


def moment(text: Any) -> int | None:
    """Unix ms of a time in RFC 3339; None: it is none."""
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return int(moment.timestamp() * 1000) if moment.tzinfo is not None else None


def rfc3339(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
