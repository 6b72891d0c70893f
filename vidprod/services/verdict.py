"""What a platform's answer comes to, as the database is told it: each method is one transaction or part of one.

Nothing here asks a platform anything. The table of kinds stands in `publisher.py`; the waits in `domain/patience.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast, get_args

from vidprod.domain import patience, quota
from vidprod.domain.publication import ErrorKind, Publication, PublicationError, Wait, is_to_be_told
from vidprod.errors import NotFound, PlatformError, Unanswered
from vidprod.platforms.base import Handle, Reading
from vidprod.store.sqlite import Tables
from vidprod.store.sqlite.announce import What, announce
from vidprod.store.sqlite.journal import Step
from vidprod.store.sqlite.standing import need_reauth

STALE_MS = 6 * 3_600_000  # so long after its time nothing is begun anew by itself: somebody is asked

_TELLS_MS = 60_000  # as often as what is processed for so long: what a platform has yet to be told cannot wait
_HELD = frozenset({"paused", "reauth", "quota"})  # while it waits so, its time does not run


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


class Verdict:
    """The writes about one publication, within one transaction."""

    def __init__(self, db: Tables, publication: Publication, terms: Terms) -> None:
        self._db, self._publication, self._terms, self._now = db, publication, terms, terms.now
        self.over: Publication | None = None  # as it is, once nothing more is to be done

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
        live = self._db.publications.live(
            self._publication,
            remote_id=reading.remote_id,
            url=reading.url,
            said=said,
            privacy=reading.privacy,
            now=self._now,
        )
        self.over = live
        self._db.journal.write(live.id, "state", "published", now=self._now)
        self._db.receipts.add(live.id, _facts(self._db, live))
        announce(self._db, "published", live, code=reading.code, message=said, now=self._now)

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
                wait = Wait(code="retry", message=_words(error), until=run_at)
            self._db.publications.wait(publication, wait, run_at=run_at)

    def _look_later(self, said: str | None, *, privacy: str | None = None, retry_after_s: float | None = None) -> None:
        publication = self._publication
        pause = patience.unknown_ms(publication.failures + 1, jitter=self._terms.jitter)
        run_at = self._now + max(pause, int((retry_after_s or 0) * 1000))
        wait = Wait(code="unknown", message=_why(publication), until=run_at)
        self._db.publications.wait(publication, wait, run_at=run_at, counted=True, said=said, privacy=privacy)

    # what is done about it

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
        told, wait = self._told(step, error), Wait(code="retry", message=_words(error), until=now + pause)
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
            wait = Wait(code="retry", message=_words(error), until=now + pause)
            again = self._db.publications.anew(publication, wait, run_at=now + pause, error=self._told(step, error))
            self._tell("waiting", again, code="retry", message=wait.message)

    def _quota(self, step: Step, error: PlatformError) -> None:
        publication = self._publication
        until = quota.parked_until(publication.platform, error, self._now)
        wait = Wait(code="quota", message=_words(error), until=until)
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
        need_reauth(self._db, self._publication.account_id, _words(error), now=self._now)
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
        self._tell("rejected", rejected, code=error.code, message=_words(error))

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
        kind = error.kind if error.kind in get_args(ErrorKind) else "RETRY"
        return PublicationError(
            at=self._now,
            step=step,
            kind=cast(ErrorKind, kind),
            code=error.code,
            message=_words(error),
            trace=error.trace,
        )

    def _tell(self, what: What, publication: Publication, *, code: str = "", message: str = "") -> None:
        announce(self._db, what, publication, code=code, message=message, now=self._now)


def _words(error: PlatformError) -> str:
    return f"{error} {error.hint}".strip()


def _why(publication: Publication) -> str:
    if publication.wait is not None and publication.wait.code == "unknown":
        return publication.wait.message
    return "it is not known what became of it"


def _error(reading: Reading, kind: str) -> PlatformError:
    return PlatformError(
        reading.said or f"the platform says {reading.state}",
        kind=reading.kind or kind,
        code=reading.code or reading.state,
    )


def _facts(db: Tables, publication: Publication) -> dict[str, Any]:
    """What a receipt says: from the take to the platform's id."""
    account = db.accounts.get(publication.account_id)
    facts: dict[str, Any] = {
        "publication": {
            "id": publication.id,
            "platform": publication.platform,
            "account": account.external_id,
            "account_name": account.name,
            "remote_id": publication.remote_id,
            "url": publication.url,
            "published_at": publication.published_at,
        },
        "output": {"sha256": publication.sha256, "size": publication.size},
        "segment": {"id": publication.segment_id},
        "source": None,
        "gaze": None,
    }
    try:
        segment = db.segments.get(publication.segment_id)
        video = db.videos.get(db.jobs.get(publication.job_id).video_id)
    except NotFound:  # deleted meanwhile, by hand
        return facts
    facts["segment"] |= {"index": segment.index, "in_us": segment.in_us, "out_us": segment.out_us}
    facts["source"] = {"video": video.id, "sha256": None if video.info is None else video.info.sha256}
    if segment.rendition is not None and segment.rendition.gaze is not None:
        gaze = segment.rendition.gaze
        facts["gaze"] = {"strength": gaze.strength, "corrected": gaze.corrected, "faded": gaze.faded}
        facts["gaze"] |= {"left_alone": dict(gaze.left_alone), "reason": gaze.reason}
    return facts
