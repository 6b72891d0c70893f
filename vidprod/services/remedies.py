"""What is done about a publication that does not simply go on: it waits, is begun anew, is read on, or is rejected.

Each method is part of one transaction. When which is called for is in `verdict.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from vidprod.domain import patience, quota
from vidprod.domain.publication import Publication, PublicationError, Wait, is_to_be_told
from vidprod.errors import PlatformError
from vidprod.platforms.base import Handle
from vidprod.store.sqlite import Tables
from vidprod.store.sqlite.announce import What, announce
from vidprod.store.sqlite.journal import Step
from vidprod.store.sqlite.standing import need_reauth

STALE_MS = 6 * 3_600_000  # so long after its time nothing is begun anew by itself: somebody is asked

_TELLS_MS = 60_000  # as often as what is processed for so long: what a platform has yet to be told cannot wait


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How the platform works, and how we do."""

    begins_once: bool
    publishes: bool
    bytes_per_s: int  # of all uploads together; 0: no limit
    late_ms: int  # for so long a begin is tried that always fails
    seal: Callable[[Handle], bytes]
    jitter: float  # from 0 up to 1
    now: int


class Remedies:
    """The writes about one publication, within one transaction."""

    def __init__(self, db: Tables, publication: Publication, terms: Terms) -> None:
        self._db, self._publication, self._terms, self._now = db, publication, terms, terms.now
        self.over: Publication | None = None  # as it is, once nothing more is to be done

    def _retry(self, step: Step, error: PlatformError) -> None:
        publication, now = self._publication, self._now
        assert step in ("begin", "send", "publish")
        pause = patience.retry_ms(
            publication.platform,
            step,
            publication.failures + 1,
            retry_after_s=error.retry_after_s,
            jitter=self._terms.jitter,
        )
        told, wait = self._told(step, error), Wait(code="retry", message=error.in_words, until=now + pause)
        if step == "send":  # how much of it arrived is read first
            self._db.publications.wait(publication, wait, run_at=now + pause, error=told, counted=True)
        elif error.tries is not None and publication.failures >= error.tries:
            self._reject(step, error)
        elif now > self._given_up_at(step) and publication.failures >= patience.quick_tries(publication.platform, step):
            self._reject(step, error)  # what waited for a quota beyond its time still has its quick tries
        elif step == "publish":
            self._db.publications.wait(publication, wait, run_at=now + pause, error=told, counted=True, settled=True)
        else:
            self._db.publications.anew(publication, wait, run_at=now + pause, error=told)

    def _given_up_at(self, step: Step) -> int:
        publication = self._publication
        if step == "publish":
            return publication.deadline_at or 0
        first = self._db.journal.first_at(publication.id, "begin", "asked") or self._now
        return max(first, publication.due_at) + self._terms.late_ms

    def _lost(self, step: Step, error: PlatformError) -> None:
        """It may have been done."""
        if step == "publish":
            if quota.SPAM_CODE in error.code:
                self._park(self._now + quota.DAY_MS)
            self._unknown("it may be public: the platform is asked", error=self._told(step, error), looks=0)
        elif step == "begin" and self._terms.begins_once:
            run_at = self._now + int(patience.LOST_HANDLE_S * 1000)
            self._unknown(
                "the answer that had its upload address is lost; nothing was sent, and once the address has expired "
                "it is begun anew",
                error=self._told(step, error),
                run_at=run_at,
            )
        else:
            self._retry(step, error)

    def _unknown(
        self,
        message: str,
        *,
        code: str = "",
        error: PublicationError | None = None,
        looks: int = 1,
        run_at: int | None = None,
    ) -> None:
        if run_at is None:
            run_at = self._now + patience.unknown_ms(looks, jitter=self._terms.jitter)
        wait = Wait(code="unknown", message=message, until=run_at)
        unknown = self._db.publications.unknown(self._publication, wait, run_at=run_at, error=error)
        self._db.journal.write(unknown.id, "state", "unknown", now=self._now)
        announce(
            self._db, "unknown", unknown, code=code or (error.code if error else ""), message=message, now=self._now
        )

    def _anew(self, step: Step, error: PlatformError) -> None:
        """Nothing came of the handle and nothing will: another one is asked for, a few times."""
        publication, journal, now = self._publication, self._db.journal, self._now
        first = journal.first_at(publication.id, "begin", "asked") or now
        number = journal.count(publication.id, "state", "new handle") + 1
        if number > patience.NEW_HANDLES:
            self._reject(step, error)
        elif now - max(first, publication.due_at) > STALE_MS:
            late = PlatformError(
                f"nothing of it is public, and its time is long over: {error}", kind=error.kind, code=error.code
            )
            self._reject(step, late)
        else:
            pause = patience.retry_ms(
                publication.platform,
                "begin",
                number,
                retry_after_s=error.retry_after_s,
                jitter=self._terms.jitter,
            )
            journal.write(publication.id, "state", "new handle", data={"code": error.code}, now=now)
            wait = Wait(code="retry", message=error.in_words, until=now + pause)
            again = self._db.publications.anew(publication, wait, run_at=now + pause, error=self._told(step, error))
            self._tell("waiting", again, code="retry", message=wait.message)

    def _quota(self, step: Step, error: PlatformError) -> None:
        publication = self._publication
        until = quota.parked_until(publication.platform, error, self._now)
        wait = Wait(code="quota", message=error.in_words, until=until)
        told = self._told(step, error)
        if step == "state":  # of reading: what is to be published does not wait for it
            soon = min(until, self._now + 3_600_000)
            self._db.publications.wait(publication, publication.wait, run_at=soon, said=str(error))
            return
        if quota.is_of_project(publication.platform, error):
            for account in self._db.accounts.list():
                if account.platform == publication.platform:
                    self._db.accounts.park(account.id, until=until)
        self._park(until)
        self._put_off(step, wait, run_at=until, told=told)

    def _reauth(self, step: Step, error: PlatformError) -> None:
        need_reauth(self._db, self._publication.account_id, error.in_words, now=self._now)
        if step == "state" and is_to_be_told(self._publication):  # what is wanted stays on disk
            self._db.publications.wait(self._publication, self._publication.wait, run_at=self._next_poll())
            return
        wait = Wait(code="reauth", message="The account has to be connected again.")
        self._put_off(step, wait, run_at=self._now, told=self._told(step, error))

    def _put_off(self, step: Step, wait: Wait, *, run_at: int, told: PublicationError) -> None:
        """Nothing came of the call, as it was refused."""
        publications, publication = self._db.publications, self._publication
        if step == "begin":
            publication = publications.anew(publication, wait, run_at=run_at, error=told)
        else:
            publication = publications.wait(publication, wait, run_at=run_at, error=told, settled=step == "publish")
        self._tell("waiting", publication, code=wait.code, message=wait.message)

    def _reject(self, step: Step, error: PlatformError) -> None:
        if error.kind == "POLICY" and quota.SPAM_CODE in error.code:
            self._park(self._now + quota.DAY_MS)
        self.over = rejected = self._db.publications.reject(self._publication, self._told(step, error))
        self._db.journal.write(rejected.id, "state", "rejected", data={"code": error.code}, now=self._now)
        self._tell("rejected", rejected, code=error.code, message=error.in_words)

    def _park(self, until: int) -> None:
        self._db.accounts.park(self._publication.account_id, until=until)

    def _to_processing(self, handle: Handle, *, wait: Wait | None = None) -> None:
        publication, now = self._publication, self._now
        deadline = patience.processing_deadline(publication.platform, due_at=publication.due_at, now=now)
        processing = self._db.publications.sent(
            publication,
            sealed_handle=self._terms.seal({**handle, "stored": publication.size}),
            run_at=now,
            deadline_at=deadline,
            wait=wait or Wait(code="processing", message="The platform processes it."),
        )
        self._tell("processing", processing)

    def _next_poll(self) -> int:
        publication = self._publication
        if publication.state == "uploading" or publication.deadline_at is None:
            return self._now + patience.poll_ms(0, jitter=self._terms.jitter)
        if is_to_be_told(publication):
            return self._now + patience.poll_ms(_TELLS_MS, jitter=self._terms.jitter)
        since = publication.deadline_at - patience.processing_ms(publication.platform)
        if since > self._now:  # the platform keeps the time itself: until then there is little to see
            return min(since, self._now + 3_600_000)
        return self._now + patience.poll_ms(self._now - since, jitter=self._terms.jitter)

    def _is_past_deadline(self) -> bool:
        deadline = self._publication.deadline_at
        return deadline is not None and self._now > deadline

    def _told(self, step: Step, error: PlatformError) -> PublicationError:
        return PublicationError.of(error, step=step, at=self._now)

    def _tell(self, what: What, publication: Publication, *, code: str = "", message: str = "") -> None:
        announce(self._db, what, publication, code=code, message=message, now=self._now)
