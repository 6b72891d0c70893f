"""A task: one row of the queue, one step of one job.

    available → running → completed
        ↑          ├────→ available   (retried, postponed, given back, rescued)
        │          ├────→ discarded   (dead letter, or refused; requeue → available)
        └──────────┴────→ cancelled

A task that runs has a lease and a token. Who does not hold the token cannot move the task.
"""

from typing import Any, Literal

import msgspec

from vidprod.domain.job import Priority

TaskKind = Literal["probe", "plan", "render"]
TaskState = Literal["available", "running", "completed", "discarded", "cancelled"]

STEPS: tuple[TaskKind, ...] = ("probe", "plan", "render")
STEP_WEIGHT: dict[TaskKind, float] = {"probe": 2.0, "plan": 8.0, "render": 90.0}  # percent of a job, as measured
PRIORITY_RANK: dict[Priority, int] = {"high": 1, "normal": 2, "low": 3}


class AttemptError(msgspec.Struct, frozen=True, kw_only=True):
    """Why one attempt ended."""

    attempt: int
    at: int  # unix ms
    code: str
    message: str
    output: str = ""  # the last lines the child said
    crash: bool = False  # the child died, as opposed to saying no
    refused: bool = False  # the media is the reason: its task is discarded, but is no dead letter to look after


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `task`. Times are unix milliseconds."""

    id: str
    job_id: str
    kind: TaskKind
    state: TaskState
    priority: Priority
    run_at: int
    attempt: int  # attempts begun
    max_attempts: int
    crashes: int = 0  # deaths of the child, of `errors`
    rescues: int = 0  # deaths of the daemon while it ran, since it last got further
    progress: float = 0.0  # 0 … 1
    errors: list[AttemptError] = []
    lease_token: str | None = None
    lease_until: int | None = None
    boot_id: str | None = None
    payload: dict[str, Any] = {}
    created_at: int
    started_at: int | None = None  # of the present or last attempt
    finalized_at: int | None = None

    def waits_on(self, error: AttemptError) -> bool:
        """Whether its last attempt ended for the same reason as `error`, and was not counted."""
        return bool(self.errors) and (self.errors[-1].attempt, self.errors[-1].code) == (error.attempt, error.code)

    @property
    def refused(self) -> bool:
        """Whether its last attempt was refused: discarded, it is no dead letter."""
        return bool(self.errors) and self.errors[-1].refused


def job_percent(step: TaskKind, fraction: float) -> float:
    """How far a job is, 0 … 100, whose step `step` is done to `fraction` (0 … 1)."""
    return sum(STEP_WEIGHT[before] for before in STEPS[: STEPS.index(step)]) + STEP_WEIGHT[step] * fraction


def backoff_ms(attempt: int, *, jitter: float) -> int:
    """How long to wait after failed attempt `attempt` (1, 2, …): 2, 4, 8 … s, at most 10 min, ± 10 %.

    Args:
        jitter: from 0 up to 1, drawn by the caller.
    """
    return vary(min(2.0**attempt, 600.0) * 1000, jitter)


def vary(pause_ms: float, jitter: float) -> int:
    """`pause_ms` ± 10 %, so that those who wait do not all come at once. `jitter`: from 0 up to 1."""
    return int(pause_ms * (0.9 + 0.2 * jitter))
