"""A segment: a stretch of a video that a job made, and its finished file.

States: pending → ready | failed.

A ready segment can be made again (a task `remake`): it stays ready with its file until the new file, under a name of
its own, takes its place in one write.

Beside its state stands what somebody thinks of it. One that was not asked about is kept; of an upload with `review` it
waits, and nothing of it is planned until it is kept. Dropped, it goes nowhere and can be taken back.
"""

from typing import Literal

import msgspec

from vidprod.domain.gaze import Compare, FramingReport, GazeReport
from vidprod.domain.post import Wording
from vidprod.domain.recipe import Recipe

SegmentState = Literal["pending", "ready", "failed"]
Review = Literal["waiting", "kept", "dropped"]


class Sprite(msgspec.Struct, frozen=True, kw_only=True):
    """A sheet of small pictures for scrubbing, row by row; picture n shows second n × `interval_s`."""

    columns: int
    rows: int
    count: int
    tile_width: int
    tile_height: int
    interval_s: float


class Rendition(msgspec.Struct, frozen=True, kw_only=True):
    """The finished file of a segment. Loudness is measured on what was coded, size and digest on the file."""

    duration_us: int  # what a copied file's container says; of an encoded one, what its frames take
    frames: int
    width: int
    height: int
    fps: str  # "30000/1001"
    size: int  # bytes
    sha256: str
    video_codec: str
    audio_codec: str
    loudness_lufs: float | None  # integrated, after AAC; None when silent or not measured
    true_peak_dbtp: float | None
    sprite: Sprite | None
    warnings: list[str] = []
    gaze: GazeReport | None = None  # None: nothing of it was asked for
    framing: FramingReport | None = None
    compare: Compare | None = None
    synthetic: bool = False  # what it shows did not happen so: platforms want to be told
    synthetic_reason: str | None = None


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `segment`. `in_us` and `out_us` are half-open, on the output's clock (0 = start of the take)."""

    id: str
    job_id: str
    index: int  # 0, 1, … in the order of the take
    state: SegmentState
    in_us: int
    out_us: int
    created_at: int
    rendition: Rendition | None = None
    ready_at: int | None = None
    deleted_at: int | None = None
    making: int = 1  # 1: its file is the first; 2: it was made again once
    recipe: Recipe | None = None  # what its file was made with, where that is not its job's
    waits: bool = False  # until somebody keeps it
    dropped_at: int | None = None
    withdrawn: list[str] = []  # publications that ended because it was dropped
    title: str | None = None  # said instead of its target's; None: as that says
    caption: str | None = None
    cover_us: int | None = None  # what its poster shows, from its own start; None: chosen by itself

    @property
    def review(self) -> Review:
        """What somebody thinks of it."""
        if self.dropped_at is not None:
            return "dropped"
        return "waiting" if self.waits else "kept"

    @property
    def wording(self) -> Wording:
        """What is said with it and with no other."""
        cover_ms = None if self.cover_us is None else self.cover_us // 1000
        return Wording(title=self.title, caption=self.caption, cover_ms=cover_ms)


class Making(msgspec.Struct, frozen=True, kw_only=True):
    """What a segment is made again with. None: as it is."""

    recipe: Recipe
    in_us: int | None = None
    out_us: int | None = None
    cover_us: int | None = None
    poster_only: bool = False  # its video stays


def as_made(segment: Segment, making: Making) -> Segment:
    """The segment as it is to be cut, with its cover; a cover that is cut away goes."""
    in_us = segment.in_us if making.in_us is None else making.in_us
    out_us = segment.out_us if making.out_us is None else making.out_us
    cover_us = making.cover_us
    if cover_us is None and segment.cover_us is not None:
        cover_us = segment.cover_us + segment.in_us - in_us  # the same picture
    if cover_us is not None and not 0 <= cover_us < out_us - in_us:
        cover_us = None
    return msgspec.structs.replace(segment, in_us=in_us, out_us=out_us, cover_us=cover_us)


def segment_name(take: str, index: int, *, of: int) -> str:
    """What segment `index` (0, 1, …) of the `of` of a take is called: its place from 1, so that names sort."""
    return f"{take}-{index + 1:0{max(2, len(str(of)))}}"
