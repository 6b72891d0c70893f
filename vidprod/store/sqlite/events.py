"""Events at rest: numbered, never changed, in the order of the commits."""

from typing import Any

import msgspec

from vidprod.domain.event import Event
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.deliveries import Deliveries
from vidprod.store.sqlite.notifications import Notifications
from vidprod.store.sqlite.table import Table, to_json

_data = msgspec.json.Decoder(dict[str, Any])


def _event(row: Row) -> Event:
    return Event(id=row["id"], type=row["type"], at=row["at"], job_id=row["job_id"], data=_data.decode(row["data"]))


class Events(Table):
    """The rows of `event`."""

    def record(
        self, event_type: str, *, job_id: str | None = None, data: dict[str, Any] | None = None, now: int
    ) -> Event:
        """Once this transaction is committed, the feed hands it out, each endpoint that wants it has a delivery, and
        who asked to be told of such things a notification."""
        row = self._one(
            """
            insert into event (type, at, job_id, data)
            values (:type, :now, :job_id, :data)
            returning *
            """,
            type=event_type,
            now=now,
            job_id=job_id,
            data=to_json(data or {}),
        )
        assert row is not None
        event = _event(row)
        self._outcome.events.append(event)
        Deliveries(self._connection, self._outcome).record(event)
        Notifications(self._connection, self._outcome).record(event)
        return event

    def after(self, cursor: int, *, limit: int = 100, job_id: str | None = None) -> list[Event]:
        """Those with a greater id, of one job or of all, oldest first."""
        if job_id is None:
            rows = self._all(
                "select * from event where id > :after order by id limit :limit", after=cursor, limit=limit
            )
        else:
            rows = self._all(
                "select * from event where job_id = :job_id and id > :after order by id limit :limit",
                job_id=job_id,
                after=cursor,
                limit=limit,
            )
        return [_event(row) for row in rows]

    def last_id(self) -> int:
        """Of the newest event ever recorded, pruned or not; 0 before the first."""
        return int(self._value("select seq from sqlite_sequence where name = 'event'") or 0)

    def prune(self, *, before_ms: int, limit: int) -> int:
        """Delete those older than `before_ms` among the `limit` oldest. How many."""
        return self._run(
            """
            delete from event
            where id in (select id from event order by id limit :limit) and at < :before
            """,
            before=before_ms,
            limit=limit,
        )
