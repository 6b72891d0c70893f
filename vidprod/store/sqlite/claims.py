"""What whoever claimed a task does with it.

With the claim come a lease and a token, and every method that takes the task back checks that token in the same
statement: an attempt that lost its lease raises ClaimLost, and with it the transaction that holds its result.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from vidprod.domain.task import AttemptError, Task
from vidprod.errors import ClaimLost, Conflict
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import PRIORITY_OF_RANK, Table, to_json

ERRORS_KEPT = 30  # of one task, the newest

_errors = msgspec.json.Decoder(list[AttemptError])
_payload = msgspec.json.Decoder(dict[str, Any])


def task_of(row: Row) -> Task:
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


class Claims(Table):
    """The rows of `task` that run."""

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
            errors=errors_with(self.hold(task), error),
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
            errors=errors_with(held, error),
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
            errors=errors_with(held, error),
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
            errors=errors_with(held, error),
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
            errors=errors_with(self.hold(task), error),
        )

    def _held(self, sql: str, task: Task, **values: Any) -> Task:
        row = self._one(sql, id=task.id, token=task.lease_token, **values)
        if row is None:
            raise ClaimLost(f"the task {task.id} is not this attempt's any more")
        return task_of(row)


def errors_with(task: Task, error: AttemptError) -> str:
    return to_json([*task.errors, error][-ERRORS_KEPT:])
