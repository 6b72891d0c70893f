"""Jobs at rest. What moves a job says from which states; from any other it raises Conflict, without a job NotFound."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from vidprod.domain.job import FINAL, STATES, Fault, Job
from vidprod.domain.recipe import Recipe
from vidprod.domain.target import Target
from vidprod.domain.task import PRIORITY_RANK
from vidprod.domain.video import Video
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite.connection import Row, fold
from vidprod.store.sqlite.table import PRIORITY_OF_RANK, Table, to_json
from vidprod.store.sqlite.videos import read_video

_recipe = msgspec.json.Decoder(Recipe)
_fault = msgspec.json.Decoder(Fault)
_warnings = msgspec.json.Decoder(list[str])
_targets = msgspec.json.Decoder(list[Target])


def _job(row: Row) -> Job:
    return Job(
        id=row["id"],
        user_id=row["user_id"],
        video_id=row["video_id"],
        state=row["state"],
        priority=PRIORITY_OF_RANK[row["priority"]],
        recipe=_recipe.decode(row["recipe"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        error=None if row["error"] is None else _fault.decode(row["error"]),
        warnings=_warnings.decode(row["warnings"]),
        targets=_targets.decode(row["targets"]),
        media_deleted_at=row["media_deleted_at"],
        review=bool(row["review"]),
    )


class Jobs(Table):
    """The rows of `job`."""

    def add(self, job: Job) -> Job:
        """Raises Conflict when the id is taken or there is no such video."""
        self._run(
            """
            insert into job (id, user_id, video_id, state, priority, recipe, created_at, started_at, finished_at, error,
                warnings, targets, media_deleted_at, review)
            values (:id, :user_id, :video_id, :state, :priority, :recipe, :created_at, :started_at, :finished_at,
                :error, :warnings, :targets, :media_deleted_at, :review)
            """,
            id=job.id,
            user_id=job.user_id,
            video_id=job.video_id,
            state=job.state,
            priority=PRIORITY_RANK[job.priority],
            recipe=to_json(job.recipe),
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            error=None if job.error is None else to_json(job.error),
            warnings=to_json(job.warnings),
            targets=to_json(job.targets),
            media_deleted_at=job.media_deleted_at,
            review=job.review,
        )
        return job

    def get(self, job_id: str) -> Job:
        """Raises NotFound."""
        row = self._one("select * from job where id = :id", id=job_id)
        if row is None:
            raise NotFound(f"there is no job {job_id}")
        return _job(row)

    def start(self, job_id: str, *, now: int) -> Job:
        """queued → processing; one that is processing stays as it is."""
        return self._moved(
            """
            update job
            set state = 'processing', started_at = coalesce(started_at, :now)
            where id = :id and state in ('queued', 'processing')
            returning *
            """,
            job_id,
            "started",
            now=now,
        )

    def complete(self, job_id: str, warnings: Sequence[str], *, now: int) -> Job:
        """processing → completed."""
        return self._moved(
            """
            update job
            set state = 'completed', finished_at = :now, warnings = :warnings
            where id = :id and state = 'processing'
            returning *
            """,
            job_id,
            "completed",
            now=now,
            warnings=to_json(warnings),
        )

    def fail(self, job_id: str, error: Fault, *, now: int) -> Job:
        """queued, processing → failed."""
        return self._moved(
            """
            update job
            set state = 'failed', finished_at = :now, error = :error
            where id = :id and state in ('queued', 'processing')
            returning *
            """,
            job_id,
            "failed",
            now=now,
            error=to_json(error),
        )

    def cancel(self, job_id: str, *, now: int) -> Job:
        """queued, processing → cancelled. Its tasks are another call: `tasks.cancel_of_job`."""
        return self._moved(
            """
            update job
            set state = 'cancelled', finished_at = :now
            where id = :id and state in ('queued', 'processing')
            returning *
            """,
            job_id,
            "cancelled",
            now=now,
        )

    def requeue(self, job_id: str) -> Job:
        """failed, cancelled → queued, as if it were new. Its tasks and segments are other calls:
        `tasks.requeue` or `enqueue`, `segments.reopen`.

        Raises:
            Conflict: it neither failed nor was cancelled, or its video is gone.
        """
        if self._value(
            """
            select 1 from job join video on video.id = job.video_id
            where job.id = :id and job.state in ('failed', 'cancelled') and video.state = 'deleted'
            """,
            id=job_id,
        ):
            raise Conflict(f"the video of the job {job_id} is gone: it cannot be retried", hint="Upload it again.")
        return self._moved(
            """
            update job
            set state = 'queued', started_at = null, finished_at = null, error = null, warnings = '[]',
                media_deleted_at = null
            where id = :id and state in ('failed', 'cancelled')
            returning *
            """,
            job_id,
            "retried",
            hint="Only a job that failed or was cancelled can be retried.",
        )

    def delete(self, job_id: str) -> Video | None:
        """The job, its tasks and its segments. Returns its video when that went with it, as no other job uses it:
        the source file may go once this is committed. Events and answers stay.

        Raises:
            Conflict: the job is processing, a task of it still runs, a segment of it is to be made again, or one is on
                its way to an account.
        """
        job = self.get(job_id)
        busy = self._value(
            """
            select count(*) from task
            where job_id = :id and (state = 'running' or (state = 'available' and kind = 'remake'))
            """,
            id=job_id,
        )
        if job.state == "processing" or busy:
            raise Conflict(f"the job {job_id} is processing", hint="Cancel it first.")
        if planned := self._value(
            """
            select count(*) from publication
            where job_id = :id and state not in ('published', 'rejected', 'cancelled')
            """,
            id=job_id,
        ):
            raise Conflict(
                f"{planned} publications of the job {job_id} are not over",
                code="being_published",
                hint="Cancel them first, or wait for them.",
            )
        self._run("delete from job where id = :id", id=job_id)
        row = self._one(
            """
            delete from video
            where id = :id and not exists (select 1 from job where video_id = :id)
            returning *
            """,
            id=job.video_id,
        )
        return None if row is None else read_video(row)

    def mark_media_deleted(self, job_id: str, *, now: int) -> Job:
        """The segments' files of a finished job may go once this is committed. Said twice, the first time stays.
        While a segment is made again, or is on its way to an account, they stay."""
        return self._moved(
            """
            update job
            set media_deleted_at = coalesce(media_deleted_at, :now)
            where id = :id and finished_at is not null
                and not exists (
                    select 1 from task
                    where job_id = job.id and kind = 'remake' and state in ('available', 'running'))
                and not exists (
                    select 1 from publication
                    where job_id = job.id and state not in ('published', 'rejected', 'cancelled'))
            returning *
            """,
            job_id,
            "stripped of its media",
            now=now,
        )

    def media_prunable(self, *, before_ms: int, limit: int) -> Sequence[Job]:
        """Jobs that were over before `before_ms` and whose segments still have their files, and none is made again
        or on its way to an account, longest over first."""
        rows = self._all(
            """
            select * from job
            where finished_at < :before and media_deleted_at is null
                and not exists (
                    select 1 from task
                    where job_id = job.id and kind = 'remake' and state in ('available', 'running'))
                and not exists (
                    select 1 from publication
                    where job_id = job.id and state not in ('published', 'rejected', 'cancelled'))
            order by finished_at
            limit :limit
            """,
            before=before_ms,
            limit=limit,
        )
        return [_job(row) for row in rows]

    def prunable(self, *, before_ms: int, limit: int) -> Sequence[Job]:
        """Jobs that were over before `before_ms`, make nothing again and publish nothing, longest over first."""
        rows = self._all(
            """
            select * from job
            where finished_at < :before
                and not exists (
                    select 1 from task
                    where job_id = job.id and kind = 'remake' and state in ('available', 'running'))
                and not exists (
                    select 1 from publication
                    where job_id = job.id and state not in ('published', 'rejected', 'cancelled'))
            order by finished_at
            limit :limit
            """,
            before=before_ms,
            limit=limit,
        )
        return [_job(row) for row in rows]

    def ids(self) -> set[str]:
        """Of those whose segments' files belong on the disk."""
        return {row["id"] for row in self._all("select id from job where media_deleted_at is null")}

    def list(
        self, *, limit: int, before: str | None = None, states: Iterable[str] | None = None, q: str | None = None
    ) -> Sequence[Job]:
        """Newest first.

        Args:
            before: the id of the last job seen; older ones follow.
            states: only these.
            q: only those whose video's file name contains this, whatever its case.
        """
        rows = self._all(
            """
            select job.* from json_each(:states) as wanted
            cross join job on job.id in (
                select id from job as candidate
                where candidate.state = wanted.value and candidate.id < :before
                    and (:q = '' or instr(
                        fold((select filename from video where video.id = candidate.video_id)), :q) > 0)
                order by candidate.id desc
                limit :limit)
            order by job.id desc
            limit :limit
            """,
            states=to_json(sorted(set(STATES if states is None else states))),
            before=before if before is not None else "job_~",
            q=fold(q or ""),
            limit=limit,
        )
        return [_job(row) for row in rows]

    def _moved(self, sql: str, job_id: str, what: str, *, hint: str = "", **values: Any) -> Job:
        row = self._one(sql, id=job_id, **values)
        if row is not None:
            return _job(row)
        job = self.get(job_id)
        over = " already" if job.state in FINAL else ""
        raise Conflict(f"the job {job_id} is {job.state}{over}: it cannot be {what}", hint=hint)
