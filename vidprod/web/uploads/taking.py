"""A request's bytes on their way into an upload that can be resumed.

An offset is recorded after its bytes are on the disk, never before. What arrived before a request broke off is kept,
whatever ended it. The last byte makes a video and a job of it, by the path that every upload takes.
"""

import asyncio
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from vidprod.blobs.incoming import to_its_end
from vidprod.blobs.partial import BytesLost, Partial
from vidprod.domain.job import Job
from vidprod.domain.sniff import HEAD_BYTES, sniff
from vidprod.domain.upload import Upload
from vidprod.errors import BadRequest, Conflict, NotAVideo, TooLarge
from vidprod.store.sqlite import Tables
from vidprod.telemetry import log, metrics
from vidprod.web.desk import Desk, HttpRequest
from vidprod.web.uploads.body import Body, content_length
from vidprod.web.uploads.receive import store_upload
from vidprod.web.uploads.resumed import Gone, expiry, ordered, refuse, remove, tell
from vidprod.web.uploads.turns import Turn
from vidprod.web.uploads.tus_headers import Checksum

RECORD_BYTES = 32 << 20  # and
RECORD_S = 5.0  # how much and how long a request takes at most before what came is recorded: a crash loses no more
_SOON_S = 10.0  # before the last byte, as in `receive`

_log = log.get(__name__)


class ChecksumMismatch(BadRequest):
    """The body is not what its checksum says."""

    code = "checksum_mismatch"
    status = 460  # as tus 1.0.0 has it
    hint = "Send the same part again."


class Overflow(TooLarge):
    """More was sent than the upload's length."""

    code = "too_long"


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
        await refuse(desk, upload, error)
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
            await refuse(self._desk, self._upload, error)
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
        expires_at, extension = expiry(desk), self._extension
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
        upload_id, expires_at = self._upload.id, expiry(self._desk)
        return await self._desk.store.write(lambda db: db.uploads.complete_part(upload_id, expires_at=expires_at))

    async def _complete(self) -> Upload:
        await self._settle()
        desk, upload, extension = self._desk, self._upload, self._extension
        assert extension is not None

        def also(db: Tables, job: Job) -> None:
            done = db.uploads.complete(upload.id, job_id=job.id, extension=extension, now=job.created_at)
            tell(db, "upload.completed", done, now=job.created_at)

        order = await ordered(desk, upload)
        await store_upload(desk, self._partial, order, extension=extension, user_id=upload.user_id, also=also)
        await remove(desk, [upload.id])
        metrics.uploads.labels(outcome="stored").inc()
        return await desk.store.read(lambda db: db.uploads.get(upload.id))
