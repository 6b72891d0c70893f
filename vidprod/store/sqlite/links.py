"""Links to segments that were given out: none is kept, each carries all it says. Only when they were ended is."""

from vidprod.store.sqlite.table import Table


class Links(Table):
    """The rows of `link_end`."""

    def end(self, segment_id: str, *, now: int) -> None:
        """No link to it that was made until now works any more."""
        self._run(
            """
            insert into link_end (segment_id, at) values (:segment_id, :now)
            on conflict do update set at = max(at, :now)
            """,
            segment_id=segment_id,
            now=now,
        )

    def ended_at(self, segment_id: str) -> int | None:
        """When that was last done, unix ms."""
        at = self._value("select at from link_end where segment_id = :segment_id", segment_id=segment_id)
        return None if at is None else int(at)

    def prune(self, *, before_ms: int, limit: int) -> int:
        """Forget ends that no link can be older than. How many."""
        return self._run(
            """
            delete from link_end
            where segment_id in (select segment_id from link_end where at < :before limit :limit)
            """,
            before=before_ms,
            limit=limit,
        )
