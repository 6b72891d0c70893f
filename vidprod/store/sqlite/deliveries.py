"""Deliveries at rest: made with their event, read, asked for again, and forgotten. What is due is `outbox.py`'s."""

from collections.abc import Iterable, Sequence

from vidprod.domain.endpoint import DELIVERY_STATES, Delivery, DeliveryAttempt, Endpoint, body_of
from vidprod.domain.event import Event
from vidprod.domain.ids import new_id
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.endpoints import Endpoints
from vidprod.store.sqlite.table import Table, to_json


def read_delivery(row: Row) -> Delivery:
    return Delivery(
        id=row["id"],
        endpoint_id=row["endpoint_id"],
        event_id=row["event_id"],
        event_type=row["event_type"],
        state=row["state"],
        attempt=row["attempt"],
        earlier=row["earlier"],
        run_at=row["run_at"],
        created_at=row["created_at"],
        finalized_at=row["finalized_at"],
    )


class Deliveries(Table):
    """The rows of `delivery` and `delivery_attempt`."""

    def record(self, event: Event) -> None:
        """One for each enabled endpoint that wants the event, due at once."""
        body = None
        for endpoint in Endpoints(self._connection, self._outcome).hearing(event.job_id):
            if endpoint.wants(event):
                body = body or body_of(event)
                self._add(endpoint, event, body)

    def _add(self, endpoint: Endpoint, event: Event, body: str) -> None:
        self._run(
            """
            insert into delivery (id, endpoint_id, event_id, event_type, body, state, run_at, created_at)
            values (:id, :endpoint_id, :event_id, :event_type, :body, 'pending', :now, :now)
            """,
            id=new_id("msg", now=event.at),
            endpoint_id=endpoint.id,
            event_id=event.id,
            event_type=event.type,
            body=body,
            now=event.at,
        )
        self._outcome.delivering = True

    def get(self, delivery_id: str) -> Delivery:
        """Raises NotFound."""
        row = self._one("select * from delivery where id = :id", id=delivery_id)
        if row is None:
            raise NotFound(f"there is no delivery {delivery_id}")
        return read_delivery(row)

    def of_event(self, endpoint_id: str, event_id: int) -> Delivery:
        """What waits to tell the endpoint of the event. Raises NotFound: nothing does."""
        row = self._one(
            """
            select * from delivery
            where endpoint_id = :endpoint_id and state = 'pending' and event_id = :event_id
            order by id desc
            limit 1
            """,
            endpoint_id=endpoint_id,
            event_id=event_id,
        )
        if row is None:
            raise NotFound(f"the event {event_id} is not on its way to the endpoint {endpoint_id}")
        return read_delivery(row)

    def body(self, delivery_id: str) -> str:
        """As it is signed. Raises NotFound."""
        body = self._value("select body from delivery where id = :id", id=delivery_id)
        if body is None:
            raise NotFound(f"there is no delivery {delivery_id}")
        return str(body)

    def attempts(self, delivery_id: str) -> Sequence[DeliveryAttempt]:
        """The log, from the first."""
        return [
            DeliveryAttempt(**row)
            for row in self._all(
                "select * from delivery_attempt where delivery_id = :id order by number", id=delivery_id
            )
        ]

    def list(
        self, endpoint_id: str, *, limit: int, before: str | None = None, states: Iterable[str] | None = None
    ) -> Sequence[Delivery]:
        """Of one endpoint, newest first.

        Args:
            before: the id of the last one seen; older ones follow.
            states: only these.
        """
        rows = self._all(
            """
            select delivery.* from json_each(:states) as wanted
            cross join delivery on delivery.id in (
                select id from delivery as candidate
                where candidate.endpoint_id = :endpoint_id and candidate.state = wanted.value
                    and candidate.id < :before
                order by candidate.id desc
                limit :limit)
            order by delivery.id desc
            limit :limit
            """,
            states=to_json(sorted(set(DELIVERY_STATES if states is None else states))),
            endpoint_id=endpoint_id,
            before=before if before is not None else "msg_~",
            limit=limit,
        )
        return [read_delivery(row) for row in rows]

    def waiting(self, endpoint_id: str) -> int:
        """How many are pending."""
        return int(
            self._value(
                "select count(*) from delivery where endpoint_id = :endpoint_id and state = 'pending'",
                endpoint_id=endpoint_id,
            )
        )

    def replay(self, delivery_id: str, *, now: int) -> Delivery:
        """Due now, with the whole schedule before it; one that is pending is only due now. The endpoint may have asked
        for time: who asks for this does not wait for that.

        Raises:
            Conflict: its endpoint is disabled. NotFound.
        """
        delivery = self.get(delivery_id)
        self._refuse_disabled(delivery.endpoint_id)
        Endpoints(self._connection, self._outcome).release(delivery.endpoint_id)
        self._replay([delivery.id], now=now)
        return self.get(delivery_id)

    def over_between(self, endpoint_id: str, *, since: int, until: int, states: Iterable[str]) -> Sequence[str]:
        """Ids of deliveries that were made in [since, until) and are in one of these states. Raises Conflict: the
        endpoint is disabled; NotFound."""
        self._refuse_disabled(endpoint_id)
        return [
            row["id"]
            for row in self._all(
                """
                select delivery.id from json_each(:states) as wanted
                cross join delivery on delivery.endpoint_id = :endpoint_id and delivery.state = wanted.value
                    and delivery.id >= :since and delivery.id < :until
                """,
                endpoint_id=endpoint_id,
                states=to_json(sorted(set(states) - {"pending"})),
                since=_first_id(since),
                until=_first_id(until),
            )
        ]

    def replay_over(self, delivery_ids: Iterable[str], *, now: int) -> int:
        """Of these, each that is over is due now. How many."""
        return self._replay(delivery_ids, now=now, pending=False)

    def _replay(self, delivery_ids: Iterable[str], *, now: int, pending: bool = True) -> int:
        self._outcome.delivering = True
        return self._run(
            """
            update delivery
            set state = 'pending', finalized_at = null, run_at = :now,
                earlier = iif(state = 'pending', earlier, attempt)
            where id in (select value from json_each(:ids)) and (:pending or state <> 'pending')
            """,
            ids=to_json(list(delivery_ids)),
            pending=pending,
            now=now,
        )

    def _refuse_disabled(self, endpoint_id: str) -> None:
        endpoint = Endpoints(self._connection, self._outcome).get(endpoint_id)
        if endpoint.state == "disabled":
            raise Conflict(
                f"the endpoint {endpoint_id} is disabled: {endpoint.disabled_reason}", hint="Enable it first."
            )

    def forget(self, endpoint_id: str, *, limit: int) -> int:
        """Whatever there is of an endpoint, with its log. How many."""
        return self._run(
            """
            delete from delivery
            where id in (select id from delivery where endpoint_id = :endpoint_id limit :limit)
            """,
            endpoint_id=endpoint_id,
            limit=limit,
        )

    def prune(self, *, before_ms: int, limit: int) -> int:
        """Forget what was over before `before_ms`, the oldest first, with its log. How many."""
        return self._run(
            """
            delete from delivery
            where id in (select id from delivery where finalized_at < :before order by finalized_at limit :limit)
            """,
            before=before_ms,
            limit=limit,
        )

    def prune_unheard(self, *, before_ms: int, limit: int) -> int:
        """Forget what has waited for a disabled endpoint since before `before_ms`. How many."""
        return self._run(
            """
            delete from delivery
            where id in (
                select delivery.id from endpoint
                cross join delivery on delivery.endpoint_id = endpoint.id and delivery.state = 'pending'
                    and delivery.id < :before
                where endpoint.state = 'disabled'
                limit :limit)
            """,
            before=_first_id(before_ms),
            limit=limit,
        )


def _first_id(at: int) -> str:
    """No id of this millisecond is less."""
    return new_id("msg", now=max(0, at), entropy=bytes(10))
