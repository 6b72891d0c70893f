"""The share sheet where no service worker took it, and the worker itself."""

import re

import msgspec
import pytest

from tests.web.conftest import Live, mp4
from tests.web.test_forms import FILE, HEADERS, form, part
from vidprod.web.pages import static_directory

SHEET = {**HEADERS, "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Accept": "text/html"}


async def test_a_shared_video_becomes_a_job_and_the_page_is_shown(live: Live) -> None:
    answer = await live.client.post("/share", content=form(FILE), headers=SHEET)
    assert (answer.status_code, answer.headers["location"]) == (303, "/#takes")
    (job,) = (await live.client.get("/v1/jobs")).json()["jobs"]
    assert job["source"]["filename"] == "take.mov"
    assert live.blobs.source_path(job["source"]["video_id"], "mp4").read_bytes() == mp4(50_000)


@pytest.mark.parametrize(
    "origin",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_another_site_shares_nothing(live: Live, origin: dict[str, str]) -> None:
    """Else it could have what it likes published."""
    answer = await live.client.post("/share", content=form(FILE), headers={**HEADERS, **origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert (await live.client.get("/v1/jobs")).json()["jobs"] == []


async def test_what_is_no_video_is_refused_when_it_is_shared_too(live: Live) -> None:
    answer = await live.client.post("/share", content=form(part("file", b"text", filename="a.txt")), headers=SHEET)
    assert (answer.status_code, answer.json()["code"]) == (415, "not_a_video")


async def test_the_service_worker_knows_the_page_and_a_version_of_it(live: Live) -> None:
    answer = await live.client.get("/sw.js")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["service-worker-allowed"] == "/"
    told = re.match(r"const SHELL = (.*);\n", answer.text)
    assert told
    shell = msgspec.json.decode(told[1])
    assert set(shell["files"]) == {f"/static/{path.name}" for path in static_directory().iterdir()} - {"/static/sw.js"}
    assert re.fullmatch(r"[0-9a-f]{16}", shell["version"])
    for path in shell["files"]:
        assert (await live.client.get(path)).status_code == 200, path
    again = await live.client.get("/sw.js", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


async def test_another_file_of_the_page_makes_another_worker(monkeypatch: pytest.MonkeyPatch, live: Live) -> None:
    """Browsers look for a new one by its bytes alone."""
    before = (await live.client.get("/sw.js")).text
    read_bytes = type(static_directory()).read_bytes
    monkeypatch.setattr(
        type(static_directory()), "read_bytes", lambda path: read_bytes(path) + b" " * (path.name == "jobs.js")
    )
    after = (await live.client.get("/sw.js")).text
    assert before != after
    assert before.partition("\n")[2] == after.partition("\n")[2]
