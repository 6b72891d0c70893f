"""The journal: what was asked of a platform, before it was asked, and what came of it. Rows are never changed."""

from typing import Any, Literal

import msgspec

from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table, to_json

Step = Literal["begin", "send", "publish", "state", "plan"]

_data = msgspec.json.Decoder(dict[str, Any])


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `journal`."""

    number: int
    publication_id: str
    at: int  # unix ms
    step: Step
    what: str
    data: dict[str, Any] = {}


def _entry(row: Row) -> Entry:
    return Entry(
        number=row["number"],
        publication_id=row["publication_id"],
        at=row["at"],
        step=row["step"],
        what=row["what"],
        data=_data.decode(row["data"]),
    )


class Journal(Table):
    """The rows of `journal`."""

    def write(
        self, publication_id: str, step: Step, what: str, *, data: dict[str, Any] | None = None, now: int
    ) -> None:
        """
        Args:
            what: "asked" before the call; then how it ended.
            data: never a secret.
        """
        self._run(
            """
            insert into journal (publication_id, at, step, what, data)
            values (:publication_id, :now, :step, :what, :data)
            """,
            publication_id=publication_id,
            now=now,
            step=step,
            what=what,
            data=to_json(data or {}),
        )

    def of(self, publication_id: str) -> list[Entry]:
        """As it was written."""
        rows = self._all(
            "select * from journal where publication_id = :id order by number",
            id=publication_id,
        )
        return [_entry(row) for row in rows]

    def last(self, publication_id: str) -> Entry | None:
        """What was written last."""
        row = self._one(
            "select * from journal where publication_id = :id order by number desc limit 1", id=publication_id
        )
        return None if row is None else _entry(row)

    def count(self, publication_id: str, step: Step, what: str) -> int:
        """How often it came to that since somebody last planned the publication anew."""
        return int(
            self._value(
                """
                select count(*) from journal
                where publication_id = :id and step = :step and what = :what
                    and number > coalesce(
                        (select max(number) from journal where publication_id = :id and step = 'plan'), 0)
                """,
                id=publication_id,
                step=step,
                what=what,
            )
        )

    def count_of_handle(self, publication_id: str, step: Step, what: str) -> int:
        """How often it came to that with the handle that the publication has now."""
        return int(
            self._value(
                """
                select count(*) from journal
                where publication_id = :id and step = :step and what = :what
                    and number > coalesce(
                        (select max(number) from journal where publication_id = :id and step = 'begin'), 0)
                """,
                id=publication_id,
                step=step,
                what=what,
            )
        )

    def last_at(self, publication_id: str, step: Step, what: str) -> int | None:
        """When it came to that last, unix ms."""
        at = self._value(
            "select max(at) from journal where publication_id = :id and step = :step and what = :what",
            id=publication_id,
            step=step,
            what=what,
        )
        return None if at is None else int(at)

    def first_at(self, publication_id: str, step: Step, what: str) -> int | None:
        """When it first came to that since somebody last planned the publication anew, unix ms."""
        at = self._value(
            """
            select min(at) from journal
            where publication_id = :id and step = :step and what = :what
                and number > coalesce((select max(number) from journal where publication_id = :id and step = 'plan'), 0)
            """,
            id=publication_id,
            step=step,
            what=what,
        )
        return None if at is None else int(at)
