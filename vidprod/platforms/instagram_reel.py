"""A reel: what Instagram takes, what is said with it, and what it tells of one.

Source: Meta, "Content publishing" of the Instagram platform.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from vidprod.domain import post as wording
from vidprod.domain.post import Post
from vidprod.platforms import graph
from vidprod.platforms.base import Handle, Media, Reading

MOST_BYTES = 300_000_000
SHORTEST_US, LONGEST_US = 3_000_000, 900_000_000
MOST_COLUMNS = 1920
SLOWEST_FPS, FASTEST_FPS = 23, 60


def faults_of(media: Media) -> list[str]:
    """What Instagram would refuse of the file, in words."""
    found = []
    if not SHORTEST_US <= media.duration_us <= LONGEST_US:
        found.append(f"duration: {media.duration_us / 1e6:g} s, Instagram takes 3 s to 15 min")
    if media.size > MOST_BYTES:
        found.append(f"size: {media.size:,} bytes, Instagram takes {MOST_BYTES:,}")
    if media.width > MOST_COLUMNS:
        found.append(f"picture: {media.width} columns, Instagram takes {MOST_COLUMNS}")
    if not SLOWEST_FPS - 0.1 <= _fps(media.fps) <= FASTEST_FPS + 0.1:
        found.append(f"frame rate: {media.fps} a second, Instagram takes {SLOWEST_FPS} to {FASTEST_FPS}")
    return found


def form_of(post: Post) -> dict[str, str]:
    """What a container is told of the post."""
    form = {"media_type": "REELS", "share_to_feed": "true" if post.share_to_feed else "false"}
    if caption := wording.text_of(post, "instagram").strip():
        form["caption"] = caption
    if post.cover_ms:
        form["thumb_offset"] = str(post.cover_ms)
    if post.synthetic:
        form["is_ai_generated"] = "true"
    return form


def in_progress(told: Mapping[str, Any], handle: Handle, media: Media, said: str) -> Reading:
    """Uploading as long as bytes are missing; a file that was taken whole is only waited for."""
    if handle["stored"] >= media.size:
        return Reading(state="processing", stored=media.size, said=said)
    phase = graph.object_of(graph.object_of(told.get("video_status")).get("uploading_phase"))
    stored = graph.count_of(phase.get("bytes_transferred", phase.get("bytes_transfered")))  # it is spelt both ways
    if stored >= media.size or phase.get("status") == "complete":
        return Reading(state="processing", stored=media.size, said=said)
    return Reading(state="uploading", stored=stored or int(handle["stored"]), said=said)


def is_post_of(one: Mapping[str, Any], handle: Handle) -> bool:
    """Whether it has exactly the caption of the container, and came after it."""
    return (
        bool(one.get("id"))
        and one.get("caption") == handle["caption"]
        and one.get("media_product_type", "REELS") == "REELS"
        and graph.time_of(one) >= int(handle["begun_at"])
    )


def permalink(told: Mapping[str, Any]) -> str | None:
    if told.get("permalink"):
        return str(told["permalink"])
    return f"https://www.instagram.com/reel/{told['shortcode']}/" if told.get("shortcode") else None


def _fps(told: str) -> float:
    """Of "30000/1001" or "30"."""
    try:
        return float(Fraction(told))
    except (ValueError, ZeroDivisionError):
        return 0.0
