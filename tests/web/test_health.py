"""Alive, ready, and the numbers."""

import math
import shutil
from pathlib import Path

import pytest

from tests.web.conftest import Live, mp4, running
from vidprod.blobs.volume import Volume
from vidprod.errors import ChildDied, NoSpace
from vidprod.web import health, metrics


async def test_a_daemon_that_answers_is_alive(live: Live) -> None:
    live.child.append(ChildDied("no child today"))
    answer = await live.client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_ready_names_every_check(live: Live) -> None:
    answer = await live.client.get("/ready")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert {name: check["ok"] for name, check in answer.json()["checks"].items()} == {
        "store": True,
        "disk": True,
        "memory": True,
        "child": True,
    }


async def test_a_child_that_does_not_start_is_not_ready_and_says_why(live: Live) -> None:
    live.child.append(ChildDied("no child today"))
    answer = await live.client.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"]["child"] == {"ok": False, "detail": "no child today"}
    assert answer.json()["checks"]["store"]["ok"]


async def test_a_full_disk_is_degraded_and_within_reach(tmp_path: Path) -> None:
    """A proxy sends nobody to what answers 503, and deleting takes is what helps."""
    async with running(tmp_path, disk_floor_bytes=1 << 60) as live:
        answer = await live.client.get("/ready")
        assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
        assert "free" in answer.json()["checks"]["disk"]["detail"]


async def test_both_volumes_are_named_where_there_are_two(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    assert math.isnan((await numbers(live))["vidprod_database_disk_free_bytes"])
    for room in (health, metrics):
        monkeypatch.setattr(
            room, "apart", lambda _, root: Volume(total_bytes=1 << 30, free_bytes=7_000_000, names=None)
        )
    detail = (await live.client.get("/ready")).json()["checks"]["disk"]["detail"]
    assert detail.endswith("free, and 7.0 MB for the database")
    assert (await numbers(live))["vidprod_database_disk_free_bytes"] == 7_000_000


async def test_a_database_that_cannot_grow_is_degraded(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*, now: int) -> None:
        raise NoSpace

    monkeypatch.setattr(live.store, "pulse", full)
    answer = await live.client.get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert not answer.json()["checks"]["disk"]["ok"]


async def test_a_store_that_cannot_write_is_not_ready(live: Live) -> None:
    await live.store.write(lambda db: db.jobs._run("drop table pulse"))
    answer = await live.client.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"]["store"]["ok"] is False


async def test_metrics_count_uploads_requests_and_the_queue(live: Live) -> None:
    job_id = await live.upload()
    await live.client.put("/upload", content=b"text " * 2000)
    await live.client.get(f"/status/{job_id}")
    before = await numbers(live)
    await live.upload(mp4(7777))
    await live.client.put("/upload", content=b"text " * 2000)
    await live.client.get(f"/status/{job_id}")
    after = await numbers(live)

    def grew(name: str) -> float:
        return after[name] - before[name]

    assert grew('vidprod_uploads_total{outcome="stored"}') == 1
    assert grew('vidprod_uploads_total{outcome="refused"}') == 1
    assert grew("vidprod_upload_bytes_total") >= 7777 + 4096
    assert grew("vidprod_upload_seconds_count") == 1
    assert grew('vidprod_http_requests_total{method="GET",route="/status/{job_id}",status="200"}') == 1
    assert grew('vidprod_http_requests_total{method="PUT",route="/upload",status="415"}') == 1
    assert after['vidprod_queue_tasks{kind="probe",state="available"}'] == 2
    assert not any(job_id in name for name in after)  # ids must not become labels


async def test_the_room_on_the_volume_is_looked_at_when_the_numbers_are_asked_for(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = await numbers(live)
    assert 0 < shown["vidprod_disk_free_bytes"] < shown["vidprod_disk_total_bytes"]
    assert shown["vidprod_disk_total_bytes"] == shutil.disk_usage(live.blobs.root).total
    monkeypatch.setattr(live.blobs, "free_bytes", lambda: 4711)
    assert (await numbers(live))["vidprod_disk_free_bytes"] == 4711


async def numbers(live: Live) -> dict[str, float]:
    answer = await live.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_head_is_answered_wherever_get_is(live: Live) -> None:
    job_id = await live.upload()
    for path in ("/", "/health", "/ready", "/metrics", "/v1/jobs", f"/status/{job_id}", "/v1/events", "/openapi.json"):
        head, get = await live.client.head(path), await live.client.get(path)
        assert (head.status_code, head.content) == (200, b""), path
        assert head.headers["content-type"] == get.headers["content-type"]
    job = await live.client.head(f"/v1/jobs/{job_id}/segments.zip")
    assert job.status_code == 404
