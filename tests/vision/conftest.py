"""The models, loaded once: what they say does not depend on what they saw before."""

from collections.abc import Iterator

import pytest

from vidprod.vision.landmarks import Mesh


@pytest.fixture(scope="session")
def mesh() -> Iterator[Mesh]:
    with Mesh() as mesh:
        yield mesh
