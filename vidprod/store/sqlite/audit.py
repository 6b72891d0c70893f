"""Who changed what: one row for each request that did, and for what else somebody wants to look up later."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from vidprod.domain.who import Who
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table, to_json

MAX_ADDRESS = 60  # characters


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `audit`. `subject`: ids of what it was about; `status`: how the request was answered."""

    number: int
    at: int  # unix ms
    kind: Literal["open", "owner", "key", "stranger"]
    user_id: str | None
    key_id: str | None
    session_id: str | None
    what: str
    subject: list[str]
    address: str
    status: int | None
    data: dict[str, Any]


_decode_subject = msgspec.json.Decoder(list[str]).decode
_decode_data = msgspec.json.Decoder(dict[str, Any]).decode


def _audited(row: Row) -> Audited:
    return Audited(**{**row, "subject": _decode_subject(row["subject"]), "data": _decode_data(row["data"])})


class Audit(Table):
    """The rows of `audit`."""

    def record(
        self,
        who: Who | None,
        what: str,
        *,
        subject: Sequence[str] = (),
        address: str = "",
        status: int | None = None,
        data: dict[str, Any] | None = None,
        now: int,
    ) -> None:
        """
        Args:
            who: None: a stranger.
            data: no secret may be in it.
        """
        self._run(
            """
            insert into audit (at, kind, user_id, key_id, session_id, what, subject, address, status, data)
            values (:now, :kind, :user_id, :key_id, :session_id, :what, :subject, :address, :status, :data)
            """,
            now=now,
            kind="stranger" if who is None else who.kind,
            user_id=None if who is None else who.user_id,
            key_id=None if who is None else who.key_id,
            session_id=None if who is None else who.session_id,
            what=what,
            subject=to_json(list(subject)),
            address=address[:MAX_ADDRESS],
            status=status,
            data=to_json(data or {}),
        )

    def list(self, *, limit: int, before: int | None = None, subject: str | None = None) -> list[Audited]:
        """The newest first.

        Args:
            before: only rows with a smaller number.
            subject: only rows about it, or by it: an id.
        """
        found = self._all(
            """
            select * from audit
            where (:before is null or number < :before)
                and (
                    :subject is null
                    or :subject in (key_id, session_id, user_id)
                    or exists (select 1 from json_each(audit.subject) where value = :subject)
                )
            order by number desc
            limit :limit
            """,
            before=before,
            subject=subject,
            limit=limit,
        )
        return [_audited(row) for row in found]

    def prune(self, *, before_ms: int, limit: int) -> int:
        """Delete those older than `before_ms` among the `limit` oldest. How many."""
        return self._run(
            """
            delete from audit
            where number in (select number from audit order by number limit :limit) and at < :before
            """,
            before=before_ms,
            limit=limit,
        )
