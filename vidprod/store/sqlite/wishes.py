"""What people ask of a publication, and the scheduler: the same rules hold as for `moves.py`."""

from vidprod.domain.post import Post
from vidprod.domain.publication import (
    Publication,
    PublicationError,
    Wait,
    When,
    why_not_cancel,
    why_not_check,
    why_not_retry,
)
from vidprod.errors import Conflict
from vidprod.store.sqlite.moves import Moves, publication_of, waiting, with_error
from vidprod.store.sqlite.table import to_json


class Wishes(Moves):
    """What is asked for of the rows of `publication`."""

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
            wait=waiting(wait),
            due_at=due_at,
            when=when,
            run_at=run_at,
            deadline_at=deadline_at,
            missed_at=missed_at,
            handle=sealed_handle,
            said=said,
            privacy=privacy,
            errors=with_error(publication, error),
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
            set run_at = :now, wait = :wait
            where state = 'processing' and wait ->> '$.code' in ('handed', 'moving')
                and (:account_id is null or account_id = :account_id)
            """,
            account_id=account_id,
            now=now,
            wait=to_json(Wait(code="moving", message="There is a pause: the platform is told to keep it private.")),
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
        self._refuse_twice(publication)
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

    def _refuse_twice(self, publication: Publication) -> None:
        """Raises Conflict: the segment is on its way to the account, or was published there."""
        row = self._one(
            """
            select * from publication
            where segment_id = :segment_id and account_id = :account_id and id <> :id
                and state not in ('rejected', 'cancelled')
            """,
            segment_id=publication.segment_id,
            account_id=publication.account_id,
            id=publication.id,
        )
        if row is not None:
            raise _there_already(publication_of(row))


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
