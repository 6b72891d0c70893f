"""What TikTok says of a publish id, and that reading never begins anything."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.platforms.clips import clip
from tests.platforms.tiktok import HOUR_S, POST, Far, ignore, media, sent
from vidprod.domain.post import Post
from vidprod.errors import PlatformError
from vidprod.platforms.base import Media
from vidprod.platforms.simulators.world import Fault


async def test_an_address_that_expired_is_not_begun_anew_before_it_is_sure(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await there.tiktok.begin(grant, POST, take)
    there.wall.pass_s(HOUR_S + 1)
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.send(grant, handle, take, sent=ignore)
    assert (caught.value.kind, caught.value.http_status) == ("RECONCILE", 403)
    assert (await there.tiktok.read(grant, handle, take)).state == "unknown"
    there.wall.pass_s(HOUR_S)
    assert (await there.tiktok.read(grant, handle, take)).state == "absent"


async def test_what_tiktok_does_not_count_is_never_taken_for_lost(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await there.tiktok.begin(grant, POST, take)
    there.wall.pass_s(5 * HOUR_S)
    there.sim.auth.expire(grant.external_id)
    await grant.renew(grant.tokens.access_token)
    told = {"data": {"status": "PROCESSING_UPLOAD"}, "error": {"code": "ok", "message": "", "log_id": "x"}}
    there.transport.instead += [httpx.Response(200, json=told)]
    assert (await there.tiktok.read(grant, handle, take)).state == "unknown"


async def test_failure_1_a_token_that_expires_while_polling_posts_nothing_again(there: Far, take: Media) -> None:
    """platforms.md 6, 1: "token expired during polling, refresh, whole publish again" was a real double post."""
    grant = there.grant()
    there.world.order("tiktok.init", "token_expires")
    handle = await sent(there, grant, take)
    there.wall.pass_s(60)
    assert (await there.tiktok.read(grant, handle, take)).state == "live"
    assert grant.renewed == 1
    assert len(there.sim.posts()) == len(there.sim.uploads) == 1


async def test_a_token_that_is_refused_twice_needs_a_person(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await sent(there, grant, take)
    there.world.order("tiktok.status", "access_token_invalid", "access_token_invalid")
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.read(grant, handle, take)
    assert (caught.value.kind, grant.renewed) == ("REAUTH", 1)


async def test_a_public_post_is_settled_when_its_id_is_told(there: Far, take: Media) -> None:
    grant = there.grant()
    there.world.order("tiktok.processing", Fault("late_id", 2 * HOUR_S))
    handle = await sent(there, grant, take)
    there.wall.pass_s(10)
    early = await there.tiktok.read(grant, handle, take)
    assert (early.state, early.settled, early.url) == ("live", False, "https://www.tiktok.com/@mira.makes")
    there.wall.pass_s(2 * HOUR_S + 60)
    late = await there.tiktok.read(grant, handle, take)
    [posted] = there.sim.posts()
    assert (late.settled, late.remote_id) == (True, posted.remote_id)
    assert late.url == f"https://www.tiktok.com/@mira.makes/video/{posted.remote_id}"


async def test_a_post_that_is_not_public_never_gets_an_id(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await sent(there, grant, take, Post(privacy="private"))
    there.wall.pass_s(HOUR_S)
    reading = await there.tiktok.read(grant, handle, take)
    assert (reading.state, reading.settled, reading.privacy) == ("live", True, "private")
    assert reading.remote_id == handle["publish_id"] == there.sim.posts()[0].remote_id


@pytest.mark.parametrize("post_id", [7400000000000000001, "7400000000000000001"])
async def test_an_id_of_64_bits_keeps_its_last_digit(there: Far, take: Media, post_id: Any) -> None:
    grant = there.grant()
    handle = await sent(there, grant, take)
    told = {
        "data": {"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": [post_id]},
        "error": {"code": "ok", "message": "", "log_id": "x"},
    }
    there.transport.instead += [httpx.Response(200, json=told)]
    assert (await there.tiktok.read(grant, handle, take)).remote_id == "7400000000000000001"


async def test_an_id_that_became_a_float_is_no_id(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await sent(there, grant, take)
    told = b'{"data":{"status":"PUBLISH_COMPLETE","publicaly_available_post_id":[7.4e18]},"error":{"code":"ok"}}'
    there.transport.instead += [httpx.Response(200, content=told)]
    reading = await there.tiktok.read(grant, handle, take)
    assert (reading.settled, reading.remote_id) == (False, handle["publish_id"])


async def test_failure_7_a_format_that_tiktok_refuses_is_named_inside_an_answer_that_says_ok(
    there: Far, tmp_path: Path
) -> None:
    """platforms.md 6, 7."""
    take = media(tmp_path / "clip.mp4", clip(video=b"av01"))
    grant = there.grant()
    handle = await sent(there, grant, take)
    there.wall.pass_s(10)
    reading = await there.tiktok.read(grant, handle, take)
    assert (reading.state, reading.kind, reading.code) == ("rejected", "FIX", "file_format_check_failed")


async def test_failure_6_what_is_stuck_in_processing_stays_processing(there: Far, take: Media) -> None:
    """platforms.md 6, 6: the deadline is for who polls; reading never says failed where TikTok does not."""
    grant = there.grant()
    there.world.order("tiktok.processing", "stuck")
    handle = await sent(there, grant, take)
    for _ in range(5):
        there.wall.pass_s(20 * 60)
        assert (await there.tiktok.read(grant, handle, take)).state == "processing"


async def test_a_publish_id_that_is_not_known_is_gone_and_one_of_another_is_not_ours_to_read(
    there: Far, take: Media
) -> None:
    grant = there.grant()
    handle = await sent(there, grant, take)
    assert (await there.tiktok.read(grant, {**handle, "publish_id": "v_pub_file~none"}, take)).state == "gone"
    assert (await there.tiktok.read(there.grant(private=True), handle, take)).state == "unknown"


@pytest.mark.parametrize("fault", ["500", "503", "html", "reset", "lost_answer", "truncated", "rate_limit_exceeded"])
async def test_reading_that_failed_may_be_tried_again(there: Far, take: Media, fault: str) -> None:
    grant = there.grant()
    handle = await sent(there, grant, take)
    there.world.order("tiktok.status", fault)
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.read(grant, handle, take)
    assert caught.value.kind == "RETRY"
    assert (await there.tiktok.read(grant, handle, take)).state == "processing"
