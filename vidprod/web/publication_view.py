"""What the API shows of a publication."""

from collections.abc import Sequence

import msgspec

from vidprod.domain.account import Platform
from vidprod.domain.post import Post
from vidprod.domain.publication import (
    OVER,
    ErrorKind,
    Phase,
    Publication,
    PublicationState,
    When,
)
from vidprod.store.sqlite import Tables
from vidprod.web.moments import moment

_GONE = "a deleted take"
_NOBODY_TRIES = frozenset({"approval", "paused", "reauth", "missed"})  # these wait for somebody, not for a time


class WaitView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why it does not move: a code for programs, a sentence, and until when; null: until somebody does something."""

    code: str
    message: str
    until: str | None


class PublicationErrorView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How one attempt ended. `code` and `message` are the platform's own."""

    at: str
    step: str
    kind: ErrorKind
    code: str
    message: str
    trace: str


class PublicationView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A publication as it is now. Times are RFC 3339 in UTC. `due_at`: when it shall go out; `retry_at`: when it is
    tried or looked at again by itself; `missed_at`: it came due while it could not go out, and waits for somebody;
    `said`: the platform's own words; `segment_index` is null once the job was deleted."""

    id: str
    segment_id: str
    segment_index: int | None
    filename: str
    job_id: str
    account_id: str
    account_name: str
    platform: Platform
    state: PublicationState
    post: Post
    when: When
    due_at: str
    run_at: str
    retry_at: str | None
    needs_approval: bool
    approved_at: str | None
    missed_at: str | None
    wait: WaitView | None
    phase: Phase | None
    attempt: int
    failures: int
    errors: list[PublicationErrorView]
    sha256: str
    size: int
    said: str
    privacy_seen: str
    remote_id: str | None
    url: str | None
    deadline_at: str | None
    created_at: str
    published_at: str | None
    finalized_at: str | None


def view_publication(db: Tables, publication: Publication) -> PublicationView:
    """Of one, inside a transaction."""
    return view_publications(db, [publication])[0]


def view_publications(db: Tables, publications: Sequence[Publication]) -> list[PublicationView]:
    """Of several, in their order, inside a transaction."""
    takes = db.plans.segments(publication.segment_id for publication in publications)
    names = {account.id: account.name for account in db.accounts.list(disconnected=True)}
    return [
        _view(publication, takes.get(publication.segment_id, (None, _GONE)), names[publication.account_id])
        for publication in publications
    ]


def _view(publication: Publication, take: tuple[int | None, str], account_name: str) -> PublicationView:
    index, filename = take
    wait = publication.wait
    return PublicationView(
        id=publication.id,
        segment_id=publication.segment_id,
        segment_index=index,
        filename=filename,
        job_id=publication.job_id,
        account_id=publication.account_id,
        account_name=account_name,
        platform=publication.platform,
        state=publication.state,
        post=publication.post,
        when=publication.when,
        due_at=moment(publication.due_at),
        run_at=moment(publication.run_at),
        retry_at=moment(publication.run_at) if _tries_again(publication) else None,
        needs_approval=publication.needs_approval,
        approved_at=moment(publication.approved_at),
        missed_at=moment(publication.missed_at),
        wait=None if wait is None else WaitView(code=wait.code, message=wait.message, until=moment(wait.until)),
        phase=publication.phase,
        attempt=publication.attempt,
        failures=publication.failures,
        errors=[
            PublicationErrorView(
                at=moment(error.at),
                step=error.step,
                kind=error.kind,
                code=error.code,
                message=error.message,
                trace=error.trace,
            )
            for error in publication.errors
        ],
        sha256=publication.sha256,
        size=publication.size,
        said=publication.said,
        privacy_seen=publication.privacy_seen,
        remote_id=publication.remote_id,
        url=publication.url,
        deadline_at=moment(publication.deadline_at),
        created_at=moment(publication.created_at),
        published_at=moment(publication.published_at),
        finalized_at=moment(publication.finalized_at),
    )


def _tries_again(publication: Publication) -> bool:
    if publication.state in OVER or publication.missed_at is not None or publication.wait is None:
        return False
    return publication.wait.code not in _NOBODY_TRIES
