"""Nightly backups: a child process makes them, so that the daemon carries neither their memory nor their imports, and
no second engine opens the database in it.

When the next one is due is known from a row, not from a timer: what was missed while nothing ran is made up for.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Sequence

import msgspec

from vidprod.config import Config
from vidprod.domain.backup import Standing, is_due
from vidprod.store.sqlite import Store, Tables
from vidprod.telemetry import log

LOOKS_EVERY_S = 60.0

_ENDS_WITHIN_S = 5.0
_SAID_BYTES = 2000  # of what the child says when it fails
_HANDED_ON = (
    "data_dir",
    "database_dir",
    "disk_floor_bytes",
    "secret_keys",
    "backup_passphrase",
    "backup_daily",
    "backup_weekly",
    "s3_endpoint",
    "s3_region",
)

_logger = log.get(__name__)


class _Made(msgspec.Struct, frozen=True):
    where: str
    size: int
    made_at: int
    missing: list[str]
    removed: list[str]
    seconds: float


class Backups:
    """Its `look` is a round of `Timers`, where the setting `backup_to` names a place."""

    def __init__(
        self, store: Store, config: Config, *, now: Callable[[], int], command: Sequence[str] | None = None
    ) -> None:
        """
        Args:
            now: unix ms of the wall clock.
            command: what makes one; tests bring their own.
        """
        self._store = store
        self._config = config
        self._now = now
        self._command = command or (sys.executable, "-m", "vidprod", "backup")

    async def look(self) -> None:
        """Make one, if it is time. One read where it is not."""
        now = self._now()
        standing = await self._store.read(lambda db: db.facts.backup())
        if standing is None:
            standing = Standing(since=now)
            first = standing
            await self._store.write(lambda db: db.facts.set_backup(first))
        if not is_due(standing, at=self._config.backup_at, now=now):
            return
        code, out, said = await self._run()
        try:
            if code:
                raise ValueError(said)
            made = msgspec.json.decode(out, type=_Made)
        except (ValueError, msgspec.DecodeError) as error:
            await self._failed(standing, str(error) or f"it ended with {code}")
        else:
            await self._completed(standing, made)

    async def _run(self) -> tuple[int, bytes, str]:
        """The exit code, and what was said; in the end nothing of it runs."""
        arguments = [self._config.backup_to, "--rotate", "--json"]
        arguments += ["--media"] if self._config.backup_media == "yes" else []
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *arguments,
            env=_environment(self._config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await process.communicate()
        finally:
            await _end(process)
        return process.returncode or 0, out, _last_words(err)

    async def _completed(self, standing: Standing, made: _Made) -> None:
        good = msgspec.structs.replace(
            standing, at=made.made_at, where=made.where, size=made.size, failed_at=None, fault=""
        )
        data = {"where": made.where, "size": made.size, "missing": len(made.missing), "removed": made.removed}

        def write(db: Tables) -> None:
            db.facts.set_backup(good)
            db.events.record("backup.completed", data=data, now=self._now())

        await self._store.write(write)
        _logger.info("backup made", where=made.where, size=made.size, seconds=made.seconds)

    async def _failed(self, standing: Standing, fault: str) -> None:
        failed = msgspec.structs.replace(standing, failed_at=self._now(), fault=fault)

        def write(db: Tables) -> None:
            db.facts.set_backup(failed)
            db.events.record("backup.failed", data={"fault": fault}, now=self._now())

        await self._store.write(write, urgent=True)
        _logger.error("no backup was made", fault=fault)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_ENDS_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _environment(config: Config) -> dict[str, str]:
    """Of the child: ours, with the settings as this process has them. Secrets go no other way: a command line can be
    read by everybody."""
    handed = dict(os.environ)
    for name in _HANDED_ON:
        value = getattr(config, name)
        handed[f"VIDPROD_{name.upper()}"] = ",".join(value) if isinstance(value, tuple) else str(value)
    return handed


def _last_words(err: bytes) -> str:
    text = err[-_SAID_BYTES:].decode(errors="replace").strip()
    return " ".join(text.removeprefix("vidprod: ").split())
