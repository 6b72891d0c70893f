"""The media child dies, swells or falls silent at real work: the attempt says why, and the daemon never blinks."""

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.acceptance.conftest import Make
from tests.acceptance.history import RECIPE
from tests.acceptance.house import Daemon, eventually
from tests.acceptance.takes import take

SLOW: dict[str, Any] = {"size": (848, 480)}


def submit(daemon: Daemon, data: bytes, **recipe: str) -> str:
    answer = daemon.upload(data, **(RECIPE | recipe))
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def rendering(daemon: Daemon, job_id: str) -> psutil.Process:
    """The process that renders the job, when its first segment is there."""

    def at_work() -> psutil.Process | None:
        ready = any(segment["state"] == "ready" for segment in daemon.job(job_id)["segments"])
        workers = daemon.workers()
        return workers[0] if ready and workers else None

    worker: psutil.Process = eventually(at_work, within_s=60, or_tell=daemon.last_log)
    return worker


def errors_of(job: Any, step: str) -> list[Any]:
    [errors] = [one["errors"] for one in job["steps"] if one["name"] == step]
    return list(errors)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_child_that_is_killed_costs_one_attempt_and_no_finished_segment(daemon: Daemon, number: int) -> None:
    job_id = submit(daemon, take(9.2, **SLOW))
    worker = rendering(daemon, job_id)
    before = {s["segment_id"]: s["sha256"] for s in daemon.job(job_id)["segments"] if s["state"] == "ready"}
    pid = daemon.process.pid
    os.kill(worker.pid, number)
    job = daemon.wait_for(job_id)
    assert job["state"] == "completed"
    [error] = errors_of(job, "render")
    assert (error["code"], error["crash"]) == ("child_crashed", True)
    assert signal.Signals(number).name in error["message"]
    after = {segment["segment_id"]: segment["sha256"] for segment in job["segments"]}
    assert after.items() >= before.items()
    assert daemon.process.pid == pid
    assert daemon.process.poll() is None


def test_a_child_over_its_memory_is_ended_with_the_figures(make: Make) -> None:
    daemon = make(child_memory_bytes=128 << 20, child_threads=2)
    daemon.start()
    job_id = submit(daemon, take(0.3, size=(3840, 2160)), frame="blur")
    job = daemon.wait_for(job_id, within_s=90)
    assert job["state"] == "failed"
    assert job["error"]["code"] == "poison"
    assert "it may hold 128 MiB" in job["error"]["message"]
    errors = [error for step in job["steps"] for error in step["errors"]]
    assert {error["code"] for error in errors} == {"child_out_of_memory"}
    assert len(errors) == 3
    small = submit(daemon, take())
    assert daemon.wait_for(small)["state"] == "completed"


def test_a_silent_child_is_ended_as_stalled(make: Make) -> None:
    daemon = make("hasty", step_floor_s=2, stall_factor=1)
    daemon.start()
    job_id = submit(daemon, take(9.2, **SLOW))
    os.kill(rendering(daemon, job_id).pid, signal.SIGSTOP)

    def stalled() -> list[Any]:
        return errors_of(daemon.job(job_id), "render")

    [error] = eventually(stalled, within_s=90, every_s=0.2, or_tell=daemon.last_log)
    assert error["code"] == "child_stalled"
    assert daemon.wait_for(job_id)["state"] == "completed"


def test_a_cancelled_job_ends_its_child_and_keeps_its_segments(daemon: Daemon) -> None:
    job_id = submit(daemon, take(9.2, **SLOW))
    worker = rendering(daemon, job_id)
    daemon.http.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
    worker.wait(2)
    job = daemon.job(job_id)
    assert job["state"] == "cancelled"
    assert {segment["state"] for segment in job["segments"]} == {"ready", "failed"}
    eventually(lambda: daemon.files("work") == [])
    assert daemon.http.post(f"/v1/jobs/{job_id}/retry").status_code == 202
    assert daemon.wait_for(job_id)["state"] == "completed"


def test_a_running_job_that_is_deleted_leaves_nothing(daemon: Daemon) -> None:
    job_id = submit(daemon, take(9.2, **SLOW))
    worker = rendering(daemon, job_id)
    assert daemon.http.delete(f"/v1/jobs/{job_id}").status_code == 204
    worker.wait(2)
    eventually(lambda: daemon.files("media") == daemon.files("work") == [])


def test_the_child_knows_no_secret_of_the_daemon(daemon: Daemon) -> None:
    job_id = submit(daemon, take(9.2, **SLOW))
    worker = rendering(daemon, job_id)
    assert not [name for name in worker.environ() if name.startswith("VIDPROD")]
    opened = {Path(file.path).name for file in worker.open_files()}
    assert not [name for name in opened if name.startswith("vidprod.db")]
    assert worker.net_connections() == []
    status = Path(f"/proc/{worker.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status


def test_an_idle_child_gives_its_memory_back(make: Make) -> None:
    daemon = make(child_idle_s=0.5)
    daemon.start()
    daemon.wait_for(submit(daemon, take()))
    eventually(lambda: daemon.family() == [], within_s=5)


def test_two_jobs_at_once_stay_within_the_memory_for_all(make: Make) -> None:
    budget = 1 << 30
    daemon = make(media_memory_bytes=budget, child_memory_bytes=budget // 2)
    daemon.start()
    data = take(0.8, size=(1920, 1080))
    jobs = [submit(daemon, data, frame="auto", segment_s="60", gaze="on") for _n in range(3)]
    held, at_once = [0], [0]

    def over() -> bool:
        sizes = [_resident(process) for process in daemon.family()]
        held.append(sum(sizes))
        at_once.append(len(daemon.workers()))
        return all(daemon.job(job_id)["state"] == "completed" for job_id in jobs)

    eventually(over, within_s=180, every_s=0.05, or_tell=daemon.last_log)
    assert max(at_once) == 2
    assert max(held) < budget
    print(f"at most {max(held) / 2**20:.0f} MiB in all children")


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
