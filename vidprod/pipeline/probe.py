"""The step that says what a source is."""

from pathlib import Path

from vidprod.domain.step import ProbeRequest, Progress, Say
from vidprod.domain.video import MediaInfo
from vidprod.media.probe import measure


def run(request: ProbeRequest, say: Say) -> MediaInfo:
    """The facts of the source. Raises Refused where a rule forbids it."""
    return measure(
        Path(request.source),
        limits=request.limits,
        progress=lambda done, total: say(Progress(done_us=done, total_us=total)),
    )
