"""Receipts at rest: a chain, one for each published publication. Rows are never changed."""

from typing import Any

import msgspec

from vidprod.domain.receipt import FIRST, Receipt, canonical, chained, hash_of
from vidprod.errors import NotFound
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table

_body = msgspec.json.Decoder(dict[str, Any])


def _receipt(row: Row) -> Receipt:
    return Receipt(
        number=row["number"],
        publication_id=row["publication_id"],
        body=_body.decode(row["body"]),
        hash=row["hash"],
    )


class Receipts(Table):
    """The rows of `receipt`."""

    def add(self, publication_id: str, facts: dict[str, Any]) -> Receipt:
        """The next of the chain. Raises Conflict: the publication has one."""
        last = self._one("select * from receipt order by number desc limit 1")
        number = 1 if last is None else last["number"] + 1
        body = chained(facts, number=number, previous=FIRST if last is None else last["hash"])
        row = self._one(
            """
            insert into receipt (number, publication_id, body, hash)
            values (:number, :publication_id, :body, :hash)
            returning *
            """,
            number=number,
            publication_id=publication_id,
            body=canonical(body).decode(),
            hash=hash_of(body),
        )
        assert row is not None
        return _receipt(row)

    def of(self, publication_id: str) -> Receipt:
        """Raises NotFound: it is not published."""
        row = self._one("select * from receipt where publication_id = :id", id=publication_id)
        if row is None:
            raise NotFound(f"there is no receipt of the publication {publication_id}")
        return _receipt(row)

    def after(self, number: int, *, limit: int) -> list[Receipt]:
        """Those with a greater number, in the order of the chain."""
        rows = self._all(
            "select * from receipt where number > :number order by number limit :limit", number=number, limit=limit
        )
        return [_receipt(row) for row in rows]
