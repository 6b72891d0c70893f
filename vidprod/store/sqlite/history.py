"""What a quote is made from: how long earlier takes took and what came of them, what waits, and what will go.

Nothing is kept for it: it is all in the rows of jobs, their tasks, videos and segments. Each statement looks at so few
of them that a quote costs the same with ten jobs and with ten thousand.
"""

import msgspec

from vidprod.domain.quote import Ahead, Past, kind_of
from vidprod.domain.recipe import Recipe
from vidprod.domain.task import STEPS, job_percent
from vidprod.domain.video import MediaInfo
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table, to_json

JOBS = 40  # that are over, the newest: machines and recipes change
LOOKED_AT = 200  # of those that are over, for so many that completed; and of those that wait
SEGMENTS = 20  # of each, for the bytes they have a second

_recipe = msgspec.json.Decoder(Recipe)
_info = msgspec.json.Decoder(MediaInfo)
_step = msgspec.json.Decoder(tuple[str, float])


class History(Table):
    """Reads only."""

    def past(self) -> list[Past]:
        """Takes whose steps needed one attempt each, the newest first: of two attempts one's work is not known."""
        rows = self._all(
            """
            with newest as materialized (
                select id, video_id, recipe, state from job
                where finished_at is not null
                order by finished_at desc
                limit :looked_at),
            done as materialized (select * from newest where state = 'completed' limit :jobs)
            select done.recipe, video.size,
                video.info ->> '$.duration_us' as duration_us,
                (video.info ->> '$.video.width') * (video.info ->> '$.video.height') as pixels,
                (select sum(finalized_at - started_at) from task
                    where job_id = done.id and kind in (select value from json_each(:steps))) as work_ms,
                (select max(attempt) from task
                    where job_id = done.id and kind in (select value from json_each(:steps))) as attempts,
                (select sum(size) * 1000000.0 / sum(length_us) from (
                    select rendition ->> '$.size' as size, out_us - in_us as length_us from segment
                    where job_id = done.id and state = 'ready'
                    order by "index"
                    limit :segments)) as bytes_per_s
            from done cross join video on video.id = done.video_id
            where video.info is not null
            """,
            looked_at=LOOKED_AT,
            jobs=JOBS,
            segments=SEGMENTS,
            steps=to_json(STEPS),
        )
        return [_past(row) for row in rows if row["attempts"] == 1 and row["bytes_per_s"] and row["duration_us"]]

    def ahead(self) -> tuple[list[Ahead], int]:
        """Takes that wait or are worked on, the oldest first, and how many there are of them in all."""
        rows = self._all(
            """
            select job.recipe, video.size, video.info,
                (select json_array(kind, progress) from task
                    where job_id = job.id and state in ('available', 'running') and segment_id is null) as step
            from job cross join video on video.id = job.video_id
            where job.id in (
                select id from job where state in ('queued', 'processing') order by id limit :looked_at)
            order by job.id
            """,
            looked_at=LOOKED_AT,
        )
        total = self._value("select count(*) from job where state in ('queued', 'processing')")
        return [_ahead(row) for row in rows], int(total)

    def going(self, *, source_keep_ms: int, segment_keep_ms: int) -> list[tuple[int, int]]:
        """When the pruner lets go of how many bytes, unix ms: sources first, then the segments of the jobs that were
        over first. What is on its way to an account goes at no known time."""
        sources = self._all(
            """
            select max(job.finished_at) + :keep as at, video.size as size from video
            join job on job.video_id = video.id
            where video.state = 'stored'
            group by video.id
            having count(*) = count(job.finished_at)
            """,
            keep=source_keep_ms,
        )
        segments = self._all(
            """
            select job.finished_at + :keep as at, sum(segment.rendition ->> '$.size') as size from job
            cross join segment on segment.job_id = job.id
            where job.id in (
                    select id from job where finished_at is not null and media_deleted_at is null
                    order by finished_at
                    limit :looked_at)
                and not exists (
                    select 1 from publication
                    where job_id = job.id and state not in ('published', 'rejected', 'cancelled'))
                and segment.state = 'ready'
            group by job.id
            """,
            keep=segment_keep_ms,
            looked_at=LOOKED_AT,
        )
        return [(row["at"], row["size"]) for row in (*sources, *segments) if row["size"]]


def _past(row: Row) -> Past:
    media_s = row["duration_us"] / 1e6
    return Past(
        kind=kind_of(_recipe.decode(row["recipe"])),
        media_s=media_s,
        work_s=row["work_ms"] / 1000,
        pixels=row["pixels"],
        source_bytes=row["size"],
        made_bytes=round(row["bytes_per_s"] * media_s),
    )


def _ahead(row: Row) -> Ahead:
    recipe = _recipe.decode(row["recipe"])
    info = None if row["info"] is None else _info.decode(row["info"])
    done = 0.0
    if row["step"] is not None:
        name, progress = _step.decode(row["step"])
        step = next(kind for kind in STEPS if kind == name)
        done = job_percent(step, progress, tracks=step == "track" or recipe.tracks(info)) / 100
    return Ahead(
        kind=kind_of(recipe),
        media_s=None if info is None else info.duration_us / 1e6,
        source_bytes=row["size"],
        done=done,
    )
