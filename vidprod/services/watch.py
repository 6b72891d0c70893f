"""How long a step may take and how much a child may hold, and the judge of both."""

import math
from collections.abc import Callable
from typing import Literal

import msgspec

from vidprod.domain.step import PlanRequest, ProbeRequest, Progress, SegmentDone, StepRequest, TrackRequest
from vidprod.domain.task import TaskKind
from vidprod.errors import ChildDied, NoSpace

CheckRoom = Callable[[], None]  # raises NoSpace when the child may write no more

SECONDS_PER_MEDIA_SECOND: dict[TaskKind, float] = {  # of work, at the slow end
    "probe": 0.05,  # reads and hashes every packet
    "plan": 0.2,  # decodes the sound
    "track": 4.0,  # decodes 4K HEVC on two slow cores and looks for faces in each picture
    "render": 6.0,  # 4K HEVC, blurred background and x264 on two slow cores
}


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """How long a request may take, and how long it may be without progress."""

    wall_s: float
    stall_s: float
    counts: Literal["media time", "bytes"] = "media time"  # what the step's progress is of


def allowance(request: StepRequest, *, media_s: float, factor: float, floor_s: float) -> Allowance:
    """`floor_s` and `factor` times what the step is expected to take; for a stall, what one second of media is.

    Args:
        media_s: length of the source; for the probe, which has to find it out, an upper estimate from its size.
    """
    kind = kind_of(request)
    cost = SECONDS_PER_MEDIA_SECOND[kind]
    return Allowance(
        wall_s=floor_s + factor * cost * media_s,
        stall_s=max(floor_s, factor * cost),
        counts="bytes" if kind == "probe" else "media time",  # it cannot know yet how long the take is
    )


def with_cpu_limit(request: StepRequest, allowed: Allowance) -> StepRequest:
    """`request` with a limit on processor time, unless it has one.

    Twice what all threads of the decoder, or of the encoder, could use in the wall time allowed: no step that may still
    work meets it. It is the kernel's, and ends a child when nobody watches: the daemon hangs or is stopped.
    """
    if request.limits.cpu_s:
        return request
    cpu_s = math.ceil(2 * request.limits.threads * allowed.wall_s)
    return msgspec.structs.replace(request, limits=msgspec.structs.replace(request.limits, cpu_s=cpu_s))


class Watch:
    """Judges a working child by its memory, its time, its progress, and the room it leaves on the volume."""

    def __init__(
        self, *, limits: Allowance, memory_bytes: int, now_s: float, check_room: CheckRoom | None = None
    ) -> None:
        self.verdict: ChildDied | NoSpace | None = None
        self._check_room = check_room
        self._limits = limits
        self._memory_bytes = memory_bytes
        self._began_s = self._grew_s = now_s
        self._done_us, self._total_us = -1, 0

    def saw(self, message: Progress | SegmentDone, *, now_s: float) -> None:
        """Media time that grows is progress, and so is a finished segment; talking is not."""
        if isinstance(message, SegmentDone):
            self._grew_s = now_s
        elif message.done_us > self._done_us:
            self._done_us, self._total_us = message.done_us, message.total_us
            self._grew_s = now_s

    def leave_out(self, seconds: float, *, now_s: float) -> None:
        """Time that did not pass for the child, up to now."""
        self._began_s = min(self._began_s + seconds, now_s)
        self._grew_s = min(self._grew_s + seconds, now_s)  # what it had said before may have been heard only now

    def judge(self, *, resident: int, now_s: float) -> None:
        """Set the verdict when a limit is passed."""
        if resident > self._memory_bytes:
            self._end(
                "child_out_of_memory",
                f"the media child held {resident / 2**20:.0f} MiB of memory; it may hold "
                f"{self._memory_bytes / 2**20:.0f} MiB",
            )
        elif now_s - self._began_s > self._limits.wall_s:
            self._end("child_timeout", f"the step was not done after {self._limits.wall_s:.0f} s, its limit")
        elif now_s - self._grew_s > self._limits.stall_s:
            self._end("child_stalled", f"no progress {self._reached} for {self._limits.stall_s:.0f} s")
        elif self._check_room is not None:
            try:
                self._check_room()
            except NoSpace as error:
                self.verdict = error
            except OSError:  # a volume that does not answer: who writes to it will say so
                return

    @property
    def _reached(self) -> str:
        if self._done_us < 0:
            return "from the start"
        if self._limits.counts == "bytes":
            return f"after {100 * self._done_us / max(1, self._total_us):.0f} % of the reading"
        return f"at {self._done_us / 1e6:.1f} s of media"

    def _end(self, code: str, message: str) -> None:
        self.verdict = ChildDied(message, code=code)


def kind_of(request: StepRequest) -> TaskKind:
    """The step that a request is for."""
    match request:
        case ProbeRequest():
            return "probe"
        case PlanRequest():
            return "plan"
        case TrackRequest():
            return "track"
        case _:
            return "render"
