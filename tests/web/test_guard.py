"""Other sites cannot make a browser change anything here, and every answer carries its headers."""

import pytest

from tests.web.conftest import Live, mp4


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_another_site_cannot_change_anything(live: Live, site: str) -> None:
    job_id = await live.upload()
    headers = {"Sec-Fetch-Site": site}
    for answer in (
        await live.client.put("/upload", content=mp4(1000), headers=headers),
        await live.client.post(f"/v1/jobs/{job_id}/cancel", headers=headers),
        await live.client.delete(f"/v1/jobs/{job_id}", headers=headers),
    ):
        assert answer.status_code == 403
        assert answer.json()["code"] == "cross_site"
    assert (await live.client.get(f"/status/{job_id}", headers=headers)).json()["state"] == "queued"


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}])
async def test_our_page_and_scripts_may(live: Live, headers: dict[str, str]) -> None:
    assert (await live.client.put("/upload", content=mp4(1000), headers=headers)).status_code == 202


async def test_a_browser_without_fetch_metadata_is_judged_by_its_origin(live: Live) -> None:
    ours = await live.client.put("/upload", content=mp4(1000), headers={"Origin": live.url})
    assert ours.status_code == 202
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{live.port + 1}"):
        theirs = await live.client.put("/upload", content=mp4(1000), headers={"Origin": origin})
        assert theirs.status_code == 403


async def test_every_answer_forbids_what_we_never_do(live: Live) -> None:
    for path in ("/", "/health", "/v1/jobs", "/nothing/here", "/status/job_x", "/docs"):
        headers = (await live.client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy


async def test_answers_about_jobs_are_not_cached(live: Live) -> None:
    assert (await live.client.get("/v1/jobs")).headers["cache-control"] == "no-store"
