"""What must hold between rows and no constraint can say: each as a query for the rows that break it."""

from typing import NamedTuple

import msgspec

from vidprod.store.sqlite.table import Table


class Invariant(NamedTuple):
    """`sql` gives what breaks it: `subject` is an id. `mend` puts right what is safe to: of one subject."""

    name: str
    words: str
    sql: str
    mend: str = ""
    mended: str = ""


INVARIANTS = (
    Invariant(
        "task_of_ended_job",
        "it is to be done, though its job is over",
        """
        select task.id as subject from task join job on job.id = task.job_id
        where task.state in ('available', 'running') and task.kind <> 'remake' and job.finished_at is not null
        """,
        """
        update task
        set state = 'cancelled', finalized_at = :now, lease_token = null, lease_until = null, boot_id = null
        where id = :subject
        """,
        "it is cancelled",
    ),
    Invariant(
        "job_without_task",
        "it is not over, and nothing is left to be done for it",
        """
        select id as subject from job
        where finished_at is null
            and not exists (select 1 from task where job_id = job.id and state in ('available', 'running'))
        """,
        "update job set state = 'cancelled', finished_at = :now where id = :subject",
        "it is cancelled: try it again",
    ),
    Invariant(
        "pending_segment_of_ended_job",
        "it is to be made, though its job is over",
        """
        select segment.id as subject from segment join job on job.id = segment.job_id
        where segment.state = 'pending' and job.finished_at is not null
        """,
        "update segment set state = 'failed' where id = :subject",
        "it counts as not made: try its job again",
    ),
    Invariant(
        "unfinished_job_of_deleted_take",
        "it is not over, and its take was deleted",
        """
        select job.id as subject from job join video on video.id = job.video_id
        where job.finished_at is null and video.state = 'deleted'
        """,
    ),
    Invariant(
        "planned_without_file",
        "it is planned, and the file of its segment was deleted",
        """
        select publication.id as subject from publication join segment on segment.id = publication.segment_id
        where publication.state = 'scheduled' and publication.missed_at is null and segment.deleted_at is not null
        """,
        """
        update publication
        set missed_at = :now,
            wait = json_object('code', 'missed', 'message',
                'The file of its segment was deleted. Upload the take again, or cancel it.', 'until', null)
        where id = :subject
        """,
        "it is marked as missed",
    ),
    Invariant(
        "planned_without_segment",
        "it is planned, and its segment is gone",
        """
        select id as subject from publication
        where state in ('scheduled', 'uploading') and not exists (
            select 1 from segment where segment.id = publication.segment_id)
        """,
    ),
    Invariant(
        "published_without_receipt",
        "it was published, and there is no receipt of it",
        """
        select id as subject from publication
        where state = 'published' and not exists (select 1 from receipt where publication_id = publication.id)
        """,
    ),
    Invariant(
        "receipt_of_unpublished",
        "there is a receipt of it, and it is not published",
        """
        select publication.id as subject from receipt join publication on publication.id = receipt.publication_id
        where publication.state <> 'published'
        """,
    ),
    Invariant(
        "begun_without_journal",
        "it was begun, and the journal does not say so",
        """
        select id as subject from publication
        where attempt > 0 and not exists (
            select 1 from journal where publication_id = publication.id and step = 'begin')
        """,
    ),
)


class Broken(NamedTuple):
    """One row that breaks one of them."""

    invariant: Invariant
    subject: str


class Invariants(Table):
    """All of them, on the rows as they are."""

    def broken(self) -> list[Broken]:
        return [Broken(one, str(row["subject"])) for one in INVARIANTS for row in self._all(f"{one.sql} limit 1000")]

    def mend(self, broken: Broken, *, now: int) -> bool:
        """Whether it could be put right without a guess."""
        if broken.invariant.mend:
            self._run(broken.invariant.mend, subject=broken.subject, now=now)
        return bool(broken.invariant.mend)


class Waiting(msgspec.Struct, frozen=True):
    """Why some rows do not move: `count` of them, for the same reason, one of them by its id."""

    code: str
    message: str
    count: int
    subject: str


class Waits(Table):
    """What stands still, by its reason. Times are unix ms of the wall clock for tasks, of publishing's for the rest."""

    def tasks(self, *, now: int) -> list[Waiting]:
        """What is put off, with what the last attempt said; and what could run."""
        return self._found(
            """
            select iif(run_at > :now, coalesce(errors ->> '$[#-1].code', 'later'), 'queued') as code,
                iif(run_at > :now, coalesce(errors ->> '$[#-1].message', 'it is to begin later'), '') as message,
                count(*) as n, min(job_id) as subject
            from task where state = 'available' group by 1, 2 order by n desc limit 50
            """,
            now=now,
        )

    def publications(self, *, now: int) -> list[Waiting]:
        """What is not over and waits for something else than its time."""
        return self._found(
            """
            select coalesce(wait ->> '$.code', iif(due_at <= :now, 'due', state)) as code,
                coalesce(wait ->> '$.message', '') as message, count(*) as n, min(id) as subject
            from publication
            where state not in ('published', 'rejected', 'cancelled')
                and (wait is not null or state <> 'scheduled' or due_at <= :now)
            group by 1, 2 order by n desc limit 50
            """,
            now=now,
        )

    def deliveries(self) -> list[Waiting]:
        """By endpoint."""
        return self._found(
            """
            select endpoint.state as code,
                endpoint.url || coalesce(': ' || endpoint.disabled_reason,
                    iif(endpoint.failing_since is not null, ': it does not take them', '')) as message,
                count(*) as n, endpoint.id as subject
            from delivery join endpoint on endpoint.id = delivery.endpoint_id
            where delivery.state = 'pending'
            group by endpoint.id order by n desc limit 50
            """
        )

    def dead(self) -> int:
        """Dead letters."""
        return int(
            self._value("select count(*) from task where state = 'discarded' and errors ->> '$[#-1].refused' is not 1")
        )

    def newest_event_at(self) -> int:
        """Unix ms; 0: there is none."""
        return int(self._value("select max(at) from (select at from event order by id desc limit 100)") or 0)

    def uploads(self) -> list[Waiting]:
        """Those that wait for their next byte."""
        return self._found(
            """
            select 'unfinished' as code, '' as message, count(*) as n, min(id) as subject
            from upload where finished_at is null having n > 0
            """
        )

    def arriving(self) -> set[str]:
        """Ids of uploads whose bytes belong on the volume."""
        return {row["id"] for row in self._all("select id from upload where finished_at is null")}

    def _found(self, sql: str, **values: int) -> list[Waiting]:
        return [Waiting(row["code"], row["message"], row["n"], row["subject"]) for row in self._all(sql, **values)]
