"""Work that is done ahead of whoever needs it, in a thread of its own."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

_SAY_EVERY_S = 0.5  # while a thing is waited for


class Ahead:
    """A thread that makes things a few ahead of whoever takes them; its errors reach the taker."""

    def __init__(self, make: Callable[[], Iterator[Any]], *, ahead: int, name: str) -> None:
        self._make = make
        self._ready: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._room: queue.SimpleQueue[None] = queue.SimpleQueue()  # a token for each thing that may still wait
        for _ in range(ahead):
            self._room.put(None)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            for thing in self._make():
                self._room.get()
                if self._stop.is_set():
                    return
                self._ready.put(thing)
                del thing  # a canvas is megabytes; the next is made before this name is given away
            self._ready.put(None)
        except BaseException as error:  # whatever it is, it belongs to the taker
            self._ready.put(error)

    @property
    def ready(self) -> bool:
        """Whether `take` would return, or raise, at once."""
        return not self._ready.empty()

    def take(self, *, timeout_s: float | None = None) -> Any:
        """The next thing; None at the end. Raises queue.Empty when there is none in time."""
        thing = self._ready.get(timeout=timeout_s)
        if isinstance(thing, BaseException):
            raise thing
        self._room.put(None)
        return thing

    def take_patiently(self, packets: Callable[[], int], *, of: int, waiting: Callable[[float], None]) -> Any:
        """The next thing, which may be long in coming: a keyframe is far back, there is damage, an index is off.

        Args:
            packets: how many were read so far; they are progress then. `of`: how many the take has.
            waiting: told now and then how near the next thing is, 0 up to 1.
        """
        began = packets()
        while True:
            try:
                return self.take(timeout_s=_SAY_EVERY_S)
            except queue.Empty:
                read = packets() - began
                waiting(read / (read + of))

    def close(self) -> None:
        self._stop.set()
        self._room.put(None)
        self._thread.join()
