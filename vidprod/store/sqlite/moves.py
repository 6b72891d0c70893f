"""What moves a publication by itself: each move says from where, and takes the row back only as it was read.

Whoever moves a publication hands in the row it looked at; where its state, phase or attempt changed meanwhile, the
move raises Conflict and nothing of the transaction stays. So of a person who cancels and the publisher who begins, one
wins and the other hears of it. What people ask for is in `wishes.py`.
"""

import msgspec

from vidprod.domain.post import Post
from vidprod.domain.publication import Publication, PublicationError, Wait
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table, to_json

ERRORS_KEPT = 20  # of one publication, the newest

_post = msgspec.json.Decoder(Post)
_wait = msgspec.json.Decoder(Wait)
_errors = msgspec.json.Decoder(list[PublicationError])


def publication_of(row: Row) -> Publication:
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


class Moves(Table):
    """What the publisher does with the rows of `publication`."""

    def get(self, publication_id: str) -> Publication:
        """Raises NotFound."""
        row = self._one("select * from publication where id = :id", id=publication_id)
        if row is None:
            raise NotFound(f"there is no publication {publication_id}")
        return publication_of(row)

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
            wait=waiting(wait),
            run_at=run_at,
            failed=int(counted),
            errors=with_error(publication, error),
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
            wait=waiting(wait),
            run_at=run_at,
            failed=int(error is not None),
            errors=with_error(publication, error),
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
            errors=with_error(publication, error),
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
            errors=with_error(publication, error),
            said=error.message,
            now=error.at,
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
            return publication_of(row)
        found = self.get(publication.id)
        raise Conflict(f"the publication {found.id} is {found.state}: it cannot be {what} now")


def waiting(wait: Wait | None) -> str | None:
    return None if wait is None else to_json(wait)


def with_error(publication: Publication, error: PublicationError | None) -> str:
    errors = publication.errors if error is None else [*publication.errors, error]
    return to_json(errors[-ERRORS_KEPT:])
