"""Other sites cannot make a browser read or change anything here, and every answer carries its headers."""

from pathlib import Path

import pytest

from tests.web.conftest import Live, mp4, running
from tests.web.raw_socket import RawClient


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
    for origin in ("https://evil.example", "null", f"http://127.0.0.1:{live.port + 1}", "http://[", ""):
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


async def test_browsers_that_came_by_https_come_back_by_https(tmp_path: Path) -> None:
    async with running(tmp_path, trusted_proxy="1", access="open") as live:
        for proto, told in (("https", "max-age=31536000"), ("http", None), ("", None)):
            for path in ("/", "/v1/jobs", "/static/page.css", "/nothing"):
                answer = await live.client.get(path, headers={"X-Forwarded-Proto": proto} if proto else {})
                assert answer.headers.get("strict-transport-security") == told, (path, proto)


async def test_who_only_says_that_he_came_by_https_is_not_believed(live: Live) -> None:
    answer = await live.client.get("/", headers={"X-Forwarded-Proto": "https"})
    assert "strict-transport-security" not in answer.headers


async def test_answers_about_jobs_are_not_cached(live: Live) -> None:
    assert (await live.client.get("/v1/jobs")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "evillocalhost",
        "127.0.0.1.evil.example",
        "",
        "[x]",
        "[127.0.0.1",
    ],
)
async def test_a_name_that_was_rebound_to_this_machine_is_refused(live: Live, host: str) -> None:
    job_id = await live.upload()
    for method, path in (("GET", "/v1/jobs"), ("GET", "/docs"), ("DELETE", f"/v1/jobs/{job_id}"), ("PUT", "/upload")):
        answer = await live.client.request(
            method, path, headers={"Host": host, "Sec-Fetch-Site": "same-origin"}, content=b""
        )
        assert answer.status_code == 421, path
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["code"], problem["title"]) == ("unknown_host", "Misdirected Request")
        assert problem["detail"] == f"This daemon is not known as {host!r}."
        assert "hosts" in problem["hint"]
    assert (await live.client.get(f"/status/{job_id}")).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "192.168.1.20:8000", "[::1]:8000", "[::1]", "LOCALHOST:8000", "localhost.", "studio.localhost:80"],
)
async def test_addresses_and_this_machine_are_answered(live: Live, host: str) -> None:
    assert (await live.client.get("/v1/jobs", headers={"Host": host})).status_code == 200


async def test_names_of_the_settings_are_answered(tmp_path: Path) -> None:
    async with running(tmp_path, host="studio.lan", hosts=("video.example",)) as live:
        for host, status in (("studio.lan:8000", 200), ("Video.Example", 200), ("a.video.example", 421)):
            assert (await live.client.get("/v1/jobs", headers={"Host": host})).status_code == status, host


async def test_a_star_takes_any_name(tmp_path: Path) -> None:
    async with running(tmp_path, hosts=("*",)) as live:
        for host in ("any.example", "[127.0.0.1", "[", ""):
            assert (await live.client.get("/v1/jobs", headers={"Host": host})).status_code == 200, host


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
async def test_an_orchestrator_may_ask_by_any_name(live: Live, path: str) -> None:
    assert (await live.client.get(path, headers={"Host": "pod-7.internal"})).status_code == 200


async def test_a_host_is_told_back_shortened(live: Live) -> None:
    answer = await live.client.get("/v1/jobs", headers={"Host": "x" * 500})
    assert answer.json()["detail"] == f"This daemon is not known as {'x' * 100!r}."


async def test_two_hosts_in_one_request_are_no_way_around(live: Live) -> None:
    async with RawClient(live.port) as client:
        await client.send(b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        answer = await client.answer()
    assert answer.startswith((b"HTTP/1.1 421", b"HTTP/1.1 400"))
