"""Uploads over several requests: begun, found, ended. How their bytes come is in `taking.py`, how several become one in
`joining.py`, what tus says about them in `tus.py`.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from vidprod.blobs.incoming import to_its_end
from vidprod.domain.ids import new_id
from vidprod.domain.job import Fault
from vidprod.domain.upload import Upload, UploadKind
from vidprod.errors import BadRequest, Conflict, NotFound, VidProdError
from vidprod.store.sqlite import Answer, Tables
from vidprod.telemetry import log
from vidprod.web.desk import Desk, checked
from vidprod.web.room import admit, admit_new
from vidprod.web.uploads.order import Order
from vidprod.web.uploads.receive import too_large
from vidprod.web.uploads.tus_headers import metadata_of, order_of, without
from vidprod.web.uploads.unfinished import filename_of
from vidprod.webhooks.signing import new_secret

_log = log.get(__name__)


class Gone(NotFound):
    """The upload was ended, or waited too long for its next byte."""

    code = "upload_gone"
    status = 410
    hint = "Begin a new upload."


class TooManyUnfinished(VidProdError):
    """So many uploads wait to be resumed."""

    code = "too_many_unfinished"
    status = 429
    hint = "Finish one, delete one, or wait until one expires."


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A new upload, or the one that an earlier request with the same key began. `webhook_secret` is told this once."""

    upload: Upload
    is_repeat: bool = False
    webhook_secret: str | None = None


async def find(desk: Desk, upload_id: str) -> Upload:
    """Raises NotFound; Gone when it was ended or is past its time."""
    checked(upload_id, "upl")
    upload = await desk.store.read(lambda db: db.uploads.get(upload_id))
    if upload.error is not None:
        raise Gone(f"The upload was ended: {upload.error.message}")
    if upload.is_gone or (upload.finished_at is None and upload.expires_at <= desk.now()):
        raise Gone(f"The upload is {'terminated' if upload.state == 'terminated' else 'expired'}.")
    return upload


async def begin(
    desk: Desk,
    *,
    user_id: str,
    kind: UploadKind,
    length: int | None,
    metadata: str | None,
    order: Order | None,
    repeat: tuple[str, str] | None,
) -> Begun:
    """A new upload: its row is on the disk and its length is set aside.

    Args:
        order: what its metadata says, checked; None: a partial one orders nothing.
        repeat: an Idempotency-Key, and what tells its request from others.
    Raises:
        TooLarge, NoSpace, TooManyUnfinished.
    """
    if length is not None and length > desk.config.max_upload_bytes:
        raise too_large(length, desk.config.max_upload_bytes)
    now = desk.now()
    upload_id = new_id("upl", now=now)
    secret, sealed = _webhook_secret(desk, upload_id, order)
    upload = Upload(
        id=upload_id,
        user_id=user_id,
        state="open",
        kind=kind,
        length=length,
        metadata=None if metadata is None else without(metadata, "webhook_secret"),
        created_at=now,
        expires_at=expiry(desk),
    )

    def rows(db: Tables) -> None:
        if (unfinished := db.uploads.count_unfinished()) >= desk.config.max_unfinished_uploads:
            raise TooManyUnfinished(f"{unfinished} uploads are not finished, the most there may be.")
        db.uploads.add(upload, webhook_secret=sealed)
        if repeat is not None:
            key, same = repeat
            db.answers.add(Answer(key=key, fingerprint=same, made_id=upload.id, created_at=now))
        if kind == "whole":
            tell(db, "upload.created", upload, now=now)

    await admit_new(desk, length)
    desk.blobs.admit(length or 0)
    desk.blobs.promise(upload.id, length or 0)
    try:
        await to_its_end(asyncio.ensure_future(desk.store.write(rows)))
    except BaseException:
        desk.blobs.release(upload.id)
        raise
    given = order is not None and order.webhook_secret is not None
    return Begun(upload=upload, webhook_secret=None if given else secret)


async def announce(desk: Desk, upload: Upload, length: int) -> Upload:
    """The length of one that was begun without. Raises BadRequest, TooLarge, NoSpace."""
    if upload.length == length:
        return upload
    if upload.length is not None:
        raise BadRequest(f"The upload's length is {upload.length}, it cannot become {length}.", code="bad_header")
    if length < upload.offset:
        raise BadRequest(f"The upload is at {upload.offset}, its length cannot be {length}.", code="bad_header")
    if length > desk.config.max_upload_bytes:
        raise too_large(length, desk.config.max_upload_bytes)
    await admit(desk, length - upload.offset)
    desk.blobs.admit(length - upload.offset)
    desk.blobs.promise(upload.id, length - upload.offset)
    return await desk.store.write(lambda db: db.uploads.announce(upload.id, length))


def _webhook_secret(desk: Desk, upload_id: str, order: Order | None) -> tuple[str | None, bytes | None]:
    """What will sign the events for a `webhook_url`, and the same sealed: it is told now and needed at the end."""
    if order is None or order.webhook_url is None:
        return None, None
    secret = order.webhook_secret or new_secret()
    return secret, desk.vault.seal(secret.encode(), place=_place(upload_id))


async def ordered(desk: Desk, upload: Upload) -> Order:
    """What its metadata ordered, with the secret that was set aside for it."""
    order = order_of(metadata_of(upload.metadata))
    sealed = await desk.store.read(lambda db: db.uploads.webhook_secret(upload.id))
    if sealed is None:
        return order
    return msgspec.structs.replace(order, webhook_secret=desk.vault.open(sealed, place=_place(upload.id)).decode())


def _place(upload_id: str) -> str:
    return f"upload|{upload_id}|webhook_secret"


async def end(desk: Desk, upload: Upload) -> None:
    """Terminate it. Raises Conflict when it is complete: then it is a job."""
    if upload.finished_at is not None:
        raise Conflict(
            f"The upload is complete: it is the job {upload.job_id} now."
            if upload.job_id
            else "The upload is part of another already.",
            hint="Cancel or delete the job instead.",
        )
    await _end(desk, upload, None)


async def refuse(desk: Desk, upload: Upload, error: VidProdError) -> None:
    """It was no upload that can be taken: whoever asks for it hears why."""
    await _end(desk, upload, fault_of(error))


async def _end(desk: Desk, upload: Upload, fault: Fault | None) -> None:
    now = desk.now()

    def rows(db: Tables) -> None:
        ended = db.uploads.terminate(upload.id, error=fault, now=now)
        if ended.kind == "whole":
            tell(db, "upload.terminated", ended, now=now)

    await desk.store.write(rows, urgent=True)
    await remove(desk, [upload.id])
    _log.info("upload ended", upload=upload.id, bytes=upload.offset, reason=fault.code if fault else "asked to")


def fault_of(error: VidProdError) -> Fault:
    """An error as it is kept."""
    return Fault(code=error.code, message=str(error), hint=error.hint)


async def remove(desk: Desk, names: Sequence[str]) -> None:
    """What is on the disk of uploads that are over."""
    for name in names:
        await to_its_end(asyncio.ensure_future(asyncio.to_thread(desk.blobs.delete_partial, name)))


def expiry(desk: Desk) -> int:
    """Until when an upload waits for its next byte from now on, unix ms."""
    return desk.now() + int(desk.config.upload_expire_s * 1000)


def tell(db: Tables, event_type: str, upload: Upload, *, now: int) -> None:
    """An event about it."""
    data: dict[str, Any] = {
        "upload_id": upload.id,
        "filename": filename_of(upload),
        "size": upload.length,
        "offset": upload.offset,
    }
    if upload.error is not None:
        data["error"] = upload.error
    db.events.record(event_type, job_id=upload.job_id, data=data, now=now)
