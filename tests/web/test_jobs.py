"""Jobs over HTTP."""

import asyncio
from typing import Any

import pytest

from tests.web.conftest import Live
from tests.web.made import complete, now_ms, start
from vidprod.domain.job import Fault
from vidprod.domain.task import AttemptError, TaskKind
from vidprod.store.sqlite import Tables
from vidprod.web.moments import moment

NOBODY = "job_00000000000000000000000000"


async def _status(live: Live, job_id: str) -> dict:  # type: ignore[type-arg]
    answer = await live.client.get(f"/status/{job_id}")
    assert answer.status_code == 200
    return dict(answer.json())


async def test_a_new_job_shows_what_will_be_done(live: Live) -> None:
    job_id = await live.upload(filename="take.mov", segment_s=45)
    job = await _status(live, job_id)
    assert job["state"] == "queued"
    assert job["progress"] == 0.0
    assert job["source"]["info"] is None
    assert [(step["name"], step["state"]) for step in job["steps"]] == [
        ("probe", "available"),
        ("plan", "waiting"),
        ("track", "waiting"),
        ("render", "waiting"),
    ]
    assert [step["errors"] for step in job["steps"]] == [[], [], [], []]
    assert job["segments"] == []
    assert job["error"] is None
    assert job["events_url"] == f"/v1/events/stream?job_id={job_id}"
    assert job["created_at"].endswith("Z")
    assert "T" in job["created_at"]
    assert (await live.client.get(f"/v1/jobs/{job_id}")).json() == job


@pytest.mark.parametrize("asked", [{"gaze": "off", "frame": "blur"}, {"video": "copy"}, {"gaze": "0", "frame": "fill"}])
async def test_a_job_that_does_nothing_for_faces_does_not_look_for_them(live: Live, asked: dict[str, Any]) -> None:
    job = await _status(live, await live.upload(**asked))
    assert [step["name"] for step in job["steps"]] == ["probe", "plan", "render"]


async def test_a_job_from_before_faces_were_followed_shows_no_step_for_it(live: Live) -> None:
    job_id = await live.upload()

    def at_its_render(db: Tables) -> None:
        db.jobs.start(job_id, now=now_ms())
        for kind in ("probe", "plan"):
            task = db.tasks.claim(boot_id="b", token="t", lease_ms=1000, now=now_ms())
            assert task is not None
            db.tasks.complete(task, now=now_ms())
            following: TaskKind = "plan" if kind == "probe" else "render"
            db.tasks.enqueue(following, job_id=job_id, priority="normal", run_at=now_ms(), max_attempts=5, now=now_ms())

    await live.store.write(at_its_render)
    job = await _status(live, job_id)
    assert [step["name"] for step in job["steps"]] == ["probe", "plan", "render"]
    assert job["progress"] == 10.0


async def test_a_running_job_shows_how_far_it_is(live: Live) -> None:
    job_id = await live.upload()
    await start(live, job_id)
    job = await _status(live, job_id)
    assert job["state"] == "processing"
    assert job["started_at"]
    assert job["steps"][0]["state"] == "running"
    assert job["steps"][0]["progress"] == 50.0
    assert job["progress"] == 1.0  # half of the probe, which is 2 % of a job


async def test_a_finished_job_shows_every_segment_with_its_files(live: Live) -> None:
    job_id = await live.upload()
    first, second = await complete(live, job_id)
    job = await _status(live, job_id)
    assert (job["state"], job["progress"], job["warnings"]) == ("completed", 100.0, ["one warning"])
    assert [segment["segment_id"] for segment in job["segments"]] == [first, second]
    segment = job["segments"][1]
    assert (segment["index"], segment["in_us"], segment["out_s"]) == (1, 60_000_000, 120.0)
    assert segment["duration_s"] == 59.966666
    assert (segment["width"], segment["height"], segment["fps"], segment["frames"]) == (1080, 1920, "30", 1799)
    assert (segment["loudness_lufs"], segment["true_peak_dbtp"]) == (-14.1, -1.4)
    for name in ("video_url", "download_url", "poster_url"):
        assert (await live.client.get(segment[name])).status_code == 200
    assert segment["sprite"]["columns"] == 10
    assert (await live.client.get(segment["sprite"]["url"])).content == b"sprite 1"
    assert (await live.client.get(job["archive_url"])).status_code == 200


async def test_a_failed_attempt_is_told_in_full_in_the_status_and_not_in_the_list(live: Live) -> None:
    job_id = await live.upload()
    error = AttemptError(attempt=1, at=now_ms(), code="child_crashed", message="signal 11", output="…", crash=True)

    def fail(db: Tables) -> None:
        task = db.tasks.claim(boot_id="b", token="t", lease_ms=1000, now=now_ms())
        assert task is not None
        db.tasks.retry(task, error, run_at=now_ms() + 2000)

    await live.store.write(fail)
    (said,) = (await _status(live, job_id))["steps"][0]["errors"]
    assert (said["code"], said["message"], said["crash"], said["attempt"]) == ("child_crashed", "signal 11", True, 1)
    assert said["at"].endswith("Z")
    assert (await _status(live, job_id))["steps"][0]["pause"] is None  # of a job that nothing has begun
    (listed,) = (await live.client.get("/v1/jobs")).json()["jobs"]
    assert "errors" not in listed["steps"][0]


async def test_a_step_that_waits_for_room_says_why_and_until_when(live: Live) -> None:
    job_id = await live.upload()
    at = now_ms()
    error = AttemptError(attempt=1, at=at, code="no_space", message="40 MB are needed")

    def wait(db: Tables) -> None:
        task = db.tasks.claim(boot_id="b", token="t", lease_ms=1000, now=at)
        assert task is not None
        db.jobs.start(job_id, now=at)
        db.tasks.postpone(task, error, run_at=at + 15_000)

    await live.store.write(wait)
    for job in (await _status(live, job_id), *(await live.client.get("/v1/jobs")).json()["jobs"]):
        step = job["steps"][0]
        assert (step["state"], step["attempt"]) == ("available", 0)
        assert step["pause"] == {
            "code": "no_space",
            "message": "40 MB are needed",
            "since": moment(at),
            "next_attempt_at": moment(at + 15_000),
        }


async def test_jobs_are_listed_newest_first_page_by_page(live: Live) -> None:
    made = [await live.upload(filename=f"take {n}.mp4") for n in range(5)]
    seen: list[str] = []
    query = "limit=2"
    for _ in range(3):
        page = (await live.client.get(f"/v1/jobs?{query}")).json()
        seen += [job["job_id"] for job in page["jobs"]]
        query = f"limit=2&cursor={page['next_cursor']}"
    assert seen == sorted(made, reverse=True)
    assert page["next_cursor"] is None


async def test_a_list_can_be_filtered_by_state_and_name(live: Live) -> None:
    beach = await live.upload(filename="Beach day.mp4")
    await live.upload(filename="office.mp4")
    await live.client.post(f"/v1/jobs/{beach}/cancel")

    async def ids(query: str) -> list[str]:
        return [job["job_id"] for job in (await live.client.get(f"/v1/jobs?{query}")).json()["jobs"]]

    assert await ids("q=beach") == [beach]
    assert await ids("state=cancelled") == [beach]
    assert len(await ids("state=cancelled,queued")) == 2
    assert await ids("state=completed") == []
    assert (await live.client.get("/v1/jobs?state=done")).status_code == 400


async def test_a_cursor_that_is_none_is_a_bad_request(live: Live) -> None:
    answer = await live.client.get("/v1/jobs?cursor=yesterday")
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_request"
    assert answer.json()["detail"] == "cursor='yesterday' is not `next_cursor` of a page."


async def test_cancelling_ends_job_and_tasks_and_tells_the_feed(live: Live) -> None:
    job_id = await live.upload()
    await start(live, job_id)
    with live.store.feed.subscribe(job_id) as feed:
        answer = await live.client.post(f"/v1/jobs/{job_id}/cancel")
        async with asyncio.timeout(5):
            event = await anext(feed)
    assert answer.status_code == 200
    assert answer.json()["state"] == "cancelled"
    assert [step["state"] for step in answer.json()["steps"]] == ["cancelled"] * 4
    assert getattr(event, "type", None) == "job.cancelled"
    again = await live.client.post(f"/v1/jobs/{job_id}/cancel")
    assert again.status_code == 409
    assert "cancelled already" in again.json()["detail"]


async def test_a_cancelled_job_can_be_tried_again(live: Live) -> None:
    job_id = await live.upload()
    await start(live, job_id)
    await live.client.post(f"/v1/jobs/{job_id}/cancel")
    live.store.feed.nudge.clear()
    answer = await live.client.post(f"/v1/jobs/{job_id}/retry")
    assert answer.status_code == 202
    assert answer.json()["state"] == "queued"
    assert answer.json()["steps"][0]["state"] == "available"
    async with asyncio.timeout(5):
        await live.store.feed.nudge.wait()
    await start(live, job_id)  # and it is claimed


async def test_a_failed_job_goes_on_at_the_step_that_failed(live: Live) -> None:
    job_id = await live.upload()

    def fail_in_the_plan(db: Tables) -> None:
        now = now_ms()
        db.jobs.start(job_id, now=now)
        probe = db.tasks.claim(boot_id="b", token="t", lease_ms=1000, now=now)
        assert probe is not None
        db.tasks.complete(probe, now=now)
        db.tasks.enqueue("plan", job_id=job_id, priority="normal", run_at=now, max_attempts=1, now=now)
        plan = db.tasks.claim(boot_id="b", token="t", lease_ms=1000, now=now)
        assert plan is not None
        error = AttemptError(attempt=1, at=now, code="undecodable", message="no frame after 4 s")
        db.tasks.discard(plan, error, now=now)
        db.jobs.fail(job_id, Fault(code="undecodable", message="no frame after 4 s", hint="Export it anew."), now=now)

    await live.store.write(fail_in_the_plan)
    failed = await _status(live, job_id)
    assert failed["error"] == {"code": "undecodable", "message": "no frame after 4 s", "hint": "Export it anew."}
    assert [step["state"] for step in failed["steps"]] == ["completed", "discarded", "cancelled", "cancelled"]
    tried = (await live.client.post(f"/v1/jobs/{job_id}/retry")).json()
    assert [step["state"] for step in tried["steps"]] == ["completed", "available", "waiting", "waiting"]
    assert tried["error"] is None


@pytest.mark.parametrize("finished", [True, False])
async def test_a_job_that_did_not_fail_is_not_tried_again(live: Live, finished: bool) -> None:
    job_id = await live.upload()
    if finished:
        await complete(live, job_id)
    answer = await live.client.post(f"/v1/jobs/{job_id}/retry")
    assert answer.status_code == 409


async def test_a_job_whose_video_is_gone_is_not_tried_again(live: Live) -> None:
    job_id = await live.upload()
    await live.client.post(f"/v1/jobs/{job_id}/cancel")
    video_id = (await _status(live, job_id))["source"]["video_id"]
    await live.store.write(lambda db: db.videos.mark_deleted(video_id, now=now_ms()))
    answer = await live.client.post(f"/v1/jobs/{job_id}/retry")
    assert answer.status_code == 409
    assert "gone" in answer.json()["detail"]
    assert answer.json()["hint"] == "Upload it again."


async def test_deleting_a_job_removes_its_rows_and_files(live: Live) -> None:
    kept = await live.upload()
    job_id = await live.upload()
    await live.client.post(f"/v1/jobs/{kept}/cancel")  # else the queue would hand this one out first
    await complete(live, job_id)
    before = live.files()
    assert len(before) == 2 + 8
    answer = await live.client.delete(f"/v1/jobs/{job_id}")
    assert answer.status_code == 204
    assert answer.content == b""
    assert len(live.files()) == 1
    assert (await live.client.get(f"/status/{job_id}")).status_code == 404
    assert (await live.client.delete(f"/v1/jobs/{job_id}")).status_code == 404
    assert (await _status(live, kept))["job_id"] == kept


async def test_a_running_job_is_cancelled_before_it_is_deleted(live: Live) -> None:
    job_id = await live.upload()
    await start(live, job_id)
    assert (await live.client.delete(f"/v1/jobs/{job_id}")).status_code == 204
    events = (await live.client.get(f"/v1/events?job_id={job_id}")).json()["events"]
    assert [event["type"] for event in events][-2:] == ["job.cancelled", "job.deleted"]
    assert live.files() == set()


@pytest.mark.parametrize("job_id", [NOBODY, "job_x", "vid_00000000000000000000000000", "..%2f..%2fetc"])
async def test_nobodys_job_is_not_found_by_any_verb(live: Live, job_id: str) -> None:
    for answer in (
        await live.client.get(f"/status/{job_id}"),
        await live.client.get(f"/v1/jobs/{job_id}/segments.zip"),
        await live.client.post(f"/v1/jobs/{job_id}/cancel"),
        await live.client.post(f"/v1/jobs/{job_id}/retry"),
        await live.client.delete(f"/v1/jobs/{job_id}"),
    ):
        assert answer.status_code == 404
