"""Daemons that end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.house import Daemon

Make = Callable[..., Daemon]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes daemons, not started; `variant` names a known-bad one."""
    made: list[Daemon] = []

    def one(variant: str | None = None, *, prefix: tuple[str, ...] = (), **settings: Any) -> Daemon:
        module = ("vidprod",) if variant is None else ("tests.acceptance.known_bad", variant)
        made.append(Daemon(tmp_path, module=module, prefix=prefix, **settings))
        return made[-1]

    yield one
    for daemon in made:
        daemon.end()


@pytest.fixture
def daemon(make: Make) -> Daemon:
    """One that runs."""
    daemon = make()
    daemon.start()
    return daemon
