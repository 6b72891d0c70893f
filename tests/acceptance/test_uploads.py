"""Many uploads at once while a job encodes, and uploads that are given up."""

import concurrent.futures
import hashlib
import socket
import statistics
import time
from functools import partial

import httpx
import psutil

from tests.acceptance.conftest import Make
from tests.acceptance.history import RECIPE
from tests.acceptance.house import Daemon, eventually
from tests.acceptance.takes import take, unique
from tests.acceptance.test_children import SLOW, rendering, submit


def test_fifty_uploads_at_once_while_a_job_encodes(make: Make) -> None:
    daemon = make()
    daemon.start()
    encoding = submit(daemon, take(15.2, **SLOW))
    rendering(daemon, encoding)
    peak = [0]
    bodies = [unique(take(), seed=f"fifty {n}", padding=4 << 20) for n in range(50)]

    def upload(body: bytes) -> httpx.Response:
        return daemon.upload(body, priority="low", **RECIPE)

    with concurrent.futures.ThreadPoolExecutor(50) as clients:
        sending = [clients.submit(upload, body) for body in bodies]
        while not all(one.done() for one in sending):
            peak[0] = max(peak[0], psutil.Process(daemon.process.pid).memory_info().rss)
            assert daemon.get("/health") == {"status": "alive"}
            time.sleep(0.01)
        answers = [one.result() for one in sending]
    assert {answer.status_code for answer in answers} == {202}
    for answer, body in zip(answers, bodies, strict=True):
        [stored] = daemon.files(f"media/{answer.json()['video_id']}")
        assert hashlib.sha256(stored.read_bytes()).digest() == hashlib.sha256(body).digest()
    assert daemon.wait_for(encoding)["state"] == "completed"
    print(f"the daemon held at most {peak[0] / 1e6:.0f} MB")
    assert peak[0] < 120e6  # the goal is 100, see the benchmark; on busy cores it came to 103. Bodies held whole: 280


def test_work_begins_within_half_a_second_of_the_last_byte(daemon: Daemon) -> None:
    daemon.wait_for(submit(daemon, take()))  # the child is warm
    waits = []
    for n in range(3):
        answer = daemon.upload(unique(take(), seed=f"soon {n}", padding=100), **RECIPE)
        began = time.monotonic()
        job_id = answer.json()["job_id"]
        eventually(partial(_has_begun, daemon, job_id), every_s=0.005)
        waits.append(time.monotonic() - began)
        daemon.wait_for(job_id)
    assert statistics.median(waits) < 0.5


def _has_begun(daemon: Daemon, job_id: str) -> bool:
    return bool(daemon.job(job_id)["steps"][0]["progress"] > 0)


def test_uploads_that_are_given_up_leave_nothing(daemon: Daemon) -> None:
    data = unique(take(), seed="given up", padding=1 << 20)
    head = f"PUT /upload?filename=a.mp4 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    for part in (0, 10, 5000, len(data) // 2, len(data) - 1):
        with socket.create_connection(("127.0.0.1", daemon.port)) as client:
            client.sendall(head + data[:part])
            if part > 5000:
                eventually(lambda: daemon.files("incoming"))
    eventually(lambda: daemon.files("incoming") == [])
    assert daemon.files("media") == []
    assert daemon.jobs() == []


def test_a_restart_in_the_middle_of_a_job_is_not_seen_by_it(make: Make) -> None:
    daemon = make()
    daemon.start()
    job_id = submit(daemon, take(9.2, **SLOW))
    rendering(daemon, job_id)
    assert daemon.stop() < 10
    daemon.start()
    job = daemon.wait_for(job_id)
    assert job["state"] == "completed"
    assert {step["attempt"] for step in job["steps"]} == {1}
    ready = [event for event in daemon.events() if event["type"] == "segment.ready"]
    assert len(ready) == len(job["segments"])
