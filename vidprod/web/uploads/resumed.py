"""Uploads over several requests: begun, continued, joined, ended. What tus says about them is in `tus.py`.

An offset is recorded after its bytes are on the disk, never before. What arrived before a request broke off is kept,
whatever ended it. The last byte makes a video and a job of it, by the path that every upload takes.
"""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec

from vidprod.blobs.incoming import to_its_end
from vidprod.blobs.partial import BytesLost, Partial
from vidprod.domain.ids import new_id
from vidprod.domain.job import Fault, Job
from vidprod.domain.sniff import HEAD_BYTES, sniff
from vidprod.domain.upload import Upload, UploadKind
from vidprod.errors import BadRequest, Conflict, NotAVideo, NotFound, TooLarge, VidProdError
from vidprod.store.sqlite import Answer, Tables
from vidprod.telemetry import log, metrics
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.room import admit, admit_new
from vidprod.web.uploads.body import Body, content_length
from vidprod.web.uploads.order import Order
from vidprod.web.uploads.receive import store_upload, too_large
from vidprod.web.uploads.turns import Turn
from vidprod.web.uploads.tus_headers import Checksum, metadata_of, order_of, without
from vidprod.web.uploads.unfinished import filename_of
from vidprod.webhooks.signing import new_secret

RECORD_BYTES = 32 << 20  # and
RECORD_S = 5.0  # how much and how long a request takes at most before what came is recorded: a crash loses no more
_SOON_S = 10.0  # before the last byte, as in `receive`

_log = log.get(__name__)


class Gone(NotFound):
    """The upload was ended, or waited too long for its next byte."""

    code = "upload_gone"
    status = 410
    hint = "Begin a new upload."


class WrongOffset(Conflict):
    """The upload is not there."""

    code = "wrong_offset"
    hint = "HEAD says how far the upload is; go on there."


class ChecksumMismatch(BadRequest):
    """The body is not what its checksum says."""

    code = "checksum_mismatch"
    status = 460  # as tus 1.0.0 has it
    hint = "Send the same part again."


class Overflow(TooLarge):
    """More was sent than the upload's length."""

    code = "too_long"


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


# begun


async def begin(
    desk: Desk,
    *,
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
        state="open",
        kind=kind,
        length=length,
        metadata=None if metadata is None else without(metadata, "webhook_secret"),
        created_at=now,
        expires_at=_expiry(desk),
    )

    def rows(db: Tables) -> None:
        if (unfinished := db.uploads.count_unfinished()) >= desk.config.max_unfinished_uploads:
            raise TooManyUnfinished(f"{unfinished} uploads are not finished, the most there may be.")
        db.uploads.add(upload, webhook_secret=sealed)
        if repeat is not None:
            key, same = repeat
            db.answers.add(Answer(key=key, fingerprint=same, made_id=upload.id, created_at=now))
        if kind == "whole":
            _tell(db, "upload.created", upload, now=now)

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


# continued


async def take(
    desk: Desk, request: HttpRequest, upload: Upload, turn: Turn, *, checksum: Checksum | None = None
) -> Upload:
    """Append the request's body, on this turn; the last byte completes it.

    Raises:
        Overflow: more than the upload's length, before a byte is taken where the body announces it.
        ChecksumMismatch: nothing of it was kept.
        NotAVideo: it was ended.
        ClientGone, TooSlow, Interrupted, NoSpace: what had come is kept.
    """
    if (coding := request.headers.get("content-encoding", "identity")) != "identity":
        raise BadRequest(f"Content-Encoding: {coding[:30]} is not taken.", hint="Send the file as it is.")
    room = (desk.config.max_upload_bytes if upload.length is None else upload.length) - upload.offset
    if (size := content_length(request) or 0) > room:
        raise Overflow(f"{size} bytes at {upload.offset} are more than the upload's length.")
    with desk.admission.place(limit=desk.config.max_uploads):
        body = Body(request, read_timeout_s=desk.config.upload_read_timeout_s, max_bytes=room)
        turn.stops_by(body.cut)
        try:
            async with _resumed(desk, upload) as partial:
                return await _Taking(desk, upload, partial, checksum).all_of(body)
        finally:
            metrics.upload_bytes.inc(body.size)


async def complete(desk: Desk, upload: Upload) -> Upload:
    """One whose bytes are all here though its completion failed, or whose length turned out to be what is here."""
    async with _resumed(desk, upload) as partial:
        return await _Taking(desk, upload, partial, None).end()


@asynccontextmanager
async def _resumed(desk: Desk, upload: Upload) -> AsyncIterator[Partial]:
    try:
        async with desk.blobs.resume(upload.id, offset=upload.offset, expected=upload.length) as partial:
            yield partial
    except BytesLost as error:  # somebody else was at the volume: the client begins anew rather than never ending
        _log.error("an upload's bytes are lost", upload=upload.id, error=str(error))
        await _refuse(desk, upload, error)
        raise Gone(f"{error}.") from error


class _Taking:
    """One request's bytes on their way into an upload."""

    def __init__(self, desk: Desk, upload: Upload, partial: Partial, checksum: Checksum | None) -> None:
        self._desk = desk
        self._upload = upload
        self._partial = partial
        self._checksum = checksum
        self._hash: Any = None if checksum is None else checksum.begin()
        self._extension = upload.extension
        self._warms = 0
        self._began_s = self._recorded_s = time.monotonic()
        self._recorded = upload.offset
        self._recording: asyncio.Task[None] | None = None

    async def all_of(self, body: Body) -> Upload:
        try:
            async for piece in body:
                await self._take(piece)
                del piece  # as in `Body`
            self._verify()
            return await self.end()
        except (NotAVideo, ChecksumMismatch):
            raise
        except BaseException:
            if self._hash is None:  # else nobody knows whether it was right so far
                await to_its_end(asyncio.ensure_future(self._keep()))
            raise
        finally:
            await self._settle()

    async def _take(self, piece: bytes) -> None:
        partial = self._partial
        await partial.write(piece)
        if self._hash is not None:
            self._hash.update(piece)
            return
        if self._extension is None and partial.size >= HEAD_BYTES:
            await self._look()
        self._warm_up()
        if partial.size - self._recorded >= RECORD_BYTES or time.monotonic() - self._recorded_s >= RECORD_S:
            self._record()

    def _verify(self) -> None:
        if self._checksum is not None and not hmac.compare_digest(self._hash.digest(), self._checksum.digest):
            raise ChecksumMismatch(f"The body's {self._checksum.name} is another; nothing of it was kept.")
        self._hash = None  # from here on what came is as good as any

    async def end(self) -> Upload:
        """The body is here: recorded, and all done if it was the last one."""
        upload, is_full = self._upload, self._partial.size == self._upload.length
        if self._extension is None and (is_full or self._partial.size >= HEAD_BYTES):
            await self._look()
        if not is_full:
            return await self._keep()
        if upload.kind == "partial":
            return await self._complete_part()
        try:
            return await self._complete()
        except BaseException:
            await to_its_end(asyncio.ensure_future(self._keep()))
            raise

    async def _look(self) -> None:
        """A partial one may be any piece of a file: the final one is looked at."""
        if self._upload.kind == "partial":
            return
        try:
            self._extension = sniff(self._partial.head)
        except NotAVideo as error:
            await self._settle()
            await _refuse(self._desk, self._upload, error)
            metrics.uploads.labels(outcome="refused").inc()
            raise

    def _warm_up(self) -> None:
        """Once it is known to be a video, and shortly before its end: a child of the beginning may have gone idle."""
        if self._extension is None or self._warms == 2:
            return
        came = self._partial.size - self._upload.offset
        if self._partial.still_expected * (time.monotonic() - self._began_s) < _SOON_S * came:
            self._warms = 2
        elif self._warms == 0 and self._upload.extension is None:
            self._warms = 1
        else:
            return
        self._desk.child_warm()

    def _record(self) -> None:
        """What was written so far, while more comes."""
        if self._recording is None or self._recording.done():
            self._recording = asyncio.create_task(self._record_written())

    async def _record_written(self) -> None:
        """Again when as much came meanwhile: it may be a long time until the next piece asks for it."""
        while True:
            self._recorded, self._recorded_s = self._partial.size, time.monotonic()
            await self._advance(await self._partial.sync())
            if self._partial.size - self._recorded < RECORD_BYTES:
                return

    async def _settle(self) -> None:
        """What is being recorded comes to its end, well or not: what comes after it says so again."""
        if self._recording is not None:
            await asyncio.wait({self._recording})
            if not self._recording.cancelled():
                self._recording.exception()
            self._recording = None

    async def _keep(self) -> Upload:
        """All that came is on the disk and recorded. Raises NoSpace when it is less than came."""
        await self._settle()
        offset = await self._partial.keep()
        upload = await self._advance(offset)
        if offset < self._partial.size:
            raise self._desk.blobs.no_space(self._partial.size - offset)
        return upload

    async def _advance(self, offset: int) -> Upload:
        desk, upload = self._desk, self._upload
        expires_at, extension = _expiry(desk), self._extension
        try:
            upload = await desk.store.write(
                lambda db: db.uploads.advance(upload.id, offset=offset, extension=extension, expires_at=expires_at)
            )
        except Conflict as error:
            raise Gone(f"{error}.") from error
        desk.blobs.promise(upload.id, upload.still_expected)
        return upload

    async def _complete_part(self) -> Upload:
        await self._keep()
        upload_id, expires_at = self._upload.id, _expiry(self._desk)
        return await self._desk.store.write(lambda db: db.uploads.complete_part(upload_id, expires_at=expires_at))

    async def _complete(self) -> Upload:
        await self._settle()
        desk, upload, extension = self._desk, self._upload, self._extension
        assert extension is not None

        def also(db: Tables, job: Job) -> None:
            done = db.uploads.complete(upload.id, job_id=job.id, extension=extension, now=job.created_at)
            _tell(db, "upload.completed", done, now=job.created_at)

        await store_upload(desk, self._partial, await _ordered(desk, upload), extension=extension, also=also)
        await _remove(desk, [upload.id])
        metrics.uploads.labels(outcome="stored").inc()
        return await desk.store.read(lambda db: db.uploads.get(upload.id))


# joined


async def join(
    desk: Desk, parts: Sequence[str], *, metadata: str | None, order: Order, repeat: tuple[str, str] | None
) -> Begun:
    """A final upload of partial ones, in this order; they are gone afterwards. Asked for again, it is the same one.

    Raises:
        NotFound, Gone: one of them is not there.
        Conflict: one is not complete.
        TooLarge, NoSpace, NotAVideo.
    """
    async with AsyncExitStack() as turns:
        for name in sorted(set(parts)):  # in one order: two that join the same ones do not wait for each other
            await turns.enter_async_context(desk.turns.take(checked(name, "upl")))
        if (made := await desk.store.read(lambda db: db.uploads.made_of(parts))) is not None:
            return Begun(upload=made, is_repeat=True)
        pieces = [_part(await find(desk, name)) for name in parts]
        size = sum(piece.offset for piece in pieces)
        if size > desk.config.max_upload_bytes:
            raise too_large(size, desk.config.max_upload_bytes)
        return await _join(desk, parts, size, metadata=metadata, order=order, repeat=repeat)


def _part(upload: Upload) -> Upload:
    if upload.kind != "partial":
        raise BadRequest(f"{upload.id} is no partial upload.", code="bad_header")
    if upload.state == "joined":
        raise Gone(f"{upload.id} is part of another upload already.")
    if upload.state != "complete":
        raise Conflict(f"{upload.id} is at {upload.offset} of {upload.length}: it is not complete.", code="unfinished")
    return upload


async def _join(
    desk: Desk,
    parts: Sequence[str],
    size: int,
    *,
    metadata: str | None,
    order: Order,
    repeat: tuple[str, str] | None,
) -> Begun:
    now = desk.now()
    upload_id = new_id("upl", now=now)
    desk.blobs.admit(size)
    is_given = order.webhook_secret is not None
    secret = order.webhook_secret or (new_secret() if order.webhook_url is not None else None)
    kept = None if metadata is None else without(metadata, "webhook_secret")

    def final(job: Job | None, *, error: Fault | None = None) -> Upload:
        return Upload(
            id=upload_id,
            state="complete" if error is None else "terminated",
            kind="final",
            length=size,
            offset=size,
            metadata=kept,
            parts=list(parts),
            job_id=None if job is None else job.id,
            error=error,
            created_at=now,
            expires_at=now,
            finished_at=now,
        )

    def also(db: Tables, job: Job) -> None:
        for name in set(parts):
            db.uploads.join(name, now=now)
        upload = db.uploads.add(final(job))
        if repeat is not None:
            key, same = repeat
            db.answers.add(Answer(key=key, fingerprint=same, made_id=upload_id, created_at=now))
        _tell(db, "upload.created", upload, now=now)
        _tell(db, "upload.completed", upload, now=now)

    order = msgspec.structs.replace(order, webhook_secret=secret)
    try:
        async with desk.blobs.resume(upload_id, offset=0, expected=size) as partial:
            await partial.join([desk.blobs.partial_path(name) for name in parts])
            try:
                extension = sniff(partial.head)
            except NotAVideo as error:
                refused = final(None, error=_fault(error))
                await desk.store.write(lambda db: db.uploads.add(refused))
                metrics.uploads.labels(outcome="refused").inc()
                raise
            await store_upload(desk, partial, order, extension=extension, also=also)
    finally:
        await _remove(desk, [upload_id])
    await _remove(desk, parts)
    metrics.uploads.labels(outcome="stored").inc()
    upload = await desk.store.read(lambda db: db.uploads.get(upload_id))
    return Begun(upload=upload, webhook_secret=None if is_given else secret)


# ended


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


async def _refuse(desk: Desk, upload: Upload, error: VidProdError) -> None:
    await _end(desk, upload, _fault(error))


async def _end(desk: Desk, upload: Upload, fault: Fault | None) -> None:
    now = desk.now()

    def rows(db: Tables) -> None:
        ended = db.uploads.terminate(upload.id, error=fault, now=now)
        if ended.kind == "whole":
            _tell(db, "upload.terminated", ended, now=now)

    await desk.store.write(rows, urgent=True)
    await _remove(desk, [upload.id])
    _log.info("upload ended", upload=upload.id, bytes=upload.offset, reason=fault.code if fault else "asked to")


def _fault(error: VidProdError) -> Fault:
    return Fault(code=error.code, message=str(error), hint=error.hint)


# all of them


def _expiry(desk: Desk) -> int:
    return desk.now() + int(desk.config.upload_expire_s * 1000)


def _tell(db: Tables, event_type: str, upload: Upload, *, now: int) -> None:
    data: dict[str, Any] = {
        "upload_id": upload.id,
        "filename": filename_of(upload),
        "size": upload.length,
        "offset": upload.offset,
    }
    if upload.error is not None:
        data["error"] = upload.error
    db.events.record(event_type, job_id=upload.job_id, data=data, now=now)


def _place(upload_id: str) -> str:
    return f"upload|{upload_id}|webhook_secret"


def _webhook_secret(desk: Desk, upload_id: str, order: Order | None) -> tuple[str | None, bytes | None]:
    """What will sign the events for a `webhook_url`, and the same sealed: it is told now and needed at the end."""
    if order is None or order.webhook_url is None:
        return None, None
    secret = order.webhook_secret or new_secret()
    return secret, desk.vault.seal(secret.encode(), place=_place(upload_id))


async def _ordered(desk: Desk, upload: Upload) -> Order:
    order = order_of(metadata_of(upload.metadata))
    sealed = await desk.store.read(lambda db: db.uploads.webhook_secret(upload.id))
    if sealed is None:
        return order
    return msgspec.structs.replace(order, webhook_secret=desk.vault.open(sealed, place=_place(upload.id)).decode())


async def _remove(desk: Desk, names: Sequence[str]) -> None:
    delete: Callable[[str], None] = desk.blobs.delete_partial
    for name in names:
        await to_its_end(asyncio.ensure_future(asyncio.to_thread(delete, name)))
