"""Uploads that resume, by tus 1.0.0: `POST /files/`, then `PATCH` what it says in `Location`, and `HEAD` after a break.

`Upload-Metadata` takes `filename` and every field of the form at `/upload`. The answer to the last byte names the job
in `VidProd-Job`, and so does `HEAD` from then on.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import msgspec
from litestar import Response, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.exceptions import MethodNotAllowedException
from litestar.params import FromPath

from vidprod.domain.upload import Upload
from vidprod.errors import BadRequest, Conflict, Unavailable, VidProdError
from vidprod.web.auth import need, who
from vidprod.web.desk import Desk, HttpRequest
from vidprod.web.idempotency import fingerprint, idempotency_key
from vidprod.web.problems import on_our_error
from vidprod.web.uploads import joining, resumed, taking
from vidprod.web.uploads.admission import KeyReused
from vidprod.web.uploads.body import content_length
from vidprod.web.uploads.receive import check_order
from vidprod.web.uploads.resumed import Begun
from vidprod.web.uploads.tus_headers import (
    CHECKSUMS,
    EXTENSIONS,
    VERSION,
    BadHeader,
    Concat,
    announced,
    check_content_type,
    check_version,
    checksum_of,
    concat_of,
    has_part,
    length_of,
    metadata_of,
    offset_of,
    order_of,
)
from vidprod.web.uploads.unfinished import UploadView, view

_METHODS = [HttpMethod[name] for name in ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")]
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class NotTaken(BadRequest):
    """A final upload is made of others."""

    code = "final_upload"
    status = 403
    hint = "Its bytes come with the partial uploads it names."


class WrongOffset(Conflict):
    """The upload is not there."""

    code = "wrong_offset"
    hint = "HEAD says how far the upload is; go on there."


class New(msgspec.Struct, frozen=True, kw_only=True):
    """A new upload. `webhook_secret` is shown this once: it signs what goes to a `webhook_url` without one."""

    upload_id: str
    webhook_secret: str | msgspec.UnsetType = msgspec.UNSET


Work = Callable[[], Awaitable[Response[Any]]]


@route("/files", http_method=_METHODS, request_max_body_size=None, include_in_schema=False)
async def uploads(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[Any]:
    """Begin an upload, or ask what is understood."""
    return await _answered(request, {"OPTIONS": lambda: _options(desk), "POST": lambda: _begin(request, desk)})


@route("/files/{upload_id:str}", http_method=_METHODS, request_max_body_size=None, include_in_schema=False)
async def upload(request: HttpRequest, desk: NamedDependency[Desk], upload_id: FromPath[str]) -> Response[Any]:
    """Continue an upload, ask how far it is, or end it."""
    return await _answered(
        request,
        {
            "GET": lambda: _state(desk, upload_id),
            "HEAD": lambda: _offset(desk, upload_id),
            "PATCH": lambda: _continue(request, desk, upload_id),
            "DELETE": lambda: _end(desk, upload_id),
            "OPTIONS": lambda: _options(desk),
        },
    )


HANDLERS = [uploads, upload]


async def _answered(request: HttpRequest, works: dict[str, Work]) -> Response[Any]:
    """The work of the request's method, with what every answer of tus has, also when it is refused."""
    try:
        method = _method(request)
        work = works.get(method)
        if work is None:
            raise MethodNotAllowedException(headers={"Allow": ", ".join(works)})
        if method not in ("OPTIONS", "GET"):
            check_version(request)
        answer = await work()
    except VidProdError as error:
        answer = on_our_error(request, error)
        if answer.status_code == 412:
            answer.headers["Tus-Version"] = VERSION
    answer.headers["Tus-Resumable"] = VERSION
    return answer


def _method(request: HttpRequest) -> str:
    """What is asked for: some networks let no PATCH and no DELETE through."""
    override = request.headers.get("x-http-method-override", "").strip().upper()
    if not override:
        return request.method
    if request.method in _SAFE and override not in _SAFE:  # the guard let it through as one that changes nothing
        raise BadRequest(f"X-HTTP-Method-Override: {override[:10]} goes with POST, not with {request.method}.")
    return override


async def _options(desk: Desk) -> Response[None]:
    headers = {
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Max-Size": str(desk.config.max_upload_bytes),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }
    return Response(None, status_code=204, headers=headers)


async def _begin(request: HttpRequest, desk: Desk) -> Response[Any]:
    if desk.stopping.is_set():
        raise Unavailable("The daemon is stopping.")
    concat = concat_of(request)
    length = None if concat.kind == "final" else announced(request)
    if concat.kind == "final" and "upload-length" in request.headers:
        raise BadHeader("A final upload has no Upload-Length: it is as long as its parts.")
    size = content_length(request) or 0
    if has_part(request) and length is not None and size > length:
        raise taking.Overflow(f"The body has {size} bytes, more than Upload-Length: {length}.")
    begun = await _begun(request, desk, concat, length)
    upload = begun.upload
    with_part = has_part(request) and concat.kind != "final"
    if upload.is_open and (begun.is_repeat or with_part or upload.is_full):
        async with desk.turns.take(upload.id) as turn:  # also of a repeat: what still sends has to say how far it came
            upload = await resumed.find(desk, upload.id)
            if with_part and not begun.is_repeat:
                upload = await taking.take(desk, request, upload, turn, checksum=checksum_of(request))
            elif upload.is_open and upload.is_full:
                upload = await taking.complete(desk, upload)
    headers = {"Location": f"/files/{upload.id}", **_headers(upload)}
    if begun.is_repeat:
        headers["Idempotent-Replayed"] = "true"
    told = New(upload_id=upload.id, webhook_secret=begun.webhook_secret or msgspec.UNSET)
    return Response(told, status_code=201, headers=headers)


async def _begun(request: HttpRequest, desk: Desk, concat: Concat, length: int | None) -> Begun:
    metadata = request.headers.get("upload-metadata") or None
    pairs = metadata_of(metadata)
    order = None if concat.kind == "partial" else order_of(pairs)
    user_id = who(request).user_id
    if order is not None:
        await check_order(desk, order)  # faults are told before a byte is taken
        if order.publish.targets:
            need(request, "publish")

    async def begin(repeat: tuple[str, str] | None) -> Begun:
        if concat.kind == "final":
            assert order is not None
            return await joining.join(
                desk, concat.parts, user_id=user_id, metadata=metadata, order=order, repeat=repeat
            )
        return await resumed.begin(
            desk,
            user_id=user_id,
            kind=concat.kind,
            length=length,
            metadata=metadata,
            order=order,
            repeat=repeat,
        )

    key = idempotency_key(request)
    if key is None:
        return await begin(None)
    same = fingerprint(request, str(length), metadata or "", concat.kind, *concat.parts)
    with desk.admission.hold(key, same):
        first = await desk.store.read(lambda db: db.answers.find(key))
        if first is None:
            return await begin((key, same))
        if first.fingerprint != same:
            raise KeyReused
        return Begun(upload=await resumed.find(desk, first.made_id), is_repeat=True)


async def _offset(desk: Desk, upload_id: str) -> Response[bytes]:
    async with desk.turns.take(upload_id):
        upload = await resumed.find(desk, upload_id)
        if upload.is_open and upload.is_full:  # its completion failed, or nobody came to it
            upload = await taking.complete(desk, upload)
    headers = _headers(upload)
    if upload.length is None:
        headers["Upload-Defer-Length"] = "1"
    else:
        headers["Upload-Length"] = str(upload.length)
    if upload.metadata is not None:
        headers["Upload-Metadata"] = upload.metadata
    if upload.kind != "whole":
        parts = " ".join(f"/files/{name}" for name in upload.parts)
        headers["Upload-Concat"] = "partial" if upload.kind == "partial" else f"final;{parts}"
    return Response(b"", status_code=200, headers=headers)  # also asked for by POST, which may have a body


async def _state(desk: Desk, upload_id: str) -> Response[UploadView]:
    return Response(view(await resumed.find(desk, upload_id)))


async def _continue(request: HttpRequest, desk: Desk, upload_id: str) -> Response[None]:
    check_content_type(request)
    offset, length, checksum = offset_of(request), length_of(request), checksum_of(request)
    if desk.stopping.is_set():
        raise Unavailable("The daemon is stopping.")
    async with desk.turns.take(upload_id) as turn:
        upload = await resumed.find(desk, upload_id)
        if upload.kind == "final":
            raise NotTaken
        if offset != upload.offset:
            raise WrongOffset(f"The upload is at {upload.offset}, not at {offset}.")
        if upload.is_open:
            if length is not None:
                upload = await resumed.announce(desk, upload, length)
            upload = await taking.take(desk, request, upload, turn, checksum=checksum)
    return Response(None, status_code=204, headers=_headers(upload))


async def _end(desk: Desk, upload_id: str) -> Response[None]:
    async with desk.turns.take(upload_id):
        await resumed.end(desk, await resumed.find(desk, upload_id))
    return Response(None, status_code=204)


def _headers(upload: Upload) -> dict[str, str]:
    headers = {"Upload-Offset": str(upload.offset)}
    if upload.finished_at is None:
        headers["Upload-Expires"] = format_datetime(datetime.fromtimestamp(upload.expires_at / 1000, UTC), usegmt=True)
    if upload.job_id is not None:
        headers["VidProd-Job"] = upload.job_id
    return headers
