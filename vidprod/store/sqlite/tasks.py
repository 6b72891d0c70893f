"""Tasks at rest: the queue.

Whoever claims a task gets a lease and a token, and every method that takes the task back checks that token in the
same statement: an attempt that lost its lease raises ClaimLost, and with it the transaction that holds its result.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from vidprod.domain.ids import new_id
from vidprod.domain.job import Priority
from vidprod.domain.task import KINDS, OPTIONAL, PRIORITY_RANK, AttemptError, Task, TaskKind, TaskState
from vidprod.errors import ClaimLost, Conflict, NotFound
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import PRIORITY_OF_RANK, Table, to_json

ERRORS_KEPT = 30  # of one task, the newest

_errors = msgspec.json.Decoder(list[AttemptError])
_payload = msgspec.json.Decoder(dict[str, Any])


def _task(row: Row) -> Task:
    return Task(
        id=row["id"],
        job_id=row["job_id"],
        kind=row["kind"],
        segment_id=row["segment_id"],
        state=row["state"],
        priority=PRIORITY_OF_RANK[row["priority"]],
        run_at=row["run_at"],
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        crashes=row["crashes"],
        rescues=row["rescues"],
        progress=row["progress"],
        errors=_errors.decode(row["errors"]),
        lease_token=row["lease_token"],
        lease_until=row["lease_until"],
        boot_id=row["boot_id"],
        payload=_payload.decode(row["payload"]),
        created_at=row["created_at"],
        started_at=row["started_at"],
        finalized_at=row["finalized_at"],
    )


class Tasks(Table):
    """The rows of `task`."""

    def enqueue(
        self,
        kind: TaskKind,
        *,
        job_id: str,
        priority: Priority,
        run_at: int,
        max_attempts: int,
        payload: dict[str, Any] | None = None,
        segment_id: str | None = None,
        now: int,
    ) -> Task:
        """Raises Conflict when such a task of the job is available or running already, or there is no such job.

        Args:
            segment_id: of a remake; each segment of a job may have one.
        """
        row = self._one(
            """
            insert into task (id, job_id, kind, segment_id, state, priority, run_at, max_attempts, payload, created_at)
            values (:id, :job_id, :kind, :segment_id, 'available', :priority, :run_at, :max_attempts, :payload, :now)
            returning *
            """,
            id=new_id("tsk", now=now),
            job_id=job_id,
            kind=kind,
            segment_id=segment_id,
            priority=PRIORITY_RANK[priority],
            run_at=run_at,
            max_attempts=max_attempts,
            payload=to_json(payload or {}),
            now=now,
        )
        assert row is not None
        self._outcome.nudge = True
        return _task(row)

    def claim(self, *, boot_id: str, token: str, lease_ms: int, now: int) -> Task | None:
        """available → running: the most urgent task that is due; of equals the longest due, then the first enqueued.

        The attempt is counted now, not at the end: a crash must use it up. None when no task is due.

        Args:
            token: new for every claim, and not to be guessed.
        """
        # A lane is a kind and a priority. The head of each is one look into its index, however long the lanes are.
        row = self._one(
            """
            update task
            set state = 'running', attempt = attempt + 1, started_at = :now,
                lease_token = :token, lease_until = :now + :lease_ms, boot_id = :boot_id
            where number = (
                select head.number
                from json_each(:kinds) as wanted
                cross join json_each('[1, 2, 3]') as rank
                cross join task as head on head.number = (
                    select number from task
                    where state = 'available' and kind = wanted.value and priority = rank.value and run_at <= :now
                    order by run_at, number
                    limit 1)
                order by head.priority, head.run_at, head.number
                limit 1)
            returning *
            """,
            kinds=to_json(KINDS),
            boot_id=boot_id,
            token=token,
            lease_ms=lease_ms,
            now=now,
        )
        return None if row is None else _task(row)

    def hold(self, task: Task) -> Task:
        """Nothing but the check: raises ClaimLost, and with it the transaction, unless `task` is what runs."""
        return self._held(
            "select * from task where id = :id and state = 'running' and lease_token = :token",
            task,
        )

    def heartbeat(self, task: Task, *, lease_ms: int, now: int) -> Task:
        """The lease lasts until `now + lease_ms`."""
        return self._held(
            """
            update task
            set lease_until = :now + :lease_ms
            where id = :id and state = 'running' and lease_token = :token
            returning *
            """,
            task,
            now=now,
            lease_ms=lease_ms,
        )

    def renew(self, tasks: Iterable[Task], *, lease_ms: int, now: int) -> None:
        """As `heartbeat`, for those of `tasks` whose lease is over and that nobody else took since."""
        self._run(
            """
            update task
            set lease_until = :now + :lease_ms
            where state = 'running' and lease_until <= :now
                and lease_token in (select value from json_each(:tokens) as wanted)
            """,
            tokens=to_json([task.lease_token for task in tasks]),
            now=now,
            lease_ms=lease_ms,
        )

    def set_progress(self, task: Task, fraction: float) -> Task:
        """How far the step is, 0 … 1. Says nothing about what would have to be done again: that is `advance`."""
        return self._held(
            """
            update task
            set progress = :fraction
            where id = :id and state = 'running' and lease_token = :token
            returning *
            """,
            task,
            fraction=fraction,
        )

    def advance(self, task: Task) -> Task:
        """A part of the work is durable and will not be done again: earlier deaths of the daemon count no more.

        Call it in the transaction that records the part.
        """
        return self._held(
            """
            update task
            set rescues = 0
            where id = :id and state = 'running' and lease_token = :token
            returning *
            """,
            task,
        )

    def complete(self, task: Task, *, now: int) -> Task:
        """running → completed."""
        return self._held(
            """
            update task
            set state = 'completed', progress = 1.0, finalized_at = :now,
                lease_token = null, lease_until = null, boot_id = null
            where id = :id and state = 'running' and lease_token = :token
            returning *
            """,
            task,
            now=now,
        )

    def do_without(self, task: Task, error: AttemptError, *, now: int) -> Task:
        """running → completed, without what it was to bring: its job goes on without it."""
        return self._held(
            """
            update task
            set state = 'completed', progress = 1.0, finalized_at = :now, crashes = crashes + :crash, errors = :errors,
                lease_token = null, lease_until = null, boot_id = null
            where id = :id and state = 'running' and lease_token = :token
            returning *
            """,
            task,
            now=now,
            crash=int(error.crash),
            errors=_with(self.hold(task), error),
        )

    def retry(self, task: Task, error: AttemptError, *, run_at: int) -> Task:
        """running → available at `run_at`. Raises Conflict when no attempt is left: then `discard` it."""
        held = self.hold(task)
        if held.attempt >= held.max_attempts:
            raise Conflict(f"the task {task.id} has used {held.attempt} of {held.max_attempts} attempts")
        self._outcome.nudge = True
        return self._held(
            """
            update task
            set state = 'available', run_at = :run_at, crashes = crashes + :crash, errors = :errors,
                lease_token = null, lease_until = null, boot_id = null
            where id = :id and state = 'running' and lease_token = :token
            returning *
            """,
            task,
            run_at=run_at,
            crash=int(error.crash),
            errors=_with(held, error),
        )

    def retry_without(self, task: Task, error: AttemptError, *, why: list[str], run_at: int) -> Task:
        """running → available at `run_at`, its attempt given back: the next does less, and `why` is kept in words."""
        held = self.hold(task)
        self._outcome.nudge = True
        return self._held(
            """
            update task
            set state = 'available', run_at = :run_at, attempt = attempt - 1, crashes = crashes + :crash,
                errors = :errors, payload = :payload, lease_token = null, lease_until = null, boot_id = null
            where id = :id and state = 'running' and lease_token = :token
            returning *
            """,
            task,
            run_at=run_at,
            crash=int(error.crash),
            errors=_with(held, error),
            payload=to_json(held.payload | {"without": [*held.without, *why]}),
        )

    def postpone(self, task: Task, error: AttemptError, *, run_at: int) -> Task:
        """running → available at `run_at`, its attempt given back: it can do nothing about `error` but wait.

        While the reason stays the same it is kept once, with the time it was first met.
        """
        held = self.hold(task)
        if held.waits_on(error):
            since = held.errors[-1].at
            held = msgspec.structs.replace(held, errors=held.errors[:-1])
            error = msgspec.structs.replace(error, at=since)
        self._outcome.nudge = True
        return self._held(
            """
            update task
            set state = 'available', run_at = :run_at, attempt = attempt - 1, errors = :errors,
                lease_token = null, lease_until = null, boot_id = null
            where id = :id and state = 'running' and lease_token = :token
            returning *
            """,
            task,
            run_at=run_at,
            errors=_with(held, error),
        )

    def give_back(self, task: Task, *, now: int) -> Task:
        """running → available at once, in its old place, as if this attempt had never begun: we are stopping."""
        self._outcome.nudge = True
        return self._held(
            """
            update task
            set state = 'available', run_at = min(run_at, :now), attempt = attempt - 1,
                lease_token = null, lease_until = null, boot_id = null
            where id = :id and state = 'running' and lease_token = :token
            returning *
            """,
            task,
            now=now,
        )

    def discard(self, task: Task, error: AttemptError, *, now: int) -> Task:
        """running → discarded, with what every attempt said: a dead letter, unless `error` is a refusal."""
        return self._held(
            """
            update task
            set state = 'discarded', finalized_at = :now, crashes = crashes + :crash, errors = :errors,
                lease_token = null, lease_until = null, boot_id = null
            where id = :id and state = 'running' and lease_token = :token
            returning *
            """,
            task,
            now=now,
            crash=int(error.crash),
            errors=_with(self.hold(task), error),
        )

    def cancel_of_job(self, job_id: str, *, now: int) -> list[Task]:
        """available, running → cancelled, all of the job's. They are returned as they were: who runs one must stop."""
        rows = self._all(
            "select * from task where job_id = :job_id and state in ('available', 'running') order by number",
            job_id=job_id,
        )
        self._run(
            """
            update task
            set state = 'cancelled', finalized_at = :now, lease_token = null, lease_until = null, boot_id = null
            where job_id = :job_id and state in ('available', 'running')
            """,
            job_id=job_id,
            now=now,
        )
        return [_task(row) for row in rows]

    def requeue(self, task_id: str, *, max_attempts: int, now: int) -> Task:
        """discarded, cancelled → available at once, its deaths forgotten, and what it was to do without.

        Args:
            max_attempts: from now on; those it had are counted on from.
        Raises:
            NotFound: there is no such task.
            Conflict: it is in another state, or another task of the job does this step now.
        """
        row = self._one(
            """
            update task
            set state = 'available', run_at = :now, finalized_at = null, crashes = 0, rescues = 0,
                max_attempts = attempt + :max_attempts, payload = json_remove(payload, '$.without')
            where id = :id and state in ('discarded', 'cancelled')
            returning *
            """,
            id=task_id,
            max_attempts=max_attempts,
            now=now,
        )
        if row is None:
            raise Conflict(f"the task {task_id} is {self.get(task_id).state}: only what ended badly is requeued")
        self._outcome.nudge = True
        return _task(row)

    def rescue(self, *, boot_id: str, now: int, max_rescues: int) -> list[Task]:
        """What daemons before this one left running is available at once, its attempt given back.

        A task that took more than `max_rescues` daemons with it, since it last got further, is discarded instead, or
        completed where its job goes on without it: look at the state of what is returned.

        Args:
            boot_id: of this daemon; its own tasks are left alone.
        """
        rows = self._all("select * from task where state = 'running' and boot_id <> :boot_id", boot_id=boot_id)
        message = "the daemon ended while this ran"
        return self._take_all_back(rows, "daemon_died", message, now=now, max_rescues=max_rescues)

    def expired(self, *, now: int, max_rescues: int) -> list[Task]:
        """The same as `rescue`, for tasks whose lease ran out: nobody works on them who could say so."""
        rows = self._all("select * from task where state = 'running' and lease_until <= :now", now=now)
        message = "nothing was heard of it for its lease"
        return self._take_all_back(rows, "lease_expired", message, now=now, max_rescues=max_rescues)

    def get(self, task_id: str) -> Task:
        """Raises NotFound."""
        row = self._one("select * from task where id = :id", id=task_id)
        if row is None:
            raise NotFound(f"there is no task {task_id}")
        return _task(row)

    def live_of_segment(self, segment_id: str) -> Task | None:
        """The task that waits to make the segment again, or does."""
        row = self._one(
            "select * from task where segment_id = :id and state in ('available', 'running')", id=segment_id
        )
        return None if row is None else _task(row)

    def last_of_segment(self, segment_id: str) -> Task | None:
        """The last task that was to make the segment again, whatever became of it."""
        row = self._one("select * from task where segment_id = :id order by number desc limit 1", id=segment_id)
        return None if row is None else _task(row)

    def supersede(self, segment_id: str, *, now: int) -> int:
        """discarded → cancelled: what was given up of the segment, now that it is asked for anew. How many."""
        return self._run(
            "update task set state = 'cancelled', finalized_at = :now where segment_id = :id and state = 'discarded'",
            id=segment_id,
            now=now,
        )

    def of_job(self, job_id: str) -> list[Task]:
        """In the order they were enqueued."""
        return [_task(row) for row in self._all("select * from task where job_id = :id order by number", id=job_id)]

    def dead(self, *, limit: int) -> list[Task]:
        """Dead letters: tasks that were given up, the newest task first. What was refused is not among them."""
        rows = self._all(
            """
            select * from task
            where state = 'discarded' and errors ->> '$[#-1].refused' is not 1
            order by id desc
            limit :limit
            """,
            limit=limit,
        )
        return [_task(row) for row in rows]

    def refused(self, *, limit: int) -> list[Task]:
        """Tasks that ended because the media was refused, the newest task first."""
        rows = self._all(
            """
            select * from task
            where state = 'discarded' and errors ->> '$[#-1].refused' is 1
            order by id desc
            limit :limit
            """,
            limit=limit,
        )
        return [_task(row) for row in rows]

    def next_due_at(self) -> int | None:
        """When a claim may next find something: a task is due, or a lease ends. Unix ms, past if one is already; None
        when no task waits or runs."""
        lease_until = self._value("select min(lease_until) from task where state = 'running'")
        return min((at for at in (self._first_run_at(), lease_until) if at is not None), default=None)

    def oldest_available_age_ms(self, *, now: int) -> int:
        """For how long the task that is due the longest has been due; 0 when none is."""
        run_at = self._first_run_at()
        return 0 if run_at is None else max(0, now - run_at)

    def depth(self) -> dict[tuple[TaskKind, TaskState], int]:
        """How many tasks of each kind are available, running and discarded, where there are any.

        Discarded are the dead letters; what was refused is not counted.
        """
        rows = self._all(
            """
            select kind, 'available' as state, count(*) as n from task where state = 'available' group by kind
            union all
            select kind, 'running', count(*) from task where state = 'running' group by kind
            union all
            select kind, 'discarded', count(*) from task
            where state = 'discarded' and errors ->> '$[#-1].refused' is not 1
            group by kind
            """
        )
        return {(row["kind"], row["state"]): row["n"] for row in rows}

    def _first_run_at(self) -> int | None:
        run_at = self._value(
            """
            select min((
                select min(run_at) from task
                where state = 'available' and kind = wanted.value and priority = rank.value))
            from json_each(:kinds) as wanted
            cross join json_each('[1, 2, 3]') as rank
            """,
            kinds=to_json(KINDS),
        )
        return None if run_at is None else int(run_at)

    def _take_all_back(self, rows: list[Row], code: str, message: str, *, now: int, max_rescues: int) -> list[Task]:
        return [self._take_back(_task(row), code, message, now=now, max_rescues=max_rescues) for row in rows]

    def _take_back(self, task: Task, code: str, message: str, *, now: int, max_rescues: int) -> Task:
        error = AttemptError(attempt=task.attempt, at=now, code=code, message=message)
        if task.rescues >= max_rescues:
            return (self.do_without if task.kind in OPTIONAL else self.discard)(task, error, now=now)
        self._outcome.nudge = True
        return self._held(
            """
            update task
            set state = 'available', run_at = min(run_at, :now), attempt = attempt - 1, rescues = rescues + 1,
                errors = :errors, lease_token = null, lease_until = null, boot_id = null
            where id = :id and state = 'running' and lease_token = :token
            returning *
            """,
            task,
            now=now,
            errors=_with(task, error),
        )

    def _held(self, sql: str, task: Task, **values: Any) -> Task:
        row = self._one(sql, id=task.id, token=task.lease_token, **values)
        if row is None:
            raise ClaimLost(f"the task {task.id} is not this attempt's any more")
        return _task(row)


def _with(task: Task, error: AttemptError) -> str:
    return to_json([*task.errors, error][-ERRORS_KEPT:])
