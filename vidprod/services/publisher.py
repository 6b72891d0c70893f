"""The publisher: takes publications to their platforms, each exactly once.

What a platform is going to be asked is on disk before it is asked, and so is each handle before the next call. After a
crash or a lost answer the platform is read, and nothing is repeated that may have been done. One publication at a time
for each account, several accounts at once; what is at a platform already is looked at first.

What comes of an error depends on its kind, and on the step that was asked for:

kind        begin                        send                        publish                   reading
RETRY       again, later; in the end     read, then send on;         again, later              again, later
            rejected                     by the deadline: unknown
REFRESH     as RETRY: the adapter has renewed the token and tried again before it tells us
REAUTH      the account needs to be connected again; the publication waits and goes on then
QUOTA       the account is parked until the stated time (of YouTube's project quota: all of YouTube's); it waits
FIX         rejected, in words           rejected                    rejected                  again, later
POLICY      rejected; after 2207051 the account is left alone for a day                        again, later
NEWHANDLE   another handle, twice; then rejected                     as begin                  again, later
RECONCILE   as unanswered: TikTok        read, then send on          unknown: read at growing  again, later
            unknown until its address                                intervals; what is not
            has expired, others again                                public then is asked for
                                                                     twice more

A reading decides: live is published, with a receipt; rejected goes by its kind; absent means another handle, and so
does gone while nothing was asked for that makes it public, else it is unknown; uploading sends on; what no reading
tells by the deadline is unknown, and read on at growing intervals. Nothing leads from unknown to a new handle but the
platform's word that nothing came of the old one; or its address has expired, and nothing was sent there.

Where all publishing is held, because it was restored or moved (`domain/held.py`), nothing is looked at at all.

A pause, of an account or of all, holds whatever was not begun and stops what is being sent within a second; what is at
the platform is read on, and what it was handed with its time it is told to keep private (`handed.py`). What came due so
long ago that it would be late is not sent: somebody is asked.
"""

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from vidprod.blobs.disk import DiskBlobs
from vidprod.config import Config
from vidprod.domain import patience, quota
from vidprod.domain.account import Account, Flavour, Platform
from vidprod.domain.publication import Publication
from vidprod.domain.segment import Segment
from vidprod.errors import Conflict, NotFound, PlatformError, SealBroken, Unanswered, VidProdError
from vidprod.platforms import base
from vidprod.platforms.base import Grant, Handle, Media, Reading
from vidprod.services.clock import Clock
from vidprod.services.gate import Gate, handed_at, pause_of
from vidprod.services.handed import Handed
from vidprod.services.verdict import Terms, Verdict
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.announce import announce
from vidprod.store.sqlite.journal import Step
from vidprod.store.sqlite.standing import held_by
from vidprod.telemetry import log
from vidprod.vault import Vault

LETS_FINISH_S = 3.0

_FETCHES: frozenset[Flavour] = frozenset({"instagram_login"})  # takes no file: it is told where to fetch it
_RESTS_S = 5.0  # of the wall: after an error of our own
_HASHED_AT_ONCE = 1 << 20

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


class _Paused(Exception):
    """Sending was stopped by a pause."""


class Publisher:
    """One for the daemon."""

    def __init__(
        self,
        store: Store,
        blobs: DiskBlobs,
        keeper: Keeper,
        platforms: Platforms,
        vault: Vault,
        config: Config,
        clock: Clock,
        *,
        public: Public | None = None,
        dice: Callable[[], float] = random.random,
        lets_finish_s: float = LETS_FINISH_S,
    ) -> None:
        """
        Args:
            lets_finish_s: of the wall: so long a call that cannot be repeated may go on when we are to stop.
            public: where a platform can fetch a segment's file, for those that cannot be sent it.
            dice: from 0 up to 1: pauses differ by it.
        """
        self._store = store
        self._blobs = blobs
        self._keeper = keeper
        self._platforms = platforms
        self._vault = vault
        self._config = config
        self._clock = clock
        self._public = public
        self._dice = dice
        self._lets_finish_s = lets_finish_s
        self._busy: dict[str, asyncio.Task[None]] = {}  # by account
        self._sending: dict[str, asyncio.Task[Handle]] = {}

    async def run(self) -> None:
        """Until it is cancelled. What is under way then is resolved after the next start."""
        wake = self._store.feed.publishing
        async with asyncio.TaskGroup() as group:
            while True:
                with self._clock.working():
                    wake.clear()
                    await self._stop_what_is_paused()
                    for publication in await self._due():
                        if publication.account_id not in self._busy:
                            self._start(group, publication)
                    until = await self._store.read(self._next_run_at)
                await self._clock.wait(wake, until=until)

    async def _due(self) -> list[Publication]:
        """What to take up now, at most one for each account that is free."""
        found: dict[str, Publication] = {}
        while due := await self._store.read(self._first_due_but([*self._busy, *found])):
            found[due[0].account_id] = due[0]
        return list(found.values())

    def _first_due_but(self, taken: list[str]) -> Callable[[Tables], Sequence[Publication]]:
        return lambda db: [] if held_by(db) else db.publications.due(self._clock.now(), 1, but=taken)

    def _next_run_at(self, db: Tables) -> int | None:
        return None if held_by(db) else db.publications.next_run_at(but=self._busy)

    def _start(self, group: asyncio.TaskGroup, publication: Publication) -> None:
        def ended(_: asyncio.Task[None]) -> None:
            del self._busy[publication.account_id]
            self._store.feed.publishing.set()

        task = group.create_task(self._take_up(publication), name=publication.id)
        self._busy[publication.account_id] = task
        task.add_done_callback(ended)

    async def _stop_what_is_paused(self) -> None:
        if not self._sending:
            return
        sending = list(self._sending)
        for account_id in await self._store.read(lambda db: [one for one in sending if pause_of(db, one)]):
            if account_id in self._sending:
                self._sending[account_id].cancel()

    async def _take_up(self, publication: Publication) -> None:
        """One step of one publication."""
        with self._clock.working(), log.bind(publication=publication.id, account=publication.account_id):
            try:
                await self._step(publication)
            except (Conflict, NotFound) as error:  # somebody moved it while we looked
                _logger.debug("the publication has moved", reason=str(error))
                if not await self._has_moved(publication):  # it would be taken up again and again
                    _logger.error("a publication can be neither moved nor left", error=str(error))
                    await asyncio.sleep(_RESTS_S)
            except _Paused:
                _logger.info("sending is paused")
            except (VidProdError, OSError) as error:
                _logger.error("a step of a publication ended early", error=str(error))
                await asyncio.sleep(_RESTS_S)
            except Exception as error:
                _logger.error("a step of a publication failed", error=str(error), exc_info=error)
                await asyncio.sleep(_RESTS_S)

    async def _has_moved(self, publication: Publication) -> bool:
        return await self._store.read(lambda db: db.publications.get(publication.id)) != publication

    async def _step(self, publication: Publication) -> None:
        account = await self._store.read(lambda db: db.accounts.get(publication.account_id))
        publisher = self._platforms.publisher(account.platform, account.flavour)
        attempt = _Attempt(self, publication, account, publisher)
        match publication.state, publication.phase:
            case ("scheduled", _):
                await attempt.begin()
            case ("uploading", None):
                await attempt.send()
            case ("uploading", "begin") | ("processing", "publish"):
                await attempt.write(Verdict.interrupted)
            case ("unknown", "begin"):
                await attempt.write(Verdict.handle_expired)
            case _:
                await attempt.read()


class _Attempt:
    """A publication as it was found, and what is asked of its platform."""

    def __init__(self, owner: Publisher, publication: Publication, account: Account, publisher: base.Publisher) -> None:
        self._owner = owner
        self._publication = publication
        self._account = account
        self._publisher = publisher
        self._publish_at: int | None = None  # the time that the platform is handed
        self._store, self._clock, self._config = owner._store, owner._clock, owner._config

    # the steps

    async def begin(self) -> None:
        """scheduled → uploading, with a handle."""
        if await self._store.write(lambda db: self._gate(db).holds(self._account)):
            return
        media = await self._media()
        if isinstance(media, PlatformError):
            await self._refuse(media.code, str(media))
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
        handle = await self._ask("begin", lambda grant: self._begin(grant, asked, media))
        if handle is not None:
            await self.write(lambda verdict: verdict.begun(handle))

    async def send(self) -> None:
        """uploading → processing."""
        media = await self._media()
        if isinstance(media, PlatformError):
            await self._refuse(media.code, str(media))
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
        done = await self._ask("send", lambda grant: self._send(grant, handle, media))
        if done is not None:
            await self.write(lambda verdict: verdict.sent(done))

    async def read(self) -> None:
        """Ask the platform what became of it, and do what that asks for."""
        handle = await self._opened()
        if handle is None:
            return
        media = await self._media_as_sent()
        reading = await self._ask("state", lambda grant: self._read(grant, handle, media))
        if reading is None:
            return
        if reading.state == "handed":
            await self._steer(reading, handle)
        elif await self.write(lambda verdict: verdict.read(reading, handle)):
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
            await self.write(lambda verdict: verdict.published(done))

    async def _to_its_end(self, work: Coroutine[Any, Any, None]) -> None:
        """A call whose answer would be missed for long: it is waited for, for seconds, where we are to stop."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task}, timeout=self._owner._lets_finish_s)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise

    # asking

    async def _begin(self, grant: Grant, asked: Publication, media: Media) -> Handle:
        if media.public_url is not None and self._owner._public is not None:
            await self._owner._public.check(media.public_url, size=media.size)
        return await self._publisher.begin(grant, asked.post, media, publish_at=self._publish_at)

    async def _read(self, grant: Grant, handle: Handle, media: Media) -> base.Reading:
        reading = await self._publisher.read(grant, handle, media)
        if reading.state == "live":
            return await self._publisher.finish(grant, self._publication.post, reading)
        return reading

    async def _send(self, grant: Grant, handle: Handle, media: Media) -> Handle:
        """It can be stopped from outside, by a pause."""
        sending, account_id = self._owner._sending, self._account.id
        task = asyncio.ensure_future(self._publisher.send(grant, handle, media, sent=lambda _: None))
        sending[account_id] = task
        self._store.feed.publishing.set()  # a pause that came just before is seen now
        try:
            return await task
        except asyncio.CancelledError:
            us = asyncio.current_task()
            if us is not None and us.cancelling():
                raise
            raise _Paused from None
        finally:
            del sending[account_id]

    async def _ask(self, step: Step, call: Callable[[Grant], Coroutine[Any, Any, T] | Awaitable[T]]) -> T | None:
        """What the platform answers; None: it did not, and that is written down."""
        answer = await self._asked(step, call)
        if not isinstance(answer, PlatformError):
            return answer
        failed = answer
        await self.write(lambda verdict: verdict.failed(step, failed))
        return None

    async def _asked(
        self, step: str, call: Callable[[Grant], Coroutine[Any, Any, T] | Awaitable[T]]
    ) -> T | PlatformError:
        """What the platform answers, or why it did not."""
        units = quota.units_of(self._account.platform, step)
        if units:
            await self._store.write(lambda db: db.usage.add(quota.UNITS, units, now=self._clock.now()))
        try:
            grant = await self._owner._keeper.grant(self._account.id)
            return await call(grant)
        except PlatformError as error:
            failed = error
        except (VidProdError, _Paused):
            raise
        except Exception as error:  # of an adapter: the request may have been done
            _logger.error("a platform's answer was not understood", step=step, exc_info=error)
            failed = Unanswered(f"the answer was not understood: {type(error).__name__}")
        _logger.warning("a platform refused", step=step, kind=failed.kind, code=failed.code, error=str(failed))
        return failed

    # what lies here

    async def _media(self) -> Media | PlatformError:
        """The segment's file, looked at; or why it cannot be sent."""
        publication = self._publication
        try:
            segment = await self._store.read(lambda db: db.segments.get(publication.segment_id))
        except NotFound:
            return PlatformError("the segment was deleted", code="file_gone")
        rendition = segment.rendition
        if rendition is None or segment.deleted_at is not None:
            return PlatformError("the segment's file was deleted", code="file_gone")
        if publication.state != "scheduled" and publication.sha256 != rendition.sha256:
            return PlatformError("the segment was made again since it was begun to be sent", code="file_changed")
        path = self._owner._blobs.segment_path(segment.job_id, segment.id, ".mp4", making=segment.making)
        try:
            found = await asyncio.to_thread(_sha256, path)
        except FileNotFoundError:
            return PlatformError("the segment's file is not there", code="file_gone")
        if found != rendition.sha256:
            return PlatformError(
                "the segment's file is not what was made: it was changed or damaged", code="file_changed"
            )
        return Media(
            path=path,
            size=rendition.size,
            sha256=found,
            duration_us=rendition.duration_us,
            width=rendition.width,
            height=rendition.height,
            fps=rendition.fps,
            public_url=self._public_url(segment),
        )

    def _public_url(self, segment: Segment) -> str | None:
        if self._account.flavour not in _FETCHES or self._owner._public is None:
            return None
        return self._owner._public.url_of(segment)

    async def _media_as_sent(self) -> Media:
        """What is asked about; its file need not be there any more."""
        publication = self._publication
        return Media(
            path=Path(),
            size=publication.size,
            sha256=publication.sha256,
            duration_us=0,
            width=0,
            height=0,
            fps="0",
        )

    async def _opened(self) -> Handle | None:
        """The handle; None: it cannot be opened, and that is written down."""
        sealed = await self._store.read(lambda db: db.publications.handle(self._publication.id))
        if sealed is None:
            raise Conflict(f"the publication {self._publication.id} has no handle any more")
        try:
            handle: Handle = msgspec.json.decode(self._owner._vault.open(sealed, place=self._place))
        except SealBroken as error:
            broken = PlatformError(str(error), kind="RETRY", code=error.code)
            await self.write(lambda verdict: verdict.failed("state", broken))
            return None
        return handle

    @property
    def _place(self) -> str:
        return f"publication|{self._publication.id}|handle"

    def _seal(self, handle: Handle) -> bytes:
        return self._owner._vault.seal(msgspec.json.encode(handle), place=self._place)

    # writing

    async def write(self, fn: Callable[[Verdict], T]) -> T:
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
            jitter=self._owner._dice(),
            now=self._clock.now(),
        )

    async def _refuse(self, code: str, message: str) -> None:
        await self.write(lambda verdict: verdict.refused_here(code, message))


def _waits_for(publication: Publication, code: str) -> bool:
    return publication.wait is not None and publication.wait.code == code


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_HASHED_AT_ONCE):
            found.update(piece)
    return found.hexdigest()
