"""How soon an upload's last byte is answered, and how soon the media child has got somewhere with it:
`python -m tests.benchmarks.latency`.

A daemon in a process of its own takes a small real clip again and again, each after the job before has ended; what
happens is heard on `/v1/events/stream`. The clock starts when the last byte is handed to the kernel. Then

- answer: the 202 is here;
- progress: the first `progress` event, of whatever step: the child has read packets of the clip (probe), or decoded
  the first 2 s of its sound (plan). This is the first media progress that the goal of 500 ms is for;
- probed: `step.completed` of the probe: the child has read every packet;
- rendering: the first `progress` event of the render: the first picture is decoded, painted and with the encoder.

Warm: the child of the job before waits. Cold: the first upload of a new daemon, sent in two halves with a pause
between them, with a child asked for when the upload begins and, by a daemon that was patched for it, without.

Run it on a machine that does nothing else: the slowest of a hundred uploads is otherwise the slowest by others' work.
"""

import argparse
import http.client
import json
import math
import queue
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from tests.media.synth import numbered

WITHOUT_WARMING = "from vidprod.services.child import ChildHost; ChildHost.warm = lambda self: None; "
SIGNS = {"answer": 100, "progress": 500, "probed": None, "rendering": None}  # and the goal, ms


class Heard(msgspec.Struct, frozen=True):
    """One event, and when it came."""

    at_s: float  # time.perf_counter()
    type: str
    job_id: str
    data: dict[str, object]


class Daemon:
    """`vidprod serve` on a directory of its own, and its event stream."""

    def __init__(self, root: Path, *, warms: bool = True) -> None:
        patch = "" if warms else WITHOUT_WARMING
        code = f"{patch}import sys; from vidprod.cli import main; sys.argv[0] = 'vidprod'; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, "serve", "--data-dir", str(root / "data"), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=open(root / "daemon.log", "wb"),  # noqa: SIM115
            text=True,
        )
        assert self._process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self._process.stdout.readline())
        if found is None:
            raise SystemExit(f"vidprod did not start:\n{(root / 'daemon.log').read_text()}")
        self._port = int(found[1])
        self._heard: queue.Queue[Heard] = queue.Queue()
        listening = threading.Event()
        threading.Thread(target=self._listen, args=(listening,), daemon=True).start()
        listening.wait(10)

    def upload(self, file: Path, *, pause_s: float = 0.0) -> dict[str, float]:
        """Milliseconds from the last byte to each sign. Returns when the job has ended.

        Args:
            pause_s: between the two halves of the file.
        """
        content = file.read_bytes()
        middle = len(content) // 2
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            head = f"PUT /upload?filename=clip.mp4 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}"
            connection.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode() + content[:middle])
            time.sleep(pause_s)
            connection.sendall(content[middle:])
            sent_s = time.perf_counter()
            answer = connection.recv(65536)
            signs = {"answer": time.perf_counter()}
            while piece := connection.recv(65536):
                answer += piece
        job_id = re.search(r"job_[0-9a-z]{26}", answer.decode())
        if not answer.startswith(b"HTTP/1.1 202") or job_id is None:
            raise SystemExit(answer.decode(errors="replace"))
        self._follow(job_id[0], signs)
        return {name: (at_s - sent_s) * 1e3 for name, at_s in signs.items()}

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(15)

    def _follow(self, job_id: str, signs: dict[str, float]) -> None:
        while True:
            event = self._heard.get(timeout=60)
            if event.job_id != job_id:
                continue
            if event.type == "step.completed" and event.data["step"] == "probe":
                signs["probed"] = event.at_s
            if event.type == "progress":
                signs.setdefault("progress", event.at_s)
                if event.data["step"] == "render":
                    signs.setdefault("rendering", event.at_s)
            if event.type == "job.failed":
                raise SystemExit(f"the job failed: {event.data}")
            if event.type == "job.completed":
                return

    def _listen(self, listening: threading.Event) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        connection.request("GET", "/v1/events/stream")
        stream = connection.getresponse()
        kind = ""
        while line := stream.readline().decode():
            listening.set()  # subscribed before the first line
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                body = json.loads(value)
                self._heard.put(Heard(time.perf_counter(), kind, body["job_id"], body.get("data", body)))


def warm(root: Path, clip: Path, *, count: int) -> list[dict[str, float]]:
    """One upload after the other; the first two warm everything up and are not counted."""
    daemon = Daemon(root)
    try:
        return [daemon.upload(clip) for _ in range(count + 2)][2:]
    finally:
        daemon.close()


def cold(root: Path, clip: Path, *, warms: bool, pause_s: float) -> dict[str, float]:
    """The first upload of a new daemon."""
    daemon = Daemon(root, warms=warms)
    try:
        return daemon.upload(clip, pause_s=pause_s)
    finally:
        daemon.close()
        shutil.rmtree(root / "data")


def tell(what: str, runs: list[dict[str, float]]) -> Table:
    table = Table("from the last byte to", "p50", "p99", "worst", "goal (p99)", title=f"{what}, {len(runs)} uploads")
    for sign, goal in SIGNS.items():
        took_ms = sorted(run[sign] for run in runs)
        figures = (statistics.median(took_ms), took_ms[math.ceil(len(took_ms) * 0.99) - 1], took_ms[-1])
        table.add_row(sign, *(f"{ms:.0f} ms" for ms in figures), f"< {goal} ms" if goal else "")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path(), help="a directory on the volume to be measured")
    parser.add_argument("--uploads", type=int, default=100, help="warm ones")
    parser.add_argument("--cold", type=int, default=5, help="cold ones of each kind")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between the halves of a cold upload")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="vidprod-latency-", dir=options.dir.absolute()))
    try:
        clip = numbered(root / "clip.mp4", 150, size=(320, 180))  # 5 s, with sound
        colds: dict[bool, list[dict[str, float]]] = {True: [], False: []}
        for _ in range(options.cold):
            for warms, runs in colds.items():  # in turns, so that a change of the machine's mood meets both
                runs.append(cold(root, clip, warms=warms, pause_s=options.pause))
        console = Console(width=100)
        console.print(tell("warm", warm(root, clip, count=options.uploads)))
        if options.cold:
            console.print(tell("cold, a child asked for when the upload begins", colds[True]))
            console.print(tell("cold, without", colds[False]))
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
