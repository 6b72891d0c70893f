"""The step that makes the poster of a finished segment from the picture that somebody chose."""

from pathlib import Path

from vidprod.domain.step import COVER_FILE, CoverRequest, Say
from vidprod.media.container import open_source
from vidprod.media.encode import sync
from vidprod.media.stills import cover_of


def run(request: CoverRequest, say: Say) -> None:
    """Writes `cover.jpg`. Raises Refused when no picture can be decoded there."""
    path, work_dir = Path(request.work_dir, COVER_FILE), Path(request.work_dir)
    with open_source(request.source, limits=request.limits) as container:
        cover_of(container, path, at_us=request.at_us, copied=request.copied, work_dir=work_dir)
    sync(path)
