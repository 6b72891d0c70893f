"""The outbox: deliveries that wait, as the deliverer takes them, and what an attempt came to.

The rows are the queue. What is under way is known to the deliverer alone, so that a crash leaves a row that is due, and
is delivered again.
"""

from collections.abc import Iterable, Sequence

import msgspec

from vidprod.domain.endpoint import LONGEST_GAP_S, LONGEST_HOLD_S, Delivery, DeliveryAttempt
from vidprod.store.sqlite.deliveries import read_delivery
from vidprod.store.sqlite.table import Table, to_json


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery whose time has come, with all that is needed for an attempt."""

    delivery: Delivery
    body: str
    url: str
    sealed: bytes  # the endpoint's secrets
    failing: bool  # nothing was delivered to it lately


# each enabled endpoint for which something waits, by a step from one to the next in the index of what is due
_HOLDERS = """
    with recursive step (id) as (
        select min(endpoint_id) from delivery where state = 'pending'
        union all
        select (select min(endpoint_id) from delivery where state = 'pending' and endpoint_id > step.id)
        from step where step.id is not null),
    holder as materialized (
        select endpoint.id, endpoint.url, endpoint.secrets, endpoint.failing_since, endpoint.held_until
        from step cross join endpoint on endpoint.id = step.id
        where endpoint.state = 'enabled' and iif(endpoint.failing_since is null, :working, :failing)
            and endpoint.id not in (select value from json_each(:held)))
    """


class Outbox(Table):
    """The rows of `delivery` that are pending, and those of `delivery_attempt` that are written."""

    def due(
        self,
        *,
        now: int,
        lanes: int,
        limit: int,
        working: bool = True,
        failing: bool = True,
        under_way: Iterable[str] = (),
        held: Iterable[str] = (),
    ) -> Sequence[Due]:
        """Those whose time has come, at most `lanes` of each endpoint, the longest due first.

        Args:
            working: those of endpoints that work; failing: of those that fail.
            under_way: deliveries that are not to be named again.
            held: endpoints that are to be left alone.
        """
        rows = self._all(
            _HOLDERS  # noqa: S608  # a constant
            + """
            select delivery.*, holder.url, holder.secrets, holder.failing_since
            from holder cross join delivery on ifnull(holder.held_until, 0) <= :now and delivery.id in (
                select id from delivery as head
                where head.endpoint_id = holder.id and head.state = 'pending' and head.run_at <= :now
                    and head.id not in (select value from json_each(:under_way))
                order by head.run_at
                limit :lanes)
            order by delivery.run_at
            limit :limit
            """,
            now=now,
            lanes=lanes,
            limit=limit,
            working=working,
            failing=failing,
            under_way=to_json(list(under_way)),
            held=to_json(list(held)),
        )
        return [
            Due(
                delivery=read_delivery(row),
                body=row["body"],
                url=row["url"],
                sealed=bytes(row["secrets"]),
                failing=row["failing_since"] is not None,
            )
            for row in rows
        ]

    def next_due_at(
        self, *, failing: bool = True, under_way: Iterable[str] = (), held: Iterable[str] = ()
    ) -> int | None:
        """When the next one is due, or was; unix ms. None: nothing waits. The arguments are those of `due`."""
        at = self._value(
            _HOLDERS  # noqa: S608  # a constant
            + """
            select min((
                select max(head.run_at, ifnull(holder.held_until, 0)) from delivery as head
                where head.endpoint_id = holder.id and head.state = 'pending'
                    and head.id not in (select value from json_each(:under_way))
                order by head.run_at
                limit 1))
            from holder
            """,
            working=True,
            failing=failing,
            under_way=to_json(list(under_way)),
            held=to_json(list(held)),
        )
        return None if at is None else int(at)

    def bring_back(self, *, now: int) -> int:
        """Make due what a clock that was ahead put further off than anything can be, and end what it held. How many."""
        self._run(
            "update endpoint set held_until = null where held_until > :latest", latest=_later(now, LONGEST_HOLD_S)
        )
        return self._run(
            """
            update delivery
            set run_at = :now
            where endpoint_id in (select id from endpoint) and state = 'pending' and run_at > :latest
            """,
            now=now,
            latest=_later(now, LONGEST_GAP_S),
        )

    def delivered(self, delivery: Delivery, attempt: DeliveryAttempt, *, now: int) -> bool:
        """pending → delivered. False when it is gone meanwhile."""
        return self._attempted(
            delivery,
            attempt,
            """
            update delivery
            set state = 'delivered', attempt = attempt + 1, finalized_at = :now
            where id = :id and state = 'pending'
            """,
            now=now,
        )

    def retry(self, delivery: Delivery, attempt: DeliveryAttempt, *, run_at: int) -> bool:
        """The attempt failed, and the next comes at `run_at`. False when it is gone meanwhile."""
        return self._attempted(
            delivery,
            attempt,
            "update delivery set attempt = attempt + 1, run_at = :run_at where id = :id and state = 'pending'",
            run_at=run_at,
        )

    def fail(self, delivery: Delivery, attempt: DeliveryAttempt, *, now: int) -> bool:
        """pending → failed: no attempt follows. False when it is gone meanwhile."""
        return self._attempted(
            delivery,
            attempt,
            """
            update delivery
            set state = 'failed', attempt = attempt + 1, finalized_at = :now
            where id = :id and state = 'pending'
            """,
            now=now,
        )

    def _attempted(self, delivery: Delivery, attempt: DeliveryAttempt, sql: str, **values: int) -> bool:
        if not self._run(sql, id=delivery.id, **values):
            return False
        self._run(
            """
            insert into delivery_attempt (delivery_id, number, at, took_ms, status, error, answer)
            values (:delivery_id, :number, :at, :took_ms, :status, :error, :answer)
            """,
            **msgspec.structs.asdict(attempt),
        )
        return True


def _later(now: int, seconds: float) -> int:
    return now + round(seconds * 1000) + 1
