"""What clients saw, and what must therefore hold, whatever happened to the daemon in between.

An upload whose answer was not seen is unknown, never failed: the client sends it again under the same key.
"""

import hashlib
import random
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from tests.acceptance import takes
from tests.acceptance.house import Daemon
from vidprod.blobs.disk import SEGMENT_SUFFIXES

RECIPE = {"segment_s": "3", "frame": "original", "loudness": "off", "snap": "none", "gaze": "off"}
WITH_FACES = RECIPE | {"gaze": "on"}  # a step more, which takes longer than all others of so small a take


@dataclass
class Acknowledged:
    """An upload whose 202 was seen."""

    key: str
    job_id: str
    video_id: str
    sha256: str


@dataclass
class History:
    """Everything the clients know."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)  # that could not be gone on with
    unknown: int = 0  # sendings whose answer was not seen
    seen_ready: dict[str, str] = field(default_factory=dict)  # segment id: sha256, when first seen
    changed: list[str] = field(default_factory=list)  # segments that were seen with two hashes
    reopened: list[str] = field(default_factory=list)  # jobs that were seen completed and then not
    seen_completed: set[str] = field(default_factory=set)

    def look(self, jobs: list[Any]) -> None:
        """Compare what is told now with what was told before."""
        for job in jobs:
            if job["state"] == "completed":
                self.seen_completed.add(job["job_id"])
            for segment in job["segments"]:
                if segment["state"] == "ready":
                    first = self.seen_ready.setdefault(segment["segment_id"], segment["sha256"])
                    if first != segment["sha256"]:
                        self.changed.append(segment["segment_id"])
        self.reopened += sorted(self.seen_completed - {job["job_id"] for job in jobs if job["state"] == "completed"})


class Clients:
    """Threads that upload until they are told to stop, and one that looks."""

    def __init__(
        self,
        daemon: Daemon,
        *,
        seed: int,
        clients: int,
        each: int | None,
        take: bytes | None = None,
        recipes: Sequence[dict[str, str]] = (RECIPE,),
        in_parts: bool = True,
    ) -> None:
        """
        Args:
            each: uploads of each client; None for as many as there is time for.
            in_parts: a third of them by tus.
            recipes: of a client's uploads, in turn.
        """
        self.history = History()
        self._daemon = daemon
        self._seed = seed
        self._each = each
        self._take = take or takes.take()
        self._recipes = recipes
        self._in_parts = in_parts
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._errors: list[BaseException] = []
        self._uploaders = [self._thread(partial(self._upload_all, n)) for n in range(clients)]
        self._looker = self._thread(self._look_on)

    def start(self) -> None:
        for thread in (*self._uploaders, self._looker):
            thread.start()

    @property
    def are_done(self) -> bool:
        return not any(thread.is_alive() for thread in self._uploaders)

    def finish(self, *, within_s: float) -> History:
        """What they begin is finished, nothing new is begun. The daemon must run by now."""
        self._stop.set()
        until = time.monotonic() + within_s
        for thread in (*self._uploaders, self._looker):
            thread.join(max(0.0, until - time.monotonic()))
            assert not thread.is_alive(), self._daemon.last_log()
        if self._errors:
            raise self._errors[0]
        return self.history

    def _thread(self, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._errors.append(error)

        return threading.Thread(target=run, daemon=True)

    def _upload_all(self, client: int) -> None:
        n = 0
        while not self._stop.is_set() and (self._each is None or n < self._each):
            self._upload(f"{self._seed}-{client}-{n}", self._recipes[n % len(self._recipes)])
            n += 1
            if self._each is None:
                self._stop.wait(1.0)  # a backlog without end would prove nothing more

    def _upload(self, key: str, recipe: dict[str, str]) -> None:
        """Until it is acknowledged."""
        chance = random.Random(key)
        data = takes.unique(self._take, seed=key, padding=chance.randrange(1 << 20))
        if self._in_parts and key[-1] in "258":
            self._upload_in_parts(data, key, recipe, chance)
            return
        while True:
            try:
                answer = self._send(data, key, recipe, chance)
            except httpx.HTTPError:
                self.history.unknown += 1
                time.sleep(0.05)
                continue
            if answer.status_code == 202:
                body = answer.json()
                sha256 = hashlib.sha256(data).hexdigest()
                with self._lock:
                    self.history.acknowledged.append(Acknowledged(key, body["job_id"], body["video_id"], sha256))
                return
            assert answer.status_code in (409, 503), (answer.status_code, answer.text, self._daemon.last_log())
            time.sleep(0.1)

    def _upload_in_parts(self, data: bytes, key: str, recipe: dict[str, str], chance: random.Random) -> None:
        """By tus: goes on where the daemon says, which is never before what it had acknowledged."""
        http, address, acknowledged = self._daemon.http, "", 0
        version = {"Tus-Resumable": "1.0.0"}
        fields = {"filename": "take.mp4", **recipe}
        metadata = ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in fields.items())
        new = version | {"Upload-Length": str(len(data)), "Upload-Metadata": metadata, "Idempotency-Key": key}
        part = version | {"Content-Type": "application/offset+octet-stream"}
        while True:
            try:
                if not address:
                    address = http.post("/files/", headers=new).raise_for_status().headers["location"]
                answer = http.head(address, headers=version).raise_for_status()
                while "vidprod-job" not in answer.headers:
                    offset = int(answer.headers["upload-offset"])
                    assert offset >= acknowledged, (key, offset, acknowledged)
                    acknowledged = offset
                    piece = data[offset : offset + chance.choice((1000, 100_000, 1_000_000))]
                    answer = http.patch(address, content=piece, headers=part | {"Upload-Offset": str(offset)})
                    answer.raise_for_status()
                break
            except httpx.HTTPStatusError as error:
                if error.response.status_code not in (400, 409, 423, 503):
                    with self._lock:
                        self.history.lost.append(f"{key}, at {acknowledged}: {error.response.text}")
                    return
            except httpx.HTTPError:
                self.history.unknown += 1
            time.sleep(0.05)
        job_id = answer.headers["vidprod-job"]
        sha256 = hashlib.sha256(data).hexdigest()
        with self._lock:
            self.history.acknowledged.append(Acknowledged(key, job_id, job_id.replace("job_", "vid_"), sha256))

    def _send(self, data: bytes, key: str, recipe: dict[str, str], chance: random.Random) -> httpx.Response:
        pieces = chance.choice((1, 4, 16))

        def body() -> Iterator[bytes]:
            step = len(data) // pieces + 1
            for start in range(0, len(data), step):
                yield data[start : start + step]
                time.sleep(chance.random() * 0.02)

        if key[-1] in "13579":
            return self._daemon.http.post(
                "/upload",
                files={"file": ("take.mp4", data)},
                data=recipe,
                headers={"Idempotency-Key": key},
                timeout=20,
            )
        return self._daemon.http.put(
            "/upload",
            params={"filename": "take.mp4", **recipe},
            content=body(),
            headers={"Idempotency-Key": key, "Content-Length": str(len(data))},
            timeout=20,
        )

    def _look_on(self) -> None:
        while not (self._stop.is_set() and self.are_done):
            try:
                jobs = self._daemon.jobs()
            except (httpx.HTTPError, AssertionError):
                time.sleep(0.05)
                continue
            self.history.look(jobs)
            time.sleep(0.1)


def faults(history: History, daemon: Daemon) -> list[str]:
    """Everything that does not hold, with all jobs over and the daemon pruned. Empty: nothing was lost or redone."""
    jobs = {job["job_id"]: job for job in daemon.jobs()}
    history.look(list(jobs.values()))
    found = [f"segment {name} was seen with two hashes" for name in history.changed]
    found += [f"acknowledged part of an upload is lost: {told}" for told in history.lost]
    found += [f"job {name} was completed and then was not" for name in history.reopened]
    for upload in history.acknowledged:
        found += _faults_of_upload(upload, jobs.get(upload.job_id), daemon)
    known = {upload.job_id for upload in history.acknowledged}
    found += [f"job {name} is nobody's" for name in jobs.keys() - known]
    found += [
        f"job {job['job_id']} ended as {job['state']}: {job['error']}" for job in jobs.values() if not _is_done(job)
    ]
    found += _faults_of_segments(jobs, daemon)
    return found + _orphans(jobs, daemon)


def _is_done(job: Any) -> bool:
    return bool(job["state"] == "completed")


def _faults_of_upload(upload: Acknowledged, job: Any, daemon: Daemon) -> list[str]:
    if job is None:
        return [f"acknowledged upload {upload.key} is lost: there is no {upload.job_id}"]
    files = [path for path in daemon.files(f"media/{upload.video_id}") if path.stem == "source"]
    if not files:
        return [f"acknowledged upload {upload.key} is lost: it has no file"]
    if hashlib.sha256(files[0].read_bytes()).hexdigest() != upload.sha256:
        return [f"acknowledged upload {upload.key} has other bytes"]
    return []


def _faults_of_segments(jobs: dict[str, Any], daemon: Daemon) -> list[str]:
    ready = Counter(e["data"]["segment_id"] for e in daemon.events() if e["type"] == "segment.ready")
    found = [f"segment {name} was finished {times} times" for name, times in ready.items() if times > 1]
    for job in jobs.values():
        for segment in job["segments"]:
            path = daemon.root / "media" / job["job_id"] / f"{segment['segment_id']}.mp4"
            if segment["state"] == "ready" and hashlib.sha256(path.read_bytes()).hexdigest() != segment["sha256"]:
                found.append(f"segment {segment['segment_id']} has other bytes than its row says")
    return found


def _orphans(jobs: dict[str, Any], daemon: Daemon) -> list[str]:
    owned = {f"{job['source']['video_id']}" for job in jobs.values()} | jobs.keys()
    found = [f"orphan media/{path.name}" for path in (daemon.root / "media").iterdir() if path.name not in owned]
    found += [f"orphan incoming/{path.name}" for path in (daemon.root / "incoming").iterdir()]
    found += [f"orphan work/{path.name}" for path in (daemon.root / "work").iterdir()]
    for job in jobs.values():
        names = {s["segment_id"] + suffix for s in job["segments"] for suffix in SEGMENT_SUFFIXES}
        directory = daemon.root / "media" / job["job_id"]
        found += [f"orphan {path}" for path in directory.glob("*") if path.name not in names]
    return found
