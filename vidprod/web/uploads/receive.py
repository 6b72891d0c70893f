"""The path every upload takes: admitted, streamed to the volume, looked at, made durable, recorded, answered."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import msgspec
from litestar import Response
from msgspec import UNSET, UnsetType

from vidprod.blobs.disk import amount
from vidprod.blobs.incoming import Incoming, to_its_end
from vidprod.domain.event import Event
from vidprod.domain.ids import new_id
from vidprod.domain.job import Job
from vidprod.domain.sniff import HEAD_BYTES, sniff
from vidprod.domain.target import check_accounts, resolve
from vidprod.domain.video import Video
from vidprod.errors import BadRecipe, BadRequest, TooLarge, Unavailable, VidProdError
from vidprod.store.sqlite import Answer, Tables
from vidprod.telemetry import log, metrics
from vidprod.web.auth import need, who
from vidprod.web.desk import Desk, HttpRequest
from vidprod.web.endpoints import Made, check_endpoint, make_endpoint
from vidprod.web.idempotency import fingerprint, idempotency_key
from vidprod.web.room import admit_new
from vidprod.web.uploads import daily
from vidprod.web.uploads.admission import KeyReused
from vidprod.web.uploads.body import Body, ClientGone, TooSlow, content_length
from vidprod.web.uploads.order import Order, clean_filename

FORM_BYTES = 1 << 20  # what a form may add to its file: boundaries, headers, fields
_SOON_S = 10.0  # before the last byte: longer than a media child takes to start, shorter than it stays warm

_log = log.get(__name__)


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The upload is durable and its job is queued. `webhook_secret` is shown this once: it signs what goes to the
    `webhook_url` of a request that brought none."""

    job_id: str
    video_id: str
    status_url: str
    state: str = "queued"
    webhook_secret: str | UnsetType = UNSET


class Sink(Protocol):
    """What a request's body is read into."""

    @property
    def size(self) -> int:
        """Bytes of the file, so far."""

    def begin(self, order: Order) -> None:
        """The file's bytes come now; this is what was ordered before them."""

    async def write(self, piece: bytes) -> None:
        """Some of the file's bytes."""


class Upload:
    """The file inside a request, as its bytes come. A Sink."""

    def __init__(self, incoming: Incoming, *, max_bytes: int, child_warm: Callable[[], None]) -> None:
        """
        Args:
            child_warm: called once it is known to be a video, and again before its end, if that is long after.
        """
        self.incoming = incoming
        self.extension: str | None = None
        self.ordered: Order | None = None  # before the file's first byte
        self._max_bytes = max_bytes
        self._child_warm = child_warm
        self._began_s = time.monotonic()
        self._ends_soon = False

    @property
    def size(self) -> int:
        return self.incoming.size

    def begin(self, order: Order) -> None:
        self.ordered = order

    async def write(self, piece: bytes) -> None:
        """
        Raises:
            TooLarge: the file is over the limit.
            NotAVideo: the first bytes say so.
            NoSpace: the volume is full.
        """
        if self.incoming.size + len(piece) > self._max_bytes:
            raise too_large(None, self._max_bytes)
        await self.incoming.write(piece)
        if self.extension is None and self.incoming.size >= HEAD_BYTES:
            self.extension = sniff(self.incoming.head)
            self._child_warm()
        elif self.extension is not None and not self._ends_soon and self._seconds_left() < _SOON_S:
            self._ends_soon = True
            self._child_warm()  # a child of the beginning may have gone idle since

    def finish(self) -> None:
        """All bytes are there. Raises NotAVideo for a file too short to have been looked at."""
        if self.extension is None:
            self.extension = sniff(self.incoming.head)

    def _seconds_left(self) -> float:
        """At the pace so far; 0 when no length was announced."""
        return self.incoming.still_expected * (time.monotonic() - self._began_s) / self.incoming.size


class _Repeat:
    """Takes no file: what was ordered is all that is asked of it. A Sink."""

    size = 0

    def begin(self, order: Order) -> None:
        raise _Begins(order)

    async def write(self, piece: bytes) -> None:
        raise AssertionError("a file that never began")


class _Begins(Exception):  # no error: it ends the reading
    """The file of a repeat begins."""

    def __init__(self, order: Order) -> None:
        super().__init__()
        self.order = order


ReadIn = Callable[[Body, Sink], Awaitable[Order]]


async def check_order(desk: Desk, order: Order) -> None:
    """To be asked before the file is taken.

    Raises:
        BadTarget: for accounts that segments cannot be published to.
        BadRequest: events may not be sent where they shall go.
    """
    if order.webhook_url is not None:
        check_endpoint(desk, order.webhook_url, secret=order.webhook_secret)
    if order.publish.targets:
        check_accounts(order.publish, await desk.store.read(lambda db: db.accounts.list(disconnected=True)))


async def receive(desk: Desk, request: HttpRequest, read_in: ReadIn) -> Response[Accepted]:
    """Take one upload and answer 202, or refuse it.

    Args:
        read_in: reads the body into the upload and says what was ordered.
    """
    if "webhook_secret" in request.query_params:
        raise BadRecipe("webhook_secret: belongs into a form, not into an address, which is logged on its way")
    key = idempotency_key(request)
    if key is None:
        with _measured():
            return await _take(desk, request, read_in, repeat=None)
    same = fingerprint(request, str(content_length(request)))  # what can be known before the body
    with desk.admission.hold(key, same):
        first = await desk.store.read(lambda db: db.answers.find(key))
        if first is None:
            with _measured():
                return await _take(desk, request, read_in, repeat=(key, same))
        order = await _ordered_again(desk, request, read_in)
        if first.fingerprint != _with_order(same, order):
            raise KeyReused
        return _answer(first.made_id, headers={"Idempotent-Replayed": "true"})


async def _ordered_again(desk: Desk, request: HttpRequest, read_in: ReadIn) -> Order:
    """What a repeat orders before its file. The fields of a form are read for that, its file is not."""
    body = Body(request, read_timeout_s=desk.config.upload_read_timeout_s, max_bytes=FORM_BYTES)
    try:
        return await read_in(body, _Repeat())
    except _Begins as begun:
        return begun.order


async def _take(
    desk: Desk, request: HttpRequest, read_in: ReadIn, *, repeat: tuple[str, str] | None
) -> Response[Accepted]:
    if desk.stopping.is_set():
        raise Unavailable("The daemon is stopping.")
    if (coding := request.headers.get("content-encoding", "identity")) != "identity":
        raise BadRequest(f"Content-Encoding: {coding[:30]} is not taken.", hint="Send the file as it is.")
    limit = desk.config.max_upload_bytes
    length = content_length(request)
    with desk.admission.place(limit=desk.config.max_uploads):
        if length is not None and length > limit + FORM_BYTES:
            raise too_large(length, limit)
        await admit_new(desk, length)
        body = Body(request, read_timeout_s=desk.config.upload_read_timeout_s, max_bytes=limit + FORM_BYTES)
        async with desk.blobs.receive(new_id("upl", now=desk.now()), expected=length) as incoming:
            upload = Upload(incoming, max_bytes=limit, child_warm=desk.child_warm)
            try:
                order = await read_in(body, upload)
            finally:
                metrics.upload_bytes.inc(body.size)
            upload.finish()
            if order.publish.targets:
                need(request, "publish")
            await check_order(desk, order)
            if repeat is not None:
                assert upload.ordered is not None
                key, same = repeat
                repeat = (key, _with_order(same, upload.ordered))
            return await _accept(desk, upload, order, user_id=who(request).user_id, repeat=repeat)


async def _accept(
    desk: Desk, upload: Upload, order: Order, *, user_id: str, repeat: tuple[str, str] | None
) -> Response[Accepted]:
    """The file, then its rows, then the answer. A crash in between leaves a file without a row, for the pruner."""
    assert upload.extension is not None

    def remember(db: Tables, job: Job) -> None:
        if repeat is not None:
            key, same = repeat
            db.answers.add(Answer(key=key, fingerprint=same, made_id=job.id, created_at=job.created_at))

    job, secret = await store_upload(
        desk, upload.incoming, order, extension=upload.extension, user_id=user_id, also=remember
    )
    return _answer(job.id, secret=secret if order.webhook_secret is None else UNSET)


async def store_upload(
    desk: Desk,
    incoming: Incoming,
    order: Order,
    *,
    extension: str,
    user_id: str,
    also: Callable[[Tables, Job], object] = lambda _db, _job: None,
) -> tuple[Job, str | UnsetType]:
    """All bytes are in `incoming`: they become a video with a job, durable when this returns, or it raises.

    Args:
        also: what is true from the same moment on, in the transaction.
    Returns:
        The job, and what signs the events for its `webhook_url`.
    """
    now = desk.now()
    entropy = secrets.token_bytes(10)  # one for both: a repeat's answer is made from the job's id alone
    job_id = new_id("job", now=now, entropy=entropy)
    video = Video(
        id=_video_of(job_id),
        user_id=user_id,
        state="stored",
        filename=clean_filename(order.filename),
        extension=extension,
        size=incoming.size,
        created_at=now,
    )
    job = Job(
        id=job_id,
        user_id=user_id,
        video_id=video.id,
        state="queued",
        priority=order.priority,
        recipe=order.recipe,
        review=order.review,
        created_at=now,
    )
    hears = _endpoint(desk, order, job=job)
    await incoming.commit(video.id, video.extension)
    await _record(desk, video, job, order, hears, also=also, now=now)
    _log.info("upload stored", job=job.id, bytes=video.size, container=video.extension)
    return job, UNSET if hears is None else hears.secret


def _endpoint(desk: Desk, order: Order, *, job: Job) -> Made | None:
    if order.webhook_url is None:
        return None
    return make_endpoint(
        desk, order.webhook_url, user_id=job.user_id, job_id=job.id, secret=order.webhook_secret, now=desk.clock()
    )


async def _record(
    desk: Desk,
    video: Video,
    job: Job,
    order: Order,
    hears: Made | None,
    *,
    also: Callable[[Tables, Job], object],
    now: int,
) -> None:
    def rows(db: Tables) -> Event:
        db.videos.add(video)
        daily.count(db, video.size, now=now)
        targets = resolve(order.publish, db.accounts.list())
        db.jobs.add(msgspec.structs.replace(job, targets=targets))
        db.tasks.enqueue(
            "probe",
            job_id=job.id,
            priority=job.priority,
            run_at=now,
            max_attempts=desk.config.max_attempts,
            now=now,
        )
        if hears is not None:  # before the first event, so that it hears of all
            hears.add(db)
        also(db, job)
        db.events.record("video.stored", job_id=job.id, data={"video_id": video.id, "size": video.size}, now=now)
        return db.events.record(
            "job.created", job_id=job.id, data={"video_id": video.id, "filename": video.filename}, now=now
        )

    recording = asyncio.create_task(desk.store.write(rows))
    try:
        await to_its_end(recording)
    finally:  # whoever was cancelled: either rows and file, or neither
        if recording.cancelled() or recording.exception() is not None:
            await to_its_end(asyncio.ensure_future(asyncio.to_thread(desk.blobs.delete_source, video.id)))


def _answer(
    job_id: str, *, secret: str | UnsetType = UNSET, headers: dict[str, str] | None = None
) -> Response[Accepted]:
    status_url = f"/status/{job_id}"
    accepted = Accepted(job_id=job_id, video_id=_video_of(job_id), status_url=status_url, webhook_secret=secret)
    return Response(accepted, status_code=202, headers={"Location": status_url, **(headers or {})})


def _video_of(job_id: str) -> str:
    return "vid_" + job_id.removeprefix("job_")


def too_large(size: int | None, limit: int) -> TooLarge:
    """The error, with figures."""
    what = f"The upload is {amount(size)} ({size} bytes)" if size is not None else "The upload is larger than the limit"
    return TooLarge(
        f"{what}; at most {amount(limit)} ({limit} bytes) are taken.",
        hint="Send a shorter take, or raise max_upload_bytes.",
    )


def _with_order(same: str, order: Order) -> str:
    """Of what can be known before the file: two requests with the same one are the same request."""
    return hashlib.sha256(same.encode() + msgspec.json.encode(order)).hexdigest()


@contextmanager
def _measured() -> Iterator[None]:
    began = time.monotonic()
    outcome = "failed"
    try:
        yield
        outcome = "stored"
        metrics.upload_seconds.observe(time.monotonic() - began)
    except (ClientGone, TooSlow, asyncio.CancelledError):
        outcome = "aborted"
        raise
    except VidProdError as error:
        outcome = "refused" if error.status != 500 else "failed"
        raise
    finally:
        metrics.uploads.labels(outcome=outcome).inc()
