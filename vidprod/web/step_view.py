"""What the API shows of a job's steps, and of what one of them waits for."""

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from vidprod.domain.job import FINAL, Job
from vidprod.domain.task import AttemptError, Task, TaskKind, step_weights
from vidprod.domain.video import MediaInfo
from vidprod.web.moments import moment


class ErrorView(msgspec.Struct, frozen=True, kw_only=True):
    """Why one attempt ended."""

    attempt: int
    at: str
    code: str
    message: str
    output: str
    crash: bool


class PauseView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a step waits, and for how long; `next_attempt_at`: null where it waits until the machine has room. `no_space`
    waits for room on the volume, `low_memory` for memory; neither uses an attempt up."""

    code: str
    message: str
    since: str
    next_attempt_at: str | None


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the job; `waiting` until the step before it is done."""

    name: TaskKind
    state: str
    progress: float
    attempt: int
    max_attempts: int
    started_at: str | None
    finished_at: str | None
    pause: PauseView | None = None
    errors: list[ErrorView] | UnsetType = UNSET


def view_steps(tasks: Sequence[Task], *, job: Job, info: MediaInfo | None, with_errors: bool) -> list[StepView]:
    """Of one job, in their order.

    Args:
        with_errors: of each attempt.
    """
    last = {task.kind: task for task in tasks}  # enqueued in order: a later one of a kind replaces the earlier
    tracks = "track" in last or ("render" not in last and job.recipe.tracks(info))
    return [
        _step(last[kind], job=job, with_errors=with_errors)
        if kind in last
        else _step_to_come(kind, job=job, with_errors=with_errors)
        for kind in step_weights(tracks=tracks)
    ]


def _step(task: Task, *, job: Job, with_errors: bool) -> StepView:
    return StepView(
        name=task.kind,
        state=task.state,
        progress=100.0 if task.state == "completed" else round(100 * task.progress, 1),
        attempt=task.attempt,
        max_attempts=task.max_attempts,
        started_at=moment(task.started_at),
        finished_at=moment(task.finalized_at),
        pause=pause_of(task) if job.state == "processing" else None,
        errors=[_error(error) for error in task.errors] if with_errors else UNSET,
    )


def _step_to_come(kind: TaskKind, *, job: Job, with_errors: bool) -> StepView:
    return StepView(
        name=kind,
        state="cancelled" if job.state in FINAL else "waiting",
        progress=0.0,
        attempt=0,
        max_attempts=0,
        started_at=None,
        finished_at=None,
        errors=[] if with_errors else UNSET,
    )


def pause_of(task: Task) -> PauseView | None:
    """What a task waits for that was tried before; None: it does not."""
    if task.state != "available" or not task.errors or task.run_at <= task.errors[-1].at:  # given back: it is due
        return None
    last = task.errors[-1]
    return PauseView(code=last.code, message=last.message, since=moment(last.at), next_attempt_at=moment(task.run_at))


def _error(error: AttemptError) -> ErrorView:
    return ErrorView(
        attempt=error.attempt,
        at=moment(error.at),
        code=error.code,
        message=error.message,
        output=error.output,
        crash=error.crash,
    )
