"""The pusher: brings notifications to browsers through their push services, sealed, and not too many.

The rows are the queue, as with webhooks: a crash leaves a row that is due, and the browser shows what has the same tag
once. What an attempt comes to:

2xx                       sent
404, 410                  the browser wants no more: its subscription is deleted
400, 401, 403, 413        the service will never take it: given up
anything else             tried again after 1, 5 and 15 minutes, then each hour, as long as it is news
429, 5xx with Retry-After not before, and nothing else to that browser until then

A browser is told at most `MOST_AN_HOUR` things an hour; what comes of one tag meanwhile becomes one notification.
"""

import asyncio
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from vidprod.config import Config
from vidprod.domain.notification import (
    FOR_URGENT,
    KEEP_S,
    LONGEST_HOLD_S,
    MOST_AN_HOUR,
    Address,
    Notification,
    gap_s,
    message_of,
)
from vidprod.errors import SealBroken, VidProdError
from vidprod.services.clock import Clock
from vidprod.services.written import written
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.notifications import Due
from vidprod.telemetry import log
from vidprod.vault import Vault

if TYPE_CHECKING:  # with the first notification: who has no subscription does without
    from vidprod.webhooks.push import Vapid
    from vidprod.webhooks.sender import Sender, Sent

T = TypeVar("T")

AT_ONCE = 8
PAUSE_S = 2.0  # of the wall, after the store failed
HELD_S = 60.0  # of the wall, after a fault nobody foresaw
HOUR_MS = 3_600_000
NOBODY = "mailto:owner@vidprod.invalid"  # where no address is set that a service could write to

_GONE = frozenset({404, 410})
_NEVER = frozenset({400, 401, 403, 413})
_UNSAID_S = 60.0  # a service that asked for time, and did not say how much

_logger = log.get(__name__)
_address = msgspec.json.Decoder(Address)


class Pusher:
    """Runs until it is cancelled; then what is under way will be sent again."""

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
            wall_s: unix seconds, as push services have them.
        """
        self._store = store
        self._vault = vault
        self._config = config
        self._clock = clock
        self._sender = sender
        self._spread = spread
        self._wall_s = wall_s
        self._vapid: Vapid | None = None

    async def run(self) -> None:
        """Send what is due, and wait for what will be."""
        while True:
            self._store.feed.pushing.clear()  # before the look: what comes after it is told again
            try:
                until = await self._send_what_is_due()
            except VidProdError as error:
                _logger.error("no notification can be looked for", error=str(error))
                until = self._clock.now() + round(PAUSE_S * 1000 * self._clock.speed)
            if until is None:  # at rest nothing is looked at
                await self._store.feed.pushing.wait()
            else:
                await self._clock.wait(self._store.feed.pushing, until=until)

    async def _send_what_is_due(self) -> int | None:
        """When to look again, unix ms; None: when something comes."""
        while found := await self._store.read(lambda db: db.notifications.due(now=self._clock.now(), limit=AT_ONCE)):
            async with asyncio.TaskGroup() as group:
                attempts = [group.create_task(self._attempted(due)) for due in found]
            if not all(attempt.result() for attempt in attempts):  # not again at once
                return self._clock.now() + round(HELD_S * 1000 * self._clock.speed)
        return await self._store.read(lambda db: db.notifications.next_due_at())

    async def _attempted(self, due: Due) -> bool:
        """Whether it came to an end that anybody foresaw."""
        try:
            await self._attempt(due)
        except Exception:
            subscription_id = due.notification.subscription_id
            _logger.exception("an attempt to notify ended early", subscription=subscription_id)
            return False
        return True

    async def _attempt(self, due: Due) -> None:
        notification, now = due.notification, self._clock.now()
        if notification.expires_at <= now:
            await self._written(lambda db: db.notifications.fail(notification, now=now))
            return
        if (later := await self._store.read(lambda db: _enough_until(db, notification, now=now))) is not None:
            await self._written(lambda db: db.notifications.postpone(notification, run_at=later))
            return
        sent = await self._send(due)
        spread = self._spread()
        outcome = await self._written(lambda db: self._record(db, notification, sent, spread=spread))
        _logger.debug("notification attempted", subscription=notification.subscription_id, then=outcome)

    async def _written(self, record: Callable[[Tables], T]) -> T:
        return await written(self._store, record, fault="a notification cannot be written down")

    async def _send(self, due: Due) -> "Sent":
        from vidprod.webhooks.push import encrypted, topic_of
        from vidprod.webhooks.sender import Sender, Sent

        notification = due.notification
        place = f"subscription|{notification.subscription_id}|sealed"
        try:
            to = _address.decode(self._vault.open(due.sealed, place=place))
            vapid = await self._known_by()
        except SealBroken as error:
            return Sent(error=str(error))
        sender = self._sender = self._sender or Sender.of(self._config)
        message = msgspec.json.encode(message_of(notification))
        seconds = (notification.expires_at - self._clock.now()) // 1000
        return await sender.send(
            to.endpoint,
            headers={
                "Authorization": vapid.authorization(to.endpoint),
                "Content-Encoding": "aes128gcm",
                "TTL": str(max(0, seconds)),
                "Urgency": "high" if notification.urgent else "normal",
                "Topic": topic_of(notification.tag),
            },
            body=encrypted(message, p256dh=to.p256dh, auth=to.auth),
            content_type="application/octet-stream",
        )

    async def _known_by(self) -> "Vapid":
        """With our key, which was made before anybody could subscribe. Raises SealBroken."""
        if self._vapid is None:
            from vidprod.webhooks.push import Vapid

            sealed = await self._store.read(lambda db: db.subscriptions.key())
            if sealed is None:
                raise SealBroken("the key for notifications is gone")
            private = self._vault.open(sealed, place="push_key|vapid|private")
            contact = self._config.push_contact or _https(self._config.public_url) or NOBODY
            self._vapid = Vapid(private, contact=contact, now_s=self._wall_s)
        return self._vapid

    def _record(self, db: Tables, notification: Notification, sent: "Sent", *, spread: float) -> str:
        """What the attempt came to, with all that follows from it."""
        now = self._clock.now()
        db.notifications.prune(before_ms=now - KEEP_S * 1000)
        if sent.well:
            db.notifications.sent(notification, now=now)
            return "sent"
        if sent.status in _GONE:
            db.subscriptions.delete(notification.subscription_id)
            _logger.info("a browser wants no more notifications", subscription=notification.subscription_id)
            return "gone"
        _logger.warning("a notification was not taken", subscription=notification.subscription_id, error=sent.error)
        if sent.status in _NEVER:
            db.notifications.fail(notification, now=now)
            return "failed"
        asked_s = sent.retry_after_s
        if asked_s is None and sent.status == 429:
            asked_s = _UNSAID_S
        if asked_s:
            until = now + round(1000 * min(asked_s, LONGEST_HOLD_S))
            db.subscriptions.hold(notification.subscription_id, until=until)
        gap = gap_s(notification.attempt + 1, spread=spread, retry_after_s=asked_s)
        db.notifications.retry(notification, run_at=now + round(1000 * gap))
        return "retried"


def _enough_until(db: Tables, notification: Notification, *, now: int) -> int | None:
    """Until when its browser was told enough, unix ms; None: it was not."""
    most = MOST_AN_HOUR if notification.urgent else MOST_AN_HOUR - FOR_URGENT
    told = db.notifications.sent_at(notification.subscription_id, since=now - HOUR_MS + 1)
    return told[-most] + HOUR_MS if len(told) >= most else None


def _https(url: str) -> str:
    return url if url.startswith("https://") else ""
