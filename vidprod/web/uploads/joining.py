"""Partial uploads joined to a final one, which becomes a video and a job like any other."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

import msgspec

from vidprod.domain.ids import new_id
from vidprod.domain.job import Fault, Job
from vidprod.domain.sniff import sniff
from vidprod.domain.upload import Upload
from vidprod.errors import BadRequest, Conflict, NotAVideo
from vidprod.store.sqlite import Answer, Tables
from vidprod.telemetry import metrics
from vidprod.web.desk import Desk, checked
from vidprod.web.uploads.order import Order
from vidprod.web.uploads.receive import store_upload, too_large
from vidprod.web.uploads.resumed import Begun, Gone, fault_of, find, remove, tell
from vidprod.web.uploads.tus_headers import without
from vidprod.webhooks.signing import new_secret


async def join(
    desk: Desk,
    parts: Sequence[str],
    *,
    user_id: str,
    metadata: str | None,
    order: Order,
    repeat: tuple[str, str] | None,
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
        return await _join(desk, parts, size, user_id=user_id, metadata=metadata, order=order, repeat=repeat)


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
    user_id: str,
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
            user_id=user_id,
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
        tell(db, "upload.created", upload, now=now)
        tell(db, "upload.completed", upload, now=now)

    order = msgspec.structs.replace(order, webhook_secret=secret)
    try:
        async with desk.blobs.resume(upload_id, offset=0, expected=size) as partial:
            await partial.join([desk.blobs.partial_path(name) for name in parts])
            try:
                extension = sniff(partial.head)
            except NotAVideo as error:
                refused = final(None, error=fault_of(error))
                await desk.store.write(lambda db: db.uploads.add(refused))
                metrics.uploads.labels(outcome="refused").inc()
                raise
            await store_upload(desk, partial, order, extension=extension, user_id=user_id, also=also)
    finally:
        await remove(desk, [upload_id])
    await remove(desk, parts)
    metrics.uploads.labels(outcome="stored").inc()
    upload = await desk.store.read(lambda db: db.uploads.get(upload_id))
    return Begun(upload=upload, webhook_secret=None if is_given else secret)
