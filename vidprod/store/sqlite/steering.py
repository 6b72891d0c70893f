"""What people ask of a publication: each is one move with its event, inside one transaction. Times are unix ms of
publishing's clock. What is not possible any more raises Conflict and says why."""

from vidprod.domain.patience import processing_deadline
from vidprod.domain.post import Post, Wording, reword
from vidprod.domain.publication import (
    OVER,
    Publication,
    PublicationError,
    Wait,
    When,
    is_address_at,
    is_handed_over,
    lies_there,
    why_not_cancel,
    why_not_settle,
)
from vidprod.domain.target import parse_when
from vidprod.errors import BadRequest, BadSlot, Conflict
from vidprod.store.sqlite.announce import announce
from vidprod.store.sqlite.composing import keep_faults, refuse_faults
from vidprod.store.sqlite.live import is_live
from vidprod.store.sqlite.tables import Tables
from vidprod.store.sqlite.timing import next_free_slot, refuse_past, runs_at


def approve(db: Tables, publication_id: str, *, now: int) -> Publication:
    """It may go out when it is due."""
    before = db.publications.get(publication_id)
    approved = keep_faults(db, db.publications.approve(before, now=now))
    if before.approved_at is None:
        announce(db, "approved", approved, now=now)
    return approved


def cancel(db: Tables, publication_id: str, *, now: int) -> Publication:
    """It does not go out. What its platform was handed with its time is cancelled once the platform was told. Raises
    Conflict where something of it may be public."""
    publication = db.publications.get(publication_id)
    if is_handed_over(publication):
        return _withdrawing(db, publication, now=now)
    cancelled = db.publications.cancel(publication, now=now)
    announce(db, "cancelled", cancelled, now=now)
    return cancelled


def retry(
    db: Tables, publication_id: str, *, wording: Wording | None = None, post: Post | None = None, now: int
) -> Publication:
    """What was rejected is tried anew, at once; in other words where they are given."""
    retried = db.publications.retry(db.publications.get(publication_id), now=now)
    if wording is not None or post is not None:
        retried = _reworded(db, retried, wording, post)
    announce(db, "scheduled", retried, now=now)
    return retried


def check(db: Tables, publication_id: str, *, now: int) -> Publication:
    """The platform is asked at once what became of it."""
    return db.publications.check(db.publications.get(publication_id), now=now)


def settle(db: Tables, publication_id: str, *, url: str | None, by: str, now: int) -> Publication:
    """Somebody looked at the platform, which itself does not tell: what is there is published, what is not is rejected,
    and may be retried with a handle of its own.

    Args:
        url: of the post; None: it is not there.
        by: the id of who says so.
    Raises:
        BadRequest: it is no address of that platform.
        Conflict: the platform may still tell.
    """
    publication = db.publications.get(publication_id)
    unknown_since = db.journal.last_at(publication_id, "state", "unknown")
    if why := why_not_settle(publication, unknown_since=unknown_since, now=now):
        raise Conflict(f"the publication {publication_id} cannot be settled by hand: {why}")
    if url is not None and not is_address_at(publication.platform, url):
        raise BadRequest(f"{url[:200]!r} is no https address of a post at {publication.platform}.")
    seen = {"there": url is not None, "by": by, "url": url}
    db.journal.write(publication_id, "state", "settled", data=seen, now=now)
    if url is not None:
        said = "Somebody looked, and it is there."
        return is_live(db, publication, remote_id=None, url=url, said=said, settled_by=by, now=now)
    error = PublicationError(
        at=now, step="state", kind="NEWHANDLE", code="not_there", message="Somebody looked, and it is not there."
    )
    rejected = db.publications.reject(publication, error)
    db.journal.write(publication_id, "state", "rejected", data={"code": error.code}, now=now)
    announce(db, "rejected", rejected, code=error.code, message=error.message, now=now)
    return rejected


def publish(db: Tables, publication_id: str, *, now: int) -> Publication:
    """It goes out now, also where it was missed. Whoever says so approves of it."""
    publication = db.publications.get(publication_id)
    if publication.needs_approval and publication.approved_at is None and publication.state == "scheduled":
        publication = db.publications.approve(publication, now=now)
    publication = _put(db, publication, due_at=now, when="now", now=now)
    announce(db, "changed", publication, now=now)
    return publication


def change(
    db: Tables,
    publication_id: str,
    *,
    when: str | None = None,
    wording: Wording | None = None,
    post: Post | None = None,
    now: int,
) -> Publication:
    """Another time, or other words.

    Args:
        when: "now", "slot" (the next one that is free) or a time with its offset.
        wording: what it names is said instead.
        post: said instead of all, to the letter.
    Raises:
        BadTarget, BadSlot, BadWording: the time is over, the account has no slots, or the platform would refuse what
            is said.
    """
    publication = db.publications.get(publication_id)
    if wording is not None or post is not None:
        publication = _reworded(db, publication, wording, post)
    if when is not None:
        publication = _moved(db, publication, when, now=now)
    announce(db, "changed", publication, now=now)
    return publication


def _moved(db: Tables, publication: Publication, when: str, *, now: int) -> Publication:
    asked = parse_when(when)
    refuse_past(asked, now=now)
    due_at: int | None = now if asked.at is None else max(now, asked.at)
    if asked.when == "slot":
        due_at = next_free_slot(db, publication, now=now)
    if due_at is None:
        raise BadSlot("the account has no slots", hint='Name a time, or "now".')
    return keep_faults(db, _put(db, publication, due_at=due_at, when=asked.when, now=now))


def _put(db: Tables, publication: Publication, *, due_at: int, when: When, now: int) -> Publication:
    """To another time: here, or where it lies."""
    if not lies_there(publication):
        run_at = runs_at(db.accounts.get(publication.account_id), due_at, now=now)
        return db.publications.reschedule(publication, due_at=due_at, when=when, run_at=run_at)
    wait = Wait(code="moving", message="The platform is told of its new time.", until=due_at)
    return _steered(db, publication, wait, due_at=due_at, when=when, now=now)


def _withdrawing(db: Tables, publication: Publication, *, now: int) -> Publication:
    wait = Wait(code="withdrawing", message="The platform is told not to make it public; then it is cancelled.")
    withdrawing = _steered(db, publication, wait, due_at=publication.due_at, when=publication.when, now=now)
    announce(db, "changed", withdrawing, code=wait.code, message=wait.message, now=now)
    return withdrawing


def _steered(db: Tables, publication: Publication, wait: Wait, *, due_at: int, when: When, now: int) -> Publication:
    deadline_at = processing_deadline(publication.platform, due_at=due_at, now=now)
    return db.publications.steer(publication, wait, due_at=due_at, when=when, run_at=now, deadline_at=deadline_at)


def _reworded(db: Tables, publication: Publication, wording: Wording | None, post: Post | None) -> Publication:
    segment = db.segments.get(publication.segment_id)
    account = db.accounts.get(publication.account_id)
    said = publication.post if post is None else post
    if wording is not None:
        said = reword(said, wording)
    refuse_faults(said, segment, account)
    return db.publications.edit(publication, said)


def end_with_job(db: Tables, job_id: str, *, now: int) -> None:
    """The job is going to be deleted: what of it is planned does not go out. Raises Conflict where something is on its
    way to a platform: its file is still needed."""
    for publication in db.publications.of_job(job_id):
        if publication.state in OVER:
            continue
        if why := why_not_cancel(publication):
            raise Conflict(
                f"a segment of the job is on its way to {publication.platform}: {why}",
                hint="Wait until that publication is over, then delete the job.",
            )
        cancel(db, publication.id, now=now)
