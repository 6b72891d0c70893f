"""What a platform's answer comes to, as the database is told it: each method is one transaction or part of one.

Nothing here asks a platform anything. The table of kinds stands in `publisher.py`; the waits in `domain/patience.py`.
"""

from typing import cast

from vidprod.domain import patience, quota
from vidprod.domain.publication import Publication, Wait
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import Handle, Reading
from vidprod.services.remedies import Remedies
from vidprod.store.sqlite.journal import Step
from vidprod.store.sqlite.live import is_live

_HELD = frozenset({"paused", "reauth", "quota"})  # while it waits so, its time does not run


class Verdict(Remedies):
    """What was asked about one publication, and what came of it."""

    # how a call ended

    def begun(self, handle: Handle) -> None:
        """There is a handle."""
        self._db.journal.write(self._publication.id, "begin", "done", now=self._now)
        self._db.publications.begun(self._publication, self._terms.seal(handle))

    def sent(self, handle: Handle) -> None:
        """The platform has every byte."""
        self._db.journal.write(self._publication.id, "send", "done", now=self._now)
        self._to_processing(handle)

    def published(self, handle: Handle) -> None:
        """The call that makes it public was answered."""
        self._db.journal.write(self._publication.id, "publish", "done", now=self._now)
        self._db.publications.keep(self._publication, sealed_handle=self._terms.seal(handle), run_at=self._now)

    def failed(self, step: Step, error: PlatformError) -> None:
        """The call was refused, or its answer is lost."""
        self._db.journal.write(
            self._publication.id,
            step,
            "lost" if error.kind == "RECONCILE" else "failed",
            data={"kind": error.kind, "code": error.code, "status": error.http_status},
            now=self._now,
        )
        if step == "begin" and error.kind != "RECONCILE":
            for bucket in quota.given_back(self._publication.platform, self._publication.account_id):
                self._db.usage.give_back(bucket)
        if error.kind == "REAUTH":
            self._reauth(step, error)
        elif error.kind == "QUOTA":
            self._quota(step, error)
        elif step == "state":
            self._not_read(error)
        elif error.kind in ("FIX", "POLICY"):
            self._reject(step, error)
        elif error.kind == "NEWHANDLE":
            self._anew(step, error)
        elif error.kind == "RECONCILE":
            self._lost(step, error)
        else:
            self._retry(step, error)

    def interrupted(self) -> None:
        """A phase has no end: the daemon ended before the answer."""
        assert self._publication.phase in ("begin", "publish")
        self.failed(self._publication.phase, Unanswered("the daemon ended before the platform answered"))

    def handle_expired(self) -> None:
        """Of a begin whose answer was lost nothing can come any more."""
        self._anew(
            "begin", PlatformError("its upload address was lost, and has expired", kind="NEWHANDLE", code="lost")
        )

    def refused_here(self, code: str, message: str) -> None:
        """It cannot go out as it is, and the platform was not asked."""
        self._reject("begin", PlatformError(message, kind="FIX", code=code))

    # what the platform says of it

    def read(self, reading: Reading, handle: Handle) -> bool:
        """Whether it is ready, and the call that makes it public may be made."""
        match reading.state:
            case "live":
                self._live(reading, handle)
            case "rejected":
                self._rejected(reading)
            case "absent":
                self._anew("state", _error(reading, "NEWHANDLE"))
            case "ready" if self._terms.publishes:
                return self._ready(reading, handle)
            case "uploading" if self._publication.phase != "publish":
                self._wants_bytes(reading, handle)
            case "processing" | "ready" if self._publication.state == "uploading":
                learnt = {} if reading.remote_id is None else {"remote_id": reading.remote_id}
                self._to_processing({**handle, **learnt})
            case "gone":
                self._gone(reading)
            case _:
                self._look_again(reading)
        return False

    def _live(self, reading: Reading, handle: Handle) -> None:
        first = self._db.journal.first_at(self._publication.id, "state", "live")
        if first is None:
            self._db.journal.write(self._publication.id, "state", "live", now=self._now)
        if not reading.settled and (first is None or self._now - first < patience.SETTLES_S * 1000):
            self._address_to_come(reading, handle)
            return
        said = self._privacy_fault(reading) or reading.said
        self.over = is_live(
            self._db,
            self._publication,
            remote_id=reading.remote_id,
            url=reading.url,
            said=said,
            privacy=reading.privacy,
            code=reading.code,
            now=self._now,
        )

    def _address_to_come(self, reading: Reading, handle: Handle) -> None:
        what = reading.said if reading.url else "its address is not known yet."
        wait = Wait(code="processing", message=f"It is published; {what}")
        if self._publication.state == "processing":
            self._db.publications.wait(
                self._publication, wait, run_at=self._next_poll(), said=reading.said, privacy=reading.privacy
            )
        else:
            self._to_processing(handle, wait=wait)

    def _privacy_fault(self, reading: Reading) -> str:
        """Where it was to be public and is not: said with it, and of its account."""
        if self._publication.post.privacy != "public" or reading.privacy in ("", "public"):
            return ""
        said = f"It was to be public and is {reading.privacy}. {reading.said}".strip()
        account = self._db.accounts.get(self._publication.account_id)
        if said not in account.notices:
            self._db.accounts.set_notices(account.id, [*account.notices, said])
        return said

    def _rejected(self, reading: Reading) -> None:
        error = _error(reading, "FIX")
        if error.kind == "REAUTH":
            self._reauth("begin", error)
        elif error.kind == "QUOTA":
            self._quota("begin", error)
        elif error.kind in ("RETRY", "NEWHANDLE"):
            self._anew("state", error)
        elif error.kind == "RECONCILE":
            self._look_again(reading)
        else:
            self._reject("state", error)

    def _ready(self, reading: Reading, handle: Handle) -> bool:
        if self._db.journal.count_of_handle(self._publication.id, "publish", "done"):
            self._look_again(reading)  # it said that it is: it will show it
            return False
        if self._publication.state == "processing":
            return True
        if self._publication.phase != "publish":
            self._to_processing(handle)
            return False
        looks = self._publication.failures + 1  # since the answer was lost
        before = self._publication.errors[-1] if self._publication.errors else None
        if before is not None and quota.SPAM_CODE in before.code:
            if looks < patience.MOST_REFUSALS:
                self._look_again(reading)
            else:
                self._reject("publish", PlatformError(before.message, kind="POLICY", code=before.code))
        elif looks < 2:  # the call may still be under way there
            self._look_again(reading)
        elif self._db.journal.count(self._publication.id, "publish", "lost") > patience.BLIND_PUBLISHES:
            self._reject(
                "publish",
                PlatformError(
                    "the platform did not answer when it was to be made public, and says that it is not",
                    kind="RETRY",
                    code="unanswered",
                ),
            )
        else:
            self._to_processing(handle)
        return False

    def _gone(self, reading: Reading) -> None:
        """The platform does not know the handle: what nobody asked to be public is not, nor what it refused each time;
        else that is no proof."""
        count, final = self._db.journal.count_of_handle, "publish" if self._terms.publishes else "send"
        refused = count(self._publication.id, "publish", "failed")
        if count(self._publication.id, cast(Step, final), "asked") == refused:
            self._anew("state", _error(reading, "NEWHANDLE"))
        elif self._publication.state == "unknown":
            self._look_again(reading)
        else:
            self._unknown(reading.said or "the platform does not know it", code=reading.code)

    def _wants_bytes(self, reading: Reading, handle: Handle) -> None:
        publication, now = self._publication, self._now
        progress = reading.stored > int(handle.get("stored", 0))
        held = publication.wait is not None and publication.wait.code in _HELD
        deadline = publication.deadline_at
        if deadline is None or progress or held:
            deadline = patience.upload_deadline(publication.size, bytes_per_s=self._terms.bytes_per_s, now=now)
        failures = 0 if progress else publication.failures
        worn_out = publication.platform == "instagram" and failures >= patience.quick_tries("instagram", "send")
        # where a begin is not repeated, only the end of the address says that nothing comes of it: that is read
        if (now > deadline and not self._terms.begins_once) or worn_out:
            why = f"{reading.stored:,} of {publication.size:,} bytes are there, and it takes no more"
            self._anew("send", PlatformError(why, kind="NEWHANDLE", code="stalled"))
            return
        resumed = self._db.publications.resume(
            publication,
            sealed_handle=self._terms.seal({**handle, "stored": reading.stored}),
            run_at=now,
            deadline_at=deadline,
            failures=failures,
        )
        if publication.state != "uploading":
            self._tell("uploading", resumed)

    def _look_again(self, reading: Reading) -> None:
        """Nothing is decided."""
        publication = self._publication
        if publication.state == "unknown":
            self._look_later(reading.said, privacy=reading.privacy)
        elif self._is_past_deadline():
            self._unknown(f"after so long it is not known what became of it: {reading.said or reading.state}")
        else:
            self._db.publications.wait(
                publication,
                Wait(code="processing", message="The platform processes it."),
                run_at=self._next_poll(),
                said=reading.said,
                privacy=reading.privacy,
            )

    def _not_read(self, error: PlatformError) -> None:
        """Nothing was learnt: neither of a refusal to tell nor of a lost answer comes anything."""
        publication = self._publication
        if publication.state == "unknown":
            self._look_later(None, retry_after_s=error.retry_after_s)
        elif self._is_past_deadline():
            self._unknown(f"it cannot be asked what became of it: {error}", error=self._told("state", error))
        else:
            run_at = max(self._next_poll(), self._now + int((error.retry_after_s or 0) * 1000))
            wait = publication.wait
            if wait is None and publication.state == "uploading":
                wait = Wait(code="retry", message=error.in_words, until=run_at)
            self._db.publications.wait(publication, wait, run_at=run_at)

    def _look_later(self, said: str | None, *, privacy: str | None = None, retry_after_s: float | None = None) -> None:
        publication = self._publication
        pause = patience.unknown_ms(publication.failures + 1, jitter=self._terms.jitter)
        run_at = self._now + max(pause, int((retry_after_s or 0) * 1000))
        wait = Wait(code="unknown", message=_why(publication), until=run_at)
        self._db.publications.wait(publication, wait, run_at=run_at, counted=True, said=said, privacy=privacy)


def _error(reading: Reading, kind: str) -> PlatformError:
    return PlatformError(
        reading.said or f"the platform says {reading.state}",
        kind=reading.kind or kind,
        code=reading.code or reading.state,
    )


def _why(publication: Publication) -> str:
    if publication.wait is not None and publication.wait.code == "unknown":
        return publication.wait.message
    return "it is not known what became of it"
