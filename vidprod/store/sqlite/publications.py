"""Publications at rest: planned, found, due. How they are moved is in `moves.py` and `wishes.py`."""

from collections.abc import Iterable, Sequence

from vidprod.domain.publication import STATES, Publication, PublicationState
from vidprod.store.sqlite.moves import publication_of, waiting
from vidprod.store.sqlite.table import to_json
from vidprod.store.sqlite.wishes import Wishes

_FOREVER = 1 << 60  # after every time


class Publications(Wishes):
    """The rows of `publication`."""

    def add(self, publication: Publication) -> Publication:
        """A scheduled one. Raises Conflict: the segment is on its way to the account, or was published there."""
        self._refuse_twice(publication)
        self._run(
            """
            insert into publication (id, segment_id, job_id, account_id, platform, state, post, "when", due_at, run_at,
                needs_approval, approved_at, missed_at, wait, created_at)
            values (:id, :segment_id, :job_id, :account_id, :platform, 'scheduled', :post, :when, :due_at, :run_at,
                :needs_approval, :approved_at, :missed_at, :wait, :created_at)
            """,
            id=publication.id,
            segment_id=publication.segment_id,
            job_id=publication.job_id,
            account_id=publication.account_id,
            platform=publication.platform,
            post=to_json(publication.post),
            when=publication.when,
            due_at=publication.due_at,
            run_at=publication.run_at,
            needs_approval=publication.needs_approval,
            approved_at=publication.approved_at,
            missed_at=publication.missed_at,
            wait=waiting(publication.wait),
            created_at=publication.created_at,
        )
        self._outcome.publishing = True
        return publication

    # looking

    def handle(self, publication_id: str) -> bytes | None:
        """What the platform gave to send with, sealed; None before it did."""
        handle = self._value("select handle from publication where id = :id", id=publication_id)
        return None if handle is None else bytes(handle)

    def list(
        self,
        *,
        limit: int,
        before: str | None = None,
        states: Iterable[str] | None = None,
        account_id: str | None = None,
        job_id: str | None = None,
        segment_id: str | None = None,
        due_from: int | None = None,
        due_to: int | None = None,
    ) -> Sequence[Publication]:
        """The newest first.

        Args:
            before: the id of the last one seen; older ones follow.
            due_from, due_to: unix ms, half-open.
        """
        rows = self._all(
            """
            select * from publication
            where id < :before and state in (select value from json_each(:states))
                and (:account_id is null or account_id = :account_id)
                and (:job_id is null or job_id = :job_id)
                and (:segment_id is null or segment_id = :segment_id)
                and +due_at >= :due_from and +due_at < :due_to -- read in the order of ids, until the limit
            order by id desc
            limit :limit
            """,
            before=before if before is not None else "pub_~",
            states=to_json(sorted(set(STATES if states is None else states))),
            account_id=account_id,
            job_id=job_id,
            segment_id=segment_id,
            due_from=due_from or 0,
            due_to=_FOREVER if due_to is None else due_to,
            limit=limit,
        )
        return [publication_of(row) for row in rows]

    def calendar(self, due_from: int, due_to: int, *, limit: int = 100_000) -> Sequence[Publication]:
        """Those due within [due_from, due_to), unix ms, in that order, but none that was cancelled."""
        rows = self._all(
            """
            select * from publication
            where due_at >= :due_from and due_at < :due_to and state <> 'cancelled'
            order by due_at, id
            limit :limit
            """,
            due_from=due_from,
            due_to=due_to,
            limit=limit,
        )
        return [publication_of(row) for row in rows]

    def of_segment(self, segment_id: str) -> Sequence[Publication]:
        """The oldest first."""
        rows = self._all("select * from publication where segment_id = :id order by id", id=segment_id)
        return [publication_of(row) for row in rows]

    def of_job(self, job_id: str) -> Sequence[Publication]:
        """The oldest first."""
        rows = self._all("select * from publication where job_id = :id order by id", id=job_id)
        return [publication_of(row) for row in rows]

    def planned(self, account_id: str) -> Sequence[Publication]:
        """The account's scheduled ones that nothing was begun of, as they will go out."""
        rows = self._all(
            """
            select * from publication
            where account_id = :account_id and state = 'scheduled' and attempt = 0
            order by due_at, id
            """,
            account_id=account_id,
        )
        return [publication_of(row) for row in rows]

    def due(self, now: int, limit: int, *, but: Iterable[str] = ()) -> Sequence[Publication]:
        """What the publisher shall look at: first what is at a platform already, then as it came due.

        Args:
            but: ids of accounts at which it is busy.
        """
        rows = self._all(
            """
            select * from publication_moving
            where run_at <= :now and account_id not in (select value from json_each(:but))
            order by state = 'scheduled', due_at, id
            limit :limit
            """,
            now=now,
            but=to_json(sorted(but)),
            limit=limit,
        )
        return [publication_of(row) for row in rows]

    def next_run_at(self, *, but: Iterable[str] = ()) -> int | None:
        """When the next one is to be looked at, unix ms; it may have been. None: somebody has to do something first."""
        run_at = self._value(
            """
            select run_at from publication_moving
            where account_id not in (select value from json_each(:but))
            order by run_at
            limit 1
            """,
            but=to_json(sorted(but)),
        )
        return None if run_at is None else int(run_at)

    def count(self) -> dict[PublicationState, int]:
        """How many there are of each state that is not over."""
        rows = self._all(
            """
            select state, count(*) as n from publication
            where state not in ('published', 'rejected', 'cancelled')
            group by state
            """
        )
        return {row["state"]: row["n"] for row in rows}
