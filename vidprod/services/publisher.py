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
import random
from collections.abc import Callable, Sequence

from vidprod.blobs.disk import DiskBlobs
from vidprod.config import Config
from vidprod.domain.publication import Publication
from vidprod.errors import Conflict, NotFound, VidProdError
from vidprod.services.clock import Clock
from vidprod.services.gate import pause_of
from vidprod.services.posting import Keeper, Means, Paused, Platforms, Posting, Public
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.standing import held_by
from vidprod.telemetry import log
from vidprod.vault import Vault

LETS_FINISH_S = 3.0

_RESTS_S = 5.0  # of the wall: after an error of our own

_logger = log.get(__name__)


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
        self._clock = clock
        self._means = Means(
            store=store,
            blobs=blobs,
            keeper=keeper,
            platforms=platforms,
            vault=vault,
            config=config,
            clock=clock,
            public=public,
            dice=dice,
            lets_finish_s=lets_finish_s,
        )
        self._busy: dict[str, asyncio.Task[None]] = {}  # by account
        self._postings: dict[str, Posting] = {}  # by account, while they are taken up

    async def run(self) -> None:
        """Until it is cancelled. What is under way then is resolved after the next start."""
        wake = self._store.feed.publishing
        async with asyncio.TaskGroup() as group:
            while True:
                with self._clock.working():
                    wake.clear()
                    try:
                        until = await self._start_what_is_due(group)
                    except VidProdError as error:
                        _logger.error("no publication can be looked for", error=str(error))
                        until = self._clock.now() + round(_RESTS_S * 1000 * self._clock.speed)
                await self._clock.wait(wake, until=until)

    async def _start_what_is_due(self, group: asyncio.TaskGroup) -> int | None:
        """When to look again, unix ms; None: when something changes."""
        await self._stop_what_is_paused()
        for publication in await self._due():
            if publication.account_id not in self._busy:
                self._start(group, publication)
        return await self._store.read(self._next_run_at)

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
        sending = [account_id for account_id, posting in self._postings.items() if posting.is_sending]
        if not sending:
            return
        for account_id in await self._store.read(lambda db: [one for one in sending if pause_of(db, one)]):
            if account_id in self._postings:
                self._postings[account_id].stop_sending()

    async def _take_up(self, publication: Publication) -> None:
        """One step of one publication."""
        with self._clock.working(), log.bind(publication=publication.id, account=publication.account_id):
            try:
                await self._step(publication)
            except (Conflict, NotFound) as error:  # somebody moved it while we looked
                _logger.debug("the publication has moved", reason=str(error))
                if await self._is_as_it_was(publication):  # it would be taken up again and again
                    _logger.error("a publication can be neither moved nor left", error=str(error))
                    await asyncio.sleep(_RESTS_S)
            except Paused:
                _logger.info("sending is paused")
            except (VidProdError, OSError) as error:
                _logger.error("a step of a publication ended early", error=str(error))
                await asyncio.sleep(_RESTS_S)
            except Exception as error:
                _logger.error("a step of a publication failed", error=str(error), exc_info=error)
                await asyncio.sleep(_RESTS_S)

    async def _is_as_it_was(self, publication: Publication) -> bool:
        """Also where that cannot be read."""
        try:
            return await self._store.read(lambda db: db.publications.get(publication.id)) == publication
        except VidProdError:
            return True

    async def _step(self, publication: Publication) -> None:
        account = await self._store.read(lambda db: db.accounts.get(publication.account_id))
        posting = self._postings[account.id] = Posting(publication, account, self._means)
        try:
            await posting.take_up()
        finally:
            del self._postings[account.id]
