"""The table of tus against both: the reference server, which shows that the table is right, and VidProd."""

import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.web.conftest import running
from tests.web.uploads.tus.cases import CASES, MAX_SIZE, Ask, Case

NODE = Path(__file__).resolve().parents[3] / "node"

on_one_loop = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Server:
    """Whoever is asked."""

    client: httpx.AsyncClient

    async def passes(self, case: Case) -> None:
        """Raises AssertionError where it does not."""
        kept = {"none": "/files/upl_00000000000000000000000000"}
        for number, ask in enumerate(case.asks):
            answer = await self._ask(ask, kept)
            told = (
                f"{ask.method} (request {number + 1}) → {answer.status_code} {dict(answer.headers)} {answer.text[:200]}"
            )
            statuses = ask.status if isinstance(ask.status, tuple) else (ask.status,)
            assert answer.status_code in statuses, told
            for name, expected in (ask.has or {}).items():
                value = answer.headers.get(name)
                assert value is not None, f"{name} is missing: {told}"
                assert expected(value) if callable(expected) else value == expected, f"{name}: {told}"
            for name in ask.lacks:
                assert name not in answer.headers, told
            if ask.keep and answer.status_code == 201:
                kept[ask.keep] = str(answer.url.join(answer.headers["location"]).raw_path, "ascii")

    async def _ask(self, ask: Ask, kept: dict[str, str]) -> httpx.Response:
        def filled(text: str) -> str:
            return re.sub(r"\$(\w+)", lambda found: kept[found[1]], text)

        given = {"Tus-Resumable": "1.0.0", **(ask.headers or {})}
        headers = {name: filled(value) for name, value in given.items() if value is not None}
        path = f"/files{ask.path}" if not ask.path.startswith("$") else filled(ask.path)
        content = ask.body if isinstance(ask.body, bytes) else _chunks(ask.body)
        return await self.client.request(ask.method, path, headers=headers, content=content)


async def _chunks(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def ours(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    root = tmp_path_factory.mktemp("ours")
    async with running(
        root, max_upload_bytes=MAX_SIZE, max_unfinished_uploads=10_000, requests_per_min=0, uploads_per_min=0
    ) as live:
        live.blobs.floor_bytes = 0
        yield Server(live.client)


@pytest.fixture(scope="module")
def reference_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    if shutil.which("node") is None or not (NODE / "node_modules" / "@tus" / "server").exists():
        pytest.skip("no node, or its packages are not installed: npm install --prefix tests/node")
    command = ["node", str(NODE / "tus_server.mjs"), str(tmp_path_factory.mktemp("reference"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def reference(reference_port: int) -> AsyncIterator[Server]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{reference_port}", verify=False, timeout=10) as client:
        yield Server(client)


def test_the_table_is_long_enough_and_says_each_thing_once() -> None:
    assert len(CASES) >= 90
    assert len({case.name for case in CASES}) == len(CASES)


@on_one_loop
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_vidprod_does_as_the_protocol_says(ours: Server, case: Case) -> None:
    if not case.ours_differs:
        await ours.passes(case)
        return
    with pytest.raises(AssertionError):
        await ours.passes(case)


@on_one_loop
@pytest.mark.parametrize("case", [case for case in CASES if not case.reference_varies], ids=lambda case: case.name)
async def test_so_does_the_reference_server(reference: Server, case: Case) -> None:
    if not case.reference_fails:
        await reference.passes(case)
        return
    with pytest.raises(AssertionError):
        await reference.passes(case)
