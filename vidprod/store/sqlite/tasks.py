"""The queue: how tasks are enqueued, claimed, taken back and found. What a claim allows is in `claims.py`."""

from typing import Any

from vidprod.domain.ids import new_id
from vidprod.domain.job import Priority
from vidprod.domain.task import KINDS, OPTIONAL, PRIORITY_RANK, AttemptError, Task, TaskKind, TaskState
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite.claims import Claims, errors_with, task_of
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import to_json


class Tasks(Claims):
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
        return task_of(row)

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
        return None if row is None else task_of(row)

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
        return [task_of(row) for row in rows]

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
        return task_of(row)

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
        return task_of(row)

    def live_of_segment(self, segment_id: str) -> Task | None:
        """The task that waits to make the segment again, or does."""
        row = self._one(
            "select * from task where segment_id = :id and state in ('available', 'running')", id=segment_id
        )
        return None if row is None else task_of(row)

    def last_of_segment(self, segment_id: str) -> Task | None:
        """The last task that was to make the segment again, whatever became of it."""
        row = self._one("select * from task where segment_id = :id order by number desc limit 1", id=segment_id)
        return None if row is None else task_of(row)

    def supersede(self, segment_id: str, *, now: int) -> int:
        """discarded → cancelled: what was given up of the segment, now that it is asked for anew. How many."""
        return self._run(
            "update task set state = 'cancelled', finalized_at = :now where segment_id = :id and state = 'discarded'",
            id=segment_id,
            now=now,
        )

    def of_job(self, job_id: str) -> list[Task]:
        """In the order they were enqueued."""
        return [task_of(row) for row in self._all("select * from task where job_id = :id order by number", id=job_id)]

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
        return [task_of(row) for row in rows]

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
        return [task_of(row) for row in rows]

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
        return [self._take_back(task_of(row), code, message, now=now, max_rescues=max_rescues) for row in rows]

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
            errors=errors_with(task, error),
        )
