"""A job's moves that several tables make together. Each runs inside one transaction, whoever asks for it."""

from vidprod.domain.job import Job
from vidprod.domain.task import STEPS
from vidprod.errors import Conflict
from vidprod.store.sqlite.tables import Tables


def cancel_job(db: Tables, job: Job, *, now: int) -> Job:
    """The job ends, and the worker hears of it. What is finished stays. Raises Conflict when it is over."""
    cancelled = db.jobs.cancel(job.id, now=now)
    db.tasks.cancel_of_job(job.id, now=now)
    db.segments.fail_pending(job.id)
    db.events.record("job.cancelled", job_id=job.id, now=now)
    return cancelled


def retry_job(db: Tables, job_id: str, *, max_attempts: int, now: int) -> Job:
    """The job is queued again, from the step that did not end well. What is finished stays.

    Args:
        max_attempts: at that step, from now on.
    Raises:
        NotFound: there is no such job.
        Conflict: it has not failed or been cancelled, or its take is gone.
    """
    job = db.jobs.requeue(job_id)
    db.segments.reopen(job_id)
    _requeue_steps(db, job, max_attempts=max_attempts, now=now)
    db.events.record("job.retried", job_id=job_id, now=now)
    return job


def _requeue_steps(db: Tables, job: Job, *, max_attempts: int, now: int) -> None:
    last = {task.kind: task for task in db.tasks.of_job(job.id)}
    for kind in STEPS:
        task = last.get(kind)
        if task is not None and task.state in ("discarded", "cancelled"):
            db.tasks.requeue(task.id, max_attempts=max_attempts, now=now)
            return  # the steps after it were never enqueued: its completion does that
        if task is None:
            db.tasks.enqueue(kind, job_id=job.id, priority=job.priority, run_at=now, max_attempts=max_attempts, now=now)
            return
    raise Conflict(f"every step of the job {job.id} is done: there is nothing to try again")
