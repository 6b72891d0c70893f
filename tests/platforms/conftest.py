"""What tests of several files stand on."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.platforms.instagram_caller import Caller
from tests.platforms.instagram_stage import Stage
from tests.platforms.tiktok import Far, far, media
from vidprod.domain.account import Flavour
from vidprod.platforms.base import Media


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(flavour: Flavour = "facebook_login", **more: Any) -> Stage:
        made.append(Stage(flavour, tmp_path, **more))
        return made[-1]

    yield make
    for one in made:
        await one.wire.close()


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Callable[..., Caller]]:
    made: list[Caller] = []

    def make(flavour: Flavour = "facebook_login", **more: Any) -> Caller:
        made.append(Caller(Stage(flavour, tmp_path, **more)))
        return made[-1]

    yield make
    for one in made:
        await one.client.aclose()


@pytest.fixture
async def there() -> AsyncIterator[Far]:
    """TikTok."""
    far_end = far()
    yield far_end
    await far_end.wire.close()


@pytest.fixture
def take(tmp_path: Path) -> Media:
    return media(tmp_path / "clip.mp4")
