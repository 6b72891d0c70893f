"""`python -m vidprod.pipeline` as a process: what it says, what its workers inherit, and when it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vidprod.services.process import environment

COMMAND = [sys.executable, "-P", "-m", "vidprod.pipeline", "--steps", "tests.pipeline.fake_steps"]


class Conversation:
    """A child at the other end of two pipes."""

    def __init__(self, tmp_path: Path, *, inherited: tuple[int, ...] = ()) -> None:
        self.tmp_path = tmp_path
        self.process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
            cwd="/",
            start_new_session=True,
            pass_fds=inherited,
        )

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        message: dict[str, Any] = json.loads(self.process.stdout.readline())
        return message

    def ask(self, behaviour: str, **script: Any) -> None:
        source = self.tmp_path / "source.mp4"
        source.write_text(json.dumps({"probe": behaviour, **script}))
        work_dir = self.tmp_path / "work"
        work_dir.mkdir(exist_ok=True)
        self.send({"step": "probe", "source": str(source), "work_dir": str(work_dir), "limits": {}})

    def send(self, message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def hang_up(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Conversation]:
    conversation = Conversation(tmp_path)
    yield conversation
    conversation.process.kill()
    conversation.process.wait()
    for pipe in (conversation.process.stdin, conversation.process.stdout):
        assert pipe is not None
        pipe.close()


def ends_within(pid: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.005)
    return False


def test_it_says_hello_and_answers_in_order(child: Conversation) -> None:
    hello = child.hear()
    assert (hello["type"], hello["pid"]) == ("hello", child.process.pid)
    for _n in range(2):
        child.ask("pass")
        assert [child.hear()["type"] for _n in range(4)] == ["started", "progress", "result", "exited"]


def test_each_request_has_a_process_of_its_own(child: Conversation) -> None:
    child.hear()
    pids = []
    for _n in range(2):
        child.ask("print_to_stdout")
        pids.append(child.hear()["pid"])
        assert [child.hear()["type"] for _n in range(2)] == ["result", "exited"]
    assert len({*pids, child.process.pid}) == 3


def test_a_worker_inherits_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDPROD_SECRET_TOKEN", "do not tell")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do not tell")
    secret = os.open("/etc/hostname", os.O_RDONLY)
    conversation = Conversation(tmp_path, inherited=(secret,))
    try:
        assert str(secret) in os.listdir(f"/proc/{conversation.hear()['pid']}/fd")
        conversation.ask("look_around")
        conversation.hear()
        seen = conversation.hear()["data"]
    finally:
        conversation.hang_up()
        conversation.process.wait()
        assert conversation.process.stdout is not None
        conversation.process.stdout.close()
        os.close(secret)
    assert set(seen["environment"]) <= {
        *("PATH", "LANG", "PYTHONPATH", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"),
        *("MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"),
        "LC_CTYPE",  # Python's own
    }
    assert seen["descriptors"] == [0, 1, 2, 3]  # nothing, standard error twice, and its pipe
    assert seen["threads"] == 1
    assert seen["nice"] >= 10


def test_without_scrubbing_it_would_inherit_the_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDPROD_SECRET_TOKEN", "do not tell")
    assert b"do not tell" in subprocess.run(["env"], capture_output=True, check=True).stdout
    assert "do not tell" not in "".join(environment().values())


def test_progress_is_told_now_and_then_and_the_last_of_it_always(child: Conversation) -> None:
    child.hear()
    child.ask("chatter")
    assert child.hear()["type"] == "started"
    told = []
    while (message := child.hear())["type"] == "progress":
        told.append(message["done_us"])
    assert message["type"] == "result"
    assert told[-1] == 1000
    assert len(told) < 50


def test_the_figures_of_a_worker_are_told(child: Conversation) -> None:
    child.hear()
    child.ask("segfault")
    assert child.hear()["type"] == "started"
    exited = child.hear()
    assert (exited["status"], exited["signal"]) == (None, signal.SIGSEGV)
    assert exited["max_rss_bytes"] > 1 << 20


def test_the_end_of_input_ends_it(child: Conversation) -> None:
    child.hear()
    child.hang_up()
    assert child.process.wait(timeout=5) == 0


@pytest.mark.parametrize("behaviour", ["sleep", "spin"])
def test_the_end_of_input_ends_a_worker_too(child: Conversation, behaviour: str) -> None:
    child.hear()
    child.ask(behaviour)
    worker = child.hear()["pid"]
    child.hang_up()
    assert child.process.wait(timeout=5) == 0
    assert ends_within(worker, 2)


def test_a_worker_ends_with_the_process_that_forked_it(child: Conversation) -> None:
    child.hear()
    child.ask("sleep")
    worker = child.hear()["pid"]
    child.process.kill()
    child.process.wait()
    assert ends_within(worker, 2)


def test_nonsense_for_a_request_is_an_answer_without_a_result(child: Conversation) -> None:
    child.hear()
    child.send({"step": "dance"})
    assert [child.hear()["type"] for _n in range(2)] == ["started", "exited"]
    child.ask("pass")
    assert [child.hear()["type"] for _n in range(4)] == ["started", "progress", "result", "exited"]


def test_the_address_space_of_a_child_is_small(child: Conversation) -> None:
    child.hear()
    pages = int(Path(f"/proc/{child.process.pid}/statm").read_text().split()[0])
    assert pages * 4096 < 1 << 30
