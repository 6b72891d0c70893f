"""Every file of the corpus through the product, judged, in one table.

    python -m tests.corpus [--media DIR] [--via process|http] [--jobs N] [FILES...]

A file that CORPUS.tsv expects to be accepted must become segments without a violation, of the length the take has; one
that it expects to be refused must be refused by one of the codes in `CODES`. Where it says either, either will do.
Exits 1 when any file ended otherwise.
"""

import argparse
import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import msgspec

from tests.media.measure import source_duration_s
from tests.media.stills import judge_poster, judge_sprite
from tests.media.validator import Expect, validate
from vidprod.domain.segment import Sprite

PROJECT = Path(__file__).resolve().parents[1]
MEDIA = PROJECT.parent / "shared" / "media"
FILE_TIMEOUT_S = 1800

# What a refusal may be called. `not_a_video` is the answer to the first bytes, the others come from the probe.
CODES: dict[str, set[str]] = {
    "aac.m4a": {"no_video_stream"},
    "apollo11.mp3": {"not_a_video", "no_video_stream"},
    "jfk.flac": {"not_a_video", "no_video_stream"},
    "silent.mp4": {"no_video_stream"},
    "video_without_video_stream.mp4": {"no_video_stream"},
    "decompression_bomb.gif": {"not_a_video", "image"},
    "png_decompression_dos.png": {"not_a_video", "image"},
    "annex-b.mp4": {"truncated"},
    "broken.mp4": {"incomplete_file"},
    "corrupted.mp4": {"corrupted", "undecodable", "truncated"},
    "sample_malformed_free_box.mp4": {"incomplete_file", "corrupted", "truncated", "not_a_video"},
    "sample_qt.mp4": {"truncated", "incomplete_file"},
    "test_case_1185230.mp4": {"corrupted", "undecodable", "truncated", "incomplete_file"},
    "sample_fragmented_clearkey.mp4": {"encrypted"},
    "animated.gif": {"not_a_video", "image"},
    "sample_still_photo.heic": {"not_a_video", "image", "image_not_video"},
    "pixel-motion-photo-shortened.jpg": {"not_a_video", "image"},
    "nostreams.mp4": {"no_streams", "no_video_stream"},
    "video_270.mov": {"too_short"},
    "itunes.mov": {"too_short", "no_usable_video"},
    "read_passwd.avi": {"no_video_stream", "not_a_video", "undecodable"},
    "bitmap.mp4": {"too_small"},
    "missing-dts.ts": {"undecodable", "corrupted"},
    "WrongFile.mp4": {"incomplete_file", "not_a_video", "no_streams"},
    "result.webm": {"empty_file", "not_a_video"},
}

# How long the whole must be, in seconds, where a header, an edit list or a start offset invites a mistake; and how many
# segments, where it matters. Two lengths: CORPUS.tsv leaves the choice.
LENGTHS: dict[str, tuple[float, ...]] = {
    "portrait.ts": (1.0,),
    "test_non_zero_start.mp4": (0.4, 8.733),
    "cursed-vfr.mp4": (8.725,),
    "delayed_start.mp4": (0.96, 2.035),
    "demo_android.mp4": (30.27,),
    "explained.mp4": (8.0,),
    "edts.mp4": (9.0,),
    "flower-fragmented.mp4": (5.1,),
    "sample_sef_slow_motion.mp4": (2.1,),
    "video_with_failing_audio.mp4": (11.23,),
    "rotated_video.mp4": (5.16,),
    "sample_shorter_audio.mp4": (1.2,),
    "autoeditor_example_talk.mp4": (42.42,),
    "bbb_640x360_24fps_596s.mp4": (596.46,),
    "long_180p_av1.mp4": (362.77,),
    "tears-of-steel-battle-clip-medium.webm": (70.54,),
    "nasa_13013.mp4": (13.0,),
    "missing-dts.ts": (2.0,),
    "Sony ILCE-7M3 (A7M3).mts": (0.53,),
    "corrupted.mp4": (5.0,),
    "itunes.mov": (1.0,),
}
SEGMENTS = {
    "bbb_640x360_24fps_596s.mp4": {10, 11},  # 596.46 s: cuts that move back to pauses may need one more
    "long_180p_av1.mp4": {7},
    "tears-of-steel-battle-clip-medium.webm": {2},
    "autoeditor_example_talk.mp4": {1},
}
MUST_WARN = {"corrupted.mp4"}  # partial, so somebody must be told


@dataclass
class Made:
    """One finished segment."""

    video: Path
    poster: Path
    sprite: Path
    rendition: dict[str, Any]


@dataclass
class Outcome:
    """What the product did with one file."""

    ended: Literal["accepted", "refused", "broken"]
    segments: list[Made] = field(default_factory=list)
    code: str = ""
    sentence: str = ""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """One line of CORPUS.tsv."""

    file: str
    trap: str
    says: str

    @property
    def may_accept(self) -> bool:
        return "ACCEPT" in self.says or "extract clip" in self.says

    @property
    def may_refuse(self) -> bool:
        return "REJECT" in self.says

    @property
    def expected(self) -> str:
        return "either" if self.may_accept and self.may_refuse else "accept" if self.may_accept else "refuse"


@dataclass
class Verdict:
    row: Row
    outcome: Outcome
    faults: list[str]
    seconds: float


def read_corpus(media: Path) -> list[Row]:
    with (media / "CORPUS.tsv").open(encoding="utf-8", newline="") as file:
        lines = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Row(line["file"], line["trap"], line["correct_processor_should"]) for line in lines]


class ByProcess:
    """Through `vidprod process`, a child process a file."""

    def process(self, source: Path, directory: Path) -> Outcome:
        command = [sys.executable, "-m", "vidprod", "process", str(source), "-o", str(directory / "out")]
        try:
            ended = subprocess.run(
                command, cwd=PROJECT, capture_output=True, text=True, timeout=FILE_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return Outcome("broken", sentence=f"still running after {FILE_TIMEOUT_S} s")
        if ended.returncode == 0:
            return self._finished(next((directory / "out").glob("*/job.json")))
        told = re.search(r"^vidprod: .*?: ([a-z_0-9]+): (.+)$", ended.stderr, re.MULTILINE)
        if ended.returncode != 1 or told is None:
            return Outcome("broken", sentence=f"exit {ended.returncode}: {ended.stderr.strip()[-300:]}")
        return Outcome("refused", code=told[1], sentence=told[2])

    def _finished(self, job_file: Path) -> Outcome:
        job = json.loads(job_file.read_bytes())
        made = [
            Made(
                job_file.parent / segment["file"],
                job_file.parent / (segment["poster"] or "no poster"),
                job_file.parent / (segment["sprite_file"] or "no sprite"),
                segment["rendition"],
            )
            for segment in job["segments"]
        ]
        return Outcome("accepted", made, warnings=job["warnings"])


class ByHttp:
    """Through a running daemon, by real uploads."""

    def __init__(self, address: str) -> None:
        self._client = httpx.Client(base_url=address, timeout=60)

    def process(self, source: Path, directory: Path) -> Outcome:
        with source.open("rb") as body:
            answer = self._client.put("/upload", params={"filename": source.name}, content=body)
        if answer.status_code != 202:
            problem = answer.json()
            return Outcome("refused", code=problem.get("code", ""), sentence=problem.get("detail", ""))
        status = self._wait(answer.json()["status_url"])
        if status["state"] == "failed":
            return Outcome("refused", code=status["error"]["code"], sentence=status["error"]["message"])
        if status["state"] != "completed":
            return Outcome("broken", sentence=f"the job is {status['state']} after {FILE_TIMEOUT_S} s")
        made = [self._fetch(segment, directory) for segment in status["segments"]]
        return Outcome("accepted", made, warnings=status["warnings"])

    def _wait(self, url: str) -> dict[str, Any]:
        until = time.monotonic() + FILE_TIMEOUT_S
        while True:
            status: dict[str, Any] = self._client.get(url).json()
            if status["state"] in ("completed", "failed", "cancelled") or time.monotonic() > until:
                return status
            time.sleep(0.2)

    def _fetch(self, segment: dict[str, Any], directory: Path) -> Made:
        stem = directory / segment["segment_id"]
        urls = {
            ".mp4": segment["download_url"],
            ".jpg": segment["poster_url"],
            ".sprite.jpg": (segment["sprite"] or {}).get("url"),
        }
        for suffix, url in urls.items():
            if url:
                with self._client.stream("GET", url) as answer, stem.with_suffix(suffix).open("wb") as file:
                    answer.raise_for_status()
                    for part in answer.iter_bytes():
                        file.write(part)
        return Made(stem.with_suffix(".mp4"), stem.with_suffix(".jpg"), stem.with_suffix(".sprite.jpg"), segment)


@contextmanager
def own_daemon() -> Iterator[str]:
    """A daemon on a free port with a volume of its own; its address. It must still be alive at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="vidprod-corpus-") as data:
        environment = {**os.environ, "VIDPROD_DATA": data}
        command = [sys.executable, "-m", "vidprod", "serve", "--port", str(port), "--log-level", "warning"]
        daemon = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            assert daemon.stdout is not None
            line = daemon.stdout.readline()
            if "ready" not in line:
                raise SystemExit(f"the daemon did not start: {line!r}")
            threading.Thread(target=daemon.stdout.read, daemon=True).start()
            yield f"http://127.0.0.1:{port}"
            if daemon.poll() is not None:
                raise SystemExit(f"the daemon died: {daemon.returncode}")
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(timeout=30)


def judge(row: Row, source: Path, outcome: Outcome) -> list[str]:
    """What is wrong with how a file ended."""
    if outcome.ended == "broken":
        return [outcome.sentence]
    if outcome.ended == "refused":
        return _judge_refusal(row, outcome)
    if not row.may_accept:
        return ["accepted, though it must be refused"]
    faults = [] if outcome.segments else ["accepted without a segment"]
    source_s = source_duration_s(source)
    for made in outcome.segments:
        faults += [f"{made.video.name}: {fault}" for fault in _judge_segment(made, source, source_s)]
    return faults + _judge_whole(row, outcome)


def _judge_refusal(row: Row, outcome: Outcome) -> list[str]:
    if not row.may_refuse:
        return [f"refused, though it must be accepted: {outcome.code}: {outcome.sentence}"]
    faults = []
    if outcome.code not in CODES.get(row.file, set()):
        faults.append(f"refused as {outcome.code!r}, not as {' or '.join(sorted(CODES.get(row.file, set())))}")
    if len(outcome.sentence) < 15:
        faults.append(f"the sentence says too little: {outcome.sentence!r}")
    return faults


def _judge_segment(made: Made, source: Path, source_s: float) -> list[str]:
    rendition = made.rendition
    expect = Expect(source_s=source_s, frames=rendition["frames"])
    faults = validate(made.video, source=source, expect=expect)
    size = {"width": rendition["width"], "height": rendition["height"]}
    faults += judge_poster(made.poster, **size)
    if rendition["sprite"] is None:
        return [*faults, "sprite: there is none"]
    fields = {name: rendition["sprite"][name] for name in Sprite.__struct_fields__}
    sprite = msgspec.convert(fields, Sprite)
    return faults + judge_sprite(made.sprite, sprite, duration_s=_duration_s(made), **size)


def _duration_s(made: Made) -> float:
    """Both shapes are met: job.json's microseconds, the API's seconds."""
    rendition = made.rendition
    return float(rendition["duration_us"] / 1e6 if "duration_us" in rendition else rendition["duration_s"])


def _judge_whole(row: Row, outcome: Outcome) -> list[str]:
    faults = []
    whole_s = sum(_duration_s(made) for made in outcome.segments)
    lengths = LENGTHS.get(row.file)
    if lengths and not any(abs(whole_s - length) < 0.1 + 0.04 * len(outcome.segments) for length in lengths):
        faults.append(f"{whole_s:.3f} s in all, not {' or '.join(map(str, lengths))}")
    counts = SEGMENTS.get(row.file)
    if counts and len(outcome.segments) not in counts:
        faults.append(f"{len(outcome.segments)} segments, not {' or '.join(map(str, sorted(counts)))}")
    warned = outcome.warnings or any(made.rendition.get("warnings") for made in outcome.segments)
    if row.file in MUST_WARN and not warned:
        faults.append("accepted in part without a warning")
    return faults


def run(row: Row, media: Path, way: ByProcess | ByHttp) -> Verdict:
    """One file through the product and the judge; what it made is removed."""
    started = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="vidprod-corpus-"))
    try:
        outcome = way.process(media / row.file, directory)
        faults = judge(row, media / row.file, outcome)
    except Exception as error:  # one file must not keep the others from being judged
        outcome, faults = Outcome("broken", sentence=repr(error)), [f"the judge fell over: {error!r}"]
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return Verdict(row, outcome, faults, time.monotonic() - started)


def print_header() -> None:
    print(f"{'file':44} {'trap':38} {'expected':8} {'outcome':8} {'segs':>4} {'s':>6}  verdict", flush=True)


def print_row(verdict: Verdict) -> None:
    row, outcome = verdict.row, verdict.outcome
    count = str(len(outcome.segments)) if outcome.ended == "accepted" else "-"
    said = f"{outcome.code}: {outcome.sentence}" if outcome.ended == "refused" else "; ".join(outcome.warnings)
    print(
        f"{row.file[:44]:44} {row.trap[:38]:38} {row.expected:8} {outcome.ended:8} {count:>4} "
        f"{verdict.seconds:6.1f}  {'BAD' if verdict.faults else 'ok'}  {said[:110]}"
    )
    for fault in verdict.faults:
        print(f"    {fault}")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run and print; 0 when all ended as they should."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILES", help="names in the corpus; default: all")
    parser.add_argument("--media", type=Path, default=MEDIA, help="the corpus directory")
    parser.add_argument("--via", choices=("process", "http"), default="process")
    parser.add_argument("--address", help="with --via http: a daemon that runs already")
    parser.add_argument("--jobs", type=int, default=1, help="files at once")
    options = parser.parse_args(arguments)
    rows = read_corpus(options.media)
    if unknown := set(options.files) - {row.file for row in rows}:
        parser.error(f"not in the corpus: {', '.join(sorted(unknown))}")
    chosen = [row for row in rows if not options.files or row.file in options.files]
    if options.via == "process":
        verdicts = _run_all(chosen, options.media, ByProcess(), options.jobs)
    elif options.address:
        verdicts = _run_all(chosen, options.media, ByHttp(options.address), options.jobs)
    else:
        with own_daemon() as address:
            verdicts = _run_all(chosen, options.media, ByHttp(address), options.jobs)
    bad = sum(1 for verdict in verdicts if verdict.faults)
    print(f"{len(verdicts)} files, {sum(len(verdict.outcome.segments) for verdict in verdicts)} segments, {bad} bad")
    return 1 if bad else 0


def _run_all(rows: list[Row], media: Path, way: ByProcess | ByHttp, jobs: int) -> list[Verdict]:
    """In the order of the corpus, each row printed when it and those before it are done."""
    print_header()
    verdicts = []
    with ThreadPoolExecutor(jobs) as pool:
        for verdict in pool.map(lambda row: run(row, media, way), rows):
            print_row(verdict)
            verdicts.append(verdict)
    return verdicts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
