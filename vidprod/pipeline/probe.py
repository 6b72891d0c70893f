"""The step that says what a source is."""

from collections.abc import Callable
from pathlib import Path

from vidprod.domain.step import ProbeRequest, Progress, SegmentDone
from vidprod.domain.video import MediaInfo
from vidprod.media.probe import measure

Say = Callable[[Progress | SegmentDone], None]


def run(request: ProbeRequest, say: Say) -> MediaInfo:
    """The facts of the source. Raises Refused where a rule forbids it."""
    return measure(
        Path(request.source),
        limits=request.limits,
        progress=lambda done, total: say(Progress(done_us=done, total_us=total)),
    )
