"""Media children: processes that do the steps, started when one is needed, warm for a while, gone when idle."""

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from vidprod.domain.step import Hello, StepRequest
from vidprod.errors import ChildDied
from vidprod.services.process import Child, OnMessage
from vidprod.services.watch import CheckRoom, allowance, with_cpu_limit
from vidprod.telemetry import log, metrics

TRUST_A_START_S = 600.0  # how long `check` believes that what started can start again

_logger = log.get(__name__)


class ChildHost:
    """Runs requests in children, at most `children` at once. Use as a context: leaving it ends them all."""

    def __init__(
        self,
        *,
        children: int = 1,
        idle_s: float = 30.0,
        stall_factor: float = 10.0,
        step_floor_s: float = 60.0,
        steps: str | None = None,
    ) -> None:
        """
        Args:
            steps: a module with other STEPS than the product's; tests bring their own.
        """
        self.children = children
        self._idle_s = idle_s
        self._factor = stall_factor
        self._floor_s = step_floor_s
        self._steps = steps
        self._slots = asyncio.Semaphore(children)
        self._warm: list[Child] = []
        self._live: set[Child] = set()
        self._timers: dict[Child, asyncio.TimerHandle] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._coming = 0  # children on their way to be warm
        self._started_at: float | None = None  # monotonic, of the last good start
        self._told_about_sandbox = False
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._warm.clear()
        await asyncio.gather(*(self._close(child) for child in list(self._live)))

    async def run(
        self, request: StepRequest, on_message: OnMessage, *, media_s: float, check_room: CheckRoom | None = None
    ) -> dict[str, Any]:
        """The step's result. Cancelled, it ends the working process before it returns.

        Args:
            check_room: asked again and again while it works.
        Raises:
            NoSpace: `check_room` said so.
            Refused: the media is the reason; no retry will help.
            TryLater: the child said that it could not.
            ChildDied: the child died, or was ended at a limit; `code` and message say which, with figures.
        """
        limits = allowance(request, media_s=media_s, factor=self._factor, floor_s=self._floor_s)
        request = with_cpu_limit(request, limits)
        async with self._slots:
            while True:
                child = await self._take()
                was_warm = child.requests > 0
                try:
                    return await child.perform(request, on_message, limits=limits, check_room=check_room)
                except ChildDied as error:
                    if was_warm and not child.began:
                        continue  # it had died while it was idle: nothing of this request was tried
                    metrics.child_deaths.labels(reason=error.code).inc()
                    raise
                finally:
                    await self._put_back(child)

    async def check(self) -> None:
        """Raises ChildDied when no child can be started. What started lately is believed."""
        if any(child.is_usable for child in self._live):
            return
        if self._started_at is not None and time.monotonic() - self._started_at < TRUST_A_START_S:
            return
        self._coming += 1
        await self._start_idle()

    def warm(self) -> None:
        """Have a child up soon: an upload has begun, its probe will come. Returns at once and raises nothing.

        Does nothing when a child is warm or on its way to be, when all work that may, or when the host is closed.
        """
        if self._closed or self._coming or self._slots.locked() or any(child.is_usable for child in self._warm):
            return
        self._coming += 1  # counted here: many uploads may begin before the task does
        self._in_background(self._warm_one())

    def let_idle_go(self) -> None:
        """End the children that wait for work: their memory is wanted. Those that work are left alone."""
        for child in list(self._warm):
            self._timers[child].cancel()
            self._retire(child)

    async def _warm_one(self) -> None:
        with contextlib.suppress(ChildDied):  # the step that needs it will say so
            await self._start_idle()

    async def _start_idle(self) -> None:
        try:
            async with self._slots:
                await self._put_back(await self._take())
        finally:
            self._coming -= 1

    async def _take(self) -> Child:
        while self._warm:
            child = self._warm.pop()
            self._timers.pop(child).cancel()
            if child.is_usable:
                return child
            await self._close(child)
        return await self._start()

    async def _start(self) -> Child:
        if self._closed:
            raise ChildDied("no media child is started any more: the daemon stops", code="child_not_started")
        child = await Child.start(steps=self._steps)
        self._live.add(child)
        try:
            hello = await child.hello()
        except BaseException:
            await self._close(child)
            raise
        self._started_at = time.monotonic()
        self._tell_about_sandbox(hello)
        return child

    async def _put_back(self, child: Child) -> None:
        if self._closed or not child.is_usable:
            await self._close(child)
            return
        self._warm.append(child)
        self._timers[child] = asyncio.get_running_loop().call_later(self._idle_s, self._retire, child)

    def _retire(self, child: Child) -> None:
        self._timers.pop(child, None)
        if child in self._warm:
            self._warm.remove(child)
            self._in_background(self._close(child))

    async def _close(self, child: Child) -> None:
        await child.close()
        self._live.discard(child)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _tell_about_sandbox(self, hello: Hello) -> None:
        if self._told_about_sandbox:
            return
        self._told_about_sandbox = True
        if not hello.sandbox.get("landlock_abi") or not hello.sandbox.get("seccomp"):
            _logger.warning("the kernel gives the media child only part of its sandbox", **hello.sandbox)
