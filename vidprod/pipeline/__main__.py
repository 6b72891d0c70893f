"""`python -m vidprod.pipeline`: a warm process that forks one shut-in worker for each request on its standard input.

It imports the codecs once and decodes nothing itself, so a fork is a fresh, warm child within milliseconds, and
what a hostile file does to a worker ends with that worker. Messages (`domain.step`) leave on what was standard
output; the worker speaks through a pipe of its own, and only what a worker may say is passed on.
End of input, the daemon's death included, ends everything.
"""

import argparse
import contextlib
import errno
import faulthandler
import importlib
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from vidprod.domain.step import (
    END_OF_OUTPUT,
    MAX_LINE_BYTES,
    Exited,
    Failure,
    Hello,
    Progress,
    RenderRequest,
    Result,
    Say,
    SegmentDone,
    Started,
    StepRequest,
)
from vidprod.errors import Refused, VidProdError
from vidprod.pipeline import sandbox

Steps = Mapping[type, Callable[[Any, Say], Any]]

_SAY_EVERY_S = 0.25  # whoever watches over a stall waits far longer

_said_by_a_worker = msgspec.json.Decoder(Progress | SegmentDone | Result | Failure)
_request = msgspec.json.Decoder(StepRequest)
_encode = msgspec.json.Encoder().encode


class InputEnded(Exception):  # not an error: the way this process ends
    """Nobody asks any more."""


class Lines:
    """Whole lines from a descriptor, each at most `MAX_LINE_BYTES` long."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._buffer = bytearray()
        self._searched = 0

    def read(self) -> bool:
        """Take what is there; False at the end."""
        data = os.read(self.descriptor, 1 << 16)
        self._buffer += data
        return bool(data)

    def next(self) -> bytes | None:
        """A line that is whole, if there is one."""
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            if self._searched > MAX_LINE_BYTES:
                raise ValueError(f"a line is longer than {MAX_LINE_BYTES} bytes")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line


def main() -> None:
    """Say hello, then answer requests until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m vidprod.pipeline")
    parser.add_argument("--steps", default="vidprod.pipeline.steps", help="the module whose STEPS do the work")
    arguments = parser.parse_args()
    sandbox.offer_to_the_oom_killer(500)  # after its worker, before the daemon
    faulthandler.enable()  # a crash, or the end of a hang, says where each thread was
    messages = os.dup(1)
    os.dup2(2, 1)  # what a library prints is log, not protocol
    steps: Steps = importlib.import_module(arguments.steps).STEPS
    with contextlib.suppress(InputEnded, BrokenPipeError):
        _tell(messages, Hello(pid=os.getpid(), sandbox=sandbox.available()))
        requests = Lines(0)
        while True:
            _perform(_wait_for_a_request(requests), steps=steps, requests=requests, messages=messages)


def _wait_for_a_request(requests: Lines) -> bytes:
    while (line := requests.next()) is None:
        if not requests.read():
            raise InputEnded
    return line


def _perform(line: bytes, *, steps: Steps, requests: Lines, messages: int) -> None:
    said, says = os.pipe()
    held, gate = (
        os.pipe()
    )  # the worker waits until its pid is announced: whoever reads can end it from the first moment
    zygote = os.getpid()
    pid = os.fork()
    if pid == 0:
        _work(line, steps=steps, says=says, gate=held, zygote=zygote)
    os.close(says)
    os.close(held)
    with contextlib.suppress(OSError):  # it did so itself
        os.setpgid(pid, pid)
    try:
        _tell(messages, Started(pid=pid))
        os.close(gate)
        _relay(pid, Lines(said), requests=requests, messages=messages)
    except BaseException:
        _kill(pid)
        raise
    finally:
        os.close(said)
    _, status, usage = os.wait4(pid, 0)
    os.write(2, END_OF_OUTPUT)  # after all the worker wrote there: the reader knows that it has everything
    _tell(
        messages,
        Exited(
            status=os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            max_rss_bytes=usage.ru_maxrss * 1024,
            cpu_s=usage.ru_utime + usage.ru_stime,
        ),
    )


def _relay(pid: int, said: Lines, *, requests: Lines, messages: int) -> None:
    """Pass on what the worker says until it has ended. A worker that garbles is ended."""
    ended = os.pidfd_open(pid)
    watched = [said.descriptor, requests.descriptor, ended]
    try:
        while True:
            ready, _, _ = select.select(watched, [], [])
            if requests.descriptor in ready and not requests.read():
                raise InputEnded
            if said.descriptor in ready:
                if not said.read():
                    watched.remove(said.descriptor)
                _pass_on(said, messages=messages)
            elif ended in ready:
                return
    except (msgspec.MsgspecError, ValueError) as error:
        _kill(pid)
        _tell(messages, Failure(code="child_garbled", message=f"the media child said nonsense: {error}"))
    finally:
        os.close(ended)


def _pass_on(said: Lines, *, messages: int) -> None:
    while (line := said.next()) is not None:
        _said_by_a_worker.decode(line)
        _write(messages, line + b"\n")


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


# in the worker


def _work(line: bytes, *, steps: Steps, says: int, gate: int, zygote: int) -> None:
    """Perform one request in this process, and leave it."""
    status = 1
    try:
        os.setpgid(0, 0)
        sandbox.die_with_parent(signal.SIGKILL, parent_pid=zygote)
        says, gate = _keep_only(says, gate)
        os.read(gate, 1)
        os.close(gate)
        _tell(says, _answer(_request.decode(line), steps=steps, says=says))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(status)


def _keep_only(*descriptors: int) -> list[int]:
    """Close every descriptor but the standard error and `descriptors`, which move to 3, 4, …"""
    moved = [os.dup2(os.dup(d), 100 + n) for n, d in enumerate(descriptors)]
    kept = [os.dup2(d, 3 + n) for n, d in enumerate(moved)]
    os.closerange(3 + len(kept), 1 << 16)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    return kept


class _Voice:
    """How a worker tells while it works. Of progress only the latest is told, and that now and then."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._due_s = 0.0
        self._held: Progress | None = None

    def __call__(self, message: Progress | SegmentDone) -> None:
        if isinstance(message, Progress):
            self._held = message
            if time.monotonic() < self._due_s:
                return
            self._due_s = time.monotonic() + _SAY_EVERY_S
        self.say_held()
        if isinstance(message, SegmentDone):
            _tell(self._descriptor, message)

    def say_held(self) -> None:
        """What was said last, if it is not told yet."""
        if self._held is not None:
            _tell(self._descriptor, self._held)
            self._held = None


def _answer(request: StepRequest, *, steps: Steps, says: int) -> Result | Failure:
    try:
        sandbox.enter(
            source=Path(request.source),
            also=[Path(request.track)] if isinstance(request, RenderRequest) and request.track else [],
            work_dir=Path(request.work_dir),
            limits=request.limits,
        )
        voice = _Voice(says)
        result = steps[type(request)](request, voice)
        voice.say_held()
        return Result(data={} if result is None else msgspec.to_builtins(result))
    except Refused as error:
        return Failure(code=error.code, message=str(error), hint=error.hint, refused=True)
    except VidProdError as error:
        return Failure(code=error.code, message=str(error), hint=error.hint)
    except Exception as error:
        traceback.print_exc()
        return _failure(error, request=request)


def _failure(error: Exception, *, request: StepRequest) -> Failure:
    """What an error that is none of ours means."""
    number = getattr(error, "errno", None)  # a codec library's errors carry it too
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        limit = request.limits.memory_bytes >> 20
        return Failure(
            code="child_out_of_memory", message=f"the media child asked for far more than its {limit} MiB of memory"
        )
    if number in (errno.ENOSPC, errno.EDQUOT):
        return Failure(code="no_space", message=f"the volume is full: {error}")
    if number == errno.EFBIG:
        limit = request.limits.file_bytes >> 20
        return Failure(code="child_output_too_large", message=f"the media child wrote a file of more than {limit} MiB")
    return Failure(code="child_error", message=f"{type(error).__name__}: {error}")


def _tell(descriptor: int, message: msgspec.Struct) -> None:
    _write(descriptor, _encode(message) + b"\n")


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    main()
