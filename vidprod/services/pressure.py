"""The watch over disk, memory and descriptors: looks every few seconds, tells once, and holds media work up.

A look is a statvfs of each file system and a few files of the kernel's, half a millisecond. What changed is an event,
once it can be written: on a full volume that may be later, and the reserve is not given up for it.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidprod.blobs.disk import DiskBlobs
from vidprod.blobs.volume import apart
from vidprod.domain.pressure import Look, Pressure, judge
from vidprod.errors import VidProdError
from vidprod.services.machine import Machine
from vidprod.store.sqlite import Store
from vidprod.telemetry import log

EVERY_S = 5.0
PRESSED_EVERY_S = 1.0
RELIEVED_AFTER_S = 10.0  # of peace it is told: an encode that ends and the next that begins are no news

_logger = log.get(__name__)


class PressureWatch:
    """Runs until it is cancelled."""

    def __init__(
        self,
        *,
        store: Store,
        blobs: DiskBlobs,
        let_idle_go: Callable[[], None],
        now: Callable[[], int],
        machine: Machine | None = None,
    ) -> None:
        """
        Args:
            let_idle_go: ends the media children that wait for work. Called again and again.
            now: unix ms.
        """
        self.pressure = Pressure()
        self.may_begin = asyncio.Event()  # media work
        self.may_begin.set()
        self._store = store
        self._blobs = blobs
        self._log_file = Path(f"{store.path}-wal")
        self._let_idle_go = let_idle_go
        self._now = now
        self._machine = machine or Machine()
        self._told = self.pressure

    async def run(self) -> None:
        """Look again and again, and tell what changed."""
        while True:
            self.look()
            await self._tell()
            if self.pressure.of("log") != "ok":
                await self._write_something()
            await asyncio.sleep(EVERY_S if self.pressure.level == "ok" else PRESSED_EVERY_S)

    def look(self) -> Pressure:
        """How it stands now."""
        before = self.pressure
        self.pressure = pressure = judge(self._found(), before, now=self._now())
        if pressure.begins_media:
            self.may_begin.set()
        else:
            self.may_begin.clear()
        if pressure.of("memory") != "ok" or pressure.of("stall") != "ok":
            self._let_idle_go()
        if pressure.level != before.level:
            said = " ".join(cause.message for cause in pressure.causes) or "there is room again"
            _logger.warning("pressure", level=pressure.level, before=before.level, message=said)
        return pressure

    def _found(self) -> Look:
        volume = os.statvfs(self._blobs.root)
        database = apart(self._log_file.parent, root=self._blobs.root)
        memory = self._machine.memory()
        return Look(
            free_bytes=self._blobs.free_bytes(),
            floor_bytes=self._blobs.floor_bytes,
            promised_bytes=self._blobs.promised_bytes(),
            names=volume.f_favail if volume.f_files else None,  # 0: the file system has no such limit
            database_bytes=None if database is None else database.free_bytes,
            database_names=None if database is None else database.names,
            log_bytes=self._log_bytes(),
            memory_bytes=None if memory is None else memory.left_bytes,
            memory_limit_bytes=None if memory is None else memory.limit_bytes,
            stalled_percent=None if memory is None else memory.stalled_percent,
            files=self._machine.files(),
        )

    def _log_bytes(self) -> int:
        try:
            return self._log_file.stat().st_size
        except FileNotFoundError:
            return 0

    async def _tell(self) -> None:
        pressure, now = self.pressure, self._now()
        if pressure.level == self._told.level:
            return
        if pressure.level == "ok" and now - pressure.since < RELIEVED_AFTER_S * 1000:
            return
        event_type = "system.relieved" if pressure.level == "ok" else "system.pressure"
        data = _told_as(pressure)
        try:
            await self._store.write(lambda db: db.events.record(event_type, data=data, now=now))
        except VidProdError as error:  # at the next look
            _logger.debug("pressure cannot be told yet", error=str(error))
        else:
            self._told = pressure

    async def _write_something(self) -> None:
        """The log is folded after a commit, and perhaps nobody else makes one."""
        try:
            await self._store.pulse(now=self._now())
        except VidProdError as error:
            _logger.debug("the log cannot be folded yet", error=str(error))


def _told_as(pressure: Pressure) -> dict[str, Any]:
    causes = [
        {"thing": cause.thing, "level": cause.level, "message": cause.message, "hint": cause.hint}
        for cause in pressure.causes
    ]
    return {
        "level": pressure.level,
        "takes_uploads": pressure.takes_uploads,
        "begins_media": pressure.begins_media,
        "causes": causes,
    }
