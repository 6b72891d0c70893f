"""The models, loaded once: what they say does not depend on what they saw before."""

import importlib.util
from collections.abc import Iterator

import pytest

from vidprod.vision.landmarks import Mesh

# These edit pixels, for which it takes the OpenCV that comes with mediapipe.
_EDITING = ["test_correct.py", "test_looks.py", "test_patch.py", "test_redirect.py"]
collect_ignore = [] if importlib.util.find_spec("cv2") else _EDITING


@pytest.fixture(scope="session")
def mesh() -> Iterator[Mesh]:
    with Mesh() as mesh:
        yield mesh
