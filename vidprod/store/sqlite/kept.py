"""What rows say that lies on the volume: takes and the files of finished segments."""

from collections.abc import Iterator

import msgspec

from vidprod.store.sqlite.sealed import COLUMNS
from vidprod.store.sqlite.table import Table


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A take whose file belongs on the volume."""

    video_id: str
    extension: str
    size: int
    sha256: str | None  # None: it was not probed yet


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A segment's video that belongs on the volume."""

    job_id: str
    segment_id: str
    making: int
    size: int
    sha256: str


class Kept(Table):
    """Read across the nouns: for backups, and for looking whether all of it is there."""

    def sources(self) -> list[Source]:
        """The oldest first."""
        rows = self._all(
            """
            select id, extension, size, info ->> '$.sha256' as sha256 from video where state = 'stored' order by id
            """
        )
        return [
            Source(video_id=row["id"], extension=row["extension"], size=row["size"], sha256=row["sha256"])
            for row in rows
        ]

    def files(self) -> list[File]:
        """The oldest first."""
        rows = self._all(
            """
            select job_id, id, making, rendition ->> '$.size' as size, rendition ->> '$.sha256' as sha256
            from segment where state = 'ready' and deleted_at is null order by id
            """
        )
        return [
            File(
                job_id=row["job_id"],
                segment_id=row["id"],
                making=row["making"],
                size=row["size"],
                sha256=row["sha256"],
            )
            for row in rows
        ]

    def tasks_not_over(self) -> set[str]:
        """Ids of those whose work directories may be there."""
        return {row["id"] for row in self._all("select id from task where finalized_at is null")}

    def sealed(self) -> Iterator[tuple[str, bytes]]:
        """All that only the vault opens: the place it was sealed for, and what lies there."""
        for table, key, column in COLUMNS:
            for row in self._all(
                f"select {key} as name, {column} as sealed from {table} where {column} is not null"  # noqa: S608  # ours
            ):
                yield f"{table}|{row['name']}|{column}", bytes(row["sealed"])

    def sealed_in_vain(self) -> set[str]:
        """Places of what need not open any more."""
        return {
            row["place"]
            for row in self._all(
                """
                select 'account|' || id || '|tokens' as place from account where state <> 'connected'
                union all select 'endpoint|' || id || '|secrets' from endpoint where state = 'disabled'
                union all select 'publication|' || id || '|handle' from publication
                    where state in ('published', 'rejected', 'cancelled')
                """
            )
        }
