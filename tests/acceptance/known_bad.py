"""Known-bad daemons: `python -m tests.acceptance.known_bad VARIANT serve`. The harness must find each of them out."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from vidprod.cli import main
from vidprod.domain.step import RenderRequest
from vidprod.services import pressure, watch
from vidprod.services.attempt import Attempt
from vidprod.services.subject import Subject
from vidprod.services.worker import Worker
from vidprod.store.sqlite.claims import Claims
from vidprod.store.sqlite.segments import Segments
from vidprod.web.uploads import receive


def acknowledge_first() -> None:
    """The 202 goes out a moment before the rows are written."""
    record = receive._record
    later: set[asyncio.Task[None]] = set()

    async def record_later(*arguments: Any, **named: Any) -> None:
        async def work() -> None:
            await asyncio.sleep(0.3)
            await record(*arguments, **named)

        task = asyncio.create_task(work())
        later.add(task)
        task.add_done_callback(later.discard)

    receive._record = record_later


def redo() -> None:
    """A render that was cut short begins at the first segment again."""
    request = Subject.request

    def whole(self: Subject) -> Any:
        asked = request(self)
        if isinstance(asked, RenderRequest):
            self.todo = self.segments
            return msgspec.structs.replace(asked, todo=[segment.index for segment in asked.plan.segments])
        return asked

    Subject.request = whole  # type: ignore[method-assign]
    _ready_again()


def no_fence() -> None:
    """Who holds a task is not asked when its result comes."""
    held = Claims._held

    def not_asked(self: Claims, sql: str, task: Any, **values: Any) -> Any:
        return held(self, sql.replace("and state = 'running' and lease_token = :token", ""), task, **values)

    Claims._held = not_asked  # type: ignore[method-assign]
    only_fence()
    _ready_again()


def only_fence() -> None:
    """An attempt does not hear that its job was cancelled or taken up anew. Not bad: the token keeps it out."""

    async def deaf(self: Attempt, _news: Any, _work: Any) -> None:
        return None

    async def leave_alone(self: Worker, _task: Any) -> None:
        return None

    async def leave(self: Attempt, *, lost: bool) -> None:
        return None

    def make_its_own(self: Attempt) -> None:
        self._subject.work_dir = self._subject.work_dir / str(self.task.attempt)
        self._subject.work_dir.mkdir(parents=True)

    Attempt._heed = deaf  # type: ignore[assignment, method-assign]
    Worker._end_older_attempt = leave_alone  # type: ignore[assignment, method-assign]
    Attempt._make_work_dir = make_its_own  # type: ignore[method-assign]
    Attempt._clean_up = leave  # type: ignore[method-assign]


def hasty() -> None:
    """What is waited for, and is no setting, comes sooner. Not bad."""
    pressure.EVERY_S = pressure.PRESSED_EVERY_S = 0.1
    watch.SECONDS_PER_MEDIA_SECOND["render"] = 2.0


def _ready_again() -> None:
    ready = Segments.ready

    def whatever_it_is(self: Segments, segment_id: str, rendition: Any, *, now: int) -> Any:
        self._run(
            "update segment set state = 'pending', rendition = null, ready_at = null where id = :id", id=segment_id
        )
        return ready(self, segment_id, rendition, now=now)

    Segments.ready = whatever_it_is  # type: ignore[method-assign]


VARIANTS: dict[str, Callable[[], None]] = {
    "acknowledge_first": acknowledge_first,
    "redo": redo,
    "no_fence": no_fence,
    "only_fence": only_fence,
    "hasty": hasty,
}

if __name__ == "__main__":
    VARIANTS[sys.argv.pop(1)]()
    main()
