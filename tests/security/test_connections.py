"""Who only connects, and says nothing, keeps nobody from working."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.cli.running import command, environment
from tests.web.conftest import mp4
from vidprod.cli.serve import READY

DESCRIPTORS = 300  # that the daemon may have; about 40 of them are open at rest


@contextmanager
def _serving(folder: Path, *, descriptors: int) -> Iterator[str]:
    """A daemon that may open so many files and connections; its address."""
    limited = ["bash", "-c", f'ulimit -n {descriptors} && exec "$@"', "-"]
    daemon = subprocess.Popen(
        [*limited, *command("serve", "--port", "0", "--data-dir", folder / "data")],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert daemon.stdout is not None
        yield next(line for line in daemon.stdout if READY in line).rpartition(" ")[2].strip()
    finally:
        daemon.terminate()
        daemon.communicate(timeout=20)


async def test_many_silent_connections_keep_no_upload_from_its_file(tmp_path: Path) -> None:
    with _serving(tmp_path, descriptors=DESCRIPTORS) as address:
        port = urlsplit(address).port
        async with httpx.AsyncClient(base_url=address, timeout=20) as client:
            assert (await client.get("/health")).status_code == 200  # a connection that stays
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(DESCRIPTORS + 50)]
            for number in range(5):
                answer = await client.put("/upload", content=mp4(200_000), params={"filename": f"{number}.mp4"})
                assert answer.status_code == 202, answer.text
                assert (await client.get("/ready")).status_code == 200
            for _, writer in silent:
                writer.close()
        async with httpx.AsyncClient(base_url=address, timeout=20) as later:
            assert (await later.get("/health")).status_code == 200
