"""HDR takes become SDR of a sane brightness: neither washed out nor clipped nor of another hue."""

from pathlib import Path
from typing import Literal

import pytest

from tests.media import hdr
from tests.media.conftest import MakeSegments


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_an_hdr_take_keeps_its_look(
    tmp_path: Path, make_segments: MakeSegments, transfer: Literal["pq", "hlg"]
) -> None:
    done = make_segments(hdr.hdr(tmp_path / "take.mp4", transfer, seconds=1.2))
    assert done.info.video.hdr == transfer
    assert hdr.faults_of_brightness(hdr.patches(done.segments[0])) == []
    assert done.faults() == []
