"""A task: one row of the queue, one step of one job, or one finished segment that is made again.

    available → running → completed
        ↑          ├────→ available   (retried, postponed, given back, rescued)
        │          ├────→ discarded   (dead letter, or refused; requeue → available)
        └──────────┴────→ cancelled

A task that runs has a lease and a token. Who does not hold the token cannot move the task.

A job goes on without what it can do without: `track` is never discarded, but completed with a reason; and where a child
died or failed at a render that worked on faces, the next attempt does less (`Task.without`) and costs no attempt.

`remake` makes one segment of a completed job again under another recipe. Its job stays completed and its segment ready,
with the file it had, until the new one takes its place; so it is when the task is discarded. While it waits or runs
neither the source nor the job's media are pruned.
"""

from typing import Any, Literal, get_args

import msgspec

from vidprod.domain.job import Priority

TaskKind = Literal["probe", "plan", "track", "render", "remake"]
TaskState = Literal["available", "running", "completed", "discarded", "cancelled"]

KINDS: tuple[TaskKind, ...] = get_args(TaskKind)
STEPS: tuple[TaskKind, ...] = ("probe", "plan", "track", "render")  # of a job; track only where faces matter to it
OPTIONAL: frozenset[TaskKind] = frozenset({"track"})  # a job goes on without what they would bring
STEP_WEIGHT: dict[TaskKind, float] = {"probe": 2.0, "plan": 6.0, "track": 32.0, "render": 60.0}  # percent of a job
STEP_WEIGHT_UNTRACKED: dict[TaskKind, float] = {"probe": 2.0, "plan": 8.0, "render": 90.0}  # as measured
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
    segment_id: str | None = None  # of a remake
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
    def without(self) -> list[str]:
        """Why it does less than was asked, in words: of one, eyes are left alone; of two, no crop follows either."""
        return list(self.payload.get("without", []))

    @property
    def refused(self) -> bool:
        """Whether its last attempt was refused: discarded, it is no dead letter."""
        return bool(self.errors) and self.errors[-1].refused


def step_weights(*, tracks: bool) -> dict[TaskKind, float]:
    """The steps of a job in their order, and how many percent of it each is. `tracks`: its faces are followed."""
    return STEP_WEIGHT if tracks else STEP_WEIGHT_UNTRACKED


def job_percent(step: TaskKind, fraction: float, *, tracks: bool) -> float:
    """How far a job is, 0 … 100, whose step `step` is done to `fraction` (0 … 1)."""
    weights = step_weights(tracks=tracks)
    steps = list(weights)
    return sum(weights[before] for before in steps[: steps.index(step)]) + weights[step] * fraction


def backoff_ms(attempt: int, *, first_s: float, jitter: float) -> int:
    """How long to wait after failed attempt `attempt` (1, 2, …): twice as long each time, at most 10 min, ± 10 %.

    Args:
        first_s: after the first.
        jitter: from 0 up to 1, drawn by the caller.
    """
    return vary(min(first_s * 2.0 ** (attempt - 1), 600.0) * 1000, jitter)


def vary(pause_ms: float, jitter: float) -> int:
    """`pause_ms` ± 10 %, so that those who wait do not all come at once. `jitter`: from 0 up to 1."""
    return int(pause_ms * (0.9 + 0.2 * jitter))
