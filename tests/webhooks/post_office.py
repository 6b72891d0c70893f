"""A deliverer on a real store, with a clock that goes on to the next attempt as soon as nothing is under way: three
days of retries pass in the time that the requests take."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.store.given import prepared
from vidprod.config import Config
from vidprod.domain.endpoint import Delivery, DeliveryAttempt, Endpoint, Secret, place_of
from vidprod.domain.event import Event
from vidprod.domain.ids import new_id
from vidprod.services.clock import Clock
from vidprod.services.deliverer import Deliverer
from vidprod.store.sqlite import Store
from vidprod.vault import Vault
from vidprod.webhooks.egress import Egress
from vidprod.webhooks.sender import Sender
from vidprod.webhooks.signing import new_secret

NOW = 1_800_000_000_000  # unix ms
DAY_MS = 86_400_000
FOR_EVER = 1 << 60


class Jumping(Clock):
    """Stands still while anything is under way, and jumps to when the next thing is due when nothing is."""

    def __init__(self, *, at: int = NOW, to: int = FOR_EVER) -> None:
        super().__init__()
        self.at = at
        self.to = to  # no jump goes beyond
        self.idle = asyncio.Event()
        self.is_busy: Callable[[], bool] = lambda: False

    def now(self) -> int:
        return self.at

    async def wait(self, event: asyncio.Event, *, until: int | None = None) -> None:
        if event.is_set():
            await asyncio.sleep(0)
        elif self.is_busy():
            await event.wait()
        elif until is None or until > self.to:
            self.at = self.at if self.to == FOR_EVER else max(self.at, self.to)
            self.idle.set()
            await event.wait()
        else:
            self.at = max(self.at, until)


class PostOffice:
    """A deliverer that runs, and what a test does with it."""

    def __init__(self, store: Store, *, whole_s: float) -> None:
        self.store = store
        self.clock = Jumping()
        self.vault = Vault({"key1": bytes(range(32))})
        self.sender = Sender(Egress(allow=["127.0.0.1"]), whole_s=whole_s)
        self.deliverer = self._new()
        self._running: asyncio.Task[None] | None = None

    def _new(self) -> Deliverer:
        made = Deliverer(store=self.store, vault=self.vault, config=Config(), clock=self.clock, sender=self.sender)
        self.clock.is_busy = lambda: made.under_way > 0
        return made

    def start(self) -> None:
        self.deliverer = self._new()
        self._running = asyncio.create_task(self.deliverer.run())

    async def stop(self) -> None:
        """As a crash does: nothing more is written down."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
            self._running = None

    async def settled(self, *, to: int = FOR_EVER, timeout_s: float = 60) -> None:
        """Until nothing is due any more, or not before `to`."""
        self.clock.to = to
        self.clock.idle.clear()
        self.store.feed.delivering.set()
        async with asyncio.timeout(timeout_s):
            await self.clock.idle.wait()

    async def endpoint(
        self, url: str, *, types: list[str] | None = None, job_id: str | None = None, secret: str = ""
    ) -> tuple[Endpoint, str]:
        """One that is there, and its secret."""
        secret = secret or new_secret()
        endpoint = Endpoint(
            id=new_id("end", now=NOW), url=url, types=types or [], job_id=job_id, created_at=self.clock.now()
        )
        await self.store.write(lambda db: db.endpoints.add(endpoint, self.sealed(endpoint.id, secret)))
        return endpoint, secret

    def sealed(self, endpoint_id: str, *secrets: str, until: int | None = None) -> bytes:
        kept = [Secret(secret=secret, until=until if n else None) for n, secret in enumerate(secrets)]
        return self.vault.seal(msgspec.json.encode(kept), place=place_of(endpoint_id))

    async def happens(self, event_type: str = "job.completed", *, job_id: str | None = None, **data: Any) -> Event:
        return await self.store.write(
            lambda db: db.events.record(event_type, job_id=job_id, data=data, now=self.clock.now())
        )

    async def endpoint_now(self, endpoint: Endpoint) -> Endpoint:
        return await self.store.read(lambda db: db.endpoints.get(endpoint.id))

    async def deliveries(self, endpoint: Endpoint) -> list[Delivery]:
        """From the first."""
        found = await self.store.read(lambda db: db.deliveries.list(endpoint.id, limit=100_000))
        return sorted(found, key=lambda delivery: delivery.event_id)

    async def attempts(self, delivery: Delivery) -> list[DeliveryAttempt]:
        return list(await self.store.read(lambda db: db.deliveries.attempts(delivery.id)))

    async def types(self) -> list[str]:
        """Of all events, in their order."""
        return [event.type for event in await self.store.read(lambda db: db.events.after(0, limit=100_000))]


@asynccontextmanager
async def post_office(folder: Path, *, whole_s: float = 5.0) -> AsyncIterator[PostOffice]:
    """On a store of its own."""
    async with await Store.open(prepared(folder / "vidprod.db"), now=NOW, reserve_bytes=1) as store:
        office = PostOffice(store, whole_s=whole_s)
        office.start()
        try:
            yield office
        finally:
            await office.stop()
