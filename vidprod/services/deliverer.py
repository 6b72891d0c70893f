"""The deliverer: brings events to endpoints, at least once, in no promised order.

The rows are the queue. What is under way is remembered here alone and written down when it has ended, so that a crash
leaves a row that is due. A receiver may hear of an event twice; `webhook-id` tells it.

What an attempt comes to:

2xx                  delivered
410                  failed, and the endpoint is disabled: it said that it wants no more
anything else        tried again, 10 attempts in 76 hours: `domain/endpoint.py`; then failed
429, 502, 503, 504   with `Retry-After`: not before, up to a day, and nothing else to that endpoint for an hour of it

An endpoint to which nothing could be delivered for 120 hours is disabled. One that hangs holds up nobody: it has two
of the places, and one while it fails; all that fail have half of the places together.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from vidprod.config import Config
from vidprod.domain.endpoint import (
    GIVE_UP_S,
    LONGEST_HOLD_S,
    DeliveryAttempt,
    Endpoint,
    Secret,
    gap_s,
    place_of,
    signing,
)
from vidprod.errors import SealBroken, VidProdError
from vidprod.services.clock import Clock
from vidprod.services.written import written
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.outbox import Due
from vidprod.telemetry import log, metrics
from vidprod.vault import Vault

if TYPE_CHECKING:  # it is loaded with the first delivery: who has no endpoint does without
    from vidprod.webhooks.sender import Sender, Sent

PLACES = 32  # attempts under way, to all endpoints together
PLACES_OF_FAILING = 16  # of them, to endpoints that fail: many may hang at once
LANES = 2  # of them, to one endpoint
PAUSE_S = 2.0  # of the wall, after the store failed
HELD_S = 60.0  # of the wall, for an endpoint after a fault nobody foresaw

_logger = log.get(__name__)
_secrets = msgspec.json.Decoder(list[Secret])


class Deliverer:
    """Runs until it is cancelled; then what is under way will be delivered again."""

    def __init__(
        self,
        *,
        store: Store,
        vault: Vault,
        config: Config,
        clock: Clock,
        sender: "Sender | None" = None,
        spread: Callable[[], float] = random.random,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            sender: another than the settings make.
            spread: from 0 to 1, for the jitter.
            wall_s: unix seconds, as receivers have them: they refuse what was signed minutes before or after.
        """
        self._store = store
        self._vault = vault
        self._config = config
        self._clock = clock
        self._sender = sender
        self._spread = spread
        self._wall_s = wall_s
        self._looked_at: int | None = None  # unix ms: a clock that is before it was set back
        self._under_way: dict[str, str] = {}  # deliveries and their endpoints
        self._lanes: dict[str, int] = {}  # of endpoints, as they were last seen
        self._held: dict[str, int] = {}  # endpoints that are left alone after a fault of ours, until then, unix ms

    @property
    def under_way(self) -> int:
        """Attempts that have begun and not ended."""
        return len(self._under_way)

    async def run(self) -> None:
        """Deliver what is due, and wait for what will be."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._store.feed.delivering.clear()  # before the look: a delivery that comes after it is told again
                try:
                    until = await self._begin_what_is_due(group)
                except VidProdError as error:
                    _logger.error("no delivery can be looked for", error=str(error))
                    until = self._after(PAUSE_S * self._clock.speed)
                await self._clock.wait(self._store.feed.delivering, until=until)

    async def _begin_what_is_due(self, group: asyncio.TaskGroup) -> int | None:
        """When to look again, unix ms; None: when an attempt has ended, or something new comes."""
        now = self._clock.now()
        if self._looked_at is None or now < self._looked_at:
            await self._store.write(lambda db: db.outbox.bring_back(now=now), urgent=True)
        self._looked_at = now
        self._held = {endpoint_id: until for endpoint_id, until in self._held.items() if until > now}
        for failing in (False, True):
            await self._begin_those_of(group, now=now, failing=failing)
        if not self._free():
            return None
        under_way, closed, failing = list(self._under_way), self._closed(), self._free(failing=True) > 0
        next_at = await self._store.read(
            lambda db: db.outbox.next_due_at(failing=failing, under_way=under_way, held=closed)
        )
        return min([at for at in (next_at, *self._held.values()) if at is not None], default=None)

    async def _begin_those_of(self, group: asyncio.TaskGroup, *, now: int, failing: bool) -> None:
        """Of endpoints that fail, or of those that do not."""
        under_way, closed, free = list(self._under_way), self._closed(), self._free(failing=failing)
        if not free:
            return
        lanes = 1 if failing else LANES
        for due in await self._store.read(
            lambda db: db.outbox.due(
                now=now, lanes=lanes, limit=free, working=not failing, failing=failing, under_way=under_way, held=closed
            )
        ):
            self._begin(due, group)

    def _free(self, *, failing: bool = False) -> int:
        """Places that are free, for who fails or for who does not."""
        free = PLACES - len(self._under_way)
        if failing:
            taken = sum(self._lanes[endpoint_id] == 1 for endpoint_id in self._under_way.values())
            free = min(free, PLACES_OF_FAILING - taken)
        return max(0, free)

    def _begin(self, due: Due, group: asyncio.TaskGroup) -> None:
        delivery = due.delivery
        self._lanes[delivery.endpoint_id] = 1 if due.failing else LANES
        if delivery.endpoint_id not in self._closed():
            self._under_way[delivery.id] = delivery.endpoint_id
            group.create_task(self._attempt(due))

    def _closed(self) -> list[str]:
        """Endpoints to which nothing more may be begun now."""
        busy = Counter(self._under_way.values())
        return [*self._held, *(endpoint_id for endpoint_id, count in busy.items() if count >= self._lanes[endpoint_id])]

    async def _attempt(self, due: Due) -> None:
        endpoint_id = due.delivery.endpoint_id
        try:
            await self._deliver(due)
        except Exception:  # whatever was sent is not written down: not again at once
            _logger.exception("an attempt to deliver ended early", endpoint=endpoint_id, delivery=due.delivery.id)
            self._held[endpoint_id] = self._after(HELD_S * self._clock.speed)
        finally:
            del self._under_way[due.delivery.id]
            if endpoint_id not in self._under_way.values():
                self._lanes.pop(endpoint_id, None)
            self._store.feed.delivering.set()

    async def _deliver(self, due: Due) -> None:
        delivery = due.delivery
        at, began_s = self._clock.now(), time.monotonic()
        sent = await self._send(due)
        attempt = DeliveryAttempt(
            delivery_id=delivery.id,
            number=delivery.attempt + 1,
            at=at,
            took_ms=int(1000 * (time.monotonic() - began_s)),
            status=sent.status,
            error=sent.error,
            answer=sent.answer,
        )
        spread = self._spread()
        outcome = await written(  # as long as that takes, its place is taken
            self._store,
            lambda db: self._record(db, due, attempt, spread=spread, retry_after_s=sent.retry_after_s),
            fault="a delivery cannot be written down",
        )
        metrics.webhook_attempts.labels(outcome=outcome).inc()
        _logger.debug(
            "delivery attempted", endpoint=delivery.endpoint_id, delivery=delivery.id, status=sent.status, then=outcome
        )

    async def _send(self, due: Due) -> "Sent":
        from vidprod.webhooks.sender import Sender, Sent
        from vidprod.webhooks.signing import signed

        sender = self._sender = self._sender or Sender.of(self._config)
        place = place_of(due.delivery.endpoint_id)
        try:
            secrets = _secrets.decode(self._vault.open(due.sealed, place=place))
        except SealBroken as error:
            return Sent(error=str(error))
        body = due.body.encode()
        usable = [one.secret for one in signing(secrets, now=self._clock.now())]
        headers = signed(due.delivery.id, body, at_s=int(self._wall_s()), secrets=usable)
        return await sender.send(due.url, headers=headers, body=body)

    def _record(
        self, db: Tables, due: Due, attempt: DeliveryAttempt, *, spread: float, retry_after_s: float | None
    ) -> str:
        """What the attempt came to, with all that follows from it. Returns delivered, retried or failed."""
        delivery, now = due.delivery, self._clock.now()
        if attempt.status is not None and 200 <= attempt.status < 300:
            db.outbox.delivered(delivery, attempt, now=now)
            db.endpoints.works(delivery.endpoint_id)
            return "delivered"
        gap = gap_s(attempt.number - delivery.earlier, spread=spread, retry_after_s=retry_after_s)
        if gap is None or attempt.status == 410:
            db.outbox.fail(delivery, attempt, now=now)
        else:
            db.outbox.retry(delivery, attempt, run_at=now + round(gap * 1000))
        if retry_after_s:
            db.endpoints.hold(delivery.endpoint_id, until=self._after(min(retry_after_s, LONGEST_HOLD_S)))
        endpoint = db.endpoints.fails(delivery.endpoint_id, now=now)
        if endpoint is not None and endpoint.state == "enabled":
            self._disable_if_it_is_dead(db, endpoint, gone=attempt.status == 410, now=now)
        return "failed" if gap is None or attempt.status == 410 else "retried"

    def _disable_if_it_is_dead(self, db: Tables, endpoint: Endpoint, *, gone: bool, now: int) -> None:
        since = endpoint.failing_since
        if gone:
            reason = "it answered 410: it wants no more"
        elif since is not None and now - since >= GIVE_UP_S * 1000:
            reason = f"nothing could be delivered for {GIVE_UP_S // 3600} hours"
        else:
            return
        db.endpoints.disable(endpoint.id, reason)
        db.events.record(
            "endpoint.disabled",
            job_id=endpoint.job_id,
            data={"endpoint_id": endpoint.id, "reason": reason},
            now=now,
        )
        _logger.warning("endpoint disabled", endpoint=endpoint.id, reason=reason)

    def _after(self, seconds: float) -> int:
        return self._clock.now() + round(seconds * 1000)
