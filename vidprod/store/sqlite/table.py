"""A table: how each noun runs its SQL, and what a transaction leaves for the feed to tell."""

from dataclasses import dataclass, field
from typing import Any

import apsw
import msgspec

from vidprod.domain.event import Event
from vidprod.domain.job import Priority
from vidprod.domain.task import PRIORITY_RANK
from vidprod.store.sqlite.connection import Row, rows

PRIORITY_OF_RANK: dict[int, Priority] = {rank: priority for priority, rank in PRIORITY_RANK.items()}


@dataclass
class Outcome:
    """What the feed hands out once the transaction is committed."""

    events: list[Event] = field(default_factory=list)
    nudge: bool = False  # a task became available
    publishing: bool = False  # something about publications or their accounts changed
    delivering: bool = False  # a delivery became due
    pushing: bool = False  # somebody is to be told something


class Table:
    """The rows of one noun, inside one transaction."""

    def __init__(self, connection: apsw.Connection, outcome: Outcome) -> None:
        self._connection = connection
        self._outcome = outcome

    def _all(self, sql: str, **values: Any) -> list[Row]:
        return rows(self._connection, sql, **values)

    def _one(self, sql: str, **values: Any) -> Row | None:
        found = self._all(sql, **values)
        return found[0] if found else None

    def _value(self, sql: str, **values: Any) -> Any:
        row = self._one(sql, **values)
        return None if row is None else next(iter(row.values()))

    def _run(self, sql: str, **values: Any) -> int:
        """How many rows it changed."""
        self._all(sql, **values)
        return self._connection.changes()


def to_json(value: Any) -> str:
    """`value` as it lies in a column."""
    return msgspec.json.encode(value).decode()
