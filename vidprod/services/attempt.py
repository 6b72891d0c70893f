"""One attempt at a task: ask the child, record what it finishes, settle how it ended.

What belongs together is one transaction (`outcome.py`).
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec

from vidprod.blobs.disk import DiskBlobs
from vidprod.config import Config
from vidprod.domain.event import Event
from vidprod.domain.plan import Plan
from vidprod.domain.segment import Rendition, Segment, as_made
from vidprod.domain.step import (
    Progress,
    SegmentDone,
    StepRequest,
    Tracked,
    TrackRequest,
)
from vidprod.domain.task import Task, job_percent
from vidprod.domain.video import MediaInfo
from vidprod.errors import ChildDied, ClaimLost, NotFound, Refused, TryLater, VidProdError
from vidprod.services import faces
from vidprod.services.child import ChildHost
from vidprod.services.made import cover_made, files_made, track_made
from vidprod.services.outcome import Outcome, final_fault, goes_without, pause_after, told_as, waits_for_room
from vidprod.services.subject import Subject, rows_of
from vidprod.store.feed import Subscription
from vidprod.store.sqlite import Store, Tables
from vidprod.telemetry import log, metrics

PROGRESS_EVERY_S = 0.5
ENDS_OF_A_JOB = frozenset({"job.cancelled", "job.deleted"})
FOLLOWING_SHARE = 0.5  # of a remake that has to follow the faces first

_logger = log.get(__name__)


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What every attempt needs of the daemon."""

    store: Store
    blobs: DiskBlobs
    host: ChildHost
    config: Config
    now: Callable[[], int]  # unix ms
    clock: Callable[[], int]  # unix ms of publishing
    jitter: Callable[[], float]  # from 0 up to 1


class Attempt:
    """One claim of one task."""

    def __init__(self, task: Task, room: Room) -> None:
        self.task = task
        self._room = room
        self._store = room.store
        self._now = room.now
        self._subject: Subject
        self._made: tuple[Segment, Rendition] | None = None  # by a remake, in its place and not recorded yet
        self._asked: StepRequest | None = None  # of the child, last
        self._done_before = 0.0  # of this task, when the present request began
        self._told_at_s = 0.0
        self._began_s = time.monotonic()

    async def run(self) -> None:
        """To its end: completed, put back for later, discarded, or dropped because the claim was lost.

        Cancelled, it gives the task back: no attempt is used up.
        """
        with log.bind(job=self.task.job_id, step=self.task.kind, attempt=self.task.attempt):
            outcome = "lost"
            try:
                outcome = await self._guarded()
            except asyncio.CancelledError:
                outcome = "given_back" if await give_back(self.task, self._store, now=self._now()) else "lost"
                raise
            finally:
                metrics.attempts.labels(kind=self.task.kind, outcome=outcome).inc()
                await self._clean_up(lost=outcome == "lost")

    async def _guarded(self) -> str:
        """Work while the lease is kept and nobody cancels the job. What the attempt came to."""
        with self._store.feed.subscribe(self.task.job_id) as news:
            work = asyncio.create_task(self._work())
            guards = [asyncio.create_task(self._keep_lease(work)), asyncio.create_task(self._heed(news, work))]
            try:
                await asyncio.wait({work})
            finally:
                for task in (work, *guards):
                    task.cancel()
                await asyncio.gather(work, *guards, return_exceptions=True)
        if work.cancelled() or isinstance(work.exception(), ClaimLost):
            _logger.info("the attempt was ended from outside")
            return "lost"
        error = work.exception()
        return "completed" if error is None else await self._settle(error)

    async def _work(self) -> None:
        rows = await self._store.read(lambda db: rows_of(db, self.task))
        self._subject = Subject(self.task, rows, blobs=self._room.blobs, config=self._room.config)
        self._check_room_for_next()
        if self._subject.making is not None and self._subject.making.poster_only:
            await self._make_cover()
            await self._record({})
        else:
            if self.task.kind == "remake":
                await self._follow_first()
            await self._record(await self._ask(self._subject.request))
        seconds = time.monotonic() - self._began_s
        metrics.step_seconds.labels(kind=self.task.kind).observe(seconds)
        if self._subject.video.info is not None and self._subject.video.info.duration_us:
            pace = seconds / (self._subject.video.info.duration_us / 1e6)
            metrics.step_seconds_per_media_second.labels(kind=self.task.kind).observe(pace)
        _logger.info("step completed", seconds=round(seconds, 3))

    async def _follow_first(self) -> None:
        """A segment may be made again for its faces where its job did without them. That cannot be done costs only
        the faces."""
        if not self._subject.recipe.tracks(self._subject.info) or self._subject.track.is_file() or self.task.without:
            return
        try:
            self._subject.no_track = (await self._adopt_track(await self._ask(self._subject.track_request))).reason
        except (TryLater, Refused) as error:
            if faces.nothing_was_tried(error):
                raise
            self._subject.no_track = faces.gave_up(str(error))
        self._done_before = FOLLOWING_SHARE

    async def _make_cover(self) -> None:
        """A poster from the picture that was chosen; beside it the files stay as they are, under their next names."""
        segment = self._subject.remade
        assert segment.rendition is not None  # only what is ready is made again
        await self._ask(lambda: self._subject.cover_request(segment))
        await self._fence()
        making = segment.making + 1
        cover = await asyncio.to_thread(cover_made, self._subject.work_dir)
        await asyncio.to_thread(self._room.blobs.renew_poster, cover, segment.job_id, segment.id, making=making)
        self._made = segment, segment.rendition

    def _make_work_dir(self) -> None:
        self._room.blobs.make_work_dir(self.task.id)

    async def _ask(self, request: Callable[[], StepRequest]) -> dict[str, Any]:
        """Have the child do it, in a work directory made anew."""
        await asyncio.to_thread(self._make_work_dir)
        self._asked = request()
        return await self._room.host.run(
            self._asked, self._hear, media_s=self._subject.media_s, check_room=self._check_room
        )

    def _check_room(self, needed: int = 0) -> None:
        """While segments are to be made: the other steps write next to nothing, and what is all made may be told.

        Media leaves the floor to the database, and to uploads what they were promised: a job can be tried again by
        itself, an upload of an hour cannot. Raises NoSpace.
        """
        if self._subject.todo:
            self._room.blobs.check_room(needed, announced=False)

    def _check_room_for_next(self) -> None:
        """For the next segment at its largest, not for all that are to come: what is finished is kept, whatever
        happens then. Raises NoSpace."""
        for segment in self._subject.todo[:1]:
            self._check_room(self._subject.bytes_for(segment))

    # hearing

    async def _hear(self, message: Progress | SegmentDone) -> None:
        if isinstance(message, SegmentDone):
            await self._adopt(message)
        elif time.monotonic() - self._told_at_s >= PROGRESS_EVERY_S or message.done_us >= message.total_us:
            self._told_at_s = time.monotonic()
            await self._tell_progress(self._fraction(message))

    def _fraction(self, said: Progress) -> float:
        """Of the task. A remake makes one segment of what the child counts, and may have followed the faces before."""
        making = self._subject.making
        if making is None:
            return said.fraction
        if isinstance(self._asked, TrackRequest):
            return said.fraction * FOLLOWING_SHARE
        segment = as_made(self._subject.remade, making)
        done = (said.done_us - segment.in_us) / (segment.out_us - segment.in_us)
        return self._done_before + (1 - self._done_before) * min(1.0, max(0.0, done))

    async def _tell_progress(self, fraction: float) -> None:
        # Written first: who asks for the status because of the note must not be told less.
        await self._unless_full(lambda db: db.tasks.set_progress(self.task, fraction))
        note: dict[str, Any] = {"step": self.task.kind, "progress": round(fraction * 100, 2)}
        if self.task.kind == "remake":
            note |= {"segment_id": self.task.segment_id, "job_progress": 100.0}
        else:
            note["job_progress"] = round(job_percent(self.task.kind, fraction, tracks=self._subject.tracks), 2)
        self._store.feed.progress(self.task.job_id, note)

    async def _adopt(self, done: SegmentDone) -> None:
        """A finished segment's files move to their place, and then its row says so; of a remake when it is done."""
        segment = next((segment for segment in self._subject.todo if segment.index == done.index), None)
        if segment is None:
            raise ChildDied(
                f"the media child made segment {done.index}, which it was not asked for", code="child_garbled"
            )
        await self._fence()
        blobs = self._room.blobs
        files = await asyncio.to_thread(files_made, self._subject.work_dir, done.stem)
        making = segment.making + (self.task.kind == "remake")
        await asyncio.to_thread(blobs.adopt, files, self.task.job_id, segment.id, making=making)
        if self.task.kind == "remake":
            self._made = self._subject.remade, done.rendition
        else:
            await self._store.write(lambda db: self._outcome(db).segment_ready(segment, done.rendition))
        self._subject.todo = [other for other in self._subject.todo if other.index != segment.index]
        _logger.info("segment ready", segment=segment.id, index=segment.index)
        self._check_room_for_next()

    async def _fence(self) -> None:
        """Before files move: an attempt that lost its claim must not overwrite what another finished."""
        await self._store.write(lambda db: db.tasks.heartbeat(self.task, lease_ms=self._lease_ms, now=self._now()))

    async def _adopt_track(self, data: dict[str, Any]) -> Tracked:
        """The track of the faces moves to its place, if there is one."""
        tracked = msgspec.convert(data, Tracked)
        if tracked.reason is None:
            await self._fence()
            file = await asyncio.to_thread(track_made, self._subject.work_dir)
            await asyncio.to_thread(self._room.blobs.adopt_track, file, self._subject.video.id)
        return tracked

    # recording

    def _outcome(self, db: Tables) -> Outcome:
        now, clock = self._now(), self._room.clock()
        return Outcome(db, self.task, now=now, clock=clock, max_attempts=self._room.config.max_attempts)

    async def _record(self, data: dict[str, Any]) -> None:
        match self.task.kind:
            case "probe":
                info = msgspec.convert(data, MediaInfo)
                await self._store.write(lambda db: self._outcome(db).probed(self._subject.video, info))
            case "plan":
                plan = msgspec.convert(data, Plan)
                await self._store.write(
                    lambda db: self._outcome(db).planned(self._subject.video, plan, self._subject.recipe)
                )
            case "track":
                tracked = await self._adopt_track(data)
                await self._store.write(lambda db: self._outcome(db).tracked(tracked))
            case "render":
                warnings = self._subject.warnings
                await self._store.write(lambda db: self._outcome(db).rendered(warnings))
            case "remake":
                if self._made is None or self._subject.making is None:
                    raise TryLater("the media child ended without the segment", code="child_incomplete")
                (segment, rendition), making = self._made, self._subject.making
                await self._store.write(lambda db: self._outcome(db).remade(segment, rendition, making))

    # settling

    async def _settle(self, error: BaseException) -> str:
        """Record how an attempt failed. Raises nothing: what cannot be recorded is left to the lease."""
        if not isinstance(error, VidProdError):
            _logger.error("unexpected error", exc_info=error)
        config = self._room.config
        told = told_as(error, self.task, now=self._now())
        fault = final_fault(error, told, self.task, max_crashes=config.max_crashes, room_wait_s=config.room_wait_s)
        less = faces.less_after(error, self._asked)
        does_without = goes_without(told, fault, self.task)
        if fault is not None or not self.task.waits_on(told):  # a wait that goes on is no news
            _logger.warning(
                "attempt failed",
                code=told.code,
                message=told.message,
                output=told.output[-1000:],
                final=fault is not None and not less and not does_without,
            )
        pause_ms = pause_after(
            told,
            self.task,
            retry_pause_s=config.retry_pause_s,
            room_look_s=config.room_look_s,
            jitter=self._room.jitter(),
        )

        def settle(db: Tables) -> None:
            if does_without:
                self._outcome(db).untracked(told, reason=faces.gave_up(told.message))
            elif less:
                self._outcome(db).retried_without(told, less, pause_ms=pause_ms)
            elif fault is not None:
                self._outcome(db).discarded(told, fault)
            elif waits_for_room(told):
                self._outcome(db).postponed(told, pause_ms=pause_ms)
            else:
                self._outcome(db).retried(told, pause_ms=pause_ms)

        try:
            await self._store.write(settle, urgent=True)
        except ClaimLost:
            return "lost"
        except VidProdError as unwritten:
            _logger.error("the failed attempt cannot be recorded; its lease will run out", error=str(unwritten))
            return "lost"
        if does_without:
            return "without"
        if fault is None or less:
            return "postponed" if waits_for_room(told) else "retried"
        return "refused" if told.refused else "discarded"

    async def _clean_up(self, *, lost: bool) -> None:
        await asyncio.to_thread(self._room.blobs.delete_work, self.task.id)
        if lost and await self._job_is_gone():
            await asyncio.to_thread(self._room.blobs.delete_media, self.task.job_id)  # what came after the deletion

    async def _job_is_gone(self) -> bool:
        try:
            await self._store.read(lambda db: db.jobs.get(self.task.job_id))
        except NotFound:
            return True
        except VidProdError:
            return False
        return False

    # guarding

    @property
    def _lease_ms(self) -> int:
        return int(self._room.config.lease_s * 1000)

    async def _keep_lease(self, work: asyncio.Task[None]) -> None:
        while True:
            await asyncio.sleep(self._room.config.lease_s / 3)
            try:
                await self._unless_full(
                    lambda db: db.tasks.heartbeat(self.task, lease_ms=self._lease_ms, now=self._now())
                )
            except ClaimLost:
                work.cancel()
                return

    async def _heed(self, news: Subscription, work: asyncio.Task[None]) -> None:
        async for item in news:
            if isinstance(item, Event) and item.type in ENDS_OF_A_JOB:
                work.cancel()
                return

    async def _unless_full(self, write: Callable[[Tables], Any]) -> None:
        """Write what may be missing: on a full disk the work goes on without it."""
        try:
            await self._store.write(write)
        except ClaimLost:
            raise
        except VidProdError as error:
            _logger.warning("not written", error=str(error))


async def give_back(task: Task, store: Store, *, now: int) -> bool:
    """Running → available, no attempt used up. False where that is not to be had; raises nothing."""
    try:
        await store.write(lambda db: db.tasks.give_back(task, now=now), urgent=True)
    except ClaimLost:
        return False
    except VidProdError as error:
        _logger.warning("the task cannot be given back; the next start frees it", error=str(error))
        return False
    _logger.info("the task is given back", job=task.job_id, step=task.kind)
    return True
