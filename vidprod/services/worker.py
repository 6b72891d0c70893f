"""The worker: claims tasks as long as a media child is free, and runs an attempt at each.

It is woken by the feed's nudge, by a task's `run_at`, and by the end of a lease nobody renewed; it never polls.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable

from vidprod.blobs.disk import DiskBlobs
from vidprod.config import Config
from vidprod.domain.task import Task
from vidprod.errors import VidProdError
from vidprod.services.attempt import Attempt, Room, give_back
from vidprod.services.child import ChildHost
from vidprod.services.faces import gave_up
from vidprod.services.outcome import give_up, go_on_without, poisoned
from vidprod.store.sqlite import Store, Tables
from vidprod.telemetry import log

PAUSE_AFTER_AN_ERROR_S = 2.0

_logger = log.get(__name__)


class Worker:
    """Runs until it is cancelled; then what it works on is given back."""

    def __init__(
        self,
        *,
        store: Store,
        blobs: DiskBlobs,
        host: ChildHost,
        config: Config,
        boot_id: str,
        now: Callable[[], int],
        clock: Callable[[], int] | None = None,
        jitter: Callable[[], float] = random.random,
        may_begin: asyncio.Event | None = None,
    ) -> None:
        """
        Args:
            now: unix ms.
            clock: unix ms of publishing, where its clock is another.
            may_begin: while it is not set nothing new is begun; None: it always may.
        """
        self._store = store
        self._config = config
        self._boot_id = boot_id
        self._now = now
        self._room = Room(
            store=store, blobs=blobs, host=host, config=config, now=now, clock=clock or now, jitter=jitter
        )
        self._free = asyncio.Semaphore(host.children)
        self._may_begin = may_begin or _always()
        self._attempts: dict[str, tuple[Task, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Claim and attempt, one task for each child that is free."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._free.acquire()
                task = await self._next()
                await self._end_older_attempt(task)
                attempt = group.create_task(self._attempt(task))
                self._attempts[task.id] = task, attempt

    async def rescue(self) -> None:
        """Free what daemons before this one left running. Once, at the start."""

        def free(db: Tables) -> list[Task]:
            now = self._now()
            rescued = db.tasks.rescue(boot_id=self._boot_id, now=now, max_rescues=self._config.max_crashes)
            self._settle_taken_back(db, rescued, now=now)
            return rescued

        for task in await self._store.write(free, urgent=True):
            _logger.info("rescued from an earlier daemon", job=task.job_id, step=task.kind, state=task.state)

    async def _attempt(self, task: Task) -> None:
        try:
            await Attempt(task, self._room).run()
        except Exception:
            _logger.exception("an attempt ended unexpectedly", job=task.job_id, step=task.kind)
        finally:
            if self._attempts.get(task.id) == (task, asyncio.current_task()):
                del self._attempts[task.id]
            self._free.release()

    async def _next(self) -> Task:
        while True:
            await self._may_begin.wait()
            self._store.feed.nudge.clear()  # before the look: a task that comes after it nudges again
            try:
                if (task := await self._claim()) is not None:
                    return task
                wait_s = await self._until_something_is_due()
            except VidProdError as error:
                _logger.error("no task can be claimed", error=str(error))
                wait_s = PAUSE_AFTER_AN_ERROR_S
            await self._wait(wait_s)

    async def _claim(self) -> Task | None:
        token = secrets.token_hex(16)
        held = [task for task, _ in self._attempts.values()]  # here: the writing thread must not look at what changes
        claiming = asyncio.create_task(self._store.write(lambda db: self._claim_one(db, token, held)))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            # It may be committed already: a claim that nobody hears of would wait for its lease. Where it is not, the
            # reason must not take the place of being cancelled.
            with contextlib.suppress(VidProdError):
                if (task := await claiming) is not None:
                    await give_back(task, self._store, now=self._now())
            raise

    def _claim_one(self, db: Tables, token: str, held: list[Task]) -> Task | None:
        now = self._now()
        lease_ms = int(self._config.lease_s * 1000)
        # Whoever is here to claim sees that they live: a machine that slept, or could not write, let their leases end.
        db.tasks.renew(held, lease_ms=lease_ms, now=now)
        expired = db.tasks.expired(now=now, max_rescues=self._config.max_crashes)
        self._settle_taken_back(db, expired, now=now)
        task = db.tasks.claim(boot_id=self._boot_id, token=token, lease_ms=lease_ms, now=now)
        if task is not None and db.jobs.get(task.job_id).state == "queued":
            db.jobs.start(task.job_id, now=now)
            db.events.record("job.started", job_id=task.job_id, now=now)
        return task

    def _settle_taken_back(self, db: Tables, tasks: list[Task], *, now: int) -> None:
        for task in tasks:
            said = task.errors[-1].message
            if task.state == "discarded":
                give_up(db, task, poisoned(task.rescues + 1, said), now=now)
            elif task.state == "completed":
                go_on_without(db, task, gave_up(said), max_attempts=self._config.max_attempts, now=now)

    async def _end_older_attempt(self, task: Task) -> None:
        """Its job was cancelled and tried again before it has ended: two must not work in one directory."""
        if task.id not in self._attempts:
            return
        _, older = self._attempts[task.id]
        older.cancel()
        try:
            await asyncio.wait({older})
        except asyncio.CancelledError:  # we are stopping, and no attempt has the claim yet that would give it back
            await give_back(task, self._store, now=self._now())
            raise

    async def _until_something_is_due(self) -> float | None:
        """Seconds until a task is due or a lease ends; None when only a nudge can change anything."""
        due_at = await self._store.read(lambda db: db.tasks.next_due_at())
        return None if due_at is None else max(0, due_at - self._now()) / 1000

    async def _wait(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(None if seconds is None else seconds + 0.002):  # not a moment too early
                await self._store.feed.nudge.wait()
        except TimeoutError:
            return


def _always() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event
