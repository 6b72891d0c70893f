"""`vidprod dead`, on a real database, with and without a daemon beside it."""

import asyncio
import fcntl
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from tests.cli.running import serving, vidprod
from tests.media.synth import numbered
from tests.store.given import a_rendition, a_segment
from vidprod.domain.job import FINAL, Fault, Job
from vidprod.domain.recipe import Recipe
from vidprod.domain.task import AttemptError, Task
from vidprod.domain.video import Video
from vidprod.store.sqlite.connection import open_database, rows
from vidprod.store.sqlite.lifecycle import remake_segment
from vidprod.store.sqlite.migrate import migrate, shipped
from vidprod.store.sqlite.store import Store
from vidprod.store.sqlite.tables import Tables

T = TypeVar("T")

NOW = 1_800_000_000_000
VIDEO = "vid_" + "0" * 26
JOB = "job_" + "0" * 26


CRASH = AttemptError(
    attempt=1, at=NOW, code="child_crashed", message="ended by SIGSEGV", output="frame 12\nfault", crash=True
)
REFUSAL = AttemptError(attempt=1, at=NOW, code="too_long", message="the take is 5 h long; at most 4 h", refused=True)


def give_up(db: Tables, error: AttemptError = CRASH, *, video: str = VIDEO, job: str = JOB, now: int = NOW) -> Task:
    """A job whose probe crashed the child once and was then given up."""
    db.videos.add(Video(id=video, state="stored", filename="take.mov", extension="mov", size=9, created_at=now))
    db.jobs.add(Job(id=job, video_id=video, state="queued", priority="normal", recipe=Recipe(), created_at=now))
    db.tasks.enqueue("probe", job_id=job, priority="normal", run_at=now, max_attempts=1, now=now)
    task = db.tasks.claim(boot_id="boot", token="t", lease_ms=1000, now=now)
    assert task is not None
    db.jobs.start(job, now=now)
    dead = db.tasks.discard(task, error, now=now)
    db.jobs.fail(job, Fault(code=error.code, message=error.message), now=now)
    return dead


async def write(path: Path, fn: Callable[[Tables], T]) -> T:
    async with await Store.open(path, now=NOW) as store:
        return await store.write(fn)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A data directory with one dead letter."""
    (tmp_path / "data").mkdir()
    asyncio.run(write(tmp_path / "data/vidprod.db", give_up))
    return tmp_path


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A data directory with a take that was refused, and nothing else."""
    (tmp_path / "data").mkdir()
    asyncio.run(write(tmp_path / "data/vidprod.db", lambda db: give_up(db, REFUSAL)))
    return tmp_path


def the_task(volume: Path) -> Task:
    return asyncio.run(write(volume / "data/vidprod.db", lambda db: db.tasks.of_job(JOB)[0]))


@contextmanager
def daemon_that_answers(volume: Path, *statuses: int) -> Iterator[tuple[int, list[str]]]:
    """Holds the lock as a daemon does, and answers POSTs one after another; yields its port and what was asked."""
    answers = iter(statuses)
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            body = b'{"detail": "its video is gone", "hint": "Send it again."}'
            self.send_response(next(answers))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Nothing to the terminal."""

    with (volume / "data/daemon.lock").open("ab") as lock, HTTPServer(("127.0.0.1", 0), Handler) as server:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))  # it looks whether to end
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()


def test_list_names_the_task_its_take_and_what_it_said_last(volume: Path) -> None:
    done = vidprod("dead", "list", cwd=volume)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tsk_")
    assert "probe  'take.mov'  child_crashed: ended by SIGSEGV" in done.stdout
    (line,) = vidprod("dead", "list", "--json", cwd=volume).stdout.splitlines()
    assert json.loads(line)["task"]["errors"][0]["output"] == "frame 12\nfault"


def test_show_tells_every_attempt_and_the_childs_last_lines(volume: Path) -> None:
    done = vidprod("dead", "show", the_task(volume).id, cwd=volume)
    assert done.returncode == 0, done.stderr
    assert "attempt 1, 2027-01-15 08:00:00+00:00: child_crashed: ended by SIGSEGV" in done.stdout
    assert "    | frame 12\n    | fault\n" in done.stdout
    assert JOB in done.stdout


def test_requeue_without_a_daemon_queues_task_and_job_anew(volume: Path) -> None:
    done = vidprod("dead", "requeue", the_task(volume).id, cwd=volume)
    assert done.returncode == 0, done.stderr
    task = the_task(volume)
    assert (task.state, task.crashes, task.max_attempts) == ("available", 0, 1 + 5)
    assert asyncio.run(write(volume / "data/vidprod.db", lambda db: db.jobs.get(JOB))).state == "queued"
    events = asyncio.run(write(volume / "data/vidprod.db", lambda db: db.events.after(0, limit=10)))
    assert [event.type for event in events] == ["job.retried"]
    assert vidprod("dead", "list", cwd=volume).stdout == ""


def test_requeue_asks_the_daemon_that_runs_and_leaves_the_database_to_it(volume: Path) -> None:
    with daemon_that_answers(volume, 202) as (port, asked):
        done = vidprod("dead", "requeue", "--all", "--port", str(port), cwd=volume)
    assert done.returncode == 0, done.stderr
    assert asked == [f"/v1/jobs/{JOB}/retry"]
    assert the_task(volume).state == "discarded"


@pytest.fixture
def two(volume: Path) -> Path:
    """A data directory with two dead letters; the take of the newer one is gone."""

    def newer(db: Tables) -> None:
        video, job = "vid_" + "1" * 26, "job_" + "1" * 26
        give_up(db, video=video, job=job, now=NOW + 1000)
        db.videos.mark_deleted(video, now=NOW + 1000)

    asyncio.run(write(volume / "data/vidprod.db", newer))
    return volume


def test_a_letter_that_cannot_be_tried_again_does_not_stop_the_others(two: Path) -> None:
    """Takes go a day after their job, so the letters of a week are seldom all to be had."""
    done = vidprod("dead", "requeue", "--all", cwd=two)
    assert done.returncode == 1
    assert "of 'take.mov': conflict: " in done.stderr
    assert " is gone" in done.stderr
    assert done.stdout == f"{the_task(two).id} is queued again: probe of 'take.mov'\n"
    assert the_task(two).state == "available"


def test_a_daemon_that_refuses_one_letter_is_asked_for_the_others(two: Path) -> None:
    with daemon_that_answers(two, 409, 202) as (port, asked):
        done = vidprod("dead", "requeue", "--all", "--port", str(port), cwd=two)
    assert done.returncode == 1
    assert "says 409: its video is gone" in done.stderr
    assert asked == [f"/v1/jobs/job_{'1' * 26}/retry", f"/v1/jobs/{JOB}/retry"]
    assert done.stdout == f"{the_task(two).id} is queued again: probe of 'take.mov'\n"


def test_a_daemon_that_says_no_is_quoted(volume: Path) -> None:
    with daemon_that_answers(volume, 409) as (port, _):
        done = vidprod("dead", "requeue", "--all", "--port", str(port), cwd=volume)
    assert done.returncode == 1
    assert "says 409: its video is gone" in done.stderr
    assert "→ Send it again." in done.stderr


def test_a_daemon_on_this_machine_is_not_asked_through_a_proxy(volume: Path) -> None:
    with daemon_that_answers(volume, 202) as (port, asked):
        done = vidprod(
            "dead", "requeue", "--all", "--port", str(port), cwd=volume, HTTP_PROXY="http://127.0.0.1:1", NO_PROXY=""
        )
    assert done.returncode == 0, done.stderr
    assert asked == [f"/v1/jobs/{JOB}/retry"]


def test_a_daemon_that_cannot_be_reached_is_not_written_behind(volume: Path) -> None:
    with daemon_that_answers(volume, 202) as (_, asked):
        done = vidprod("dead", "requeue", "--all", "--port", "1", cwd=volume)
    assert done.returncode == 3
    assert "a daemon works on data, but http://127.0.0.1:1 does not answer" in done.stderr
    assert asked == []
    assert the_task(volume).state == "discarded"


def test_a_job_whose_take_is_gone_is_not_queued_and_its_task_stays_dead(volume: Path) -> None:
    asyncio.run(write(volume / "data/vidprod.db", lambda db: db.videos.mark_deleted(VIDEO, now=NOW)))
    done = vidprod("dead", "requeue", the_task(volume).id, cwd=volume)
    assert done.returncode == 1
    assert " is gone" in done.stderr
    assert the_task(volume).state == "discarded"


def test_where_no_daemon_ever_ran_nothing_is_made(tmp_path: Path) -> None:
    done = vidprod("dead", "list", cwd=tmp_path)
    assert done.returncode == 3
    assert f"there is no database {tmp_path / 'data/vidprod.db'}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_refused_take_is_no_dead_letter(judged: Path) -> None:
    done = vidprod("dead", "list", cwd=judged)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "No dead letters.\n")
    done = vidprod("dead", "requeue", "--all", cwd=judged)
    assert (done.returncode, done.stdout) == (0, "")
    assert the_task(judged).state == "discarded"


def test_what_was_refused_is_listed_and_shown_when_asked_for(judged: Path) -> None:
    done = vidprod("dead", "list", "--refused", cwd=judged)
    assert done.returncode == 0, done.stderr
    assert "probe  'take.mov'  too_long: the take is 5 h long" in done.stdout
    done = vidprod("dead", "show", the_task(judged).id, cwd=judged)
    assert "attempt 1, 2027-01-15 08:00:00+00:00: refused: too_long: the take is 5 h long" in done.stdout


def test_a_dead_letter_was_not_refused(volume: Path) -> None:
    done = vidprod("dead", "list", "--refused", cwd=volume)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "Nothing was refused.\n")


def test_a_refused_take_is_judged_anew_when_it_is_named(judged: Path) -> None:
    """Somebody has raised the limit that it broke."""
    done = vidprod("dead", "requeue", the_task(judged).id, cwd=judged)
    assert done.returncode == 0, done.stderr
    assert the_task(judged).state == "available"


def test_a_task_that_is_not_over_is_not_queued_again(volume: Path) -> None:
    task_id = the_task(volume).id
    asyncio.run(write(volume / "data/vidprod.db", lambda db: db.tasks.requeue(task_id, max_attempts=5, now=NOW)))
    with daemon_that_answers(volume, 202) as (port, asked):
        done = vidprod("dead", "requeue", task_id, "--port", str(port), cwd=volume)
    assert done.returncode == 1
    assert "is available: only what was given up or refused is tried again" in done.stderr
    assert asked == []


@pytest.fixture
def remade(tmp_path: Path) -> Path:
    """A data directory with a segment that was to be made again, and was given up."""
    (tmp_path / "data").mkdir()

    def fill(db: Tables) -> None:
        db.videos.add(Video(id=VIDEO, state="stored", filename="take.mov", extension="mov", size=9, created_at=NOW))
        db.jobs.add(Job(id=JOB, video_id=VIDEO, state="queued", priority="normal", recipe=Recipe(), created_at=NOW))
        db.jobs.start(JOB, now=NOW)
        db.segments.add_all([a_segment(JOB)])
        [segment] = db.segments.of_job(JOB)
        db.segments.ready(segment.id, a_rendition(), now=NOW)
        db.jobs.complete(JOB, [], now=NOW)
        remake_segment(db, segment.id, {"gaze": "off"}, max_attempts=1, now=NOW)
        task = db.tasks.claim(boot_id="boot", token="t", lease_ms=1000, now=NOW)
        assert task is not None
        db.tasks.discard(task, CRASH, now=NOW)

    asyncio.run(write(tmp_path / "data/vidprod.db", fill))
    return tmp_path


def test_a_segment_that_was_to_be_made_again_is_a_letter_like_others(remade: Path) -> None:
    assert "  remake  'take.mov'  child_crashed" in vidprod("dead", "list", cwd=remade).stdout
    done = vidprod("dead", "requeue", "--all", cwd=remade)
    assert done.returncode == 0, done.stderr
    assert (the_task(remade).state, the_task(remade).payload["recipe"]["gaze"]) == ("available", "off")


def test_a_daemon_that_runs_is_asked_for_the_segment(remade: Path) -> None:
    with daemon_that_answers(remade, 202) as (port, asked):
        done = vidprod("dead", "requeue", "--all", "--port", str(port), cwd=remade)
    assert done.returncode == 0, done.stderr
    assert asked == [f"/v1/segments/{the_task(remade).segment_id}/retry"]


def test_an_unknown_task_is_told(volume: Path) -> None:
    done = vidprod("dead", "show", "tsk_" + "1" * 26, cwd=volume)
    assert done.returncode == 1
    assert "not_found: there is no task" in done.stderr


def wait_until_over(client: httpx.Client, job_id: str) -> dict[str, Any]:
    with client.stream("GET", "/v1/events/stream", params={"job_id": job_id}, headers={"Last-Event-ID": "0"}) as stream:
        for line in stream.iter_lines():
            status: dict[str, Any] = client.get(f"/status/{job_id}").json()
            if status["state"] in FINAL:
                return status
            assert line is not None
    raise AssertionError("the stream ended before the job")


def test_what_died_for_want_of_memory_is_done_once_there_is_more(tmp_path: Path) -> None:
    take = numbered(tmp_path / "take.mp4", 105, size=(640, 360))
    tight = ("--child-memory-bytes", "128MiB", "--media-memory-bytes", "128MiB", "--max-crashes", "1")
    with serving(tmp_path, *tight) as (_, address), httpx.Client(base_url=address, timeout=30) as client:
        with take.open("rb") as file:
            job_id = client.post("/upload", files={"file": file}).json()["job_id"]
        assert wait_until_over(client, job_id)["state"] == "failed"
        assert "child_out_of_memory" in vidprod("dead", "list", cwd=tmp_path).stdout  # while the daemon runs

    with serving(tmp_path) as (_, address), httpx.Client(base_url=address, timeout=30) as client:
        begun = time.monotonic()
        done = vidprod("dead", "requeue", "--all", "--port", address.rpartition(":")[2], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert wait_until_over(client, job_id)["state"] == "completed"
        assert time.monotonic() - begun < 30
        assert vidprod("dead", "list", cwd=tmp_path).stdout == ""


def test_a_database_of_an_older_version_is_left_as_it_is(tmp_path: Path) -> None:
    """After an update, the daemon that still runs may be the older one."""
    (tmp_path / "data").mkdir()
    database = open_database(tmp_path / "data/vidprod.db")
    migrate(database, now=NOW, migrations=shipped()[:1])
    for words in (["list"], ["show", "tsk_" + "0" * 26], ["requeue", "--all"]):
        done = vidprod("dead", *words, cwd=tmp_path)
        assert done.returncode == 3
        assert "schema_too_old: the database is without 0002_dead_letters.sql" in done.stderr
        assert "Start the daemon of this version" in done.stderr
    assert rows(database, "select version from schema_migration") == [{"version": 1}]
