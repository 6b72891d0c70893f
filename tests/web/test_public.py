"""A segment's file at a signed address: for who was given it, as long as it lasts, and for nobody else."""

import pytest

from tests.web.conftest import Live
from tests.web.made import complete, now_ms, segment_bytes
from vidprod.domain.address import LASTS_MS, path_of


async def _given(live: Live) -> str:
    (segment_id,) = await complete(live, await live.upload(filename="secret plans.mov"), segments=1)
    return segment_id


async def test_a_signed_address_gives_the_file_and_nothing_about_the_take(live: Live) -> None:
    path = path_of(await _given(live), making=1, now=now_ms(), sign=live.vault.sign)
    whole = await live.client.get(path)
    assert whole.status_code == 200
    assert whole.content == segment_bytes(0)
    assert whole.headers["content-type"] == "video/mp4"
    assert "secret" not in str(whole.headers)
    part = await live.client.get(path, headers={"Range": "bytes=0-0"})
    assert (part.status_code, part.content) == (206, segment_bytes(0)[:1])


async def test_head_says_how_large_the_file_is(live: Live) -> None:
    told = await live.client.head(path_of(await _given(live), making=1, now=now_ms(), sign=live.vault.sign))
    assert (told.status_code, told.headers["content-length"]) == (200, str(len(segment_bytes(0))))
    assert told.content == b""


@pytest.mark.parametrize(
    ("was", "becomes"), [(".1.", ".2."), ("seg_", "seg-"), (".mp4", "A.mp4"), ("/public/", "/public/x")]
)
async def test_a_changed_address_is_not_found(live: Live, was: str, becomes: str) -> None:
    path = path_of(await _given(live), making=1, now=now_ms(), sign=live.vault.sign)
    assert (await live.client.get(path.replace(was, becomes, 1))).status_code == 404


async def test_an_address_that_somebody_lengthened_is_not_found(live: Live) -> None:
    path = path_of(await _given(live), making=1, now=now_ms() - LASTS_MS, sign=live.vault.sign)
    until = path.split(".")[2]
    assert (await live.client.get(path)).json()["code"] == "address_ended"
    assert (await live.client.get(path.replace(until, str(int(until) + 3_600_000)))).json()["code"] == "not_found"


async def test_the_address_of_an_earlier_making_gives_no_mix_of_two(live: Live) -> None:
    assert (
        await live.client.get(path_of(await _given(live), making=2, now=now_ms(), sign=live.vault.sign))
    ).status_code == 404
