"""One step of one publication: what is going to be asked is written down, its platform is asked, and so is the answer.

Which step, and what comes of each answer, is told in `publisher.py`; what is written of it is `verdict.py`'s.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec

from vidprod.blobs.disk import DiskBlobs
from vidprod.config import Config
from vidprod.domain import patience, quota
from vidprod.domain.account import Account, Flavour, Platform
from vidprod.domain.publication import Publication
from vidprod.domain.segment import Segment
from vidprod.errors import Conflict, PlatformError, SealBroken, Unanswered, VidProdError
from vidprod.platforms import base
from vidprod.platforms.base import Grant, Handle, Media, Reading
from vidprod.services import outgoing
from vidprod.services.clock import Clock
from vidprod.services.gate import Gate, handed_at, pause_of
from vidprod.services.handed import Handed
from vidprod.services.remedies import Terms
from vidprod.services.verdict import Verdict
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.announce import announce
from vidprod.store.sqlite.journal import Step
from vidprod.telemetry import log
from vidprod.vault import Vault

_FETCHES: frozenset[Flavour] = frozenset({"instagram_login"})  # takes no file: it is told where to fetch it

T = TypeVar("T")
_logger = log.get(__name__)


class Keeper(Protocol):
    """Who has the tokens: `services/keeper.py`."""

    async def grant(self, account_id: str) -> Grant: ...


class Platforms(Protocol):
    """How clips get to platforms: `platforms/registry.py`."""

    def publisher(self, platform: Platform, flavour: Flavour) -> base.Publisher: ...


class Public(Protocol):
    """Where a segment's file can be fetched: `services/public.py`."""

    def url_of(self, segment: Segment) -> str | None: ...

    async def check(self, url: str, *, size: int) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Means:
    """What every step needs of the daemon."""

    store: Store
    blobs: DiskBlobs
    keeper: Keeper
    platforms: Platforms
    vault: Vault
    config: Config
    clock: Clock
    public: Public | None  # where a platform can fetch a segment's file, for those that cannot be sent it
    dice: Callable[[], float]  # from 0 up to 1: pauses differ by it
    lets_finish_s: float  # of the wall: so long a call that cannot be repeated may go on when we are to stop


class Paused(Exception):
    """Sending was stopped by a pause."""


class Posting:
    """A publication as it was found, and what is asked of its platform."""

    def __init__(self, publication: Publication, account: Account, means: Means) -> None:
        self._publication = publication
        self._account = account
        self._publisher = means.platforms.publisher(account.platform, account.flavour)
        self._publish_at: int | None = None  # the time that the platform is handed
        self._sending: asyncio.Task[Handle] | None = None
        self._means = means
        self._store, self._clock, self._config = means.store, means.clock, means.config

    async def take_up(self) -> None:
        """One step, by how the publication was found. Raises Paused, and Conflict: somebody moved it meanwhile."""
        match self._publication.state, self._publication.phase:
            case ("scheduled", _):
                await self._begin()
            case ("uploading", None):
                await self._send()
            case ("uploading", "begin") | ("processing", "publish"):
                await self._write(Verdict.interrupted)
            case ("unknown", "begin"):
                await self._write(Verdict.handle_expired)
            case _:
                await self._read()

    @property
    def is_sending(self) -> bool:
        return self._sending is not None

    def stop_sending(self) -> None:
        """As a pause does: `take_up` raises Paused."""
        if self._sending is not None:
            self._sending.cancel()

    # the steps

    async def _begin(self) -> None:
        """scheduled → uploading, with a handle."""
        if await self._store.write(lambda db: self._gate(db).holds(self._account)):
            return
        media = await self._media()
        if media is None:
            return
        if faults := self._publisher.faults(self._publication.post, media, self._account.settings):
            await self._refuse("limits", "; ".join(faults))
            return

        def ask(db: Tables) -> Publication | None:
            if self._gate(db).holds(self._account):
                return None
            now, publication = self._clock.now(), self._publication
            self._publish_at = handed_at(self._account, publication, now=now)
            for bucket in quota.buckets_of(publication.platform, publication.account_id):
                db.usage.add(bucket, now=now)
            last = db.journal.last(publication.id)
            again = last is not None and last.step == "begin" and _waits_for(publication, "retry")
            db.journal.write(publication.id, "begin", "asked", data={"sha256": media.sha256}, now=now)
            begun = db.publications.begin(
                publication,
                sha256=media.sha256,
                size=media.size,
                deadline_at=patience.upload_deadline(media.size, bytes_per_s=self._config.publish_bytes_per_s, now=now),
                now=now,
            )
            if not again:
                announce(db, "uploading", begun, now=now)
            return begun

        asked = await self._store.write(ask)
        if asked is None:
            return
        self._publication = asked
        await self._to_its_end(self._begun(asked, media))

    async def _begun(self, asked: Publication, media: Media) -> None:
        handle = await self._ask("begin", lambda grant: self._begin_there(grant, asked, media))
        if handle is not None:
            await self._write(lambda verdict: verdict.begun(handle))

    async def _send(self) -> None:
        """uploading → processing."""
        media = await self._media()
        if media is None:
            return
        handle = await self._opened()
        if handle is None:
            return

        def ask(db: Tables) -> Publication | None:
            if self._gate(db).stands():
                return None
            now = self._clock.now()
            db.journal.write(
                self._publication.id, "send", "asked", data={"from": int(handle.get("stored", 0))}, now=now
            )
            return db.publications.sending(self._publication)

        asked = await self._store.write(ask)
        if asked is None:
            return
        self._publication = asked
        done = await self._ask("send", lambda grant: self._send_there(grant, handle, media))
        if done is not None:
            await self._write(lambda verdict: verdict.sent(done))

    async def _read(self) -> None:
        """Ask the platform what became of it, and do what that asks for."""
        handle = await self._opened()
        if handle is None:
            return
        media = outgoing.as_sent(self._publication)
        reading = await self._ask("state", lambda grant: self._read_there(grant, handle, media))
        if reading is None:
            return
        if reading.state == "handed":
            await self._steer(reading, handle)
        elif await self._write(lambda verdict: verdict.read(reading, handle)):
            await self._publish(handle)

    async def _steer(self, reading: Reading, handle: Handle) -> None:
        """Have the platform keep the time that is wanted of what it was handed."""
        order = await self._handed(lambda db, handed: handed.read(reading, handle, held=pause_of(db, self._account.id)))
        if order is None:
            return
        done = await self._asked("move", lambda grant: self._publisher.move(grant, handle, publish_at=order.publish_at))
        if isinstance(done, PlatformError):
            failed = done
            await self._handed(lambda _, handed: handed.not_moved(reading, failed))
        else:
            await self._handed(lambda _, handed: handed.moved())

    async def _publish(self, handle: Handle) -> None:
        """The one call that makes it public."""

        def ask(db: Tables) -> Publication | None:
            if self._gate(db).stands():
                return None
            db.journal.write(self._publication.id, "publish", "asked", now=self._clock.now())
            return db.publications.publishing(self._publication)

        asked = await self._store.write(ask)
        if asked is None:
            return
        self._publication = asked
        await self._to_its_end(self._published(handle))

    async def _published(self, handle: Handle) -> None:
        done = await self._ask("publish", lambda grant: self._publisher.publish(grant, handle))
        if done is not None:
            await self._write(lambda verdict: verdict.published(done))

    async def _to_its_end(self, work: Coroutine[Any, Any, None]) -> None:
        """A call whose answer would be missed for long: it is waited for, for seconds, where we are to stop."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task}, timeout=self._means.lets_finish_s)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise

    # asking

    async def _begin_there(self, grant: Grant, asked: Publication, media: Media) -> Handle:
        if media.public_url is not None and self._means.public is not None:
            await self._means.public.check(media.public_url, size=media.size)
        return await self._publisher.begin(grant, asked.post, media, publish_at=self._publish_at)

    async def _read_there(self, grant: Grant, handle: Handle, media: Media) -> base.Reading:
        reading = await self._publisher.read(grant, handle, media)
        if reading.state == "live":
            return await self._publisher.finish(grant, self._publication.post, reading)
        return reading

    async def _send_there(self, grant: Grant, handle: Handle, media: Media) -> Handle:
        """It can be stopped from outside, by a pause."""
        self._sending = asyncio.ensure_future(self._publisher.send(grant, handle, media, sent=lambda _: None))
        self._store.feed.publishing.set()  # a pause that came just before is seen now
        try:
            return await self._sending
        except asyncio.CancelledError:
            us = asyncio.current_task()
            if us is not None and us.cancelling():
                raise
            raise Paused from None
        finally:
            self._sending = None

    async def _ask(self, step: Step, call: Callable[[Grant], Coroutine[Any, Any, T] | Awaitable[T]]) -> T | None:
        """What the platform answers; None: it did not, and that is written down."""
        answer = await self._asked(step, call)
        if not isinstance(answer, PlatformError):
            return answer
        failed = answer
        await self._write(lambda verdict: verdict.failed(step, failed))
        return None

    async def _asked(
        self, step: str, call: Callable[[Grant], Coroutine[Any, Any, T] | Awaitable[T]]
    ) -> T | PlatformError:
        """What the platform answers, or why it did not."""
        units = quota.units_of(self._account.platform, step)
        if units:
            await self._store.write(lambda db: db.usage.add(quota.UNITS, units, now=self._clock.now()))
        try:
            grant = await self._means.keeper.grant(self._account.id)
            return await call(grant)
        except PlatformError as error:
            failed = error
        except (VidProdError, Paused):
            raise
        except Exception as error:  # of an adapter: the request may have been done
            _logger.error("a platform's answer was not understood", step=step, exc_info=error)
            failed = Unanswered(f"the answer was not understood: {type(error).__name__}")
        _logger.warning("a platform refused", step=step, kind=failed.kind, code=failed.code, error=str(failed))
        return failed

    # what lies here

    async def _media(self) -> Media | None:
        """The segment's file; None: it cannot be sent, and that is written down."""
        try:
            return await outgoing.look(
                self._publication, store=self._store, blobs=self._means.blobs, public_url=self._public_url
            )
        except PlatformError as error:
            await self._refuse(error.code, str(error))
            return None

    def _public_url(self, segment: Segment) -> str | None:
        if self._account.flavour not in _FETCHES or self._means.public is None:
            return None
        return self._means.public.url_of(segment)

    async def _opened(self) -> Handle | None:
        """The handle; None: it cannot be opened, and that is written down."""
        sealed = await self._store.read(lambda db: db.publications.handle(self._publication.id))
        if sealed is None:
            raise Conflict(f"the publication {self._publication.id} has no handle any more")
        try:
            handle: Handle = msgspec.json.decode(self._means.vault.open(sealed, place=self._place))
        except SealBroken as error:
            broken = PlatformError(str(error), kind="RETRY", code=error.code)
            await self._write(lambda verdict: verdict.failed("state", broken))
            return None
        return handle

    @property
    def _place(self) -> str:
        return f"publication|{self._publication.id}|handle"

    def _seal(self, handle: Handle) -> bytes:
        return self._means.vault.seal(msgspec.json.encode(handle), place=self._place)

    # writing

    async def _write(self, fn: Callable[[Verdict], T]) -> T:
        """One transaction about it. Raises Conflict: somebody moved it meanwhile."""
        terms = self._terms()

        def decide(db: Tables) -> tuple[T, Publication | None]:
            verdict = Verdict(db, self._publication, terms)
            return fn(verdict), verdict.over

        result, over = await self._store.write(decide, urgent=True)
        if over is not None:
            _logger.info(over.state, platform=over.platform, segment=over.segment_id, url=over.url)
        return result

    async def _handed(self, fn: Callable[[Tables, Handed], T]) -> T:
        """The same about what the platform was handed with its time."""
        terms = self._terms()

        def decide(db: Tables) -> tuple[T, Publication]:
            handed = Handed(db, self._publication, terms)
            return fn(db, handed), handed.publication

        result, self._publication = await self._store.write(decide, urgent=True)
        return result

    def _gate(self, db: Tables) -> Gate:
        return Gate(db, self._publication, late_ms=self._config.publish_late_s * 1000, now=self._clock.now())

    def _terms(self) -> Terms:
        return Terms(
            begins_once=self._publisher.begins_once,
            publishes=self._publisher.publishes,
            bytes_per_s=self._config.publish_bytes_per_s,
            late_ms=self._config.publish_late_s * 1000,
            seal=self._seal,
            jitter=self._means.dice(),
            now=self._clock.now(),
        )

    async def _refuse(self, code: str, message: str) -> None:
        await self._write(lambda verdict: verdict.refused_here(code, message))


def _waits_for(publication: Publication, code: str) -> bool:
    return publication.wait is not None and publication.wait.code == code
