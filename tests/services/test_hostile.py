"""What is made to harm the decoder harms the worker that looks at it, and nobody else."""

import contextlib
import os
import shutil
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import av
import msgspec
import psutil
import pytest

from tests.media import hostile
from tests.media.hostile import LURES, Lure
from tests.services.conftest import nothing, pids_of
from vidprod.domain.plan import Plan
from vidprod.domain.recipe import Recipe
from vidprod.domain.step import Limits, PlanRequest, ProbeRequest, RenderRequest
from vidprod.domain.video import MediaInfo
from vidprod.errors import ChildDied, Refused, VidProdError
from vidprod.services.child import ChildHost

LIMITS = Limits(memory_bytes=320 << 20, threads=1)
BOUND_S = 30.0  # of one file, however it is made; half a second of 64×96 takes a fraction of a second
REFUSALS = {"not_a_video", "no_streams", "undecodable"}
RECIPE = Recipe(gaze="off", frame="original", loudness="off")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return [path.read_bytes() for path in hostile.seeds(tmp_path_factory.mktemp("seeds"))]


@pytest.fixture
async def host() -> AsyncIterator[ChildHost]:
    async with ChildHost(stall_factor=1, step_floor_s=BOUND_S) as host:
        yield host


class Listener:
    """A port of this machine, TCP and UDP, that counts who comes."""

    def __init__(self) -> None:
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port + 1))
        for open_ in (self._tcp, self._udp):
            open_.setblocking(False)

    def visits(self) -> int:
        count = 0
        with contextlib.suppress(BlockingIOError):
            self._tcp.accept()[0].close()
            count += 1
        with contextlib.suppress(BlockingIOError):
            self._udp.recv(1)
            count += 1
        return count

    def close(self) -> None:
        self._tcp.close()
        self._udp.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


async def outcome(host: ChildHost, source: Path, work_dir: Path, *, whole: bool = True) -> str:
    """How a file ends: "made", or the code of what stopped it. Raises what has no name.

    Args:
        whole: through every step, not only the look at it.
    """
    shutil.rmtree(work_dir, ignore_errors=True)
    os.mkdir(work_dir)
    common: dict[str, Any] = {"source": str(source), "work_dir": str(work_dir), "limits": LIMITS}
    try:
        info = msgspec.convert(await host.run(ProbeRequest(**common), nothing, media_s=1), MediaInfo)
        if not whole:
            return "made"
        asked = PlanRequest(**common, info=info, recipe=RECIPE)
        plan = msgspec.convert(await host.run(asked, nothing, media_s=info.duration_us / 1e6), Plan)
        render = RenderRequest(**common, info=info, recipe=RECIPE, plan=plan, todo=[0])
        await host.run(render, nothing, media_s=info.duration_us / 1e6)
    except (Refused, ChildDied) as error:
        return error.code
    return "made"


async def storm(host: ChildHost, clips: list[bytes], root: Path, numbers: range, *, whole: int = 1) -> Counter[str]:
    """How the mutants end: all are looked at, one of `whole` goes through every step. Holds each to its time."""
    ends: Counter[str] = Counter()
    faults: list[str] = []
    source = root / "source.mp4"
    for number in numbers:
        source.write_bytes(hostile.mutant(clips[number % len(clips)], number))
        began = time.monotonic()
        try:
            ends[await outcome(host, source, root / "work", whole=number % whole == 0)] += 1
        except VidProdError as error:
            faults.append(f"mutant {number}: {error!r}")
        if time.monotonic() - began >= 3 * BOUND_S:
            faults.append(f"mutant {number} took too long")
    assert faults == []
    return ends


async def test_hundreds_of_mutants_are_made_or_refused_and_the_child_stays(
    host: ChildHost, clips: list[bytes], tmp_path: Path
) -> None:
    good = tmp_path / "good.mp4"
    good.write_bytes(clips[0])
    assert await outcome(host, good, tmp_path / "work") == "made"
    (pid,) = pids_of(host)
    resident = psutil.Process(pid).memory_info().rss
    ends = await storm(host, clips, tmp_path, range(315), whole=4)
    assert sum(ends.values()) == 315
    assert ends["made"] > 30  # some harm too little
    assert sum(count for code, count in ends.items() if code != "made") > 100
    assert pids_of(host) == [pid]
    assert psutil.Process(pid).memory_info().rss - resident < 8 << 20
    assert await outcome(host, good, tmp_path / "work") == "made"


@pytest.mark.soak
async def test_ten_thousand_mutants(host: ChildHost, clips: list[bytes], tmp_path: Path) -> None:
    first = int(os.environ.get("SEED", "1000"))
    print(f"SEED={first}", await storm(host, clips, tmp_path, range(first, first + 10_000)))
    assert await outcome(host, _written(tmp_path / "good.mp4", clips[0]), tmp_path / "work") == "made"


@pytest.mark.parametrize("lure", LURES, ids=[lure.name for lure in LURES])
async def test_a_lure_reaches_neither_a_neighbours_file_nor_this_machine(
    host: ChildHost, clips: list[bytes], tmp_path: Path, listener: Listener, lure: Lure
) -> None:
    neighbour = _written(tmp_path / "neighbour.ts", clips[hostile.SEEDS.index("take.ts")])
    source = _written(tmp_path / "x.mp4", lure.make(neighbour, listener.port))
    assert await outcome(host, source, tmp_path / "work") in REFUSALS
    assert listener.visits() == 0


def test_without_the_short_list_a_neighbours_file_is_read(clips: list[bytes], tmp_path: Path) -> None:
    neighbour = _written(tmp_path / "neighbour.ts", clips[hostile.SEEDS.index("take.ts")])
    lure = next(lure for lure in LURES if lure.name == "ffconcat of a neighbour")
    source = _written(tmp_path / "x.mp4", lure.make(neighbour, 1))
    with av.open(str(source)) as container:  # as anybody would
        assert sum(1 for _ in container.decode(video=0)) == 6


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
