"""Segments over HTTP: their files (the video, its poster, its sprite, and what shows what was done to the eyes), and
making one again."""

from pathlib import PurePath
from typing import Annotated, Any, NamedTuple

from litestar import Response
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from vidprod.blobs.disk import SegmentSuffix
from vidprod.domain.segment import Segment, segment_name
from vidprod.domain.video import Video
from vidprod.errors import NotFound
from vidprod.store.sqlite import Tables
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.files import send_file
from vidprod.web.reading import read


class _Kind(NamedTuple):
    suffix: SegmentSuffix
    media_type: str


_KINDS = {
    "video": _Kind(".mp4", "video/mp4"),
    "poster": _Kind(".jpg", "image/jpeg"),
    "sprite": _Kind(".sprite.jpg", "image/jpeg"),
    "gaze": _Kind(".gaze.jpg", "image/jpeg"),
}


@read("/v1/segments/{segment_id:str}/{kind:str}")
async def get_file(
    request: HttpRequest,
    desk: NamedDependency[Desk],
    segment_id: FromPath[str],
    kind: FromPath[str],
    download: Annotated[bool, QueryParameter(description="1: to be saved, not shown")] = False,
    making: Annotated[
        int | None, QueryParameter(ge=1, le=1_000_000, description="only of this making; a later one is not found")
    ] = None,
) -> Response[Any]:
    """A file of a segment: `video`, `poster`, `sprite` or `gaze` (before and after). Ranges and conditional requests
    work. A segment that is made again has a file with another address; with `making` nobody gets a mix of two."""
    if kind not in _KINDS:
        raise NotFound(f"A segment has no {kind[:30]!r}; it has {', '.join(_KINDS)}.")
    suffix, media_type = _KINDS[kind]
    segment, video, of = await desk.store.read(lambda db: _found(db, checked(segment_id, "seg")))
    rendition = segment.rendition
    if rendition is None:
        raise NotFound(f"The segment {segment_id} is {segment.state}: it has no file yet.", code="not_ready")
    if segment.deleted_at is not None:
        raise NotFound("The file is past its keeping time and was deleted.", code="media_gone")
    if making is not None and making != segment.making:
        raise NotFound(
            f"The segment {segment_id} was made again: its file is of making {segment.making}, not {making}.",
            code="replaced",
            hint="The status of its job has the new address.",
        )
    return await send_file(
        request,
        desk.blobs.segment_path(segment.job_id, segment.id, suffix, making=segment.making),
        media_type=media_type,
        stays=making is not None,
        # the pictures are made with their video: its bytes stand for theirs
        etag=rendition.sha256 if kind == "video" else f"{rendition.sha256}-{kind}",
        filename=segment_filename(video, segment, suffix, of=of),
        attachment=download,
    )


def _found(db: Tables, segment_id: str) -> tuple[Segment, Video, int]:
    segment = db.segments.get(segment_id)
    return segment, db.videos.get(db.jobs.get(segment.job_id).video_id), db.segments.count(segment.job_id)


def segment_filename(video: Video, segment: Segment, suffix: SegmentSuffix, *, of: int) -> str:
    """What a segment's file is saved as; its job has `of`."""
    return segment_name(stem_of(video.filename), segment.index, of=of) + suffix


def stem_of(filename: str) -> str:
    """A file name without its extension."""
    return PurePath(filename).stem or filename
