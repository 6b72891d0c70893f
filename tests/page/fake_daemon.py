"""A far end for the page: speaks the daemon's HTTP, does what the test says, and fails on request.

It answers from a dictionary of jobs that the test moves by hand, so every order of events can be played.
"""

import json
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tests.page import fake_review
from tests.page.fake_publishing import Publishing, Refused
from tests.page.fake_tus import Arriving, fields_of
from vidprod.domain.recipe import Recipe, parse_recipe
from vidprod.web.guard import POLICY
from vidprod.web.pages import service_worker

STATIC = Path(__file__).parents[2] / "static"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}

Json = dict[str, Any]


@dataclass
class Fault:
    """What happens to one upload instead of an answer. Bytes are read at `rate` a second until `after` are in."""

    status: int = 0  # an answer with `problem`; 0: none
    problem: Json | None = None
    headers: dict[str, str] = field(default_factory=dict)
    after: int | None = None  # bytes read before it happens; None: all
    accept: bool = False  # the job is made all the same: the answer alone is lost
    hang: bool = False  # no byte is read and no answer given, until the test ends


@dataclass
class Seen:
    """One request that came."""

    method: str
    path: str
    headers: dict[str, str]
    query: dict[str, str]
    at: float


class FakeDaemon:
    """What one test's far end knows and does; `Server` gives it a port."""

    def __init__(self, *, clip: bytes, poster: bytes, sprite: bytes, compare: bytes, sprite_facts: Json) -> None:
        self.clip, self.poster, self.sprite, self.sprite_facts = clip, poster, sprite, sprite_facts
        self.compare = compare
        self.jobs: dict[str, Json] = {}
        self.faults: deque[Fault] = deque()
        self.seen: list[Seen] = []
        self.answers: dict[str, str] = {}  # Idempotency-Key → job id
        self.rate: float | None = None  # bytes a second an upload is read at; None: as fast as it comes
        self.stream_status = 200
        self.list_status = 200
        self.segment_status = 200
        self.mute = False  # no event reaches the page
        self.tus = False  # there is a door that resumes
        self.uploads: dict[str, Arriving] = {}  # what came through it
        self.status_goes = threading.Event()  # clear: the next status is looked up now and answered when it is set
        self.status_goes.set()
        self.accounts_go = threading.Event()  # clear: what is asked of accounts is answered when it is set
        self.accounts_go.set()
        self.stopping = threading.Event()
        self.url = ""
        self.pressure: Json = {"level": "ok", "causes": []}
        self.backup: Json = {"nightly": True, "trouble": None, "at": None, "failed_at": None, "fault": ""}
        self.publishing = Publishing(lambda event, data: self.emit(event, None, data), lambda: self.jobs)
        self._streams: list[SimpleQueue[bytes | None]] = []
        self._numbers = count(1)
        self._events = count(1)
        self._lock = threading.Lock()

    # What the test does to the jobs.

    def add_job(
        self, filename: str, *, state: str = "queued", size: int = 48_213_000, tracks: bool = False, **changes: Any
    ) -> str:
        number = next(self._numbers)
        job_id = f"job_{number:026d}"
        job: Json = {
            "job_id": job_id,
            "state": state,
            "priority": "normal",
            "progress": 0.0,
            "created_at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "started_at": None,
            "finished_at": None,
            "status_url": f"/status/{job_id}",
            "events_url": f"/v1/events/stream?job_id={job_id}",
            "source": {
                "video_id": f"vid_{number:026d}",
                "filename": filename,
                "size": size,
                "sha256": None,
                "deleted": False,
                "info": None,
            },
            "recipe": recipe(),
            "steps": [_step(name) for name in (("probe", "plan", "track", "render") if tracks else _STEPS)],
            "segments": [],
            "archive_url": f"/v1/jobs/{job_id}/segments.zip",
            "error": None,
            "warnings": [],
            "review": False,
            "media_deleted": False,
        }
        job.update(changes)
        with self._lock:
            self.jobs[job_id] = job
        return job_id

    def change(self, job_id: str, event: str | None = None, **changes: Any) -> None:
        """Changes a job; with `event`, tells the page."""
        with self._lock:
            self.jobs[job_id].update(changes)
        if event:
            self.emit(event, job_id)

    def probed(self, job_id: str, *, seconds: float = 204.5) -> None:
        job = self.jobs[job_id]
        video = {"width": 1920, "height": 1080, "average_rate": "30000/1001"}
        job["source"]["info"] = {"duration_us": int(seconds * 1e6), "video": video, "warnings": []}
        self.step(job_id, "probe", "completed")

    def step(self, job_id: str, name: str, state: str, progress: float = 0.0, **more: Any) -> None:
        step = next(step for step in self.jobs[job_id]["steps"] if step["name"] == name)
        step.update(state=state, progress=100.0 if state == "completed" else progress, **more)

    def plan(self, job_id: str, segments: int, *, length_s: float = 59.9) -> None:
        """Pending segments, as after the planning step."""
        self.step(job_id, "plan", "completed")
        with self._lock:
            self.jobs[job_id]["segments"] = [
                self._segment(job_id, index, length_s=length_s) for index in range(segments)
            ]

    def ready(self, job_id: str, index: int, *, event: bool = True, **more: Any) -> None:
        with self._lock:
            self.jobs[job_id]["segments"][index].update(state="ready", **more)
        if event:
            self.emit("segment.ready", job_id)

    def remake(self, job_id: str, index: int, **changes: Any) -> None:
        """Changes what is known of a segment's next making."""
        with self._lock:
            segment = self.jobs[job_id]["segments"][index]
            segment["remake"] = {**_REMAKE, **(segment["remake"] or {"recipe": segment["recipe"]}), **changes}

    def remade(self, job_id: str, index: int, **more: Any) -> None:
        """The segment's new file takes the old one's place, under another address."""
        with self._lock:
            segment = self.jobs[job_id]["segments"][index]
            made_with = segment["remake"]["recipe"]
            segment.update(_addresses(segment["segment_id"], making=_making(segment) + 1, sprite=self.sprite_facts))
            segment.update(remake=None, recipe=made_with, **more)
        self.emit("segment.remade", job_id)

    def finish(self, job_id: str) -> None:
        """Everything done at once."""
        for step in self.jobs[job_id]["steps"]:
            step.update(state="completed", progress=100.0)
        for index in range(len(self.jobs[job_id]["segments"])):
            self.ready(job_id, index, event=False)
        self.change(job_id, "job.completed", state="completed", progress=100.0)

    def remove(self, job_id: str) -> None:
        with self._lock:
            del self.jobs[job_id]

    def emit(self, event: str, job_id: str | None, more: Json | None = None) -> None:
        number = next(self._events)
        data = {"id": number, "type": event, "at": "2026-11-21T00:00:00.000Z", "job_id": job_id, "data": more or {}}
        self._send(f"id: {number}\nevent: {event}\ndata: {json.dumps(data)}\n\n")

    def note(self, job_id: str, step: str, progress: float, job_progress: float, **more: str) -> None:
        data = {"job_id": job_id, "step": step, "progress": progress, "job_progress": job_progress, **more}
        self._send(f"event: progress\ndata: {json.dumps(data)}\n\n")

    def send_raw(self, text: str) -> None:
        self._send(text)

    def drop_streams(self) -> None:
        """Ends every open event stream, as a restart or a dead network does."""
        with self._lock:
            streams, self._streams = self._streams, []
        for stream in streams:
            stream.put(None)

    @property
    def streams(self) -> int:
        return len(self._streams)

    def requests(self, method: str, prefix: str) -> list[Seen]:
        return [seen for seen in list(self.seen) if seen.method == method and seen.path.startswith(prefix)]

    def wait_for(self, what: Callable[[], bool], *, timeout_s: float = 5.0) -> None:
        """Waits for a condition on this side; the page's side has Playwright's own waiting."""
        end = time.monotonic() + timeout_s
        while not what():
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(0.01)

    def subscribe(self) -> SimpleQueue[bytes | None]:
        stream: SimpleQueue[bytes | None] = SimpleQueue()
        with self._lock:
            self._streams.append(stream)
        return stream

    def unsubscribe(self, stream: SimpleQueue[bytes | None]) -> None:
        with self._lock:
            if stream in self._streams:
                self._streams.remove(stream)

    def _send(self, text: str) -> None:
        if self.mute:
            return
        with self._lock:
            for stream in self._streams:
                stream.put(text.encode())

    def _segment(self, job_id: str, index: int, *, length_s: float) -> Json:
        segment_id = f"seg_{job_id[8:]}{index:04d}"
        return {
            "segment_id": segment_id,
            "index": index,
            "state": "pending",
            "in_us": int(index * length_s * 1e6),
            "out_us": int((index + 1) * length_s * 1e6),
            "in_s": index * length_s,
            "out_s": (index + 1) * length_s,
            "duration_s": 4.0,
            "width": 1080,
            "height": 1920,
            "fps": "30000/1001",
            "frames": 120,
            "size": len(self.clip),
            "sha256": "",
            "loudness_lufs": -14.1,
            "true_peak_dbtp": -1.4,
            "warnings": [],
            "recipe": self.jobs[job_id]["recipe"],
            "gaze": None,
            "framing": None,
            "synthetic": False,
            "synthetic_reason": None,
            "compare": None,
            "remake": None,
            "review": "kept",
            "title": None,
            "caption": None,
            "cover_us": None,
            **_addresses(segment_id, making=1, sprite=self.sprite_facts),
        }


def _state(upload: Arriving) -> dict[str, str]:
    state = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(len(upload.data))}
    return state if upload.job_id is None else {**state, "VidProd-Job": upload.job_id}


_PUBLISHING = tuple(
    f"/v1/{noun}" for noun in ("accounts", "publishing", "publications", "calendar", "posts", "endpoints", "deliveries")
)
_STEPS = ("probe", "plan", "render")
_REMAKE: Json = {"state": "available", "progress": 0.0, "pause": None, "error": None}


def recipe(**asked: Any) -> Json:
    """A job's recipe, as the status has it."""
    whole: Json = msgspec.to_builtins(parse_recipe(asked))
    return whole


def _addresses(segment_id: str, *, making: int, sprite: Json) -> Json:
    base = f"/v1/segments/{segment_id}"
    return {
        "video_url": f"{base}/video?making={making}",
        "download_url": f"{base}/video?making={making}&download=1",
        "poster_url": f"{base}/poster?making={making}",
        "sprite": {"url": f"{base}/sprite?making={making}", **sprite},
        "compare_url": f"{base}/gaze?making={making}",
    }


def _making(segment: Json) -> int:
    return int(segment["video_url"].rpartition("=")[2])


def _step(name: str) -> Json:
    return {
        "name": name,
        "state": "available" if name == "probe" else "waiting",
        "progress": 0.0,
        "attempt": 0,
        "max_attempts": 5,
        "started_at": None,
        "finished_at": None,
        "pause": None,
        "errors": [],
    }


class _Handler(BaseHTTPRequestHandler):
    server: "Server"
    far: FakeDaemon  # of the test that the request came in
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is two writes: the second would wait for the first to be acknowledged

    def do_GET(self) -> None:
        parts = self._remember()
        path = parts.path
        if fake_review.concerns("GET", path):
            self._review(path)
        elif self._is_publishing(path):
            self._publish(parts)
        elif path == "/" or path.startswith("/static/"):
            self._file(STATIC / ("index.html" if path == "/" else path.removeprefix("/static/")))
        elif path == "/v1/events/stream":
            self._stream()
        elif path == "/sw.js":
            self._answer(200, service_worker(), "text/javascript; charset=utf-8", {"Cache-Control": "no-cache"})
        elif path == "/v1/uploads" and self.far.tus:
            self._json(200, {"uploads": [one.view() for one in self.far.uploads.values() if one.job_id is None]})
        elif path == "/v1/backup":
            self._json(200, self.far.backup)
        elif path == "/v1/pressure":
            self._json(200, self.far.pressure)
        elif path == "/v1/jobs":
            self._list(dict(parse_qsl(parts.query)))
        elif path.startswith("/status/"):
            self._status(path.rsplit("/", 1)[-1])
        elif path.startswith("/v1/segments/"):
            _, _, _, segment_id, what = path.split("/")
            self._segment(segment_id, what, dict(parse_qsl(parts.query)))
        else:
            self._problem(404, "Not found", f"There is nothing at {path}.", "")

    def do_PUT(self) -> None:
        self._remember()
        fault = self.far.faults.popleft() if self.far.faults else Fault()
        length = int(self.headers.get("Content-Length", 0))
        wanted = length if fault.after is None else min(fault.after, length)
        if fault.hang:
            self.far.stopping.wait(30)
            self.close_connection = True
            return
        if not self._read(wanted):
            return
        if fault.status:
            body = fault.problem or {}
            self._answer(fault.status, json.dumps(body).encode(), "application/problem+json", fault.headers)
            if wanted < length:
                self._read(length - wanted)  # as the daemon does: the answer is read before the line is cut
            return
        if fault.after is not None and not fault.accept:
            self._cut()
            return
        job_id = self._accept(length)
        if fault.accept:
            self._cut()
            return
        url = f"/status/{job_id}"
        video_id = self.far.jobs[job_id]["source"]["video_id"]
        self._json(202, {"job_id": job_id, "status_url": url, "video_id": video_id, "state": "queued"})

    def do_PATCH(self) -> None:
        parts = self._remember()
        if parts.path.startswith("/files/"):
            self._part(parts.path)
        elif fake_review.concerns("PATCH", parts.path):
            self._review(parts.path)
        else:
            self._publish(parts)

    def do_HEAD(self) -> None:
        parts = self._remember()
        upload = self.far.uploads.get(parts.path.rsplit("/", 1)[-1])
        if upload is None:
            self._answer(404, b"", "", {})
        else:
            with upload.taken(self.connection):
                self._answer(200, b"", "", {**_state(upload), "Upload-Length": str(upload.length)})

    def _create(self) -> None:
        if not self.far.tus:
            self._problem(404, "Not found", "There is nothing at /files/.", "")
            return
        key = self.headers.get("Idempotency-Key", "")
        upload_id = self.far.answers.get(f"tus {key}")
        if upload_id is None:
            upload_id = f"upl_{next(self.far._numbers):026d}"
            length, fields = int(self.headers["Upload-Length"]), fields_of(self.headers["Upload-Metadata"])
            self.far.uploads[upload_id] = Arriving(upload_id, length, fields)
            self.far.answers[f"tus {key}"] = upload_id
        upload = self.far.uploads[upload_id]
        self._answer(201, b"", "", {**_state(upload), "Location": f"{self.far.url}/files/{upload_id}"})

    def _part(self, path: str) -> None:
        upload = self.far.uploads.get(path.rsplit("/", 1)[-1])
        if upload is None:
            self._problem(404, "Not found", "There is no such upload.", "")
            return
        with upload.taken(self.connection) as turn:
            self._append(upload, turn)

    def _append(self, upload: Arriving, turn: int) -> None:
        fault = self.far.faults.popleft() if self.far.faults else Fault()
        length = int(self.headers["Content-Length"])
        wanted = length if fault.after is None else min(fault.after, length)
        if int(self.headers["Upload-Offset"]) != len(upload.data):
            self._problem(409, "Conflict", f"The upload is at {len(upload.data)}.", "")
            return
        if fault.hang:
            while upload.turn == turn and not self.far.stopping.wait(0.05):
                pass
            self.close_connection = True
            return
        if not self._read(wanted, into=upload.data, go_on=lambda: upload.turn == turn):
            return
        if fault.status:
            self._answer(fault.status, json.dumps(fault.problem).encode(), "application/problem+json", fault.headers)
            return
        if fault.after is not None and not fault.accept:
            self._cut()
            return
        if len(upload.data) == upload.length and upload.job_id is None:
            upload.job_id = self.far.add_job(upload.fields["filename"], size=upload.length)
            self.far.emit("job.created", upload.job_id)
        if fault.accept:
            self._cut()
            return
        self._answer(204, b"", "", _state(upload))

    def _is_publishing(self, path: str) -> bool:
        return path.startswith(_PUBLISHING)

    def _publish(self, parts: Any) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if parts.path == "/v1/accounts":
            self.far.accounts_go.wait(10)
        try:
            with self.far._lock:
                status, answer = self.far.publishing.answer(
                    self.command, parts.path, dict(parse_qsl(parts.query)), body
                )
                data = b"" if answer is None else json.dumps(answer).encode()
        except Refused as refused:
            self._problem(refused.status, refused.title, refused.detail, "")
        else:
            self._answer(status, data, "application/json" if data else "", {})

    def _review(self, path: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.command != "GET" and self.far.faults:
            fault = self.far.faults.popleft()
            self._answer(fault.status, json.dumps(fault.problem).encode(), "application/problem+json", {})
        else:
            self._json(200, fake_review.answer(self.far, self.command, path, body))

    def do_POST(self) -> None:
        parts = self._remember()
        if fake_review.concerns("POST", parts.path):
            self._review(parts.path)
            return
        if self._is_publishing(parts.path):
            self._publish(parts)
            return
        if parts.path == "/files/":
            self._create()
            return
        _, _, noun, job_id, verb = parts.path.split("/")
        if noun == "segments":
            self._make_again(job_id, verb, dict(parse_qsl(parts.query)))
        elif job_id not in self.far.jobs:
            self._problem(404, "Not found", f"There is no job {job_id}.", "")
        elif self.far.faults:
            fault = self.far.faults.popleft()
            self._answer(fault.status, json.dumps(fault.problem).encode(), "application/problem+json", {})
        elif verb == "cancel":
            self.far.change(job_id, "job.cancelled", state="cancelled")
            self._json(200, self.far.jobs[job_id])
        else:
            self.far.change(job_id, "job.retried", state="queued", error=None, progress=0.0)
            self._json(202, self.far.jobs[job_id])

    def _make_again(self, segment_id: str, verb: str, asked: dict[str, str]) -> None:
        job_id, segment = self._find(segment_id)
        if self.far.faults:
            fault = self.far.faults.popleft()
            self._answer(fault.status, json.dumps(fault.problem).encode(), "application/problem+json", {})
            return
        made_with = msgspec.convert(segment["recipe"], Recipe)
        if verb == "render":
            self.far.remake(job_id, segment["index"], recipe=msgspec.to_builtins(parse_recipe(asked, base=made_with)))
        self.far.remake(job_id, segment["index"], state="available", progress=0.0, error=None)
        self._json(202, {"segment_id": segment_id, "job_id": job_id, "status_url": f"/status/{job_id}"})
        self.far.emit("segment.remaking", job_id)

    def _find(self, segment_id: str) -> tuple[str, Json]:
        return next(
            (job_id, segment)
            for job_id, job in self.far.jobs.items()
            for segment in job["segments"]
            if segment["segment_id"] == segment_id
        )

    def do_DELETE(self) -> None:
        parts = self._remember()
        if self._is_publishing(parts.path):
            self._publish(parts)
            return
        job_id = parts.path.rsplit("/", 1)[-1]
        if job_id in self.far.uploads:
            del self.far.uploads[job_id]
            self._answer(204, b"", "", {})
            return
        self.far.remove(job_id)
        self._answer(204, b"", "", {})
        self.far.emit("job.deleted", job_id)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """The tests look at `seen`."""

    def _remember(self) -> Any:
        self.far = self.server.far
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(parts.query))
        self.far.seen.append(Seen(self.command, parts.path, headers, query, time.monotonic()))
        return parts

    def _read(self, wanted: int, *, into: bytearray | None = None, go_on: Callable[[], bool] = lambda: True) -> bool:
        """Reads the body at the daemon's rate; False when the client went away, or it does not go on."""
        got = 0
        while got < wanted and go_on() and not self.far.stopping.is_set():
            step = 1 << 18 if self.far.rate is None else max(1, int(self.far.rate * 0.02))
            try:
                piece = self.rfile.read1(min(step, wanted - got))
            except OSError:
                piece = b""
            if not piece:
                self.close_connection = True
                return False
            got += len(piece)
            if into is not None:
                into += piece
            if self.far.rate is not None:
                time.sleep(0.02)
        self.close_connection |= got < wanted
        return got >= wanted

    def _accept(self, length: int) -> str:
        key = self.headers.get("Idempotency-Key", "")
        if key in self.far.answers:
            return self.far.answers[key]
        query = dict(parse_qsl(urlsplit(self.path).query))
        job_id = self.far.add_job(query["filename"], size=length)
        self.far.answers[key] = job_id
        self.far.emit("job.created", job_id)
        return job_id

    def _list(self, query: dict[str, str]) -> None:
        if self.far.list_status != 200:
            self._problem(self.far.list_status, "Service Unavailable", "It takes nothing now.", "Wait a moment.")
            return
        limit, cursor = int(query.get("limit", 20)), query.get("cursor", "~")
        older = sorted((key for key in self.far.jobs if key < cursor), reverse=True)
        page = [self.far.jobs[key] for key in older[:limit]]
        self._json(200, {"jobs": page, "next_cursor": page[-1]["job_id"] if len(older) > limit else None})

    def _status(self, job_id: str) -> None:
        job = self.far.jobs.get(job_id)
        if job is None:
            self._problem(404, "Not found", f"There is no job {job_id}.", "")
        else:
            with self.far._lock:
                data = json.dumps(job).encode()
            self.far.status_goes.wait(10)
            self._answer(200, data, "application/json", {})

    def _segment(self, segment_id: str, what: str, query: dict[str, str]) -> None:
        if self.far.segment_status != 200:
            self._problem(self.far.segment_status, "Bad Gateway", "", "")
            return
        _, segment = self._find(segment_id)
        if int(query["making"]) != _making(segment):
            self._problem(404, "Not Found", "The segment was made again.", "")
            return
        body, kind = {
            "video": (self.far.clip, "video/mp4"),
            "poster": (self.far.poster, "image/jpeg"),
            "sprite": (self.far.sprite, "image/jpeg"),
            "gaze": (self.far.compare, "image/jpeg"),
        }[what]
        wanted = self.headers.get("Range")
        if wanted is None:
            self._answer(200, body, kind, {"Accept-Ranges": "bytes"})
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last) if last else len(body) - 1, len(body) - 1)
        self._answer(
            206,
            body[start : end + 1],
            kind,
            {"Accept-Ranges": "bytes", "Content-Range": f"bytes {start}-{end}/{len(body)}"},
        )

    def _stream(self) -> None:
        if self.far.stream_status != 200:
            self._problem(self.far.stream_status, "Stopping", "", "")
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.close_connection = True
        stream = self.far.subscribe()
        try:
            self.wfile.write(b"retry: 200\n\n")
            while not self.far.stopping.is_set():
                try:
                    text = stream.get(timeout=0.5)
                except Empty:
                    text = b":\n\n"
                if text is None:
                    return
                self.wfile.write(text)
        finally:
            self.far.unsubscribe(stream)

    def _file(self, path: Path) -> None:
        if not path.is_file() or not path.resolve().is_relative_to(STATIC):
            self._problem(404, "Not found", "", "")
            return
        kind = TYPES.get(path.suffix, "application/manifest+json")
        headers = {
            "Content-Security-Policy": POLICY,
            "Cache-Control": "max-age=3600",
        }  # nothing changes while tests run
        self._answer(200, path.read_bytes(), f"{kind}; charset=utf-8", headers)

    def _problem(self, status: int, title: str, detail: str, hint: str) -> None:
        body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "hint": hint}
        self._answer(status, json.dumps(body).encode(), "application/problem+json", {})

    def _json(self, status: int, body: Json) -> None:
        with self.far._lock:
            data = json.dumps(body).encode()
        self._answer(status, data, "application/json", {})

    def _answer(self, status: int, body: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in {"Cache-Control": "no-store", **headers}.items():
            self.send_header(name, value)
        # One request a connection: on a used one the browser itself repeats a request whose line was cut.
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        """Ends the line without a word, at once: what is unread makes it a reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Server(ThreadingHTTPServer):
    """One port for the far ends of many tests: what the page is made of stays in the browser's cache."""

    request_queue_size = 64  # a browser opens six at once; a full queue would cost it a second
    daemon_threads = True
    far: FakeDaemon

    @classmethod
    @contextmanager
    def running(cls) -> Iterator["Server"]:
        server = cls(("127.0.0.1", 0), _Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    @contextmanager
    def plays(self, far: FakeDaemon) -> Iterator[FakeDaemon]:
        """Requests go to this far end now."""
        self.far = far
        far.url = f"http://127.0.0.1:{self.server_address[1]}"
        try:
            yield far
        finally:
            far.stopping.set()
            far.drop_streams()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no error here."""
