"""Under pressure: new uploads are refused with a reason, everything else goes on, and it is said where people look."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.web import made
from tests.web.conftest import Live, mp4, running
from tests.web.test_health import numbers
from vidprod.domain.pressure import Cause, Level, Pressure, Thing
from vidprod.errors import ChildDied

TUS = {"Tus-Resumable": "1.0.0"}


class Watch:
    """Says what the test wants it to."""

    def __init__(self) -> None:
        self.pressure = Pressure()
        self.found: Pressure | None = None  # by the next look, where that is something else

    def look(self) -> Pressure:
        self.pressure = self.found or self.pressure
        return self.pressure

    def press(self, thing: Thing, level: Level) -> None:
        cause = Cause(thing=thing, level=level, message=f"There is too little {thing}.", hint="Delete takes.")
        self.pressure = Pressure(level=level, since=1_000, causes=[cause])


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def live(tmp_path: Path, watch: Watch) -> AsyncIterator[Live]:
    async with running(tmp_path, watch=watch) as server:
        yield server


async def begin(live: Live, size: int = 5000) -> httpx.Response:
    name = base64.b64encode(b"take.mp4").decode()
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": f"filename {name}"}
    return await live.client.post("/files/", headers=headers)


async def uploads(live: Live) -> list[httpx.Response]:
    """One through each door."""
    return [
        await live.client.put("/upload?filename=take.mp4", content=mp4(5000)),
        await live.client.post("/upload", files={"file": ("take.mp4", mp4(5000))}),
        await begin(live),
    ]


@pytest.mark.parametrize("thing", ["space", "names", "log"])
async def test_no_door_takes_an_upload_while_the_disk_is_tight(live: Live, watch: Watch, thing: Thing) -> None:
    watch.press(thing, "tight")
    for answer in await uploads(live):
        assert answer.status_code == 507
        told = answer.json()
        assert (told["code"], told["detail"], told["hint"]) == (
            "no_space",
            f"There is too little {thing}.",
            "Delete takes.",
        )
        assert answer.headers["retry-after"] == "3600"  # nothing goes by itself here
    assert live.files() == set()


async def test_who_is_refused_hears_when_something_will_go(live: Live, watch: Watch) -> None:
    """A take that is done is kept for a day; the pruner comes every five minutes."""
    size = (live.config.disk_floor_bytes // 2) + 4096
    job_id = await live.upload(mp4(size))
    await made.complete(live, job_id)
    live.blobs.floor_bytes = live.blobs.free_bytes()
    watch.press("space", "tight")
    answer = await live.client.put("/upload?filename=take.mp4", content=mp4(5000))
    assert answer.status_code == 507
    assert 86_400 < int(answer.headers["retry-after"]) <= 86_400 + 300


@pytest.mark.parametrize(
    ("thing", "code"), [("memory", "low_memory"), ("stall", "low_memory"), ("files", "too_many_files")]
)
async def test_nor_while_memory_or_descriptors_are(live: Live, watch: Watch, thing: Thing, code: str) -> None:
    watch.press(thing, "tight")
    for answer in await uploads(live):
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, code, "30")


async def test_nobody_is_refused_for_what_is_over(live: Live, watch: Watch) -> None:
    watch.press("space", "strained")
    watch.found = Pressure()
    assert [answer.status_code for answer in await uploads(live)] == [202, 202, 201]


async def test_an_upload_that_was_begun_goes_on(live: Live, watch: Watch) -> None:
    """Its room is set aside."""
    place = (await begin(live)).headers["location"]
    watch.press("space", "strained")
    headers = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    answer = await live.client.patch(place, content=mp4(5000), headers=headers)
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "5000")


async def test_reading_and_deleting_go_on(live: Live, watch: Watch) -> None:
    job_id = await live.upload()
    await made.complete(live, job_id)
    watch.press("space", "strained")
    assert (await live.client.get("/")).status_code == 200
    assert (await live.client.get("/v1/jobs")).json()["jobs"][0]["job_id"] == job_id
    assert (await live.client.delete(f"/v1/jobs/{job_id}")).status_code == 204
    assert live.files() == set()


@pytest.mark.parametrize("level", ["tight", "strained"])
@pytest.mark.parametrize(("thing", "check"), [("space", "disk"), ("memory", "memory")])
async def test_ready_keeps_the_page_within_reach(
    live: Live, watch: Watch, level: Level, thing: Thing, check: str
) -> None:
    watch.press(thing, level)
    answer = await live.client.get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"][check] == {"ok": False, "detail": f"There is too little {thing}."}


async def test_ready_starts_no_child_while_the_machine_is_strained(live: Live, watch: Watch) -> None:
    live.child.append(ChildDied("there is no memory for a child"))
    watch.press("memory", "strained")
    assert (await live.client.get("/ready")).json()["checks"]["child"]["ok"]
    watch.press("memory", "tight")
    assert (await live.client.get("/ready")).status_code == 503


async def test_it_is_said_in_words_and_in_numbers(live: Live, watch: Watch) -> None:
    calm: dict[str, Any] = {"level": "ok", "since": None, "takes_uploads": True, "begins_media": True, "causes": []}
    assert (await live.client.get("/v1/pressure")).json() == calm
    watch.press("names", "strained")
    told = (await live.client.get("/v1/pressure")).json()
    [cause] = told.pop("causes")
    assert told == {
        "level": "strained",
        "since": "1970-01-01T00:00:01.000Z",
        "takes_uploads": False,
        "begins_media": False,
    }
    assert (cause["thing"], cause["level"], cause["hint"]) == ("names", "strained", "Delete takes.")
    shown = await numbers(live)
    assert shown['vidprod_pressure{thing="names"}'] == 2
    assert shown['vidprod_pressure{thing="memory"}'] == 0


async def test_a_step_that_waits_for_the_machine_says_so(live: Live, watch: Watch) -> None:
    job_id = await live.upload()
    watch.press("memory", "tight")
    assert (await live.client.get(f"/status/{job_id}")).json()["steps"][0]["pause"] is None
    watch.press("memory", "strained")
    for job in (
        (await live.client.get(f"/status/{job_id}")).json(),
        (await live.client.get("/v1/jobs")).json()["jobs"][0],
    ):
        assert job["steps"][0]["pause"] == {
            "code": "low_memory",
            "message": "There is too little memory.",
            "since": "1970-01-01T00:00:01.000Z",
            "next_attempt_at": None,
        }
        assert [step["pause"] for step in job["steps"][1:]] == [None] * (len(job["steps"]) - 1)


async def test_a_segment_that_waits_to_be_made_again_says_so(live: Live, watch: Watch) -> None:
    job_id = await live.upload()
    [segment_id, _] = await made.complete(live, job_id)
    answer = await live.client.post(f"/v1/segments/{segment_id}/render", json={"gaze": "off"})
    assert answer.status_code == 202
    watch.press("space", "strained")
    job = (await live.client.get(f"/status/{job_id}")).json()
    assert job["segments"][0]["remake"]["pause"]["code"] == "no_space"
    assert all(step["pause"] is None for step in job["steps"])
