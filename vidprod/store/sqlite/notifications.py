"""Notifications and the browsers that asked for them, at rest. Addresses and keys are bytes here, sealed and opened by
who holds the vault."""

from collections.abc import Sequence
from typing import Any

import msgspec

from vidprod.domain.event import Event
from vidprod.domain.ids import new_id
from vidprod.domain.notification import (
    AT_ONCE,
    GATHER_S,
    Kind,
    Notification,
    Subscription,
    is_urgent,
    kind_of,
    lives_s,
    tag_of,
)
from vidprod.errors import NotFound
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table, to_json

_data = msgspec.json.Decoder(dict[str, Any])


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A notification whose time has come, with what opens its browser's address."""

    notification: Notification
    sealed: bytes


def _subscription(row: Row) -> Subscription:
    return Subscription(**{name: row[name] for name in Subscription.__struct_fields__})


def _notification(row: Row) -> Notification:
    told = {name: row[name] for name in Notification.__struct_fields__}
    return Notification(**{**told, "urgent": bool(row["urgent"]), "data": _data.decode(row["data"])})


class Subscriptions(Table):
    """The rows of `subscription`, and the one of `push_key`."""

    def key(self) -> bytes | None:
        """Our private key, sealed; None: nobody needed one yet."""
        sealed = self._value("select private from push_key")
        return None if sealed is None else bytes(sealed)

    def keep_key(self, sealed: bytes, *, now: int) -> bytes:
        """The key, which is the one that was there before, if there was one."""
        self._run(
            "insert into push_key (name, private, created_at) values ('vapid', :sealed, :now) on conflict do nothing",
            sealed=sealed,
            now=now,
        )
        kept = self.key()
        assert kept is not None
        return kept

    def add(self, subscription: Subscription, sealed: bytes) -> None:
        """Raises Conflict when its address is known."""
        self._run(
            """
            insert into subscription (id, user_id, hash, host, sealed, label, created_at)
            values (:id, :user_id, :hash, :host, :sealed, :label, :created_at)
            """,
            id=subscription.id,
            user_id=subscription.user_id,
            hash=subscription.hash,
            host=subscription.host,
            sealed=sealed,
            label=subscription.label,
            created_at=subscription.created_at,
        )

    def renew(self, subscription_id: str, sealed: bytes, *, label: str) -> None:
        """The browser has other keys, and may have failed before."""
        self._run(
            """
            update subscription set sealed = :sealed, label = :label, failures = 0, held_until = null where id = :id
            """,
            id=subscription_id,
            sealed=sealed,
            label=label,
        )

    def find(self, address_hash: str) -> Subscription | None:
        row = self._one("select * from subscription where hash = :hash", hash=address_hash)
        return None if row is None else _subscription(row)

    def get(self, subscription_id: str, *, user_id: str) -> Subscription:
        """Raises NotFound."""
        row = self._one(
            "select * from subscription where id = :id and user_id = :user_id", id=subscription_id, user_id=user_id
        )
        if row is None:
            raise NotFound(f"there is no subscription {subscription_id}")
        return _subscription(row)

    def list(self, *, user_id: str) -> Sequence[Subscription]:
        """The oldest first."""
        rows = self._all("select * from subscription where user_id = :user_id order by id", user_id=user_id)
        return [_subscription(row) for row in rows]

    def delete(self, subscription_id: str) -> None:
        """With what it was to be told. That it is gone already is no error."""
        self._run("delete from subscription where id = :id", id=subscription_id)

    def hold(self, subscription_id: str, *, until: int) -> None:
        """Its service asked to be left alone until then."""
        self._run("update subscription set held_until = :until where id = :id", id=subscription_id, until=until)


class Notifications(Table):
    """The rows of `notification`."""

    def record(self, event: Event) -> None:
        """One for each browser, if a person is to be told of the event; several of one tag become one."""
        kind = kind_of(event)
        if kind is None:
            return
        subscriptions = [row["id"] for row in self._all("select id from subscription")]
        if not subscriptions:
            return
        data = self._about(event)
        for subscription_id in subscriptions:
            self.add(subscription_id, kind, tag=tag_of(kind, event), data=data, now=event.at)

    def add(self, subscription_id: str, kind: Kind, *, tag: str, data: dict[str, Any], now: int) -> None:
        """To be told in a moment; with what has the same tag and was not told yet."""
        self._run(
            """
            insert into notification (id, subscription_id, tag, kind, urgent, data, state, run_at, expires_at,
                created_at)
            values (:id, :subscription_id, :tag, :kind, :urgent, :data, 'pending', :run_at, :expires_at, :now)
            on conflict (subscription_id, tag) where state = 'pending'
            do update set count = count + 1, kind = :kind, data = :data, expires_at = :expires_at
            """,
            id=new_id("not", now=now),
            subscription_id=subscription_id,
            tag=tag,
            kind=kind,
            urgent=is_urgent(kind),
            data=to_json(data),
            run_at=now if kind in AT_ONCE else now + round(GATHER_S * 1000),
            expires_at=now + 1000 * lives_s(kind),
            now=now,
        )
        self._outcome.pushing = True

    def due(self, *, now: int, limit: int) -> Sequence[Due]:
        """Those whose time has come, one for each browser: how much it was told is counted after each. What is urgent
        comes first. A browser's service that asked for time has it."""
        rows = self._all(
            """
            select *, row_number() over (partition by subscription_id order by urgent desc, run_at) as place from (
                select notification.*, subscription.sealed from notification
                cross join subscription on subscription.id = notification.subscription_id
                where notification.state = 'pending' and notification.run_at <= :now
                    and ifnull(subscription.held_until, 0) <= :now)
            order by place, urgent desc, run_at
            limit :limit
            """,
            now=now,
            limit=limit,
        )
        return [Due(notification=_notification(row), sealed=bytes(row["sealed"])) for row in rows if row["place"] == 1]

    def next_due_at(self) -> int | None:
        """When the next one is due, or was, unix ms. None: nothing waits."""
        at = self._value(
            """
            select min(max(notification.run_at, ifnull(subscription.held_until, 0))) from notification
            cross join subscription on subscription.id = notification.subscription_id
            where notification.state = 'pending'
            """
        )
        return None if at is None else int(at)

    def sent_at(self, subscription_id: str, *, since: int) -> list[int]:
        """When something was sent to a browser from `since` on, unix ms, the oldest first."""
        rows = self._all(
            """
            select finalized_at as at from notification
            where subscription_id = :subscription_id and state = 'sent' and finalized_at >= :since
            order by finalized_at
            """,
            subscription_id=subscription_id,
            since=since,
        )
        return [row["at"] for row in rows]

    def sent(self, notification: Notification, *, now: int) -> None:
        """pending → sent. What came to it while it was on its way is told with the next."""
        self._run(
            """
            update subscription set pushed_at = :now, failures = 0, held_until = null where id = :subscription_id
            """,
            subscription_id=notification.subscription_id,
            now=now,
        )
        if not self._over(notification, "sent", now=now):
            self._run("update notification set attempt = 0, run_at = :now where id = :id", id=notification.id, now=now)

    def fail(self, notification: Notification, *, now: int) -> None:
        """pending → failed: no attempt follows."""
        self._count_failure(notification)
        self._over(notification, "failed", now=now)

    def retry(self, notification: Notification, *, run_at: int) -> None:
        """The attempt failed, and the next comes at `run_at`."""
        self._count_failure(notification)
        self._run(
            "update notification set attempt = attempt + 1, run_at = :run_at where id = :id and state = 'pending'",
            id=notification.id,
            run_at=run_at,
        )

    def postpone(self, notification: Notification, *, run_at: int) -> None:
        """Nothing was tried: the browser was told enough for now."""
        self._run("update notification set run_at = :run_at where id = :id", id=notification.id, run_at=run_at)

    def prune(self, *, before_ms: int) -> int:
        """Delete those that were over before. How many."""
        return self._run("delete from notification where finalized_at < :before", before=before_ms)

    def _over(self, notification: Notification, state: str, *, now: int) -> bool:
        return bool(
            self._run(
                """
                update notification set state = :state, attempt = attempt + 1, finalized_at = :now
                where id = :id and state = 'pending' and count = :count
                """,
                id=notification.id,
                count=notification.count,
                state=state,
                now=now,
            )
        )

    def _count_failure(self, notification: Notification) -> None:
        self._run("update subscription set failures = failures + 1 where id = :id", id=notification.subscription_id)

    def _about(self, event: Event) -> dict[str, Any]:
        """The few words that are said of it."""
        told = event.data
        data: dict[str, Any] = {"platform": told.get("platform", ""), "name": told.get("name", "")}
        if kind_of(event) == "entrance":
            data["what"] = event.type
        if event.type.startswith("publication."):
            data["reason"] = told.get("message", "")
        if event.job_id is None:
            return data
        row = self._one(
            """
            select video.filename as take, job.review, job.error ->> '$.message' as reason,
                (select count(*) from segment where job_id = job.id and state = 'ready') as segments,
                (select "index" + 1 from segment where id = :segment_id) as part
            from job cross join video on video.id = job.video_id
            where job.id = :job_id
            """,
            job_id=event.job_id,
            segment_id=told.get("segment_id"),
        )
        found = {name: value for name, value in (row or {}).items() if value is not None}
        return {**data, **found, "reason": data.get("reason") or found.get("reason", "")}
