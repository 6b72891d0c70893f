"""What is written about a publication that its platform was handed with its time, within one transaction.

The decision is `domain/handed.py`'s; what a platform is told about it is told by `posting.py`.
"""

import msgspec

from vidprod.domain import patience, quota
from vidprod.domain.handed import is_same, next_step
from vidprod.domain.publication import Publication, PublicationError, Wait
from vidprod.errors import PlatformError
from vidprod.platforms.base import Handle, Reading
from vidprod.services.remedies import Terms
from vidprod.store.sqlite import Tables
from vidprod.store.sqlite.announce import announce
from vidprod.store.sqlite.standing import need_reauth

_LOOKS_MS = 3_600_000
_TAKEN_AWAY = "It was taken off its time at the platform: publish it now, give it another time, or cancel it."
_CAME_DUE = "It came due while nothing could be published. Publish it now, or give it another time."


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform is to be told. `publish_at`: unix ms; None: nothing is to go public by itself."""

    publish_at: int | None


class Handed:
    """The writes about one."""

    def __init__(self, db: Tables, publication: Publication, terms: Terms) -> None:
        self._db, self._publication, self._terms, self._now = db, publication, terms, terms.now

    @property
    def publication(self) -> Publication:
        """As it is now."""
        return self._publication

    def read(self, reading: Reading, handle: Handle, *, held: str) -> Order | None:
        """What the platform is to be told next, if anything.

        Args:
            held: by which pause, in words; empty: by none.
        """
        publication = self._publication
        if publication.state != "processing":
            self._arrived(reading, handle)
            return None
        code = publication.wait.code if publication.wait is not None else ""
        step = next_step(
            code,
            public_at=reading.public_at,
            due_at=publication.due_at,
            held=bool(held),
            late_ms=self._terms.late_ms,
            now=self._now,
        )
        match step:
            case "leave":
                self._left(reading, handle)
            case "wait":
                wait = Wait(code="moving", message="It lies there until its time.", until=publication.due_at)
                self._steer(wait, run_at=publication.due_at, reading=reading)
            case "hold":
                announce(
                    self._db,
                    "waiting",
                    self._steer(Wait(code="paused", message=held), run_at=self._now, reading=reading),
                    code="paused",
                    message=held,
                    now=self._now,
                )
            case "miss":
                self._missed(_TAKEN_AWAY if code == "handed" else _CAME_DUE, reading)
            case "cancel":
                cancelled = self._db.publications.withdrawn(publication, now=self._now)
                announce(self._db, "cancelled", cancelled, message=cancelled.said, now=self._now)
            case "hand":
                return self._ordered(publication.due_at, code)
            case "publish":
                return self._ordered(0, code)  # whatever the platform's clock says
            case "withdraw":
                return self._ordered(None, code)
        return None

    def moved(self) -> None:
        """The platform has taken it; what it has now is read."""
        self._db.journal.write(self._publication.id, "state", "moved", now=self._now)
        self._steer(self._publication.wait, run_at=self._now)

    def not_moved(self, reading: Reading, error: PlatformError) -> None:
        """It was refused, or the answer is lost."""
        data = {"kind": error.kind, "code": error.code, "status": error.http_status}
        self._db.journal.write(self._publication.id, "state", "not moved", data=data, now=self._now)
        words = error.in_words
        if error.kind == "REAUTH":
            need_reauth(self._db, self._publication.account_id, words, now=self._now)
        if error.kind not in ("FIX", "POLICY"):
            self._again(error, words)
        elif reading.public_at is None:
            self._missed(f"The platform refused: {words}", reading, error=error)
        else:
            message = f"It keeps the time that the platform has: {words}"
            wait = Wait(code="handed", message=message, until=reading.public_at)
            kept = self._steer(wait, run_at=self._look_at(reading.public_at), reading=reading, error=error)
            announce(self._db, "changed", kept, code=error.code, message=message, now=self._now)

    def _arrived(self, reading: Reading, handle: Handle) -> None:
        """The platform has every byte, and its time."""
        arrived = self._db.publications.sent(
            self._publication,
            sealed_handle=self._terms.seal(_known(reading, handle)),
            run_at=self._now,
            deadline_at=self._deadline(self._publication.due_at),
            wait=Wait(code="handed", message=reading.said, until=reading.public_at),
        )
        announce(self._db, "processing", arrived, now=self._now)

    def _left(self, reading: Reading, handle: Handle) -> None:
        assert reading.public_at is not None
        before = self._publication
        wait = Wait(code="handed", message=_message(before, reading), until=reading.public_at)
        left = self._steer(
            wait,
            run_at=self._look_at(reading.public_at),
            reading=reading,
            sealed_handle=None if handle.get("handed") else self._terms.seal(_known(reading, handle)),
        )
        if left.due_at != before.due_at:
            announce(self._db, "changed", left, message=reading.said, now=self._now)

    def _ordered(self, publish_at: int | None, code: str) -> Order:
        if code == "handed":  # from now on its time there is ours to change
            self._publication = self._steer(Wait(code="moving", message="The platform is told."), run_at=self._now)
        self._db.journal.write(self._publication.id, "state", "move", data={"to": publish_at}, now=self._now)
        return Order(publish_at=publish_at)

    def _missed(self, message: str, reading: Reading, *, error: PlatformError | None = None) -> None:
        wait = Wait(code="missed", message=message)
        missed = self._steer(wait, run_at=self._now, reading=reading, missed_at=self._now, error=error)
        announce(self._db, "missed", missed, code="missed", message=message, now=self._now)

    def _again(self, error: PlatformError, words: str) -> None:
        publication = self._publication
        pause = patience.retry_ms(
            publication.platform,
            "begin",
            publication.failures + 1,
            retry_after_s=error.retry_after_s,
            jitter=self._terms.jitter,
        )
        if error.kind in ("QUOTA", "REAUTH"):
            until = quota.parked_until(publication.platform, error, self._now)
            pause = min(_LOOKS_MS, until - self._now)  # whether it is public by then has to be seen
        code = publication.wait.code if publication.wait is not None else "moving"
        wait = Wait(code=code, message=f"The platform could not be told: {words}", until=self._now + pause)
        self._steer(wait, run_at=self._now + pause, error=error)

    def _steer(
        self,
        wait: Wait | None,
        *,
        run_at: int,
        reading: Reading | None = None,
        missed_at: int | None = None,
        sealed_handle: bytes | None = None,
        error: PlatformError | None = None,
    ) -> Publication:
        """The time that the platform keeps becomes ours, but where we are about to change it."""
        due_at = self._publication.due_at
        if wait is not None and wait.code == "handed" and reading is not None and reading.public_at is not None:
            due_at = due_at if is_same(reading.public_at, due_at) else reading.public_at
        return self._db.publications.steer(
            self._publication,
            wait,
            due_at=due_at,
            run_at=run_at,
            deadline_at=self._deadline(due_at),
            missed_at=missed_at,
            sealed_handle=sealed_handle,
            said=None if reading is None else reading.said,
            privacy=None if reading is None else reading.privacy,
            error=None if error is None else PublicationError.of(error, step="move", at=self._now),
        )

    def _deadline(self, due_at: int) -> int:
        return patience.processing_deadline(self._publication.platform, due_at=due_at, now=self._now)

    def _look_at(self, public_at: int) -> int:
        """Seldom before its time, and then soon."""
        if public_at > self._now:
            return min(public_at, self._now + _LOOKS_MS)
        return self._now + patience.poll_ms(self._now - public_at, jitter=self._terms.jitter)


def _known(reading: Reading, handle: Handle) -> Handle:
    """The handle of what the platform has said that it keeps the time of."""
    learnt = {} if reading.remote_id is None else {"remote_id": reading.remote_id}
    return {**handle, **learnt, "handed": True}


def _message(publication: Publication, reading: Reading) -> str:
    """Why the platform would not change the time is said for as long as it keeps it."""
    before = publication.wait
    same = before is not None and before.code == "handed" and before.until == reading.public_at
    return before.message if same and before is not None else reading.said
