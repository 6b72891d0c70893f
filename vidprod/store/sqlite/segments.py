"""Segments at rest."""

from collections.abc import Iterable

import msgspec

from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Rendition, Segment
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table, to_json

_rendition = msgspec.json.Decoder(Rendition)
_recipe = msgspec.json.Decoder(Recipe)


def _segment(row: Row) -> Segment:
    return Segment(
        id=row["id"],
        job_id=row["job_id"],
        index=row["index"],
        state=row["state"],
        in_us=row["in_us"],
        out_us=row["out_us"],
        created_at=row["created_at"],
        rendition=None if row["rendition"] is None else _rendition.decode(row["rendition"]),
        ready_at=row["ready_at"],
        deleted_at=row["deleted_at"],
        making=row["making"],
        recipe=None if row["recipe"] is None else _recipe.decode(row["recipe"]),
    )


class Segments(Table):
    """The rows of `segment`."""

    def add_all(self, segments: Iterable[Segment]) -> None:
        """Raises Conflict when an id, or the index within its job, is taken, or there is no such job."""
        for segment in segments:
            self._run(
                """
                insert into segment (id, job_id, "index", state, in_us, out_us, created_at, rendition, ready_at,
                    deleted_at)
                values (:id, :job_id, :index, :state, :in_us, :out_us, :created_at, :rendition, :ready_at,
                    :deleted_at)
                """,
                id=segment.id,
                job_id=segment.job_id,
                index=segment.index,
                state=segment.state,
                in_us=segment.in_us,
                out_us=segment.out_us,
                created_at=segment.created_at,
                rendition=None if segment.rendition is None else to_json(segment.rendition),
                ready_at=segment.ready_at,
                deleted_at=segment.deleted_at,
            )

    def get(self, segment_id: str) -> Segment:
        """Raises NotFound."""
        row = self._one("select * from segment where id = :id", id=segment_id)
        if row is None:
            raise NotFound(f"there is no segment {segment_id}")
        return _segment(row)

    def of_job(self, job_id: str) -> list[Segment]:
        """In the order of the take."""
        return [
            _segment(row)
            for row in self._all('select * from segment where job_id = :job_id order by "index"', job_id=job_id)
        ]

    def count(self, job_id: str) -> int:
        """How many the job has, finished or not."""
        return int(self._value("select count(*) from segment where job_id = :job_id", job_id=job_id))

    def ready(self, segment_id: str, rendition: Rendition, *, now: int) -> Segment:
        """pending → ready. Not fenced by itself: hold the task in the same transaction (`tasks.hold`).

        Raises:
            Conflict: it is not pending: its result is there already, or nobody waits for it.
        """
        row = self._one(
            """
            update segment
            set state = 'ready', rendition = :rendition, ready_at = :now
            where id = :id and state = 'pending'
            returning *
            """,
            id=segment_id,
            rendition=to_json(rendition),
            now=now,
        )
        if row is not None:
            return _segment(row)
        raise Conflict(f"the segment {segment_id} is {self.get(segment_id).state}, not pending")

    def remake(self, segment: Segment, rendition: Rendition, *, recipe: Recipe, now: int) -> Segment:
        """ready → ready: the file of the next making takes the place of `segment`'s. Not fenced by itself, as `ready`.

        Raises:
            Conflict: it is not as `segment` any more: its file went, or another took its place.
        """
        row = self._one(
            """
            update segment
            set rendition = :rendition, recipe = :recipe, making = making + 1, ready_at = :now
            where id = :id and state = 'ready' and deleted_at is null and making = :making
            returning *
            """,
            id=segment.id,
            making=segment.making,
            rendition=to_json(rendition),
            recipe=to_json(recipe),
            now=now,
        )
        if row is None:
            raise Conflict(f"the segment {segment.id} has changed since it was to be made again")
        return _segment(row)

    def remade(self) -> list[Segment]:
        """Those that were made again and whose file is still there: files of earlier makings may be, too."""
        rows = self._all("select * from segment where making > 1 and deleted_at is null order by id")
        return [_segment(row) for row in rows]

    def fail_pending(self, job_id: str) -> int:
        """pending → failed, all of the job's: it is over. How many."""
        return self._run(
            "update segment set state = 'failed' where job_id = :job_id and state = 'pending'", job_id=job_id
        )

    def reopen(self, job_id: str) -> int:
        """failed → pending, and ready ones whose files went: the job is tried again. How many."""
        return self._run(
            """
            update segment
            set state = 'pending', rendition = null, ready_at = null, deleted_at = null
            where job_id = :job_id and (state = 'failed' or deleted_at is not null)
            """,
            job_id=job_id,
        )

    def mark_deleted(self, job_id: str, *, now: int) -> int:
        """The files of the job's ready segments may go once this is committed. How many were not marked before."""
        return self._run(
            """
            update segment
            set deleted_at = :now
            where job_id = :job_id and state = 'ready' and deleted_at is null
            """,
            job_id=job_id,
            now=now,
        )
