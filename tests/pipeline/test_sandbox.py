"""What a step can reach inside the sandbox; and that the very same step, without it, reaches all of it."""

import gc
import json
import os
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.fake_steps import _attempt, breed, look_around, start_threads
from vidprod.domain.step import Limits, ProbeRequest
from vidprod.pipeline import sandbox

DENIED = {"PermissionError"}


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def request_(tmp_path: Path, port: int) -> ProbeRequest:
    """A request of one upload; another user's upload, the database and a key lie beside it."""
    for name in ("vid_a", "vid_b", "work"):
        (tmp_path / name).mkdir()
    for name in ("vid_b/source.mp4", "vidprod.db", "vid_a/beside.mp4"):
        (tmp_path / name).write_text("somebody else's")
    foreign = [str(tmp_path / name) for name in ("vid_b/source.mp4", "vidprod.db", "vid_a/beside.mp4")]
    script = {
        "read": [*foreign, "/etc/passwd", f"/proc/{os.getpid()}/environ", "pyproject.toml"],
        "write": [*foreign, str(tmp_path / "new"), str(tmp_path / "vid_a/new"), "/tmp/vidprod-was-here"],
        "port": port,
    }
    source = tmp_path / "vid_a" / "source.mp4"
    source.write_text(json.dumps(script))
    return ProbeRequest(source=str(source), work_dir=str(tmp_path / "work"), limits=Limits())


def in_a_fork(act: Callable[[], Any]) -> Any:
    """What `act` returns in a process of its own, or the name of what it raised."""
    reads, writes = os.pipe()
    gc.collect()  # a decoder that an earlier test left would be closed there, and wait for threads that are only here
    pid = os.fork()
    if pid == 0:
        gc.disable()
        try:
            answer = act()
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writes, json.dumps(answer).encode())
        os._exit(0)
    os.close(writes)
    with open(reads, "rb") as file:
        answer = json.loads(file.read())
    os.waitpid(pid, 0)
    return answer


def enter(request: ProbeRequest) -> None:
    sandbox.enter(source=Path(request.source), work_dir=Path(request.work_dir), limits=request.limits)


def inside(request: ProbeRequest, step: Callable[..., Any]) -> Any:
    def act() -> Any:
        enter(request)
        return step(request, lambda _message: None)

    return in_a_fork(act)


def outside(request: ProbeRequest, step: Callable[..., Any]) -> Any:
    def act() -> Any:
        os.chdir(Path(__file__).parent.parent.parent)
        return step(request, lambda _message: None)

    return in_a_fork(act)


def test_this_kernel_has_the_whole_sandbox() -> None:
    assert sandbox.available()["landlock_abi"] >= 4
    assert sandbox.available()["seccomp"] == 1


def test_a_step_reads_its_source_and_works_in_its_directory(request_: ProbeRequest) -> None:
    seen = inside(request_, look_around)
    assert (seen["source"], seen["work"]) == ("done", "done")
    assert seen["cwd"] == request_.work_dir
    assert Path(request_.work_dir, "a file").stat().st_mode & 0o777 == 0o600


def test_a_step_cannot_read_what_is_not_its_own(request_: ProbeRequest) -> None:
    seen = inside(request_, look_around)["files"]
    relative = seen.pop("pyproject.toml")
    assert set(seen.values()) == DENIED
    assert relative == "FileNotFoundError"  # it stands in its work directory, not in the project


def test_a_step_reads_one_more_file_where_it_is_given_one(request_: ProbeRequest, tmp_path: Path) -> None:
    """The track of the faces lies beside the source, not in the work directory."""
    track, beside = tmp_path / "faces.track", tmp_path / "another"
    track.write_bytes(b"eyes")
    beside.write_bytes(b"not yours")

    def read(*_: Any) -> list[str]:
        sandbox.enter(
            source=Path(request_.source), work_dir=Path(request_.work_dir), limits=request_.limits, also=[track]
        )
        return [_attempt(track.read_bytes), _attempt(lambda: track.write_bytes(b"x")), _attempt(beside.read_bytes)]

    assert in_a_fork(read) == ["done", "PermissionError", "PermissionError"]


def test_without_the_sandbox_it_can_read_everything(request_: ProbeRequest) -> None:
    assert set(outside(request_, look_around)["files"].values()) == {"done"}


def test_a_step_cannot_write_outside_its_directory(request_: ProbeRequest) -> None:
    seen = inside(request_, look_around)
    assert set(seen["written"].values()) == DENIED
    assert seen["source_written"] in DENIED


def test_without_the_sandbox_it_can_write_everywhere(request_: ProbeRequest) -> None:
    seen = outside(request_, look_around)
    Path("/tmp/vidprod-was-here").unlink()
    assert {*seen["written"].values(), seen["source_written"]} == {"done"}


def test_a_step_has_no_network_no_programs_and_no_signals(request_: ProbeRequest) -> None:
    seen = inside(request_, look_around)
    assert {seen["tcp"], seen["udp"], seen["program"], seen["signal"]} == DENIED


def test_without_the_sandbox_it_has_them_all(request_: ProbeRequest) -> None:
    seen = outside(request_, look_around)
    assert {seen["tcp"], seen["udp"], seen["program"], seen["signal"]} == {"done"}


def test_landlock_alone_keeps_a_step_from_the_network(request_: ProbeRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_machine", lambda: None)  # an architecture without a filter
    seen = inside(request_, look_around)
    assert {seen["tcp"], seen["program"]} == DENIED
    assert set(seen["written"].values()) == DENIED


def test_seccomp_alone_keeps_a_step_from_the_network(request_: ProbeRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_landlock_abi", lambda: 0)  # a kernel without Landlock
    seen = inside(request_, look_around)
    assert {seen["tcp"], seen["udp"], seen["program"]} == DENIED
    assert seen["work"] == "done"


@pytest.mark.parametrize("abi", range(1, sandbox.available()["landlock_abi"] + 1))
def test_an_older_kernel_gives_what_it_knows(request_: ProbeRequest, monkeypatch: pytest.MonkeyPatch, abi: int) -> None:
    monkeypatch.setattr(sandbox, "_landlock_abi", lambda: abi)
    seen = inside(request_, look_around)
    assert seen["work"] == "done"
    assert set(seen["written"].values()) == DENIED


def test_a_step_cannot_have_children(request_: ProbeRequest) -> None:
    assert inside(request_, breed) == "TryLater: fork: Operation not permitted"


def test_without_the_sandbox_it_can_have_children(request_: ProbeRequest) -> None:
    def one_child(*_: Any) -> str:
        if (pid := os.fork()) == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        return "born"

    assert outside(request_, one_child) == "born"


def test_a_step_may_have_threads(request_: ProbeRequest) -> None:
    assert inside(request_, start_threads) is None


def test_the_limits_are_set(request_: ProbeRequest) -> None:
    def limits(*_: Any) -> list[int]:
        names = (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NOFILE, resource.RLIMIT_CPU)
        return [resource.getrlimit(name)[0] for name in names]

    wanted = ProbeRequest(
        source=request_.source, work_dir=request_.work_dir, limits=Limits(file_bytes=1 << 20, cpu_s=100)
    )
    assert inside(wanted, limits) == [1 << 20, 0, sandbox.OPEN_FILES, 100]


def test_the_address_space_leaves_room_for_the_memory_it_may_hold(request_: ProbeRequest) -> None:
    def hold(*_: Any) -> int:
        return len([bytearray(50 << 20) for _n in range(10)])  # 500 of 512 MiB, with 40 threads beside

    def hold_with_threads(request: Any, say: Any) -> int:
        start_threads()
        return hold()

    assert inside(request_, hold_with_threads) == 10


def test_asking_for_far_more_memory_fails_in_the_step(request_: ProbeRequest) -> None:
    assert inside(request_, lambda *_: len(bytearray(8 << 30))).startswith("MemoryError")


def test_a_process_whose_parent_is_gone_does_not_begin() -> None:
    assert in_a_fork(lambda: _exit_status(lambda: sandbox.die_with_parent(9, parent_pid=1))) == 1


def _exit_status(act: Callable[[], Any]) -> int:
    pid = os.fork()
    if pid == 0:
        act()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
