"""What stands before the handlers stands there in the whole daemon, too: limits, the log of changes, headers."""

from pathlib import Path

from tests.web.conftest import Live, mp4
from tests.web.made import complete
from tests.web.people import PAGE, guarded, key_for, sign_in, strange

TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


async def test_a_key_is_held_to_its_limit_and_moving_bytes_is_not(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        key = await key_for(live, "read", "upload")
        job_id = (await live.client.put("/upload", content=mp4(1000), headers=key)).json()["job_id"]
        (segment_id,) = await complete(live, job_id, segments=1)
        statuses = [(await live.client.get("/v1/jobs", headers=key)).status_code for _ in range(40)]
        assert statuses[:29] == [200] * 29
        assert statuses[-1] == 429
        for start in range(40):
            part = {**key, "Range": f"bytes={start}-{start}"}
            answer = await live.client.get(f"/v1/segments/{segment_id}/video", headers=part)
            assert answer.status_code == 206


async def test_an_upload_in_many_pieces_uses_up_one_request(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        key, body = await key_for(live, "upload"), mp4(6000)
        begun = await live.client.post("/files", headers={**key, **TUS, "Upload-Length": "6000"})
        for start in range(0, 6000, 150):
            headers = {**key, **TUS, "Upload-Offset": str(start)}
            sent = await live.client.patch(
                begun.headers["location"], content=body[start : start + 150], headers=headers
            )
            assert sent.status_code == 204, sent.text
        assert "vidprod-job" in sent.headers
        assert begun.headers["ratelimit"].startswith('"key";r=29;')


async def test_the_page_is_held_to_its_own(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        await sign_in(live)
        for _ in range(50):
            answer = await live.client.get("/v1/jobs?limit=1")
            assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"session";q=1200;w=60'


async def test_who_brings_headers_of_his_own_is_the_same_stranger(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live, strange(live) as stranger:
        tried = []
        for number in range(8):
            spoofed = {**PAGE, "X-Forwarded-For": f"198.51.100.{number}", "Fly-Client-IP": f"198.51.100.{number}"}
            asked = {"name": "Ann", "password": "wrong wrong"}
            tried.append((await stranger.post("/login", json=asked, headers=spoofed)).status_code)
        assert tried == [401] * 5 + [429] * 3


async def test_where_nobody_is_asked_nothing_is_limited(live: Live) -> None:
    for _ in range(70):
        answer = await live.client.get("/v1/jobs?limit=1")
        assert answer.status_code == 200
    assert "ratelimit" not in answer.headers
