"""The file that a publication sends, looked at each time before: it must be the one that was made."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

from vidprod.blobs.disk import DiskBlobs
from vidprod.domain.publication import Publication
from vidprod.domain.segment import Segment
from vidprod.errors import NotFound, PlatformError
from vidprod.platforms.base import Media
from vidprod.store.sqlite import Store

_HASHED_AT_ONCE = 1 << 20


async def look(
    publication: Publication, *, store: Store, blobs: DiskBlobs, public_url: Callable[[Segment], str | None]
) -> Media:
    """The segment's file, read to its end. Raises PlatformError: it cannot be sent.

    Args:
        public_url: where the platform can fetch it; None: it is sent.
    """
    try:
        segment = await store.read(lambda db: db.segments.get(publication.segment_id))
    except NotFound:
        raise PlatformError("the segment was deleted", code="file_gone") from None
    rendition = segment.rendition
    if rendition is None or segment.deleted_at is not None:
        raise PlatformError("the segment's file was deleted", code="file_gone")
    if publication.state != "scheduled" and publication.sha256 != rendition.sha256:
        raise PlatformError("the segment was made again since it was begun to be sent", code="file_changed")
    path = blobs.segment_path(segment.job_id, segment.id, ".mp4", making=segment.making)
    try:
        found = await asyncio.to_thread(_sha256, path)
    except FileNotFoundError:
        raise PlatformError("the segment's file is not there", code="file_gone") from None
    if found != rendition.sha256:
        raise PlatformError("the segment's file is not what was made: it was changed or damaged", code="file_changed")
    return Media(
        path=path,
        size=rendition.size,
        sha256=found,
        duration_us=rendition.duration_us,
        width=rendition.width,
        height=rendition.height,
        fps=rendition.fps,
        public_url=public_url(segment),
    )


def as_sent(publication: Publication) -> Media:
    """What the platform is asked about; its file need not be there any more."""
    return Media(
        path=Path(), size=publication.size, sha256=publication.sha256, duration_us=0, width=0, height=0, fps="0"
    )


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_HASHED_AT_ONCE):
            found.update(piece)
    return found.hexdigest()
