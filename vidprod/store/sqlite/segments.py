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
_ids = msgspec.json.Decoder(list[str])


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
        waits=bool(row["waits"]),
        dropped_at=row["dropped_at"],
        withdrawn=_ids.decode(row["withdrawn"]),
        title=row["title"],
        caption=row["caption"],
        cover_us=row["cover_us"],
    )


class Segments(Table):
    """The rows of `segment`."""

    def add_all(self, segments: Iterable[Segment]) -> None:
        """Raises Conflict when an id, or the index within its job, is taken, or there is no such job."""
        for segment in segments:
            self._run(
                """
                insert into segment (id, job_id, "index", state, in_us, out_us, created_at, rendition, ready_at,
                    deleted_at, waits)
                values (:id, :job_id, :index, :state, :in_us, :out_us, :created_at, :rendition, :ready_at,
                    :deleted_at, :waits)
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
                waits=segment.waits,
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
        """ready → ready: the file of the next making takes the place of `segment`'s, with the cuts and the cover that
        `segment` has by now. Not fenced by itself, as `ready`.

        Raises:
            Conflict: it is not as `segment` any more: its file went, or another took its place.
        """
        row = self._one(
            """
            update segment
            set rendition = :rendition, recipe = :recipe, making = making + 1, ready_at = :now,
                in_us = :in_us, out_us = :out_us, cover_us = :cover_us
            where id = :id and state = 'ready' and deleted_at is null and making = :making
            returning *
            """,
            id=segment.id,
            making=segment.making,
            in_us=segment.in_us,
            out_us=segment.out_us,
            cover_us=segment.cover_us,
            rendition=to_json(rendition),
            recipe=to_json(recipe),
            now=now,
        )
        if row is None:
            raise Conflict(f"the segment {segment.id} has changed since it was to be made again")
        return _segment(row)

    def keep(self, segment_id: str) -> Segment:
        """Waiting, dropped → kept. Raises Conflict where there is no file to keep."""
        return self._reviewed("update segment set waits = 0, dropped_at = null, withdrawn = '[]'", segment_id, "kept")

    def drop(self, segment_id: str, *, withdrawn: list[str], now: int) -> Segment:
        """Waiting, kept → dropped. Raises Conflict as `keep`."""
        return self._reviewed(
            "update segment set dropped_at = :now, withdrawn = :withdrawn",
            segment_id,
            "dropped",
            withdrawn=to_json(withdrawn),
            now=now,
        )

    def restore(self, segment_id: str) -> Segment:
        """Dropped → what it was before. Raises Conflict as `keep`."""
        return self._reviewed("update segment set dropped_at = null, withdrawn = '[]'", segment_id, "taken back")

    def _reviewed(self, update: str, segment_id: str, done: str, **values: object) -> Segment:
        row = self._one(
            f"{update} where id = :id and state = 'ready' and deleted_at is null returning *", id=segment_id, **values
        )
        if row is not None:
            return _segment(row)
        segment = self.get(segment_id)
        if segment.deleted_at is not None:
            raise Conflict(f"the segment {segment_id} is past its keeping time and was deleted", code="media_gone")
        raise Conflict(
            f"the segment {segment_id} is {segment.state}: it cannot be {done} before it is ready", code="not_ready"
        )

    def reword(self, segment_id: str, *, title: str | None, caption: str | None) -> Segment:
        """What is said with it, and with no other. None: as its target says. Raises NotFound."""
        row = self._one(
            "update segment set title = :title, caption = :caption where id = :id returning *",
            id=segment_id,
            title=title,
            caption=caption,
        )
        if row is None:
            raise NotFound(f"there is no segment {segment_id}")
        return _segment(row)

    def to_review(self) -> list[Row]:
        """Of each take with finished segments that wait to be kept: `job_id`, `filename`, `segments` and `since`, unix
        ms; the newest take first."""
        return self._all(
            """
            select segment.job_id, video.filename, count(*) as segments, min(segment.ready_at) as since
            from segment join job on job.id = segment.job_id join video on video.id = job.video_id
            where segment.waits = 1 and segment.state = 'ready' and segment.dropped_at is null
                and segment.deleted_at is null
            group by segment.job_id
            order by segment.job_id desc
            """
        )

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
