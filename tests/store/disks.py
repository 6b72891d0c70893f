"""Disks for SQLite to stand on: one that fails at the n-th call, one that remembers what a power cut would leave."""

import os
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512  # bytes that a disk writes whole or not at all


class FailingDisk(apsw.VFS):
    """Raises from the n-th writing call on, once or for ever. Reads always work."""

    def __init__(self, name: str) -> None:
        self.calls = 0
        self._first: int | None = None
        self._last = 0
        self._error: type[apsw.Error] = apsw.IOError
        super().__init__(name, "")

    def fail(self, *, call: int, error: type[apsw.Error], for_ever: bool) -> None:
        """The `call`-th call from now on, counted from 0, raises `error`."""
        self.calls = 0
        self._first = call
        self._last = 1 << 60 if for_ever else call
        self._error = error

    def heal(self) -> bool:
        """Stop failing. Whether the failure was reached."""
        reached = self._first is not None and self.calls > self._first
        self._first = None
        return reached

    def count(self) -> None:
        """One writing call."""
        number = self.calls
        self.calls += 1
        if self._first is not None and self._first <= number <= self._last:
            raise self._error(f"call {number} fails on purpose")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _FailingFile(self, name, flags)


class _FailingFile(apsw.VFSFile):
    def __init__(self, disk: FailingDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.count()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self._disk.count()
        super().xSync(flags)

    def xTruncate(self, size: int) -> None:
        self._disk.count()
        super().xTruncate(size)


class RememberingDisk(apsw.VFS):
    """Works, and remembers each write, sync and truncation in order, with the marks that are put between them."""

    def __init__(self, name: str) -> None:
        self.log: list[tuple[Any, ...]] = []
        super().__init__(name, "")

    def mark(self, what: object) -> None:
        """Put `what` behind everything that was written so far."""
        self.log.append(("mark", what))

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _RememberingFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.log.append(("delete", os.path.basename(filename)))
        super().xDelete(filename, syncdir)


class _RememberingFile(apsw.VFSFile):
    def __init__(self, disk: RememberingDisk, name: Any, flags: list[int]) -> None:
        self._log = disk.log
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = os.path.basename(path or "")
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._log.append(("write", self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._log.append(("sync", self._name))

    def xTruncate(self, size: int) -> None:
        self._log.append(("truncate", self._name, size))
        super().xTruncate(size)


class Wreck:
    """What is on the disk when the power goes: all that was synced, and any part of the rest."""

    def __init__(self, log: list[tuple[Any, ...]]) -> None:
        self._log = log
        self._at = 0
        self._durable: dict[str, bytearray] = defaultdict(bytearray)
        self._pending: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self.last_mark: object = None

    def advance(self, to: int) -> None:
        """The power holds until entry `to` of the log."""
        for entry in self._log[self._at : to]:
            self._take(entry)
        self._at = to

    def leave(self, folder: Path, dice: random.Random) -> None:
        """Write what is left into `folder`: of each file's unsynced writes, a random share of the sectors."""
        for name in {*self._durable, *self._pending}:
            content = bytearray(self._durable.get(name, b""))
            share = dice.choice((0.0, dice.random(), 1.0))
            for change in self._pending.get(name, []):
                _apply_some(content, change, share, dice)
            if not name.endswith("-shm"):
                (folder / name).write_bytes(content)

    def _take(self, entry: tuple[Any, ...]) -> None:
        kind, name, *rest = entry
        if kind == "mark":
            self.last_mark = name
        elif kind == "delete":
            self._durable.pop(name, None)
            self._pending.pop(name, None)
        elif kind == "sync":
            for change in self._pending.pop(name, []):
                _apply(self._durable[name], change)
        else:
            self._pending[name].append((kind, *rest))


def _apply(content: bytearray, change: tuple[Any, ...]) -> None:
    if change[0] == "truncate":
        del content[change[1] :]
        return
    _, offset, data = change
    content.extend(bytes(max(0, offset + len(data) - len(content))))
    content[offset : offset + len(data)] = data


def _apply_some(content: bytearray, change: tuple[Any, ...], share: float, dice: random.Random) -> None:
    if change[0] == "truncate":
        if dice.random() < share:
            _apply(content, change)
        return
    _, offset, data = change
    for start in range(0, len(data), SECTOR):
        if dice.random() < share:
            _apply(content, ("write", offset + start, data[start : start + SECTOR]))
