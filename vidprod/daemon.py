"""The daemon: builds every object, opens in order, runs the services, closes in reverse.

One daemon to a data directory. SIGTERM or SIGINT: no more requests, streams end, tasks are given back, and all is
closed within 10 s. Raises what stops it; the command line turns that into an exit code.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from vidprod.blobs.disk import DiskBlobs
from vidprod.config import Config
from vidprod.domain.ids import new_id
from vidprod.errors import ForeignVolume
from vidprod.place import DATABASE, RESTORING, address, database_path, now_ms, only_daemon
from vidprod.platforms.registry import Platforms
from vidprod.services.backups import LOOKS_EVERY_S, Backups
from vidprod.services.child import ChildHost
from vidprod.services.clock import Clock
from vidprod.services.connect import Connector
from vidprod.services.deliverer import Deliverer
from vidprod.services.keeper import EVERY_S, Keeper
from vidprod.services.machine import give_large_memory_back, raise_file_limit
from vidprod.services.pressure import PressureWatch
from vidprod.services.pruner import Pruner, take_up_uploads
from vidprod.services.public import PublicAddress
from vidprod.services.publisher import Publisher
from vidprod.services.pusher import Pusher
from vidprod.services.scheduler import Scheduler
from vidprod.services.timers import Timers
from vidprod.services.worker import Worker
from vidprod.store.sqlite import Store
from vidprod.telemetry import log
from vidprod.vault import open_vault
from vidprod.web.app import create_app
from vidprod.web.server import serve

_logger = log.get(__name__)


async def run(config: Config, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        ready: called with the page's address when requests are taken.
    Raises:
        Unavailable: another daemon works on this data directory.
        StoreError: the database or the volume cannot be used as it is.
        OSError: the directory cannot be written, or the address not listened on.
    """
    root = _make_directory(config.data_dir)
    booted_at = now_ms()
    give_large_memory_back()
    raise_file_limit()  # distributions leave 1,024: uploads, streams and whoever only holds a connection take more
    async with AsyncExitStack() as opened:
        opened.enter_context(only_daemon(root))
        blobs = DiskBlobs(root, floor_bytes=config.disk_floor_bytes)
        opened.callback(blobs.close)
        blobs.open()
        database = database_path(config)
        refuse_foreign_volume(root, blobs, database=database)
        store = await opened.enter_async_context(await Store.open(database, now=booted_at, reserve_dir=root))
        host = await opened.enter_async_context(
            ChildHost(
                children=config.children,
                idle_s=config.child_idle_s,
                stall_factor=config.stall_factor,
                step_floor_s=config.step_floor_s,
            )
        )
        await take_up_uploads(store, blobs)
        clock = Clock(speed=config.clock_speed, since=config.clock_since or None, wall=now_ms)
        watch = PressureWatch(store=store, blobs=blobs, let_idle_go=host.let_idle_go, now=now_ms)
        worker = Worker(
            store=store,
            blobs=blobs,
            host=host,
            config=config,
            boot_id=new_id("boot", now=booted_at),
            now=now_ms,
            clock=clock.now,
            may_begin=watch.may_begin,
        )
        await worker.rescue()
        pruner = Pruner(store=store, blobs=blobs, config=config, now=now_ms)
        timers = Timers()
        timers.every(config.prune_every_s, pruner.prune, name="prune")
        vault = open_vault(root, config.secret_keys)
        platforms = Platforms(config, now=clock.now)
        opened.push_async_callback(platforms.close)
        keeper = Keeper(store, vault, platforms, clock)
        opened.push_async_callback(keeper.close)
        timers.every(max(1.0, EVERY_S / config.clock_speed), keeper.refresh_due, name="accounts")
        deliverer = Deliverer(store=store, vault=vault, config=config, clock=clock)
        pusher = Pusher(store=store, vault=vault, config=config, clock=clock)
        public = PublicAddress(config=config, vault=vault, wire=platforms.wire, now=now_ms)
        publisher = Publisher(store, blobs, keeper, platforms, vault, config, clock, public=public)
        scheduler = Scheduler(store, config, clock)
        timers.every(scheduler.every_s, scheduler.look, name="schedule")
        if config.backup_to:
            backups = Backups(store, config, now=now_ms)
            timers.every(LOOKS_EVERY_S, backups.look, name="backup")
        connects = Connector(store, vault, platforms, keeper, config=config, clock=clock, now=now_ms)

        def warm() -> None:
            if watch.pressure.level == "ok":  # what comes in under pressure waits for its child
                host.warm()

        app = create_app(
            store, blobs, config, host.check, warm, now_ms, vault=vault, connects=connects, clock=clock.now, watch=watch
        )

        await app.state.door.mode()  # where it has to be set up, the log says with which code

        def announce(port: int) -> None:
            took_s = (now_ms() - booted_at) / 1000
            _logger.info("ready", address=address(config.host, port), data=str(root), seconds=took_s)
            if ready is not None:
                ready(address(config.host, port))

        with _stop_signals() as stop:
            services = [watch.run(), worker.run(), timers.run(), deliverer.run(), pusher.run(), publisher.run()]
            serving = serve(app, config.host, config.port, announce, stop, drain_s=config.drain_s)
            await _together(serving, services, stop)
    _logger.info("stopped")


def _make_directory(name: str) -> Path:
    root = Path(name).absolute()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return root


async def _together(
    serving: Coroutine[Any, Any, None], services: list[Coroutine[Any, Any, None]], stop: asyncio.Event
) -> None:
    """Serve, with the services beside it, until `stop`; they end while the last answers are still given."""
    try:
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(service) for service in services]
            group.create_task(_cancel_at(stop, working))
            await serving
            stop.set()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None


async def _cancel_at(stop: asyncio.Event, working: list[asyncio.Task[None]]) -> None:
    await stop.wait()
    for task in working:
        task.cancel()


def refuse_foreign_volume(root: Path, blobs: DiskBlobs, *, database: Path) -> None:
    """Media without their database: a wrong mount or a lost file, and nothing that a new database should hide; or a
    restore that was cut short."""
    if (root / RESTORING).exists():
        raise ForeignVolume(
            f"{root} was being restored, and that was cut short",
            code="half_restored",
            hint="Run `vidprod restore --force` again.",
        )
    if database.exists() and database.stat().st_size:
        return
    if media := sorted(blobs.stored_videos() | blobs.stored_jobs()):
        raise ForeignVolume(
            f"{root} holds media ({media[0]} and {len(media) - 1} more), but no database",
            hint=f"Bring {DATABASE} back from a backup, or move {root / 'media'} away.",
        )


@contextlib.contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
