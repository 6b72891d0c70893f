"""Small steps for tests of what runs steps: the source is a JSON script that says what each step does.

{"segments": 3, "probe": "pass", "plan": "pass", "track": "pass", "render": "crash_after_the_first"}
"""

import ctypes
import errno
import hashlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from vidprod.domain.gaze import Compare, GazeReport
from vidprod.domain.plan import Canvas, Plan, PlannedSegment
from vidprod.domain.segment import Rendition
from vidprod.domain.step import (
    COVER_FILE,
    TRACK_FILE,
    CoverRequest,
    PlanRequest,
    ProbeRequest,
    Progress,
    RenderRequest,
    Say,
    SegmentDone,
    Tracked,
    TrackRequest,
)
from vidprod.domain.video import MediaInfo, VideoStreamInfo
from vidprod.errors import Refused, TryLater

SEGMENT_US = 1_000_000


def script_of(request: Any) -> dict[str, Any]:
    data = Path(request.source).read_bytes()
    script: dict[str, Any] = json.loads(data[data.index(b"{") :])  # after what makes it look like a video, if need be
    return script


def segfault(*_: Any) -> None:
    ctypes.string_at(0)


def abort(*_: Any) -> None:
    print("assertion failed: the codec is upset", file=sys.stderr, flush=True)
    os.abort()


def sleep(*_: Any) -> None:
    time.sleep(600)


def spin(*_: Any) -> None:
    while True:
        pass


def eat_memory(request: Any, say: Say) -> None:
    """50 MiB at a time, touched."""
    held = []
    while True:
        held.append(b"x" * (50 << 20))
        time.sleep(0.01)


def gulp_memory(request: Any, say: Say) -> None:
    """More than the address space allows, at once."""
    bytearray(8 << 30)


def write_too_large_a_file(request: Any, say: Say) -> None:
    with open("large", "wb") as file:
        while True:
            file.write(b"x" * (1 << 20))


def write_too_large_a_file_and_die(request: Any, say: Say) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    write_too_large_a_file(request, say)


def tell_the_cpu_limit(*_: Any) -> dict[str, int]:
    return {"cpu_s": resource.getrlimit(resource.RLIMIT_CPU)[0]}


def leave_silently(*_: Any) -> None:
    os._exit(0)


def leave_with_a_status(*_: Any) -> None:
    print("goodbye", file=sys.stderr, flush=True)
    os._exit(7)


def kill_itself(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def say_garbage(*_: Any) -> None:
    os.write(3, b"this is not a message\n")
    time.sleep(600)


def say_without_end(*_: Any) -> None:
    while True:
        os.write(3, b"x" * 65536)


def say_what_only_the_parent_says(*_: Any) -> None:
    os.write(3, b'{"type":"exited","status":0}\n')
    time.sleep(600)


def shout(*_: Any) -> None:
    for n in range(20_000):
        print(f"line {n} of a long complaint", file=sys.stderr)


def print_to_stdout(*_: Any) -> None:
    print('{"type":"result","data":{"printed":true}}', flush=True)


def fill_the_disk(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def refuse(*_: Any) -> None:
    raise Refused("there is no picture in it", code="no_video_stream", hint="Send a video.")


def try_later(*_: Any) -> None:
    print("something was busy", file=sys.stderr, flush=True)
    raise TryLater("the encoder was busy", code="busy")


def fail(*_: Any) -> None:
    raise ValueError("a bug")


def breed(*_: Any) -> None:
    """A fork bomb, were it let."""
    try:
        for _n in range(50):
            if os.fork() == 0:
                time.sleep(600)
                os._exit(0)
    except OSError as error:
        raise TryLater(f"fork: {error.strerror}", code="no_fork") from error


def start_threads(*_: Any) -> None:
    threads = [threading.Thread(target=time.sleep, args=(0.05,)) for _n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def progress_then_stall(request: Any, say: Say) -> None:
    say(Progress(done_us=500_000, total_us=1_000_000))
    while True:
        time.sleep(0.05)
        say(Progress(done_us=500_000, total_us=1_000_000))


def chatter(request: Any, say: Say) -> None:
    """Says how far it is after each of a thousand pictures."""
    for done in range(1, 1001):
        say(Progress(done_us=done, total_us=1000))


def look_around(request: Any, say: Say) -> dict[str, Any]:
    """What this process can see and do."""
    script = script_of(request)
    return {
        "environment": dict(os.environ),
        "cwd": os.getcwd(),
        "descriptors": sorted(int(d) for d in _descriptors()),
        "threads": threading.active_count(),
        "nice": os.nice(0),
        "files": {path: _attempt(Path(path).read_bytes) for path in script.get("read", [])},
        "written": {path: _attempt(partial(Path(path).write_text, "x")) for path in script.get("write", [])},
        "tcp": _attempt(lambda: socket.create_connection(("127.0.0.1", script.get("port", 9)), timeout=1).close()),
        "udp": _attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()),
        "program": _attempt(lambda: subprocess.run(["/bin/true"], check=True)),
        "signal": _attempt(lambda: os.kill(os.getppid(), 0)),
        "source": _attempt(Path(request.source).read_bytes),
        "source_written": _attempt(lambda: open(request.source, "r+b").close()),
        "work": _attempt(lambda: Path(request.work_dir, "a file").write_text("x")),
    }


def name_a_foreign_file(request: RenderRequest, say: Say) -> None:
    """Another's file, under its own segment."""
    honest = _segment(request, 0)
    say(SegmentDone(index=0, stem="../../media/vid_x/source", rendition=honest.rendition))
    time.sleep(600)


def make_another_segment(request: RenderRequest, say: Say) -> None:
    [asked] = request.todo
    say(_segment(request, asked + 1))
    time.sleep(600)


def _descriptors() -> list[int]:
    found = []
    for number in range(200):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return found


def _attempt(act: Callable[[], Any]) -> str:
    try:
        act()
    except Exception as error:
        return type(error).__name__
    return "done"


def _behaviour(name: str) -> Callable[[Any, Say], Any]:
    behaviour: Callable[[Any, Say], Any] = globals()[name]
    return behaviour


# a whole job


def _probe(request: ProbeRequest, say: Say) -> Any:
    script = script_of(request)
    if (behaviour := script.get("probe", "pass")) != "pass":
        return _behaviour(behaviour)(request, say)
    data = Path(request.source).read_bytes()
    duration_us = script.get("segments", 2) * SEGMENT_US
    say(Progress(done_us=len(data), total_us=len(data)))
    return MediaInfo(
        container="mov",
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        duration_us=duration_us,
        declared_duration_us=duration_us,
        start_us=0,
        audio=None,
        video=VideoStreamInfo(
            index=0,
            codec="h264",
            pix_fmt="yuv420p",
            coded_width=320,
            coded_height=180,
            width=320,
            height=180,
            rotation=0,
            sample_aspect="1:1",
            average_rate="30",
            usual_rate="30",
            declared_rate="30",
            variable_rate=False,
            hdr=None,
            interlaced=False,
            full_range=False,
            color_space=None,
            frames=duration_us * 30 // 1_000_000,
            start_us=0,
            duration_us=duration_us,
            keyframes=1,
            longest_gop_us=duration_us,
        ),
    )


def _plan(request: PlanRequest, say: Say) -> Any:
    script = script_of(request)
    if (behaviour := script.get("plan", "pass")) != "pass":
        return _behaviour(behaviour)(request, say)
    return Plan(
        fps="30",
        canvas=Canvas(width=180, height=320, picture_width=180, picture_height=101, x=0, y=110, background="blur"),
        segments=[
            PlannedSegment(index=n, in_us=n * SEGMENT_US, out_us=(n + 1) * SEGMENT_US, first_frame=n * 30, frames=30)
            for n in range(script.get("segments", 2))
        ],
        warnings=list(script.get("warnings", [])),
    )


def _track(request: TrackRequest, say: Say) -> Any:
    script = script_of(request)
    if (behaviour := script.get("track", "pass")) != "pass":
        return _behaviour(behaviour)(request, say)
    total = len(request.plan.segments) * SEGMENT_US
    say(Progress(done_us=total // 2, total_us=total))
    Path(request.work_dir, TRACK_FILE).write_text("eyes")
    say(Progress(done_us=total, total_us=total))
    return Tracked(faces=1, pictures=30, with_face=30, warnings=list(script.get("track_warnings", [])))


def be_too_slow(request: TrackRequest, say: Say) -> Any:
    reason = f"it would take longer than {request.time_factor:g} times the encode"
    return Tracked(faces=0, pictures=0, with_face=0, reason=reason)


def forget_the_track(*_: Any) -> Any:
    return Tracked(faces=1, pictures=30, with_face=30)


def make_no_file_of_the_track(request: TrackRequest, say: Say) -> Any:
    Path(request.work_dir, TRACK_FILE).mkdir()
    return Tracked(faces=1, pictures=30, with_face=30)


def _render(request: RenderRequest, say: Say) -> Any:
    script = script_of(request)
    behaviour = script.get("render", "pass")
    if "while_correcting" in script and request.track is not None and request.no_track is None:
        return _behaviour(script["while_correcting"])(request, say)
    if "while_following" in script and request.track is not None:
        return _behaviour(script["while_following"])(request, say)
    total = len(request.plan.segments)
    pause_s = script.get("pause_s", 0.0)
    for place, index in enumerate(request.todo):
        if behaviour == "crash_after_the_first" and place == 1 and len(request.todo) == total:
            segfault()
        if behaviour not in ("pass", "crash_after_the_first") and place == script.get("after", 0):
            return _behaviour(behaviour)(request, say)
        say(Progress(done_us=index * SEGMENT_US, total_us=total * SEGMENT_US))
        time.sleep(pause_s)
        say(_segment(request, index))
    if request.todo and script.get("after") == len(request.todo):
        return _behaviour(behaviour)(request, say)
    say(Progress(done_us=total * SEGMENT_US, total_us=total * SEGMENT_US))
    return None


def _segment(request: RenderRequest, index: int) -> SegmentDone:
    stem = f"{index:04d}"
    corrects = request.recipe.corrects and request.track is not None and request.no_track is None
    strength = request.recipe.gaze_strength if corrects else 0.0
    eyes = f" {Path(request.track).read_text()} {strength}" if corrects and request.track is not None else ""
    planned = request.plan.segments[index]
    cut = f"{planned.first_frame} {planned.frames}"
    data = hashlib.sha256(f"{request.info.sha256} {index} {cut}{eyes}".encode()).digest() * 100
    explains = (".explain.png",) if request.explain and corrects else ()
    for ending in (".mp4", ".jpg", ".sprite.jpg", *((".gaze.jpg",) if corrects else ()), *explains):
        with open(Path(request.work_dir, stem + ending), "wb") as file:
            file.write(data if ending != ".jpg" else b"frame %d" % (request.cover_frame or 0))
            os.fsync(file.fileno())
    return SegmentDone(
        index=index,
        stem=stem,
        rendition=Rendition(
            duration_us=planned.frames * 1_000_000 // 30,
            frames=planned.frames,
            width=180,
            height=320,
            fps="30",
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            video_codec="h264",
            audio_codec="aac",
            loudness_lufs=None,
            true_peak_dbtp=None,
            sprite=None,
            gaze=GazeReport(
                strength=request.recipe.gaze_strength,
                corrected=0.84 if corrects else 0.0,
                faded=0.0,
                left_alone={"blink": 0.16} if corrects else {"no_face": 1.0},
                mean_deg=11.0 if corrects else None,
                largest_deg=19.0 if corrects else None,
                reason=request.no_track,
            ),
            compare=Compare(rows=1, tile_width=90, tile_height=30, at_s=[0.5]) if corrects else None,
            synthetic=corrects,
            synthetic_reason="the speaker's eyes were turned to the lens in 84 % of the frames" if corrects else None,
        ),
    )


def _cover(request: CoverRequest, say: Say) -> None:
    video = Path(request.source).read_bytes()
    Path(request.work_dir, COVER_FILE).write_bytes(b"at %d of %s" % (request.at_us, hashlib.md5(video).digest()))


STEPS: dict[type, Callable[[Any, Say], Any]] = {
    ProbeRequest: _probe,
    PlanRequest: _plan,
    TrackRequest: _track,
    RenderRequest: _render,
    CoverRequest: _cover,
}
