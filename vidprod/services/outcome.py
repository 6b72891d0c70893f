"""What an attempt came to, as the database is told it: each method is one transaction or part of one.

Every one holds the task's token: an attempt that lost its claim changes nothing any more. A refusal discards the task
and fails the job at once; it is no dead letter to look after (`AttemptError.refused`). Any other failure is tried
again with growing pauses while attempts remain, except that `max_crashes` deaths of the child on one task end it as
poison. A full volume is nobody's fault and uses no attempt up: the task waits for room, and looks for it now and then.
What a job can do without is not tried again, and what fails over faces is tried again with less (`faces.py`).
A segment that is made again has its new file and its end as a task in one transaction; a failure leaves it as it was.
"""

from typing import Any

import msgspec

from vidprod.domain.ids import new_id
from vidprod.domain.job import Fault
from vidprod.domain.plan import Plan
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Making, Rendition, Segment, as_made
from vidprod.domain.step import Tracked
from vidprod.domain.task import OPTIONAL, AttemptError, Task, TaskKind, backoff_ms, vary
from vidprod.domain.video import MediaInfo, Video
from vidprod.errors import ChildDied, NoSpace, Refused, TryLater, VidProdError
from vidprod.services.faces import NOT_STARTED
from vidprod.store.sqlite import Tables, composing, planning


class Outcome:
    """The writes of one attempt, within one transaction."""

    def __init__(self, db: Tables, task: Task, *, now: int, clock: int, max_attempts: int) -> None:
        """
        Args:
            clock: unix ms of publishing.
            max_attempts: of the step that comes next.
        """
        self._db, self._task, self._now, self._clock, self._max_attempts = db, task, now, clock, max_attempts

    def probed(self, video: Video, info: MediaInfo) -> None:
        """The source's facts are known."""
        self._complete()
        self._db.videos.set_info(video.id, info)
        self._enqueue("plan", payload={})

    def planned(self, video: Video, plan: Plan, recipe: Recipe) -> None:
        """The cuts are decided."""
        assert video.info is not None  # the probe's completion set it
        self._complete()
        self._db.videos.set_info(video.id, plan.heard(video.info))
        self._db.segments.add_all(self._segments(plan))
        self._record("segment.planned", {"count": len(plan.segments)})
        next_step: TaskKind = "track" if recipe.tracks(video.info) else "render"
        self._enqueue(next_step, payload={"plan": msgspec.to_builtins(plan)})

    def tracked(self, tracked: Tracked) -> None:
        """The faces are followed and their track is in its place, or there is a reason why not."""
        self._complete({} if tracked.reason is None else {"reason": tracked.reason})
        self._enqueue("render", payload=_render_payload(self._task, tracked))

    def untracked(self, told: AttemptError, *, reason: str) -> None:
        """The faces could not be followed: the job goes on without."""
        self._db.tasks.do_without(self._task, told, now=self._now)
        go_on_without(self._db, self._task, reason, max_attempts=self._max_attempts, now=self._now)

    def _segments(self, plan: Plan) -> list[Segment]:
        waits = self._db.jobs.get(self._task.job_id).review
        return [
            Segment(
                id=new_id("seg", now=self._now),
                waits=waits,
                job_id=self._task.job_id,
                index=planned.index,
                state="pending",
                in_us=planned.in_us,
                out_us=planned.out_us,
                created_at=self._now,
            )
            for planned in plan.segments
        ]

    def segment_ready(self, segment: Segment, rendition: Rendition) -> None:
        """The segment's files are in their place, and it is planned where it goes."""
        self._db.tasks.advance(self._task)
        ready = self._db.segments.ready(segment.id, rendition, now=self._now)
        self._record("segment.ready", _told_of(segment, rendition))
        planning.plan_segment(self._db, ready, now=self._clock)

    def remade(self, segment: Segment, rendition: Rendition, making: Making) -> None:
        """The new file takes the old one's place."""
        self._db.tasks.complete(self._task, now=self._now)
        made = as_made(segment, making)
        self._db.segments.remake(made, rendition, recipe=making.recipe, now=self._now)
        self._record("segment.cover" if making.poster_only else "segment.remade", _told_of(segment, rendition))
        composing.follow(self._db, segment, rendition, cover_us=made.cover_us, now=self._clock)

    def rendered(self, warnings: list[str]) -> None:
        """The job is done. Raises TryLater where a segment is missing."""
        missing = [s.index for s in self._db.segments.of_job(self._task.job_id) if s.state != "ready"]
        if missing:
            raise TryLater(f"the media child ended without the segments {missing}", code="child_incomplete")
        self._complete()
        self._db.jobs.complete(self._task.job_id, warnings, now=self._now)
        self._record("job.completed")

    def discarded(self, told: AttemptError, fault: Fault) -> None:
        """The task will not be tried again."""
        self._db.tasks.discard(self._task, told, now=self._now)
        give_up(self._db, self._task, fault, now=self._now)

    def retried(self, told: AttemptError, *, pause_ms: int) -> None:
        """The task is tried again after a pause."""
        run_at = self._now + pause_ms
        self._db.tasks.retry(self._task, told, run_at=run_at)
        self._record_pause(told, run_at)

    def retried_without(self, told: AttemptError, why: list[str], *, pause_ms: int) -> None:
        """The task is tried again after a pause, with less to do."""
        run_at = self._now + pause_ms
        self._db.tasks.retry_without(self._task, told, why=why, run_at=run_at)
        self._record_pause(told, run_at)

    def postponed(self, told: AttemptError, *, pause_ms: int) -> None:
        """The task waits. Only the beginning of the wait is an event."""
        run_at = self._now + pause_ms
        goes_on = self._task.waits_on(told)
        self._db.tasks.postpone(self._task, told, run_at=run_at)
        if not goes_on:
            self._record_pause(told, run_at)

    def _record_pause(self, told: AttemptError, run_at: int) -> None:
        data = {"step": self._task.kind, "code": told.code, "message": told.message, "run_at": run_at}
        self._record("step.retrying", data | _whose(self._task))

    def _complete(self, data: dict[str, Any] | None = None) -> None:
        self._db.tasks.complete(self._task, now=self._now)
        self._record("step.completed", {"step": self._task.kind, **(data or {})})

    def _enqueue(self, kind: TaskKind, *, payload: dict[str, Any]) -> None:
        _enqueue_after(self._db, self._task, kind, payload=payload, max_attempts=self._max_attempts, now=self._now)

    def _record(self, event_type: str, data: dict[str, Any] | None = None) -> None:
        self._db.events.record(event_type, job_id=self._task.job_id, data=data, now=self._now)


def told_as(error: BaseException, task: Task, *, now: int) -> AttemptError:
    """How the queue remembers that an attempt at `task` ended with `error`."""
    known = isinstance(error, VidProdError)
    return AttemptError(
        attempt=task.attempt,
        at=now,
        code=error.code if isinstance(error, VidProdError) else "internal",
        message=str(error) if known else f"{type(error).__name__}: {error}",
        output=error.output if isinstance(error, TryLater) else "",
        crash=isinstance(error, ChildDied) and error.code != NOT_STARTED,
        refused=isinstance(error, Refused),
    )


def waits_for_room(told: AttemptError) -> bool:
    """Whether the attempt ended because the volume is full."""
    return told.code == NoSpace.code


def final_fault(
    error: BaseException, told: AttemptError, task: Task, *, max_crashes: int, room_wait_s: float
) -> Fault | None:
    """Why the job fails now; None when the task is worth another attempt."""
    hint = error.hint if isinstance(error, VidProdError) else ""
    if told.refused:
        return Fault(code=told.code, message=told.message, hint=hint)
    if told.crash and task.crashes + 1 >= max_crashes:
        return poisoned(task.crashes + 1, told.message)
    if waits_for_room(told):
        waited_s = (told.at - task.errors[-1].at) / 1000 if task.waits_on(told) else 0.0
        return Fault(code=told.code, message=told.message, hint=hint) if waited_s >= room_wait_s else None
    if task.attempt >= task.max_attempts:
        return Fault(code=told.code, message=told.message, hint=hint or "Try the job again later.")
    return None


def goes_without(told: AttemptError, fault: Fault | None, task: Task) -> bool:
    """Whether the job goes on without what the task was to bring. What was not tried yet is tried again, while it may;
    without room nothing goes on."""
    return task.kind in OPTIONAL and not waits_for_room(told) and (fault is not None or told.code != NOT_STARTED)


def pause_after(told: AttemptError, task: Task, *, retry_pause_s: float, room_look_s: float, jitter: float) -> int:
    """Milliseconds until the next attempt; `jitter` from 0 up to 1."""
    if waits_for_room(told):
        return vary(room_look_s * 1000, jitter)  # somebody has to make it
    return backoff_ms(task.attempt, first_s=retry_pause_s, jitter=jitter)


def poisoned(deaths: int, message: str) -> Fault:
    """The job's end when its task only kills who tries it."""
    return Fault(
        code="poison",
        message=f"This step died {deaths} times; the last time: {message}",
        hint="The file may be damaged. `vidprod dead` shows what the media child said each time.",
    )


def give_up(db: Tables, task: Task, fault: Fault, *, now: int) -> None:
    """What a discarded task means: its job fails; a segment that was to be made again stays as it was. In the
    transaction that discards."""
    told = {"code": fault.code, "message": fault.message}
    if task.kind == "remake":
        db.events.record("segment.remake_failed", job_id=task.job_id, data=told | _whose(task), now=now)
        return
    db.segments.fail_pending(task.job_id)
    db.jobs.fail(task.job_id, fault, now=now)
    db.events.record("step.discarded", job_id=task.job_id, data={"step": task.kind, **told}, now=now)
    db.events.record("job.failed", job_id=task.job_id, data=told, now=now)


def go_on_without(db: Tables, task: Task, reason: str, *, max_attempts: int, now: int) -> None:
    """What it means that a job does without what `task` was to bring. In the transaction that completes it so."""
    data = {"step": task.kind, "reason": reason}
    db.events.record("step.completed", job_id=task.job_id, data=data, now=now)
    payload = _render_payload(task, Tracked(faces=0, pictures=0, with_face=0, reason=reason))
    _enqueue_after(db, task, "render", payload=payload, max_attempts=max_attempts, now=now)


def _render_payload(task: Task, tracked: Tracked) -> dict[str, Any]:
    return {"plan": task.payload["plan"], "tracked": msgspec.to_builtins(tracked)}


def _enqueue_after(
    db: Tables, task: Task, kind: TaskKind, *, payload: dict[str, Any], max_attempts: int, now: int
) -> None:
    db.tasks.enqueue(
        kind,
        job_id=task.job_id,
        priority=task.priority,
        run_at=now,
        max_attempts=max_attempts,
        payload=payload,
        now=now,
    )


def _told_of(segment: Segment, rendition: Rendition) -> dict[str, Any]:
    return {
        "segment_id": segment.id,
        "index": segment.index,
        "sha256": rendition.sha256,
        "synthetic": rendition.synthetic,
    }


def _whose(task: Task) -> dict[str, Any]:
    return {} if task.segment_id is None else {"segment_id": task.segment_id}
