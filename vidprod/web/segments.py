"""Segments over HTTP: their files (the video, its poster, its sprite, and what shows what was done to the eyes), and
making one again."""

from pathlib import PurePath
from typing import Annotated, Any, NamedTuple

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from vidprod.blobs.disk import SegmentSuffix
from vidprod.domain.segment import Segment, segment_name
from vidprod.domain.video import Video
from vidprod.errors import BadRecipe, BadRequest, NotFound
from vidprod.store.sqlite import Answer, Tables, lifecycle
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.files import send_file
from vidprod.web.idempotency import fingerprint, idempotency_key
from vidprod.web.reading import read
from vidprod.web.uploads.admission import KeyReused

_OPTIONS_BYTES = 64 << 10  # the options are a few hundred


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
        # a picture is of one making, which may have its video from the one before
        etag=rendition.sha256 if kind == "video" else f"{rendition.sha256}-{segment.making}-{kind}",
        filename=segment_filename(video, segment, suffix, of=of),
        attachment=download,
    )


class Remaking(msgspec.Struct, frozen=True, kw_only=True):
    """The segment is queued to be made again; until then it keeps its file."""

    segment_id: str
    job_id: str
    status_url: str


@post("/v1/segments/{segment_id:str}/render", status_code=202, request_max_body_size=_OPTIONS_BYTES)
async def make_again(
    request: HttpRequest, desk: NamedDependency[Desk], segment_id: FromPath[str]
) -> Response[Remaking]:
    """Make one finished segment again with other `gaze` options, given as JSON, in a form or in the query; what is not
    named stays as it was. The others stay, and so does its file until the new one takes its place."""
    checked(segment_id, "seg")
    asked = await _asked(request)
    key = idempotency_key(request)

    def remake(db: Tables) -> Remaking:
        segment, _ = lifecycle.remake_segment(
            db, segment_id, asked, max_attempts=desk.config.max_attempts, now=desk.now()
        )
        if key is not None:
            db.answers.add(Answer(key=key, fingerprint=same, made_id=segment.job_id, created_at=desk.now()))
        return _remaking(segment_id, segment.job_id)

    if key is None:
        return _accepted(await desk.store.write(remake))
    same = fingerprint(request, repr(sorted((name, str(value)) for name, value in asked.items())))
    with desk.admission.hold(key, same):
        first = await desk.store.read(lambda db: db.answers.find(key))
        if first is None:
            return _accepted(await desk.store.write(remake))
    if first.fingerprint != same:
        raise KeyReused
    return _accepted(_remaking(segment_id, first.made_id), headers={"Idempotent-Replayed": "true"})


@post("/v1/segments/{segment_id:str}/retry", status_code=202)
async def retry(desk: NamedDependency[Desk], segment_id: FromPath[str]) -> Response[Remaking]:
    """Try to make a segment again once more, after that was given up, with the options it was asked with."""
    checked(segment_id, "seg")

    def requeue(db: Tables) -> Remaking:
        task = lifecycle.retry_remake(db, segment_id, max_attempts=desk.config.max_attempts, now=desk.now())
        return _remaking(segment_id, task.job_id)

    return _accepted(await desk.store.write(requeue))


async def _asked(request: HttpRequest) -> dict[str, Any]:
    """The options in the query and in the body. Raises BadRecipe, BadRequest."""
    given = list(request.query_params.multi_items())
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        given += list((await request.form()).multi_items())
    elif body := await request.body():
        given += _read_object(body, kind)
    asked: dict[str, Any] = {}
    for name, value in given:
        if name in asked:
            raise BadRecipe(f"{name}: given more than once")
        asked[name] = value
    return asked


def _read_object(body: bytes, kind: str) -> list[tuple[str, Any]]:
    if kind != "application/json":
        raise BadRequest(f"The body is {kind or 'of no declared type'}, neither JSON nor a form.", code="not_a_form")
    try:
        return list(msgspec.json.decode(body, type=dict[str, Any]).items())
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadRecipe(f"the body is not a JSON object: {error}", hint='Like {"gaze": 0.5}.') from error


def _remaking(segment_id: str, job_id: str) -> Remaking:
    return Remaking(segment_id=segment_id, job_id=job_id, status_url=f"/status/{job_id}")


def _accepted(remaking: Remaking, *, headers: dict[str, str] | None = None) -> Response[Remaking]:
    return Response(remaking, status_code=202, headers={"Location": remaking.status_url, **(headers or {})})


def _found(db: Tables, segment_id: str) -> tuple[Segment, Video, int]:
    segment = db.segments.get(segment_id)
    return segment, db.videos.get(db.jobs.get(segment.job_id).video_id), db.segments.count(segment.job_id)


def segment_filename(video: Video, segment: Segment, suffix: SegmentSuffix, *, of: int) -> str:
    """What a segment's file is saved as; its job has `of`."""
    return segment_name(stem_of(video.filename), segment.index, of=of) + suffix


def stem_of(filename: str) -> str:
    """A file name without its extension."""
    return PurePath(filename).stem or filename
