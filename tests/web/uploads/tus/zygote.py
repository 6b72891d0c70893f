"""Servers that start in milliseconds, to be killed: `python -m tests.web.uploads.tus.zygote DIRECTORY [VARIANT]`.

It has everything imported and the routes read. For each line on its input it forks a server on the directory, as the
last one left it, and prints that one's process id and port. VARIANT names a known-bad server.
"""

import asyncio
import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any, TextIO

from tests.web.conftest import running
from vidprod.blobs.disk import DiskBlobs
from vidprod.blobs.partial import Partial
from vidprod.services.pruner import take_up_uploads
from vidprod.store.sqlite import Store
from vidprod.web.app import routed

LATE_S = 0.05


def record_first() -> None:
    """The offset is recorded a moment before its bytes are written."""
    discard = Partial.discard

    async def say_so(self: Partial) -> int:
        return self.size

    async def write_then(self: Partial) -> None:
        await asyncio.sleep(LATE_S)
        if not self.committed:
            await self._flush()
        await discard(self)

    Partial.keep = say_so  # type: ignore[method-assign]
    Partial.discard = write_then  # type: ignore[assignment, method-assign]


async def serve(root: Path, out: TextIO) -> None:
    blobs = DiskBlobs(root, floor_bytes=0)
    blobs.open()
    async with await Store.open(root / "vidprod.db", now=0, reserve_bytes=1 << 20) as store:
        await take_up_uploads(store, blobs)
    blobs.close()
    settings: dict[str, Any] = {
        "requests_per_min": 0,
        "uploads_per_min": 0,
        "max_uploads": 1000,
        "max_unfinished_uploads": 1000,
        "disk_floor_bytes": 0,
        "log_level": "error",
    }
    async with running(root, **settings) as live:
        print(os.getpid(), live.port, file=out, flush=True)
        await live.serving


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever is killed leaves nothing to wait for
    if len(sys.argv) > 2:
        {"record_first": record_first}[sys.argv[2]]()
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # where else its log would go
    routed()
    gc.freeze()  # a collection would copy every page
    for _ in sys.stdin:
        if os.fork() == 0:
            sys.stdin.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            asyncio.run(serve(Path(sys.argv[1]), told))
