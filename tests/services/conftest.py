"""Real children with small steps."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from vidprod.domain.step import Limits, ProbeRequest
from vidprod.services.child import ChildHost

FAKE_STEPS = "tests.pipeline.fake_steps"


@pytest.fixture
async def host() -> AsyncIterator[ChildHost]:
    async with ChildHost(steps=FAKE_STEPS, stall_factor=1, step_floor_s=30) as host:
        yield host


@pytest.fixture
def probe(tmp_path: Path) -> Callable[..., ProbeRequest]:
    """A probe request whose source is a script."""

    def request(behaviour: str, *, limits: Limits | None = None, **script: Any) -> ProbeRequest:
        source = tmp_path / "source.mp4"
        source.write_text(json.dumps({"probe": behaviour, **script}))
        work_dir = tmp_path / "work"
        work_dir.mkdir(exist_ok=True)
        return ProbeRequest(source=str(source), work_dir=str(work_dir), limits=limits or Limits(cpu_s=20))

    return request


async def nothing(_message: Any) -> None:
    """Hears what the child says."""


async def eventually(condition: Callable[[], Any], *, within_s: float = 10.0) -> Any:
    """What `condition` gives when it is true, for what has no event of its own (other processes)."""
    async with asyncio.timeout(within_s):
        while not (value := condition()):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        return value


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that waits to be reaped has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def pids_of(host: ChildHost) -> list[int]:
    """Of the children that live, not of their workers."""
    return [child.pid for child in host._live]


def worker_pids(host: ChildHost) -> list[int]:
    """Of the processes that work at this moment."""
    return [child.worker_pid for child in host._live if child.worker_pid is not None]
