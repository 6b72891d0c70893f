"""A segment: a stretch of a video that a job made, and its finished file.

States: pending → ready | failed.

A ready segment can be made again (a task `remake`): it stays ready with its file until the new file, under a name of
its own, takes its place in one write.
"""

from typing import Literal

import msgspec

from vidprod.domain.gaze import Compare, FramingReport, GazeReport
from vidprod.domain.recipe import Recipe

SegmentState = Literal["pending", "ready", "failed"]


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


def segment_name(take: str, index: int, *, of: int) -> str:
    """What segment `index` (0, 1, …) of the `of` of a take is called: its place from 1, so that names sort."""
    return f"{take}-{index + 1:0{max(2, len(str(of)))}}"
