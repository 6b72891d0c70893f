"""Links for who has no account: for the time they were made for, and until they are ended."""

from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.web.conftest import Live, running
from tests.web.made import complete, now_ms, segment_bytes
from vidprod.domain.address import link_of, path_of


async def _segment(live: Live) -> str:
    (segment_id,) = await complete(live, await live.upload(filename="secret plans.mov"), segments=1)
    return segment_id


async def _link(live: Live, segment_id: str, **asked: int) -> str:
    answer = await live.client.post(f"/v1/segments/{segment_id}/link", json=asked)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["url"])


async def test_a_link_shows_the_segment_to_whoever_has_it(live: Live) -> None:
    segment_id = await _segment(live)
    url = await _link(live, segment_id)
    assert url.startswith(f"{live.url}/public/{segment_id}.1.")
    async with httpx.AsyncClient() as stranger:
        shown = await stranger.get(url, headers={"Range": "bytes=0-"})
        assert (shown.status_code, shown.content) == (206, segment_bytes(0))
        assert shown.headers["content-disposition"].startswith("inline")
        assert "secret" not in str(shown.headers)


async def test_it_ends_when_it_says(live: Live) -> None:
    segment_id = await _segment(live)
    asked = await live.client.post(f"/v1/segments/{segment_id}/link", json={"expires_s": 3600})
    until = int(asked.json()["url"].split(".")[-4])
    assert abs(until - now_ms() - 3_600_000) < 20_000
    old = link_of(segment_id, making=1, now=now_ms() - 61_000, lasts_s=60, sign=live.vault.sign)
    assert (await live.client.get(old)).json()["code"] == "address_ended"


@pytest.mark.parametrize("expires_s", [0, 59, 30 * 86_400 + 1, -1, "3600", 1e3 + 0.5])
async def test_it_lasts_a_minute_to_thirty_days(live: Live, expires_s: object) -> None:
    answer = await live.client.post(f"/v1/segments/{await _segment(live)}/link", json={"expires_s": expires_s})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_body")


async def test_nobody_can_change_what_it_says(live: Live) -> None:
    segment_id = await _segment(live)
    path = urlsplit(await _link(live, segment_id)).path
    segment, making, until, made, signature, _ = path.removeprefix("/public/").split(".")
    for forged in (
        f"{segment}.{making}.{int(until) + 1}.{made}.{signature}.mp4",
        f"{segment}.{making}.{until}.{int(made) + 1}.{signature}.mp4",
        f"{segment}.{making}.{until}.{signature}.mp4",  # as one for a platform, which cannot be ended
        f"{segment}.{making}.{until}.{made}.{made}.{signature}.mp4",
        f"{segment}.{making}.{until}.{made}..mp4",
    ):
        answer = await live.client.get(f"/public/{forged}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), forged


async def test_links_that_were_given_out_are_ended_together(live: Live) -> None:
    segment_id = await _segment(live)
    for_platform = path_of(segment_id, making=1, now=now_ms(), sign=live.vault.sign)
    links = [await _link(live, segment_id) for _ in range(3)]
    assert (await live.client.delete(f"/v1/segments/{segment_id}/links")).status_code == 204
    for url in links:
        ended = await live.client.get(url)
        assert (ended.status_code, ended.json()["code"]) == (404, "address_ended")
    assert (await live.client.get(for_platform)).status_code == 200
    later = link_of(segment_id, making=1, now=now_ms() + 1, lasts_s=60, sign=live.vault.sign)
    assert (await live.client.get(later)).status_code == 200


async def test_there_is_no_link_to_what_is_not_there(live: Live) -> None:
    unknown = "seg_" + "0" * 26
    assert (await live.client.post(f"/v1/segments/{unknown}/link")).status_code == 404
    assert (await live.client.delete(f"/v1/segments/{unknown}/links")).status_code == 404
    assert (await live.client.post("/v1/segments/..%2f..%2f/link")).status_code == 404


async def test_it_leads_to_the_public_address_where_there_is_one(tmp_path: Path) -> None:
    async with running(tmp_path, public_url="https://video.example", access="open") as live:
        assert (await _link(live, await _segment(live))).startswith("https://video.example/public/")
