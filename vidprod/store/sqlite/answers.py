"""Answers at rest: what an `Idempotency-Key` was answered, so that a repeat gets the same."""

import msgspec

from vidprod.store.sqlite.table import Table


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `answer`. `fingerprint` tells whether a repeat is the same request."""

    key: str
    fingerprint: str
    made_id: str  # a job, or an upload that was begun
    created_at: int  # unix ms


class Answers(Table):
    """The rows of `answer`."""

    def find(self, key: str) -> Answer | None:
        """None when the key is new."""
        row = self._one("select * from answer where key = :key", key=key)
        return None if row is None else Answer(**row)

    def add(self, answer: Answer) -> Answer:
        """Raises Conflict when the key is taken."""
        self._run(
            """
            insert into answer (key, fingerprint, made_id, created_at)
            values (:key, :fingerprint, :made_id, :created_at)
            """,
            key=answer.key,
            fingerprint=answer.fingerprint,
            made_id=answer.made_id,
            created_at=answer.created_at,
        )
        return answer

    def prune(self, *, before_ms: int, limit: int) -> int:
        """Forget answers older than `before_ms`, the oldest first. How many."""
        return self._run(
            """
            delete from answer
            where key in (select key from answer where created_at < :before order by created_at limit :limit)
            """,
            before=before_ms,
            limit=limit,
        )
