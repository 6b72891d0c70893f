"""Every sealed column, wherever it is: to seal all anew when keys change."""

from collections.abc import Callable

from vidprod.store.sqlite.table import Table

# table, its key, the sealed column; what lies there is sealed for "table|key|column"
COLUMNS = (
    ("account", "id", "tokens"),
    ("connecting", "state_hash", "sealed"),
    ("endpoint", "id", "secrets"),
    ("publication", "id", "handle"),
    ("push_key", "name", "private"),
    ("subscription", "id", "sealed"),
    ("upload", "id", "webhook_secret"),
    ("user", "id", "totp"),
)


class Sealed(Table):
    """What lies sealed, as rows of any table."""

    def reseal(self, anew: Callable[[bytes, str], bytes], *, table: str, after: str, limit: int) -> tuple[int, str]:
        """Seal the next rows of a table anew.

        Args:
            anew: what is sealed and its place → the same sealed with another key, or as it is where it should stay.
            table: of `COLUMNS`; after: the key of the last row that was looked at, "" at first.
        Returns:
            How many were changed, and the key of the last row; "" when there are no more.
        """
        key, column = next((key, column) for name, key, column in COLUMNS if name == table)
        rows = self._all(
            f"select {key} as name, {column} as sealed from {table}"  # noqa: S608  # names of ours
            f" where {column} is not null and {key} > :after order by {key} limit :limit",
            after=after,
            limit=limit,
        )
        changed = 0
        for row in rows:
            sealed = anew(row["sealed"], f"{table}|{row['name']}|{column}")
            if sealed != row["sealed"]:
                self._run(
                    f"update {table} set {column} = :sealed where {key} = :name",  # noqa: S608  # names of ours
                    sealed=sealed,
                    name=row["name"],
                )
                changed += 1
        return changed, rows[-1]["name"] if len(rows) == limit else ""
