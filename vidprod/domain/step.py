"""What the daemon asks of the media child, and what the child says. One JSON line a message; files go by path."""

from collections.abc import Callable
from typing import Any

import msgspec

from vidprod.domain.plan import Plan
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Rendition
from vidprod.domain.video import MediaInfo, VideoStreamInfo

MAX_LINE_BYTES = 8 << 20  # of one message; the plan of the longest take is about 1 MiB
END_OF_OUTPUT = b"\x1e\n"  # on the child's standard error after each request: the worker has said all it will say there


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a source may be, and what the child may use."""

    max_duration_s: float = 4 * 3600.0
    max_pixels: int = 4096 * 2304  # of one picture
    max_streams: int = 16
    max_fps: float = 240.0
    threads: int = 2  # of the encoder and the decoder
    memory_bytes: int = 512 << 20  # resident; the parent watches it, the child gets an address-space limit above it
    file_bytes: int = 2 << 30  # RLIMIT_FSIZE: one file the child writes
    cpu_s: int = 0  # RLIMIT_CPU; 0: the host takes it from the time the step may take


class ProbeRequest(msgspec.Struct, frozen=True, kw_only=True, tag="probe", tag_field="step"):
    """Say what the source is. Result: MediaInfo."""

    source: str
    work_dir: str
    limits: Limits


class PlanRequest(msgspec.Struct, frozen=True, kw_only=True, tag="plan", tag_field="step"):
    """Listen to the source and decide the cuts. Result: Plan."""

    source: str
    work_dir: str
    limits: Limits
    info: MediaInfo
    recipe: Recipe


class TrackRequest(msgspec.Struct, frozen=True, kw_only=True, tag="track", tag_field="step"):
    """Find and follow the faces. Writes `faces.track` in the work directory. Result: Tracked."""

    source: str
    work_dir: str
    limits: Limits
    info: MediaInfo
    recipe: Recipe
    plan: Plan
    time_factor: float  # it may take so many times what the plain encode takes


class Tracked(msgspec.Struct, frozen=True, kw_only=True):
    """What following the faces came to."""

    faces: int
    pictures: int
    with_face: int  # of the pictures
    reason: str | None = None  # why there is no track file, in words for the user: "mediapipe is not installed"
    warnings: list[str] = []


class RenderRequest(msgspec.Struct, frozen=True, kw_only=True, tag="render", tag_field="step"):
    """Encode the segments `todo` (indexes into the plan) in one pass. Says SegmentDone for each; result: nothing.

    Where `no_track` is set, eyes are left alone, whatever the recipe says; it is the reason. Without `track` no crop
    follows a face either. With both it does: an attempt before failed over the eyes.
    """

    source: str
    work_dir: str
    limits: Limits
    info: MediaInfo
    recipe: Recipe
    plan: Plan
    todo: list[int]
    track: str | None = None  # the file of the track step
    no_track: str | None = None  # in words for the user
    time_factor: float = 3.0  # editing eyes may take so many times what the plain encode takes
    cover_frame: int | None = None  # of the one segment to make: what its poster shows; None: chosen by itself
    explain: bool = False  # also write `<stem>.explain.png`: strips that show what was done to the eyes


class CoverRequest(msgspec.Struct, frozen=True, kw_only=True, tag="cover", tag_field="step"):
    """Make the poster of a finished segment anew: `cover.jpg` in the work directory. Result: nothing."""

    source: str  # the segment's file
    work_dir: str
    limits: Limits
    at_us: int  # from the segment's start
    copied: VideoStreamInfo | None = None  # the take's, where its pixels were copied: then they may lie on their side


StepRequest = ProbeRequest | PlanRequest | TrackRequest | RenderRequest | CoverRequest

COVER_FILE = "cover.jpg"
TRACK_FILE = "faces.track"  # of the track step, in its work directory


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello", tag_field="type"):
    """The child is up and warm. `sandbox` says what this kernel gives: {"landlock_abi": 7, …}."""

    pid: int
    sandbox: dict[str, int]


class Started(msgspec.Struct, frozen=True, kw_only=True, tag="started", tag_field="type"):
    """The process `pid` works on the request; to cancel is to kill it."""

    pid: int


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress", tag_field="type"):
    """How much of the step is done: of the probe, which has to find out how long the take is, bytes read in all its
    passes over the file; of the others media time. Said at most four times a second."""

    done_us: int
    total_us: int

    @property
    def fraction(self) -> float:
        """0 … 1."""
        return min(1.0, self.done_us / self.total_us) if self.total_us > 0 else 0.0


class SegmentDone(msgspec.Struct, frozen=True, kw_only=True, tag="segment", tag_field="type"):
    """A segment's files are whole and synced in the work directory: `<stem>.mp4`, and of pictures those that could be
    made: `<stem>.jpg`, `<stem>.sprite.jpg`, `<stem>.gaze.jpg`."""

    index: int
    stem: str
    rendition: Rendition


Say = Callable[[Progress | SegmentDone], None]  # how a step tells, while it works


class Result(msgspec.Struct, frozen=True, kw_only=True, tag="result", tag_field="type"):
    """The step is done."""

    data: dict[str, Any]


class Failure(msgspec.Struct, frozen=True, kw_only=True, tag="failure", tag_field="type"):
    """The step cannot be done. `refused`: the media is the reason and no retry will help."""

    code: str
    message: str
    hint: str = ""
    refused: bool = False


class Exited(msgspec.Struct, frozen=True, kw_only=True, tag="exited", tag_field="type"):
    """The working process ended: an exit status, or the signal that ended it. Last message of every request."""

    status: int | None = None
    signal: int | None = None
    max_rss_bytes: int = 0
    cpu_s: float = 0.0


ChildMessage = Hello | Started | Progress | SegmentDone | Result | Failure | Exited
