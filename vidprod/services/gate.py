"""What holds a publication: a pause, an approval, a quota, a time that is not come or is over.

Everything here runs within one transaction, and what holds it is written down with it.
"""

from vidprod.domain import quota
from vidprod.domain.account import Account
from vidprod.domain.handed import LEAST_LEAD_MS
from vidprod.domain.publication import Publication, Wait
from vidprod.errors import BadSlot
from vidprod.store.sqlite import Tables, timing
from vidprod.store.sqlite.announce import announce
from vidprod.store.sqlite.standing import PAUSED_AT, held_by
from vidprod.telemetry import log

_LOOKS_AGAIN_MS = 15_000  # at a segment that is being made again
_NOT_NEWS = frozenset({"processing", "retry"})

_logger = log.get(__name__)


class Gate:
    """Where one publication has to pass."""

    def __init__(self, db: Tables, publication: Publication, *, late_ms: int, now: int) -> None:
        """
        Args:
            late_ms: so long after its time it still goes out.
        """
        self._db, self._publication, self._late_ms, self._now = db, publication, late_ms, now

    def holds(self, account: Account) -> bool:
        """Whether it is not to be begun now."""
        db, now, publication = self._db, self._now, self._publication
        if publication.needs_approval and publication.approved_at is None:
            wait = Wait(code="approval", message="Somebody has to approve it.")
            put_off(db, publication, wait, run_at=publication.run_at, now=now)
            return True
        if self.stands():
            return True
        if publication.due_at > now and handed_at(account, publication, now=now) is None:
            put_off(db, publication, None, run_at=publication.due_at, now=now)
            return True
        if self._is_late():
            missed = db.publications.miss(publication, now=now)
            announce(
                db, "missed", missed, code="missed", message="It came due while nothing could be published.", now=now
            )
            return True
        if db.tasks.live_of_segment(publication.segment_id) is not None:
            wait = Wait(code="hold", message="The segment is being made again.")
            put_off(db, publication, wait, run_at=now + _LOOKS_AGAIN_MS, now=now)
            return True
        return self._is_crowded() or self._is_used_up()

    def stands(self) -> bool:
        """Whether its account stands still."""
        db, now, publication = self._db, self._now, self._publication
        account = db.accounts.get(publication.account_id)
        if account.state != "connected":
            wait = Wait(code="reauth", message="The account has to be connected again.")
            put_off(db, publication, wait, run_at=publication.run_at, now=now)
        elif what := pause_of(db, account.id):
            put_off(db, publication, Wait(code="paused", message=what), run_at=publication.run_at, now=now)
        elif account.parked_until is not None and account.parked_until > now:
            wait = Wait(
                code="quota",
                message="The platform takes no more of this account until then.",
                until=account.parked_until,
            )
            put_off(db, publication, wait, run_at=account.parked_until, now=now)
        else:
            return False
        return True

    def _is_late(self) -> bool:
        """Whether it came due so long ago, with nobody at work on its account since, that somebody is asked first."""
        publication = self._publication
        if publication.attempt:
            return False
        last = self._db.usage.last_at(quota.posts_of(publication.platform, publication.account_id)) or 0
        return self._now - max(publication.due_at, publication.run_at, last) > self._late_ms

    def _is_crowded(self) -> bool:
        try:
            wait = timing.crowded(self._db, self._publication, now=self._now)
        except BadSlot as error:  # settings of another version; it has its time
            _logger.warning("an account's slots cannot be read", error=str(error))
            return False
        if wait is None or wait.until is None:
            return False
        put_off(self._db, self._publication, wait, run_at=wait.until, now=self._now)
        return True

    def _is_used_up(self) -> bool:
        db, now, publication = self._db, self._now, self._publication
        for one in quota.quotas_of(publication.platform, publication.account_id):
            used = db.usage.times(one.bucket, since=quota.window_start(one, now))
            until = quota.free_at(one, used, now)
            if until is not None:
                wait = Wait(code="quota", message=f"It waits: {one.words}.", until=until)
                put_off(db, publication, wait, run_at=until, now=now)
                return True
        return False


def handed_at(account: Account, publication: Publication, *, now: int) -> int | None:
    """The time that the platform is handed, to go public at by itself, unix ms; None: it is told none."""
    handed = (
        account.platform == "youtube"
        and account.settings.hands_over_time
        and publication.post.privacy == "public"
        and publication.due_at >= now + LEAST_LEAD_MS
    )
    return publication.due_at if handed else None


def pause_of(db: Tables, account_id: str) -> str:
    """Which pause holds the account, in words; empty: none."""
    if (held := held_by(db)) is not None:
        return held.message
    if db.accounts.get(account_id).paused_at is not None:
        return "The account is paused."
    return "Publishing is paused." if db.facts.get(PAUSED_AT) is not None else ""


def put_off(db: Tables, publication: Publication, wait: Wait | None, *, run_at: int, now: int) -> None:
    """It waits for something that is not the platform's answer. Only the beginning of a wait is an event."""
    before = publication.wait
    waiting = db.publications.wait(publication, wait, run_at=run_at)
    if wait is not None and wait.code not in _NOT_NEWS and (before is None or before.code != wait.code):
        announce(db, "waiting", waiting, code=wait.code, message=wait.message, now=now)
