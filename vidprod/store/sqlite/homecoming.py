"""What becomes of rows that come back from a backup, or back from another home: others may have gone on since.

A copy of yesterday does not know what was published today. So nothing that came due since, or was under way, goes out
without a person's word; what can be found out by asking its platform is found out, once publishing is resumed.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from vidprod.domain.publication import Wait
from vidprod.store.sqlite import guard
from vidprod.store.sqlite.connection import open_database, transaction, translated
from vidprod.store.sqlite.migrate import migrate
from vidprod.store.sqlite.standing import held_by, hold_publishing, need_reauth, release_publishing
from vidprod.store.sqlite.table import Outcome, Table, to_json
from vidprod.store.sqlite.tables import Tables

T = TypeVar("T")


class Homecoming(Table):
    """Moves of many rows at once, of several nouns. For a database that nobody else works on."""

    def doubt_planned(self, *, until: int, message: str, now: int) -> int:
        """What came due, or was to be handed over, up to `until`: somebody is asked about each. How many."""
        return self._run(
            """
            update publication
            set missed_at = :now, wait = :wait
            where state = 'scheduled' and missed_at is null and min(due_at, run_at) <= :until
            """,
            until=until,
            now=now,
            wait=to_json(Wait(code="missed", message=message)),
        )

    def doubt_under_way(self, *, message: str, now: int) -> int:
        """uploading, processing → unknown: its platform is read. That nothing came of it there is no leave to begin it
        anew: it may have been begun anew already, elsewhere. So a new handle needs an approval. How many."""
        return self._run(
            """
            update publication
            set state = 'unknown', phase = iif(handle is null, 'begin', phase), needs_approval = 1, approved_at = null,
                missed_at = null, failures = 0, run_at = :now, said = :message, wait = :wait
            where state in ('uploading', 'processing', 'unknown')
            """,
            now=now,
            message=message,
            wait=to_json(Wait(code="unknown", message=message)),
        )

    def jobs_not_over(self) -> list[str]:
        """Ids of jobs that are not over."""
        return [row["id"] for row in self._all("select id from job where finished_at is null order by id")]

    def jobs_of(self, video_id: str) -> list[str]:
        """Ids of those of a take that are not over."""
        rows = self._all("select id from job where video_id = :id and finished_at is null order by id", id=video_id)
        return [row["id"] for row in rows]

    def lose_source(self, video_id: str, *, now: int) -> None:
        """Its file is not there, nor will it be. No job of it goes on: cancel those before."""
        self._run(
            """
            update task set state = 'cancelled', finalized_at = :now, lease_token = null, lease_until = null,
                boot_id = null
            where kind = 'remake' and state in ('available', 'running')
                and job_id in (select id from job where video_id = :id)
            """,
            id=video_id,
            now=now,
        )
        self._run(
            "update video set state = 'deleted', deleted_at = :now where id = :id and state = 'stored'",
            id=video_id,
            now=now,
        )

    def lose_file(self, segment_id: str, *, message: str, now: int) -> int:
        """Its file is not there, nor will it be: what is planned of it cannot go out. How many that were."""
        self._run(
            "update segment set deleted_at = :now where id = :id and state = 'ready' and deleted_at is null",
            id=segment_id,
            now=now,
        )
        self._run(
            """
            update job set media_deleted_at = :now
            where id = (select job_id from segment where id = :id) and finished_at is not null
                and media_deleted_at is null
                and not exists (
                    select 1 from segment
                    where job_id = job.id and state = 'ready' and deleted_at is null)
            """,
            id=segment_id,
            now=now,
        )
        return self._run(
            """
            update publication
            set missed_at = coalesce(missed_at, :now), wait = :wait
            where segment_id = :id and state = 'scheduled'
            """,
            id=segment_id,
            now=now,
            wait=to_json(Wait(code="missed", message=message)),
        )

    def forget_arrivals(self) -> None:
        """Uploads and authorisations that were under way: their bytes and their browsers are elsewhere."""
        self._run("delete from upload where finished_at is null")
        self._run("delete from connecting")

    def forget_sessions(self) -> int:
        """Whoever was signed in signs in again: they may have been signed out since. How many."""
        return self._run("delete from session")

    def forget_notifications(self) -> None:
        """Browsers subscribed with a key that cannot be opened: they have to do so anew."""
        self._run("delete from subscription")
        self._run("delete from push_key")

    def forget_handle(self, publication_id: str) -> None:
        """It cannot be opened: its platform cannot be asked, so a person is."""
        self._run(
            "update publication set handle = null, phase = 'begin' where id = :id and state = 'unknown'",
            id=publication_id,
        )


def change_database(database: Path, fn: Callable[[Tables, Homecoming], T], *, now: int) -> T:
    """Bring a database that nobody works on to this version, and run `fn` as one transaction. Blocking.

    Raises:
        SchemaTooNew: a newer version wrote it.
        StoreError: it cannot be used. What `fn` raises passes through, and nothing is changed.
    """
    guard.stand()
    with translated():
        connection = open_database(database)
        try:
            migrate(connection, now=now)
            outcome = Outcome()
            made = Tables(connection, outcome), Homecoming(connection, outcome)
            return transaction(connection, lambda: fn(*made))
        finally:
            connection.close()


def doubt(db: Tables, home: Homecoming, *, as_of: int, now: int) -> tuple[int, int]:
    """What came from a backup of `as_of`, unix ms, is held, and asks about all that may have gone out since. How many
    publications are marked as missed, and how many were under way."""
    made = moment(as_of)
    missed = home.doubt_planned(
        until=now,
        message=f"It came due after the backup of {made} was made, so it may be public. Look at the account; then "
        "publish it now, give it another time, or cancel it.",
        now=now,
    )
    under_way = home.doubt_under_way(
        message=f"It was on its way when the backup of {made} was made, so it may be public. Its platform is asked; "
        "nothing is sent anew without an approval.",
        now=now,
    )
    message = (
        f"This was restored from a backup of {made}, which does not know what was published since. What came due "
        "meanwhile is marked as missed: look at the accounts, then resume."
    )
    hold_publishing(db, "restored", message, now=now)
    return missed, under_way


def moment(at_ms: int) -> str:
    """Unix milliseconds for people, RFC 3339 in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def undo_move(database: Path, *, now: int) -> int | None:
    """The home that was moved is one again. How many publications wait for a word now; None: it was not moved."""

    def undo(db: Tables, home: Homecoming) -> int | None:
        held = held_by(db)
        if held is None or held.why != "moved":
            return None
        release_publishing(db, now=now)
        return home.doubt_planned(until=now, message=_ELSEWHERE, now=now) + home.doubt_under_way(
            message=_ELSEWHERE, now=now
        )

    return change_database(database, undo, now=now)


_ELSEWHERE = (
    "It came due or was under way while another home had it, so it may be public. Look at the account; nothing is sent "
    "anew without a word of yours."
)


class Closed(msgspec.Struct, kw_only=True):
    """What cannot be opened any more, and was dealt with: ids."""

    accounts: list[str] = []
    endpoints: list[str] = []
    handles: list[str] = []
    second_factors: list[str] = []
    notifications: bool = False  # no browser has them any more


def let_go_of_sealed(db: Tables, home: Homecoming, opens: Callable[[str, bytes], bool], *, now: int) -> Closed:
    """What was sealed with keys that are gone is as good as gone: whoever can give it anew is asked for it.

    Args:
        opens: whether what lies sealed at a place can be opened.
    """
    closed = Closed(accounts=[], endpoints=[], handles=[], second_factors=[])
    for place, sealed in list(db.kept.sealed()):
        if opens(place, sealed):
            continue
        table, name, _ = place.split("|")
        if table == "account":
            need_reauth(db, name, "Its tokens were sealed with a key that is gone: connect it again.", now=now)
            closed.accounts.append(name)
        elif table == "endpoint":
            if db.endpoints.get(name).state == "enabled":
                db.endpoints.disable(name, "Its secret was sealed with a key that is gone: rotate it, then enable it.")
            closed.endpoints.append(name)
        elif table == "publication":
            home.forget_handle(name)
            closed.handles.append(name)
        elif table == "user":
            db.users.end_totp(name)
            closed.second_factors.append(name)
        elif table in ("subscription", "push_key"):
            home.forget_notifications()
            closed.notifications = True
    return closed
