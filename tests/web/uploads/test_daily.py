"""The bytes of a day: by all doors together, told with the time at which there is room."""

from pathlib import Path

from tests.web.conftest import Live, mp4, running

TUS = {"Tus-Resumable": "1.0.0"}
DAY_S = 86_400


async def _begin(live: Live, length: int) -> int:
    answer = await live.client.post("/files", headers={**TUS, "Upload-Length": str(length)})
    return answer.status_code


async def test_a_day_has_so_many_bytes_for_all_doors_together(tmp_path: Path) -> None:
    async with running(tmp_path, daily_upload_bytes=100_000) as live:
        await live.upload(mp4(60_000))
        assert (await live.client.put("/upload", content=mp4(50_000))).status_code == 429
        form = await live.client.post("/upload", files={"file": ("a.mp4", mp4(50_000), "video/mp4")})
        assert form.status_code == 429
        assert await _begin(live, 50_000) == 429
        assert await _begin(live, 30_000) == 201
        assert await _begin(live, 30_000) == 429  # what was announced is taken
        await live.upload(mp4(10_000))


async def test_the_refusal_says_when_there_is_room(tmp_path: Path) -> None:
    async with running(tmp_path, daily_upload_bytes=100_000) as live:
        await live.upload(mp4(90_000))
        refused = await live.client.put("/upload", content=mp4(50_000))
        problem = refused.json()
        assert problem["code"] == "too_many_bytes"
        assert DAY_S - 60 < int(refused.headers["retry-after"]) <= DAY_S
        assert live.files() == {path for path in live.files() if path.startswith("media/")}  # nothing half taken


async def test_what_was_deleted_counts_and_yesterday_does_not(tmp_path: Path) -> None:
    async with running(tmp_path, daily_upload_bytes=100_000) as live:
        job_id = await live.upload(mp4(90_000))
        assert (await live.client.post(f"/v1/jobs/{job_id}/cancel")).status_code == 200
        assert (await live.client.delete(f"/v1/jobs/{job_id}")).status_code == 204
        assert await _begin(live, 50_000) == 429
        await live.store.write(lambda db: db.usage._run(f"update usage set at = at - {DAY_S * 1000}"))
        assert await _begin(live, 50_000) == 201


async def test_without_the_setting_every_day_has_room(tmp_path: Path) -> None:
    async with running(tmp_path) as live:
        for _ in range(3):
            await live.upload(mp4(90_000))
