"""Whatever the API's own document allows, and what it does not, is answered so, never by a fault of ours.

schemathesis reads /openapi.json and makes requests of it, in a process of its own. The server is a real one with a real
store, without the services that would send anything anywhere.
"""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import Live, running
from tests.web.made import complete
from tests.web.test_publications import ask, connect, plan

SEED = 20_261
# the one never ends by itself, the other asks a platform
LEFT_OUT = ("/v1/events/stream", "/v1/accounts/{account_id}/choices")


async def _seeded(live: Live) -> dict[str, str]:
    """Something of each noun, by the names of the document's parameters: else almost all ends in 404."""
    job_id = await live.upload()
    segment_id, *_ = await complete(live, job_id, segments=2)
    account_id = await connect(live)
    endpoint = await ask(live, "POST", "/v1/endpoints", status=201, url="https://hooks.example/in")
    publication = await plan(live, segment_id, account_id)
    delivery = await ask(live, "POST", f"/v1/endpoints/{endpoint['id']}/test", status=202)
    link: dict[str, Any] = (await live.client.post(f"/v1/segments/{segment_id}/link")).json()
    return {
        "job_id": job_id,
        "segment_id": segment_id,
        "account_id": account_id,
        "endpoint_id": endpoint["id"],
        "publication_id": publication["id"],
        "delivery_id": delivery["id"],
        "name": link["url"].rpartition("/")[2],
        "kind": "video",
    }


async def _examined(live: Live, folder: Path, *examined: str) -> tuple[int, int, str]:
    """The exit status of schemathesis, how many requests it made, and what it printed."""
    settings = folder / "schemathesis.toml"
    seeded = await _seeded(live)
    settings.write_text("[parameters]\n" + "".join(f'"path.{name}" = "{value}"\n' for name, value in seeded.items()))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings), "run"),
        *(f"{live.url}/openapi.json", "--checks", "not_a_server_error", "--seed", str(SEED)),
        *("--generation-database", "none", "--workers", "1", "--no-color", "--continue-on-failure"),
        *("--request-timeout", "10", "--warnings", "off", *examined),
        *(word for path in LEFT_OUT for word in ("--exclude-path", path)),
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out = (await process.communicate())[0].decode()
    assert process.returncode is not None
    made = re.search(r"(\d+) generated", out)
    return process.returncode, int(made[1]) if made else 0, out


async def test_no_request_of_the_document_is_a_server_error(tmp_path: Path) -> None:
    async with running(tmp_path / "data", access="open") as live:
        # what is deleted would be there for nothing that comes after it
        status, requests, out = await _examined(
            live, tmp_path, "--phases", "fuzzing", "--max-examples", "4", "--exclude-method", "DELETE"
        )
        assert status == 0, out
        assert requests > 150, out


@pytest.mark.soak
async def test_no_request_of_thousands_is_a_server_error(tmp_path: Path) -> None:
    async with running(tmp_path / "data", access="open") as live:
        status, requests, out = await _examined(live, tmp_path, "--phases", "coverage,fuzzing", "--max-examples", "6")
        print(out)
        assert status == 0, out
        assert requests > 2000, out
