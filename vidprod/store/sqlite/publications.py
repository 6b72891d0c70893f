"""Publications at rest: each move says from where, and takes the row back only as it was read.

Whoever moves a publication hands in the row it looked at; where its state, phase or attempt changed meanwhile, the
move raises Conflict and nothing of the transaction stays. So of a person who cancels and the publisher who begins, one
wins and the other hears of it.
"""

from collections.abc import Iterable, Sequence

import msgspec

from vidprod.domain.post import Post
from vidprod.domain.publication import (
    STATES,
    Publication,
    PublicationError,
    PublicationState,
    Wait,
    When,
    why_not_cancel,
    why_not_check,
    why_not_retry,
)
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table, to_json

ERRORS_KEPT = 20  # of one publication, the newest
_FOREVER = 1 << 60  # after every time

_post = msgspec.json.Decoder(Post)
_wait = msgspec.json.Decoder(Wait)
_errors = msgspec.json.Decoder(list[PublicationError])


def _publication(row: Row) -> Publication:
    return Publication(
        id=row["id"],
        segment_id=row["segment_id"],
        job_id=row["job_id"],
        account_id=row["account_id"],
        platform=row["platform"],
        state=row["state"],
        post=_post.decode(row["post"]),
        when=row["when"],
        due_at=row["due_at"],
        run_at=row["run_at"],
        needs_approval=bool(row["needs_approval"]),
        approved_at=row["approved_at"],
        missed_at=row["missed_at"],
        wait=None if row["wait"] is None else _wait.decode(row["wait"]),
        phase=row["phase"],
        attempt=row["attempt"],
        failures=row["failures"],
        errors=_errors.decode(row["errors"]),
        sha256=row["sha256"],
        size=row["size"],
        said=row["said"],
        privacy_seen=row["privacy_seen"],
        remote_id=row["remote_id"],
        url=row["url"],
        deadline_at=row["deadline_at"],
        created_at=row["created_at"],
        published_at=row["published_at"],
        finalized_at=row["finalized_at"],
    )


class Publications(Table):
    """The rows of `publication`."""

    def add(self, publication: Publication) -> Publication:
        """A scheduled one. Raises Conflict: the segment is on its way to the account, or was published there."""
        before = self._one(
            """
            select * from publication
            where segment_id = :segment_id and account_id = :account_id and state not in ('rejected', 'cancelled')
            """,
            segment_id=publication.segment_id,
            account_id=publication.account_id,
        )
        if before is not None:
            raise _there_already(_publication(before))
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
            wait=_waiting(publication.wait),
            created_at=publication.created_at,
        )
        self._outcome.publishing = True
        return publication

    # looking

    def get(self, publication_id: str) -> Publication:
        """Raises NotFound."""
        row = self._one("select * from publication where id = :id", id=publication_id)
        if row is None:
            raise NotFound(f"there is no publication {publication_id}")
        return _publication(row)

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
        return [_publication(row) for row in rows]

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
        return [_publication(row) for row in rows]

    def of_segment(self, segment_id: str) -> Sequence[Publication]:
        """The oldest first."""
        rows = self._all("select * from publication where segment_id = :id order by id", id=segment_id)
        return [_publication(row) for row in rows]

    def of_job(self, job_id: str) -> Sequence[Publication]:
        """The oldest first."""
        rows = self._all("select * from publication where job_id = :id order by id", id=job_id)
        return [_publication(row) for row in rows]

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
        return [_publication(row) for row in rows]

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
        return [_publication(row) for row in rows]

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

    # what the publisher does

    def begin(
        self, publication: Publication, *, sha256: str, size: int, deadline_at: int | None = None, now: int
    ) -> Publication:
        """scheduled → uploading: a handle is going to be asked for. From now on it is for this very file."""
        return self._moved(
            """
            update publication
            set state = 'uploading', phase = 'begin', handle = null, attempt = attempt + 1, sha256 = :sha256,
                size = :size, deadline_at = :deadline_at, run_at = :now, wait = null
            where id = :id and state = 'scheduled' and attempt = :attempt and missed_at is null
            returning *
            """,
            publication,
            "begun",
            sha256=sha256,
            size=size,
            deadline_at=deadline_at,
            now=now,
        )

    def begun(self, publication: Publication, sealed_handle: bytes) -> Publication:
        """The handle is here: nothing was sent yet."""
        return self._moved(
            """
            update publication
            set phase = null, handle = :handle, failures = 0
            where id = :id and state = :state and attempt = :attempt and phase = 'begin'
            returning *
            """,
            publication,
            "given its handle",
            handle=sealed_handle,
        )

    def sending(self, publication: Publication) -> Publication:
        """Bytes are going to be sent."""
        return self._moved(
            """
            update publication
            set phase = 'send', wait = null
            where id = :id and state = 'uploading' and attempt = :attempt and phase is null and handle is not null
            returning *
            """,
            publication,
            "sent",
        )

    def sent(
        self, publication: Publication, *, sealed_handle: bytes, run_at: int, deadline_at: int | None, wait: Wait
    ) -> Publication:
        """uploading, unknown → processing: the platform has every byte."""
        return self._moved(
            """
            update publication
            set state = 'processing', phase = null, handle = :handle, failures = 0, run_at = :run_at,
                deadline_at = :deadline_at, wait = :wait
            where id = :id and state = :state and state in ('uploading', 'processing', 'unknown')
                and attempt = :attempt and phase is :phase
            returning *
            """,
            publication,
            "called sent",
            handle=sealed_handle,
            run_at=run_at,
            deadline_at=deadline_at,
            wait=to_json(wait),
        )

    def resume(
        self, publication: Publication, *, sealed_handle: bytes, run_at: int, deadline_at: int | None, failures: int
    ) -> Publication:
        """uploading, processing, unknown → uploading: the platform has been read, and wants more bytes."""
        return self._moved(
            """
            update publication
            set state = 'uploading', phase = null, handle = :handle, run_at = :run_at, deadline_at = :deadline_at,
                failures = :failures, wait = null
            where id = :id and state = :state and state in ('uploading', 'processing', 'unknown')
                and attempt = :attempt and phase is :phase
            returning *
            """,
            publication,
            "sent on",
            handle=sealed_handle,
            run_at=run_at,
            deadline_at=deadline_at,
            failures=failures,
        )

    def publishing(self, publication: Publication) -> Publication:
        """The call that makes it public is going to be made."""
        return self._moved(
            """
            update publication
            set phase = 'publish', wait = null
            where id = :id and state = 'processing' and attempt = :attempt and phase is null
            returning *
            """,
            publication,
            "made public",
        )

    def keep(self, publication: Publication, *, sealed_handle: bytes, run_at: int) -> Publication:
        """The call was answered: what the handle is now."""
        return self._moved(
            """
            update publication
            set phase = null, handle = :handle, failures = 0, run_at = :run_at
            where id = :id and state = :state and attempt = :attempt and phase is :phase
            returning *
            """,
            publication,
            "kept",
            handle=sealed_handle,
            run_at=run_at,
        )

    def wait(
        self,
        publication: Publication,
        wait: Wait | None,
        *,
        run_at: int,
        error: PublicationError | None = None,
        counted: bool = False,
        settled: bool = False,
        said: str | None = None,
        privacy: str | None = None,
    ) -> Publication:
        """It stays what it is until `run_at`.

        Args:
            error: why, where a call failed.
            counted: one more of `failures`.
            settled: what the phase asked for was refused, so nothing came of it.
        """
        return self._moved(
            """
            update publication
            set wait = :wait, run_at = :run_at, failures = failures + :failed, errors = :errors,
                phase = case when :settled then null else phase end, said = coalesce(:said, said),
                privacy_seen = coalesce(:privacy, privacy_seen)
            where id = :id and state = :state and state not in ('published', 'rejected', 'cancelled')
                and attempt = :attempt and phase is :phase
            returning *
            """,
            publication,
            "put off",
            wait=_waiting(wait),
            run_at=run_at,
            failed=int(counted),
            errors=_with(publication, error),
            settled=settled,
            said=said,
            privacy=privacy,
        )

    def anew(
        self, publication: Publication, wait: Wait | None, *, run_at: int, error: PublicationError | None = None
    ) -> Publication:
        """uploading, processing, unknown → scheduled: nothing came of its handle, and nothing will."""
        return self._moved(
            """
            update publication
            set state = 'scheduled', phase = null, handle = null, deadline_at = null, wait = :wait, run_at = :run_at,
                failures = failures + :failed, errors = :errors
            where id = :id and state = :state and state in ('uploading', 'processing', 'unknown')
                and attempt = :attempt and phase is :phase
            returning *
            """,
            publication,
            "begun anew",
            wait=_waiting(wait),
            run_at=run_at,
            failed=int(error is not None),
            errors=_with(publication, error),
        )

    def unknown(
        self, publication: Publication, wait: Wait, *, run_at: int, error: PublicationError | None = None
    ) -> Publication:
        """uploading, processing → unknown: it may be public. Only reading the platform leads out of it."""
        return self._moved(
            """
            update publication
            set state = 'unknown', wait = :wait, run_at = :run_at, deadline_at = null, failures = 0, errors = :errors
            where id = :id and state = :state and state in ('uploading', 'processing')
                and attempt = :attempt and phase is :phase
            returning *
            """,
            publication,
            "called unknown",
            wait=to_json(wait),
            run_at=run_at,
            errors=_with(publication, error),
        )

    def live(
        self,
        publication: Publication,
        *,
        remote_id: str | None,
        url: str | None,
        said: str = "",
        privacy: str = "",
        now: int,
    ) -> Publication:
        """uploading, processing, unknown → published. From here on the row never changes."""
        return self._moved(
            """
            update publication
            set state = 'published', phase = null, handle = null, wait = null, deadline_at = null,
                remote_id = :remote_id, url = :url, said = :said, privacy_seen = :privacy, published_at = :now,
                finalized_at = :now
            where id = :id and state = :state and state in ('uploading', 'processing', 'unknown')
                and attempt = :attempt and phase is :phase
            returning *
            """,
            publication,
            "published",
            remote_id=remote_id,
            url=url,
            said=said,
            privacy=privacy,
            now=now,
        )

    def reject(self, publication: Publication, error: PublicationError) -> Publication:
        """Any that is not over → rejected: it will not go out by itself."""
        return self._moved(
            """
            update publication
            set state = 'rejected', phase = null, handle = null, wait = null, deadline_at = null, errors = :errors,
                said = :said, finalized_at = :now
            where id = :id and state = :state and state not in ('published', 'rejected', 'cancelled')
                and attempt = :attempt and phase is :phase
            returning *
            """,
            publication,
            "rejected",
            errors=_with(publication, error),
            said=error.message,
            now=error.at,
        )

    # what people do, and the scheduler

    def reschedule(
        self, publication: Publication, *, due_at: int, when: When, run_at: int | None = None
    ) -> Publication:
        """Another time, also for one that was missed. Only while nothing of it is at the platform.

        Args:
            run_at: before `due_at`, where the platform is handed the time.
        """
        return self._moved(
            """
            update publication
            set due_at = :due_at, "when" = :when, run_at = :run_at, missed_at = null, wait = null
            where id = :id and state = 'scheduled' and attempt = :attempt
            returning *
            """,
            publication,
            "put to another time",
            due_at=due_at,
            when=when,
            run_at=due_at if run_at is None else run_at,
        )

    def steer(
        self,
        publication: Publication,
        wait: Wait | None,
        *,
        due_at: int,
        run_at: int,
        deadline_at: int | None,
        when: When | None = None,
        missed_at: int | None = None,
        sealed_handle: bytes | None = None,
        said: str | None = None,
        privacy: str | None = None,
        error: PublicationError | None = None,
    ) -> Publication:
        """Of what the platform was handed with its time: what is wanted of it, and what is known of it there.

        Args:
            error: why, where the platform could not be told.
        """
        return self._moved(
            """
            update publication
            set wait = :wait, due_at = :due_at, "when" = coalesce(:when, "when"), run_at = :run_at,
                deadline_at = :deadline_at, missed_at = :missed_at, handle = coalesce(:handle, handle),
                said = coalesce(:said, said), privacy_seen = coalesce(:privacy, privacy_seen), errors = :errors,
                failures = case when :failed then failures + 1 else 0 end
            where id = :id and state = :state and state = 'processing' and attempt = :attempt and phase is null
            returning *
            """,
            publication,
            "put to another time",
            wait=_waiting(wait),
            due_at=due_at,
            when=when,
            run_at=run_at,
            deadline_at=deadline_at,
            missed_at=missed_at,
            handle=sealed_handle,
            said=said,
            privacy=privacy,
            errors=_with(publication, error),
            failed=error is not None,
        )

    def withdrawn(self, publication: Publication, *, now: int) -> Publication:
        """→ cancelled: it was handed to the platform with its time, which it has given up."""
        return self._moved(
            """
            update publication
            set state = 'cancelled', handle = null, wait = null, deadline_at = null, finalized_at = :now,
                said = 'It lies there as a private video, which can be deleted there.'
            where id = :id and state = :state and state = 'processing' and attempt = :attempt and phase is null
                and wait ->> '$.code' = 'withdrawing'
            returning *
            """,
            publication,
            "cancelled",
            now=now,
        )

    def look_at_handed(self, *, account_id: str | None = None, now: int) -> None:
        """A pause has come: the platform is to be told not to keep the times it was handed.

        Args:
            account_id: None: of all.
        """
        self._run(
            """
            update publication
            set run_at = :now
            where state = 'processing' and wait ->> '$.code' in ('handed', 'moving')
                and (:account_id is null or account_id = :account_id)
            """,
            account_id=account_id,
            now=now,
        )
        self._outcome.publishing = True

    def edit(self, publication: Publication, post: Post) -> Publication:
        """Other words. An approval counts for what was approved."""
        return self._moved(
            """
            update publication
            set post = :post, approved_at = null, wait = iif(missed_at is null, null, wait)
            where id = :id and state = 'scheduled' and attempt = :attempt
            returning *
            """,
            publication,
            "edited",
            post=to_json(post),
        )

    def approve(self, publication: Publication, *, now: int) -> Publication:
        """It may go out. Said twice, the first time stays."""
        return self._moved(
            """
            update publication
            set approved_at = coalesce(approved_at, :now), wait = iif(missed_at is null, null, wait)
            where id = :id and state = 'scheduled' and attempt = :attempt
            returning *
            """,
            publication,
            "approved",
            now=now,
        )

    def cancel(self, publication: Publication, *, now: int) -> Publication:
        """→ cancelled, where nothing of it can be public. Raises Conflict, saying why, where something may."""
        if why := why_not_cancel(publication):
            raise Conflict(f"the publication {publication.id} cannot be cancelled: {why}")
        return self._moved(
            """
            update publication
            set state = 'cancelled', phase = null, handle = null, wait = null, deadline_at = null, finalized_at = :now
            where id = :id and state = :state and attempt = :attempt and phase is :phase
            returning *
            """,
            publication,
            "cancelled",
            now=now,
        )

    def retry(self, publication: Publication, *, now: int) -> Publication:
        """rejected → scheduled, and unknown where nothing was sent: at once, with a handle of its own.

        Raises:
            Conflict: it may be public, it is on its way, or another of the segment to this account is.
        """
        if why := why_not_retry(publication):
            raise Conflict(f"the publication {publication.id} cannot be retried: {why}")
        for other in self.of_segment(publication.segment_id):
            if (
                other.account_id == publication.account_id
                and other.id != publication.id
                and other.state not in ("rejected", "cancelled")
            ):
                raise _there_already(other)
        self._run(
            "insert into journal (publication_id, at, step, what) values (:id, :now, 'plan', 'retry')",
            id=publication.id,
            now=now,
        )
        return self._moved(
            """
            update publication
            set state = 'scheduled', "when" = 'now', due_at = :now, run_at = :now, phase = null, handle = null,
                wait = null, missed_at = null, failures = 0, deadline_at = null, finalized_at = null
            where id = :id and state = :state and attempt = :attempt and phase is :phase
            returning *
            """,
            publication,
            "retried",
            now=now,
        )

    def check(self, publication: Publication, *, now: int) -> Publication:
        """The platform is read at once. Raises Conflict where there is nothing to ask it about."""
        if why := why_not_check(publication):
            raise Conflict(f"the publication {publication.id} cannot be looked at again: {why}")
        return self._moved(
            """
            update publication
            set run_at = :now
            where id = :id and state = :state and attempt = :attempt and phase is :phase
            returning *
            """,
            publication,
            "looked at again",
            now=now,
        )

    def miss(self, publication: Publication, *, now: int) -> Publication:
        """It came due while nothing could be published, too long ago: somebody is asked."""
        return self._moved(
            """
            update publication
            set missed_at = :now, wait = :wait
            where id = :id and state = 'scheduled' and attempt = 0 and missed_at is null and :attempt = 0
            returning *
            """,
            publication,
            "missed",
            now=now,
            wait=to_json(
                Wait(
                    code="missed",
                    message="It came due while nothing could be published. Publish it now, or give it another time.",
                )
            ),
        )

    def _moved(self, sql: str, publication: Publication, what: str, **values: object) -> Publication:
        row = self._one(
            sql,
            id=publication.id,
            state=publication.state,
            attempt=publication.attempt,
            phase=publication.phase,
            **values,
        )
        if row is not None:
            self._outcome.publishing = True
            return _publication(row)
        found = self.get(publication.id)
        raise Conflict(f"the publication {found.id} is {found.state}: it cannot be {what} now")


def _there_already(publication: Publication) -> Conflict:
    if publication.state == "published":
        return Conflict(
            f"the segment {publication.segment_id} was published to this account already, as {publication.id}",
            code="published_already",
        )
    return Conflict(
        f"the segment {publication.segment_id} is on its way to this account already, as {publication.id}",
        code="planned_already",
        hint="Change that one, or cancel it first.",
    )


def _waiting(wait: Wait | None) -> str | None:
    return None if wait is None else to_json(wait)


def _with(publication: Publication, error: PublicationError | None) -> str:
    errors = publication.errors if error is None else [*publication.errors, error]
    return to_json(errors[-ERRORS_KEPT:])
