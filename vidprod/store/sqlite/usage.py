"""What counts against a quota, a cap or a gap: how many units, when, in which bucket."""

from vidprod.store.sqlite.table import Table


class Usage(Table):
    """The rows of `usage`."""

    def add(self, bucket: str, units: int = 1, *, now: int) -> None:
        """Counted before the call: what was asked and not answered may have counted there."""
        self._run(
            "insert into usage (bucket, at, units) values (:bucket, :now, :units)", bucket=bucket, now=now, units=units
        )

    def give_back(self, bucket: str) -> None:
        """The newest unit did not count after all."""
        self._run(
            "delete from usage where number = (select max(number) from usage where bucket = :bucket)", bucket=bucket
        )

    def times(self, bucket: str, *, since: int) -> list[int]:
        """When each unit from `since` on was used, unix ms, the oldest first."""
        rows = self._all(
            "select at, units from usage where bucket = :bucket and at >= :since order by at",
            bucket=bucket,
            since=since,
        )
        return [row["at"] for row in rows for _ in range(row["units"])]

    def units(self, bucket: str, *, since: int) -> list[tuple[int, int]]:
        """When, unix ms, how many were used from `since` on, the oldest first."""
        rows = self._all(
            "select at, units from usage where bucket = :bucket and at >= :since order by at",
            bucket=bucket,
            since=since,
        )
        return [(row["at"], row["units"]) for row in rows]

    def last_at(self, bucket: str) -> int | None:
        """When it was last used, unix ms."""
        at = self._value("select max(at) from usage where bucket = :bucket", bucket=bucket)
        return None if at is None else int(at)

    def prune(self, *, before_ms: int, limit: int) -> int:
        """Delete those older than `before_ms` among the `limit` oldest. How many."""
        return self._run(
            """
            delete from usage
            where number in (select number from usage order by number limit :limit) and at < :before
            """,
            before=before_ms,
            limit=limit,
        )
