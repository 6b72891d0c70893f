"""One media child: the process, the worker it has forked, what they say, and how they end.

It gets a request and a work directory, nothing else: no database path, token or key. Every way it can die is a
`ChildDied` with a code of its own, `DEATHS`.
"""

import asyncio
import contextlib
import contextvars
import os
import resource
import signal
import sys
import sysconfig
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

import vidprod
from vidprod.domain.step import (
    END_OF_OUTPUT,
    MAX_LINE_BYTES,
    ChildMessage,
    Exited,
    Failure,
    Hello,
    Progress,
    Result,
    SegmentDone,
    Started,
    StepRequest,
)
from vidprod.errors import ChildDied, NoSpace, Refused, TryLater
from vidprod.services.watch import Allowance, CheckRoom, Watch, kind_of
from vidprod.telemetry import log, metrics

OnMessage = Callable[[Progress | SegmentDone], Awaitable[None]]

HELLO_TIMEOUT_S = 15.0  # importing the codecs takes 0.2 s on a quiet machine
EXIT_TIMEOUT_S = 3.0  # from SIGKILL to the child's word that its worker is gone
LAST_WORDS_S = 0.5  # from SIGABRT, at which it says where each of its threads hangs, to SIGKILL
WATCH_EVERY_S = 0.05  # a decoder allocates at most some hundred MiB in that time
PAUSED_S = 1.0  # a look so late: the container was paused or the machine slept, and the child with us
OUTPUT_BYTES = 4096  # of the standard error, kept for the attempt's record
LOGGED_LINES = 100  # of the standard error, of one request
TELLING = frozenset({"child_stalled", "child_timeout"})  # where it hung is worth knowing
DEATHS = frozenset(
    {
        "child_crashed",
        "child_out_of_memory",
        "child_timeout",
        "child_stalled",
        "child_output_too_large",
        "child_garbled",
        "child_not_started",
    }
)


_logger = log.get(__name__)
_message = msgspec.json.Decoder(ChildMessage)
_encode = msgspec.json.Encoder().encode
_PAGE_BYTES = resource.getpagesize()


async def _create(command: list[str]) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env=environment(),
        cwd="/",
        start_new_session=True,  # Ctrl-C at the daemon's terminal is the daemon's to answer
        limit=MAX_LINE_BYTES,
    )


class Child:
    """One `python -m vidprod.pipeline` and the worker it runs at the moment."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.worker_pid: int | None = None
        self.requests = 0  # performed, or begun to be
        self.began = False  # a worker for the last of them was there
        self._busy = False
        self._broken = False
        self._output = bytearray()
        self._output_is_whole = asyncio.Event()
        self._logged_lines = 0
        self._context = contextvars.Context()  # of the request: its job and attempt are on the lines the child says
        self._listening = asyncio.get_running_loop().create_task(self._listen(), context=contextvars.Context())

    @classmethod
    async def start(cls, *, steps: str | None) -> "Child":
        command = [sys.executable, "-P", "-m", "vidprod.pipeline"]
        if steps is not None:
            command += ["--steps", steps]
        creating = asyncio.get_running_loop().create_task(_create(command))
        try:
            return cls(await asyncio.shield(creating))
        except asyncio.CancelledError:
            # cancelled between its pipes, asyncio would wait for ever for a process it cannot finish: let it be made
            await cls(await creating).close()
            raise
        except OSError as error:
            raise ChildDied(f"the media child cannot be started: {error}", code="child_not_started") from error

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_usable(self) -> bool:
        return not self._broken and self._process.returncode is None

    async def hello(self) -> Hello:
        """Its first message."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                message = await self._next()
                if isinstance(message, Hello):
                    return message
        self._kill()
        await self._wait_for_output()
        raise self._died("child_not_started", "the media child does not start")

    async def perform(
        self, request: StepRequest, on_message: OnMessage, *, limits: Allowance, check_room: CheckRoom | None = None
    ) -> dict[str, Any]:
        """Have the request done. Whatever happens, no worker works on when this returns or raises."""
        watch = Watch(
            limits=limits,
            memory_bytes=request.limits.memory_bytes,
            now_s=time.monotonic(),
            check_room=check_room,
        )
        watching = asyncio.get_running_loop().create_task(self._watch(watch))
        self.requests += 1
        self.began = False
        self._busy = True
        self._output.clear()
        self._output_is_whole.clear()
        self._logged_lines = 0
        self._context = contextvars.copy_context()
        try:
            return await self._converse(request, on_message, watch=watch)
        finally:
            watching.cancel()
            await self._end_worker()

    async def _converse(self, request: StepRequest, on_message: OnMessage, *, watch: Watch) -> dict[str, Any]:
        answer: Result | Failure | None = None
        await self._send(request)
        while (message := await self._next()) is not None:
            match message:
                case Started():
                    self.began = True
                    self.worker_pid = message.pid
                case Progress() | SegmentDone():
                    watch.saw(message, now_s=time.monotonic())
                    await on_message(message)
                case Result() | Failure():
                    answer = message
                case Exited():
                    await self._worker_is_gone(request, message)
                    return self._outcome(answer, message, verdict=watch.verdict)
                case _:
                    break
        self._kill()
        await self._wait_for_output()
        if watch.verdict is not None:
            raise self._ended_at(watch.verdict)
        raise self._died("child_crashed", f"the media child's parent process ended: {await self._how_it_ended()}")

    async def _worker_is_gone(self, request: StepRequest, exited: Exited) -> None:
        self._busy = False
        self.worker_pid = None
        metrics.child_rss_peak_bytes.labels(kind=kind_of(request)).set(exited.max_rss_bytes)
        await self._wait_for_output()

    def _outcome(
        self, answer: Result | Failure | None, exited: Exited, *, verdict: ChildDied | NoSpace | None
    ) -> dict[str, Any]:
        """What the end of a worker means. A limit that was reached outweighs what was said on the way out."""
        if isinstance(answer, Result) and exited.status == 0:
            return answer.data
        if verdict is not None:
            raise self._ended_at(verdict)
        if isinstance(answer, Failure):
            raise self._failure(answer)
        if exited.signal is not None:
            raise self._died(*_meaning_of_signal(exited))
        said = "without an answer" if exited.status == 0 else f"with status {exited.status} and no answer"
        raise self._died("child_crashed", f"the media child ended {said}")

    def _failure(self, said: Failure) -> Refused | TryLater:
        if said.refused:
            return Refused(said.message, code=said.code, hint=said.hint)
        if said.code in DEATHS:
            return self._died(said.code, said.message)
        error = TryLater(said.message, code=said.code, hint=said.hint)
        error.output = self._last_output()
        return error

    def _ended_at(self, verdict: ChildDied | NoSpace) -> ChildDied | NoSpace:
        """What a limit ended. A full volume is no fault of the child's: it did not die."""
        return verdict if isinstance(verdict, NoSpace) else self._died(verdict.code, str(verdict))

    def _died(self, code: str, message: str) -> ChildDied:
        error = ChildDied(message, code=code)
        error.output = self._last_output()
        return error

    async def _send(self, request: StepRequest) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):  # the end of its messages tells what happened
            self._process.stdin.write(_encode(request) + b"\n")
            await self._process.stdin.drain()

    async def _next(self) -> ChildMessage | None:
        """Its next message; None when there is none to come, or what came is none."""
        assert self._process.stdout is not None
        try:
            line = await self._process.stdout.readline()
            return _message.decode(line) if line.endswith(b"\n") else None
        except (ValueError, msgspec.MsgspecError):  # ValueError: longer than a line may be
            return None

    async def _watch(self, watch: Watch) -> None:
        """End the worker at a limit. `_converse` hears of its end and raises the verdict."""
        now_s = time.monotonic()
        while watch.verdict is None:
            looked_s = now_s
            await asyncio.sleep(WATCH_EVERY_S)
            now_s = time.monotonic()
            if (late_s := now_s - looked_s - WATCH_EVERY_S) > PAUSED_S:
                watch.leave_out(late_s, now_s=now_s)
            held = resident_bytes(self.worker_pid) if self.worker_pid is not None else 0
            watch.judge(resident=held, now_s=now_s)
        if watch.verdict.code in TELLING:
            self._kill_worker(signal.SIGABRT)
            await asyncio.sleep(LAST_WORDS_S)
        self._kill_worker()
        await asyncio.sleep(EXIT_TIMEOUT_S)
        self._kill()

    async def _end_worker(self) -> None:
        """After a cancellation or an error here: kill, and wait for the word that it is gone."""
        if not self._busy:
            return
        self._kill_worker()
        try:
            async with asyncio.timeout(EXIT_TIMEOUT_S):
                while self._busy and (message := await self._next()) is not None:
                    if isinstance(message, Started):
                        self.worker_pid = message.pid
                        self._kill_worker()
                    if isinstance(message, Exited):
                        self._busy = False
                        self.worker_pid = None
                        await self._wait_for_output()
        except TimeoutError:
            pass
        finally:
            if self._busy:
                self._kill()

    def _kill_worker(self, number: int = signal.SIGKILL) -> None:
        if self.worker_pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.worker_pid, number)

    def _kill(self) -> None:
        """End the child; its worker goes with it (PR_SET_PDEATHSIG)."""
        self._broken = True
        self._kill_worker()
        if self._process.returncode is None:
            # not Popen's kill: it polls first, and the exit status it takes is missing in the event loop
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def close(self) -> None:
        """End it and wait until it is gone."""
        self._kill()
        await self._process.wait()
        self._process._transport.close()  # type: ignore[attr-defined]  # wait() leaves paused pipes open
        await self._listening

    async def _how_it_ended(self) -> str:
        returncode = await self._process.wait()
        return signal.Signals(-returncode).name if returncode < 0 else f"status {returncode}"

    async def _listen(self) -> None:
        """Take what it writes to its standard error, keep the end of it, log a bounded part."""
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(1 << 14):
            whole = END_OF_OUTPUT in data
            text = data.replace(END_OF_OUTPUT, b"")
            self._output += text
            del self._output[:-OUTPUT_BYTES]
            self._log(text)
            if whole:
                self._output_is_whole.set()
        self._output_is_whole.set()

    def _log(self, text: bytes) -> None:
        for line in text.decode(errors="replace").splitlines():
            if line.strip() and self._logged_lines < LOGGED_LINES:
                self._logged_lines += 1
                self._context.run(_logger.debug, "child says", child=self.pid, line=line[:500])

    async def _wait_for_output(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._output_is_whole.wait()

    def _last_output(self) -> str:
        return self._output.decode(errors="replace").strip()


def environment() -> dict[str, str]:
    """All that a child gets to know of this process's environment."""
    scrubbed = {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "MALLOC_ARENA_MAX": "2",  # an arena reserves 64 MiB of the address space, which is limited
        # Pictures go back to the system when they are freed; the default keeps tens of megabytes for later.
        "MALLOC_MMAP_THRESHOLD_": str(1 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(1 << 20),
        "OPENBLAS_NUM_THREADS": "1",  # the process that forks must have one thread
        "OMP_NUM_THREADS": "1",
    }
    paths = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    root = str(Path(vidprod.__file__).parent.parent)
    if root not in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        paths.append(root)  # run from a checkout
    if paths:
        scrubbed["PYTHONPATH"] = os.pathsep.join(paths)
    return scrubbed


def resident_bytes(pid: int) -> int:
    """What a process holds in memory; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _meaning_of_signal(exited: Exited) -> tuple[str, str]:
    """Code and message for a worker that a signal ended."""
    name = signal.Signals(exited.signal).name if exited.signal in signal.valid_signals() else str(exited.signal)
    match exited.signal:
        case signal.SIGXCPU:
            return "child_timeout", f"the media child used {exited.cpu_s:.0f} s of processor time, its limit (SIGXCPU)"
        case signal.SIGXFSZ:
            return "child_output_too_large", "the media child wrote a file larger than its limit (SIGXFSZ)"
        case signal.SIGKILL:
            held = exited.max_rss_bytes / 2**20
            return (
                "child_crashed",
                f"the media child was ended by SIGKILL, not from here; it had held up to {held:.0f} MiB of memory",
            )
        case _:
            return "child_crashed", f"the media child was ended by {name}"
