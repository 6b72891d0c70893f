"""A real server on a real port, with a real store and a real volume, in the test's own loop."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.store.given import prepared
from vidprod.blobs.disk import DiskBlobs
from vidprod.config import Config
from vidprod.platforms.registry import Platforms
from vidprod.platforms.wire import Wire
from vidprod.services.clock import Clock
from vidprod.services.connect import Connector
from vidprod.services.keeper import Keeper
from vidprod.store.sqlite import Store
from vidprod.vault import Vault, open_vault
from vidprod.web.app import App, create_app
from vidprod.web.desk import Watch
from vidprod.web.server import serve

MP4_HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41" + b"\x00\x00\x00\x08free"


def mp4(size: int) -> bytes:
    """What the first look takes for an MP4, `size` bytes long."""
    return (MP4_HEAD + bytes(range(256)) * (size // 256 + 1))[:size]


@dataclass
class Live:
    """A daemon's HTTP side that runs."""

    store: Store
    blobs: DiskBlobs
    config: Config
    port: int
    client: httpx.AsyncClient
    stop: asyncio.Event
    serving: "asyncio.Task[None]"
    vault: Vault
    keeper: Keeper
    connects: Connector
    app: App
    child: list[Exception] = field(default_factory=list)  # what the check of the media child raises, if anything
    warmed: list[int] = field(default_factory=list)  # when the media child was asked to be up, unix ms

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def files(self) -> set[str]:
        """Every file of an upload, a source or a segment, below the data directory."""
        root = self.blobs.root
        return {
            str(path.relative_to(root))
            for directory in ("incoming", "media")
            for path in (root / directory).rglob("*")
            if path.is_file()
        }

    async def curl(self, *arguments: str, stdin: bytes | None = None) -> tuple[int, str]:
        """Real curl: its exit status and what it printed."""
        process = await asyncio.create_subprocess_exec(
            "curl",
            "-sS",
            "--max-time",
            "30",
            *arguments,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate(stdin)
        assert process.returncode is not None
        return process.returncode, out.decode()

    async def upload(self, body: bytes | None = None, **query: Any) -> str:
        """A job's id."""
        answer = await self.client.put("/upload", params=query, content=body or mp4(10_000))
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["job_id"]
        return job_id

    async def receiving(self) -> None:
        """Wait until an upload's file is there, half received: what stays behind would be seen."""
        for _ in range(1000):
            if any(path.startswith("incoming/") for path in self.files()):
                return
            await asyncio.sleep(0.01)
        raise TimeoutError("no upload began")

    async def left_over(self) -> set[str]:
        """`files()`, once no upload is under way any more; the files that stay when that never comes."""
        for _ in range(200):
            if not self.files():
                break
            await asyncio.sleep(0.01)
        return self.files()


@asynccontextmanager
async def running(
    root: Path, *, drain_s: float = 2.0, wire: Wire | None = None, watch: Watch | None = None, **settings: Any
) -> AsyncIterator[Live]:
    """A server with these settings, on a free port.

    Args:
        wire: the way to platforms.
        watch: over disk and memory; None: there is never any pressure.
    """
    config = Config(data_dir=str(root), disk_floor_bytes=1 << 20, access="open")  # who gets in: tests/web/test_auth.py
    config = msgspec.structs.replace(config, **settings)
    child: list[Exception] = []
    warmed: list[int] = []

    async def child_check() -> None:
        for error in child:
            raise error

    def now() -> int:
        return time.time_ns() // 1_000_000

    blobs = DiskBlobs(root, floor_bytes=config.disk_floor_bytes)
    blobs.open()
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with await Store.open(prepared(root / "vidprod.db"), now=now(), reserve_bytes=1 << 20) as store:
        vault = open_vault(root, config.secret_keys)
        clock = Clock(speed=config.clock_speed, since=config.clock_since or None, wall=now)
        platforms = Platforms(config, now=clock.now, wire=wire)
        keeper = Keeper(store, vault, platforms, clock)
        connects = Connector(store, vault, platforms, keeper, config=config, clock=clock, now=now)
        app = create_app(
            store,
            blobs,
            config,
            child_check,
            lambda: warmed.append(now()),
            now,
            vault=vault,
            connects=connects,
            clock=clock.now,
            watch=watch,
        )
        serving = asyncio.create_task(serve(app, "127.0.0.1", 0, port.set_result, stop, drain_s=drain_s))
        waiting: set[asyncio.Future[Any]] = {serving, port}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        base_url = f"http://127.0.0.1:{port.result()}"
        async with httpx.AsyncClient(base_url=base_url, timeout=20, verify=False) as client:
            yield Live(
                store=store,
                blobs=blobs,
                config=config,
                port=port.result(),
                client=client,
                stop=stop,
                serving=serving,
                vault=vault,
                keeper=keeper,
                connects=connects,
                app=app,
                child=child,
                warmed=warmed,
            )
        stop.set()
        await serving
        await keeper.close()
        await platforms.close()
    blobs.close()


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    async with running(tmp_path) as server:
        yield server
